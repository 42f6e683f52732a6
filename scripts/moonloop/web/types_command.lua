--- `moonloop types APP.lua`
local load = require "moonloop.web.load"

return function(file)
  local app = load.open_or_exit(file)
  io.stdout:write(require "moonloop.web.openapi_types"(app, file))
  os.exit(0) -- what the app has started goes no further
end
