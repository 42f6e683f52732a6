-- Clients that ask sentinels where the master is.
local ml = require "moonloop"
local redis = require "spec.support.redis"

local function bulk(text) return ("$%d\r\n%s\r\n"):format(#text, text) end

local function list(...)
  local out = { ("*%d\r\n"):format(select("#", ...)) }
  for i = 1, select("#", ...) do out[#out + 1] = bulk((select(i, ...))) end
  return table.concat(out)
end

--- A sentinel that answers with what `where()` gives: a server, or nil.
local function fake_sentinel(where)
  local asked = {}
  local server = redis.fake(function() end, function(conn, words)
    while words do
      asked[#asked + 1] = table.concat(words, " ")
      local at = where()
      conn:send(words[1] == "AUTH" and "+OK\r\n" or at and list("127.0.0.1", tostring(at.listener.port)) or "*-1\r\n")
      words = redis.read_command(conn)
    end
  end)
  server.asked = asked
  return server
end

--- A server with a role; `server.seen` are the commands that it got.
local function fake_master(reply)
  local server
  server = redis.fake(function(conn)
    for words in redis.read_command, conn do
      if words[1] == "ROLE" then
        conn:send("*1\r\n" .. bulk(server.role))
      else
        server.seen[#server.seen + 1] = table.concat(words, " ")
        if not conn:send(reply(server, words) or "+OK\r\n") then return end
      end
    end
  end)
  server.seen, server.role = {}, "master"
  return server
end

local function ok() return "+OK\r\n" end

describe("a Redis client with sentinels", function()
  it("asks one after the other until one knows the master", function()
    local master <close> = fake_master(ok)
    local ignorant <close> = fake_sentinel(function() end)
    local sentinel <close> = fake_sentinel(function() return master end)
    local r <close> = ml.redis.client { sentinels = { "127.0.0.1:1", ignorant.url, sentinel.url }, master = "m" }
    assert.equal("OK", r:get "k")
    assert.same({ "SENTINEL get-master-addr-by-name m" }, sentinel.asked)
    assert.equal(1, #ignorant.asked)
    assert.same({ "GET k" }, master.seen)
  end)

  it("logs in at sentinels with what their URLs say, and at the master with its options", function()
    local master <close> = fake_master(ok)
    local sentinel <close> = fake_sentinel(function() return master end)
    local r <close> = ml.redis.client({ sentinels = sentinel.url:gsub("//", "//u:secret@"), protocol = 2 },
      { password = "other" })
    assert.equal("OK", r:get "k")
    assert.same({ "AUTH u secret", "SENTINEL get-master-addr-by-name mymaster" }, sentinel.asked)
  end)

  it("leaves a server that is a replica, and asks again", function()
    local old <close> = fake_master(ok)
    local master <close> = fake_master(ok)
    old.role = "slave"
    local asked = 0
    local sentinel <close> = fake_sentinel(function()
      asked = asked + 1
      return asked == 1 and old or master
    end)
    local r <close> = ml.redis.client { sentinels = { sentinel.url } }
    assert.equal("OK", r:get "k")
    assert.same({}, old.seen)
    assert.same({ "GET k" }, master.seen)
  end)

  it("goes to the new master when the old one says that it is read-only, and sends nothing again", function()
    local new <close> = fake_master(ok)
    local at
    local old <close> = fake_master(function(_, words)
      if words[1] ~= "SET" then return "+OK\r\n" end
      at = new
      return "-READONLY You can't write against a read only replica.\r\n"
    end)
    at = old
    local sentinel <close> = fake_sentinel(function() return at end)
    local r <close> = ml.redis.client { sentinels = { sentinel.url } }
    assert.equal("OK", r:get "k")
    assert.equal("READONLY", select(2, r:set("k", 1)).code)
    assert.equal("OK", r:set("k", 2))
    assert.same({ "SET k 2" }, new.seen)
    assert.same({ "GET k", "SET k 1" }, old.seen)
  end)

  it("never sends again what was written to a master that is lost", function()
    local new <close> = fake_master(ok)
    local at
    local old <close> = fake_master(function(server, words)
      if words[2] ~= "lost" then return "+OK\r\n" end
      at = new
      server.listener:close()
      return ""
    end)
    at = old
    local sentinel <close> = fake_sentinel(function() return at end)
    local r <close> = ml.redis.client { sentinels = { sentinel.url }, timeout = 2 }
    assert.equal("OK", r:incr "n")
    local _, err = r:incr "lost"
    assert.equal("timeout", err.kind)
    assert.is_true(err.unknown)
    redis.eventually("it does not come back", function() return r:incr "n" end)
    assert.same({ "INCR n", "INCR lost" }, old.seen)
    for _, command in ipairs(new.seen) do assert.equal("INCR n", command) end
  end)

  it("says what is wrong where no sentinel knows the master", function()
    local sentinel <close> = fake_sentinel(function() end)
    local r <close> = ml.redis.client { sentinels = { sentinel.url }, master = "other", timeout = 2 }
    local _, err = r:get "k"
    assert.equal("network", err.kind)
    assert(err.message:find("knows no master named 'other'", 1, true), err.message)
    assert(err.message:find("no connection to the master 'other'", 1, true), err.message)
  end)
end)

local missing = redis.missing()

describe("a Redis client with real sentinels", function()
  if missing then
    it("needs a server", function() pending(missing) end)
    return
  end

  it("follows a failover while commands run: none is sent twice", function()
    local master <close> = redis.start()
    local replica <close> = redis.start(("--replicaof 127.0.0.1 %d --repl-diskless-sync-delay 0"):format(master.port))
    local sentinels <close> = redis.start_sentinels(3, master)
    do
      local client <close> = sentinels[1]:client { protocol = 2 }
      redis.eventually("the sentinels do not know all", function()
        local others = client:call("SENTINEL", "SENTINELS", "mymaster")
        local replicas = client:call("SENTINEL", "REPLICAS", "mymaster")
        return #others == 2 and #replicas == 1 and table.concat(replicas[1], " "):find "master%-link%-status ok"
      end)
    end
    local r <close> = ml.redis.client { sentinels = sentinels:urls(), timeout = 100 }
    local over = false
    local written, unknown, done = {}, 0, 0
    local function worker(w)
      local key = "n:" .. w
      written[w] = 0
      while not over do
        local value, err = r:incr(key)
        if not err then
          written[w] = written[w] + 1
          done = done + 1
          assert(value <= written[w], ("%s was incremented %d times, by %d commands"):format(key, value, written[w]))
        elseif err.unknown then
          written[w] = written[w] + 1
          unknown = unknown + 1
        end
        ml.sleep(0.001)
      end
    end
    local tasks = {}
    for w = 1, 8 do tasks[w] = ml.spawn(worker, w) end
    local next_message, state, _, closing = r:subscribe "news"
    local _ <close> = closing
    redis.eventually("nothing is done", function() return done > 100 end)
    master:stop()
    local after = done
    redis.eventually("there is no new master", function() return done > after + 100 end)
    over = true
    ml.wait(tasks)
    for w = 1, 8 do
      tasks[w]:await()
      assert(tonumber(r:get("n:" .. w)) <= written[w])
    end
    assert.same({ gap = true }, next_message(state))
    r:publish("news", "on the new master")
    assert.equal("on the new master", next_message(state).payload)
    assert.equal(replica.port, tonumber(r:config("GET", "port").port))
  end)
end)
