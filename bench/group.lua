-- What groups and queues cost: build/release/moonloop bench/group.lua [ROUNDS]
--
-- Prints the median of each measure over the rounds, which take turns in one process.
local ml = require "moonloop"

local children = 100000
local handed_over = 200000

local function cpu_seconds(f)
  local start = os.clock()
  f()
  return os.clock() - start
end

local function nothing() end
local function sleeper() ml.sleep(1000) end

local measures = {
  --- CPU nanoseconds a child: spawned, run, ended, the block left.
  { "group of 100,000 children that return at once, each", function()
    return cpu_seconds(function()
      ml.group(function(g)
        for _ = 1, children do g:spawn(nothing) end
      end)
    end) / children * 1e9
  end },
  --- CPU nanoseconds a child from g:cancel() until all have ended.
  { "cancel of a group of 100,000 sleepers, each", function()
    local start
    ml.group(function(g)
      for _ = 1, children do g:spawn(sleeper) end
      ml.sleep(0)
      ml.sleep(0)
      start = os.clock()
      g:cancel()
    end)
    return (os.clock() - start) / children * 1e9
  end },
  --- CPU nanoseconds an item that one task puts and another gets.
  { "queue put and get between two tasks", function()
    local queue = ml.queue(64)
    return cpu_seconds(function()
      ml.gather(function()
        for i = 1, handed_over do queue:put(i) end
      end, function()
        for _ = 1, handed_over do queue:get() end
      end)
    end) / handed_over * 1e9
  end },
  { "the same without room: capacity 1", function()
    local queue = ml.queue(1)
    return cpu_seconds(function()
      ml.gather(function()
        for i = 1, handed_over do queue:put(i) end
      end, function()
        for _ = 1, handed_over do queue:get() end
      end)
    end) / handed_over * 1e9
  end },
}

local rounds = math.tointeger(tonumber(arg[1] or 9))
assert(rounds and rounds > 0, "the argument is a number of rounds")
local found = {}
for round = 0, rounds do -- round 0 makes the threads
  for i, measure in ipairs(measures) do
    collectgarbage()
    local value = measure[2]()
    found[i] = found[i] or {}
    if round > 0 then table.insert(found[i], value) end
  end
end

print(("medians of %d rounds (lowest to highest)"):format(rounds))
for i, measure in ipairs(measures) do
  local values = found[i]
  table.sort(values)
  print(("%-52s %6.0f ns (%.0f to %.0f)"):format(measure[1], values[(#values + 1) // 2], values[1],
    values[#values]))
end
