-- Commands, pipelines, transactions, scripts and scans, against a real server.
local ml = require "moonloop"
local redis = require "spec.support.redis"

local missing = redis.missing()

describe("a Redis client", function()
  if missing then
    it("needs a server", function() pending(missing) end)
    return
  end
  local server, r

  setup(function() server = redis.start() end)
  teardown(function() server:close() end)
  before_each(function()
    r = server:client()
    assert(r:flushall())
  end)
  after_each(function() r:close() end)

  local function message(f, ...) return tostring(select(2, pcall(f, ...))) end

  it("sends every command by its name", function()
    assert.equal("OK", r:set("k", "v"))
    assert.equal("v", r:get "k")
    assert.is_nil(r:get "none")
    assert.equal(2, r:rpush("l", "a", "b"))
    assert.same({ "a", "b" }, r:lrange("l", 0, -1))
    assert.equal(1.5, r:zadd("z", 1.5, "m") and r:zscore("z", "m"))
    assert.equal("v", r:call("GET", "k"))
    assert.equal("v", r:call("get", "k"))
  end)

  it("carries integers and doubles exactly, and any bytes", function()
    for _, value in ipairs { math.maxinteger, math.mininteger, 0 } do
      r:set("n", value)
      assert.equal(tostring(value), r:get "n")
    end
    assert.equal(math.mininteger, r:set("n", math.mininteger + 1) and r:decr "n")
    for _, value in ipairs { 0.1, 1e300, 1 / 3, -2.5e-7 } do
      r:set("x", value)
      assert.equal(value, tonumber(r:get "x"))
    end
    local bytes = {}
    for i = 0, 255 do bytes[#bytes + 1] = string.char(i) end
    r:set("b", table.concat(bytes))
    assert.equal(table.concat(bytes), r:get "b")
  end)

  it("takes lists, and tables with names where a command has them", function()
    r:mset { a = 1, b = 2 }
    assert.same({ "1", nil, "2", n = 3 }, r:mget { "a", "none", "b" })
    assert.equal(2, r:del { "a", "b" })
    r:hset("h", { name = "x", age = 3 })
    assert.same({ name = "x", age = "3" }, r:hgetall "h")
    assert.equal("OK", r:set("k", "v", { ex = 100, nx = true }))
    assert.is_nil(r:set("k", "w", { nx = true }))
    assert.equal("v", r:set("k", "w", { get = true, keepttl = true }))
    assert(r:ttl "k" > 90)
    assert.equal("w", r:getex("k", { persist = true }))
    assert.equal(-1, r:ttl "k")
  end)

  it("refuses arguments that cannot be sent, and says which", function()
    assert(message(r.get, r, nil):find("string or number expected, got nil", 1, true))
    assert(message(r.set, r, "k", true):find("string or number expected, got boolean", 1, true))
    assert(message(r.set, r, "k", "v", { nix = true }):find("unknown option 'nix' of set", 1, true))
    assert(message(r.zadd, r, "z", { m = 1 }):find("zadd: a table with names", 1, true))
    assert(message(r.get, {}, "k"):find("call it with a colon", 1, true))
    assert(message(r.call, r, "CONFIG GET", "*"):find("further words are arguments", 1, true))
    assert.equal("PONG", r:ping()) -- and nothing was sent in part
  end)

  it("refuses what would change the connection that all share", function()
    assert(message(r.select, r, 1):find("give the database in the client's URL", 1, true))
    assert(message(r.multi, r):find("function expected", 1, true))
    assert(message(r.call, r, "MULTI"):find("use r:multi", 1, true))
    assert(message(r.call, r, "subscribe", "x"):find("use r:subscribe", 1, true))
    assert(message(r.client, r, "reply", "off"):find("CLIENT REPLY", 1, true))
  end)

  it("gives an error reply as nil and an error object", function()
    r:set("k", "v")
    local value, err = r:incr "k"
    assert.is_nil(value)
    assert.equal("redis", err.kind)
    assert.equal("ERR", err.code)
    assert.equal("redis: INCR: ERR value is not an integer or out of range (ERR)", tostring(err))
    assert.equal("WRONGTYPE", select(2, r:lpush("k", 1)).code)
  end)

  it("has each task of many get its own reply", function()
    for i = 1, 500 do r:set("k" .. i, i) end
    local connections = r:client "LIST"
    local list = {}
    for i = 1, 500 do list[i] = { r.get, r, "k" .. i } end
    local values = ml.gather(list, {})
    for i = 1, 500 do assert.equal(tostring(i), values[i]) end
    assert.equal(select(2, connections:gsub("\n", "")), select(2, r:client("LIST"):gsub("\n", "")))
  end)

  it("selects its database, and logs in", function()
    local other <close> = server:client { database = 3, name = "spec" }
    other:set("only", "there")
    assert.is_nil(r:get "only")
    assert.equal("there", other:get "only")
    assert.equal("spec", other:client "GETNAME")
    r:acl("SETUSER", "me", "on", ">secret", "~*", "+@all")
    local me <close> = server:client { user = "me", password = "secret", protocol = 2 }
    assert.equal("me", me:acl "WHOAMI")
  end)

  it("fails at once where its password is wrong", function()
    r:acl("SETUSER", "me", "on", ">secret", "~*", "+@all")
    for protocol = 2, 3 do
      local me <close> = server:client { user = "me", password = "wrong", protocol = protocol }
      local value, err = me:get "k"
      assert.is_nil(value)
      assert.equal("auth", err.kind)
      assert.equal("WRONGPASS", err.code)
      assert(not err.message:find("wrong", 1, true))
    end
    local nowhere <close> = server:client { database = 9999 }
    local _, err = nowhere:get "k"
    assert.equal("redis", err.kind)
    assert(err.message:find("DB index is out of range", 1, true))
  end)

  it("speaks RESP2, too", function()
    local two <close> = server:client { protocol = 2 }
    two:hset("h", { a = 1 })
    assert.same({ a = "1" }, two:hgetall "h")
    local list = two:pipeline(function(p)
      p:hgetall "h"
      p:get "none"
    end)
    assert.same({ { a = "1" }, nil, n = 2 }, list)
    assert.same({ a = "1" }, two:multi(function(m) m:hgetall "h" end)[1])
    assert.same({}, two:hgetall "none")
  end)

  -- --- pipelines and transactions ---

  it("sends a pipeline's commands together, and puts errors in their places", function()
    local list = r:pipeline(function(p)
      p:set("a", 1)
      p:incr "a"
      p:lpush("a", 1)
      p:call("GET", "a")
      p:get "none"
    end)
    assert.equal(5, list.n)
    assert.equal("OK", list[1])
    assert.equal(2, list[2])
    assert.equal("WRONGTYPE", list[3].code)
    assert.equal("2", list[4])
    assert.is_nil(list[5])
    assert.same({ n = 0 }, r:pipeline(function() end))
  end)

  it("sends nothing of a pipeline whose function fails", function()
    assert.is_false(pcall(r.pipeline, r, function(p)
      p:set("a", 1)
      error "no"
    end))
    local value, err = r:pipeline(function(p)
      p:set("a", 1)
      return nil, "no"
    end)
    assert.is_nil(value)
    assert.equal("no", err)
    assert.is_nil(r:get "a")
    local kept
    r:pipeline(function(p) kept = p end)
    assert(message(kept.get, kept, "a"):find("have already been sent", 1, true))
    assert(message(r.pipeline, r, function(p) p:blpop("q", 0) end):find("call it on the client", 1, true))
  end)

  it("reads a pipeline of thousands of replies", function()
    local list = r:pipeline(function(p)
      for i = 1, 20000 do p:echo(("x"):rep(i % 50)) end
    end)
    assert.equal(20000, list.n)
    for i = 1, 20000 do assert.equal(i % 50, #list[i]) end
  end)

  it("does all of a transaction or nothing", function()
    local list = r:multi(function(m)
      m:set("x", 1)
      m:incr "x"
      m:lpush("x", 1)
    end)
    assert.same({ "OK", 2 }, { list[1], list[2] })
    assert.equal("WRONGTYPE", list[3].code)
    local none, err = r:multi(function(m)
      m:set("x", 100)
      m:call "NOSUCHCOMMAND"
    end)
    assert.is_nil(none)
    assert(err.message:find("unknown command", 1, true))
    assert.equal("2", r:get "x")
  end)

  it("loses a transaction whose watched key was changed", function()
    r:set("x", 1)
    local function add(between)
      return r:multi({ watch = "x" }, function(m, c)
        local x = tonumber(c:get "x")
        if between then r:set("x", 50) end
        m:set("x", x + 1)
      end)
    end
    local list, err = add(true)
    assert.is_nil(list)
    assert.is_nil(err)
    assert.equal("50", r:get "x")
    assert.same({ "OK", n = 1 }, add(false))
    assert.equal("51", r:get "x")
  end)

  it("says that its connection was lost where that is known before it begins", function()
    local failure
    local list, err = r:multi({ watch = "x" }, function(m, c)
      r:client("KILL", "TYPE", "normal", "SKIPME", "yes")
      repeat failure = select(2, c:get "x") until failure
      m:get "x"
    end)
    assert.is_nil(list)
    assert.equal("network", err.kind)
    assert.matches("the connection to .* was lost", err.message)
  end)

  it("watches nothing any more after a function that failed", function()
    assert.is_false(pcall(r.multi, r, { watch = "x" }, function() error "no" end))
    assert.same({ "OK", n = 1 }, r:multi({ watch = { "y", "z" } }, function(m)
      r:set("x", 1) -- what the first has watched
      m:set("a", 1)
    end))
  end)

  -- --- scripts and scans ---

  it("runs scripts, also in a server that has forgotten them", function()
    local add = r:script "return redis.call('incrby', KEYS[1], ARGV[1])"
    assert.equal(5, add({ "n" }, 5))
    assert.equal("OK", r:call("SCRIPT", "FLUSH"))
    assert.equal(7, add({ "n" }, 2))
    local bad = r:script "return redis.error_reply('MINE so')"
    assert.equal("MINE", select(2, bad {}).code)
    assert.equal("redis", select(2, r:script "this is no Lua" {}).kind)
  end)

  it("scans keys, a piece at a time", function()
    r:pipeline(function(p) for i = 1, 1000 do p:set("user:" .. i, i) end end)
    r:lpush("user:list", 1)
    local seen = {}
    for key in r:scan("user:*", { count = 100, type = "string" }) do seen[key] = true end
    local n = 0
    for _ in pairs(seen) do n = n + 1 end
    assert.equal(1000, n)
    assert.is_nil(seen["user:list"])
  end)

  it("runs blocking commands beside the others", function()
    local waiting = ml.spawn(function() return r:blpop("q", 0) end)
    redis.eventually("BLPOP does not wait", function() return (r:info "clients"):find "blocked_clients:1" end)
    assert.equal("PONG", r:ping())
    r:rpush("q", "job")
    assert.same({ "q", "job" }, waiting:await())
    assert.is_nil(r:blpop("q", 0.01))
    r:xadd("s", "1-1", { a = 1 })
    assert.same({ s = { { "1-1", { "a", "1" } } } }, r:xread("COUNT", 1, "BLOCK", 10, "STREAMS", "s", "0"))
  end)

  it("takes no element for a blocking command that was cancelled", function()
    local waiting = ml.spawn(function() return r:blpop("q", 0) end)
    redis.eventually("BLPOP does not wait", function() return (r:info "clients"):find "blocked_clients:1" end)
    waiting:cancel()
    pcall(waiting.await, waiting)
    redis.eventually("BLPOP still waits", function() return (r:info "clients"):find "blocked_clients:0" end)
    r:rpush("q", "job")
    assert.equal("job", r:lpop "q")
  end)

  it("crosses to the executor, where it connects by itself", function()
    r:set("k", "v")
    assert.equal("v", ml.executor.run(function() return r:get "k" end))
    local conn
    r:multi({ watch = "k" }, function(_, c) conn = c end)
    assert(message(ml.executor.run, function() return conn:get "k" end):find("conn", 1, true))
  end)

  it("keeps its locks and iterators here", function()
    local lock <close> = assert(r:lock "crossing")
    local next_key, messages = r:scan "*", select(2, r:group("crossing", "g", { consumer = "c" }))
    for name, f in pairs {
      ["'lock' .*: a lock"] = function() return lock:extend(1) end,
      ["'next_key' .*: an iterator over keys"] = function() return next_key() end,
      ["'messages' .*: an iterator over messages"] = function() return messages end,
    } do
      assert.matches("cannot send upvalue " .. name .. ", which cannot leave its Lua state",
        message(ml.executor.run, f))
    end
  end)

  it("crosses to the executor with its caches and scripts", function()
    local cache, script = r:cache { ttl = 60 }, r:script "return ARGV[1]"
    assert.equal("made", cache:get("k", function() return "made" end))
    assert.equal("made", ml.executor.run(function() return cache:get("k", function() return "again" end) end))
    assert.equal("v", ml.executor.run(function() return (script({}, "v")) end))
  end)

  it("is made at module level, and keeps no script alive", function()
    local process = require "spec.support.process"
    local output, status = process.run(([[
      local r = ml.redis.client("%s")
      print(r:ping())
    ]]):format(server.url))
    assert.equal("PONG\n", output)
    assert.equal(0, status)
  end)

  it("gives an error of kind closed after close", function()
    local waiting = ml.spawn(function() return r:blpop("q", 0) end)
    redis.eventually("BLPOP does not wait", function() return (r:info "clients"):find "blocked_clients:1" end)
    r:close()
    assert.equal("closed", select(2, waiting:await()).kind)
    for _, f in ipairs {
      function() return r:get "k" end,
      function() return r:blpop("q", 0) end,
      function() return r:pipeline(function(p) p:get "k" end) end,
      function() return r:multi(function(m) m:get "k" end) end,
      function() return r:multi({ watch = "k" }, function(m) m:get "k" end) end,
    } do
      local value, err = f()
      assert.is_nil(value)
      assert.equal("closed", err.kind)
    end
  end)
end)
