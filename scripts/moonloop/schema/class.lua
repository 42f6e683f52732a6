--- The metatable of schemas: a module of its own, so that those which are copied to another state have it
-- there. What it does is in define.lua and the files that add methods, which are loaded on first use.
local methods = setmetatable({}, { __index = function(methods, name)
  require "moonloop.schema"
  return rawget(methods, name)
end })

return { methods = methods, __index = methods }
