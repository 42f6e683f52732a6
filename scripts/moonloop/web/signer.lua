--- Signed texts: a value that is given to others and is refused if it comes back changed.
--
-- "VALUE.TIME.MAC" in URL-safe base64, TIME in seconds since 1970 as decimal digits. MAC is HMAC-SHA-256
-- over name, value and time; its key is derived from the secret and the salt, so that a text signed by
-- one signer, or for one cookie, is not valid for another.
local check_options = require "moonloop.core.options".check
local core = require "moonloop.core"
local crypto = require "moonloop.crypto"
local secret_keys = require "moonloop.web.secrets".keys

local fail = core.fail

local M = {}

local MIN_TOKEN, MAX_TOKEN, TOKEN = 16, 1024, 32 -- bytes; TOKEN is the default
local OPTIONS = { max_age = "number", salt = "string", time = true }
local CONTEXT = "moonloop.signer.1"

local Signer = {}
Signer.__index = Signer
Signer.__name = "moonloop.web.signer"
Signer.__tostring = function() return "signer" end -- but not its keys

--- The MAC. The length before the name separates the name from what follows.
local function mac_of(key, name, text)
  return crypto.hmac_sha256(key, string.pack(">s8", name) .. text)
end

--- web.signer(secret | {new, old, ...} [, {max_age =, salt =, time =}]) -> signer. A secret is a
-- string of at least 32 random bytes that only the servers know. With a list, the first one signs and
-- all of them verify: put a new secret in front, and drop the old one when what it signed has expired.
-- max_age: seconds for which a signature is valid (no limit). salt: a string that names the purpose, so
-- that signers with one secret do not accept each other's texts. time: a function that returns the
-- seconds since 1970 (os.time, or the virtual clock).
function M.signer(secrets, opts)
  opts = check_options(opts, OPTIONS, "ml.web.signer")
  local max_age, salt = opts.max_age, opts.salt or ""
  if max_age and (max_age < 0 or max_age ~= max_age) then
    fail("max_age of a signer is not a number of seconds")
  end
  local keys = secret_keys(secrets, "a signer", CONTEXT .. salt)
  if not keys then fail("bad argument #1 to 'ml.web.signer' (a secret or a list of secrets expected)") end
  return setmetatable({ keys = keys, max_age = max_age, time = opts.time or core.time }, Signer)
end

local function check(signer, method)
  if getmetatable(signer) ~= Signer then core.bad_self(signer, "signer", method) end
end

local function check_name(name, method)
  if name == nil then return "" end
  if type(name) == "string" then return name end
  fail("bad argument #2 to 'signer:" .. method .. "' (string expected, got " .. type(name) .. ")")
end

--- signer:sign(value [, name]) -> text of letters, digits, '-', '_' and '.'. The value is any
-- string; anybody who has the text can read it. `name`, a cookie's for example, has to be the same when
-- the text is verified.
function Signer:sign(value, name)
  check(self, "sign")
  if type(value) ~= "string" then
    fail("bad argument #1 to 'signer:sign' (string expected, got " .. type(value) .. ")")
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
  check(self, "verify")
  name = check_name(name, "verify")
  if type(text) ~= "string" then
    fail("bad argument #1 to 'signer:verify' (string expected, got " .. type(text) .. ")")
  end
  local signed, value, time, mac = text:match("^(([%w_-]*)%.(%d+))%.([%w_-]+)$")
  mac = mac and crypto.from_base64url(mac)
  local ours = false
  for _, key in ipairs(self.keys) do
    if mac and crypto.equal(mac, mac_of(key, name, signed)) then ours = true end
  end
  if not ours then return refused("INVALID", "the signature does not match") end
  if self.max_age and self.time() - tonumber(time) > self.max_age then
    return refused("EXPIRED", "the signature has expired")
  end
  return crypto.from_base64url(value)
end

--- web.token([bytes = 32]) -> random text that cannot be guessed, of letters, digits, '-' and '_', for
-- session ids and secrets. At least 16 bytes, at most 1024.
function M.token(bytes)
  if bytes == nil then bytes = TOKEN end
  if math.type(bytes) ~= "integer" then
    fail("bad argument #1 to 'ml.web.token' (integer expected, got " .. type(bytes) .. ")")
  elseif bytes < MIN_TOKEN then
    fail(("bad argument #1 to 'ml.web.token' (%d bytes can be guessed: at least %d are needed)"):format(bytes,
      MIN_TOKEN))
  elseif bytes > MAX_TOKEN then
    fail(("bad argument #1 to 'ml.web.token' (at most %d bytes, got %d)"):format(MAX_TOKEN, bytes))
  end
  return crypto.base64url(crypto.random(bytes))
end

return M
