-- ml.web.hub with Redis: one hub on several hosts, and for scripts that only publish.
local events = require "spec.support.events"
local json = require "moonloop.json"
local ml = require "moonloop"
local process = require "spec.support.process"
local redis = require "spec.support.redis"
local served = require "spec.support.served"
local support = require "spec.support"
local web = require "spec.support.web"

local WAIT = 100 -- seconds that something may take to happen

local APP = [[
  local ml = require "moonloop"
  local app = ml.web.app()
  local hub = ml.web.hub { redis = ml.redis.client(%q) }
  app:get("/", function()
    return ml.web.events(function(send)
      hub:join(send, "all")
      send(os.getenv "MOONLOOP_WORKER" or "alone")
      ml.sleep(math.huge)
    end)
  end)
  app:get("/publish", function(req)
    for i = 1, 10 do hub:publish("all", { from = req.query.from, i = i }) end
  end)
  return app]]

local function next_of(stream) return (assert(ml.timeout(WAIT, stream.next, stream), "no event has come")) end

-- Expects the messages of these publishers, each with its ten in order, and nothing else before the last.
local function expect(stream, ...)
  local seen = {}
  for _ = 1, 10 * select("#", ...) do
    local message = json.decode(next_of(stream))
    assert.equal((seen[message.from] or 0) + 1, message.i)
    seen[message.from] = message.i
  end
  for _, from in ipairs { ... } do assert.equal(10, seen[from]) end
end

-- An app in this process whose streams join the topic "a".
local function app_of(hub)
  local app = ml.web.app()
  app:get("/", function()
    return ml.web.events(function(send)
      hub:join(send, "a")
      send "joined"
      ml.sleep(math.huge)
    end)
  end)
  return app
end

local function wait_until_empty(hub)
  served.wait_until("members are left", function()
    hub:publish("a", "is anybody there?")
    return hub:count "a" == 0
  end)
end

describe("a hub with Redis", function()
  local missing = redis.missing()
  if missing then return it("is not tried", function() pending(missing) end) end

  it("reaches the clients of all servers and workers once, and scripts may publish", function()
    local server <close> = redis.start()
    local files = { ["app.lua"] = APP:format(server.url) }
    local a <close> = served.start(files, "--workers 2 --drain 0")
    local b <close> = served.start(files, "--drain 0")
    local streams, seen = {}, {}
    served.wait_until("not every worker gets a client", function()
      local stream = events.open(a.port)
      seen[next_of(stream)] = true
      table.insert(streams, stream)
      return seen["1"] and seen["2"]
    end)
    table.insert(streams, events.open(b.port))
    assert.equal("alone", next_of(streams[#streams]))
    a:get "/publish?from=a"
    b:get "/publish?from=b"
    local output = process.run(([[
      local ml = require "moonloop"
      local r <close> = ml.redis.client(%q)
      local hub = ml.web.hub { redis = r }
      for i = 1, 10 do hub:publish("all", { from = "script", i = i }) end
    ]]):format(server.url))
    assert.equal("", output)
    for _, stream in ipairs(streams) do expect(stream, "a", "b", "script") end
    a:get "/publish?from=last"
    for _, stream in ipairs(streams) do
      expect(stream, "last")
      stream:close()
    end
    for _, each in ipairs { a, b } do
      each:kill "TERM"
      each:finish()
    end
  end)

  it("is subscribed while it has members, and only then", function()
    local server <close> = redis.start()
    local r <close> = server:client()
    local other <close> = server:client()
    local hub = ml.web.hub { name = "members", redis = r }
    local function subscribers() return other:call("PUBSUB", "NUMSUB", "moonloop:hub:members")[2] end
    assert.equal(0, subscribers())
    web.serving(app_of(hub), function(port)
      local stream = events.open(port)
      assert.equal("joined", next_of(stream))
      assert.equal(1, subscribers())
      other:publish("moonloop:hub:members", ("o"):rep(16) .. string.pack("<BBI2", 1, 7, 1) .. "members" .. "a" .. "hi")
      for _, bad in ipairs { "", "short", ("o"):rep(16), ("o"):rep(16) .. "\1\255\255\255x" } do
        other:publish("moonloop:hub:members", bad)
      end
      assert.equal("hi", next_of(stream))
      hub:publish("a", "own")
      assert.equal("own", next_of(stream))
      hub:publish("a", "not twice")
      assert.equal("not twice", next_of(stream))
      stream:close()
      wait_until_empty(hub)
      redis.eventually("it is still subscribed", function() return subscribers() == 0 end)
    end)
  end)

  it("goes on without Redis, says so once, and comes back", function()
    local reports <close> = support.keep_reports()
    local server <close> = redis.start()
    local proxy <close> = redis.proxy(server.port)
    local r <close> = ml.redis.client(proxy.url, { timeout = 1, connect_timeout = 1, offline_queue = 0 })
    local other <close> = server:client()
    local hub = ml.web.hub { name = "outage", redis = r }
    web.serving(app_of(hub), function(port)
      local stream <close> = events.open(port)
      assert.equal("joined", next_of(stream))
      server:stop()
      for i = 1, 5 do
        hub:publish("a", "without " .. i)
        assert.equal("without " .. i, next_of(stream))
      end
      redis.eventually("nothing is reported", function() return reports:text():find "outage" end)
      server:start()
      redis.eventually("it does not come back", function()
        return other:call("PUBSUB", "NUMSUB", "moonloop:hub:outage")[2] == 1
      end)
      other:publish("moonloop:hub:outage", ("o"):rep(16) .. string.pack("<BBI2", 1, 6, 1) .. "outage" .. "a" .. "back")
      assert.equal("back", next_of(stream))
    end)
    wait_until_empty(hub)
    assert.equal(1, select(2, reports:text():gsub("hub 'outage' failed", "")), reports:text())
  end)
end)
