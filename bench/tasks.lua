-- What tasks cost: build/release/moonloop bench/tasks.lua [ROUNDS]
--
-- Prints the median of each measure over the rounds, which are interleaved so that a slow period
-- of the machine touches all measures alike. A measure of a whole process (memory, start-up) runs
-- in a process of its own: this file again, with the measure's name.
local ml = require "moonloop"

local exe = assert(io.popen("readlink /proc/$PPID/exe")):read("l")
local this = arg[0]

--- Seconds that `f` takes.
local function seconds(f)
  local start = ml.now()
  f()
  return ml.now() - start
end

--- Resident bytes of a process, this one by default.
local function resident(pid)
  local file = assert(io.open("/proc/" .. (pid or "self") .. "/statm"))
  local _, pages = file:read("n", "n")
  file:close()
  return pages * 4096
end

local function quote(s) return "'" .. s:gsub("'", "'\\''") .. "'" end

--- The numbers that a process prints, in a list.
local function numbers_of(command)
  local pipe = assert(io.popen(command))
  local list = {}
  for number in pipe:lines("n") do list[#list + 1] = number end
  assert(pipe:close(), command)
  return list
end

local alone = {}

--- One million tasks asleep at once. They start when this task first suspends, and all of them
--- sleep when it runs again.
function alone.million()
  local n = 1000000
  local function sleeper() ml.sleep(4) end
  local bytes, cpu = resident(), os.clock()
  for _ = 1, n do ml.spawn(sleeper) end
  ml.sleep(0)
  ml.sleep(0)
  bytes = resident() - bytes
  ml.sleep(4.5)
  print(bytes / n, os.clock() - cpu)
end

if arg[1] and alone[arg[1]] then return alone[arg[1]]() end

local rounds = math.tointeger(tonumber(arg[1] or 5))
assert(rounds and rounds > 0, "the argument is a number of rounds")

local function switch()
  local tasks, turns = 100, 10000
  local list = {}
  for i = 1, tasks do
    list[i] = function()
      for _ = 1, turns do ml.sleep(0) end
    end
  end
  return seconds(function() ml.gather(list) end) / (tasks * turns) * 1e9
end

local function spawn_await()
  local n = 100000
  local function f() return 1 end
  return seconds(function()
    for _ = 1, n do ml.spawn(f):await() end
  end) / n * 1e9
end

local function gather_sleeps()
  local list = {}
  for i = 1, 10000 do
    list[i] = function() ml.sleep(0.01) end
  end
  return seconds(function() ml.gather(list) end) * 1e3
end

--- Twenty starts in a row by one shell: with the shell's fork, as a user would see it.
local function start_up()
  local n = 20
  local command = ("for i in $(seq %d); do %s -e ''; done"):format(n, quote(exe))
  return seconds(function() assert(os.execute(command)) end) / n * 1e3
end

local function server_memory()
  local app = os.tmpname()
  local file = assert(io.open(app, "w"))
  file:write('local app = require("moonloop").web.app()\n',
    'app:get("/", function() return "hello" end)\nreturn app\n')
  file:close()
  -- The server tells its address when it listens; it ends with the shell that reads it.
  local script = ([[
    %s serve %s --port 0 >%s.out 2>&1 & pid=$!
    while ! grep -q http:// %s.out; do kill -0 $pid || exit 1; sleep 0.01; done
    sed -n 's/^VmRSS: *\([0-9]*\).*/\1/p' /proc/$pid/status
    kill -TERM $pid; wait $pid; rm -f %s.out]]):format(quote(exe), app, app, app, app)
  local kilobytes = numbers_of(script)[1]
  os.remove(app)
  return kilobytes / 1000
end

local function million() return table.unpack(numbers_of(quote(exe) .. " " .. quote(this) .. " million")) end

local measures = {
  { switch, { "task switch, sleep(0) among 100 tasks", "ns" } },
  { spawn_await, { "spawn and await, one after the other", "ns" } },
  { gather_sleeps, { "gather of 10,000 sleeps of 10 ms", "ms" } },
  { start_up, { 'start-up: moonloop -e ""', "ms" } },
  { server_memory, { "idle server, resident", "MB" } },
  { million, { "one million sleeping tasks, each", "bytes" }, { "one million sleeping tasks, CPU", "s" } },
}

local found = {} -- by label, a list of values
for _ = 1, rounds do
  for _, measure in ipairs(measures) do
    collectgarbage()
    local values = { measure[1]() }
    for i, value in ipairs(values) do
      local label = measure[i + 1]
      found[label] = found[label] or {}
      table.insert(found[label], value)
    end
  end
end

print(("medians of %d rounds (lowest to highest)"):format(rounds))
for _, measure in ipairs(measures) do
  for i = 2, #measure do
    local values = found[measure[i]]
    table.sort(values)
    print(("%-40s %8.4g %-5s (%.4g to %.4g)"):format(measure[i][1], values[(#values + 1) // 2],
      measure[i][2], values[1], values[#values]))
  end
end
