--- r:lock: a lock with one holder at a time, among all clients of the server.
local arguments = require "moonloop.redis.arguments"
local core = require "moonloop.redis.core"
local raw = require "moonloop.redis.raw"
local nodes = require "moonloop.redis.cluster_nodes"
local random = require "moonloop.crypto".random
local tasks = require "moonloop.core"

local DEFAULT_TTL = 30 -- seconds
local FIRST_PAUSE, LONGEST_PAUSE = 0.01, 0.25 -- seconds between attempts

-- Only the holder of the token may change the lock.
local RELEASE = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0"
local EXTEND = "if redis.call('get', KEYS[1]) == ARGV[1] then " ..
  "return redis.call('pexpire', KEYS[1], ARGV[2]) end return 0"

local Lock = {}
Lock.__index = Lock
Lock.__name = "moonloop.redis.lock"
Lock.__stays = "a lock, which cannot leave its Lua state"

local function milliseconds(seconds) return math.max(1, math.floor(seconds * 1000)) end

local function token()
  return (random(16):gsub(".", function(c) return ("%02x"):format(c:byte()) end))
end

local function lost(lock)
  return tasks.error { kind = "busy", message = ("lock '%s': it has expired or been taken over"):format(lock.name) }
end

local function change(lock, source, ...)
  local n, err = raw.EVAL(lock.client, source, 1, lock.name, lock.token, ...)
  if err then return nil, err end
  if n == 0 then return nil, lost(lock) end
  return true
end

--- lock:release() -> true | nil, err
-- Releases the lock. An error of kind "busy" means that it had expired or been taken over.
function Lock:release()
  if self.released then return true end
  self.released = true
  return change(self, RELEASE)
end

--- lock:extend([ttl]) -> true | nil, err
-- Makes the lock last for `ttl` seconds from now.
function Lock:extend(ttl)
  if ttl == nil then ttl = self.ttl end
  if type(ttl) ~= "number" or not (ttl >= 0.001 and ttl < 1e9) then
    arguments.raise "lock: extend: a number of seconds, at least 0.001, expected"
  end
  if self.released then return nil, lost(self) end
  return change(self, EXTEND, milliseconds(ttl))
end

-- Also while the task is being cancelled.
function Lock:__close() tasks.shield(self.release, self) end

-- Releases what the SET of a cancelled task may have taken. It follows the SET on the same connection.
local function take_back(lock)
  local client, cluster = lock.client, nodes.of(lock.client)
  if cluster then client = cluster.slots[core.slot(lock.name)] end
  if client then core.post(client, "EVAL", RELEASE, "1", lock.name, lock.token) end
end

local function try(lock)
  local undo <close> = setmetatable({}, { -- luacheck: ignore
    __close = function()
      if lock.trying then take_back(lock) end
    end,
  })
  lock.trying = true
  local ok, err = raw.SET(lock.client, lock.name, lock.token, "NX", "PX", milliseconds(lock.ttl))
  -- After an error, the SET may have been executed.
  lock.trying = err ~= nil
  return ok, err
end

--- r:lock(name [, {ttl =, wait =}]) -> lock | nil, err
-- Waits at most `wait` seconds (0: tries once). An error of kind "busy" means that somebody else holds it.
return function(client, name, opts)
  arguments.text("lock", "its name", name)
  opts = arguments.options("lock", opts, { ttl = arguments.span, wait = arguments.seconds },
    { ttl = DEFAULT_TTL, wait = 0 })
  local lock = setmetatable({ client = client, name = name, token = token(), ttl = opts.ttl }, Lock)
  local over, pause = tasks.now() + opts.wait, FIRST_PAUSE
  while true do
    local ok, err = try(lock)
    if err then return nil, err end
    if ok then return lock end
    local left = over - tasks.now()
    if left <= 0 then
      return nil, tasks.error { kind = "busy", message = ("lock '%s': somebody else holds it"):format(name) }
    end
    tasks.sleep(math.min(left, pause * (0.5 + math.random() / 2)))
    pause = math.min(pause * 2, LONGEST_PAUSE)
  end
end
