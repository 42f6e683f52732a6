--- Sessions in the memory of this process: those that are over go, and the least recently used one when there are too
-- many.
local lru = require "moonloop.core.lru"
local seldom = require "moonloop.web.seldom"
local time = require "moonloop.core".time

local Memory = {}
Memory.__index = Memory

function Memory:load(key) return self.records:get(key) end

function Memory:create(key, text, created, expires)
  local gone = self.records:set(key, { text = text, created = created, expires = expires })
  if gone and gone.expires > time() then
    self.report(("there are more than %d sessions in memory: those used least recently are dropped (option 'max')")
      :format(self.records.max))
  end
end

function Memory:save(key, text, expires)
  local record = self.records:get(key)
  if not record then return false end
  record.text, record.expires = text, expires
  return true
end

function Memory:move(old, key, text, created, expires)
  if not self.records:remove(old) then return false end
  self:create(key, text, created, expires)
  return true
end

function Memory:touch(key, expires)
  local record = self.records:get(key)
  if record then record.expires = expires end
end

function Memory:delete(key) self.records:remove(key) end

local function over_at(record) return record.expires end

--- A store for at most `max` sessions.
return function(max)
  return setmetatable({ records = lru.new(max, over_at, time), report = seldom "ml.web.sessions" }, Memory)
end
