-- What the executor costs. Run on an idle machine: build/release/moonloop bench/executor.lua
local ml = require "moonloop"

local ROUNDS = 7

--- The median of ROUNDS runs of `f`, in seconds; one run before warms up.
local function median(f)
  f()
  local times = {}
  for i = 1, ROUNDS do
    local start = ml.now()
    f()
    times[i] = ml.now() - start
  end
  table.sort(times)
  return times[(ROUNDS + 1) // 2]
end

local pool = ml.executor.new {}
local function noop() end
local function echo(value) return value end

local ONE_BY_ONE, AT_ONCE, NUMBERS = 5000, 20000, 131072

local round_trip = median(function()
  for _ = 1, ONE_BY_ONE do pool:run(noop) end
end)

local at_once = median(function()
  local items = {}
  for i = 1, AT_ONCE do items[i] = { pool.run, pool, noop } end
  ml.gather(items)
end)

local integers, floats = {}, {}
for i = 1, NUMBERS do
  integers[i], floats[i] = i, i + 0.5
end
local integer_list = median(function() assert(#pool:run(echo, integers) == NUMBERS) end)
local float_list = median(function() assert(#pool:run(echo, floats) == NUMBERS) end)

local megabyte = ("x"):rep(1 << 20)
local bytes = median(function() assert(#pool:run(echo, megabyte) == 1 << 20) end)

print(("no-op round trip               %8.2f us"):format(round_trip / ONE_BY_ONE * 1e6))
print(("%d no-ops at once           %8.2f us each"):format(AT_ONCE, at_once / AT_ONCE * 1e6))
print(("%d integers there and back %8.2f ms"):format(NUMBERS, integer_list * 1e3))
print(("%d floats there and back   %8.2f ms"):format(NUMBERS, float_list * 1e3))
print(("1 MB of bytes there and back   %8.2f ms"):format(bytes * 1e3))
pool:close()
