-- Tasks: spawning, awaiting, their ends and errors.
local clock = require "moonloop.clock"
local ml = require "moonloop"

local U = require("spec.support.tasks").UNIT

describe("a task", function()
  it("TK-01 sleeps twice, returns its value to the awaiter", function()
    local started = ml.now()
    local task = ml.spawn(function()
      ml.sleep(U)
      ml.sleep(U)
      return "yeah"
    end)
    assert.equal("yeah", task:await())
    assert.is_true(ml.now() - started >= 2 * U)
    assert.equal("done", task:status())
  end)

  it("TK-02 yields exactly one pass with sleep(0)", function()
    local n = 0
    ml.spawn(function() n = n + 1 end)
    assert.equal(0, n)
    ml.sleep(0)
    assert.equal(1, n)
  end)

  it("TK-03 is awaited any number of times, from any task, and its body runs once", function()
    local runs = 0
    local task = ml.spawn(function()
      runs = runs + 1
      return { "v" }
    end)
    local first = task:await()
    assert.equal(first, (task:await()))
    local other = ml.spawn(function() return task:await() end)
    assert.equal(first, (other:await()))
    assert.equal(1, runs)
  end)

  it("TK-03 is awaited by several tasks before it ends", function()
    local task = ml.spawn(function()
      ml.sleep(U)
      return 7
    end)
    local function wait() return task:await() end
    local a, b = ml.spawn(wait), ml.spawn(wait)
    assert.equal(7, a:await())
    assert.equal(7, b:await())
  end)

  it("TK-04 raises the very value that its body raised", function()
    for _, value in ipairs { {}, "text", 12, false, true, setmetatable({}, { __index = math }) } do
      local task = ml.spawn(function() error(value, 0) end)
      local ok, err = pcall(task.await, task)
      assert.is_false(ok)
      assert.is_true(rawequal(value, err))
      assert.equal("failed", task:status())
    end
  end)

  it("TK-05 cannot await itself", function()
    local task
    task = ml.spawn(function() task:await() end)
    local ok, err = pcall(task.await, task)
    assert.is_false(ok)
    assert.matches("cannot await itself", err)
  end)

  it("gives all results of its body, nils among them", function()
    local task = ml.spawn(function(...) return select("#", ...), ..., nil end, nil, false)
    assert.same({ 2, nil, nil, n = 3 }, table.pack(task:await()))
    task = ml.spawn(function() return nil, false, 3, nil end)
    assert.same({ nil, false, 3, nil, n = 4 }, table.pack(task:await()))
    task = ml.spawn(function() end)
    assert.equal(0, select("#", task:await()))
  end)

  it("starts with many arguments and ends with many results", function()
    local values = {}
    for i = 1, 5000 do values[i] = i end
    local task = ml.spawn(function(...) return ... end, table.unpack(values))
    assert.same(values, { task:await() })
  end)

  it("runs in the order of spawning, on the next pass", function()
    local order = {}
    for i = 1, 5 do ml.spawn(function() order[#order + 1] = i end) end
    assert.same({}, order)
    ml.sleep(0)
    assert.same({ 1, 2, 3, 4, 5 }, order)
  end)

  it("tells its status from its start to its end", function()
    clock.virtual() -- a machine that stands still does not change its order
    local task
    local inside
    task = ml.spawn(function()
      inside = task:status()
      ml.sleep(U)
    end)
    assert.equal("pending", task:status())
    ml.sleep(0)
    assert.equal("running", inside)
    assert.equal("suspended", task:status())
    task:await()
    assert.equal("done", task:status())
  end)

  it("has a name, an id and a traceback for display", function()
    clock.virtual() -- a machine that stands still does not change its order
    local function wait_here() ml.sleep(U) end
    local task = ml.spawn(function() wait_here() end)
    assert.matches("task_spec.lua:%d+", task.name)
    task.name = "worker"
    assert.equal("worker", task.name)
    assert.is_true(math.type(task.id) == "integer")
    assert.matches("worker", tostring(task))
    ml.sleep(0)
    assert.matches("wait_here", task:traceback())
    assert.has_error(function() task.nmae = 1 end)
    task:await()
    assert.equal("", task:traceback())
  end)

  it("keeps the traceback of where it failed", function()
    local function deep() error("here") end
    local task = ml.spawn(function()
      deep()
      return 1
    end)
    pcall(task.await, task)
    assert.matches("deep", task:traceback())
    assert.is_nil(task:traceback():match("in %?"))
  end)

  it("carries the traceback of the task that failed to the one that awaited it", function()
    local function culprit() error("here") end
    local inner = ml.spawn(function()
      culprit()
      return 1
    end)
    local outer = ml.spawn(function()
      local v = inner:await()
      return v
    end)
    pcall(outer.await, outer)
    assert.matches("culprit", outer:traceback())
    assert.matches("in task " .. inner.id .. ", spawned at spec", outer:traceback(), 1, true)
  end)

  it("is the current one inside its body, and the same object", function()
    local inside
    local task = ml.spawn(function()
      inside = ml.current()
      local through_generator = coroutine.wrap(function() coroutine.yield(ml.current()) end)()
      assert(rawequal(inside, through_generator))
    end)
    task:await()
    assert.is_true(rawequal(task, inside))
    assert.is_false(rawequal(ml.current(), inside))
  end)

  it("that ends normally leaves its children running", function()
    clock.virtual() -- a machine that stands still does not change its order
    local child
    local parent = ml.spawn(function()
      child = ml.spawn(function()
        ml.sleep(U)
        return "still here"
      end)
    end)
    parent:await()
    ml.sleep(0)
    assert.equal("suspended", child:status())
    assert.equal("still here", child:await())
  end)

  it("that fails leaves its children running", function()
    local child
    local parent = ml.spawn(function()
      child = ml.spawn(function()
        ml.sleep(U)
        return "still here"
      end)
      error("x")
    end)
    pcall(parent.await, parent)
    assert.equal("still here", child:await())
  end)

  it("refuses a value that is not a function", function()
    for _, value in ipairs { 1, "x", {}, true } do
      assert.has_error(function() ml.spawn(value) end)
    end
    assert.has_error(function() ml.spawn() end)
    local callable = setmetatable({}, { __call = function(_, x) return x end })
    assert.equal(4, ml.spawn(callable, 4):await())
  end)

  it("has a thread that scripts can neither resume nor close", function()
    clock.virtual() -- a machine that stands still does not change its order
    local thread
    local task = ml.spawn(function()
      thread = coroutine.running()
      ml.sleep(U)
      return "unharmed"
    end)
    ml.sleep(0)
    local ok, err = coroutine.resume(thread)
    assert.is_false(ok)
    assert.matches("task", err)
    assert.equal("normal", coroutine.status(thread))
    ok, err = pcall(coroutine.close, thread)
    assert.is_false(ok)
    assert.matches("^cannot close a normal coroutine: it is a task's %(use task:cancel%(%)%)$", err)
    assert.equal("unharmed", task:await())
  end)

  it("is a running coroutine to itself, which Lua does not close", function()
    local thread = coroutine.running()
    local ok, err = pcall(coroutine.close, thread)
    assert.is_false(ok)
    assert.matches("^cannot close a running coroutine: it is a task's", err)
    coroutine.wrap(function()
      assert.equal("normal", coroutine.status(thread))
      assert.error_matches(function() coroutine.close(thread) end, "cannot close a normal coroutine")
    end)()
  end)

  it("cannot yield with coroutine.yield, and the error says what to use", function()
    local ok, err = pcall(coroutine.yield, 1)
    assert.is_false(ok)
    assert.matches("ml.sleep%(0%)", err)
    assert.is_false(coroutine.isyieldable())
  end)
end)

describe("ml.sleep", function()
  it("refuses a time that is negative, NaN or not a number", function()
    for _, bad in ipairs { -1, -0.001, 0 / 0, -math.huge, "soon", {} } do
      assert.has_error(function() ml.sleep(bad) end)
    end
    assert.has_error(function() ml.sleep() end)
  end)

  it("never ends early by ml.now", function()
    for _, seconds in ipairs { 0.0001, 0.001, 0.0015, 0.0037 } do
      local before = ml.now()
      ml.sleep(seconds)
      assert.is_true(ml.now() - before >= seconds)
    end
  end)

  it("wakes sleepers in the order of their times, and equal ones in order", function()
    local order = {}
    local tasks = {}
    for i, units in ipairs { 3, 1, 2, 1 } do
      tasks[i] = ml.spawn(function()
        ml.sleep(units * U)
        order[#order + 1] = i
      end)
    end
    ml.gather(tasks)
    assert.same({ 2, 4, 3, 1 }, order)
  end)

  it("of math.huge can be cancelled", function()
    local task = ml.spawn(ml.sleep, math.huge)
    ml.sleep(0)
    task:cancel()
    assert.is_false(pcall(task.await, task))
  end)

  it("LP-01 does not starve a task beside one that never sleeps longer than 0", function()
    local stop = false
    local busy = ml.spawn(function() while not stop do ml.sleep(0) end end)
    for _ = 1, 20 do ml.sleep(0) end
    ml.sleep(0.001) -- timers come through as well
    stop = true
    busy:await()
  end)
end)
