-- What /fanout asks: each answer takes 20 ms. Served by moonloop, for every peer alike.
local ml = require "moonloop"

local app = ml.web.app()

app:get("/up", function(req)
  ml.sleep(0.02)
  return { i = math.tointeger(tonumber(req.query.i)), data = "ok" }
end)

return app
