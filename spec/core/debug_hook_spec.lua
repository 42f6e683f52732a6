-- debug.sethook beside the host's own hook: interrupts do not take events from a debugger, and the main
-- task's hook applies to all tasks.
-- luacheck: globals Hook Calls
local ml = require "moonloop"
local process = require "spec.support.process"
require "spec.support"
local hooks = require "hooks"

-- libtsan blocks all signals for good where two come at once: under it nothing here is sliced for long.
local maps <close> = assert(io.open "/proc/self/maps")
local has_libtsan = maps:read "a":find("libtsan", 1, true) ~= nil
local sliced = has_libtsan and function() end or describe

-- A function that does the same each time it is called, with every kind of call. (A to-be-closed
-- variable is not in it: Lua repeats the line that closes it when what it calls was suspended.)
local function work(n)
  local function deep(k) if k == 0 then return 0 end return 1 + deep(k - 1) end
  local function tail(k) if k == 0 then return 0 end return tail(k - 1) end
  local function several(...) return select("#", ...), ... end
  local index = setmetatable({}, {__index = function(_, key) return key end})
  local sum = 0
  for i = 1, n do
    sum = sum + deep(5) + tail(7) + (several(i, i)) + math.abs(-i) + index[3]
    pcall(error, i)
    for k = 1, 5 do sum = sum + k end
    table.sort({3, 1, 2}, function(a, b)
      return a < b
    end)
    while true do sum = sum + 1 if sum % 7 == 0 then break end end
  end
  return sum
end

-- Runs `f` as a task beside one that counts its turns: these, and f's results.
local function beside_others(slice, f)
  local turns, over = 0, false
  local other = ml.spawn(function()
    while not over do
      turns = turns + 1
      ml.sleep(0)
    end
  end)
  local results = table.pack(ml.spawn({f, slice = slice}):await())
  over = true
  other:await()
  return turns, table.unpack(results, 1, results.n)
end

