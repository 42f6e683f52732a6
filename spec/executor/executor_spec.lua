-- The executor: jobs on other threads. Times are generous bounds, never measurements.
local ml = require "moonloop"
local eventually = require("spec.support.tasks").eventually
local run = require("spec.support.process").run

--- A job that runs until it is interrupted.
local function hog()
  while true do end
end

--- Is there such a file? Jobs go on when it is gone.
local function is_there(path)
  local file = io.open(path)
  return file and file:close()
end

--- The default pool's workers would outlive a spec: each has its own.
local function with_pool(options, f)
  local pool <close> = ml.executor.new(options)
  f(pool)
end

describe("ml.executor.run", function()
  it("EX-01 gives the results, from another thread, while other tasks run", function()
    local ticks = 0
    local ticker = ml.spawn(function()
      while true do
        ml.sleep(0.001)
        ticks = ticks + 1
      end
    end)
    with_pool({ threads = 1 }, function(pool)
      local mark = os.tmpname()
      local call = pool:start(function(x, y)
        while is_there(mark) do end
        return x + y, nil, tostring(ml.current().id)
      end, 1, 2)
      eventually(function() return pool:stats().running == 1 and ticks > 2 end)
      os.remove(mark)
      local a, b, c = call:await()
      assert.are.equal(3, a)
      assert.is_nil(b)
      assert.is_string(c)
    end)
    ticker:cancel()
  end)

  it("runs on the default pool, which is made at first use", function()
    assert.are.equal(42, ml.executor.run(function(n) return n + 1 end, 41))
    assert.are.same({ n = 3, 1, 4, 9 }, (function()
      local r = ml.gather({
        { ml.executor.run, function() return 1 end },
        { ml.executor.run, function() return 4 end },
        { ml.executor.run, function() return 9 end },
      })
      return r
    end)())
  end)

  it("passes only its arguments, even when it makes the pool", function()
    for _, call in ipairs { "select, '#'", "{ select, '#' }" } do
      local text, status = run("print(ml.executor.run(" .. call .. "))")
      assert.are.equal("0\n", text)
      assert.are.equal(0, status)
    end
  end)

  it("gives nil, err as it is", function()
    with_pool({ threads = 1 }, function(pool)
      local value, err, more = pool:run(function() return nil, "not found", 404 end)
      assert.is_nil(value)
      assert.are.equal("not found", err)
      assert.are.equal(404, more)
    end)
  end)

  it("lets a job wait: sleep, spawn and gather work in a worker", function()
    with_pool({ threads = 1 }, function(pool)
      assert.are.equal(3, pool:run(function()
        local task = ml.spawn(function()
          ml.sleep(0.001)
          return 1
        end)
        local a, b = ml.gather(function() return task:await() end, function()
          ml.sleep(0)
          return 2
        end)
        return a + b
      end))
    end)
  end)

  it("keeps a worker's state warm between jobs", function()
    with_pool({ threads = 1 }, function(pool)
      pool:run(function() counter = 1 end) -- luacheck: ignore
      assert.are.equal(2, pool:run(function() return counter + 1 end)) -- luacheck: ignore
    end)
  end)

  it("lets a task that a job left behind continue", function()
    with_pool({ threads = 1 }, function(pool)
      pool:run(function()
        left = ml.spawn(function() -- luacheck: ignore
          ml.sleep(0.005)
          return "done"
        end)
      end)
      eventually(function() return pool:run(function() return left:status() end) == "done" end) -- luacheck: ignore
    end)
  end)

  it("takes functions only, and says which argument is wrong", function()
    assert.error_matches(function() ml.executor.run(1) end,
        "bad argument #1 to 'ml.executor.run' %(function expected, got number%)")
    with_pool({}, function(pool)
      assert.error_matches(function() pool:run("x") end,
        "bad argument #1 to 'pool:run' %(function expected, got string%)")
    end)
    assert.error_matches(function() ml.executor.new { threads = 0 } end,
      "threads must be an integer from 1 to %d+, not 0")
    assert.error_matches(function() ml.executor.new { queue = "many" } end,
      "queue must be an integer from 1 to %d+, not many")
    assert.error_matches(function() ml.executor.new(3) end, "table expected")
  end)

  it("cannot be waited for where Lua cannot suspend", function()
    assert.error_matches(function()
      table.sort({ 2, 1 }, function() ml.executor.run(print) end)
    end, "ml.executor.run: cannot wait inside 'table.sort'")
  end)
end)

