--- pool:map: a function over a list, on the workers of a pool.
local core = require "moonloop.executor.core"
local tasks = require "moonloop.core"

local known_options = { chunk = true }

-- Chunks for each thread: more even out items that take longer than others, fewer cost less.
local CHUNKS_PER_THREAD = 4
-- Items of an automatic chunk: the copies that are under way at once stay small.
local MAX_CHUNK = 1000
-- Chunks under way for each thread: one runs, the next one is there when it is done.
local AHEAD = 2

local function check_arguments(list, f, options)
  if type(list) ~= "table" then
    error(("bad argument #1 to 'map' (table expected, got %s)"):format(type(list)), 3)
  end
  if type(f) ~= "function" then
    error(("bad argument #2 to 'map' (function expected, got %s)"):format(type(f)), 3)
  end
  if options ~= nil and type(options) ~= "table" then
    error(("bad argument #3 to 'map' (table expected, got %s)"):format(type(options)), 3)
  end
  for option in pairs(options or {}) do
    if not known_options[option] then
      error(("pool:map: unknown option '%s'"):format(tostring(option)), 3)
    end
  end
  local chunk = options and options.chunk
  if chunk ~= nil and (math.type(chunk) ~= "integer" or chunk < 1) then
    error("pool:map: the chunk is a positive integer", 3)
  end
end

--- Runs in the worker: f's first results for `count` items, or nil and the error of the first item
-- that has one.
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
-- Items cross in chunks: a job runs f for `chunk` items one after the other, so that f, and what its
-- upvalues hold, is copied once a chunk. The results are in the order of the items, `results.n` is
-- their number. At most two chunks a thread are under way, so that other jobs need not wait for a
-- whole list; where f blocks, so that the pool grows, they become more with its threads. The first
-- item that fails (raises, or returns nil and an error) cancels the others, and its error is raised.
local function map(pool, list, f, options)
  check_arguments(list, f, options)
  local count = list.n or #list
  local even = math.ceil(count / (core.threads(pool) * CHUNKS_PER_THREAD))
  local chunk = options and options.chunk or math.max(1, math.min(even, MAX_CHUNK))
  local results, next_index, feeders = { n = count }, 1, 0
  tasks.group_run(function(group)
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
