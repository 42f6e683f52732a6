-- Channels, streams with groups, locks and caches.
local core = require "moonloop.redis.core"
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

  local function raised(f, ...) return select(2, pcall(f, ...)) end

  --- How many connections the server has.
  local function connections(client) return select(2, client:client "LIST":gsub("\n", "")) end

  -- --- channels ---

  for protocol = 2, 3 do
    it("hears channels and patterns in RESP" .. protocol .. ", from when subscribe returns", function()
      local client <close> = server:client { protocol = protocol }
      local next_message, state, _, closing = client:subscribe("a", "b")
      local _ <close> = closing
      r:publish("a", "one")
      r:publish("c", "unheard")
      r:publish("b", "two")
      assert.same({ channel = "a", payload = "one" }, next_message(state))
      assert.same({ channel = "b", payload = "two" }, next_message(state))
      local next_of_pattern, pattern, _, end_pattern = client:psubscribe "user:*"
      local _ <close> = end_pattern
      r:publish("user:7", "three")
      assert.same({ pattern = "user:*", channel = "user:7", payload = "three" }, next_of_pattern(pattern))
    end)
  end

  it("closes the connection of a loop that was left, or cancelled", function()
    r:publish("a", "unheard")
    local before = connections(r)
    ml.spawn(function() while r:publish("a", "x") == 0 do ml.sleep(0.001) end end)
    for _ in r:subscribe "a" do break end -- luacheck: ignore
    redis.eventually("the connection is still there", function() return connections(r) == before end)
    local heard = ml.spawn(function() for _ in r:subscribe "a" do end end) -- luacheck: ignore
    redis.eventually("it has not subscribed", function() return r:pubsub("NUMSUB", "a")[2] == 1
      or r:pubsub("NUMSUB", "a").a == 1 end)
    heard:cancel()
    ml.wait { heard }
    redis.eventually("the connection is still there", function() return connections(r) == before end)
  end)

  it("leaves no connection behind when it is cancelled while it subscribes", function()
    local before = connections(r)
    for passes = 0, 8 do
      local task = ml.spawn(r.subscribe, r, "a")
      for _ = 1, passes do ml.sleep(0) end
      local is_cancelled = task:cancel()
      local subscribed, _, _, _, closing = pcall(task.await, task)
      if subscribed then closing:close() end -- before the cancel came
      assert.is_nil(next(core.table(r).leased))
      if not is_cancelled then break end
    end
    for _, wait in ipairs { 0.0002, 0.0005, 0.001, 0.002 } do
      local task = ml.spawn(function() for _ in r:subscribe "a" do end end) -- luacheck: ignore
      ml.sleep(wait)
      task:cancel()
      ml.wait { task }
      assert.is_nil(next(core.table(r).leased))
    end
    redis.eventually("a connection is left", function() return connections(r) == before end)
  end)

  it("tells of the gap when the connection was lost, and goes on", function()
    local next_message, state, _, closing = r:subscribe "a"
    local _ <close> = closing
    r:publish("a", "one")
    assert.equal("one", next_message(state).payload)
    server:stop()
    server:start()
    assert.same({ gap = true }, next_message(state))
    r:publish("a", "two")
    assert.equal("two", next_message(state).payload)
  end)

  it("hears thousands of messages though it reads them slowly", function()
    local next_message, state, _, closing = r:subscribe "a"
    local _ <close> = closing
    local text = ("x"):rep(1000)
    for _ = 1, 5 do
      r:pipeline(function(p) for _ = 1, 1000 do p:publish("a", text) end end)
    end
    for _ = 1, 5000 do assert.equal(text, next_message(state).payload) end
  end)

  it("raises where it cannot subscribe", function()
    r:close()
    assert.equal("closed", raised(r.subscribe, r, "a").kind)
    assert(tostring(raised(r.subscribe, r)):find("the name of a channel expected", 1, true))
  end)

  it("ends a subscription's wait when it is closed", function()
    local heard = ml.spawn(function() for _ in r:subscribe "a" do end end) -- luacheck: ignore
    redis.eventually("it has not subscribed", function() return #r:pubsub "CHANNELS" == 1 end)
    r:close()
    assert.equal("closed", raised(heard.await, heard).kind)
  end)

  -- --- streams ---

  it("shares a stream's messages out, and gives again what was not acknowledged", function()
    for i = 1, 3 do r:xadd("jobs", "*", { n = i }) end
    local seen = {}
    for msg in r:group("jobs", "g", { consumer = "a", count = 2 }) do
      seen[#seen + 1] = msg.fields.n
      assert.equal("jobs", msg.stream)
      if #seen < 3 then assert.is_true(msg:ack()) else break end
    end
    assert.same({ "1", "2", "3" }, seen)
    local again, reader = r:group("jobs", "g", { consumer = "a" })
    assert.equal("3", again(reader).fields.n)
    local claimed, claimer = r:group("jobs", "g", { consumer = "b", claim_idle = 0.001 })
    local msg = claimed(claimer)
    assert.equal("3", msg.fields.n)
    assert.is_true(msg:ack())
    assert.equal(0, r:xpending("jobs", "g")[1])
  end)

  it("waits for a stream's next message, through a restart of the server", function()
    local got = ml.queue()
    local reader = ml.spawn(function()
      for msg in r:group("jobs", "g", { consumer = "a" }) do
        got:put(msg.fields.n)
        msg:ack()
      end
    end)
    redis.eventually("the group is not there", function() return (r:exists "jobs") == 1 end)
    r:xadd("jobs", "*", { n = "one" })
    assert.equal("one", got:get())
    server:stop()
    server:start()
    redis.eventually("the server is not there", function() return r:ping() end)
    r:xadd("jobs", "*", { n = "two" })
    assert.equal("two", got:get())
    reader:cancel()
    ml.wait { reader }
  end)

  -- --- locks ---

  it("gives a lock to one at a time, and back at the end of the block", function()
    local holders, most, times = 0, 0, 0
    ml.map({ 1, 2, 3, 4, 5 }, function()
      local lock <close> = assert(r:lock("name", { wait = 30 })) -- luacheck: ignore
      holders = holders + 1
      most = math.max(most, holders)
      ml.sleep(0.002)
      holders, times = holders - 1, times + 1
    end)
    assert.equal(1, most)
    assert.equal(5, times)
    assert.equal(0, r:exists "name")
  end)

  it("tells the holder of a lock that it has lost it, and leaves another's alone", function()
    local lock = assert(r:lock("name", { ttl = 60 }))
    local none, err = r:lock "name"
    assert.is_nil(none)
    assert.equal("busy", err.kind)
    assert.is_true(lock:extend(120))
    assert(r:ttl "name" > 60)
    r:set("name", "another's")
    assert.equal("busy", select(2, lock:extend()).kind)
    assert.equal("busy", select(2, lock:release()).kind)
    assert.equal("another's", r:get "name")
    assert.is_true(lock:release())
  end)

  it("leaves no lock behind of a task that was cancelled, while it took it or had it", function()
    for passes = 0, 4 do
      local task = ml.spawn(function()
        local lock <close> = assert(r:lock "name") -- luacheck: ignore
        ml.sleep(1000)
      end)
      for _ = 1, passes do ml.sleep(0) end
      task:cancel()
      ml.wait { task }
      redis.eventually("the lock is left", function() return r:exists "name" == 0 end)
    end
  end)

  -- --- caches ---

  it("makes a value once for all who ask, in two clients", function()
    local other <close> = server:client()
    local made = 0
    local function make()
      made = made + 1
      ml.sleep(0.03)
      return { list = {}, n = 1 }
    end
    local caches = { r:cache { ttl = 60 }, other:cache { ttl = 60 } }
    local values = ml.map({ 1, 2, 1, 2, 1, 2 }, function(i) return caches[i]:get("k", make) end)
    for i = 1, 6 do assert.same({ list = {}, n = 1 }, values[i]) end
    assert.equal(1, made)
    assert.is_true(caches[1]:delete "k")
    caches[2]:get("k", make)
    assert.equal(2, made)
    assert.is_true(caches[1]:set("k", false))
    assert.is_false(caches[2]:get("k", make))
  end)

  it("stores no nil and no error, and lets the next one make it when the maker is cancelled", function()
    local cache = r:cache { ttl = 60 }
    assert.is_nil(cache:get("k", function() end))
    local value, err = cache:get("k", function() return nil, "no" end)
    assert.is_nil(value)
    assert.equal("no", err)
    local makes = ml.event()
    local maker = ml.spawn(function()
      return cache:get("k", function()
        makes:set()
        ml.sleep(1000)
      end)
    end)
    makes:wait()
    local follower = ml.spawn(function() return cache:get("k", function() return "made" end) end)
    ml.sleep(0)
    maker:cancel()
    assert.equal("made", follower:await())
  end)

  it("makes values also while the server is away", function()
    local away <close> = ml.redis.client("redis://127.0.0.1:1", { timeout = 0.05 })
    assert.equal("made", away:cache { ttl = 1 }:get("k", function() return "made" end))
  end)
end)
