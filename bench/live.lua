-- The WebSockets that the benchmarks measure: build/release/moonloop serve bench/live.lua
local ml = require "moonloop"

local app, hub = ml.web.app(), ml.web.hub()

app:websocket("/echo", function(ws)
  for message in ws:messages() do ws:send(message) end
end)

-- What one says all get.
app:websocket("/all", function(ws)
  hub:join(ws, "all")
  for message in ws:messages() do hub:publish("all", message) end
end)

return app
