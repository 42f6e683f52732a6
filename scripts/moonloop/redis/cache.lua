--- r:cache: each value is computed once, however many ask for it.
local arguments = require "moonloop.redis.arguments"
local json = require "moonloop.json"
local raw = require "moonloop.redis.raw"
local take_lock = require "moonloop.redis.lock"
local tasks = require "moonloop.core"

local LONGEST_PAUSE = 0.2 -- seconds between checks for another process's value

local Cache = {}
Cache.__index = Cache
Cache.__name = "moonloop.redis.cache"

-- --- values: stored as JSON, in a list so that scalars are allowed ---

local function store(cache, key, value)
  local text = json.encode(json.array { value })
  return raw.SET(cache.client, cache.prefix .. key, text, "PX", math.max(1, math.floor(cache.ttl * 1000)))
end

-- found, value | nil | nil, err
local function look(cache, key)
  local text, err = raw.GET(cache.client, cache.prefix .. key)
  if not text then return nil, err end
  local list
  if type(text) == "string" then list, err = json.decode(text) end
  if type(list) ~= "table" or list[1] == nil then
    local message = ("'%s' was not stored by the cache"):format(cache.prefix .. key)
    return nil, err or tasks.error { kind = "json", message = message }
  end
  return true, list[1]
end

-- --- computing once ---

-- Computes the value and stores it unless it is nil. If storing fails, the value is returned all the same.
local function make_value(cache, key, make)
  local value, err = make(key)
  if value == nil then return nil, err end
  store(cache, key, value)
  return value
end

-- Waits until another process has stored the value, or computes it under the lock.
local function make_once(cache, key, make)
  local pause, over = 0.01, tasks.now() + cache.making
  while true do
    local found, value = look(cache, key)
    if found then return value end
    if value and value.kind ~= "json" then return make(key) end -- no connection
    local lock, err = take_lock(cache.client, cache.prefix .. key .. ":making", { ttl = cache.making })
    if lock then
      local held <close> = lock -- luacheck: ignore
      found, value = look(cache, key) -- stored before we got the lock
      if found then return value end
      return make_value(cache, key, make)
    end
    if err.kind ~= "busy" or tasks.now() >= over then return make(key) end
    tasks.sleep(pause * (0.5 + math.random() / 2))
    pause = math.min(pause * 2, LONGEST_PAUSE)
  end
end

-- The lock for `key` within this process. It is removed when its last user leaves.
local function own_lock(cache, key)
  local entry = cache.entries[key]
  if not entry then
    entry = { lock = tasks.lock(), users = 0 }
    cache.entries[key] = entry
  end
  entry.users = entry.users + 1
  return entry, setmetatable({}, { __close = function()
    entry.users = entry.users - 1
    if entry.users == 0 then cache.entries[key] = nil end
  end })
end

-- --- caches ---

--- cache:get(key, make) -> value | nil, err
-- The stored value; or the result of make(key), which is stored for `ttl` seconds. If many ask for a key at
-- once, one computes it. nil and errors are not stored.
function Cache:get(key, make)
  arguments.text("cache:get", "the key", key)
  arguments.callable("cache:get", make)
  local found, value = look(self, key)
  if found then return value end
  if value and value.kind ~= "json" then return make(key) end -- no connection
  local entry, leave = own_lock(self, key)
  local left <close> = leave -- luacheck: ignore
  local held <close> = entry.lock:hold() -- luacheck: ignore
  return make_once(self, key, make)
end

--- cache:set(key, value) -> true | nil, err
function Cache:set(key, value)
  arguments.text("cache:set", "the key", key)
  if value == nil then arguments.raise "cache:set: a value expected, got nil" end
  local ok, err = store(self, key, value)
  if not ok then return nil, err end
  return true
end

--- cache:delete(key) -> true | nil, err
function Cache:delete(key)
  arguments.text("cache:delete", "the key", key)
  local n, err = raw.DEL(self.client, self.prefix .. key)
  if not n then return nil, err end
  return true
end

--- r:cache{ttl = [, prefix =, making =]} -> cache
return function(client, opts)
  opts = arguments.options("cache", opts, { ttl = arguments.span, prefix = "string", making = arguments.span },
    { prefix = "cache:", making = 30 })
  if not opts.ttl then arguments.raise "cache: option 'ttl' is missing: the seconds for which values are kept" end
  return setmetatable({ client = client, ttl = opts.ttl, prefix = opts.prefix, making = opts.making, entries = {} },
    Cache)
end