-- work(n) under a hook: the turns of others, its result, and the events: their number and a sum that
-- depends on their order.
local function traced(slice, mask, n)
  return beside_others(slice, function()
    local events, order = 0, 0
    debug.sethook(function(event, line)
      events = events + 1
      order = (order * 31 + #event + (line or 0)) % 1000000007
    end, mask)
    local result = work(n)
    debug.sethook()
    return result, events, order
  end)
end

sliced("a hook of debug.sethook in a task with a time slice", function()
  for _, mask in ipairs {"cr", "l", "crl", "c", "r", "cl"} do
    it("sees the events of '" .. mask .. "' as without slices, and changes no result", function()
      local _, want, events, order = traced(nil, mask, 3000)
      local turns, result, found, found_order = traced(0.0002, mask, 3000)
      assert.equal(want, result)
      assert.equal(events, found)
      assert.equal(order, found_order)
      assert.is_true(turns > 10, "only " .. turns .. " turns")
    end)
  end

  it("does not change the result of a C function that a return event follows", function()
    local turns, wrong = beside_others(0.0002, function()
      local wrong = 0
      debug.sethook(function() end, "cr")
      for i = 1, 500000 do
        if math.abs(-i) ~= i then wrong = wrong + 1 end
      end
      debug.sethook()
      return wrong
    end)
    assert.equal(0, wrong)
    assert.is_true(turns > 10)
  end)

  it("is called after a number of instructions longer than a slice", function()
    local _, events = beside_others(0.0002, function()
      local events = 0
      debug.sethook(function(event) if event == "count" then events = events + 1 end end, "", 1000000)
      work(60000)
      debug.sethook()
      return events
    end)
    assert.is_true(events >= 4, "only " .. events .. " events")
  end)

  it("can be set for each coroutine", function()
    local turns, found = beside_others(0.0002, function()
      local counts, runs = {}, {}
      for i = 1, 4 do
        counts[i] = 0
        local co = coroutine.create(function()
          for _ = 1, 20 do
            work(30)
            coroutine.yield()
          end
        end)
        debug.sethook(co, function() counts[i] = counts[i] + 1 end, "cr")
        runs[i] = co
      end
      for _ = 1, 20 do
        for i = 1, 4 do assert(coroutine.resume(runs[i])) end
      end
      return counts
    end)
    for i = 2, 4 do assert.equal(found[1], found[i]) end
    assert.is_true(found[1] > 1000 and turns > 10)
  end)

  it("can be a C module's, and survives", function()
    local function counted(slice)
      return beside_others(slice, function()
        hooks.start(true, true)
        work(3000)
        return table.pack(hooks.stop())
      end)
    end
    local _, want = counted(nil)
    local turns, found = counted(0.0002)
    assert.is_true(turns > 10)
    assert.same({want[1], want[2]}, {found[1], found[2]})
    assert.is_true(math.abs(found[3] - want[3]) < want[3] / 100)
  end)

  it("may raise, and the task is preempted after it as before", function()
    local turns, caught = beside_others(0.0002, function()
      local caught, n = 0, 0
      debug.sethook(function()
        n = n + 1
        if n % 1000 == 0 then error("enough", 0) end
      end, "crl")
      for _ = 1, 3000 do
        local ok, err = pcall(work, 1)
        if not ok and err == "enough" then caught = caught + 1 end
      end
      debug.sethook()
      return caught
    end)
    assert.is_true(caught > 10 and turns > 10)
  end)
end)

describe("debug.gethook", function()
  local it_sliced = has_libtsan and function() end or it
  it_sliced("gives what debug.sethook was given, also while the host's hook is set", function()
    local function f() end
    local turns, same = beside_others(0.0002, function()
      local same = true
      debug.sethook(f, "crl", 70)
      for _ = 1, 200000 do
        local hook, mask, count = debug.gethook()
        same = same and hook == f and mask == "crl" and count == 70
      end
      debug.sethook()
      return same and debug.gethook() == nil
    end)
    assert.is_true(same)
    assert.is_true(turns > 10)
  end)

  it("returns no function for a C module's hook", function()
    hooks.start(true, false)
    local hook, mask = debug.gethook()
    hooks.stop()
    assert.equal("external hook", hook)
    assert.equal("cr", mask)
    assert.is_nil(debug.gethook())
  end)

  it("takes the same arguments as Lua's own", function()
    local co = coroutine.create(function() end)
    assert.is_nil(debug.gethook(co))
    local function f() end
    debug.sethook(co, f, "", 5)
    assert.same({f, "", 5}, {debug.gethook(co)})
    debug.sethook(co)
    assert.is_nil(debug.gethook(co))
    debug.sethook(co, f, "")
    assert.is_nil(debug.gethook(co))
    assert.has_error(function() debug.sethook(5, "c") end,
      "bad argument #1 to 'sethook' (function expected, got number)")
    assert.has_error(function() debug.sethook(f) end, "bad argument #2 to 'sethook' (string expected, got no value)")
  end)
end)

describe("a hook of the main task", function()
  it("applies to live tasks, to new tasks, and to handlers", function()
    local output, status = process.run [[
local seen = {}
local waits = ml.future()
local living = ml.spawn(function()
  waits:await()
  seen.living = true -- LINE 7
end)
ml.sleep(0)
debug.sethook(function(_, line)
  if debug.getinfo(2, "S").source == debug.getinfo(1, "S").source then seen[line] = true end
end, "l")
waits:resolve()
living:await()
ml.spawn(function()
  seen.started = true -- LINE 16
  ml.spawn(function()
    seen.child = true -- LINE 18
  end):await()
end):await()
local app = ml.web.app()
app:get("/", function()
  return "handler" -- LINE 23
end)
local server = ml.web.listen(app, {port = 0})
assert(ml.http.get("http://127.0.0.1:" .. server.port))
server:stop(0)
debug.sethook()
ml.spawn(function()
  seen.after = true -- LINE 30
end):await()
print(seen[7], seen[16], seen[18], seen[23], seen[30])]]
    assert.equal("true\ttrue\ttrue\ttrue\tnil\n", output)
    assert.equal(0, status)
  end)

  it("does not replace a task's own, which ends with the task", function()
    local output, status = process.run [[
local function own() end
local function of_main() end
local goes_on = ml.future()
local task = ml.spawn(function()
  debug.sethook(own, "c")
  goes_on:await()
  assert(debug.gethook() == own)
end)
ml.sleep(0)
debug.sethook(of_main, "l")
goes_on:resolve()
task:await()
for i = 1, 100 do
  ml.spawn(function() assert(debug.gethook() == of_main) end):await()
end
debug.sethook()
for i = 1, 100 do
  ml.spawn(function() assert(not debug.gethook()) end):await()
end
ml.spawn(function() debug.sethook(own, "l") end):await()
for i = 1, 100 do
  ml.spawn(function() assert(not debug.gethook()) end):await()
end
ml.spawn(function()
  ml.spawn(function() assert(not debug.gethook()) end):await()
end):await()]]
    assert.equal("", output)
    assert.equal(0, status)
  end)

  it("applies to all jobs of a pool whose init sets it; a job's own ends with the job", function()
    local pool <close> = ml.executor.new {threads = 1, init = function()
      function Hook() Calls = (Calls or 0) + 1 end
      debug.sethook(Hook, "c")
    end}
    local function has_it() return debug.gethook() == Hook and Calls > 0 end
    assert.is_true(pool:run(has_it))
    assert.is_true(pool:run(function() return require "moonloop".spawn(has_it):await() end))
    pool:run(function() debug.sethook(function() end, "l") end)
    assert.is_true(pool:run(has_it))
    local plain <close> = ml.executor.new {threads = 1}
    plain:run(function() debug.sethook(function() end, "l") end)
    assert.is_nil((plain:run(debug.gethook)))
  end)

  it("applies at the prompt until it is removed", function()
    local output = process.sh(([[printf '%%s\n' 'n = 0' 'debug.sethook(function() n = n + 1 end, "c")' 'print(1)' ]] ..
      [['before = n' 'ml.spawn(function() print(2) end):await()' 'n > before' 'debug.sethook()' 'n = 0' ]] ..
      [['print(3)' 'n' | %s repl]]):format(process.quote(require("spec.support").binary)))
    assert.matches("\ntrue\n", output)
    assert.matches("\n0\n", output)
  end)

  it("costs nothing if none is set: tasks start without one", function()
    for _ = 1, 10 do
      ml.spawn(function() assert.is_nil((debug.gethook())) end):await()
    end
  end)
end)
