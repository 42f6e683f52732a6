--- ml.executor: other cores, other Lua states.
local core = require "moonloop.executor.core"

core.methods.map = require "moonloop.executor.map"

return { new = core.new, run = core.run }
