-- ml.deadline, ml.shield, ml.catch
local clock = require "moonloop.clock"
local ml = require "moonloop"
local keep_reports = require("spec.support").keep_reports
local support = require "spec.support.tasks"

local U, started, await, closing = support.UNIT, support.started, support.await, support.closing

--- Runs f inside a deadline; gives it the deadline.
local function within(seconds, f)
  local d <close> = ml.deadline(seconds)
  return f(d)
end

describe("ml.deadline", function()
  it("TO-01 raises a timeout at the next wait, and is expired", function()
    local before, kept = ml.now(), nil
    local ok, err = pcall(within, U, function(d)
      kept = d
      assert.is_false(d.expired)
      ml.sleep(500)
    end)
    assert.is_false(ok)
    assert.equal("timeout", err.kind)
    assert.is_true(kept.expired)
    assert.is_true(ml.now() - before >= U)
  end)

  it("TO-02 passes values and leaves no timer", function()
    local kept
    assert.equal("value", within(500, function(d)
      kept = d
      ml.sleep(0)
      return "value"
    end))
    assert.is_false(kept.expired)
  end)

  it("TO-04 of 0 raises at the first wait", function()
    local ok, err = pcall(within, 0, function() ml.sleep(0) end)
    assert.is_false(ok)
    assert.equal("timeout", err.kind)
  end)

  it("TO-07 outer and inner expired: the outermost is what is raised, both flags are true", function()
    local inner_flag, raised
    local ok, err = pcall(within, 0, function(outer)
      local ok_inner, err_inner = pcall(within, 0, function(inner)
        local _ <close> = closing(function() inner_flag = inner.expired end)
        ml.sleep(1)
      end)
      raised = not ok_inner and err_inner
      assert.is_true(outer.expired)
      ml.sleep(1)
    end)
    assert.is_false(ok)
    assert.equal("timeout", err.kind)
    assert.equal(err, raised)
    assert.is_true(inner_flag)
  end)

  it("TO-09 after the inner one is caught, the outer one still applies", function()
    clock.virtual() -- a machine that stands still does not change its order
    local inner
    local ok, err = pcall(within, 3 * U, function()
      inner = select(2, pcall(within, U / 2, function() ml.sleep(100) end))
      ml.sleep(500)
    end)
    assert.is_false(ok)
    assert.equal("timeout", err.kind)
    assert.equal("timeout", inner.kind)
    assert.are_not.equal(inner, err)
  end)

  it("TO-10 lets another error pass and is not expired", function()
    local kept
    local ok, err = pcall(within, 500, function(d)
      kept = d
      error("E", 0)
    end)
    assert.is_false(ok)
    assert.equal("E", err)
    assert.is_false(kept.expired)
  end)

  it("TO-11 a cleanup's error takes its place", function()
    local _, err = pcall(within, U, function()
      local _ <close> = closing(function() error("cleanup", 0) end)
      ml.sleep(500)
    end)
    assert.equal("cleanup", err)
  end)

  it("TO-12 a cancel from outside is Cancelled", function()
    local kept
    local task = started(within, 500, function(d)
      kept = d
      ml.sleep(500)
    end)
    task:cancel()
    local _, err = await(task)
    assert.equal("cancelled", err.kind)
    assert.is_false(kept.expired)
  end)

  it("TO-13 caught outside the block, it is over: the task ends normally and can wait", function()
    local task = started(function()
      pcall(within, U, function() ml.sleep(100) end)
      ml.sleep(U)
      return "fine"
    end)
    assert.equal("fine", task:await())
    assert.equal("done", task:status())
  end)

  it("TO-17 code that ignores it for a while ends late, with a timeout", function()
    local before = ml.now()
    local _, err = pcall(within, U, function()
      ml.shield(ml.sleep, 3 * U)
      ml.sleep(0)
    end)
    assert.equal("timeout", err.kind)
    assert.is_true(ml.now() - before >= 3 * U)
  end)

  it("TO-18 caught inside, the block may still give a value", function()
    assert.equal(42, within(U, function()
      pcall(ml.sleep, 100)
      return 42
    end))
    assert.equal(42, ml.timeout(U, function()
      ml.catch(ml.sleep, 100)
      return 42
    end))
  end)

  it("pcall may catch it inside the block, but the next wait raises it again", function()
    local caught = 0
    local _, err = pcall(within, U, function()
      for _ = 1, 3 do
        local ok, e = pcall(ml.sleep, 100)
        if not ok and e.kind == "timeout" then caught = caught + 1 end
      end
      ml.sleep(0)
    end)
    assert.equal("timeout", err.kind)
    assert.equal(3, caught)
  end)

  it("can be extended: its end is so many seconds from now", function()
    clock.virtual() -- a machine that stands still does not change its order
    within(U, function(d)
      d:extend(500)
      ml.sleep(2 * U)
      assert.is_false(d.expired)
      d:extend(U)
      local ok, err = pcall(ml.sleep, 100)
      assert.is_false(ok)
      assert.equal("timeout", err.kind)
      assert.has_error(function() d:extend(1) end)
    end)
    local kept
    within(500, function(d) kept = d end)
    assert.has_error(function() kept:extend(1) end)
    assert.has_error(function() kept:extend(-1) end)
  end)

  it("nil means no limit, math.huge never; a negative or NaN time is an argument error", function()
    within(nil, function() ml.sleep(0) end)
    within(math.huge, function() ml.sleep(0) end)
    assert.has_error(function() ml.deadline(-1) end)
    assert.has_error(function() ml.deadline(0 / 0) end)
  end)

  it("in a generator may be left after another one entered later", function()
    local generator = coroutine.wrap(function()
      local _ <close> = ml.deadline(100)
      coroutine.yield()
    end)
    generator()
    do
      local _ <close> = ml.deadline(50)
      generator()
      ml.sleep(0)
    end
    ml.sleep(0)
  end)

  it("that is never left is over with its task", function()
    local _ <close> = keep_reports() -- it is reported, if it is the first of the process
    local task = ml.spawn(function()
      ml.deadline(100)
      return 1
    end)
    assert.equal(1, task:await())
  end)
end)

