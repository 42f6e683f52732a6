--- `moonloop openapi APP.lua`
local load = require "moonloop.web.load"
local openapi = require "moonloop.web.openapi"

return function(file)
  local app = load.open_or_exit(file)
  openapi.check(app)
  local text, left_out = openapi.text(app)
  for _, line in ipairs(left_out) do io.stderr:write("moonloop: ", line, "\n") end
  io.stdout:write(text, "\n")
  os.exit(0) -- what the app has started goes no further
end
