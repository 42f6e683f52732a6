--- Secrets that only the servers know, and the keys that are made of them.
local crypto = require "moonloop.crypto"
local fail = require "moonloop.core".fail

local M = {}

local MIN_SECRET = 32 -- bytes: a secret shorter than a key would be the weak point

local function key_of(secret, i, whose, context)
  if type(secret) ~= "string" then
    fail(("secret %d of %s is a %s (expected a string)"):format(i, whose, type(secret)))
  end
  if #secret < MIN_SECRET then
    fail(("secret %d of %s has %d bytes (at least %d random bytes are needed)"):format(i, whose, #secret,
      MIN_SECRET))
  end
  return crypto.hmac_sha256(secret, context)
end

--- The keys, of 32 bytes each, for a secret or a list of secrets; nil if it is neither. `context` names
-- what they are for: the keys of one use tell nothing of those of another. `whose` is for messages.
function M.keys(secrets, whose, context)
  if type(secrets) == "string" then secrets = { secrets } end
  if type(secrets) ~= "table" or #secrets == 0 then return nil end
  local keys = {}
  for i, secret in ipairs(secrets) do keys[i] = key_of(secret, i, whose, context) end
  return keys
end

return M
