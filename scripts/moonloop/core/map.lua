--- ml.map: a function over a list, several at once.
local core = require "moonloop.core"
local gather = require "moonloop.core.gather"
local check_options = require "moonloop.core.options".check

local fail = core.fail

local OPTIONS = { limit = true }

--- map(list, f [, {limit = n}]) -> results
-- Calls f(item) for each item, at most `limit` at once (nil: all), and gives the first result of
-- each in order, with `results.n`. The first failure (an error, or `nil, err` returned) cancels the
-- others and is raised.
local function map(list, f, options)
  if type(list) ~= "table" then
    fail(("bad argument #1 to 'ml.map' (a list expected, got %s)"):format(type(list)))
  end
  if not core.is_callable(f) then
    fail(("bad argument #2 to 'ml.map' (function expected, got %s)"):format(type(f)))
  end
  options = check_options(options, OPTIONS, "ml.map")
  local count = list.n or #list
  local limit = options.limit
  if limit ~= nil and (math.type(limit) ~= "integer" or limit < 1) then
    fail("ml.map: the limit must be a positive integer")
  end
  if not limit or limit > count then limit = count end
  local results, next_index = core.counted { n = count }, 1
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
