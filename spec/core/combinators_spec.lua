-- ml.race, ml.any, ml.wait, ml.as_completed, ml.map
local clock = require "moonloop.clock"
local ml = require "moonloop"
local support = require "spec.support.tasks"

local U, closing, after = support.UNIT, support.closing, support.after

describe("ml.race", function()
  it("SH-05 gives the winner's results; the losers' cleanup is over before it returns", function()
    local cleaned = false
    local results = table.pack(ml.race(after(1, "first", nil, 3), function()
      local _ <close> = closing(function()
        ml.shield(ml.sleep, U)
        cleaned = true
      end)
      ml.sleep(100)
    end))
    assert.same({ "first", nil, 3, n = 3 }, results)
    assert.is_true(cleaned)
  end)

  it("raises the error of the first to end", function()
    local E = {}
    local ok, err = pcall(ml.race, { after(50), function() error(E) end })
    assert.is_false(ok)
    assert.equal(E, err)
    ok, err = pcall(ml.race, after(50), function() return nil, E end)
    assert.is_false(ok)
    assert.equal(E, err)
  end)

  it("leaves a task alone that was passed in", function()
    clock.virtual() -- a machine that stands still does not change its order
    local task = ml.spawn(after(2, "handed in"))
    assert.equal("quick", ml.race(task, after(0, "quick")))
    assert.equal("handed in", task:await())
  end)

  it("takes a task that has ended", function()
    local task = ml.spawn(after(0, "ended"))
    task:await()
    assert.equal("ended", ml.race(after(50), task))
  end)

  it("without items is an error, not an endless wait", function()
    assert.has_error(function() ml.race() end)
    assert.has_error(function() ml.race({}) end)
  end)

  it("cancelled from outside cancels all", function()
    local cleaned = 0
    local function f()
      local _ <close> = closing(function() cleaned = cleaned + 1 end)
      ml.sleep(100)
    end
    local task = ml.spawn(ml.race, f, f)
    ml.sleep(0)
    ml.sleep(0)
    task:cancel()
    assert.is_false(pcall(task.await, task))
    assert.equal(2, cleaned)
  end)
end)

describe("ml.any", function()
  it("gives the first success and ignores failures", function()
    assert.equal("ok", ml.any(function() error("x") end, function() return nil, "y" end, after(1, "ok"), after(50)))
  end)

  it("raises a group error when all fail, in argument order", function()
    local E, F = {}, {}
    local ok, err = pcall(ml.any, function()
      ml.sleep(U)
      error(E)
    end, function() return nil, F end)
    assert.is_false(ok)
    assert.equal("group", err.kind)
    assert.is_true(rawequal(E, err.errors[1]) and rawequal(F, err.errors[2]))
    assert.equal("group", select(2, pcall(ml.any)).kind)
  end)
end)

describe("ml.wait", function()
  it("WA-01 first: gives ended and running tasks, none cancelled", function()
    local a, b = ml.spawn(after(500)), ml.spawn(after(1))
    local done, pending = ml.wait({ a, b }, { mode = "first" })
    assert.same({ b }, done)
    assert.same({ a }, pending)
    assert.equal("suspended", a:status())
    a:cancel()
    pcall(a.await, a)
  end)

  it("WA-04 with a time limit splits at the limit, without an error", function()
    clock.virtual() -- a machine that stands still does not change its order
    local a, b = ml.spawn(after(500)), ml.spawn(after(0))
    local done, pending = ml.wait({ a, b }, { timeout = U })
    assert.same({ b }, done)
    assert.same({ a }, pending)
    a:cancel()
    pcall(a.await, a)
  end)

  it("waits for all by default, and raises none of their errors", function()
    local a, b = ml.spawn(after(1)), ml.spawn(error, "x")
    local done, pending = ml.wait { a, b }
    assert.equal(2, #done)
    assert.equal(0, #pending)
    assert.equal("failed", b:status())
  end)

  it("error: until the first failure", function()
    local a, b = ml.spawn(after(500)), ml.spawn(function()
      ml.sleep(U)
      error("x")
    end)
    local done, pending = ml.wait({ a, b }, { mode = "error" })
    assert.same({ b }, done)
    assert.same({ a }, pending)
    a:cancel()
    pcall(a.await, a)
  end)

  it("checks its arguments", function()
    assert.has_error(function() ml.wait(1) end)
    assert.has_error(function() ml.wait { 1 } end)
    assert.has_error(function() ml.wait({}, { mode = "none" }) end)
    assert.has_error(function() ml.wait({}, { time = 1 }) end)
    assert.same({ {}, {} }, { ml.wait {} })
  end)
end)

describe("ml.as_completed", function()
  it("gives tasks in the order they end, beginning with those already ended", function()
    local a, b, c = ml.spawn(after(3, "a")), ml.spawn(after(1, "b")), ml.spawn(after(0, "c"))
    c:await()
    local order = {}
    for task in ml.as_completed { a, b, c } do order[#order + 1] = task:await() end
    assert.same({ "c", "b", "a" }, order)
  end)

  it("can be left early", function()
    local a, b = ml.spawn(after(0, "a")), ml.spawn(after(2, "b"))
    for task in ml.as_completed { a, b } do
      if task:await() == "a" then break end
    end
    collectgarbage()
    collectgarbage()
    assert.equal("b", b:await())
  end)

  it("gives failed tasks too", function()
    local a = ml.spawn(error, "x")
    for task in ml.as_completed { a } do
      assert.is_false(pcall(task.await, task))
    end
    assert.has_error(function() ml.as_completed { 1 } end)
  end)
end)

describe("ml.map", function()
  it("keeps the order and the bound", function()
    local running, most = 0, 0
    local results = ml.map({ 3, 1, 2, 5, 4 }, function(x)
      running = running + 1
      most = math.max(most, running)
      ml.sleep(x * U / 5)
      running = running - 1
      return x * 10
    end, { limit = 2 })
    assert.same({ 30, 10, 20, 50, 40, n = 5 }, results)
    assert.equal(2, most)
  end)

  it("runs all at once without a limit; of an empty list is empty", function()
    clock.virtual()
    local before = ml.now()
    ml.map({ 1, 1, 1, 1 }, function() ml.sleep(2 * U) end)
    assert.near(2 * U, ml.now() - before, 1e-6)
    assert.same({ n = 0 }, ml.map({}, print))
  end)

  it("calls f with only the item", function()
    assert.same({ 1, n = 1 }, ml.map({ "x" }, function(...) return select("#", ...) end))
  end)

  it("the first failure cancels the others and is raised", function()
    local E, cleaned = {}, false
    local ok, err = pcall(ml.map, { 1, 2 }, function(x)
      if x == 2 then return nil, E end
      local _ <close> = closing(function() cleaned = true end)
      ml.sleep(100)
    end)
    assert.is_false(ok)
    assert.equal(E, err)
    assert.is_true(cleaned)
  end)

  it("checks its arguments", function()
    assert.has_error(function() ml.map(1, print) end)
    assert.has_error(function() ml.map({}, 1) end)
    assert.has_error(function() ml.map({}, print, { limit = 0 }) end)
    assert.has_error(function() ml.map({}, print, { limt = 1 }) end)
  end)
end)
