-- Hours of mixed load: moonloop run --block-limit 0 spec/soak/mixed.lua [MINUTES [SEED]]
--
-- A server in a process of its own (mixed_server.lua) gets requests of every kind at a modest, steady rate for MINUTES
-- (60): HTTP/1.1 and HTTP/2, with TLS and without, bodies of every length, errors, streams, WebSockets, clients that go
-- away, databases and jobs. The time has six parts, each with a rest at its end: no client is there. Resident memory,
-- the memory of Lua, descriptors and threads of both processes are printed once a minute and in each rest. It fails
-- where an answer was wrong; where one of the kinds of load was not completed, in any part; where memory has grown
-- since the second part, under load or at rest; and where descriptors, threads, tasks or jobs are left. Of less than
-- ten minutes little can be said about memory: its bound is wider then. PostgreSQL and Redis take part where they are
-- installed. The seed is printed; the same seed gives the same choices.
local disconnect = require "spec.soak.disconnect"
local folders = require "spec.support.folder"
local left = require "spec.support.left"
local ml = require "moonloop"
local postgres = require "spec.support.postgres"
local process = require "spec.support.process"
local redis = require "spec.support.redis"
local requests = require "spec.soak.requests"
local tls = require "spec.support.tls"
local websockets = require "spec.soak.websockets"

local soak = {}

local random = math.random

local PARTS = 6
local REST = 60 -- seconds at most; a tenth of a part
local WAIT = 60 -- seconds that a part, or a rest, may take longer
local LONG = 600 -- seconds of a run that says something about memory
-- From the second part to the last one: MB that are resident, MB of Lua, descriptors, threads, tasks.
local MOST = { resident = 6, lua = 0.5, descriptors = 0, threads = 0, tasks = 0 }
local MOST_SHORT = { resident = 40, lua = 4, descriptors = 8, threads = 8, tasks = 8 }
local SANITIZED = require("spec.support").sanitized -- these builds keep what is freed

-- --- the kinds of load ---

-- Each: {name, tasks, seconds between two calls of a task, f(o) that raises what is wrong}. f gives how many exchanges
-- were completed.
local kinds = {}

