--- Protection against requests that other sites make in a user's name (cross-site request forgery).
--
-- Browsers say where a request comes from: in Sec-Fetch-Site (Fetch Metadata; over TLS and on loopback
-- addresses) and in Origin (RFC 6454). A token is needed only where they say neither.
local chain = require "moonloop.web.chain"
local check_options = require "moonloop.core.options".check
local core = require "moonloop.web.core"
local cors = require "moonloop.web.cors"
local crypto = require "moonloop.crypto"
local host_cookie = require "moonloop.web.host_cookie"
local own_response = require "moonloop.web.own_response"
local sessions = require "moonloop.web.sessions"
local signer = require "moonloop.web.signer"
local fail = require "moonloop.core".fail
local vary = require "moonloop.web.vary"
local TOKEN = require "moonloop.http.token"

local M = {}

local OPTIONS = { trusted = "table", secret = "string|table", name = "string", secure = "boolean", header = "string",
  field = "string" }
local SAFE = { GET = true, HEAD = true, OPTIONS = true, TRACE = true } -- RFC 9110 section 9.2.1
local SIZE = 32 -- bytes of a token, and of the mask over it
local FORMS = { ["application/x-www-form-urlencoded"] = true, ["multipart/form-data"] = true }

-- What csrf_token needs, by request.
local states = setmetatable({}, { __mode = "k" })

-- --- tokens ---

local function xor(a, b)
  local a1, a2, a3, a4 = ("<I8I8I8I8"):unpack(a)
  local b1, b2, b3, b4 = ("<I8I8I8I8"):unpack(b)
  return ("<I8I8I8I8"):pack(a1 ~ b1, a2 ~ b2, a3 ~ b3, a4 ~ b4)
end

--- A token that looks different each time: if it stayed the same, its length in compressed pages would
-- give it away (the BREACH attack).
local function mask(token)
  local noise = crypto.random(SIZE)
  return crypto.base64url(noise .. xor(noise, token))
end

local function unmask(text)
  local bytes = type(text) == "string" and crypto.from_base64url(text)
  if not bytes or #bytes ~= 2 * SIZE then return nil end
  return xor(bytes:sub(1, SIZE), bytes:sub(SIZE + 1))
end

--- The token of what only this client and the server know: the id of its session, or a signed cookie.
local function token_of(seed) return crypto.hmac_sha256(seed, "moonloop.csrf.1") end

--- The value of the cookie that the client has sent, if this server has made it.
local function sent_seed(state, req)
  if not state.signer then return sessions.stored_id(req) end
  return (req:signed_cookie(host_cookie.name(state, req), state.signer))
end

--- ml.web.csrf_token(req) -> token for the field of a form, or for the header of a script's request. It
-- begins a session if there is none. Suspends while the session is loaded.
function M.csrf_token(req)
  local own = states[req]
  if not own then fail "ml.web.csrf_token: no ml.web.csrf{...} is around this request's route" end
  if not own.seed then
    if own.state.signer then
      own.seed = sent_seed(own.state, req)
      if not own.seed then
        own.seed = crypto.base64url(crypto.random(SIZE))
        own.is_new = true
      end
    else
      return mask(token_of(sessions.id(req) or
        fail "ml.web.csrf_token: ml.web.csrf needs ml.web.sessions around it, or the option 'secret'"))
    end
  end
  return mask(token_of(own.seed))
end

--- The token that the request has with it.
local function sent_token(state, req)
  local text = req.headers[state.header]
  if text then return text end
  local media_type = (req.headers["content-type"] or ""):match("^%s*([^;%s]*)"):lower()
  if not FORMS[media_type] then return nil end
  return (req:form())[state.field]
end

local function has_token(state, req)
  local seed = sent_seed(state, req)
  local token = seed and unmask(sent_token(state, req))
  return token ~= nil and crypto.equal(token, token_of(seed))
end

-- --- where a request comes from ---

local DEFAULT_PORTS = { http = ":80$", https = ":443$" }

