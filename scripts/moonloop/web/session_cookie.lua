--- Sessions whose data is in the cookie itself, encrypted and authenticated (XChaCha20-Poly1305): the
-- client can neither read nor change it. Nothing is kept on the server.
local crypto = require "moonloop.crypto"
local fail = require "moonloop.core".fail
local secrets = require "moonloop.web.secrets"

local HEAD = ">dds1" -- when it began, when it expires, its id
local MOST = 4096 -- bytes of name and value: browsers drop a bigger cookie

local Cookie = {}
Cookie.__index = Cookie

--- The session in the value of a cookie | nil. `is_old`: it was sealed with an older secret.
function Cookie:load(value, name)
  local sealed = crypto.from_base64url(value)
  if not sealed then return nil end
  for i, key in ipairs(self.keys) do
    local text = crypto.unseal(key, sealed, name)
    if text then
      local created, expires, id, at = HEAD:unpack(text)
      return { id = id, created = created, expires = expires, text = text:sub(at), is_old = i > 1 }
    end
  end
end

--- The value of the cookie called `name`.
function Cookie:value(name, s)
  local value = crypto.base64url(crypto.seal(self.keys[1], HEAD:pack(s.created, s.expires, s.id) .. s.text, name))
  if #name + #value > MOST then
    error(("the session has %d bytes, and its cookie would have %d (at most %d): keep less in it, or use another store")
      :format(#s.text, #name + #value, MOST), 0)
  end
  return value
end

-- There is nothing to keep, and nothing that could be gone.
function Cookie.create() end
function Cookie.save() return true end
function Cookie.move() return true end
function Cookie.touch() end
function Cookie.delete() end

--- A store that encrypts with the first of the secrets and decrypts with all of them.
return function(secret)
  local keys = secrets.keys(secret, "ml.web.sessions", "moonloop.sessions.1")
  if not keys then
    fail "option 'secret' of ml.web.sessions: a string or a list of them is required for store = \"cookie\""
  end
  return setmetatable({ keys = keys, in_cookie = true }, Cookie)
end