describe("a job's error", function()
  it("EX-02 comes out of the call, and the pool stays usable", function()
    with_pool({ threads = 1 }, function(pool)
      local ok, err = pcall(pool.run, pool, function() error("boom") end)
      assert.is_false(ok)
      assert.matches("executor_spec.lua:%d+: boom", err)
      assert.are.equal(1, pool:run(function() return 1 end))
    end)
  end)

  it("EX-02 is a copy of the value that was raised", function()
    with_pool({ threads = 1 }, function(pool)
      local ok, err = pcall(pool.run, pool, function() error { code = 7, list = { 1, 2 } } end)
      assert.is_false(ok)
      assert.are.same({ code = 7, list = { 1, 2 } }, err)
      ok, err = pcall(pool.run, pool, function() error() end)
      assert.is_false(ok)
      assert.is_nil(err)
      ok, err = pcall(pool.run, pool, function() assert(ml.timeout(0, ml.sleep, 1)) end)
      assert.is_false(ok)
      assert.is_true(ml.is_error(err))
      assert.are.equal("timeout", err.kind)
    end)
  end)

  it("EX-02 brings the worker's traceback", function()
    with_pool({ threads = 1 }, function(pool)
      local task = ml.spawn(function()
        pool:run(function()
          local function inner_function() error("boom") end
          inner_function()
        end)
      end)
      pcall(task.await, task)
      local text = task:traceback()
      assert.matches("in a worker:", text, 1, true)
      assert.matches("inner_function", text, 1, true)
    end)
  end)

  it("reports a deadlock instead of waiting for ever", function()
    with_pool({ threads = 1 }, function(pool)
      assert.error_matches(function()
        pool:run(function()
          local a, b
          a = ml.spawn(function() b:await() end)
          b = ml.spawn(function() a:await() end)
          a:await()
        end)
      end, "waits for something that can no longer happen")
    end)
  end)

  it("ends only the job if it is os.exit", function()
    with_pool({ threads = 1 }, function(pool)
      local ok, err = pcall(pool.run, pool, function() os.exit(3) end)
      assert.is_false(ok)
      assert.are.equal("cancelled", err.kind)
      assert.are.equal(1, pool:run(function() return 1 end))
    end)
  end)
end)

