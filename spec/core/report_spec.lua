-- Reports on stderr: each spec runs a script in a separate process.
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
require "moonloop.clock".virtual()
local a, b, c = ml.spawn(error, "A"), ml.spawn(error, "B"), ml.spawn(error, "C")
ml.sleep(0.01)
pcall(a.await, a)
pcall(ml.gather, b)
ml.gather({c}, {return_errors = true})
ml.sleep(1.2)]]
    assert.equal("", output)
  end)

  it("is not reported if it is a cancel", function()
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

  it("that is a huge table is shown up to a bound; so is a cycle", function()
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

  it("that waits for what can no longer happen is told so, and does not hang", function()
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
    local _, status = run [[local t = ml.spawn(ml.sleep, 1000) ml.sleep(0) t:cancel()]]
    assert.equal(0, status)
    assert.is_true(os.time() - before < 250)
  end)
end)

describe("an error in the clean-up of the main script", function()
  local ends = {
    ["os.exit in it"] = { "os.exit(3)", 3 },
    ["os.exit in another task"] = { "ml.spawn(os.exit, 4) ml.sleep(60)", 4 },
    ["SIGTERM"] = { "os.execute('kill -TERM ' .. io.open('/proc/self/stat'):read('n')) ml.sleep(60)", 143 },
    ["its cancel"] = { "ml.current():cancel() ml.sleep(60)", 1 },
  }
  for what, how in pairs(ends) do
    it("that " .. what .. " has started is reported", function()
      local output, status = run([[
local function closer(text) return setmetatable({}, { __close = function() error(text, 0) end }) end
ml.spawn(function()
  local _ <close> = closer "of a task"
  ml.sleep(60)
end)
ml.sleep(0)
local _ <close> = closer "of the main script"
]] .. how[1])
      assert.equal(how[2], status)
      assert.equal(1, count(output, "moonloop: of the main script\nstack traceback:"))
      assert.equal(1, count(output, "of the main script"))
      assert.equal(1, count(output, "nobody awaited it: of a task"))
    end)
  end
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

describe("a failure that was watched but not passed on", function()
  --- Runs a script whose task `victim` fails with "lost" while `watch` is under way, then is cut off.
  local cases = {
    ["gather{return_errors}"] = [[cut(function() ml.gather({ fail, forever }, { return_errors = true }) end)]],
    ["gather{return_errors} of a task"] = [[
      local victim = ml.spawn(fail)
      cut(function() ml.gather({ victim, forever }, { return_errors = true }) end)]],
    ["any"] = [[cut(function() ml.any(fail, forever) end)]],
    ["any, with a limit"] = [[ml.timeout(0.1, ml.any, fail, forever)]],
    ["gather, before it failed"] = [[
      local victim = ml.spawn(fail_late)
      cut(function() ml.gather(victim, forever) end)]],
    ["race, before it failed"] = [[
      local victim = ml.spawn(fail_late)
      cut(function() ml.race(victim, forever) end)]],
    ["race, while another has won"] = [[
      local victim = ml.spawn(fail_late)
      ml.race(victim, function() end)]],
    ["wait"] = [[cut(function() ml.wait { ml.spawn(fail), ml.spawn(ml.sleep, 9) } end)]],
    ["wait, before it failed"] = [[cut(function() ml.wait { ml.spawn(ml.shield, fail_late) } end)]],
    ["wait{mode = first}, after it has returned"] = [[
      ml.wait({ ml.spawn(ml.sleep, 0), ml.spawn(fail_late) }, { mode = "first" })]],
    ["wait{timeout}, after it has returned"] = [[ml.wait({ ml.spawn(fail_late) }, { timeout = 0.1 })]],
    ["as_completed"] = [[
      local victim = ml.spawn(function() ml.sleep(0.05) fail() end)
      cut(function()
        for _ in ml.as_completed { ml.spawn(function() end), victim } do ml.sleep(9) end
      end)]],
    ["as_completed, which is left"] = [[
      for _ in ml.as_completed { ml.spawn(function() end), ml.spawn(fail) } do
        ml.sleep(0.1)
        break
      end]],
    ["as_completed, which is left before it failed"] = [[
      for _ in ml.as_completed { ml.spawn(function() end), ml.spawn(fail_late) } do break end]],
    ["as_completed outside of a loop"] = [[
      ml.as_completed { ml.spawn(fail) }
      ml.sleep(0.1)
      collectgarbage()
      collectgarbage()]],
    ["await, before it failed"] = [[
      local victim = ml.spawn(fail_late)
      cut(function() victim:await() end)]],
    ["await, with a limit"] = [[
      local victim = ml.spawn(fail_late)
      ml.timeout(0.1, victim.await, victim)]],
    ["a call of a pool"] = [[ml.executor.new { threads = 1 }:start(function() error "lost" end)]],
    ["the progress of a call of a pool"] = [[
      for _ in ml.executor.new { threads = 1 }:start(function() error "lost" end):progress() do end]],
    ["a group that was not left"] = [[
      ml.spawn(function()
        ml.group():spawn(fail_late)
      end)]],
  }
  local prelude = [[
local function fail() ml.sleep(0) error "lost" end
local function fail_late() ml.sleep(0.5) error "lost" end
local function forever() ml.sleep(1000) end
local function cut(f)
  local task = ml.spawn(f)
  ml.sleep(0.1)
  task:cancel()
  ml.wait { task }
end
]]
  for name, code in pairs(cases) do
    it("is reported in time: " .. name, function()
      local clock = code:find "executor" and "" or 'require "moonloop.clock".virtual() '
      local output, status = run(clock .. prelude .. code .. '\nml.sleep(3) print "the end"')
      assert.equal(0, status)
      assert.equal(1, count(output, "lost\n"), output)
      assert.matches("nobody awaited it: .-lost\n.-stack traceback:.-the end", output)
    end)
    it("is reported at the end of the program: " .. name, function()
      local output = run(prelude .. code)
      assert.equal(1, count(output, "lost\n"), output)
    end)
  end

  it("is not reported while somebody watches it, nor after it was passed on", function()
    local output = run([[require "moonloop.clock".virtual() ]] .. prelude .. [[
local victim = ml.spawn(fail)
ml.sleep(0.5)
local function slow() ml.sleep(5) end
ml.gather({ victim, slow }, { return_errors = true })
ml.any(slow, fail)
pcall(ml.any, fail, { function() ml.sleep(5) error "too" end })
local other = ml.spawn(fail)
ml.sleep(0.5)
for _ in ml.as_completed { ml.spawn(function() end), ml.spawn(fail), other } do ml.sleep(5) end
ml.wait { ml.spawn(fail), ml.spawn(slow) }
ml.wait({ ml.spawn(fail) }, { timeout = 0.1 })
ml.sleep(5)
]])
    assert.equal("", output)
  end)

  it("is not reported while another watcher remains", function()
    local output = run([[require "moonloop.clock".virtual() ]] .. prelude .. [[
local victim = ml.spawn(fail)
local heard = ml.spawn(ml.gather, { victim, function() ml.sleep(5) end }, { return_errors = true })
cut(function() ml.gather({ victim, forever }, { return_errors = true }) end)
heard:await()
ml.sleep(5)
]])
    assert.equal("", output)
  end)

  it("does not hide that a program waits for ever", function()
    local output, status = run([[
ml.gather({ function() error "watched" end, function() ml.future():await() end }, { return_errors = true })]])
    assert.equal(1, status)
    assert.matches("can never happen", output)
    assert.matches("watched", output)
  end)
end)

describe("a deadline that no block closes", function()
  it("is reported with its line, once, whether the collector or the end of the task comes first", function()
    for _, code in ipairs {
      "ml.deadline(10)\ncollectgarbage() collectgarbage() print 'on'",
      "local d = ml.deadline(10)\nprint 'on' return d",
      "for _ = 1, 3 do ml.spawn(function() ml.deadline(10) end) end print 'on'",
    } do
      local output, status = run(code)
      assert.equal("moonloop: the deadline set at SCRIPT:2 has no block: keep it in a to-be-closed variable, " ..
        "local d <close> = ml.deadline(seconds)\n", (output:gsub("on\n", "", 1)))
      assert.equal(0, status)
    end
  end)

  it("is not reported if an abandoned coroutine held it, nor at the end of a program", function()
    assert.equal("", (run [[
      local d <close> = ml.deadline(10)
      local co = coroutine.wrap(function() local inner <close> = ml.deadline(5) coroutine.yield() end)
      co()
      co = nil
      collectgarbage()
      ml.spawn(function() local other <close> = ml.deadline(10) ml.sleep(5) end)
      ml.sleep(0)
      os.exit(0)]]))
  end)
end)
