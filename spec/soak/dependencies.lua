-- Dependencies and sessions of requests that end in every way: moonloop spec/soak/dependencies.lua [ROUNDS [SEED]]
--
-- In each of ROUNDS (20) a server gets requests of 12 clients at a time, which leave when they like, and is
-- stopped in their midst, or not. Handlers, dependencies, streams and clean-ups wait, abort and fail at random,
-- and deadlines pass. Afterwards each clean-up has run exactly once, and no task is left; where the server was
-- not stopped, each function of req:after has run, as many requests were completed as there are clients, and no
-- answer was a 500 that was not meant. Errors that are meant are reported on standard error. The seed is printed;
-- the same seed gives the same clients.
local ml = require "moonloop"
local rawtcp = require("spec.support").rawtcp
local support = require "spec.support.web"
local web = require "moonloop.web"

local CLIENTS, REQUESTS = 12, 25

local counts = { opened = 0, closed = 0, twice = 0, registered = 0, ran = 0 }
local is_mean = true -- do handlers fail?

local function nap() ml.sleep(math.random() * 0.006) end

local function fails(times) return is_mean and math.random(times) == 1 end

--- A dependency that counts its clean-ups; `before` and `after` run where it is opened and cleaned up.
local function counting(spec, before, after)
  spec[1] = function(req)
    before(req)
    counts.opened = counts.opened + 1
    local is_over = false
    return { text = ("x"):rep(1000) }, function()
      if is_over then counts.twice = counts.twice + 1 end
      is_over = true
      counts.closed = counts.closed + 1
      after()
    end
  end
  return web.dependency(spec)
end

local function make_app()
  local app = web.app()
  app:use(web.sessions {})
  local first = counting({ concurrent = true }, nap, nap)
  local second = counting({ concurrent = true, needs = { first = first } }, function()
    nap()
    if math.random(10) == 1 then web.abort(401) end
  end, nap)
  local lasting = counting({ scope = "response" }, nap, nap)
  local outer = counting({ scope = "response", needs = { lasting = lasting } }, nap, function()
    if fails(20) then error("a clean-up fails", 0) end
  end)
  local body = counting({}, function(req) return req.valid.body end, nap)

  local function after(req)
    counts.registered = counts.registered + 1
    req:after(function()
      counts.ran = counts.ran + 1
      nap()
    end)
  end

  local whole = { first = first, second = second, lasting = lasting, outer = outer }
  app:get("/json", { depends = whole }, function(req)
    after(req)
    nap()
    req.session.n = (req.session.n or 0) + 1
    if fails(10) then error("a handler fails", 0) end
    return { n = req.session.n }
  end)
  local schema = ml.schema.object { n = ml.schema.int() }
  app:post("/typed", { body = schema, response = schema, depends = { body = body, outer = outer } }, function(req)
    after(req)
    nap()
    return req.valid.body
  end)
  app:get("/stream", { depends = { first = first, outer = outer, lasting = lasting } }, function(req, deps)
    after(req)
    return web.response { stream = function(out)
      for _ = 1, 5 do
        out:write(deps.lasting.text:rep(20))
        nap()
      end
      if fails(5) then error("a stream fails", 0) end
    end }
  end)
  app:get("/events", { depends = { outer = outer, lasting = lasting } }, function(req, deps)
    after(req)
    return web.events(function(send)
      for _ = 1, 5 do
        send { data = deps.lasting.text }
        nap()
      end
    end)
  end)
  app:get("/deadline", { depends = whole, deadline = 0.01 }, function(req)
    after(req)
    nap()
    return web.response { stream = function(out)
      out:write "x"
      nap()
    end }
  end)
  return app
end

local function request()
  local paths = { "/json", "/stream", "/events", "/deadline", "/typed" }
  local path = paths[math.random(#paths)]
  if path ~= "/typed" then return support.request("GET", path) end
  local text = math.random(5) == 1 and '{"n":"x"}' or '{"n":1}'
  return support.request("POST", path, ("Content-Type: application/json\r\nContent-Length: %d\r\n"):format(#text), text)
end

--- Sends requests until there is nobody to take them. Returns how often each status came.
local function client(port, statuses)
  for _ = 1, REQUESTS do
    local conn <close> = rawtcp.connect(port)
    if not conn then return end
    local text = request()
    local is_whole = math.random(8) > 1
    if not conn:send(text:sub(1, is_whole and -1 or math.random(#text))) then return end
    if not is_whole or math.random(3) == 1 then
      nap() -- and leaves
    else
      local ok, res = pcall(support.receive, conn)
      local status = ok and res and res.status or "none"
      statuses[status] = (statuses[status] or 0) + 1
    end
  end
end

local function round(app, is_stopped)
  is_mean = is_stopped
  local server = assert(web.listen(app, { port = 0 }))
  local stop = is_stopped and ml.spawn(function()
    ml.sleep(0.05 + math.random() * 0.1)
    server:stop(math.random(0, 1) * 0.02)
  end)
  local statuses, clients = {}, {}
  for i = 1, CLIENTS do clients[i] = function() client(server.port, statuses) end end
  ml.gather(clients)
  if stop then stop:await() else server:stop() end
  assert(server.tasks == 0, "tasks are left")
  assert(counts.opened == counts.closed and counts.twice == 0, "a clean-up has not run exactly once")
  assert(is_stopped or counts.ran == counts.registered, "a function of req:after has not run")
  assert(is_stopped or not statuses[500], "a 500")
  assert(is_stopped or (statuses[200] or 0) >= CLIENTS, "few requests were completed")
  counts.ran = counts.registered
  return statuses
end

local rounds, seed = tonumber(arg[1]) or 20, tonumber(arg[2]) or os.time()
math.randomseed(seed)
print("seed " .. seed)
local app = make_app()
for i = 1, rounds do
  local line = {}
  for status, n in pairs(round(app, i % 2 == 1)) do line[#line + 1] = ("%s: %d"):format(status, n) end
  table.sort(line)
  print(("%d: %s; %d clean-ups"):format(i, table.concat(line, ", "), counts.closed))
end
assert(#ml.tasks() == 1, "tasks are left")
