--- pool:map: a function over a list, on the workers of a pool.
local check_options = require "moonloop.core.options".check
local core = require "moonloop.executor.core"
local tasks = require "moonloop.core"

local fail = tasks.fail

local OPTIONS = { chunk = true }

-- Chunks per thread: more of them balance items of uneven cost better, fewer cost less.
local CHUNKS_PER_THREAD = 4
-- Most items of an automatic chunk, so that the copies under way stay small.
local MAX_CHUNK = 1000
-- Chunks under way per thread: while one runs, the next one is already there.
local AHEAD = 2

local function check_arguments(list, f, options)
  if type(list) ~= "table" then
    fail(("bad argument #1 to 'pool:map' (table expected, got %s)"):format(type(list)))
  end
  if type(f) ~= "function" then
    fail(("bad argument #2 to 'pool:map' (function expected, got %s)"):format(type(f)))
  end
  local chunk = check_options(options, OPTIONS, "pool:map").chunk
  if chunk ~= nil and (math.type(chunk) ~= "integer" or chunk < 1) then
    fail("pool:map: the chunk must be a positive integer")
  end
end

--- Runs in the worker: f's first results for `count` items, or nil and the error of the first item that
-- fails.
local function run_chunk(f, items, count)
  local results = {}
  for i = 1, count do
    local value, err = f(items[i])
    if value == nil and err ~= nil then return nil, err end
    results[i] = value
  end
  return results
end

--- map(pool, list, f [, {chunk = items}]) -> results: f(item) for each item, on the pool.
-- Items cross in chunks: a job runs f for `chunk` items in a row, so that f and what its upvalues hold
-- are copied once per chunk. The results are in the order of the items, and `results.n` is their
-- number. At most two chunks per thread are under way, so that other jobs need not wait for a whole
-- list; the number grows with the pool's threads when f blocks. The first item that fails (raises, or
-- returns nil and an error) cancels the others, and its error is raised.
local function map(pool, list, f, options)
  check_arguments(list, f, options)
  local count = list.n or #list
  local even = math.ceil(count / (core.threads(pool) * CHUNKS_PER_THREAD))
  local chunk = options and options.chunk or math.max(1, math.min(even, MAX_CHUNK))
  local results, next_index, feeders = tasks.counted { n = count }, 1, 0
  tasks.group(function(group)
    local feed
    local function add_feeders()
      local wanted = math.min(core.threads(pool) * AHEAD, math.ceil(count / chunk))
      while feeders < wanted do
        feeders = feeders + 1
        group:spawn(feed)
      end
    end
    function feed()
      while next_index <= count do
        local first = next_index
        local last = math.min(first + chunk - 1, count)
        next_index = last + 1
        local values, err = pool:run(run_chunk, f, table.move(list, first, last, 1, {}), last - first + 1)
        if values == nil then return nil, err end
        table.move(values, 1, last - first + 1, first, results)
        add_feeders()
      end
    end
    add_feeders()
  end)
  return results
end

return map
