-- Clients of a cluster: a real one of three nodes, the first of which has a replica.
local ml = require "moonloop"
local core = require "moonloop.redis.core"
local nodes = require "moonloop.redis.cluster_nodes"
local redis = require "spec.support.redis"

local missing = redis.missing()

describe("the slot of a key", function()
  it("is what Redis says, and that of its tag", function()
    assert.equal(0, core.slot "")
    assert.equal(12739, core.slot "123456789")
    assert.equal(core.slot "user1000", core.slot "{user1000}.following")
    assert.equal(core.slot "{user1000}.followers", core.slot "{user1000}.following")
    assert.equal(core.slot "bar", core.slot "foo{bar}{zap}")
    assert.equal(core.slot "{bar", core.slot "foo{{bar}}zap")
    assert.not_equal(core.slot "a", core.slot "a{}b")
  end)
end)

describe("what a node says of the slots", function()
  --- A cluster whose nodes are tables, and how many of them there are.
  local function cluster_of(replies)
    local count = 0
    local cluster = nodes.new({ { host = "a", port = 1 } }, 1,
      { CLUSTER = function() return table.remove(replies, 1) end },
      function(host, port)
        count = count + 1
        return { host = host, port = port }
      end, function() count = count - 1 end)
    return cluster, function() return count end
  end

  local function ranges(n, host)
    local list = {}
    for i = 1, n do list[i] = { i - 1, i - 1, { host, i } } end
    return list
  end

  it("makes no node where a part of it is wrong", function()
    local wrong = ranges(500, "b")
    wrong[501] = { 0, 0, { "b", 0 } }
    local cluster, count = cluster_of { wrong }
    assert.is_nil((cluster:refresh()))
    assert.equal(1, count())
  end)

  it("makes a thousand nodes at most, and as many by redirection", function()
    local cluster, count = cluster_of { ranges(16384, "b"), ranges(2, "c"), ranges(2, "c"), ranges(2, "c") }
    assert.is_true(cluster:refresh())
    assert.equal(1000, count())
    local moved = { code = "MOVED", message = "MOVED 1 d:7" }
    assert.is_nil((cluster:redirected(moved, cluster.seeds[1])))
    for _ = 1, 3 do
      cluster.stale = true
      assert.is_true(cluster:refresh()) -- those that have gone are closed
    end
    assert.equal(3, count())
    for port = 1, 3000 do
      cluster:redirected({ code = "MOVED", message = "MOVED 1 d:" .. port }, cluster.seeds[1])
    end
    assert.equal(1000, count())
  end)
end)

