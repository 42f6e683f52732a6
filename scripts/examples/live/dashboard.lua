-- A live dashboard: what each worker process does, second by second. Run it with:
--   moonloop serve scripts/examples/live/dashboard.lua --workers 2
-- and open http://127.0.0.1:8000/. The figures of all workers reach all pages: Server-Sent Events, through the hub.
local ml = require "moonloop"
local page = require "page"

local app = ml.web.app()
local hub = ml.web.hub { name = "dashboard" }
local worker = tonumber(os.getenv "MOONLOOP_WORKER") or 1

local requests, seconds = 0, 0 -- since the last figures: how many, and the time they took together

app:use(function(req, next)
  local began = ml.now()
  local res = next(req)
  requests, seconds = requests + 1, seconds + ml.now() - began
  return res
end)

page(app, "dashboard")

local beats

app:on_start(function()
  beats = ml.spawn(function()
    for _ in ml.every(1) do
      hub:publish("figures", {
        worker = worker,
        at = ml.time.now(),
        requests = requests,
        milliseconds = requests > 0 and seconds / requests * 1000 or 0,
        tasks = #ml.tasks(),
        megabytes = collectgarbage "count" / 1024,
      })
      requests, seconds = 0, 0
    end
  end)
end)
app:on_stop(function() beats:cancel() end)

app:get("/figures", function()
  return ml.web.events(function(send)
    hub:join(send, "figures")
    ml.sleep(math.huge) -- until the page is closed
  end)
end)

-- Something to do, for the page's button.
app:post("/work", function()
  ml.sleep(0.02 + math.random() * 0.08)
  return { done = true }
end)

return app
