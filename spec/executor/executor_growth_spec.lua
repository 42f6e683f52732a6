-- How many threads a pool has: more while its jobs block, not for those that compute.
local folders = require "spec.support.folder"
local lfs = require "lfs"
local ml = require "moonloop"
local process = require "spec.support.process"
local tasks = require "spec.support.tasks"
local closing, eventually = tasks.closing, tasks.eventually

--- Computes for this many CPU seconds of the program. It allocates: that is where TSan delivers signals.
local function compute(seconds)
  local stop = os.clock() + seconds
  while os.clock() < stop do local _ = {} end
  return "computed"
end

--- Threads of this process.
local function thread_count()
  return tonumber(folders.read("/proc/self/status"):match("Threads:%s*(%d+)"))
end

--- Starts `count` jobs that wait until they are cancelled; gives their calls and what cancels them.
local function start_blocked(pool, count)
  local calls = {}
  for i = 1, count do calls[i] = pool:start(ml.sleep, 1000) end
  return calls, closing(function()
    for _, call in ipairs(calls) do call:cancel() end
  end)
end

--- Waits until this many jobs of the pool run.
local function until_running(pool, count)
  eventually(function() return pool:stats().running == count end)
end

--- Makes the pool have this many threads, and nothing to do.
local function grow(pool, count)
  local _, stop = start_blocked(pool, count)
  local _ <close> = stop
  until_running(pool, count)
end

