--- ml.map: a function over a list, several at once.
local core = require "moonloop.core"
local gather = require "moonloop.gather"

local known_options = { limit = true }

--- map(list, f [, {limit = n}]) -> results
-- Calls f(item) for each item, at most `limit` at once (nil: all), and gives the first result of
-- each in order, with `results.n`. The first failure (an error, or `nil, err` returned) cancels the
-- others and is raised.
local function map(list, f, options)
  if type(list) ~= "table" then
    error(("bad argument #1 to 'ml.map' (a list expected, got %s)"):format(type(list)), 2)
  end
  if not core.is_callable(f) then
    error(("bad argument #2 to 'ml.map' (function expected, got %s)"):format(type(f)), 2)
  end
  options = options or {}
  for option in pairs(options) do
    if not known_options[option] then
      error(("ml.map: unknown option '%s'"):format(tostring(option)), 2)
    end
  end
  local count = list.n or #list
  local limit = options.limit
  if limit ~= nil and (math.type(limit) ~= "integer" or limit < 1) then
    error("ml.map: the limit is a positive integer", 2)
  end
  if not limit or limit > count then limit = count end
  local results, next_index = { n = count }, 1
  local function work()
    while next_index <= count do
      local i = next_index
      next_index = i + 1
      local value, err = f(list[i])
      if value == nil and err ~= nil then return nil, err end
      results[i] = value
    end
  end
  local workers = {}
  for i = 1, limit do workers[i] = work end
  gather(workers)
  return results
end

return map
