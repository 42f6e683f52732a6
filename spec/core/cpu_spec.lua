-- Budgets of CPU time. The endless loops call functions, so that sanitizers can deliver signals.
local ml = require "moonloop"
require "spec.support"
local keep_reports = require "reports".keep

local function forever() while true do local _ = tostring({}) end end

-- Runs `f` with a budget; it has to be broken off.
local function broken_off(f)
  local task = ml.spawn {f, cpu = 0.05}
  local ok, err = pcall(task.await, task)
  assert.is_false(ok)
  assert.is_true(ml.is_error(err), tostring(err))
  assert.equal("cpu", err.kind)
  assert.equal("failed", task:status())
  return task, err
end

describe("a CPU budget", function()
  it("interrupts an endless loop with a traceback of the running line", function()
    local task, err = broken_off(forever)
    assert.equal("more than 0.05 s of CPU time", err.message)
    assert.matches("cpu_spec.lua:6:", task:traceback())
  end)

  local ways = {
    ["under pcall in a loop"] = function() while true do pcall(forever) end end,
    ["under xpcall with a handler that never ends"] = function()
      while true do xpcall(forever, forever) end
    end,
    ["in nested generators"] = function()
      while true do
        coroutine.wrap(function() coroutine.wrap(forever)() end)()
      end
    end,
    ["in coroutines that are resumed"] = function()
      while true do coroutine.resume(coroutine.create(forever)) end
    end,
    ["in a comparator"] = function()
      while true do pcall(table.sort, {1, 2, 3}, forever) end
    end,
    ["in a metamethod"] = function()
      local t = setmetatable({}, {__index = forever})
      while true do pcall(function() return t.x end) end
    end,
    ["under ml.timeout"] = function() while true do ml.timeout(100, forever) end end,
    ["between suspensions"] = function()
      while true do
        ml.sleep(0)
        for _ = 1, 1000 do tostring({}) end
      end
    end,
    -- regression: a budget that ran out just where the task suspended stopped its timer for good
    ["between suspensions that come more often than the timer"] = function()
      while true do ml.sleep(0) end
    end,
    ["in a generator that suspends all the time"] = function()
      for _ in coroutine.wrap(function() while true do ml.sleep(0) coroutine.yield(1) end end) do
        tostring({})
      end
    end,
    ["in errors that are raised all the time"] = function()
      while true do pcall(error, "x") end
    end,
    ["in clean-up that never ends"] = function()
      local _ <close> = setmetatable({}, {__close = forever})
      forever()
    end,
    ["in an ml.catch that catches it"] = function()
      while true do ml.catch(forever) end
    end,
  }
  for way, f in pairs(ways) do
    it("breaks off " .. way, function() broken_off(f) end)
  end

  it("lets clean-up run", function()
    local log = {}
    broken_off(function()
      local _ <close> = setmetatable({}, {__close = function()
        for i = 1, 1000 do log[i] = i end
      end})
      forever()
    end)
    assert.equal(1000, #log)
  end)

  it("lets the other tasks continue", function()
    local count = 0
    local other = ml.spawn(function()
      for _ = 1, 50 do
        count = count + 1
        ml.sleep(0)
      end
    end)
    broken_off(forever)
    other:await()
    assert.equal(50, count)
  end)

  it("counts no time asleep", function()
    local task = ml.spawn {function() ml.sleep(0.2) return "fine" end, cpu = 0.1}
    assert.equal("fine", task:await())
  end)

  it("is shared with the children, which cannot have a larger one", function()
    broken_off(function() ml.spawn(forever):await() end)
    broken_off(function() ml.spawn({forever, cpu = 1000}):await() end)
    broken_off(function()
      for _ = 1, 1000 do ml.spawn(function() for _ = 1, 100000 do tostring({}) end end):await() end
    end)
  end)

  it("of a child is not the parent's", function()
    local task = ml.spawn {function()
      local child = ml.spawn {forever, cpu = 0.02}
      local ok, err = pcall(child.await, child)
      return ok, err.kind
    end, cpu = 100}
    assert.same({false, "cpu"}, {task:await()})
  end)

  it("passes arguments and results, in combinators too", function()
    local function add(a, b) return a + b, "more" end
    assert.same({3, "more"}, {ml.spawn({add, 1, 2, cpu = 1, slice = 1}):await()})
    assert.same({3, 7}, {ml.gather({add, 1, 2, cpu = 1}, {add, 3, 4, cpu = 1})})
    local ok, err = pcall(ml.gather, {forever, cpu = 0.02}, function() ml.sleep(100) end)
    assert.is_false(ok)
    assert.equal("cpu", err.kind)
    ok, err = pcall(ml.group, function(g) g:spawn {forever, cpu = 0.02} end)
    assert.is_false(ok)
    assert.equal("cpu", err.kind)
  end)

  it("refuses invalid times and non-functions", function()
    for _, item in ipairs {{forever, cpu = 0}, {forever, cpu = -1}, {forever, cpu = "1"},
      {forever, slice = 0 / 0}, {cpu = 1}, {1, cpu = 1}} do
      assert.is_false((pcall(ml.spawn, item)))
    end
    assert.has_error(function() ml.spawn({forever}, 1) end)
  end)

  it("of a route answers 500 and keeps the server up, offloaded too", function()
    local app = ml.web.app()
    local reports <close> = keep_reports()
    app:get("/hog", {cpu = 0.05}, function() while true do pcall(tostring, {}) end end)
    app:get("/there", {cpu = 0.05, offload = true}, function() while true do pcall(tostring, {}) end end)
    app:get("/fine", {cpu = 5, slice = 0.01}, function() return "fine" end)
    local server = assert(ml.web.listen(app, {port = 0}))
    local url = "http://127.0.0.1:" .. server.port
    local client = ml.http.client {}
    for _ = 1, 2 do
      assert.equal(500, assert(client:get(url .. "/hog")).status)
      assert.equal(500, assert(client:get(url .. "/there")).status)
      assert.equal("fine", assert(client:get(url .. "/fine")).body)
    end
    client:close()
    server:stop(1)
    for _, target in ipairs { "/hog", "/there" } do
      local line = "moonloop: GET " .. target .. " failed: cpu: more than 0.05 s of CPU time\n"
      assert.equal(2, select(2, reports:text():gsub(line, "")))
    end
    assert.has_error(function() app:get("/x", {cpu = 0}, tostring) end)
    assert.has_error(function() app:get("/x", {slice = "1"}, tostring) end)
  end)
end)
