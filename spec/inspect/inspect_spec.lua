-- ml.tasks and ml.dump: what is alive, and what it waits for.
local clock = require "moonloop.clock"
local eventually = require("spec.support.tasks").eventually
local ml = require "moonloop"
local rawtcp = require("spec.support").rawtcp

-- The entry of a task in ml.tasks(), or nil.
local function entry(task)
  for _, e in ipairs(ml.tasks()) do
    if e.id == task.id then return e end
  end
end

-- The lines of a dump that contain the plain text.
local function lines(dump, text)
  local found = {}
  for line in dump:gmatch("[^\n]+") do
    if line:find(text, 1, true) then found[#found + 1] = line end
  end
  return found
end

-- The one line of a new dump that is about the task.
local function line_of(task)
  local found = {}
  for line in ml.dump():gmatch("[^\n]+") do
    if line:match("#(%d+)") == tostring(task.id) then found[#found + 1] = line end
  end
  assert.equal(1, #found, ml.dump())
  return found[1]
end

local function here()
  local info = debug.getinfo(2, "Sl")
  return info.short_src .. ":" .. info.currentline
end

describe("ml.tasks", function()
  local tasks
  local function spawn(...)
    local task = ml.spawn(...)
    tasks[#tasks + 1] = task
    return task
  end
  before_each(function() tasks = {} end)
  after_each(function()
    for _, task in ipairs(tasks) do task:cancel() end
  end)

  it("describes a task", function()
    clock.virtual()
    local task, site = ml.spawn(ml.sleep, 100), here()
    tasks[1] = task
    task.name = "sleeper"
    local e = entry(task)
    assert.equal("pending", e.status)
    assert.is_nil(e.waiting_for)
    ml.sleep(2.5)
    e = entry(task)
    assert.equal(task, e.task)
    assert.equal(task.id, e.id)
    assert.equal("sleeper", e.name)
    assert.equal("suspended", e.status)
    assert.equal("sleep for 97.500 s more", e.waiting_for)
    assert.is_true(math.abs(e.age - 2.5) < 1e-6, tostring(e.age))
    assert.equal("number", type(e.cpu))
    assert.equal(ml.current().id, e.parent)
    assert.matches("spec/inspect/inspect_spec.lua:%d+$", site)
    assert.equal(site, e.spawned_at)
  end)

  it("lists the caller, which is running, and no finished ones", function()
    local task = ml.spawn(function() end)
    assert.is_table(entry(task))
    task:await()
    assert.is_nil(entry(task))
    assert.equal("running", entry(ml.current()).status)
    assert.equal(ml.current(), entry(ml.current()).task)
  end)

  it("lists parents before their children", function()
    local inner
    local outer = spawn(function()
      inner = ml.spawn(ml.sleep, 100)
      ml.sleep(100)
    end)
    ml.sleep(0)
    local seen = {}
    for _, e in ipairs(ml.tasks()) do
      assert.is_true(e.parent == nil or seen[e.parent] ~= nil)
      seen[e.id] = e
    end
    assert.equal(outer.id, seen[inner.id].parent)
  end)

  it("tells what a task waits for: a sleep, a task, several, an HTTP request, a job, a queue, a module", function()
    local listener = assert(rawtcp.listen())
    finally(function() listener:close() end)
    local endless = spawn(ml.sleep, math.huge)
    endless.name = "endless"
    local awaiting = spawn(function() endless:await() end)
    local requesting = spawn(function()
      return ml.http.get(("http://user:secret@127.0.0.1:%d/private?x=1"):format(listener.port))
    end)
    local working = spawn(function()
      return ml.executor.run(function()
        local until_ = os.clock() + 100
        while os.clock() < until_ do end
      end)
    end)
    local gathering = spawn(function() ml.gather {ml.current, endless, working} end)
    local queue = ml.queue()
    local getting = spawn(function() queue:get() end)
    package.preload["spec.slow_module"] = function() ml.sleep(100) end
    local loading = spawn(require, "spec.slow_module")
    local second = spawn(require, "spec.slow_module")
    eventually(function() return (entry(working).waiting_for or ""):find "^a job on the executor, running" end)
    assert.equal("sleep without an end", entry(endless).waiting_for)
    assert.equal(("task %d (endless)"):format(endless.id), entry(awaiting).waiting_for)
    assert.equal("http request GET http://127.0.0.1:" .. listener.port, entry(requesting).waiting_for)
    assert.matches("^a job on the executor, running, submitted %d+%.%d+ s ago$", entry(working).waiting_for)
    assert.equal(("2 of 3 tasks, the first is task %d"):format(endless.id), entry(gathering).waiting_for)
    assert.equal("an item of a queue", entry(getting).waiting_for)
    assert.matches("^sleep for ", entry(loading).waiting_for)
    assert.equal("a module that another task loads", entry(second).waiting_for)
    package.preload["spec.slow_module"] = nil
  end)

  it("says that a job is in the executor's queue", function()
    local pool = ml.executor.new {threads = 1}
    local function burn()
      local until_ = os.clock() + 100
      while os.clock() < until_ do end
    end
    spawn(function() pool:run(burn) end)
    local queued = spawn(function() pool:run(burn) end)
    ml.sleep(0.01)
    assert.matches("^a job on the executor, in its queue, submitted %d", entry(queued).waiting_for)
    for _, task in ipairs(tasks) do task:cancel() end
    pool:close()
  end)

  it("charges CPU time to the task that uses it", function()
    local function burn(seconds)
      local until_ = os.clock() + seconds
      while os.clock() < until_ do
        local pause = os.clock() + 0.001
        while os.clock() < pause do end
        ml.sleep(0)
      end
    end
    local burner = spawn(function() burn(0.4) ml.sleep(100) end)
    local idler = spawn(ml.sleep, 100)
    while not (entry(burner).waiting_for or ""):find("^sleep for 9") do ml.sleep(0.01) end
    local used = entry(burner).cpu
    assert.is_true(used > 0.1 and used < 1, tostring(used))
    assert.is_true(entry(idler).cpu < used / 2, tostring(entry(idler).cpu))
  end)
end)

describe("ml.dump", function()
  local tasks
  local function spawn(...)
    local task = ml.spawn(...)
    tasks[#tasks + 1] = task
    return task
  end
  before_each(function() tasks = {} end)
  after_each(function()
    for _, task in ipairs(tasks) do task:cancel() end
  end)

  it("is a tree of all tasks with state, age, CPU time and spawn site", function()
    clock.virtual()
    local inner
    local function body()
      inner = ml.spawn(ml.sleep, 100)
      inner:await()
    end
    local outer, site = ml.spawn(body), here()
    tasks[1] = outer
    outer.name = "outer"
    ml.sleep(1)
    local dump = ml.dump()
    assert.matches("^moonloop %d+: %d+ tasks?, cpu [%d.]+ s\n", dump)
    local outer_line, inner_line = line_of(outer), line_of(inner)
    assert.matches(("^ *#%d outer: waits for task %d, age 1 s, cpu "):format(outer.id, inner.id), outer_line)
    assert.matches(": waits for sleep for 99.000 s more, age 1 s, cpu [%d.]+ s, spawned at ", inner_line)
    assert.equal(#outer_line:match("^ *") + 2, #inner_line:match("^ *"))
    assert.equal(1, #lines(dump, "spawned at " .. site))
    assert.matches(": running, age ", line_of(ml.current()))
  end)

  it("shows tasks that have not started, are ready, are cancelled, or clean up", function()
    local fresh = spawn(function() end)
    assert.matches(": not started yet, age", line_of(fresh))
    local ready = spawn(function() ml.sleep(0) end)
    ml.sleep(0)
    assert.matches(": ready to go on, age", line_of(ready))
    local parent = spawn(function()
      local child = ml.spawn(function()
        local _ <close> = setmetatable({}, {__close = function() ml.spawn(ml.sleep, 0.01) end})
        ml.sleep(100)
      end)
      child:await()
    end)
    ml.sleep(0)
    parent:cancel()
    assert.matches(", cancelled, age", line_of(parent))
  end)

  it("counts 10,000 equal tasks as one entry, and adds up", function()
    local function nap() ml.sleep(100) end
    spawn(function()
      for _ = 1, 10000 do ml.spawn(nap) end
      ml.sleep(100)
    end)
    spawn(function()
      for i = 1, 1000 do
        ml.spawn(function() ml.spawn(nap) ml.sleep(100 + i) end)
      end
      ml.sleep(100)
    end)
    ml.sleep(0) ml.sleep(0) ml.sleep(0)
    local dump = ml.dump()
    assert.matches("\n +10000 times #%d+: waits for sleep", dump)
    assert.matches("\n +1000 times #%d+: waits for sleep", dump)
    assert.is_true(#dump < 4000, "too long: " .. #dump)
    assert.is_true(tonumber(dump:match("(%d+) tasks")) >= 12002)
  end)

  it("keeps apart what differs: name, place, state, what is waited for, children", function()
    local names = {"one", "two"}
    for i = 1, 2 do spawn(function() ml.sleep(100) end).name = names[i] end
    spawn(ml.sleep, 100)
    spawn(ml.sleep, math.huge)
    for i = 1, 2 do
      spawn(function()
        if i == 1 then ml.spawn(ml.sleep, 100) end
        ml.sleep(100)
      end)
    end
    ml.sleep(0)
    local dump = ml.dump()
    assert.equal(1, #lines(dump, " times "), dump) -- the nap and the nap of the last function
    assert.matches("\n +2 times #%d+", dump)
    spawn(ml.sleep, 50) spawn(ml.sleep, 60)
    ml.sleep(0)
    assert.matches("\n +4 times #%d+", ml.dump()) -- with those that differ in the seconds only
  end)

  it("shows with {traceback = true} where each task is", function()
    local function deep() ml.sleep(100) end
    local task = spawn(function() deep() return 1 end)
    ml.sleep(0)
    local dump = ml.dump {traceback = true}
    local part = dump:sub((dump:find("#" .. task.id .. ":", 1, true)))
    assert.matches("^[^\n]+\n +%[C%]: in [%w ]*'sleep'\n +spec/inspect/inspect_spec.lua:%d+: in [%w ]*'deep'\n", part)
    assert.is_nil(ml.dump():find("[C]", 1, true))
  end)

  it("shows the place of a task that waits inside coroutines", function()
    local function inner_nap() ml.sleep(100) end
    local function body()
      local co = coroutine.create(function() coroutine.wrap(inner_nap)() end)
      coroutine.resume(co)
    end
    local task = spawn(body)
    ml.sleep(0)
    local dump = ml.dump {traceback = true}
    local part = dump:sub((dump:find("#" .. task.id .. ":", 1, true)))
    assert.matches("^[^\n]+\n[^\n]+'sleep'\n +spec/[^\n]+\n +in a coroutine that was resumed by\n", part)
    assert.equal(2, #lines(part, "in a coroutine that was resumed by"))
    local own = coroutine.wrap(function() return ml.dump {traceback = true} end)()
    assert.matches("running, [^\n]+\n[^\n]+'dump'\n", own)
  end)

  it("shortens long tracebacks", function()
    local function down(n)
      if n > 0 then return 1 + down(n - 1) end
      ml.sleep(100)
      return 0
    end
    spawn(down, 1000)
    ml.sleep(0)
    local dump = ml.dump {traceback = true}
    assert.matches("\n +%.%.%. %(%d+ more%)\n", dump)
    assert.is_true(#lines(dump, "inspect_spec.lua") < 100)
  end)

  it("copes with a chain of 2,000 tasks, each the child of the one before", function()
    local function chain(n)
      if n > 0 then ml.spawn(chain, n - 1) end
      ml.sleep(100)
    end
    spawn(chain, 2000)
    for _ = 1, 2010 do ml.sleep(0) end
    assert.equal(2001, #lines(ml.dump(), "sleep for"))
  end)

  it("refuses other arguments", function()
    assert.has_error(function() ml.dump(1) end)
  end)
end)
