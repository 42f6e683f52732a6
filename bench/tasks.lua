-- What tasks cost: build/release/moonloop bench/tasks.lua [ROUNDS]
--
-- Prints the median of each measure over the rounds, which are interleaved so that a slow period
-- of the machine touches all measures alike. Each measure runs in a process of its own: this file
-- again, with the measure's name. `common` instead of ROUNDS gives what bench/run compares.
local ml = require "moonloop"

local exe = assert(io.popen("readlink /proc/$PPID/exe")):read("l")

local function quote(s) return "'" .. s:gsub("'", "'\\''") .. "'" end

--- Seconds that `f` takes.
local function seconds(f)
  local start = ml.now()
  f()
  return ml.now() - start
end

--- CPU seconds that `f` takes: the same when it never waits and the machine is idle.
local function cpu_seconds(f)
  local start = os.clock()
  f()
  return os.clock() - start
end

--- Resident bytes of this process.
local function resident()
  local file <close> = assert(io.open("/proc/self/statm"))
  local _, pages = file:read("n", "n")
  return pages * 4096
end

local measures = {}

--- CPU nanoseconds from one sleep(0) to the next, among 100 tasks that do the same.
function measures.switch()
  local tasks, turns = 100, 20000
  local list = {}
  for i = 1, tasks do
    list[i] = function()
      for _ = 1, turns do ml.sleep(0) end
    end
  end
  return cpu_seconds(function() ml.gather(list) end) / (tasks * turns) * 1e9
end

--- CPU nanoseconds for each task.
function measures.spawn_await()
  local n = 300000
  local function f() return 1 end
  return cpu_seconds(function()
    for _ = 1, n do ml.spawn(f):await() end
  end) / n * 1e9
end

--- Milliseconds. The first gather makes the threads, the second uses them again.
function measures.gather()
  local list = {}
  for i = 1, 10000 do
    list[i] = function() ml.sleep(0.01) end
  end
  local function gather() return seconds(function() ml.gather(list) end) * 1e3 end
  return gather(), gather()
end

--- Bytes for each of n sleeping tasks. They start when this task first suspends, and all of them sleep
-- when it runs again.
local function sleepers(n, duration)
  local function sleeper() ml.sleep(duration) end
  local bytes = resident()
  for _ = 1, n do ml.spawn(sleeper) end
  ml.sleep(0)
  ml.sleep(0)
  return (resident() - bytes) / n
end

--- Bytes for each of a million sleeping tasks, and the CPU seconds from start to end.
function measures.million()
  local cpu = os.clock()
  local bytes = sleepers(1000000, 4)
  ml.sleep(4.5)
  return bytes, os.clock() - cpu
end

--- Milliseconds for each of twenty starts in a row by one shell, with the shell's fork.
function measures.start_up()
  local n = 20
  local command = ("for i in $(seq %d); do %s -e ''; done"):format(n, quote(exe))
  return seconds(function() assert(os.execute(command)) end) / n * 1e3
end

--- Megabytes of `moonloop serve` when it has said that it listens.
function measures.server()
  local app = os.tmpname()
  local file = assert(io.open(app, "w"))
  file:write('local app = require("moonloop").web.app()\n',
    'app:get("/", function() return "hello" end)\nreturn app\n')
  file:close()
  local pipe = assert(io.popen(("echo $$; exec %s serve %s --port 0 2>&1"):format(quote(exe), app)))
  local pid = pipe:read("l")
  local said = pipe:read("l")
  local status <close> = assert(io.open("/proc/" .. pid .. "/status"))
  local kilobytes = status:read("a"):match("VmRSS:%s*(%d+)")
  os.execute("kill -TERM " .. pid)
  pipe:close()
  os.remove(app)
  assert(said and said:find("http://", 1, true), said)
  return kilobytes / 1000
end

if measures[arg[1]] then
  print(measures[arg[1]]())
  return
end

-- For bench/run: what its peers measure, too.
if arg[1] == "common" then
  print(("switch\t%.6g\tns"):format(measures.switch()))
  print(("spawn_await\t%.6g\tns"):format(measures.spawn_await()))
  print(("gather\t%.6g\tms"):format((select(2, measures.gather()))))
  print(("sleepers\t%.6g\tbytes"):format(sleepers(100000, 3600)))
  os.exit(0) -- nobody waits for the sleepers
end

local rounds = math.tointeger(tonumber(arg[1] or 5))
assert(rounds and rounds > 0, "the argument is a number of rounds")

--- What each measure gives: label and unit.
local plan = {
  { "switch", { "task switch, sleep(0) among 100 tasks", "ns" } },
  { "spawn_await", { "spawn and await, one after the other", "ns" } },
  { "gather", { "gather of 10,000 sleeps of 10 ms, first", "ms" },
    { "gather of 10,000 sleeps of 10 ms, again", "ms" } },
  { "start_up", { 'start-up: moonloop -e ""', "ms" } },
  { "server", { "idle server, resident", "MB" } },
  { "million", { "one million sleeping tasks, each", "bytes" },
    { "one million sleeping tasks, CPU in all", "s" } },
}

local found = {} -- by {label, unit}: the values of all rounds
for _ = 1, rounds do
  for _, measure in ipairs(plan) do
    local command = ("%s %s %s"):format(quote(exe), quote(arg[0]), measure[1])
    local pipe = assert(io.popen(command))
    for i = 2, #measure do
      local label = measure[i]
      found[label] = found[label] or {}
      table.insert(found[label], (assert(pipe:read("n"), command)))
    end
    assert(pipe:close(), command)
  end
end

print(("medians of %d rounds (lowest to highest)"):format(rounds))
for _, measure in ipairs(plan) do
  for i = 2, #measure do
    local values = found[measure[i]]
    table.sort(values)
    print(("%-40s %8.4g %-5s (%.4g to %.4g)"):format(measure[i][1], values[(#values + 1) // 2],
      measure[i][2], values[1], values[#values]))
  end
end
