-- Server-Sent Events. Run it with: moonloop serve scripts/examples/events.lua
-- See it in a browser at http://127.0.0.1:8000/, or with curl -N http://127.0.0.1:8000/ticks
local ml = require "moonloop"

local app = ml.web.app()

-- Counts for each client. A client that reconnects says what it saw last, and continues from there.
app:get("/ticks", function(req)
  local last = tonumber(req.headers["last-event-id"]) or 0
  return ml.web.events(function(send)
    for n = last + 1, math.huge do
      send { id = n, data = { n = n, time = os.date("%X") } }
      ml.sleep(1)
    end
  end)
end)

-- What is posted here goes to all listeners: curl -d hello http://127.0.0.1:8000/say
local listeners = {}

app:post("/say", function(req)
  local text = req.body
  for queue in pairs(listeners) do
    if not queue:try_put(text) then queue:close() end -- too far behind
  end
end)

app:get("/hear", function()
  return ml.web.events(function(send)
    local queue = ml.queue(100)
    listeners[queue] = true
    local _ <close> = setmetatable({}, { __close = function() listeners[queue] = nil end })
    for text in queue:items() do send { event = "said", data = text } end
  end)
end)

local page = [[
<!doctype html>
<title>Events</title>
<p id="n"></p>
<script>
  new EventSource("/ticks").onmessage = (e) => n.textContent = e.data
</script>
]]

app:get("/", function() return page, 200, { ["Content-Type"] = "text/html; charset=utf-8" } end)

return app