local function kind(name, tasks, pause, f) kinds[#kinds + 1] = { name = name, tasks = tasks, pause = pause, f = f } end

local function expect(res, err, status)
  if not res then error(tostring(err), 0) end
  if res.status ~= (status or 200) then error(("%d %s"):format(res.status, res.body:sub(1, 200)), 0) end
  return res
end

-- The requests that all soaks know, in turn.
local turn = 0
local function plain(client, list)
  turn = turn + 1
  local request = list[turn % #list + 1]
  local result, what = requests.ask(client, request)
  if result ~= "right" then error(("%s: %s: %s"):format(request[2], result, tostring(what):sub(1, 200)), 0) end
  return 1
end

kind("HTTP/1.1", 4, 0.3, function(o) return plain(o.client, o.list) end)
kind("HTTP/1.1 with TLS", 2, 0.3, function(o) return plain(o.secure, o.list) end)
kind("HTTP/2 with TLS", 4, 0.3, function(o) return plain(o.secure2, o.list) end)
kind("HTTP/2", 2, 0.3, function(o) return plain(o.clear2, o.list) end)

-- A handshake for each, and tickets.
kind("new connections with TLS", 1, 0.5, function(o)
  local client <close> = ml.http.client { base_url = o.secure_url, ca = o.ca, http2 = random(2) == 1 }
  expect(client:get "/plain")
  return 1
end)

kind("clients that go away", 2, 0.2, function(o)
  return assert(disconnect.client(o.ports.leave, disconnect.talk(o.ports.leave, { http2 = true })))
end)
kind("clients that go away with TLS", 2, 0.4, function(o)
  return assert(disconnect.client(o.ports.leave_tls, disconnect.talk(o.ports.leave_tls, { http2 = true }), o.ca))
end)
kind("WebSockets", 2, 0.2, function(o) return assert(websockets.client(o.ports.ws)) end)

kind("streams in small writes", 2, 0.2, function(o)
  local n = random(9, 16)
  local client = ({ o.client, o.secure, o.secure2, o.clear2 })[random(4)]
  if #expect(client:get("/writes/" .. n)).body ~= n * 1024 then error "another number of bytes" end
  return 1
end)

-- Some of them leave before the end.
kind("slow readers", 2, 0.5, function(o)
  local client = ({ o.client, o.secure, o.secure2, o.clear2 })[random(4)]
  local res <close> = expect(client:get("/stream", { stream = true }))
  for _ = 1, random(20) do
    if not res:read() then break end
    ml.sleep(random() * 0.1)
  end
  return 1
end)

kind("long JSON", 1, 2, function(o)
  local list = {}
  for i = 1, random(1, 40000) do list[i] = { id = i, name = "name " .. i } end
  local client = random(2) == 1 and o.client or o.secure2
  local res = expect(client:post(random(2) == 1 and "/long" or "/typed", { json = list }))
  if res:json().n ~= #list then error "another number of items" end
  return 1
end)

kind("uploads", 1, 1, function(o)
  local files, bytes = {}, 0
  for i = 1, random(1, 3) do
    local body = ("u"):rep(random(0, 1 << 20))
    files[i] = { name = "file" .. i, filename = "f", body = body }
    bytes = bytes + #body
  end
  local client = random(2) == 1 and o.client or o.secure2
  local res = expect(client:post("/upload", { multipart = files }))
  if res:json().bytes ~= bytes then error "another number of bytes" end
  return 1
end)

kind("errors", 1, 0.5, function(o)
  expect(o.client:get("/fail", { query = { n = random(1 << 30) } }), nil, 500)
  expect(o.client:post("/sum", { body = "{", headers = { ["Content-Type"] = "application/json" } }), nil, 400)
  expect(o.client:post("/typed", { json = { { id = "x" } } }), nil, 422)
  expect(o.client:get("/" .. random(1 << 30)), nil, 404)
  return 4
end)

kind("sessions and limits of rates", 1, 0.1, function(o)
  local client <close> = ml.http.client { base_url = o.url, cookies = true }
  for i = 1, 3 do
    if expect(client:get "/session"):json().n ~= i then error "another session" end
  end
  expect(o.client:get("/limited", { query = { key = random(1 << 30) } }))
  return 4
end)

-- The request is left in its midst.
kind("cancels", 2, 0.3, function(o)
  local client = ({ o.client, o.secure, o.secure2, o.clear2 })[random(4)]
  local path = ({ "/stream", "/sleep", "/events", "/listen/" .. random(1 << 30), "/files", "/offload" })[random(6)]
  ml.timeout(random() * 0.02, function() client:get(path) end)
  return 1
end)

kind("packed", 1, 0.5, function(o)
  if expect(o.secure2:get "/packed"):json().text ~= ("packed "):rep(5000) then error "another text" end
  return 1
end)

kind("topics", 1, 1, function(o)
  local res = expect(o.clear2:get("/listen/" .. random(1 << 30), { stream = true }))
  local first = res:read()
  res:close()
  if not first or not first:find "joined" then error "no message came" end
  return 1
end)

for name, pause in pairs { sqlite = 0.5, postgres = 0.5, redis = 0.3, run = 2 } do
  kind(name, 1, pause, function(o)
    if not o.has[name] then return 1 end
    expect(o.client:get("/" .. name, random(4) == 1 and { query = { fail = 1 } } or nil))
    if random(4) == 1 then ml.timeout(random() * 0.01, function() o.client:get("/" .. name) end) end
    return 1
  end)
end

kind("jobs", 1, 1, function(o)
  expect(o.client:post "/jobs")
  return 1
end)

kind("metrics", 1, 5, function(o)
  expect(o.client:get "/metrics")
  return 1
end)

-- --- figures ---

--- What the system says of a process: MB, descriptors, threads.
local function figures(pid)
  local status = folders.read(("/proc/%s/status"):format(pid))
  return { resident = tonumber(status:match "VmRSS:%s*(%d+)") / 1024, descriptors = left.descriptors(pid),
    threads = tonumber(status:match "Threads:%s*(%d+)") }
end

--- {server =, clients =} of them, with what the processes say of themselves.
local function sample(o, collect)
  local client <close> = ml.http.client { base_url = o.url, timeout = 60 }
  local res = expect(client:get("/figures", { query = { collect = collect } }))
  local said = res:json()
  if collect then
    collectgarbage()
    collectgarbage()
  end
  local both = { server = figures(o.server.pid), clients = figures "self" }
  for name, value in pairs(said) do both.server[name] = value end
  both.clients.lua, both.clients.tasks = collectgarbage "count" / 1024, #ml.tasks()
  return both
end

local function show(o, what, both)
  local parts = {}
  for _, name in ipairs { "server", "clients" } do
    local f = both[name]
    parts[#parts + 1] = ("%s %.1f MB, Lua %.2f, %d descriptors, %d threads, %d tasks"):format(name, f.resident, f.lua,
      f.descriptors, f.threads, f.tasks)
  end
  o.progress(("%6.1f min %-6s %s; %d done"):format((ml.now() - o.began) / 60, what, table.concat(parts, " | "), o.done))
end

local function median(list)
  local sorted = table.move(list, 1, #list, 1, {})
  table.sort(sorted)
  return sorted[(#sorted + 1) // 2]
end

-- --- the run ---

local function make_clients(o)
  local function client(url, http2)
    return ml.http.client { base_url = url, ca = o.ca, http2 = http2, timeout = 60, max_connections = 8 }
  end
  o.client, o.clear2 = client(o.url, false), client(o.url, "clear")
  o.secure, o.secure2 = client(o.secure_url, false), client(o.secure_url, true)
end

local function close_clients(o)
  for _, name in ipairs { "client", "secure", "secure2", "clear2" } do o[name]:close() end
end

--- One part of load. Gives the samples that were taken under it.
local function load(o, seconds, completed)
  local stop, samples, list = ml.now() + seconds, {}, {}
  make_clients(o)
  for _, k in ipairs(kinds) do
    completed[k.name] = 0
    for _ = 1, k.tasks do
      list[#list + 1] = function()
        repeat
          local ok, n = ml.catch(k.f, o)
          if ok then
            completed[k.name] = completed[k.name] + n
            o.done = o.done + n
          else
            o.wrong(("%s: %s"):format(k.name, tostring(n)))
          end
          ml.sleep(math.min(random() * 2 * k.pause, math.max(stop - ml.now(), 0)))
        until ml.now() >= stop and (completed[k.name] > 0 or ml.now() >= stop + WAIT)
      end
    end
  end
  list[#list + 1] = function()
    local shown = ml.now()
    repeat -- once at least, however late this task begins
      ml.sleep(math.min(2, seconds / 20))
      samples[#samples + 1] = { server = figures(o.server.pid), clients = figures "self" }
      if ml.now() - shown >= math.min(60, seconds / 2) * 0.99 then
        shown = ml.now()
        show(o, "load", sample(o))
      end
    until ml.now() >= stop
  end
  ml.gather(list)
  close_clients(o)
  return samples
end

--- Says what was not completed, and what has grown between the rests and between the parts. The first part is left out:
-- caches fill there, and pools grow to what the load needs.
local function judge(o, parts, rests, completed)
  for i, part in ipairs(completed) do
    for _, k in ipairs(kinds) do
      if part[k.name] == 0 then o.wrong(("nothing was completed in part %d: %s"):format(i, k.name)) end
    end
  end
  local function grown(who, where, what, before, after)
    if what == "resident" and SANITIZED then return end
    if after - before > o.most[what] then
      o.wrong(("%s, %s %s: grown from %.1f to %.1f"):format(who, what, where, before, after))
    end
  end
  local first, last = rests[2], rests[#rests]
  for _, who in ipairs { "server", "clients" } do
    local medians = {}
    for i, part in ipairs(parts) do
      local list = {} -- many samples: at each moment other requests are under way
      for n, both in ipairs(part) do list[n] = both[who].resident end
      medians[i] = ("%.1f"):format(median(list))
    end
    o.progress(("%s, MB resident under load, medians of the parts: %s"):format(who, table.concat(medians, " ")))
    if who == "server" then -- that of the clients depends on how long the JSON is that they make up just then
      grown(who, "under load", "resident", tonumber(medians[2]), tonumber(medians[#medians]))
    end
    for what in pairs(o.most) do grown(who, "at rest", what, first[who][what], last[who][what]) end
  end
  if last.server.jobs ~= 0 then o.wrong(last.server.jobs .. " jobs are left") end
end

--- A rest of so many seconds, or until what the clients left is gone, too.
local function rest(o, seconds)
  ml.sleep(seconds)
  show(o, "rest", sample(o))
  local both
  local stop = ml.now() + WAIT
  repeat
    ml.sleep(0.1)
    both = sample(o, true)
    local now, first = both.server, (o.first or both).server
    local is_calm = now.jobs == 0 and now.tasks - first.tasks <= o.most.tasks
      and now.descriptors - first.descriptors <= o.most.descriptors
  until is_calm or ml.now() >= stop
  show(o, "swept", both)
  return both
end

--- soak.run(seconds, seed, progress) -> true | nil, what is wrong. progress(text). Needs openssl.
function soak.run(seconds, seed, progress)
  math.randomseed(seed)
  local wrong, more = {}, 0
  local o = { began = ml.now(), done = 0, progress = progress, most = seconds < LONG and MOST_SHORT or MOST,
    has = { sqlite = true, run = true } }
  function o.wrong(text)
    if #wrong < 50 then
      wrong[#wrong + 1] = text
      progress("WRONG " .. text)
    else
      more = more + 1
    end
  end
  local folder <close> = tls.certificates { one = { signer = "self" } }
  assert(os.execute("chmod 711 " .. folder.path))
  local db <close> = not postgres.missing() and postgres.start() or nil
  local store <close> = not redis.missing() and redis.start() or nil
  o.has.postgres, o.has.redis = db ~= nil, store ~= nil
  local server <close> = process.start(("run --block-limit 0 spec/soak/mixed_server.lua %s %s %s %s %s"):format(
    folder.one.cert, folder.one.key, folder.path, db and process.quote(db.url) or "''", store and store.url or "''"))
  local line = server:line()
  if not line then return nil, "the server has not started: " .. server:errors() end
  o.server, o.ports, o.ca = server, ml.json.decode(line), folder.one.cert
  o.url, o.secure_url = "http://127.0.0.1:" .. o.ports.main, "https://localhost:" .. o.ports.tls
  o.list = requests.list(o.ports.main)
  local parts, rests, completed = {}, {}, {}
  local pause = math.min(REST, seconds / PARTS / 10)
  for i = 1, PARTS do
    completed[i] = {}
    parts[i] = load(o, seconds / PARTS - pause, completed[i])
    rests[i] = rest(o, pause)
    if i == 2 then o.first = rests[i] end
  end
  judge(o, parts, rests, completed)
  for _, k in ipairs(kinds) do
    local sum = 0
    for _, part in ipairs(completed) do sum = sum + part[k.name] end
    progress(("%8d %s"):format(sum, k.name))
  end
  local _, status, errors = server:stop()
  if status ~= 128 + 15 or errors:find("Sanitizer", 1, true) then -- it runs to its end, and says that a signal ended it
    o.wrong(("the server has ended with %s: %s"):format(status, errors:sub(-4000)))
  end
  if #wrong == 0 then return true end
  return nil, ("%s\n%d more"):format(table.concat(wrong, "\n"), more)
end

if not (arg and arg[0] and arg[0]:find "soak/mixed%.lua$") then return soak end

local minutes, seed = tonumber(arg[1] or 60), math.tointeger(tonumber(arg[2] or os.time()))
print("mixed soak: seed " .. seed)
local reports <close> = require("spec.support").keep_reports() -- luacheck: ignore
local ok, text = soak.run(minutes * 60, seed, function(text)
  print(text)
  io.stdout:flush()
end)
print(ok and "flat" or text)
if not ok then os.exit(1) end
