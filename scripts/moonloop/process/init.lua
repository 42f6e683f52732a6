--- ml.process: programs that are started and waited for.
local process_core = require "moonloop.process.core"
local options = require "moonloop.process.options"
local result = require "moonloop.process.result"

local M = {}

--- run{program, argument, ..., option = value, ...} -> result | nil, err. Starts a program and waits
-- until it has ended. A cancel ends it first.
function M.run(given)
  local argv, settings = options.read(given, options.of_run, "ml.process.run", "text")
  local p, err = process_core.start(argv, settings, "ml.process.run")
  if not p then return nil, err end
  return result.of(given, settings, p:finish())
end

return M
