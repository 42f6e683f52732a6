-- What reaches stderr: each spec runs a script in a process of its own.
local run = require("spec.support.process").run

local function count(text, pattern)
  local _, n = text:gsub(pattern, "")
  return n
end

describe("TK-07 an error that nobody awaits", function()
  it("is reported once with its traceback and where the task was spawned; the process goes on", function()
    local output, status = run [[
local function culprit() error("boom") end
ml.spawn(function() culprit() return 1 end)
ml.sleep(1.2)
print("went on")
]]
    assert.equal(0, status)
    assert.equal(1, count(output, "boom"))
    assert.matches("nobody awaited it: .-:2: boom", output)
    assert.matches("culprit", output)
    assert.matches("spawned at .-:3", output)
    assert.is_true(output:find("boom") < output:find("went on"))
  end)

  it("is reported at exit when its second is not over", function()
    local output, status = run [[ml.spawn(error, {}) ml.spawn(function() error("late") end)]]
    assert.equal(0, status)
    assert.equal(2, count(output, "nobody awaited it"))
    assert.equal(1, count(output, "late"))
  end)

  it("is not reported when it is awaited in time, whatever awaits it", function()
    local output = run [[
local a, b, c = ml.spawn(error, "A"), ml.spawn(error, "B"), ml.spawn(error, "C")
ml.sleep(0.01)
pcall(a.await, a)
pcall(ml.gather, b)
ml.gather({c}, {return_errors = true})
ml.sleep(1.2)]]
    assert.equal("", output)
  end)

  it("is no cancel", function()
    assert.equal("", (run [[local t = ml.spawn(ml.sleep, 9) ml.sleep(0) t:cancel()]]))
  end)

  it("shows what __tostring says, and survives its failure", function()
    local output = run [[
ml.spawn(error, setmetatable({}, {__tostring = function() return "SAYS" end}))
ml.spawn(error, setmetatable({}, {__tostring = function() error("x") end}))]]
    assert.matches("SAYS", output)
    assert.matches("__tostring failed", output)
  end)

  it("that is a bare table shows its fields on one line, sorted, with the traceback", function()
    local output = run [[
local function culprit() error {code = 7, message = "two\nlines", cause = {"a", {deep = {deeper = {}}}}} end
ml.spawn(function() culprit() return 1 end)]]
    assert.matches('awaited it: {cause = {"a", {deep = {...}}}, code = 7, message = "two\\nlines"}\n', output, 1, true)
    assert.matches("in upvalue 'culprit'", output)
  end)

  it("that is a table without end is shown up to a bound; a cycle is", function()
    local output = run [[
local t = {self = {}}
t.self.self = t
for i = 1, 1000 do t[i] = ("é"):rep(300) end
ml.spawn(error, t)
local many = {[true] = 1}
for i = 1, 100 do many["key" .. 100 + i] = i end
ml.spawn(error, many)]]
    assert.is_true(#output < 4000)
    assert.truthy(utf8.len(output))
    assert.matches("nobody awaited it: {key101 = 1, key102 = 2", output, 1, true)
    assert.matches("key112 = 12, ...}", output, 1, true)
  end)

  it("that is a table of a class is called by the class's __name", function()
    local output = run [[ml.spawn(error, setmetatable({id = 3}, {__name = "Failure"}))]]
    assert.matches("nobody awaited it: Failure {id = 3}", output, 1, true)
  end)

  it("in the cleanup of what a gather cancelled is reported, not lost", function()
    local output = run [[
pcall(ml.gather, function()
  local _ <close> = setmetatable({}, {__close = function() error("in cleanup") end})
  ml.sleep(9)
end, function() ml.sleep(0.01) error("first") end)]]
    assert.equal(1, count(output, "in cleanup"))
    assert.equal(0, count(output, "first"))
  end)
end)

describe("the main script", function()
  it("that fails prints its traceback and exits 1", function()
    local output, status = run [[
local function culprit() ml.sleep(0) error("main failed") end
culprit()
]]
    assert.equal(1, status)
    assert.equal(1, count(output, "main failed"))
    assert.matches("stack traceback:.*culprit", output)
  end)

  it("that fails with a bare table shows what it was, whether in a task, a group or a job", function()
    local code = "error({message = 'it', status = 503})"
    for _, body in ipairs {
      code, "ml.spawn(function() " .. code .. " end):await()",
      "ml.executor.run(function() " .. code .. " end)",
      "ml.group(function(g) for _ = 1, 2 do g:spawn(function() " .. code .. " end) end end)",
      "ml.any(function() " .. code .. " end)",
      "local e = ml.gather({function() " .. code .. " end}, {return_errors = true})[1] print(e.message)",
    } do
      local output = run(body)
      assert.matches('{message = "it", status = 503}', output, 1, true)
    end
    local output = run "ml.executor.run(function() error {a = 1} end)"
    assert.matches("{a = 1}\nstack traceback:", output, 1, true)
  end)

  it("that fails with a task's error shows both tracebacks", function()
    local output, status = run [[
local function culprit() error("from the task") end
local t = ml.spawn(function() culprit() return 1 end)
local v = t:await()
return v]]
    assert.equal(1, status)
    assert.equal(1, count(output, "from the task"))
    assert.matches("culprit", output)
    assert.matches("in task %d+, spawned at .-:3", output)
  end)

  it("that waits for what can no longer happen is told, and does not hang", function()
    local output, status = run [[
local a, b
a = ml.spawn(function() ml.sleep(0) return b:await() end)
b = ml.spawn(function() return a:await() end)
a:await()]]
    assert.equal(1, status)
    assert.matches("can never happen", output)
  end)

  it("ends when its last task has", function()
    local output, status = run [[ml.spawn(function() ml.sleep(0.05) print("last") end) print("main")]]
    assert.equal("main\nlast\n", output)
    assert.equal(0, status)
  end)

  it("CX-19 ends at once when the sleep it would wait for is cancelled", function()
    local before = os.time()
    local _, status = run [[local t = ml.spawn(ml.sleep, 60) ml.sleep(0) t:cancel()]]
    assert.equal(0, status)
    assert.is_true(os.time() - before < 30)
  end)
end)

describe("os.exit in a task", function()
  it("sets the status, cleans up all tasks, and the code after it does not run", function()
    local output, status = run [[
ml.spawn(function()
  local _ <close> = setmetatable({}, {__close = function() print("cleaned") end})
  ml.sleep(60)
end)
ml.sleep(0)
pcall(os.exit, 7)
print("not reached")]]
    assert.equal("cleaned\n", output)
    assert.equal(7, status)
  end)

  it("takes true and false as Lua's own does", function()
    assert.equal(0, select(2, run [[os.exit(true)]]))
    assert.equal(1, select(2, run [[os.exit(false)]]))
    assert.equal(3, select(2, run [[ml.spawn(os.exit, 3) ml.sleep(60)]]))
  end)
end)

it("an error in __gc is printed as a warning", function()
  local output = run [[setmetatable({}, {__gc = function() error("finalizer") end}) collectgarbage()]]
  assert.matches("warning.*finalizer", output)
end)

it("TK-11 waiting and spawning outside of a task are clear errors", function()
  -- a finalizer that runs when the Lua state is closed is outside of every task
  local output, status = run [[
setmetatable({}, {__gc = function() print(pcall(ml.sleep, 0)) print(pcall(ml.spawn, print)) end})]]
  assert.equal(0, status)
  assert.matches("outside of a task", output)
end)
