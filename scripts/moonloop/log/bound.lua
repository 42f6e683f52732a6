--- The variable (ml.var) whose value are the fields that all entries of a task have.
local core = require "moonloop.core"

local bound = core.var "ml.log.with"
require "moonloop.log.core".set_variable(bound)

return bound
