-- The server of mixed.lua, beside this: moonloop run --block-limit 0 spec/soak/mixed_server.lua CERT KEY FOLDER
--   [POSTGRES REDIS]
--
-- It serves the apps of the other soaks, and what they have not: sessions, limits of rates, databases, jobs. Its first
-- line says on which ports: "main" and "tls" are the app of app.lua with more routes, "leave", "leave_tls" and "ws"
-- those of the clients that go away.
local disconnect = require "spec.soak.disconnect"
local ml = require "moonloop"
local websockets = require "spec.soak.websockets"

local web = ml.web
local cert, key, folder, postgres, redis = ...
if postgres == "" then postgres = nil end
if redis == "" then redis = nil end
local tls = { cert = cert, key = key }

local app = web.load "spec/soak/app.lua"

app:metrics()

-- A list of any length, whose values are counted.
local function count(_, list) return { n = #list, last = list[#list] } end
app:post("/long", { max_body = 4 << 20 }, function(req) return count(req, req:json()) end)
local schema = ml.schema.list(ml.schema.object { id = ml.schema.int(), name = ml.schema.string() })
app:post("/typed", { body = schema, max_body = 4 << 20 }, function(req) return count(req, req.valid.body) end)

-- Streams whose buffers grow to the size of another pool's.
app:get("/writes/{n:int}", function(req)
  return web.response { stream = function(out)
    for _ = 1, req.params.n do out:write(("w"):rep(1024)) end
  end }
end)

app:get("/fail", function(req) error("on purpose: " .. tostring(req.query.n)) end)

app:get("/packed", { use = { web.compress {} } }, function() return { text = ("packed "):rep(5000) } end)

-- Sessions end while the soak runs, so that their number stands still before long.
app:get("/session", { use = { web.sessions { idle = 30 } } }, function(req)
  req.session.n = (req.session.n or 0) + 1
  return { n = req.session.n }
end)

local limit = web.rate_limit { rate = 100, max = 1000, key = function(req) return req.query.key end }
app:get("/limited", { use = { limit } }, function() return "let in" end)

app:post("/upload", { max_body = 16 << 20 }, function(req)
  local saved = 0
  for part in req:parts() do
    local name = ml.fs.safe_join(folder, ("%s-%d"):format(part.name, math.random(1 << 40)))
    saved = saved + assert(part:save(name))
    assert(ml.fs.remove(name))
  end
  return { bytes = saved }
end)

local hub = web.hub {}
app:get("/listen/{topic}", function(req)
  return web.events(function(send)
    hub:join(send, req.params.topic)
    hub:publish(req.params.topic, "joined")
    ml.sleep(60)
  end)
end)

app:get("/run", function()
  return assert(ml.process.run { "echo", "ran" }).stdout
end)

--- Statements of every kind on a database, whose table keeps its size.
local function database(path, db)
  local ready = false
  app:get(path, function(req)
    local n = math.random(1000)
    if not ready then
      assert(db:exec "create table if not exists soak (n integer primary key, text text not null)")
      ready = true
    end
    assert(db:insert("soak", { n = n, text = ("t"):rep(n) }, { on_conflict = { "n", update = true } }))
    if db:value("select length(text) from soak where n = $1", n) ~= n then error "another row" end
    local sum = 0
    for row in db:rows "select text from soak order by n limit 200" do sum = sum + #row.text end
    local done, err = db:tx(function(tx)
      assert(tx:exec("update soak set text = text where n = $1", n))
      if req.query.fail then return nil, "rolled back" end
      return "done"
    end)
    local wrong, why = db:query "select no_such_column from soak"
    if wrong or not why then error "a wrong statement was right" end
    return { done = done or err, rows = sum > 0 }
  end)
end

local sqlite = ml.sql.open("sqlite:" .. folder .. "/app.db")
database("/sqlite", sqlite)
if postgres then database("/postgres", ml.sql.open(postgres)) end

if redis then
  local r = ml.redis.client(redis)
  app:get("/redis", function()
    local name = "k" .. math.random(1000)
    local list = assert(r:pipeline(function(p)
      p:set(name, "value", { ex = 60 })
      p:get(name)
    end))
    local queue = "q" .. math.random(1 << 40)
    assert(r:rpush(queue, "item"))
    assert(r:blpop(queue, 5))
    return list[2]
  end)
end

local jobs = ml.jobs.new(sqlite)
jobs:define("plain", function(args) ml.sleep(args.seconds) end)
jobs:define("offloaded", { offload = true }, function(args) return #args.text end)
jobs:define("fails", { attempts = 2, backoff = { base = 0.1, max = 0.1 } }, function(_, job)
  if job.attempt == 1 then error "on purpose" end
end)
app:post("/jobs", function()
  assert(jobs:push_all {
    { "plain", { seconds = 0.002 } }, { "offloaded", { text = "text" } }, { "fails", {} },
  })
  return "pushed"
end)
jobs:work()

-- What this process says of itself. `collect`: after the collector has run.
app:get("/figures", function(req)
  if req.query.collect then
    collectgarbage()
    collectgarbage()
  end
  return { lua = collectgarbage "count" / 1024, tasks = #ml.tasks(),
    jobs = sqlite:value "select count(*) from moonloop_jobs" }
end)

local client = ml.http.client { timeout = 60 }
local counts = { begun = 0, ended = 0 }
local leave = disconnect.app(counts, client)
local servers, ports = {}, {}
for name, opts in pairs {
  main = { app, http2 = "clear" }, tls = { app, tls = tls }, leave = { leave, http2 = "clear" },
  leave_tls = { leave, tls = tls }, ws = { websockets.app {}, keep_alive = 5, drain = 0.5 },
} do
  local served = table.remove(opts, 1)
  opts.port = 0
  servers[name] = assert(web.listen(served, opts))
  ports[name] = servers[name].port
end
print(ml.json.encode(ports))
io.stdout:flush()
servers.main:wait()
