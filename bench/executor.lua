-- What the executor costs: build/release/moonloop bench/executor.lua
--
-- Prints a line for each measure, name, value and unit with tabs between them; bench/run compares them
-- with those of bench/peers/executor.*.
local ml = require "moonloop"

local ROUNDS = 5
local ONE_BY_ONE, AT_ONCE, NUMBERS, LISTS, LENGTH = 5000, 20000, 131072, 8, 100000

--- Seconds that `f` takes.
local function seconds(f)
  local start = ml.now()
  f()
  return ml.now() - start
end

--- The median of ROUNDS runs of `f`, in seconds; one run before warms up.
local function median(f)
  f()
  local times = {}
  for i = 1, ROUNDS do times[i] = seconds(f) end
  table.sort(times)
  return times[(ROUNDS + 1) // 2]
end

local function show(name, value, unit) print(("%s\t%.6g\t%s"):format(name, value, unit)) end

local pool = ml.executor.new { threads = 2 }
local function noop() end
local function echo(value) return value end

show("round_trip", median(function()
  for _ = 1, ONE_BY_ONE do pool:run(noop) end
end) / ONE_BY_ONE * 1e6, "us")

show("at_once", median(function()
  local items = {}
  for i = 1, AT_ONCE do items[i] = { pool.run, pool, noop } end
  ml.gather(items)
end) / AT_ONCE * 1e6, "us")

local integers, floats = {}, {}
for i = 1, NUMBERS do
  integers[i], floats[i] = i, i + 0.5
end
show("integers", median(function() assert(#pool:run(echo, integers) == NUMBERS) end) * 1e3, "ms")
show("numbers", median(function() assert(#pool:run(echo, floats) == NUMBERS) end) * 1e3, "ms")

local megabyte = ("x"):rep(1 << 20)
show("bytes", median(function() assert(#pool:run(echo, megabyte) == 1 << 20) end) * 1e3, "ms")

--- LISTS lists of LENGTH random numbers.
local function random_lists()
  local lists = {}
  for i = 1, LISTS do
    lists[i] = {}
    for j = 1, LENGTH do lists[i][j] = math.random() end
  end
  return lists
end

local function sort(list)
  table.sort(list)
  return list
end

local lists = random_lists()
show("sort_alone", seconds(function()
  for _, list in ipairs(lists) do sort(list) end
end) * 1e3, "ms")
lists = random_lists()
show("sort_pool", seconds(function() lists = pool:map(lists, sort) end) * 1e3, "ms")
assert(#lists == LISTS and #lists[1] == LENGTH and lists[1][1] <= lists[1][2])
pool:close()
