--- Sessions in Redis: a key for each, whose value is the time when the session began, a line feed, and
-- its data. The key expires with the session.
local time = require "moonloop.core".time

-- A read is a use of the session: it has the idle time before it from then on, so that it does not expire
-- while the request runs.
local LOAD = [[
local value = redis.call('GET', KEYS[1])
if not value then return false end
local left, idle = redis.call('PTTL', KEYS[1]), tonumber(ARGV[1])
if left < 0.9 * idle then
  redis.call('PEXPIRE', KEYS[1], idle)
  left = idle
end
return { value, left }
]]

local Redis = {}
Redis.__index = Redis

local function check(value, err)
  if err then error(err, 0) end
  return value
end

local function value_of(text, created) return ("%.3f\n%s"):format(created, text) end

--- Milliseconds until `expires`.
local function left(expires) return math.max(1, math.ceil((expires - time()) * 1000)) end

function Redis:load(key, idle)
  local found = check(self.load_script({ self.prefix .. key }, math.ceil(idle * 1000)))
  if not found then return nil end
  local created, text = found[1]:match("^([%d.]+)\n(.*)$")
  if not created then error("the value of the session's key in Redis was not written by ml.web.sessions", 0) end
  return { text = text, created = tonumber(created), expires = time() + found[2] / 1000 }
end

function Redis:create(key, text, created, expires)
  check(self.client:set(self.prefix .. key, value_of(text, created), { px = left(expires) }))
end

function Redis:save(key, text, expires, created)
  return check(self.client:set(self.prefix .. key, value_of(text, created), { px = left(expires), xx = true })) ~= nil
end

-- The two keys of a cluster may be on two servers, so there is no command for both.
function Redis:move(old, key, text, created, expires)
  self:create(key, text, created, expires)
  if check(self.client:del(self.prefix .. old)) == 1 then return true end
  self:delete(key)
  return false
end

function Redis:touch(key, expires) check(self.client:pexpire(self.prefix .. key, left(expires))) end

function Redis:delete(key) check(self.client:del(self.prefix .. key)) end

--- A store on the client; `prefix` is that of its keys.
return function(client, prefix)
  return setmetatable({ client = client, prefix = prefix, load_script = client:script(LOAD) }, Redis)
end
