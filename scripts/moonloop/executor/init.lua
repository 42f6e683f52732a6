--- ml.executor: other cores, other Lua states.
local core = require "moonloop.executor.core"
local start = require "moonloop.executor.call"

core.methods.map = require "moonloop.executor.map"
core.methods.start = start

return {
  new = core.new,
  run = core.in_worker() and require "moonloop.executor.nested" or core.run,
  --- start(f, ...) -> call: pool:start on the default pool.
  start = function(...) return start(core.default(), ...) end,
  current = core.current,
  default = core.default,
}
