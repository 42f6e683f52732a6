--- Signed texts: a value that may be in anybody's hands and comes back unchanged, or is refused.
--
-- "VALUE.TIME.MAC" in URL-safe base64, TIME in seconds since 1970 as decimal digits. MAC is HMAC-SHA-256
-- over name, value and time; its key comes from the secret and the salt, so that what one signer has
-- signed, or for one cookie, is nothing to another.
local core = require "moonloop.core"
local crypto = require "moonloop.crypto"

local M = {}

local MIN_SECRET = 32 -- bytes: less than the MAC has would be the weak point
local CONTEXT = "moonloop.signer.1"

local Signer = {}
Signer.__index = Signer
Signer.__name = "moonloop.web.signer"
Signer.__tostring = function() return "signer" end -- and not its keys

--- The MAC. A length before the name keeps it apart from what follows.
local function mac_of(key, name, text)
  return crypto.hmac_sha256(key, string.pack(">s8", name) .. text)
end

local function key_of(secret, salt, i)
  if type(secret) ~= "string" then
    error("secret " .. i .. " of a signer is a " .. type(secret) .. " (expected a string)", 3)
  end
  if #secret < MIN_SECRET then
    error(("secret %d of a signer has %d bytes (at least %d are needed, random ones)"):format(i,
      #secret, MIN_SECRET), 3)
  end
  return crypto.hmac_sha256(secret, CONTEXT .. salt)
end

--- web.signer(secret | {new, old, ...} [, {max_age =, salt =, time =}]) -> signer. A secret is a
-- string of at least 32 random bytes that only the servers know. With a list the first one signs, and
-- all of them verify: a new secret is put in front, and the old one dropped when what it signed has
-- expired. max_age: seconds for which a signature holds (for ever). salt: a string for what it is
-- used, so that signers of one secret do not take each other's texts. time: a function that gives
-- the seconds since 1970 (os.time).
function M.signer(secrets, opts)
  if type(secrets) == "string" then secrets = { secrets } end
  if type(secrets) ~= "table" or #secrets == 0 then
    error("bad argument #1 to 'signer' (a secret or a list of secrets expected)", 2)
  end
  opts = opts or {}
  local max_age, salt = opts.max_age, opts.salt or ""
  if max_age ~= nil and (type(max_age) ~= "number" or max_age < 0 or max_age ~= max_age) then
    error("max_age of a signer is no number of seconds", 2)
  end
  if type(salt) ~= "string" then
    error("the salt of a signer is a " .. type(salt) .. " (expected a string)", 2)
  end
  for name in pairs(opts) do
    if name ~= "max_age" and name ~= "salt" and name ~= "time" then
      error("unknown option '" .. tostring(name) .. "' of a signer", 2)
    end
  end
  local keys = {}
  for i, secret in ipairs(secrets) do keys[i] = key_of(secret, salt, i) end
  return setmetatable({ keys = keys, max_age = max_age, time = opts.time or os.time }, Signer)
end

local function check_name(name, method)
  if name == nil then return "" end
  if type(name) == "string" then return name end
  error("bad argument #2 to '" .. method .. "' (string expected, got " .. type(name) .. ")", 3)
end

--- signer:sign(value [, name]) -> text of letters, digits, '-', '_' and '.'. The value is any
-- string; who has the text can read it. `name`, a cookie's for example, has to be the same when the
-- text is verified.
function Signer:sign(value, name)
  if type(value) ~= "string" then
    error("bad argument #1 to 'sign' (string expected, got " .. type(value) .. ")", 2)
  end
  name = check_name(name, "sign")
  local text = crypto.base64url(value) .. "." .. ("%d"):format(self.time() // 1)
  return text .. "." .. crypto.base64url(mac_of(self.keys[1], name, text))
end

local function refused(code, message)
  return nil, core.error { kind = "signature", code = code, message = message }
end

--- signer:verify(text [, name]) -> value | nil, err. The error is of kind "signature", its code
-- "INVALID" (not signed with one of the secrets, for this salt and name, or changed) or "EXPIRED"
-- (older than max_age).
function Signer:verify(text, name)
  name = check_name(name, "verify")
  if type(text) ~= "string" then
    error("bad argument #1 to 'verify' (string expected, got " .. type(text) .. ")", 2)
  end
  local signed, value, time, mac = text:match("^(([%w_-]*)%.(%d+))%.([%w_-]+)$")
  mac = mac and crypto.from_base64url(mac)
  local ours = false
  for _, key in ipairs(self.keys) do
    if mac and crypto.equal(mac, mac_of(key, name, signed)) then ours = true end
  end
  if not ours then return refused("INVALID", "the signature is not ours, or not of this") end
  if self.max_age and self.time() - tonumber(time) > self.max_age then
    return refused("EXPIRED", "the signature has expired")
  end
  return crypto.from_base64url(value)
end

--- web.token([bytes = 32]) -> random text that nobody can guess, of letters, digits, '-' and '_':
-- for session ids, for secrets.
function M.token(bytes)
  if bytes == nil then bytes = MIN_SECRET end
  if math.type(bytes) ~= "integer" or bytes < 16 or bytes > 1024 then
    error("bad argument #1 to 'token' (16 to 1024 bytes expected)", 2)
  end
  return crypto.base64url(crypto.random(bytes))
end

return M