describe("cancelling", function()
  --- Starts job(begun, ...) on the pool in a task, waits until it calls begun(), and cancels the task.
  local function cancel_begun(pool, job, ...)
    local mark = os.tmpname()
    local task = ml.spawn(pool.run, pool, function(...)
      return job(function() os.remove(mark) end, ...)
    end, ...)
    eventually(function()
      local file = io.open(mark)
      return not (file and file:close())
    end)
    assert.is_true(task:cancel("enough"))
    local ok, err = pcall(task.await, task)
    assert.is_false(ok)
    assert.are.equal("cancelled", err.kind)
    assert.are.equal("enough", err.reason)
    assert.are.equal("cancelled", task:status())
  end

  --- The same for job(...), which is cancelled from its first instruction on.
  local function cancel_running(pool, job, ...)
    cancel_begun(pool, function(begun, ...)
      begun()
      return job(...)
    end, ...)
  end

  it("EX-03 wakes the caller at once and interrupts the job's Lua code", function()
    with_pool({ threads = 1 }, function(pool)
      cancel_running(pool, hog)
      assert.are.equal("free", pool:run(function() return "free" end)) -- the one thread is free again
      assert.are.equal(1, pool:stats().cancelled)
      assert.are.equal(1, pool:stats().done)
    end)
  end)

  it("EX-03 interrupts a job that catches errors in a loop", function()
    with_pool({ threads = 1 }, function(pool)
      cancel_running(pool, function()
        while true do pcall(hog) end
      end)
      assert.are.equal("free", pool:run(function() return "free" end))
    end)
  end)

  it("EX-03 interrupts nested coroutines", function()
    with_pool({ threads = 1 }, function(pool)
      cancel_running(pool, function()
        local function nest(depth)
          if depth == 0 then hog() end
          local co = coroutine.wrap(nest)
          while true do co(depth - 1) end
        end
        nest(5)
      end)
      assert.are.equal("free", pool:run(function() return "free" end))
    end)
  end)

  it("EX-03 interrupts a job that resumes coroutines for ever", function()
    with_pool({ threads = 1 }, function(pool)
      cancel_running(pool, function()
        while true do
          local co = coroutine.create(function()
            for _ = 1, 10 do coroutine.yield({}) end
          end)
          while coroutine.resume(co) do end
        end
      end)
      assert.are.equal("free", pool:run(function() return "free" end))
    end)
  end)

  it("EX-03 cancels a job that waits in the worker, and its clean-up runs", function()
    with_pool({ threads = 1 }, function(pool)
      cancel_begun(pool, function(begun)
        local guard <close> = setmetatable({}, { __close = function() cleaned = true end }) -- luacheck: ignore
        begun()
        ml.sleep(1000)
      end)
      assert.is_true(pool:run(function() return cleaned end)) -- luacheck: ignore
    end)
  end)

  it("EX-03 does not interrupt the clean-up of a job that waited at once", function()
    with_pool({ threads = 1 }, function(pool)
      cancel_begun(pool, function(begun)
        local guard <close> = setmetatable({}, { __close = function() -- luacheck: ignore
          local stop = os.clock() + 0.05 -- it is told to stop every 0.01 s
          while os.clock() < stop do end
          cleaned = true -- luacheck: ignore
        end })
        begun()
        ml.sleep(1000)
      end)
      assert.is_true(pool:run(function() return cleaned end)) -- luacheck: ignore
    end)
  end)

  it("EX-03 interrupts the clean-up of a job that waited, when it does not end", function()
    with_pool({ threads = 1 }, function(pool)
      cancel_begun(pool, function(begun, endless)
        local guard <close> = setmetatable({}, { __close = endless }) -- luacheck: ignore
        begun()
        ml.sleep(1000)
      end, hog)
      assert.are.equal("free", pool:run(function() return "free" end))
    end)
  end)

  it("EX-03 lets the clean-up of an interrupted job run", function()
    with_pool({ threads = 1 }, function(pool)
      cancel_begun(pool, function(begun, endless)
        local guard <close> = setmetatable({}, { __close = function() -- luacheck: ignore
          local n = 0
          for i = 1, 1000 do n = n + i end
          sum = n -- luacheck: ignore
        end })
        begun()
        endless()
      end, hog)
      assert.are.equal(500500, pool:run(function() return sum end)) -- luacheck: ignore
    end)
  end)

  it("EX-03 interrupts the tasks that the job started", function()
    with_pool({ threads = 1 }, function(pool)
      cancel_running(pool, function(endless) ml.gather(endless, function() ml.sleep(1000) end) end, hog)
      assert.are.equal("free", pool:run(function() return "free" end))
    end)
  end)

  it("EX-03 never interrupts a later job, even in a coroutine that existed before", function()
    with_pool({ threads = 1 }, function(pool)
      for _ = 1, 20 do
        cancel_running(pool, function(endless)
          kept = coroutine.create(function() -- luacheck: ignore
            while true do coroutine.yield() end
          end)
          endless()
        end, hog)
        assert.are.equal(5050, pool:run(function()
          local n = 0
          for i = 1, 100 do
            n = n + i
            if kept then assert(coroutine.resume(kept)) end -- luacheck: ignore
          end
          return n
        end))
        assert.is_nil(pool:run(function() return debug.gethook() end))
      end
    end)
  end)

  it("removes a waiting job from the queue", function()
    with_pool({ threads = 1 }, function(pool)
      local running = ml.spawn(pool.run, pool, hog)
      eventually(function() return pool:stats().running == 1 end)
      local queued = ml.spawn(pool.run, pool, function() never = true end) -- luacheck: ignore
      eventually(function() return pool:stats().queued == 1 end)
      queued:cancel()
      pcall(queued.await, queued)
      assert.are.equal(0, pool:stats().queued)
      running:cancel()
      pcall(running.await, running)
      assert.is_nil(pool:run(function() return never end)) -- luacheck: ignore
      assert.are.equal(2, pool:stats().cancelled)
    end)
  end)

  it("removes a task that waits for room, and lets the next one in", function()
    with_pool({ threads = 1, queue = 1 }, function(pool)
      local running = ml.spawn(pool.run, pool, hog)
      eventually(function() return pool:stats().running == 1 end)
      local order = {}
      local tasks = {}
      for i = 1, 4 do
        tasks[i] = ml.spawn(function()
          local n = pool:run(function(k) return k end, i)
          order[#order + 1] = n
        end)
      end
      eventually(function() return pool:stats().queued == 4 end)
      tasks[2]:cancel()
      tasks[1]:cancel()
      running:cancel()
      tasks[3]:await()
      tasks[4]:await()
      assert.are.same({ 3, 4 }, order)
    end)
  end)
end)

describe("a pool", function()
  it("EX-04 never runs more jobs at once than it has threads, and accounts for all", function()
    with_pool({ threads = 3 }, function(pool)
      local high = 0
      local watcher = ml.spawn(function()
        while true do
          high = math.max(high, pool:stats().running)
          ml.sleep(0)
        end
      end)
      local tasks, mark = {}, os.tmpname()
      for i = 1, 6 do
        tasks[i] = ml.spawn(pool.run, pool, function(n)
          while is_there(mark) do ml.sleep(0.001) end
          return n
        end, i)
      end
      eventually(function() return pool:stats().running == 3 end)
      tasks[2]:cancel()
      tasks[6]:cancel()
      os.remove(mark)
      local sum = 0
      for i = 1, 6 do
        local ok, value = pcall(tasks[i].await, tasks[i])
        assert.are.equal(i ~= 2 and i ~= 6, ok)
        if ok then sum = sum + value end
      end
      watcher:cancel()
      assert.are.equal(13, sum)
      assert.are.equal(3, high)
      eventually(function() return pool:stats().running == 0 end)
      local stats = pool:stats()
      assert.are.equal(3, stats.threads)
      assert.are.equal(4, stats.done)
      assert.are.equal(2, stats.cancelled)
      assert.are.equal(0, stats.failed)
      assert.are.equal(0, stats.queued)
      assert.is_true(stats.wait_seconds >= 0)
    end)
  end)

  it("says how many threads it has, also before the first job has started them", function()
    with_pool({ threads = 3 }, function(pool)
      assert.are.same({ threads = 3, max_threads = 3, queued = 0, running = 0, done = 0, failed = 0, cancelled = 0,
        recycled = 0, wait_seconds = 0.0, workers = {} }, pool:stats())
    end)
  end)

  it("starts jobs in the order they came, also those that waited for room", function()
    with_pool({ threads = 1, queue = 2 }, function(pool)
      local tasks = {}
      for i = 1, 20 do
        tasks[i] = ml.spawn(pool.run, pool, function(n)
          order = order or {} -- luacheck: ignore
          order[#order + 1] = n -- luacheck: ignore
        end, i)
      end
      ml.gather(tasks)
      local order = pool:run(function() return order end) -- luacheck: ignore
      for i = 1, 20 do assert.are.equal(i, order[i]) end
    end)
  end)

  it("loses none of many jobs", function()
    with_pool({ threads = 2, queue = 16 }, function(pool)
      local items = {}
      for i = 1, 2000 do items[i] = i end
      local results = pool:map(items, function(n) return n * 2 end)
      assert.are.equal(2000, results.n)
      for i = 1, 2000 do assert.are.equal(2 * i, results[i]) end
      assert.are.equal(0, pool:stats().queued)
    end)
  end)

  it("waits for its jobs when it is closed, and takes no more", function()
    local pool = ml.executor.new { threads = 1, queue = 1 }
    local tasks = {}
    for i = 1, 4 do
      tasks[i] = ml.spawn(pool.run, pool, function(n)
        ml.sleep(0.005)
        return n
      end, i)
    end
    ml.sleep(0)
    pool:close()
    for i = 1, 4 do
      assert.are.equal("done", tasks[i]:status())
      assert.are.equal(i, tasks[i]:await())
    end
    local ok, err = pcall(pool.run, pool, print)
    assert.is_false(ok)
    assert.are.equal("closed", err.kind)
    pool:close() -- again: harmless
    assert.are.equal(4, pool:stats().done)
  end)

  it("closes at the end of a block", function()
    local kept
    do
      local pool <close> = ml.executor.new { threads = 1 }
      kept = pool
      pool:run(function() end)
    end
    assert.are.equal("closed", select(2, pcall(kept.run, kept, print)).kind)
  end)

  it("closes by itself when it is garbage", function()
    for _ = 1, 5 do
      ml.executor.new { threads = 1 }:run(function() end)
    end
    collectgarbage()
    collectgarbage()
  end)

  it("finds the modules that the script finds", function()
    local path = package.path
    package.path = "/nowhere/?.lua;" .. path
    with_pool({ threads = 1 }, function(pool)
      assert.are.equal(package.path, pool:run(function() return package.path end))
    end)
    package.path = path
  end)
end)

describe("the end of the loop", function()
  it("EX-06 drops queued jobs and interrupts running ones, and exits cleanly", function()
    local text, status = run([[
      local pool = ml.executor.new { threads = 2 }
      for _ = 1, 10 do
        ml.spawn(pool.run, pool, function() while true do end end)
      end
      ml.spawn(pool.run, pool, function() ml.sleep(1000) end)
      while pool:stats().running < 2 do ml.sleep(0.001) end
      print("leaving")
      os.exit(7)
    ]])
    assert.are.equal("leaving\n", text)
    assert.are.equal(7, status)
  end)

  it("EX-06 waits for a job that a live task waits for", function()
    local text, status = run([[
      ml.spawn(function() print(ml.executor.run(function() ml.sleep(0.05) return "the result" end)) end)
    ]])
    assert.are.equal("the result\n", text)
    assert.are.equal(0, status)
  end)

  it("EX-06 is not held up by idle workers", function()
    local _, status = run([[ml.executor.run(function() end)]])
    assert.are.equal(0, status)
  end)
end)
