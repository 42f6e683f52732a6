-- Three queries at once: the answer takes as long as the slowest of them (80 ms), not as all together (170 ms).
--   DATABASE_URL=postgres://localhost/mydb moonloop serve scripts/examples/dashboard.lua
--   curl http://127.0.0.1:8000/dashboard/7
local ml = require "moonloop"

local db = ml.sql.open(os.getenv "DATABASE_URL" or "postgres://")

-- pg_sleep stands for what real queries do all that time.

local function fetch_user_from_db(id)
  return db:one("select $1::int as id, 'Ada' as name from pg_sleep(0.05)", id)
end

local function fetch_orders(id)
  return db:query("select $1::int * 100 + n as number from generate_series(1, 3) as n, pg_sleep(0.08)", id)
end

local function fetch_preferences(id)
  return db:one("select $1::int as user_id, 'dark' as theme from pg_sleep(0.04)", id)
end

local app = ml.web.app()

app:get("/dashboard/{id:int}", function(req)
  local id = req.params.id
  -- Each query has a connection of its own. When one fails, or the client goes away, the others are cancelled.
  local user, orders, preferences = ml.gather(
    { fetch_user_from_db, id }, { fetch_orders, id }, { fetch_preferences, id })
  return { user = user, orders = orders, preferences = preferences }
end)

return app
