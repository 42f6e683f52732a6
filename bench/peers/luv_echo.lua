-- The measure of bench/echo.lua with luv's callbacks.
local uv = require "luv"

local server = uv.new_tcp()
server:bind("127.0.0.1", 0)
server:listen(128, function()
  local client = uv.new_tcp()
  server:accept(client)
  client:nodelay(true)
  client:read_start(function(_, data)
    if data then client:write(data) else client:close() end
  end)
end)

local before, output = os.clock(), uv.new_pipe()
uv.spawn(arg[1], { args = { tostring(server:getsockname().port) }, stdio = { nil, output } }, function() end)
output:read_start(function(_, messages)
  if not messages then return end
  print(("message\t%.6g\tus"):format((os.clock() - before) / tonumber(messages) * 1e6))
  os.exit(0)
end)
uv.run()
