--- ml.executor: other cores, other Lua states.
local core = require "moonloop.executor.core"
local gather = require "moonloop.gather"

local methods = core.methods

--- pool:map(list, f) -> results: f(item) for each item of the list, on the pool.
-- The results are in the order of the items, `results.n` is their number. The first item that fails
-- (raises, or returns nil and an error) cancels the others, and its error is raised.
function methods:map(list, f)
  if type(list) ~= "table" then
    error(("bad argument #1 to 'map' (table expected, got %s)"):format(type(list)), 2)
  end
  if type(f) ~= "function" then
    error(("bad argument #2 to 'map' (function expected, got %s)"):format(type(f)), 2)
  end
  local items = {}
  for i = 1, list.n or #list do
    items[i] = { methods.run, self, f, list[i], n = 4 }
  end
  return gather(items)
end

return { new = core.new, run = core.run }
