-- Former faults, each named by its effect.
local ml = require "moonloop"
require "spec.support"
local keep_reports = require "reports".keep
local clock = require "moonloop.clock"

local closing = require("spec.support.tasks").closing
local run = require("spec.support.process").run

describe("a generator that is never finished", function()
  before_each(function() clock.virtual() end)

  for name, enter in pairs {
    timeout = function(f) ml.timeout(0.01, f) end,
    shield = function(f) ml.shield(f) end,
    deadline = function(f) local d <close> = ml.deadline(0.01) f() return d end,
    group = function(f) local g <close> = ml.group() f() return g end,
  } do
    it("leaves nothing of its " .. name .. " when it is collected", function()
      for _ = 1, 20 do
        local generator = coroutine.wrap(function() enter(coroutine.yield) end)
        generator()
      end
      collectgarbage()
      collectgarbage()
      ml.sleep(0.05)
      local task = ml.spawn(function()
        local generator = coroutine.wrap(function() enter(coroutine.yield) end)
        generator()
        generator = nil -- luacheck: ignore
        collectgarbage()
        collectgarbage()
        ml.current():cancel()
        ml.sleep(1)
      end)
      assert.is_false(pcall(task.await, task))
      assert.equal("cancelled", task:status())
    end)

    it("leaves its " .. name .. " when it is closed", function()
      local co = coroutine.create(function() enter(coroutine.yield) end)
      coroutine.resume(co)
      assert.is_true(coroutine.close(co))
      ml.sleep(0.05)
      local task = ml.spawn(function()
        ml.current():cancel()
        ml.sleep(1)
      end)
      assert.is_false(pcall(task.await, task))
      assert.equal("cancelled", task:status())
    end)
  end

  it("a scope collected between its end and the task's next step still raises what it ended with", function()
    local _ <close> = keep_reports() -- of a deadline that is not closed
    local task = ml.spawn(function()
      ml.deadline(0.01)
      ml.sleep(1)
    end)
    ml.spawn(function()
      ml.sleep(0.01)
      collectgarbage()
      collectgarbage()
    end)
    local ok, err = pcall(task.await, task)
    assert.is_false(ok)
    assert.equal("timeout", err.kind)
  end)
end)

describe("a group that is never left", function()
  it("outlives its task without harm, and its children's failures are reported", function()
    local text, status = run [[
      local task = ml.spawn(function()
        local g = ml.group() -- no <close>
        g:spawn(function() ml.sleep(0.01) error "lost one" end)
      end)
      task:await()
      ml.sleep(0.03)
    ]]
    assert.equal(0, status, text)
    assert.matches("nobody awaited it: .*lost one", text)
  end)

  it("reports a failure that came before its task ended", function()
    local text, status = run [[
      local task = ml.spawn(function()
        local g = ml.group() -- no <close>
        g:spawn(function() error "lost two" end)
        ml.sleep(0.01)
      end)
      pcall(task.await, task)
    ]]
    assert.equal(0, status, text)
    assert.matches("nobody awaited it: .*lost two", text)
  end)

  it("in a sort comparator raises there and does not cancel what follows", function()
    local child
    local ok, err = pcall(table.sort, { 1, 2, 3 }, function()
      local g <close> = ml.group()
      child = g:spawn(ml.sleep, 100)
    end)
    assert.is_false(ok)
    assert.matches("cannot wait inside 'table.sort'", err)
    ml.sleep(0)
    ml.sleep(0)
    assert.equal("cancelled", child:status())
  end)
end)

