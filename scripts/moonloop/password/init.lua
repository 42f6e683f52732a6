--- ml.password: hashes of passwords by argon2id, made on threads of their own.
local core = require "moonloop.core"
local password_core = require "moonloop.password.core"

local fail = core.fail

local M = {}

local LONGEST = 4096 -- bytes of a password: nobody types more, and up to a few hundred wait in line

local function check_text(index, name, value, what)
  if type(value) ~= "string" then
    fail(("bad argument #%d to 'ml.password.%s' (%s expected, got %s)"):format(index, name, what, type(value)))
  end
end

--- Raises that too many wait, or returns the result.
local function settle(result, seconds)
  if result ~= nil then return result end
  local err = core.error { kind = "busy", message = "too many passwords wait to be hashed" }
  err.status, err.detail = 503, "Service Unavailable"
  err.headers = { ["Retry-After"] = tostring(seconds) }
  error(err, 0)
end

--- hash(password) -> text. Suspends for the time of a hash, and of those that are before it in line.
function M.hash(password)
  check_text(1, "hash", password, "a password")
  if #password > LONGEST then
    fail(("ml.password.hash: the password has %d bytes (at most %d)"):format(#password, LONGEST))
  end
  return settle(password_core.hash(password))
end

--- verify(password, hash) -> boolean. A nil hash, that of an unknown user, is false, after the same time.
function M.verify(password, hash)
  check_text(1, "verify", password, "a password")
  if hash ~= nil then
    check_text(2, "verify", hash, "a hash or nil")
    local what = password_core.what_is(hash)
    if what then fail(("ml.password.verify: the hash is %s (one of argon2id expected)"):format(what)) end
  end
  if #password > LONGEST then password, hash = "", nil end -- there is no such hash
  return settle(password_core.verify(password, hash))
end

--- needs_rehash(hash) -> boolean: was it made in another way than `hash` makes them?
function M.needs_rehash(hash)
  check_text(1, "needs_rehash", hash, "a hash")
  return not password_core.is_current(hash)
end

return M