--- A cluster of one node; `server.seen` are the commands that it got. reply(words): a text, or nil: it cuts the
-- connection. `slots`: what it says to CLUSTER SLOTS, unless it has them all.
local function fake_cluster(reply, slots)
  local server
  server = redis.fake(function(conn)
    for words in redis.read_command, conn do
      if words[1] == "CLUSTER" then
        conn:send(slots
          or ("*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$9\r\n127.0.0.1\r\n:%d\r\n"):format(server.listener.port))
      else
        server.seen[#server.seen + 1] = table.concat(words, " ")
        local text = reply(words)
        if not text or not conn:send(text) then return end
      end
    end
  end)
  server.seen = {}
  return server
end

describe("a command on a Redis cluster", function()
  it("is never sent again when it was written and its reply is lost", function()
    local server <close> = fake_cluster(function(words) return words[2] ~= "cut" and "+OK\r\n" or nil end)
    local r <close> = ml.redis.client { cluster = server.url }
    assert.equal("OK", r:incr "n")
    local _, err = r:incr "cut"
    assert.equal("network", err.kind)
    assert.is_true(err.unknown)
    local list = r:pipeline(function(p)
      p:incr "a"
      p:incr "cut"
      p:incr "b"
    end)
    for i = 1, 3 do assert.is_true(list[i].unknown) end
    _, err = r:multi(function(m) m:incr "cut" end)
    assert.is_true(err.unknown)
    assert.equal("OK", r:incr "last")
    assert.same({ "INCR n", "INCR cut", "INCR a", "INCR cut", "MULTI", "INCR cut", "INCR last" }, server.seen)
  end)

  it("is sent again when the node refuses it, until its time is over", function()
    local refusals = 3
    local server <close> = fake_cluster(function()
      refusals = refusals - 1
      return refusals >= 0 and "-CLUSTERDOWN The cluster is down\r\n" or "+OK\r\n"
    end)
    local r <close> = ml.redis.client { cluster = server.url, timeout = 100 }
    assert.equal("OK", r:incr "n")
    assert.equal(4, #server.seen)
    refusals = math.huge
    local short <close> = ml.redis.client { cluster = server.url, timeout = 1 }
    assert.equal("CLUSTERDOWN", select(2, short:incr "n").code)
  end)

  it("follows no more than a number of redirections", function()
    local server
    server = fake_cluster(function() return ("-MOVED 1 127.0.0.1:%d\r\n"):format(server.listener.port) end)
    local _ <close> = server
    local r <close> = ml.redis.client { cluster = server.url }
    assert.equal("MOVED", select(2, r:incr "n").code)
    assert(#server.seen < 30)
    assert.equal("MOVED", r:pipeline(function(p) p:incr "n" end)[1].code)
  end)

  it("follows no redirection to a port or a slot that there is not", function()
    for _, place in ipairs { "1 127.0.0.1:70000", "1 127.0.0.1:0", "16384 127.0.0.1:1", "1 127.0.0.1", "" } do
      local server <close> = fake_cluster(function() return ("-MOVED %s\r\n"):format(place) end)
      local r <close> = ml.redis.client { cluster = server.url }
      assert.equal("MOVED", select(2, r:incr "n").code, place)
    end
  end)

  it("fails where no node says which has which slots", function()
    local function range(first, last, place)
      return ("*1\r\n*3\r\n%s\r\n%s\r\n%s"):format(first, last, place or "*2\r\n$9\r\n127.0.0.1\r\n:1\r\n")
    end
    local replies = { "+OK\r\n", ":1\r\n", "*0\r\n", "*1\r\n:1\r\n", "*1\r\n*0\r\n",
      range(":0", ":9223372036854775807"), range(":-1", ":0"), range("+a", "+b"), range(":0", ":1", ":2\r\n"),
      range(":0", ":1", "*2\r\n+a\r\n:70000\r\n"), range(":0", ":1", "*1\r\n+a\r\n"),
      (range(":0", ":16383"):gsub("^*1\r\n(.*)$", "*2\r\n%1%1")) }
    ml.map(replies, function(reply) -- at once: each is asked for again until its time is over
      local server <close> = fake_cluster(function() return "+OK\r\n" end, reply)
      local r <close> = ml.redis.client { cluster = server.url, timeout = 2 }
      assert.equal("CLUSTERDOWN", select(2, r:incr "n").code, reply)
    end)
  end)
end)

describe("a client of a Redis cluster", function()
  if missing then
    it("needs a server", function() pending(missing) end)
    return
  end

  local servers, r

  setup(function() servers = redis.start_cluster(3, 1) end)
  teardown(function() servers:close() end)
  before_each(function()
    r = ml.redis.client { cluster = { servers[2].url }, timeout = 100 }
    for _, node in ipairs(assert(r:nodes())) do assert(node:flushall()) end
  end)
  after_each(function() r:close() end)

  local function message(f, ...) return tostring(select(2, pcall(f, ...))) end

  --- The place in `servers` of the node with a slot.
  local function owner(slot)
    for _, range in ipairs(r:cluster "SLOTS") do
      if slot >= range[1] and slot <= range[2] then
        for i, server in ipairs(servers) do
          if server.port == range[3][2] then return i end
        end
      end
    end
  end

  it("sends each command to the node that has its key", function()
    local list = {}
    for i = 1, 300 do list[i] = { r.set, r, "k" .. i, i } end
    ml.gather(list, {})
    for i = 1, 300 do assert.equal(tostring(i), r:get("k" .. i)) end
    local total = 0
    for _, node in ipairs(r:nodes()) do
      local n = node:dbsize()
      assert(n > 50, n)
      total = total + n
    end
    assert.equal(300, total)
    assert.equal("PONG", r:ping())
    assert.equal("v", r:set("k", "v", { ex = 100 }) and r:call("GET", "k"))
    assert.equal(2, r:hset("h", { a = 1, b = 2 }))
    assert.same({ a = "1", b = "2" }, r:hgetall "h")
  end)

  it("says which keys are in different slots", function()
    assert.equal("OK", r:mset { ["{t}a"] = 1, ["{t}b"] = 2 })
    assert.same({ "1", "2" }, r:mget("{t}a", "{t}b"))
    for _, f in ipairs {
      function() return r:mget("a", "b") end,
      function() return r:del { "a", "b" } end,
      function() return r:blpop("a", "b", 1) end,
      function() return r:eval("return 1", 2, "a", "b") end,
      function() return r:multi(function(m) m:set("a", 1) m:set("b", 1) end) end,
      function() return r:multi({ watch = { "a", "b" } }, function() end) end,
    } do
      local value, err = f()
      assert.is_nil(value)
      assert.equal("CROSSSLOT", err.code)
      assert(err.message:find("the keys 'a' and 'b' are in different slots", 1, true), err.message)
      assert(err.message:find("{tag}", 1, true), err.message)
    end
    local value, err = r:dbsize()
    assert.is_nil(value)
    assert(err.message:find("cluster:nodes()", 1, true), err.message)
    assert(message(r.get, r, nil):find("string or number expected, got nil", 1, true))
  end)

  it("splits a pipeline by node and puts the replies in order", function()
    local list = assert(r:pipeline(function(p)
      for i = 1, 500 do
        p:set("k" .. i, i)
        p:get("k" .. i)
      end
      p:incr "k1"
      p:lpush("k1", 1)
      p:mget("a", "b")
      p:get "none"
    end))
    assert.equal(1004, list.n)
    for i = 1, 500 do assert.same({ "OK", tostring(i) }, { list[2 * i - 1], list[2 * i] }) end
    assert.equal(2, list[1001])
    assert.equal("WRONGTYPE", list[1002].code)
    assert.equal("CROSSSLOT", list[1003].code)
    assert.is_nil(list[1004])
    assert.same({ n = 0 }, r:pipeline(function() end))
    local kept
    r:pipeline(function(p) kept = p end)
    assert(message(kept.get, kept, "a"):find("have already been sent", 1, true))
    assert(message(r.pipeline, r, function(p) p:blpop("q", 0) end):find("call it on the client", 1, true))
    assert(message(r.pipeline, r, function(p) p:get(nil) end):find("string or number expected", 1, true))
  end)

  it("does a transaction on the node of its keys, with and without watch", function()
    assert.same({ "OK", 2, n = 2 }, r:multi(function(m)
      m:set("x", 1)
      m:incr "x"
    end))
    local function add(between)
      return r:multi({ watch = "x" }, function(m, c)
        local x = tonumber(c:get "x")
        if between then r:set("x", 50) end
        m:set("x", x + 1)
      end)
    end
    assert.is_nil(add(true))
    assert.same({ "OK", n = 1 }, add(false))
    assert.equal("51", r:get "x")
  end)

  it("has scripts, locks, caches, scans, streams and blocking commands", function()
    local add = r:script "return redis.call('incrby', KEYS[1], ARGV[1])"
    for i = 1, 20 do assert.equal(i, add({ "n" .. i }, i)) end
    do
      local lock <close> = assert(r:lock("name", { ttl = 60 })) -- luacheck: ignore
      assert.equal("busy", select(2, r:lock "name").kind)
    end
    assert.is_true(assert(r:lock "name"):release())
    local cache = r:cache { ttl = 60 }
    assert.equal(7, cache:get("k", function() return 7 end))
    assert.equal(7, cache:get("k", error))
    r:pipeline(function(p) for i = 1, 200 do p:set("scan:" .. i, i) end end)
    local seen, n = {}, 0
    for key in r:scan("scan:*", { count = 20 }) do
      if not seen[key] then n = n + 1 end
      seen[key] = true
    end
    assert.equal(200, n)
    r:xadd("jobs", "*", { n = 1 })
    local next_job, reader = r:group("jobs", "g", { consumer = "a" })
    local msg = next_job(reader)
    assert.equal("1", msg.fields.n)
    assert.is_true(msg:ack())
    local waiting = ml.spawn(function() return r:blpop("q", 0) end)
    r:rpush("q", "job")
    assert.same({ "q", "job" }, waiting:await())
  end)

  it("hears what is published anywhere", function()
    local next_message, state, _, closing = r:subscribe "news"
    local _ <close> = closing
    for i = 1, 3 do
      local client <close> = servers[i]:client()
      client:publish("news", i)
      assert.equal(tostring(i), next_message(state).payload)
    end
  end)

  it("crosses to the executor", function()
    r:set("k", "v")
    assert.equal("v", ml.executor.run(function() return r:get "k" end))
  end)

  it("follows slots that move, while they move and afterwards", function()
    local slot = core.slot "{m}"
    local from = owner(slot)
    local to = from % 3 + 1
    local source <close> = servers[from]:client()
    local target <close> = servers[to]:client()
    local source_id, target_id = source:call("CLUSTER", "MYID"), target:call("CLUSTER", "MYID")
    for i = 1, 10 do r:set("{m}" .. i, i) end
    assert(target:call("CLUSTER", "SETSLOT", slot, "IMPORTING", source_id))
    assert(source:call("CLUSTER", "SETSLOT", slot, "MIGRATING", target_id))
    for i = 1, 5 do assert(source:call("MIGRATE", "127.0.0.1", servers[to].port, "{m}" .. i, 0, 100000)) end
    -- half of them are there: ASK
    for i = 1, 10 do assert.equal(tostring(i), r:get("{m}" .. i)) end
    local list = r:pipeline(function(p) for i = 1, 10 do p:get("{m}" .. i) end end)
    for i = 1, 10 do assert.equal(tostring(i), list[i]) end
    assert.same({ "1", "OK", n = 2 }, r:multi(function(m)
      m:get "{m}1"
      m:set("{m}2", "2")
    end))
    -- a command that needs keys of both waits until they are together: TRYAGAIN
    local both = ml.spawn(function() return r:mget("{m}1", "{m}10") end)
    redis.eventually("it has not been refused", function()
      return (target:info "errorstats"):find("errorstat_TRYAGAIN", 1, true)
        or (source:info "errorstats"):find("errorstat_TRYAGAIN", 1, true)
    end)
    for i = 6, 10 do assert(source:call("MIGRATE", "127.0.0.1", servers[to].port, "{m}" .. i, 0, 100000)) end
    for _, client in ipairs { target, source } do assert(client:call("CLUSTER", "SETSLOT", slot, "NODE", target_id)) end
    assert.same({ "1", "10" }, both:await())
    -- all are there: MOVED
    for i = 1, 10 do assert.equal(tostring(i), r:get("{m}" .. i)) end
    list = r:pipeline(function(p) for i = 1, 10 do p:get("{m}" .. i) end end)
    for i = 1, 10 do assert.equal(tostring(i), list[i]) end
    assert.same({ "1", n = 1 }, r:multi({ watch = "{m}1" }, function(m) m:get "{m}1" end))
  end)

  it("says what is wrong where no node can be reached", function()
    local away <close> = ml.redis.client { cluster = { "127.0.0.1:1" }, timeout = 1 }
    local _, err = away:get "k"
    assert.equal("network", err.kind)
    assert(err.message:find("redis://127.0.0.1:1", 1, true), err.message)
    local list = away:pipeline(function(p) p:get "k" end)
    assert.equal("network", list[1].kind)
    away:close()
    assert.equal("closed", select(2, away:get "k").kind)
    assert.equal("closed", select(2, away:pipeline(function(p) p:get "k" end)).kind)
    assert.equal("closed", select(2, away:multi(function(m) m:get "k" end)).kind)
    assert.equal("closed", select(2, away:blpop("k", 0)).kind)
    assert.is_false((pcall(away.subscribe, away, "a")))
  end)

  it("follows a failover while commands run: none is sent twice", function()
    local over, done = false, 0
    local written = {}
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
        end
        ml.sleep(0.001)
      end
    end
    local tasks = {}
    for w = 1, 12 do tasks[w] = ml.spawn(worker, w) end
    redis.eventually("nothing is done", function() return done > 200 end)
    local replica <close> = servers[4]:client()
    redis.eventually("the replica is not in step", function()
      return (replica:info "replication"):find("master_link_status:up", 1, true)
    end)
    servers[1]:stop()
    assert(replica:call("CLUSTER", "FAILOVER", "TAKEOVER"))
    local moved = {}
    for w = 1, 12 do
      if core.slot("n:" .. w) < 5461 then moved[#moved + 1] = w end
    end
    assert(#moved > 0)
    local before = {}
    for _, w in ipairs(moved) do before[w] = written[w] end
    redis.eventually("the new master does nothing", function()
      for _, w in ipairs(moved) do
        if written[w] < before[w] + 20 then return false end
      end
      return true
    end)
    over = true
    ml.wait(tasks)
    for w = 1, 12 do
      tasks[w]:await()
      assert(tonumber(r:get("n:" .. w)) <= written[w])
    end
  end)
end)
