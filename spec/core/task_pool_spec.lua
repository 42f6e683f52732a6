-- A burst of tasks leaves threads for the next one, for a while, and then nothing. Each runs
-- in a process of its own, whose clock is virtual.
local run = require("spec.support.process").run

local BURST = [[
  require("moonloop.clock").virtual()
  -- In kilobytes. A sanitizer keeps what is freed; it is known by the terabytes of addresses that
  -- it reserves.
  local function status(name)
    for line in io.lines("/proc/self/status") do
      local value = line:match("^" .. name .. ":%s*(%d+)")
      if value then return tonumber(value) end
    end
  end
  local function resident() return status("VmSize") < 1 << 30 and status("VmRSS") or nil end
  local tasks = 20000
  local function burst()
    local list = {}
    for i = 1, tasks do list[i] = function() ml.sleep(1) end end
    ml.gather(list)
  end
]]

describe("after a burst of tasks", function()
  it("the host collects their threads by itself, and returns their memory", function()
    local output = run(BURST .. [[
      collectgarbage() collectgarbage()
      local before, resident_before = collectgarbage("count"), resident()
      burst()
      local lua, all = collectgarbage("count") - before, (resident() or 0) - (resident_before or 0)
      print("threads", lua > tasks, all > tasks or not resident())
      for _ = 1, 30 do ml.sleep(1) end
      lua, all = collectgarbage("count") - before, (resident() or 0) - (resident_before or 0)
      print("left", lua < tasks / 10, all < tasks / 8)
    ]])
    assert.matches("threads\ttrue\ttrue", output)
    assert.matches("left\ttrue\ttrue", output)
  end)

  it("the threads serve the next one while bursts follow each other", function()
    local output = run(BURST .. [[
      burst()
      local before = collectgarbage("count")
      for _ = 1, 10 do
        collectgarbage() collectgarbage()
        burst()
      end
      print("grown", collectgarbage("count") - before < tasks / 2)
    ]])
    assert.matches("grown\ttrue", output)
  end)

  it("no thread is made or released while there are as many tasks now and then", function()
    local output = run(BURST .. [[
      collectgarbage("stop") -- what is made shows
      local list = {}
      for i = 1, 2000 do list[i] = function() ml.sleep(0.01) end end
      local function burst_again() ml.gather(list) ml.sleep(1.2) end
      burst_again()
      local before = collectgarbage("count")
      for _ = 1, 10 do burst_again() end
      local each = (collectgarbage("count") - before) * 1024 / 20000
      print("each", each < 400 or each)
    ]])
    assert.matches("each\ttrue", output)
  end)

  it("a late waker wakes nobody, even after its task's memory was returned", function()
    local output = run(BURST .. [[
      local tasks_of_burst = {}
      for i = 1, 5000 do
        tasks_of_burst[i] = ml.spawn(function() ml.sleep(1e6) end)
      end
      ml.sleep(1)
      for _, task in ipairs(tasks_of_burst) do task:cancel() end
      for _ = 1, 30 do ml.sleep(1) end
      burst()
      for _, task in ipairs(tasks_of_burst) do
        assert(task:status() == "cancelled")
      end
      print "ended"
    ]])
    assert.matches("ended", output)
  end)

  it("a script that has stopped the collector is respected", function()
    local output = run(BURST .. [[
      collectgarbage("stop")
      burst()
      local before = collectgarbage("count")
      for _ = 1, 30 do ml.sleep(1) end
      print("stopped", collectgarbage("count") >= before)
    ]])
    assert.matches("stopped\ttrue", output)
  end)

  it("a generational collector returns the threads' memory, too", function()
    local output = run(BURST .. [[
      collectgarbage("generational")
      burst()
      local before = collectgarbage("count")
      for _ = 1, 60 do ml.sleep(1) end
      print("left", collectgarbage("count") < before - tasks / 2)
    ]])
    assert.matches("left\ttrue", output)
  end)
end)
