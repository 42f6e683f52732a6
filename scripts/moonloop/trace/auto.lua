--- Starts ml.trace, as the command line does when the environment names a collector.
local settings = require "moonloop.trace.settings"

local wanted = settings.environment(os.getenv)
if wanted.url and not wanted.disabled then require "moonloop.trace".start() end

return true
