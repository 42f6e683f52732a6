--- Sessions of which the cookie has the id, and a store the rest. The store knows a hash of the id: who
-- reads the store cannot use what is in it.
--
-- A store has these methods, which may suspend and raise what the store says. Times are seconds since 1970.
--
--   load(key, idle) -> {text, created, expires} | nil
--   create(key, text, created, expires)
--   save(key, text, expires, created) -> whether the session was still there; if not, it is not made again
--   move(old, key, text, created, expires) -> the same of `old`, which is no longer there
--   touch(key, expires)   does nothing where there is no session
--   delete(key)
local crypto = require "moonloop.crypto"

local ID = "^[%w_-]+$" -- of 43 characters

local Keyed = {}
Keyed.__index = Keyed

function Keyed:load(value, _, idle)
  if #value ~= 43 or not value:find(ID) then return nil end
  local record = self.store:load(crypto.sha256(value), idle)
  if not record then return nil end
  return { id = value, text = record.text, created = record.created, expires = record.expires }
end

function Keyed:create(s) self.store:create(crypto.sha256(s.id), s.text, s.created, s.expires) end

--- save, move -> whether the session was still there
function Keyed:save(s) return self.store:save(crypto.sha256(s.id), s.text, s.expires, s.created) end

function Keyed:move(old, s)
  return self.store:move(crypto.sha256(old), crypto.sha256(s.id), s.text, s.created, s.expires)
end

function Keyed:touch(s) self.store:touch(crypto.sha256(s.id), s.expires) end

function Keyed:delete(id) self.store:delete(crypto.sha256(id)) end

--- The value of the cookie.
function Keyed.value(_, _, s) return s.id end

return function(store) return setmetatable({ store = store }, Keyed) end
