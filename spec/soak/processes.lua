-- Programs that end in every way, many at a time: moonloop spec/soak/processes.lua [PROGRAMS [TASKS [SEED]]]
--
-- TASKS (20) at a time run PROGRAMS (10,000) in all: with and without output and input, with limits of time
-- and output, killed, cancelled, in groups, through streams that are left in the middle, and such as cannot be
-- started. Afterwards nothing may be left: no process, no descriptor, no task, and no memory that grows with
-- each part of the run. The seed is printed; the same seed gives the same programs.
local left = require "spec.support.left"
local ml = require "moonloop"

local random = math.random
local run, spawn = ml.process.run, ml.process.spawn

local PARTS = 4
local GROWTH = 4096 -- kB from the second part to the last

local function check(condition, ...)
  if not condition then error((...):format(select(2, ...)), 2) end
  return condition
end

-- --- what a task does with a program ---

local ways = {}

function ways.code()
  local code = random(0, 255)
  check(assert(run { shell = "exit " .. code }).code == code, "another code")
end

function ways.both_ways()
  local text = ("0123456789"):rep(random(0, 20000))
  check(assert(run { "cat", stdin = text }).stdout == text, "other bytes than those it was given")
end

function ways.pieces()
  local pieces_left = random(0, 20)
  local function piece()
    pieces_left = pieces_left - 1
    if random(3) == 1 then ml.sleep(0) end
    return pieces_left >= 0 and ("x"):rep(1000) or nil
  end
  local bytes = pieces_left * 1000
  check(#assert(run { "cat", stdin = piece }).stdout == bytes, "not all pieces")
end

function ways.too_much()
  local _, err = run { "head", "-c", 1000000, "/dev/zero", max_output = random(0, 100000) }
  check(err and err.kind == "limit", "no limit")
end

function ways.too_long()
  local _, err = run { "sleep", 1000, timeout = random(0, 20) / 1000, group = random(2) == 1 }
  check(err and err.kind == "timeout" and err.result.signal, "no end")
end

function ways.stubborn()
  local _, err = run { shell = "trap '' TERM; while :; do :; done", timeout = 0.01, kill_after = 0.01 }
  check(err and err.kind == "timeout", "no end")
end

function ways.cancelled()
  local task = ml.spawn(run, { shell = "seq 1000; exec sleep 1000", stdin = ("x"):rep(100000) })
  ml.sleep(random(0, 10) / 1000)
  task:cancel()
  ml.catch(task.await, task)
  check(task:status() == "cancelled", "it is %s", task:status())
end

function ways.missing()
  local _, err = run { "no-such-program" }
  check(err.code == "ENOENT", "code %s", err.code)
  _, err = spawn { "true", cwd = "/no/such" }
  check(err.code == "ENOENT", "code %s", err.code)
end

function ways.conversation()
  local p <close> = assert(spawn { "cat" })
  for i = 1, random(0, 10) do
    assert(p.stdin:write("line ", i, "\n"))
    check(p.stdout:read() == "line " .. i, "another line")
  end
end

function ways.left()
  local p <close> = assert(spawn { shell = "seq 100000", kill_after = random(0, 1) })
  for _ = 1, random(0, 100) do p.stdout:read() end
  if random(2) == 1 then p:kill "KILL" end
end

function ways.pipe()
  local source <close> = assert(spawn { "seq", 1000 })
  local lines = assert(run { "wc", "-l", stdin = source.stdout }).stdout
  check(tonumber(lines) == 1000, "%s lines", lines)
end

function ways.forgotten() assert(spawn { "true", stdin = false, stdout = "null", stderr = "null" }) end

-- --- what is left ---

local descriptors, children = left.descriptors, left.children

local function status(name)
  local file <close> = assert(io.open "/proc/self/status")
  return tonumber(file:read "a":match(name .. ":%s+(%d+)"))
end

local function resident() return status "VmRSS" end

--- Sanitizers map terabytes, and keep what is freed.
local function is_sanitized() return status "VmSize" > 1 << 30 end

--- Waits for programs that are ended in the background.
local function settle()
  for _ = 1, 1000 do
    collectgarbage()
    collectgarbage()
    if children() == 0 then return end
    ml.sleep(0.01)
  end
end

local programs, tasks, seed = tonumber(arg[1] or 10000), tonumber(arg[2] or 20), tonumber(arg[3] or os.time())
print("seed " .. seed)
math.randomseed(seed)

local names = {}
for name in pairs(ways) do names[#names + 1] = name end
table.sort(names)

local function part(count)
  local list = {}
  for i = 1, count do list[i] = names[random(#names)] end
  ml.map(list, function(name)
    local ok, err = pcall(ways[name])
    if not ok then error(("%s: %s"):format(name, tostring(err)), 0) end
  end, { limit = tasks })
  settle()
end

part(math.min(200, programs))
local before, memory = descriptors(), nil
for i = 1, PARTS do
  part(programs // PARTS)
  print(("part %d: %d descriptors, %d children, %d tasks, %d kB"):format(i, descriptors(), children(), #ml.tasks(),
    resident()))
  check(descriptors() == before, "descriptors were %d and are %d", before, descriptors())
  check(children() == 0, "%d processes are left", children())
  check(#ml.tasks() == 1, "%d tasks are left", #ml.tasks() - 1)
  if i == 2 then memory = resident() end
end
check(is_sanitized() or resident() < memory + GROWTH, "memory has grown from %d to %d kB", memory, resident())