describe("a pool whose jobs block", function()
  it("starts threads in their place", function()
    local folder <close> = folders.new {}
    local gate = folder.path .. "/gate"
    assert(os.execute("mkfifo " .. gate))
    local pool <close> = ml.executor.new { threads = 1, max_threads = 4 }
    local calls = {}
    do
      local _ <close> = closing(function() -- which lets all go on that wait for somebody who writes
        local file <close> = assert(io.open(gate, "r+"))
        for _, call in ipairs(calls) do call:await() end
        file:close()
      end)
      for i = 1, 4 do
        calls[i] = pool:start(function(path) assert(io.open(path)):close() end, gate)
      end
      until_running(pool, 4)
      assert.equal(4, pool:stats().threads)
    end
  end)

  it("has max_threads at most", function()
    local pool <close> = ml.executor.new { threads = 1, max_threads = 3 }
    local calls, stop = start_blocked(pool, 5)
    local _ <close> = stop
    until_running(pool, 3)
    for i = 1, 2 do calls[i]:cancel() end
    eventually(function() return pool:stats().queued == 0 end)
    assert.equal(3, pool:stats().threads)
    assert.equal(3, pool:stats().max_threads)
    assert.equal(3, #pool:stats().workers)
  end)

  it("replaces only those that are blocked", function()
    local pool <close> = ml.executor.new { threads = 2, max_threads = 3 }
    local calls, stop = start_blocked(pool, 1)
    local _ <close> = stop
    calls[2] = pool:start(compute, 1000)
    until_running(pool, 2)
    assert.equal("ran", pool:run(function() return "ran" end))
    assert.equal(3, pool:stats().threads)
  end)

  it("runs init in each new thread, and recycles states there", function()
    local pool <close> = ml.executor.new { threads = 1, max_threads = 3, max_jobs = 1, init = function()
      ready = true -- luacheck: ignore
    end }
    local calls = {}
    for i = 1, 9 do
      calls[i] = pool:start(function()
        ml.sleep(0.03)
        return ready -- luacheck: ignore
      end)
    end
    for i = 1, 9 do assert.is_true(calls[i]:await()) end
    eventually(function() return pool:stats().recycled == 9 end)
    assert.equal(9, pool:stats().done)
  end)

  it("gives tasks that wait for room in the queue their place", function()
    local pool <close> = ml.executor.new { threads = 1, max_threads = 4, queue = 1 }
    local calls, stop = start_blocked(pool, 8)
    local _ <close> = stop
    until_running(pool, 4)
    assert.equal(4, pool:stats().queued)
    calls[1]:cancel()
    eventually(function() return pool:stats().queued == 3 end)
  end)

  it("runs all its jobs when it is closed", function()
    local pool = ml.executor.new { threads = 1, max_threads = 3 }
    local calls = {}
    for i = 1, 12 do
      calls[i] = pool:start(function(n)
        ml.sleep(0.02)
        return n
      end, i)
    end
    ml.sleep(0)
    pool:close()
    for i = 1, 12 do assert.equal(i, calls[i]:await()) end
    assert.equal(0, pool:stats().queued + pool:stats().running)
  end)

  it("ends with the program while its extra threads run jobs", function()
    local output, status = process.run [[
      local pool = ml.executor.new { threads = 1, max_threads = 4, idle_timeout = 0.001 }
      for i = 1, 8 do pool:start(i % 2 == 0 and ml.sleep or function() while true do local _ = {} end end, 1000) end
      while pool:stats().running == 0 do ml.sleep(0.001) end
      ml.sleep(0.05)
      print "over"
      os.exit(0)
    ]]
    assert.equal("over\n", output)
    assert.equal(0, status)
  end)

  it("expects that jobs wait for as long as max_threads need", function()
    local pool <close> = ml.executor.new { threads = 1, max_threads = 4 }
    for _ = 1, 8 do pool:run(ml.sleep, 0.02) end
    local calls, stop = start_blocked(pool, 8)
    local _ <close> = stop
    until_running(pool, 4)
    local blocked = pool:expected_wait() -- of the fifth that waits
    assert.is_true(blocked >= 5 * 0.015 / 4, blocked)
    assert.equal(4, #calls - pool:stats().queued)
  end)
end)

describe("a pool whose jobs compute", function()
  it("starts no others", function()
    local pool <close> = ml.executor.new { threads = 1, max_threads = 4 }
    local calls = {}
    for i = 1, 8 do calls[i] = pool:start(compute, 0.05) end
    for i = 1, 8 do assert.equal("computed", calls[i]:await()) end
    assert.equal(1, pool:stats().threads)
    assert.equal(1, #pool:stats().workers) -- so many it has had at once
  end)

  it("starts no others for large numbers of short jobs", function()
    local pool <close> = ml.executor.new { threads = 1, max_threads = 4 }
    local calls = {}
    for i = 1, 3000 do calls[i] = { pool.run, pool, math.max, i } end
    local results = ml.gather(calls)
    assert.equal(3000, results[3000])
    assert.equal(1, #pool:stats().workers)
  end)

  it("expects that jobs wait for as long as its threads need", function()
    local pool <close> = ml.executor.new { threads = 1, max_threads = 4 }
    local first, calls = pool:start(compute, 0.1), {}
    first:await()
    for i = 1, 4 do calls[i] = pool:start(compute, 100) end
    local at_first = pool:expected_wait()
    eventually(function() return pool:expected_wait() > 3 * at_first end)
    for _, call in ipairs(calls) do call:cancel() end
  end)
end)

describe("the extra threads of a pool", function()
  it("end when they have been idle for idle_timeout", function()
    local before = thread_count()
    local pool <close> = ml.executor.new { threads = 2, max_threads = 5, idle_timeout = 0.01 }
    for _ = 1, 2 do
      grow(pool, 5)
      eventually(function() return pool:stats().threads == 2 end)
      eventually(function() return thread_count() <= before + 2 end)
    end
    assert.equal(5, #pool:stats().workers)
    assert.equal("here", pool:run(function() return "here" end))
  end)

  it("end when they start to compute", function()
    local pool <close> = ml.executor.new { threads = 1, max_threads = 4, idle_timeout = 1000 }
    grow(pool, 4)
    local feeders, stop = {}, false
    for i = 1, 4 do
      feeders[i] = function()
        while not stop do pool:run(compute, 0.01) end
      end
    end
    feeders[5] = function()
      eventually(function() return pool:stats().threads == 1 end)
      stop = true
    end
    ml.gather(feeders)
    assert.equal(0, pool:stats().failed)
  end)

  it("end when others compute and they have nothing to do", function()
    local pool <close> = ml.executor.new { threads = 1, max_threads = 4, idle_timeout = 1000 }
    grow(pool, 4)
    local calls = {}
    for i = 1, 2 do calls[i] = pool:start(compute, 1000) end
    until_running(pool, 2)
    eventually(function() return pool:stats().threads == 2 end)
    for i = 1, 2 do calls[i]:cancel() end
  end)

  it("stay as long as there are jobs for them", function()
    local pool <close> = ml.executor.new { threads = 1, max_threads = 2, idle_timeout = 0.01 }
    local calls, stop = start_blocked(pool, 2)
    local _ <close> = stop
    until_running(pool, 2)
    calls[1]:cancel()
    eventually(function() return pool:stats().running == 1 end)
    ml.sleep(0.05) -- longer than idle_timeout
    assert.equal(1, pool:stats().running)
    assert.equal("ran", pool:run(function() return "ran" end))
  end)

  it("stay while they run tasks left by jobs", function()
    local folder <close> = folders.new {}
    local pool <close> = ml.executor.new { threads = 1, max_threads = 2, idle_timeout = 0.005 }
    local function leave_task(path)
      ml.spawn(function()
        ml.sleep(0.1)
        assert(io.open(path, "w")):close()
      end)
      ml.sleep(0.05)
    end
    ml.gather({ pool.run, pool, leave_task, folder.path .. "/1" }, { pool.run, pool, leave_task, folder.path .. "/2" })
    for i = 1, 2 do
      eventually(function() return lfs.attributes(folder.path .. "/" .. i) ~= nil end)
    end
  end)

  it("leave their figures to their successors", function()
    local pool <close> = ml.executor.new { threads = 1, max_threads = 2, idle_timeout = 0.01 }
    for _ = 1, 2 do
      local calls = {}
      for i = 1, 2 do
        calls[i] = pool:start(function(f)
          f(0.02)
          ml.sleep(0.1)
        end, compute)
      end
      for _, call in ipairs(calls) do call:await() end
      eventually(function() return pool:stats().threads == 1 end)
    end
    local stats, jobs, cpu = pool:stats(), 0, 0
    for _, worker in ipairs(stats.workers) do
      jobs, cpu = jobs + worker.jobs, cpu + worker.cpu
    end
    assert.equal(4, jobs)
    assert.is_true(cpu >= 0.02, cpu)
  end)
end)

describe("the default pool", function()
  it("has one thread per core, and may have 40", function()
    local output = process.run [[
      local stats = ml.executor.default():stats()
      print(stats.threads <= stats.max_threads, stats.max_threads >= 40)
    ]]
    assert.equal("true\ttrue\n", output)
  end)
end)
