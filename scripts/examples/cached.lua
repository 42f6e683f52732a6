-- A route whose answers are kept in Redis: of many clients that ask at a time, in all worker processes,
-- one has the report made.
--
--   REDIS_URL=redis://127.0.0.1:6379 moonloop serve scripts/examples/cached.lua
--   curl http://127.0.0.1:8000/reports/7
local ml = require "moonloop"

local redis = ml.redis.client(os.getenv "REDIS_URL" or "redis://127.0.0.1:6379")
local reports = redis:cache { ttl = 60, prefix = "reports:" }

local app = ml.web.app()

--- Something slow.
local function make_report(id)
  ml.sleep(0.1)
  return { id = id, number = redis:incr "reports made" }
end

app:get("/reports/{id}", function(req) return reports:get(req.params.id, make_report) end)

app:delete("/reports/{id}", function(req)
  assert(reports:delete(req.params.id))
end)

return app
