-- The measures of bench/tasks.lua with cqueues, which lua-http runs on.
local cqueues = require "cqueues"
local condition = require "cqueues.condition"

local SLEEPERS = 100000

local function show(name, value, unit) print(("%s\t%.6g\t%s"):format(name, value, unit)) end

local function resident()
  local file <close> = assert(io.open "/proc/self/statm")
  local _, pages = file:read("n", "n")
  return pages * 4096
end

--- Runs `f` in `n` coroutines until all have ended.
local function at_once(n, f)
  local loop = cqueues.new()
  for _ = 1, n do loop:wrap(f) end
  assert(loop:loop())
end

local start = os.clock()
at_once(100, function()
  for _ = 1, 2000 do cqueues.sleep(0) end
end)
show("switch", (os.clock() - start) / (100 * 2000) * 1e9, "ns")

start = os.clock()
at_once(1, function()
  for _ = 1, 50000 do
    local done = condition.new()
    cqueues.running():wrap(function() done:signal() end)
    done:wait()
  end
end)
show("spawn_await", (os.clock() - start) / 50000 * 1e9, "ns")

local function gather()
  local began = cqueues.monotime()
  at_once(10000, function() cqueues.sleep(0.01) end)
  return cqueues.monotime() - began
end
gather()
show("gather", gather() * 1e3, "ms")

local before = resident()
local loop = cqueues.new()
for _ = 1, SLEEPERS do loop:wrap(function() cqueues.sleep(3600) end) end
loop:step(0)
loop:step(0)
show("sleepers", (resident() - before) / SLEEPERS, "bytes")
os.exit(0)