describe("ml.shield", function()
  it("SH-01 passes values and errors through", function()
    assert.same({ 1, nil, 3, n = 3 }, table.pack(ml.shield(function(...)
      ml.sleep(0)
      return ...
    end, 1, nil, 3)))
    local E = {}
    assert.same({ false, E }, { pcall(ml.shield, error, E) })
    local finished = ml.spawn(function() return "v" end)
    finished:await()
    assert.equal("v", ml.shield(finished.await, finished))
    assert.has_error(function() ml.shield(1) end)
  end)

  it("SH-02 holds a cancel back until f is done; the next wait raises it", function()
    local counter, after = 0, nil
    local task = started(function()
      ml.shield(function()
        ml.sleep(U)
        counter = counter + 1
      end)
      after = "returned"
      ml.sleep(0)
      after = "waited"
    end)
    task:cancel()
    local ok, err = await(task)
    assert.is_false(ok)
    assert.equal("cancelled", err.kind)
    assert.equal(1, counter)
    assert.equal("returned", after)
  end)

  it("SH-02 what f awaits completes although the outer one is cancelled", function()
    local inner = ml.spawn(function()
      ml.sleep(U)
      return "inner"
    end)
    local got
    local task = started(function()
      got = ml.shield(inner.await, inner)
      ml.sleep(0)
    end)
    task:cancel()
    assert.is_false((await(task)))
    assert.equal("inner", got)
  end)

  it("protects the tasks that f starts, and their children", function()
    local results
    local task = started(function()
      ml.shield(function()
        results = ml.gather({
          function() ml.sleep(U) return "a" end,
          function() return ml.spawn(function() ml.sleep(U) return "b" end):await() end,
        })
      end)
      ml.sleep(0)
    end)
    ml.sleep(0)
    task:cancel()
    assert.is_false((await(task)))
    assert.same({ "a", "b", n = 2 }, results)
  end)

  it("delivers the cancel to what f left running", function()
    local child
    local task = started(function()
      ml.shield(function()
        child = ml.spawn(ml.sleep, 100)
        ml.sleep(U)
      end)
      ml.sleep(0)
    end)
    ml.sleep(0)
    task:cancel()
    await(task)
    assert.equal("cancelled", child:status())
  end)

  it("CX-13 lets a cleanup wait; the awaiter resumes after it", function()
    local log = {}
    local task = started(function()
      local _ <close> = closing(function()
        ml.shield(ml.sleep, 2 * U)
        log[#log + 1] = "cleaned"
      end)
      ml.sleep(100)
    end)
    task:cancel()
    await(task)
    log[#log + 1] = "awaiter"
    assert.same({ "cleaned", "awaiter" }, log)
  end)

  it("TO-21 inside a timeout: the awaited task continues, and the next wait raises", function()
    local t = ml.spawn(function()
      ml.sleep(2 * U)
      return "done"
    end)
    local value, err = ml.timeout(U / 2, function()
      local v = ml.shield(t.await, t)
      ml.sleep(0)
      return v
    end)
    assert.is_nil(value)
    assert.equal("timeout", err.kind)
    assert.equal("done", t:await())
  end)

  it("does not hold back a timeout that is inside of it", function()
    local err
    ml.shield(function() err = select(2, ml.timeout(U, ml.sleep, 100)) end)
    assert.equal("timeout", err.kind)
  end)
end)

describe("ml.catch", function()
  it("is like pcall for everything except a cancel", function()
    assert.same({ true, 1, 2 }, { ml.catch(function(...) return ... end, 1, 2) })
    assert.same({ false, "E" }, { ml.catch(error, "E", 0) })
  end)

  it("CX-08 stops a cancel: the awaiter gets the value, the task is done", function()
    local caught
    local task = started(function()
      caught = select(2, ml.catch(ml.sleep, 100))
      return 42
    end)
    task:cancel("r")
    assert.equal(42, task:await())
    assert.equal("done", task:status())
    assert.equal("cancelled", caught.kind)
    assert.equal("r", caught.reason)
  end)

  it("CX-09 does not end it: every later wait raises again", function()
    local rounds = 0
    local task = started(function()
      for _ = 1, 3 do
        if not ml.catch(ml.sleep, 100) then rounds = rounds + 1 end
      end
      return "ended by itself"
    end)
    task:cancel()
    assert.equal("ended by itself", task:await())
    assert.equal(3, rounds)
  end)

  it("CX-15 a result that was delivered stays readable", function()
    local task = started(function()
      ml.catch(ml.sleep, 100)
      return "kept"
    end)
    task:cancel()
    assert.equal("kept", task:await())
    assert.is_false(task:cancel())
    assert.equal("kept", task:await())
  end)
end)

describe("a limit whose time comes while its task computes", function()
  local function compute_until(time)
    while ml.now() <= time do end
  end

  local waits = {
    ["sleep(0)"] = function() ml.sleep(0) end,
    ["sleep"] = function() ml.sleep(1000) end,
    ["await"] = function() ml.spawn(function() end):await() end,
    ["gather"] = function() ml.gather(function() end, function() end) end,
    ["race"] = function() ml.race(function() end) end,
    ["the end of a group"] = function() ml.group(function(g) g:spawn(ml.sleep, 0) end) end,
    ["event:wait"] = function() ml.event():wait() end,
    ["queue:get"] = function() ml.queue():get() end,
    ["a generator"] = function() coroutine.wrap(function() ml.sleep(0) end)() end,
  }
  for what, wait in pairs(waits) do
    it("is seen by the next wait: " .. what, function()
      local result, err = ml.timeout(0.005, function()
        compute_until(ml.now() + 0.005)
        wait()
        return "late"
      end)
      assert.is_nil(result)
      assert.equal("timeout", err.kind)
      local ok, raised = pcall(function()
        local d <close> = ml.deadline(0.005)
        compute_until(ml.now() + 0.005)
        assert.is_false(d.expired)
        local ok, raised = pcall(wait)
        assert.is_true(d.expired)
        assert.is_false(ok)
        error(raised, 0)
      end)
      assert.is_false(ok)
      assert.equal("timeout", raised.kind)
    end)
  end

  it("does not take the result of a task that no longer waits", function()
    assert.equal("in time", ml.timeout(0.005, function()
      compute_until(ml.now() + 0.005)
      return "in time"
    end))
  end)

  it("is the outermost of several that have passed, and not one that has not", function()
    local result, err = ml.timeout(0.005, function()
      return ml.timeout(1000, function()
        return "inner", ml.timeout(0.001, function()
          compute_until(ml.now() + 0.006)
          ml.sleep(0)
        end)
      end)
    end)
    assert.is_nil(result)
    assert.matches("0.005 s", err.message, 1, true)
    result, err = ml.timeout(1000, function()
      local inner, inner_err = ml.timeout(0.001, function()
        compute_until(ml.now() + 0.001)
        ml.sleep(0)
      end)
      assert.is_nil(inner)
      ml.sleep(0)
      return "outer", inner_err
    end)
    assert.equal("outer", result)
    assert.matches("0.001 s", err.message, 1, true)
  end)

  it("waits for the end of a shield", function()
    local passed
    local result, err = ml.timeout(0.005, function()
      ml.shield(function()
        compute_until(ml.now() + 0.005)
        ml.sleep(0)
        passed = true
      end)
      ml.sleep(0)
    end)
    assert.is_nil(result)
    assert.equal("timeout", err.kind)
    assert.is_true(passed)
  end)
end)
