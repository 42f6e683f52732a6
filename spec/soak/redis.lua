-- Redis commands that are broken off at random moments: moonloop spec/soak/redis.lua [CANCELS] [SEED]
--
-- Plain commands, pipelines, transactions, subscriptions and blocking commands are broken off by a cancel, a deadline
-- or an HTTP client that goes away; directly, through a proxy that delays, cuts, freezes and resets, and while
-- connections are killed and the server is stopped and restarted, by TLS too. No answer may be given to the wrong task,
-- no operation may hang, and in the end all leased connections are back and the server has no others.
local cancels = require "spec.soak.cancels"
local core = require "moonloop.redis.core"
local ml = require "moonloop"
local redis = require "spec.support.redis"
local tls = require "spec.support.tls"

local soak = {}

local random = math.random

local function echo(r, text) return r:echo(text) end

local function pipeline(r, text)
  local list, err = r:pipeline(function(p)
    p:echo "first"
    p:echo(text)
    p:echo "last"
  end)
  if not list then return nil, err end
  if list[1] ~= "first" or list[3] ~= "last" then return table.concat(list, ",") end
  return list[2]
end

local function transaction(r, text, n)
  local list, err = r:multi(function(m)
    m:set("m:" .. n, text, { ex = 60 })
    m:get("m:" .. n)
  end)
  if not list then return nil, err end
  return list[2]
end

local function watched(r, text, n)
  local list, err = r:multi({ watch = "w:" .. n }, function(m, c)
    local value, failure = c:echo(text)
    if not value then return nil, failure end
    m:echo(value)
  end)
  if not list then return nil, err end
  return list[1]
end

local function blocking(r, text, n)
  local key = "q:" .. n
  local pushed, err = r:rpush(key, text)
  if not pushed then return nil, err end
  local item
  item, err = r:blpop(key, 5)
  return item and item[2], err
end

-- Waits for what another task pushes later.
local function waiting(r, text, n)
  local key = "q:" .. n
  local pusher = ml.spawn(function()
    ml.sleep(random() * 0.002)
    r:rpush(key, text)
  end)
  local item, err = r:blpop(key, 5)
  pusher:cancel()
  return item and item[2], err
end


local function published(r, text, n)
  local channel = "c:" .. n
  local speaker = ml.spawn(function()
    while r:publish(channel, text) == 0 do ml.sleep(0.001) end
  end)
  local ok, value = pcall(function()
    for m in r:subscribe(channel) do
      if m.payload then return m.payload end
      if m.gap then return nil end
    end
  end)
  speaker:cancel()
  if ok then return value end
  if ml.is_error(value) and value.kind == "network" then return nil, value end
  error(value, 0)
end

local operations = { echo = echo, pipeline = pipeline, transaction = transaction, watched = watched,
  blocking = blocking, waiting = waiting, published = published }

local function bind(r)
  local bound = {}
  for name, f in pairs(operations) do bound[name] = function(text, n) return f(r, text, n) end end
  return bound
end

--- Everything of the client is back: no leased connection, nobody in line; the server has no more connections.
local function check_rest(r, server)
  local t = core.table(r)
  cancels.wait_until("leased connections are not back", function() return next(t.leased) == nil end)
  assert(#t.idle <= 4 and #t.idle_patient <= 4)
  cancels.wait_until("the shared connection does not answer", function() return r:echo "rest" == "rest" end)
  cancels.wait_until("calls are left in line", function() return select(3, core.state(r)) == 0 end)
  local admin <close> = server:client()
  cancels.wait_until("the server has connections of nobody", function()
    local list = admin:client "LIST"
    return list and select(2, list:gsub("\n", "")) <= 2 + #t.idle + #t.idle_patient
  end)
end

local function is_passing(err)
  return ml.is_error(err) and (err.kind == "network" or err.kind == "timeout" or err.kind == "busy")
end

--- What is done to the server and to the connections, until over() is true.
local function troubles(server)
  return function(over)
    while not over() do
      ml.sleep(random() * 0.1)
      local dice = random(12)
      if dice == 1 then
        server:stop()
        ml.sleep(random() * 0.02)
        server:start()
      elseif dice <= 4 then
        server:kill "STOP"
        ml.sleep(random() * 0.1)
        server:kill "CONT"
      else
        local admin <close> = server:client { timeout = 30 }
        admin:client("KILL", "TYPE", random(2) == 1 and "normal" or "pubsub", "SKIPME", "yes")
      end
    end
  end
end

-- The runs, each with so many cancels.
local runs = {
  { "directly", function(server, o)
    local r <close> = server:client { timeout = 30 }
    o.operations = bind(r)
    local books = cancels.run(o)
    check_rest(r, server)
    return books
  end },
  { "through a proxy that makes faults", function(server, o)
    local proxy <close> = redis.proxy(server.port)
    local r <close> = ml.redis.client(proxy.url, { timeout = 30 })
    o.operations, o.may_fail, o.may_lose = bind(r), is_passing, true
    o.disturb = cancels.harass(proxy)
    local books = cancels.run(o)
    proxy:harass(nil)
    check_rest(r, server)
    return books
  end },
  { "while connections are killed and the server is stopped and restarted", function(server, o)
    local r <close> = server:client { tcp = true, timeout = 30 }
    o.operations, o.may_fail, o.may_lose = bind(r), is_passing, true
    o.disturb = troubles(server)
    local books = cancels.run(o)
    check_rest(r, server)
    return books
  end },
  { "by TLS, while connections are killed", function(server, o)
    if not server.tls_port then return nil end
    local r <close> = ml.redis.client("rediss://localhost:" .. server.tls_port,
      { tls = { ca = server.ca }, timeout = 30 })
    o.operations, o.may_fail, o.may_lose = bind(r), is_passing, true
    o.disturb = troubles(server)
    local books = cancels.run(o)
    check_rest(r, server)
    return books
  end },
}

--- run(cancels, seed [, progress]): raises where anything is wrong. progress(text).
function soak.run(wanted, seed, progress)
  math.randomseed(seed)
  local certs <close> = tls.is_there() and tls.certificates { good = {} } or nil
  local words, port
  if certs then
    os.execute(("chmod -R a+rX '%s'"):format(certs.path)) -- the server may run as nobody
    words, port = redis.tls_words(certs)
  end
  local server <close> = redis.start(words)
  server.tls_port, server.ca = port, certs and certs.ca
  for _, run in ipairs(runs) do
    local name, f = run[1], run[2]
    local books = f(server, { cancels = wanted })
    if progress and books then
      progress(("%s: %d broken off, %d done, %d failed"):format(name, books.cancelled, books.done, books.failed))
    end
  end
end

if not (arg and arg[0] and arg[0]:find("soak/redis%.lua$")) then return soak end

local wanted = math.tointeger(tonumber(arg[1] or 10000))
local seed = math.tointeger(tonumber(arg[2] or os.time()))
assert(wanted and seed, "usage: moonloop spec/soak/redis.lua [CANCELS] [SEED]")
print(("redis soak: seed %d"):format(seed))
soak.run(wanted, seed, function(text) print("redis soak: " .. text) end)
