--- The arguments of ml.executor.run and similar functions: f, ... or {f, ..., cpu = seconds}.
local fail = require "moonloop.core".fail

--- Raises what is wrong with the arguments of the function `name`.
return function(name, f, ...)
  if type(f) == "function" then return end
  if type(f) ~= "table" then
    fail(("bad argument #1 to '%s' (function expected, got %s)"):format(name, type(f)))
  elseif select("#", ...) > 0 then
    fail(("bad argument #2 to '%s' (the arguments belong in the list)"):format(name))
  end
end