--- Is the origin the one that the request was sent to? A page that came without TLS may be anybody's; one with TLS
-- may be ours even if the request seems to come without, by a proxy that is not trusted.
local function is_own(origin, req)
  local scheme, host = origin:lower():match("^(%a[%w+.-]*)://(.+)$")
  local own = req.host
  if not scheme or not own then return false end
  if scheme ~= "https" and scheme ~= (req.scheme or scheme) then return false end
  local port = DEFAULT_PORTS[scheme] or "^$"
  return host:gsub(port, "") == own:lower():gsub(port, "")
end

local function refuse(why) error(core.abort(403, "Cross-Site Request Refused: " .. why), 0) end

--- Ends the request with a 403 if another site has made it, or may have.
local function check(state, req)
  local headers = req.headers
  local origin = headers.origin
  if origin and state.trusted[origin:lower()] then return end
  local site = headers["sec-fetch-site"]
  if site then
    if site == "same-origin" or site == "none" then return end
    refuse(("it comes from another %s (Sec-Fetch-Site: %s)"):format(site == "same-site" and "origin" or "site", site))
  end
  if origin and origin ~= "null" then
    if is_own(origin, req) then return end
    refuse("it comes from another origin")
  end
  if not origin and not headers.cookie then return end -- no browser, and nothing that it could send by itself
  if not has_token(state, req) then refuse("its token is missing or wrong") end
end

--- Does the request change anything, or open a connection that may?
local function is_unsafe(req)
  if not SAFE[req.method] then return true end
  local upgrade = req.headers.upgrade
  return upgrade ~= nil and upgrade:lower():find("websocket", 1, true) ~= nil
end

-- --- the middleware ---

local function trusted_origins(list)
  local trusted = {}
  for i, origin in ipairs(list or {}) do
    if type(origin) ~= "string" or origin == "null" or not cors.is_origin(origin) then
      fail("option 'trusted' of ml.web.csrf: item " .. i .. " is not an origin such as https://example.com: " ..
        tostring(origin))
    end
    trusted[origin:lower()] = true
  end
  return trusted
end

local function check_name(name, option)
  if not name:find(TOKEN) then fail(("option '%s' of ml.web.csrf is not a name: %s"):format(option, name)) end
  return name
end

--- A copy of the response that has the cookie of a new token.
local function with_cookie(own, req, res)
  local state = own.state
  res = own_response(res)
  res:set_signed_cookie(host_cookie.name(state, req), own.seed, state.signer, {
    secure = host_cookie.is_secure(state, req),
  })
  res.headers["Cache-Control"] = res.headers["Cache-Control"] or "no-store"
  vary(res.headers, "Cookie")
  return res
end

-- The page of an error outside of the middleware, or of its own refusal, may be the one with the new token's form.
chain.finish_pages(function(req, res)
  local own = states[req]
  if own and own.is_new and not own.is_inside then return with_cookie(own, req, res) end
  return res
end)

--- ml.web.csrf{...} -> middleware that answers 403 to requests with which other sites could act in a
-- user's name. Options: `trusted`, a list of origins that may; `secret`, for tokens in a signed cookie
-- where there are no sessions; `name`, that cookie's ("csrf"); `header` ("X-CSRF-Token") and `field`
-- ("csrf_token") in which tokens come.
function M.csrf(opts)
  opts = check_options(opts, OPTIONS, "ml.web.csrf")
  local state = {
    trusted = trusted_origins(opts.trusted),
    signer = opts.secret and signer.signer(opts.secret, { salt = "moonloop.csrf" }),
    name = check_name(opts.name or "csrf", "name"), secure = opts.secure,
    header = check_name(opts.header or "X-CSRF-Token", "header"):lower(),
    field = opts.field or "csrf_token",
  }
  return function(req, next)
    local own = { state = state }
    states[req] = own -- before the check: the page of a refusal may have a form
    if is_unsafe(req) then check(state, req) end
    own.is_inside = true
    local res = next(req)
    own.is_inside = false
    return own.is_new and with_cookie(own, req, res) or res
  end
end

return M
