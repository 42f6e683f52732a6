-- ml.gather
local clock = require "moonloop.clock"
local ml = require "moonloop"
local support = require "spec.support.tasks"

local U, started, closing, after = support.UNIT, support.started, support.closing, support.after

describe("ml.gather", function()
  it("GA-01 gives results in argument order, when the last is done", function()
    local before = ml.now()
    assert.same({ 2, 1, 3 }, { ml.gather(after(2, 2), after(1, 1), after(3, 3)) })
    assert.is_true(ml.now() - before >= 3 * U)
  end)

  it("GA-02 without items is empty at once", function()
    assert.equal(0, select("#", ml.gather()))
    assert.same({ n = 0 }, ml.gather({}))
    assert.same({ n = 0 }, ml.gather({}, { return_errors = true }))
  end)

  it("of a list gives a list: pairs skips its count, and holes are null in JSON", function()
    local function nothing() end
    local function one() return 1 end
    local lists = {
      ml.gather { one, nothing, one, nothing },
      ml.gather({ one, nothing, one, nothing }, { return_errors = true }),
      ml.map({ 1, 2, 3, 4 }, function(x) return x % 2 == 1 and 1 or nil end),
      ml.executor.default():map({ 1, 2, 3, 4 }, function(x) return x % 2 == 1 and 1 or nil end),
    }
    for i, list in ipairs(lists) do
      local keys = {}
      for key in pairs(list) do keys[#keys + 1] = key end
      table.sort(keys)
      assert.same({ 1, 3 }, keys, "list " .. i)
      assert.equal(4, list.n)
      assert.equal("[1,null,1,null]", ml.json.encode(list))
      assert.equal('{"a":[1,null,1,null]}', ml.json.encode { a = list })
      assert.equal("[\n  1,\n  null,\n  1,\n  null\n]", ml.json.encode(list, { pretty = true }))
      local back, shown = ml.executor.run(function(given)
        local count = 0
        for _ in pairs(given) do count = count + 1 end
        return given, count
      end, list)
      assert.same({ 2, 4, "[1,null,1,null]" }, { shown, back.n, ml.json.encode(back) })
    end
    for _, list in ipairs { ml.gather {}, ml.map({}, print), ml.gather({}, { return_errors = true }) } do
      for key in pairs(list) do error("shows " .. tostring(key)) end
      assert.equal("[]", ml.json.encode(list))
    end
  end)

  it("of a list gives a list that JSON encodes by its actual content after a script has changed it", function()
    local list = ml.gather { function() return 1 end }
    list.more = 2
    assert.error_matches(function() ml.json.encode(list) end, "both array elements and other keys")
    list.more, list[3] = nil, 3
    assert.has_error(function() ml.json.encode(list) end)
    list.n = 3
    assert.equal("[1,null,3]", ml.json.encode(list))
    list.n = "x"
    assert.has_error(function() ml.json.encode(list) end)
  end)

  it("GA-03 raises the first error, the same object, while others still sleep", function()
    local E = {}
    local before = ml.now()
    local ok, err = pcall(ml.gather, after(5000), function()
      ml.sleep(U)
      error(E)
    end)
    assert.is_false(ok)
    assert.equal(E, err)
    assert.is_true(ml.now() - before < 90)
  end)

  it("GA-04 cancels what it started and waits for the cleanup before it raises", function()
    clock.virtual() -- a machine that stands still does not change its order
    local log = {}
    local handed_in = started(after(3, "goes on"))
    local ok = pcall(ml.gather, function()
      local _ <close> = closing(function() log[#log + 1] = "cleanup" end)
      ml.sleep(100)
    end, handed_in, function()
      ml.sleep(U)
      error("x")
    end)
    log[#log + 1] = "raised"
    assert.is_false(ok)
    assert.same({ "cleanup", "raised" }, log)
    assert.equal("suspended", handed_in:status())
    assert.equal("goes on", handed_in:await())
  end)

  it("GA-05 with return_errors waits for all and keeps errors in their slots", function()
    local E = {}
    local results = ml.gather({
      after(2, 3),
      after(1, 1),
      function() error(E) end,
      function() error("text", 0) end,
    }, { return_errors = true })
    assert.equal(4, results.n)
    assert.equal(3, results[1])
    assert.equal(1, results[2])
    assert.is_true(ml.is_error(results[3]))
    assert.equal(E, results[3].value)
    assert.equal("text", results[4].value)
    assert.matches("text", tostring(results[4]))
  end)

  it("GA-05 with return_errors an error object stands for itself", function()
    local err = select(2, ml.timeout(0, ml.sleep, 1))
    local results = ml.gather({ function() error(err) end }, { return_errors = true })
    assert.is_true(rawequal(err, results[1]))
    assert.is_true(rawequal(err, results[1].value))
  end)

  it("GA-06 raises the Cancelled of a child as an error; its own task is not cancelled", function()
    local child = started(ml.sleep, 100)
    local task = ml.spawn(function()
      local ok, err = pcall(ml.gather, child, after(1, 1))
      ml.sleep(0) -- not cancelled: it may wait
      return ok, err.kind
    end)
    ml.sleep(0)
    child:cancel()
    assert.same({ false, "cancelled" }, { task:await() })
    assert.equal("done", task:status())
  end)

  it("GA-07 with return_errors the Cancelled is in its slot", function()
    local child = started(ml.sleep, 100)
    ml.spawn(function() child:cancel("why") end)
    local results = ml.gather({ child, after(1, "other") }, { return_errors = true })
    assert.equal("cancelled", results[1].kind)
    assert.equal("why", results[1].reason)
    assert.equal("other", results[2])
  end)

  it("GA-08 cancelling the task cancels every child; the code after does not run", function()
    local cancelled, went_on = 0, false
    local function child()
      local _ <close> = closing(function() cancelled = cancelled + 1 end)
      ml.sleep(100)
    end
    local task = started(function()
      ml.gather(child, child, child)
      went_on = true
    end)
    ml.sleep(0)
    task:cancel()
    local ok, err = pcall(task.await, task)
    assert.is_false(ok)
    assert.equal("cancelled", err.kind)
    assert.equal(3, cancelled)
    assert.is_false(went_on)
  end)

  it("GA-08 a timeout around it cancels what it started, including cleanup", function()
    local cleaned = 0
    local _, err = ml.timeout(U, ml.gather, function()
      local _ <close> = closing(function() cleaned = cleaned + 1 end)
      ml.sleep(100)
    end)
    assert.equal("timeout", err.kind)
    assert.equal(1, cleaned)
  end)

  it("GA-09 takes the same task several times", function()
    local runs = 0
    local abc = ml.spawn(function()
      runs = runs + 1
      ml.sleep(0)
      return "abc"
    end)
    local def = ml.spawn(function() return "def" end)
    assert.same({ "abc", "abc", "def", "abc" }, { ml.gather(abc, abc, def, abc) })
    assert.equal(1, runs)
  end)

  it("GA-11 with return_errors does not eat its own cancel", function()
    local rounds = 0
    local task = ml.spawn(function()
      while true do
        ml.gather({ after(1) }, { return_errors = true })
        rounds = rounds + 1
      end
    end)
    ml.sleep(3 * U)
    task:cancel("enough")
    local ok, err = pcall(task.await, task)
    assert.is_false(ok)
    assert.equal("enough", err.reason)
  end)

  it("GA-14 keeps positions of nil, false, nothing and several values", function()
    local results = ml.gather({
      function() return nil end,
      function() return false end,
      function() end,
      function() return 1, 2, 3 end,
    })
    assert.equal(4, results.n)
    assert.same({ nil, false, nil, 1, n = 4 }, results)
    assert.equal(4, select("#", ml.gather(function() end, function() end, function() end, function() end)))
  end)

  it("fails when an item returns nil and an error, and the task itself is done", function()
    local E = {}
    local task = ml.spawn(function() return nil, E end)
    local ok, err = pcall(ml.gather, task)
    assert.is_false(ok)
    assert.equal(E, err)
    assert.equal("done", task:status())
    assert.same({ nil, E, n = 2 }, table.pack(task:await()))
    local results = ml.gather({ function() return nil, E end }, { return_errors = true })
    assert.equal(E, results[1].value)
  end)

  it("takes functions with arguments, and a list", function()
    local function add(a, b) return a + b end
    assert.same({ 3, 7 }, { ml.gather({ add, 1, 2 }, { add, 3, 4 }) })
    local results = ml.gather({ { add, 1, 2 }, function() return 9 end })
    assert.same({ 3, 9, n = 2 }, results)
  end)

  it("checks all items before anything starts", function()
    local ran = false
    local function f() ran = true end
    for _, bad in ipairs { 1, "x", true, {} } do
      assert.has_error(function() ml.gather(f, bad) end)
      assert.has_error(function() ml.gather({ f, bad }) end)
    end
    assert.has_error(function() ml.gather(f, nil) end)
    assert.has_error(function() ml.gather(nil) end)
    assert.has_error(function() ml.gather({ f }, { retrun_errors = true }) end)
    ml.sleep(0)
    assert.is_false(ran)
    local _, err = pcall(ml.gather, f, 17)
    assert.matches("item 2 is a number", err)
  end)

  it("names the line that called it in errors about its items", function()
    local line = debug.getinfo(1, "l").currentline
    local _, direct = pcall(function() local _ = ml.gather(print, 17) end)
    local _, listed = pcall(function() local _ = ml.gather({ print, 17 }) end)
    local _, option = pcall(function() local _ = ml.gather({ print }, { bad = true }) end)
    assert.matches(("gather_spec.lua:%d: ml.gather: item 2"):format(line + 1), direct)
    assert.matches(("gather_spec.lua:%d: ml.gather: item 2"):format(line + 2), listed)
    assert.matches(("gather_spec.lua:%d: unknown option 'bad' of ml.gather"):format(line + 3), option)
  end)

  it("refuses to wait for the task that calls it, before anything starts", function()
    local ran = false
    local ok, err = pcall(ml.gather, function() ran = true end, ml.current())
    ml.sleep(0)
    assert.is_false(ok)
    assert.matches("cannot wait for itself", tostring(err))
    assert.is_false(ran)
  end)

  it("gives many values", function()
    local functions = {}
    for i = 1, 5000 do functions[i] = function() return i, "more" end end
    local values = table.pack(ml.gather(table.unpack(functions)))
    assert.equal(5000, values.n)
    assert.equal(4999, values[4999])
  end)

  it("raises the error that an item returned after nil, even of one that had already ended", function()
    local ended = started(function() return nil, "went wrong", 3 end)
    local ok, err = pcall(ml.gather, after(5000), ended)
    assert.is_false(ok)
    assert.equal("went wrong", err)
  end)

  it("notes where it started each of its tasks", function()
    local sites, line = {}, debug.getinfo(1, "l").currentline
    local function note()
      for _, task in ipairs(ml.tasks()) do
        if task.id == ml.current().id then sites[#sites + 1] = task.spawned_at end
      end
    end
    ml.gather(note, { note })
    assert.equal(2, #sites)
    for _, site in ipairs(sites) do assert.matches(("gather_spec.lua:%d$"):format(line + 6), site) end
  end)

  it("reports a failure in the cleanup of what it cancelled", function()
    -- its own error is the first one; the second must reach someone: stderr (see report_spec)
    local second
    local ok, err = pcall(ml.gather, function()
      second = ml.current()
      local _ <close> = closing(function() error("in cleanup", 0) end)
      ml.sleep(100)
    end, function()
      ml.sleep(U)
      error("first", 0)
    end)
    assert.is_false(ok)
    assert.equal("first", err)
    assert.equal("failed", second:status())
    assert.equal("in cleanup", select(2, pcall(second.await, second)))
  end)

  it("gives the results of items that know their task, which can still be awaited", function()
    local own, failed
    local function named(value)
      own = ml.current()
      ml.sleep(U)
      return value, "more"
    end
    local function failing()
      failed = ml.current()
      ml.sleep(U)
      error("no", 0)
    end
    assert.equal("first", (ml.gather({ named, "first" }, after(1, 2))))
    assert.same({ "first", "more" }, { own:await() })
    assert.same({ false, "no" }, { pcall(ml.gather, failing, after(1, 2)) })
    assert.same({ false, "no" }, { pcall(failed.await, failed) })
    assert.equal("failed", failed:status())
  end)

  it("waits inside a generator, and inside another gather", function()
    local values = {}
    for value in coroutine.wrap(function()
      for i = 1, 3 do
        local a, b = ml.gather({ function(n) ml.sleep(U) return n end, i }, function()
          return (ml.gather({ function(n) ml.sleep(0) return n * 10 end, i }, after(1, 0)))
        end)
        collectgarbage()
        coroutine.yield(a + b)
      end
    end) do values[#values + 1] = value end
    assert.same({ 11, 22, 33 }, values)
  end)

  it("takes lists with limits and fields, and any number of arguments", function()
    local function count(...) return select("#", ...) end
    assert.same({ 3, 1, 20, 0 }, {
      ml.gather({ count, nil, nil, 1, n = 4 }, { count, 1, cpu = 5, slice = 0.1 },
        { count, table.unpack({}, 1, 20), n = 21 }, { count }),
    })
    assert.same({ 9, 8 }, { ml.gather({ count, 1, 2, 3, 4, 5, 6, 7, 8, 9 }, { count, 1, 2, 3, 4, 5, 6, 7, 8 }) })
    assert.equal(2, (ml.gather({ setmetatable({ count, 1, 2 }, { __index = { slice = 0.1 } }) })[1]))
  end)

  it("raises a pending cancel before it starts anything", function()
    local ran = false
    local task = ml.spawn(function()
      ml.current():cancel()
      ml.gather(function() ran = true end)
    end)
    pcall(task.await, task)
    assert.equal("cancelled", task:status())
    assert.is_false(ran)
  end)
end)
