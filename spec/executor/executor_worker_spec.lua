-- The states of a pool's workers: start-up code, replacement, limits, and what stats tells of them.
local ml = require "moonloop"
local eventually = require("spec.support.tasks").eventually

--- Computes for ever.
local function hog()
  while true do end
end

--- Needs more memory than any pool here has.
local function eat()
  local list = {}
  while true do list[#list + 1] = ("x"):rep(1000) .. #list end
end

local MEMORY = 4 << 20

describe("a pool's init", function()
  it("runs before the first job, once per worker, with copies of its upvalues", function()
    local base = 40
    local pool <close> = ml.executor.new { threads = 1, init = function() count = (count or base) + 1 end } -- luacheck: ignore
    for _ = 1, 3 do
      assert.equal(41, pool:run(function() return count end)) -- luacheck: ignore
    end
  end)

  it("may wait", function()
    local pool <close> = ml.executor.new { threads = 1, init = function()
      ml.sleep(0.01)
      ready = true -- luacheck: ignore
    end }
    assert.is_true(pool:run(function() return ready end)) -- luacheck: ignore
  end)

  it("that raises fails the job, and says that it was the init", function()
    local pool <close> = ml.executor.new { threads = 1, init = function() error("no database") end }
    for n = 1, 2 do
      local ok, err = pcall(pool.run, pool, function() ran = true end) -- luacheck: ignore
      assert.is_false(ok)
      assert.matches("the pool's init failed: .*executor_worker_spec.lua:%d+: no database", err)
      assert.equal(n, pool:stats().failed)
    end
  end)

  it("that raises a value passes on that value", function()
    local pool <close> = ml.executor.new { threads = 1, init = function() error { code = 7 } end }
    local ok, err = pcall(pool.run, pool, print)
    assert.is_false(ok)
    assert.same({ code = 7 }, err)
  end)

  it("that returns nil and an error has failed, too", function()
    local pool <close> = ml.executor.new { threads = 1, init = function() return nil, "refused" end }
    local ok, err = pcall(pool.run, pool, print)
    assert.is_false(ok)
    assert.equal("the pool's init failed: refused", err)
  end)

  it("is tried again in a new state by the next job", function()
    local name = os.tmpname()
    local pool <close> = ml.executor.new { threads = 1, init = function()
      tries = (tries or 0) + 1 -- luacheck: ignore
      assert(not io.open(name), "not yet")
    end }
    assert.is_false((pcall(pool.run, pool, print)))
    os.remove(name)
    assert.equal(1, pool:run(function() return tries end)) -- luacheck: ignore
    assert.equal(1, pool:stats().recycled)
  end)

  it("is interrupted with the job that waits for it", function()
    local pool <close> = ml.executor.new { threads = 1, init = hog }
    assert.equal("timeout", select(2, ml.timeout(0.05, pool.run, pool, print)).kind)
    eventually(function() return pool:stats().running == 0 end)
  end)

  it("has to be a function that can be copied", function()
    assert.error_matches(function() ml.executor.new { init = 1 } end, "init must be a function, not a number")
    local co = coroutine.create(print)
    assert.error_matches(function() ml.executor.new { init = function() return co end } end, "co.*a coroutine")
  end)
end)

describe("max_jobs", function()
  it("replaces a worker's state after so many jobs", function()
    local pool <close> = ml.executor.new { threads = 1, max_jobs = 2 }
    local seen = {}
    for i = 1, 5 do
      seen[i] = pool:run(function()
        jobs = (jobs or 0) + 1 -- luacheck: ignore
        return jobs -- luacheck: ignore
      end)
    end
    assert.same({ 1, 2, 1, 2, 1 }, seen)
    assert.equal(2, pool:stats().recycled)
  end)

  it("runs init in each new state", function()
    local pool <close> = ml.executor.new { threads = 1, max_jobs = 1, init = function() base = 1 end } -- luacheck: ignore
    for _ = 1, 3 do
      assert.equal(2, pool:run(function()
        base = base + 1 -- luacheck: ignore
        return base -- luacheck: ignore
      end))
    end
  end)

  it("loses no job that waits meanwhile", function()
    local pool <close> = ml.executor.new { threads = 2, max_jobs = 1 }
    local results = pool:map({ 1, 2, 3, 4, 5, 6, 7, 8 }, function(i) return i * 2 end, { chunk = 1 })
    assert.same({ 2, 4, 6, 8, 10, 12, 14, 16, n = 8 }, results)
  end)

  it("cancels what earlier jobs have left in the state", function()
    local name = os.tmpname()
    local pool <close> = ml.executor.new { threads = 1, max_jobs = 1 }
    pool:run(function()
      ml.spawn(function()
        local guard <close> = setmetatable({}, { __close = function() os.remove(name) end }) -- luacheck: ignore
        ml.sleep(1000)
      end)
      ml.sleep(0)
    end)
    eventually(function() return not io.open(name) end)
  end)
end)

describe("max_memory", function()
  it("fails a job that needs more, with an error of kind memory, and replaces the state", function()
    local pool <close> = ml.executor.new { threads = 1, max_memory = MEMORY }
    pool:run(function() kept = true end) -- luacheck: ignore
    local ok, err = pcall(pool.run, pool, eat)
    assert.is_false(ok)
    assert.is_true(ml.is_error(err))
    assert.equal("memory", err.kind)
    assert.matches("the job needs more than the 4194304 bytes of max_memory", tostring(err))
    assert.equal(1, pool:stats().recycled)
    assert.is_nil(pool:run(function() return kept end)) -- luacheck: ignore
  end)

  it("fails a job that asks for too much at once", function()
    local pool <close> = ml.executor.new { threads = 1, max_memory = MEMORY }
    local ok, err = pcall(pool.run, pool, function() return #("x"):rep(100 << 20) end)
    assert.is_false(ok)
    assert.equal("memory", err.kind)
  end)

  it("fails a job whose arguments are too large already", function()
    local pool <close> = ml.executor.new { threads = 1, max_memory = MEMORY }
    local ok, err = pcall(pool.run, pool, function() end, ("x"):rep(MEMORY))
    assert.is_false(ok)
    assert.equal("memory", err.kind)
    assert.equal(1, pool:run(function() return 1 end))
  end)

  it("leaves a job alone if only its garbage is more", function()
    local pool <close> = ml.executor.new { threads = 1, max_memory = MEMORY }
    assert.equal(20000, pool:run(function()
      local n = 0
      for i = 1, 20000 do n = n + #(("x"):rep(1000) .. i) // 1000 end
      return n
    end))
    assert.equal(0, pool:stats().recycled)
  end)

  it("does not touch jobs of other workers", function()
    local pool <close> = ml.executor.new { threads = 2, max_memory = MEMORY }
    local mark = os.tmpname()
    local other = pool:start(function()
      local file = io.open(mark)
      while file do -- until it is gone
        file:close()
        ml.sleep(0.001)
        file = io.open(mark)
      end
      return "fine"
    end)
    eventually(function() return pool:stats().running == 1 end)
    assert.is_false((pcall(pool.run, pool, eat)))
    os.remove(mark)
    assert.equal("fine", other:await())
  end)

  it("replaces the state also when the job has caught the error", function()
    local pool <close> = ml.executor.new { threads = 1, max_memory = MEMORY }
    assert.equal("caught", pool:run(function(f) return not pcall(f) and "caught" end, eat))
    assert.equal(1, pool:stats().recycled)
  end)

  it("holds for init", function()
    local pool <close> = ml.executor.new { threads = 1, max_memory = MEMORY, init = eat }
    local ok, err = pcall(pool.run, pool, print)
    assert.is_false(ok)
    assert.equal("memory", err.kind)
    assert.matches("the pool's init needs more", tostring(err))
  end)

  it("holds for the tasks of a job, too", function()
    local pool <close> = ml.executor.new { threads = 1, max_memory = MEMORY }
    local ok, err = pcall(pool.run, pool, function(f) ml.gather(f, function() ml.sleep(1000) end) end, eat)
    assert.is_false(ok)
    assert.equal("memory", err.kind)
  end)
end)

describe("max_message", function()
  local LIMIT = 64 << 10
  local large, too_large = ("x"):rep(LIMIT - 1000), ("x"):rep(LIMIT)
  local problem = "too much for one message (the limit is 65536 bytes)"
  local pool

  setup(function() pool = ml.executor.new { threads = 1, max_message = LIMIT } end)
  teardown(function() pool:close() end)

  it("allows messages that fit, both ways", function()
    assert.equal(large, pool:run(function(s) return s end, large))
  end)

  it("refuses a larger call before it is sent, and names what is too large", function()
    local ok, err = pcall(pool.run, pool, print, large, { text = { too_large } })
    assert.is_false(ok)
    assert.matches("cannot send argument #3.text[1]: " .. problem, err, 1, true)
    assert.equal(0, pool:stats().failed)
    local numbers = {}
    for i = 1, LIMIT do numbers[i] = i end
    assert.matches(problem, select(2, pcall(pool.run, pool, print, numbers)), 1, true)
    ok, err = pcall(pool.run, pool, function() return #too_large end)
    assert.is_false(ok)
    assert.matches("upvalue 'too_large' of function at spec/executor/executor_worker_spec.lua:", err, 1, true)
  end)

  it("fails a job whose results or error are larger, and the worker continues", function()
    local err = select(2, pcall(pool.run, pool, function() return 1, ("x"):rep(100000) end))
    assert.matches("cannot send result #2: " .. problem, err, 1, true)
    err = select(2, pcall(pool.run, pool, function() error(("x"):rep(100000), 0) end))
    assert.matches("cannot send the error: " .. problem, err, 1, true)
    assert.equal(1, pool:run(function() return 1 end))
  end)

  it("holds for the values of a job's progress", function()
    local call = pool:start(function()
      return select(2, pcall(function() return ml.executor.current():progress(("x"):rep(100000)) end))
    end)
    for _ in call:progress() do error "nothing is sent" end
    assert.matches("cannot send progress #1: " .. problem, call:await(), 1, true)
  end)

  it("is 1 GB by default", function()
    local other <close> = ml.executor.new { threads = 1 }
    local text = ("x"):rep(4 << 20)
    assert.equal(#text, other:run(function(s) return #s end, text))
    assert.equal(#text, ml.executor.run(function(s) return #s end, text))
    assert.error_matches(function() ml.executor.new { max_message = (1 << 30) + 1 } end,
      "max_message must be an integer from 65536 to 1073741824, not 1073741825")
  end)
end)

describe("the options of a pool", function()
  it("are checked", function()
    for _, case in ipairs {
      { { threads = 0 }, "threads must be an integer from 1" },
      { { max_jobs = 0 }, "max_jobs must be an integer from 1 to %d+, not 0" },
      { { max_jobs = "2" }, "max_jobs must be an integer" },
      { { max_memory = 1000 }, "max_memory must be an integer from 1048576 to %d+, not 1000" },
      { { threads = 2, max_threads = 1 }, "max_threads must be an integer from 2 to 1024, not 1" },
      { { idle_timeout = 0 }, "idle_timeout must be a positive number of seconds, not 0" },
      { { idle_timeout = 0 / 0 }, "idle_timeout must be a positive number of seconds, not %-?nan" },
      { { idle_timeout = "1" }, "idle_timeout must be a positive number of seconds, not 1" },
      { { nice = -1 }, "nice must be an integer from 0 to 19, not %-1" },
      { { memory = 1 }, "unknown option 'memory'" },
      { { 1 }, "unknown option '1'" },
    } do
      assert.error_matches(function() ml.executor.new(case[1]) end, case[2])
    end
  end)
end)

describe("nice", function()
  --- The nice value of the thread that runs this.
  local function niceness()
    local stat <close> = assert(io.open("/proc/thread-self/stat"))
    local after_name = stat:read("a"):match(".*%) (.*)")
    local n = 0
    for field in after_name:gmatch("%S+") do
      n = n + 1
      if n == 17 then return tonumber(field) end
    end
  end

  it("lets the loop and other programs go first: by 10, or as the pool says", function()
    local own = niceness()
    for _, case in ipairs { { nil, 10 }, { 0, 0 }, { 2, 2 } } do
      local pool <close> = ml.executor.new { threads = 1, nice = case[1] }
      assert.equal(math.min(own + case[2], 19), pool:run(niceness))
    end
    assert.equal(math.min(own + 10, 19), ml.executor.run(niceness))
    assert.equal(own, niceness())
  end)
end)

describe("limits of a job", function()
  it("of CPU time interrupt it in the worker, through pcall and coroutines", function()
    local pool <close> = ml.executor.new { threads = 1 }
    for _, f in ipairs {
      hog,
      function() while true do pcall(hog) end end,
      function() while true do coroutine.wrap(hog)() end end,
    } do
      local ok, err = pcall(pool.run, pool, { f, cpu = 0.02 })
      assert.is_false(ok)
      assert.equal("cpu", err.kind)
    end
    assert.equal(3, pool:run { function(n) return n end, 3, cpu = 1 })
    assert.equal(3, pool:stats().failed)
  end)

  it("of CPU time do not count waiting", function()
    local pool <close> = ml.executor.new { threads = 1 }
    assert.equal("slept", pool:run { function()
      ml.sleep(0.1)
      return "slept"
    end, cpu = 0.05 })
  end)

  it("hold for jobs that had to wait for room", function()
    local pool <close> = ml.executor.new { threads = 1, queue = 1 }
    local tasks = {}
    for i = 1, 4 do tasks[i] = ml.spawn(pool.run, pool, { hog, cpu = 0.02 }) end
    for i = 1, 4 do
      local ok, err = pcall(tasks[i].await, tasks[i])
      assert.is_false(ok)
      assert.equal("cpu", err.kind)
    end
  end)

  it("are refused if they are invalid", function()
    local pool <close> = ml.executor.new { threads = 1 }
    assert.error_matches(function() pool:run { hog, cpu = 0 } end, "cpu has to be a positive number")
    assert.error_matches(function() pool:run { cpu = 1 } end, "the first item of a list has to be a function")
    assert.error_matches(function() pool:run({ hog }, 1) end, "the arguments belong in the list")
  end)

  it("of time, around the call, interrupt it in the worker", function()
    local pool <close> = ml.executor.new { threads = 1 }
    local value, err = ml.timeout(0.3, pool.run, pool, hog)
    assert.is_nil(value)
    assert.equal("timeout", err.kind)
    local ok
    ok, err = pcall(function()
      local _ <close> = ml.deadline(0.3)
      pool:run(function() while true do pcall(hog) end end)
    end)
    assert.is_false(ok)
    assert.equal("timeout", err.kind)
    assert.equal("free", pool:run(function() return "free" end))
    assert.equal(2, pool:stats().cancelled)
  end)
end)

describe("pool:stats", function()
  it("tells CPU seconds, jobs and memory of each worker", function()
    local pool <close> = ml.executor.new { threads = 2 }
    pool:run(function()
      local stop = os.clock() + 0.05
      while os.clock() < stop do end
    end)
    local workers = pool:stats().workers
    assert.equal(1, #workers)
    assert.is_true(workers[1].cpu >= 0.02, workers[1].cpu)
    assert.equal(1, workers[1].jobs)
    assert.is_true(workers[1].memory > 10000, workers[1].memory)
    pool:close()
    workers = pool:stats().workers
    assert.is_true(workers[1].cpu >= 0.02)
    assert.equal(1, workers[1].jobs)
  end)
end)

describe("pool:expected_wait", function()
  it("is 0 while a worker is free, and grows with the queue", function()
    local pool <close> = ml.executor.new { threads = 1 }
    assert.equal(0, pool:expected_wait())
    pool:run(ml.sleep, 0.02)
    assert.equal(0, pool:expected_wait())
    local one = pool:start(ml.sleep, 1000)
    eventually(function() return pool:stats().running == 1 end)
    local alone = pool:expected_wait()
    assert.is_true(alone >= 0.015, alone)
    local calls = {}
    for i = 1, 9 do calls[i] = pool:start(ml.sleep, 1000) end
    eventually(function() return pool:stats().queued == 9 end)
    assert.is_true(pool:expected_wait() > 9 * alone)
    one:cancel()
    for _, call in ipairs(calls) do call:cancel() end
  end)
end)

describe("inside a job", function()
  it("the HTTP client works", function()
    local app = ml.web.app()
    app:get("/", function() return "from the owner" end)
    local server = assert(ml.web.listen(app, { port = 0 }))
    local pool <close> = ml.executor.new { threads = 1 }
    local body = pool:run(function(url) return assert(ml.http.get(url)).body end, "http://127.0.0.1:" .. server.port)
    server:stop(1)
    assert.equal("from the owner", body)
  end)

  it("timeouts, deadlines and slices work", function()
    local pool <close> = ml.executor.new { threads = 1 }
    assert.equal("timeout", pool:run(function() return (select(2, ml.timeout(0.01, ml.sleep, 1000)).kind) end))
    local ok, err = pcall(pool.run, pool, function()
      local _ <close> = ml.deadline(0.01)
      ml.sleep(1000)
    end)
    assert.is_false(ok)
    assert.equal("timeout", err.kind)
    assert.is_true(pool:run { function() -- without slices the other task would never run
      local stop = false
      ml.spawn(function() stop = true end)
      while not stop do end
      return stop
    end, slice = 0.002 })
  end)

  it("ml.executor.run runs in the job's own worker, with copies", function()
    local pool <close> = ml.executor.new { threads = 1 }
    assert.same({ 1, 2, "mine" }, pool:run(function()
      here = "mine" -- luacheck: ignore
      local list, calls = { 1 }, 0
      local longer = ml.executor.run(function(l)
        calls = calls + 1
        l[2] = 2
        l[3] = here -- luacheck: ignore
        return l
      end, list)
      assert(#list == 1 and calls == 0)
      return longer
    end))
    assert.same({ n = 2, 3, 7 }, pool:run(function()
      return ml.gather({ { ml.executor.run, function() return 3 end }, { ml.executor.run, math.max, 7, 1 } })
    end))
    local ok, err = pcall(pool.run, pool, function()
      ml.executor.run { function() while true do end end, cpu = 0.02 }
    end)
    assert.is_false(ok)
    assert.equal("cpu", err.kind)
  end)

  it("ml.executor.run can be nested to any depth", function()
    local pool <close> = ml.executor.new { threads = 1 }
    assert.equal(50, pool:run(function()
      local function down(n) return n == 0 and 0 or 1 + ml.executor.run(down, n - 1) end
      return down(50)
    end))
  end)

  it("ml.executor.run refuses what it refuses elsewhere, and is cancelled with its caller", function()
    local pool <close> = ml.executor.new { threads = 1 }
    assert.error_matches(function() pool:run(function() ml.executor.run(1) end) end,
      "bad argument #1 to 'ml.executor.run' %(function expected, got number%)")
    assert.error_matches(function()
      pool:run(function() ml.executor.run(print, coroutine.create(print)) end)
    end, "cannot send argument #2: a coroutine")
    assert.equal("timeout", pool:run(function()
      return select(2, ml.timeout(0.01, ml.executor.run, ml.sleep, 1000)).kind
    end))
  end)

  it("there is no default pool, and pools can be made", function()
    local pool <close> = ml.executor.new { threads = 1 }
    assert.error_matches(function() pool:run(function() ml.executor.default() end) end, "a job has no default pool")
    assert.error_matches(function() pool:run(function() ml.executor.start(print) end) end, "a job has no default pool")
    assert.equal("inner", pool:run(function()
      local inner <close> = ml.executor.new { threads = 1 }
      return inner:run(function() return "inner" end)
    end))
  end)
end)
