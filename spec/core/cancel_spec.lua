-- Cancelling tasks.
local clock = require "moonloop.clock"
local ml = require "moonloop"
local support = require "spec.support.tasks"

local U, started, await, closing = support.UNIT, support.started, support.await, support.closing

describe("cancelling a task", function()
  it("CX-01 raises Cancelled where it waits", function()
    local before = ml.now()
    local task = started(ml.sleep, 5000)
    assert.is_true(task:cancel())
    local ok, err = await(task)
    assert.is_false(ok)
    assert.is_true(ml.is_error(err))
    assert.equal("cancelled", err.kind)
    assert.equal("cancelled", task:status())
    assert.is_true(ml.now() - before < 1000)
  end)

  it("CX-02 changes nothing when it has ended", function()
    local task = ml.spawn(function() return 5 end)
    task:await()
    assert.is_false(task:cancel())
    assert.equal(5, task:await())
    assert.equal("done", task:status())
  end)

  it("CX-03 before its first step: the body never runs", function()
    local ran = false
    local task = ml.spawn(function() ran = true end)
    assert.is_true(task:cancel())
    local ok, err = await(task)
    assert.is_false(ok)
    assert.equal("cancelled", err.kind)
    assert.equal("cancelled", task:status())
    assert.is_false(ran)
  end)

  it("CX-04 by itself: the next wait raises at once", function()
    local before = ml.now()
    local task = ml.spawn(function()
      ml.current():cancel("me")
      ml.sleep(100)
    end)
    local ok, err = await(task)
    assert.is_false(ok)
    assert.equal("me", err.reason)
    assert.is_true(ml.now() - before < 90)
  end)

  it("CX-05 by itself without a later wait: it returns", function()
    local task = ml.spawn(function()
      ml.current():cancel()
      return 12
    end)
    assert.equal(12, task:await())
    assert.equal("done", task:status())
  end)

  it("CX-06 that awaits another: waiting does not own", function()
    local b = ml.spawn(function()
      ml.sleep(2 * U)
      return "b"
    end)
    local a = started(function() return b:await() end)
    a:cancel()
    local ok, err = await(a)
    assert.is_false(ok)
    assert.equal("cancelled", err.kind)
    assert.equal("b", b:await())
  end)

  it("CX-06 that awaits its child: the child is cancelled as a child", function()
    local child
    local a = started(function()
      child = ml.spawn(ml.sleep, 100)
      child:await()
    end)
    a:cancel()
    await(a)
    assert.equal("cancelled", child:status())
  end)

  it("CX-07 cleanup runs exactly once, before the awaiter resumes", function()
    local cleaned = 0
    local task = started(function()
      local _ <close> = closing(function() cleaned = cleaned + 1 end)
      ml.sleep(100)
    end)
    task:cancel()
    await(task)
    assert.equal(1, cleaned)
  end)

  it("CX-09 pcall does not swallow it, however often", function()
    local waits = 0
    local task = started(function()
      while true do
        pcall(function()
          waits = waits + 1
          ml.sleep(100)
        end)
      end
    end)
    task:cancel()
    local ok, err = await(task)
    assert.is_false(ok)
    assert.equal("cancelled", err.kind)
    assert.equal(1, waits)
  end)

  it("xpcall calls its handler for a deadline's error that has passed a timeout or a shield", function()
    for _, block in ipairs { function(f) return ml.timeout(10, f) end, ml.shield } do
      local seen
      local ok, result = xpcall(function()
        local d <close> = ml.deadline(0.01) -- luacheck: ignore d
        block(function()
          ml.sleep(0.02)
          ml.timeout(10, ml.sleep, 0)
        end)
        ml.timeout(10, ml.sleep, 1)
      end, function(err)
        seen = err
        return "handled"
      end)
      assert.is_false(ok)
      assert.equal("handled", result)
      assert.equal("timeout", seen.kind)
    end
  end)

  it("CX-09 xpcall lets it through and does not call its handler", function()
    local handled = false
    local task = started(function()
      xpcall(ml.sleep, function() handled = true end, 100)
      return "swallowed"
    end)
    task:cancel()
    assert.is_false((await(task)))
    assert.is_false(handled)
  end)

  it("CX-09 every later wait raises again, even in a cleanup, and other errors can still be caught", function()
    local seen = {}
    local task = started(function()
      local _ <close> = closing(function()
        local ok, err = pcall(error, "an ordinary error", 0)
        seen[1] = ok == false and err
        ml.sleep(U)
        seen[2] = "waited"
      end)
      ml.sleep(100)
    end)
    task:cancel()
    local ok, err = await(task)
    assert.is_false(ok)
    assert.equal("cancelled", err.kind)
    assert.same({ "an ordinary error" }, seen)
  end)

  it("CX-09 coroutine.resume lets it through as pcall does", function()
    local task = started(function()
      coroutine.resume(coroutine.create(ml.sleep), 100)
      return "swallowed"
    end)
    task:cancel()
    assert.is_false((await(task)))
    assert.equal("cancelled", task:status())
  end)

  it("CX-10 twice before it runs: one Cancelled, one cleanup, the first reason", function()
    local cleaned = 0
    local task = started(function()
      local _ <close> = closing(function() cleaned = cleaned + 1 end)
      ml.sleep(100)
    end)
    assert.is_true(task:cancel("first"))
    assert.is_true(task:cancel("second"))
    local _, err = await(task)
    assert.equal("first", err.reason)
    assert.equal(1, cleaned)
  end)

  it("CX-11 carries the reason unchanged", function()
    for _, reason in ipairs { "text", 17, { "table" }, true } do
      local task = started(ml.sleep, 100)
      task:cancel(reason)
      local _, err = await(task)
      assert.is_true(rawequal(reason, err.reason))
    end
    local task = started(ml.sleep, 100)
    task:cancel("because")
    local _, err = await(task)
    assert.matches("because", tostring(err))
  end)

  it("CX-12 a cleanup's error takes its place", function()
    local E = {}
    local task = started(function()
      local _ <close> = closing(function() error(E) end)
      ml.sleep(100)
    end)
    task:cancel()
    local ok, err = await(task)
    assert.is_false(ok)
    assert.equal(E, err)
    assert.equal("failed", task:status())
  end)

  it("CX-15 in the tick of its result: the result is delivered, the next wait raises", function()
    local got, after
    local inner = ml.spawn(function()
      ml.sleep(0)
      ml.sleep(0)
      return "value"
    end)
    local task = ml.spawn(function()
      got = inner:await()
      after = pcall(ml.sleep, 100)
    end)
    local killer = ml.spawn(function()
      ml.sleep(0)
      ml.sleep(0) -- the pass in which inner has just ended and woken the task
      assert(inner:status() == "done" and got == nil)
      task:cancel()
    end)
    killer:await()
    local ok, err = await(task)
    assert.is_false(ok)
    assert.equal("cancelled", err.kind)
    assert.equal("value", got)
    assert.is_nil(after)
    assert.equal("value", inner:await())
  end)

  it("CX-16 reaches every leaf of a tree once, before the root's awaiter resumes", function()
    local cancelled = 0
    local function leaf()
      local _ <close> = closing(function(_, err)
        if err.kind == "cancelled" then cancelled = cancelled + 1 end
      end)
      ml.sleep(100)
    end
    local function worker()
      ml.spawn(leaf)
      ml.spawn(leaf)
      ml.sleep(100)
    end
    local root = started(function()
      ml.spawn(worker)
      ml.spawn(worker)
      ml.sleep(100)
    end)
    ml.sleep(0)
    ml.sleep(0)
    root:cancel()
    await(root)
    assert.equal(4, cancelled)
  end)

  it("CX-16 reaches the children of a child that has ended", function()
    local leaf
    local root = started(function()
      ml.spawn(function() leaf = ml.spawn(ml.sleep, 100) end)
      ml.sleep(100)
    end)
    ml.sleep(0)
    ml.sleep(0)
    assert.equal("suspended", leaf:status())
    root:cancel()
    await(root)
    assert.equal("cancelled", leaf:status())
  end)

  it("a body that is over ends only when its cancelled children have cleaned up", function()
    local log = {}
    local inner
    local root = started(function()
      inner = ml.spawn(function()
        local _ <close> = closing(function() log[#log + 1] = "child" end)
        ml.sleep(100)
      end)
      ml.sleep(100)
    end)
    ml.sleep(0)
    root:cancel()
    await(root)
    log[#log + 1] = "awaiter"
    assert.same({ "child", "awaiter" }, log)
    assert.equal("cancelled", inner:status())
  end)

  it("a task met by awaiting it is an ordinary error, and a task that dies of it has failed", function()
    local other = started(ml.sleep, 100)
    local caught, err
    local task = started(function()
      caught, err = pcall(other.await, other)
      other:await()
    end)
    other:cancel()
    await(task)
    assert.is_false(caught)
    assert.equal("cancelled", err.kind)
    assert.equal("failed", task:status())
  end)

  it("goes through nested generators and closes what they hold", function()
    local closed = {}
    local task = started(function()
      local generator = coroutine.wrap(function()
        local inner = coroutine.wrap(function()
          local _ <close> = closing(function() closed[#closed + 1] = "inner" end)
          ml.sleep(100)
        end)
        local _ <close> = closing(function() closed[#closed + 1] = "outer" end)
        inner()
      end)
      generator()
    end)
    task:cancel()
    local ok, err = await(task)
    assert.is_false(ok)
    assert.equal("cancelled", err.kind)
    assert.same({ "inner", "outer" }, closed)
  end)
end)

describe("ml.timeout", function()
  it("TO-01 returns nil and a timeout error, and not early", function()
    local before = ml.now()
    local value, err = ml.timeout(U, function()
      ml.sleep(1000)
      return "never"
    end)
    assert.is_nil(value)
    assert.equal("timeout", err.kind)
    assert.is_true(ml.now() - before >= U)
  end)

  it("TO-02 passes all results and leaves no timer", function()
    assert.same({ 1, nil, 3, n = 3 }, table.pack(ml.timeout(500, function(...)
      ml.sleep(0)
      return ...
    end, 1, nil, 3)))
  end)

  it("TO-04 of 0 ends at the first wait, even sleep(0)", function()
    local value, err = ml.timeout(0, function()
      ml.sleep(0)
      return 1
    end)
    assert.is_nil(value)
    assert.equal("timeout", err.kind)
  end)

  it("TO-04 of 0 does not affect code that never waits", function()
    assert.equal(3, ml.timeout(0, function() return 3 end))
  end)

  it("TO-07 outer and inner expired: only the outer one reports", function()
    local inner_result
    local value, err = ml.timeout(0, function()
      inner_result = table.pack(ml.timeout(0, function() ml.sleep(1) end))
    end)
    assert.is_nil(value)
    assert.equal("timeout", err.kind)
    assert.is_nil(inner_result)
  end)

  it("TO-09 the inner one's end leaves the outer one in force", function()
    clock.virtual() -- a machine that stands still does not change its order
    local inner
    local value, err = ml.timeout(5 * U, function()
      inner = select(2, ml.timeout(U / 2, ml.sleep, 100))
      ml.sleep(500)
    end)
    assert.is_nil(value)
    assert.equal("timeout", err.kind)
    assert.equal("timeout", inner.kind)
  end)

  it("TO-10 lets another error pass unchanged, with its traceback", function()
    local E = {}
    local ok, err = pcall(ml.timeout, 500, function() error(E) end)
    assert.is_false(ok)
    assert.equal(E, err)
    local task = ml.spawn(function()
      ml.timeout(500, function()
        local function culprit() error("x") end
        culprit()
      end)
    end)
    pcall(task.await, task)
    assert.matches("culprit", task:traceback())
  end)

  it("TO-11 a cleanup's error takes its place", function()
    local ok, err = pcall(ml.timeout, U, function()
      local _ <close> = closing(function() error("cleanup", 0) end)
      ml.sleep(500)
    end)
    assert.is_false(ok)
    assert.equal("cleanup", err)
  end)

  it("TO-12 a cancel from outside is Cancelled, not a timeout", function()
    local task = started(function() return ml.timeout(500, ml.sleep, 500) end)
    task:cancel("outside")
    local ok, err = await(task)
    assert.is_false(ok)
    assert.equal("cancelled", err.kind)
    assert.equal("outside", err.reason)
  end)

  it("TO-13 leaves the task as it was: a following wait works", function()
    ml.timeout(0, ml.sleep, 1)
    ml.sleep(U)
    assert.equal(1, ml.timeout(500, function()
      ml.sleep(0)
      return 1
    end))
  end)

  it("TO-19 the waiter's cancel reaches the code inside", function()
    local cleaned = false
    local task = started(function()
      ml.timeout(500, function()
        local _ <close> = closing(function() cleaned = true end)
        ml.sleep(500)
      end)
    end)
    task:cancel()
    await(task)
    assert.is_true(cleaned)
  end)

  it("pcall inside does not swallow it", function()
    local rounds = 0
    local _, err = ml.timeout(U, function()
      while true do
        rounds = rounds + 1
        pcall(ml.sleep, 100)
      end
    end)
    assert.equal("timeout", err.kind)
    assert.equal(1, rounds)
  end)

  it("runs f in the calling task", function()
    local inside
    ml.timeout(1, function() inside = ml.current() end)
    assert.is_true(rawequal(inside, ml.current()))
  end)

  it("nil means no limit, math.huge never; a negative or NaN time is an argument error", function()
    assert.equal(1, ml.timeout(nil, function() ml.sleep(0) return 1 end))
    assert.equal(1, ml.timeout(math.huge, function() ml.sleep(0) return 1 end))
    assert.has_error(function() ml.timeout(-1, function() end) end)
    assert.has_error(function() ml.timeout(0 / 0, function() end) end)
    assert.has_error(function() ml.timeout(1, "no function") end)
  end)
end)
