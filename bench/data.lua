-- The app of the rows on PostgreSQL and Redis, as TechEmpower has them; served by bench/run, which sets
-- DATABASE_URL and REDIS_SOCKET to servers of its own with bench/peers/data/schema.sql.
local ml = require "moonloop"

local db = ml.sql.open(os.getenv "DATABASE_URL" or "postgres://", { pool = 10 })
local redis = ml.redis.client("unix:" .. (os.getenv "REDIS_SOCKET" or "/run/redis/redis.sock"))

local app = ml.web.app()

local WORLD = 'select id, randomnumber as "randomNumber" from world where id = $1'
local UPDATE = "update world set randomnumber = $2 where id = $1"
local ROWS = 10000

--- The number of rows that are asked for: 1 to 500.
local function count(req)
  local n = math.tointeger(tonumber(req.query.n)) or 1
  return math.max(1, math.min(n, 500))
end

--- `n` rows of world, each by a query of its own, all at once.
local function worlds(n)
  local queries = {}
  for i = 1, n do queries[i] = { db.one, db, WORLD, math.random(ROWS) } end
  return ml.gather(queries)
end

app:get("/db", function() return assert(db:one(WORLD, math.random(ROWS))) end)

app:get("/queries", function(req) return worlds(count(req)) end)

app:get("/updates", function(req)
  local found, changes = worlds(count(req)), {}
  for i, world in ipairs(found) do
    world.randomNumber = math.random(ROWS)
    changes[i] = { world.id, world.randomNumber }
  end
  table.sort(changes, function(a, b) return a[1] < b[1] end) -- rows are locked in one order: no deadlock
  assert(db:batch(UPDATE, changes))
  return found
end)

app:get("/fortunes", function()
  local fortunes = assert(db:query "select id, message from fortune")
  fortunes[#fortunes + 1] = { id = 0, message = "Additional fortune added at request time." }
  table.sort(fortunes, function(a, b) return a.message < b.message end)
  local page = { "<!DOCTYPE html><html><head><title>Fortunes</title></head><body><table>" ..
    "<tr><th>id</th><th>message</th></tr>" }
  for i, fortune in ipairs(fortunes) do
    page[i + 1] = "<tr><td>" .. fortune.id .. "</td><td>" .. ml.web.escape(fortune.message) .. "</td></tr>"
  end
  page[#page + 1] = "</table></body></html>"
  return ml.web.html(table.concat(page))
end)

app:get("/cached", function(req)
  local ids, keys = {}, {}
  for i = 1, count(req) do
    ids[i] = math.random(ROWS)
    keys[i] = "world:" .. ids[i]
  end
  local numbers, found = assert(redis:mget(keys)), {}
  for i, id in ipairs(ids) do found[i] = { id = id, randomNumber = math.tointeger(numbers[i]) } end
  return found
end)

return app
