-- What redis_client_fuzz.c answers: clients, and what they ask. Whatever is answered, each call ends, in an error of
-- ours if it fails.
local core = require "moonloop.core"
local ml = require "moonloop"

local PATIENCE = 60 -- seconds of a clock that does not wait

local function with(options)
  options.timeout, options.connect_timeout, options.offline_queue = 1, 1, 10
  return options
end

local CLIENTS = {
  function() return ml.redis.client("redis://h", with {}) end,
  function() return ml.redis.client("redis://u:secret@h/1", with { name = "n" }) end,
  function() return ml.redis.client("redis://:secret@h/1", with { protocol = 2, name = "n" }) end,
  function() return ml.redis.client(with { sentinels = { "s", "t" }, master = "m" }) end,
  function() return ml.redis.client(with { sentinels = "redis://u:secret@s" }) end,
  function() return ml.redis.client(with { cluster = { "a", "b:7000" } }) end,
}

-- Takes some items of an iterator, as `for` does.
local function take(n, f, state, first, closer)
  for _ in f, state, first, closer do
    n = n - 1
    if n == 0 then break end
  end
end

local USES = {
  function(r) return r:get "k" end,
  function(r) return r:hgetall "k" end,
  function(r) return r:mget("k", "l") end,
  function(r) return r:blpop("k", 1) end,
  function(r) return r:pipeline(function(p)
    p:get "k"
    p:set("l", 1)
    p:incr "m"
  end) end,
  function(r) return r:multi(function(p)
    p:get "{k}"
    p:get "{k}l"
  end) end,
  function(r) take(3, r:scan "*") end,
  function(r) take(3, r:subscribe("c", "d")) end,
  function(r) take(3, r:psubscribe "c*") end,
  function(r) take(3, r:group("s", "g", { consumer = "c", claim_idle = 1 })) end,
  function(r) return r:script "return 1" { "k" } end,
  function(r)
    local lock <close> = r:lock("l", { ttl = 5 }) -- luacheck: ignore
    return lock
  end,
  function(r) return r:cache { ttl = 5 }:get("k", function() return 1 end) end,
}

return function(client, use)
  local r = CLIENTS[client % #CLIENTS + 1]()
  local ok, err = pcall(ml.timeout, PATIENCE, USES[use % #USES + 1], r)
  r:close()
  assert(ok or core.is_error(err), err)
end