describe("a group error", function()
  it("can hold an error that cannot be turned into text", function()
    local bad = setmetatable({}, { __tostring = function() error "no text" end })
    local ok, err = pcall(ml.group, function(g)
      for _ = 1, 2 do
        g:spawn(function()
          local _ <close> = closing(function() error(bad) end)
          ml.sleep(1000)
        end)
      end
      ml.sleep(0)
      ml.sleep(0)
      g:cancel()
    end)
    assert.is_false(ok)
    assert.equal("group", err.kind)
    assert.is_true(rawequal(bad, err.errors[1]) and rawequal(bad, err.errors[2]))
    assert.matches("__tostring failed", err.message)
  end)

  it("of thousands is made in linear time", function()
    local n = 20000
    local ok, err = pcall(ml.group, function(g)
      for i = 1, n do
        g:spawn(function()
          local _ <close> = closing(function() error("cleanup " .. i, 0) end)
          ml.sleep(1000)
        end)
      end
      ml.sleep(0)
      ml.sleep(0)
      error "body"
    end)
    assert.is_false(ok)
    assert.equal(n + 1, #err.errors)
    assert.matches("cleanup 20000", err.message)
  end)
end)

describe("a runtime that closes", function()
  it("ends cleanly while a gather and a group wait inside shields", function()
    local text, status = run [[
      ml.spawn(ml.shield, function() ml.gather(function() ml.shield(ml.sleep, 1000) end) end)
      ml.spawn(ml.shield, function()
        local g <close> = ml.group()
        g:spawn(function() ml.shield(ml.sleep, 1000) end)
      end)
      ml.sleep(0)
      ml.sleep(0)
      os.exit(3)
    ]]
    assert.equal(3, status, text)
  end)

  it("ends cleanly after os.exit inside a shield", function()
    local text, status = run [[ ml.shield(os.exit, 4) ]]
    assert.equal(4, status, text)
  end)
end)

describe("a cancel", function()
  it("reaches the bottom of 20,000 nested gathers", function()
    local function nest(n)
      if n == 0 then return ml.sleep(1000) end
      ml.gather(function() nest(n - 1) end)
    end
    local task = ml.spawn(nest, 20000)
    for _ = 1, 20005 do ml.sleep(0) end
    task:cancel("enough")
    local ok, err = pcall(task.await, task)
    assert.is_false(ok)
    assert.equal("enough", err.reason)
  end)

  it("by a deadline reaches what its task waits for, and pcall there does not stop it", function()
    clock.virtual()
    local tasks, caught = {}, false
    local ok, err = pcall(function()
      local d <close> = ml.deadline(0.01)
      ml.gather(function()
        tasks[1] = ml.current()
        caught = pcall(ml.sleep, 100) or caught
        caught = true
      end)
      return d
    end)
    assert.is_false(ok)
    assert.equal("timeout", err.kind)
    assert.equal("cancelled", tasks[1]:status())
    assert.is_false(caught)
  end)
end)

describe("a timeout", function()
  it("that ended during the cleanup of an inner one does not let the inner's cancel out", function()
    clock.virtual()
    local inner
    local result, err = ml.timeout(0.03, function()
      inner = table.pack(ml.timeout(0.01, function()
        local _ <close> = closing(function() ml.shield(ml.sleep, 0.05) end)
        ml.sleep(1)
      end))
      ml.sleep(1)
    end)
    assert.is_nil(result)
    assert.equal("timeout", err.kind)
    assert.equal("timeout", inner[2].kind)
  end)
end)

describe("a queue", function()
  it("that is closed before a woken putter has put refuses its value, since nobody would get it", function()
    local queue = ml.queue(1)
    queue:put("a")
    local putter = ml.spawn(queue.put, queue, "b")
    ml.sleep(0)
    ml.sleep(0)
    assert.equal("a", queue:get())
    queue:close()
    assert.equal("closed", select(2, pcall(queue.get, queue)).kind)
    local ok, err = pcall(putter.await, putter)
    assert.is_false(ok)
    assert.equal("closed", err.kind)
    assert.equal(0, queue:len())
  end)
end)

describe("a hold", function()
  it("whose permit was released by hand does not create a second permit", function()
    for _, object in ipairs { ml.semaphore(1), ml.lock() } do
      local ok, err = pcall(function()
        local _ <close> = object:hold()
        object:release()
      end)
      assert.is_false(ok)
      assert.matches("released before", err)
      assert.is_true(object:try_acquire())
      assert.is_false(object:try_acquire())
      object:release()
    end
  end)

  it("does not release a lock that another task has taken", function()
    local lock = ml.lock()
    local hold = lock:hold()
    lock:release()
    local other = ml.spawn(function()
      lock:acquire()
      ml.sleep(0)
      lock:release()
    end)
    ml.sleep(0)
    ml.sleep(0)
    pcall(getmetatable(hold).__close, hold)
    assert.is_true(pcall(other.await, other))
  end)
end)

describe("ml.as_completed", function()
  it("with two consumers gives each task to one of them", function()
    clock.virtual()
    local tasks, seen = {}, 0
    for i = 1, 5 do tasks[i] = ml.spawn(ml.sleep, i / 100) end
    local next_task
    local function consume()
      for _ in next_task do seen = seen + 1 end
    end
    local barging = ml.spawn(function() -- asks when the other has been woken and has not run
      tasks[1]:await()
      consume()
    end)
    ml.sleep(0)
    ml.sleep(0)
    next_task = ml.as_completed(tasks) -- is told of the end of tasks[1] after `barging`
    ml.gather(barging, consume)
    assert.equal(5, seen)
  end)
end)

describe("awaiting one task from many", function()
  it("tells them in the order in which they came", function()
    clock.virtual() -- a machine that stands still does not change its order
    local task, order = ml.spawn(ml.sleep, 0.01), {}
    local awaiters = {}
    for i = 1, 100 do
      awaiters[i] = ml.spawn(function()
        task:await()
        order[#order + 1] = i
      end)
    end
    ml.sleep(0)
    awaiters[50]:cancel()
    ml.wait(awaiters)
    local expected = {}
    for i = 1, 100 do if i ~= 50 then expected[#expected + 1] = i end end
    assert.same(expected, order)
  end)
end)
