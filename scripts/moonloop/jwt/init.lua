--- ml.jwt: signed tokens (RFC 7519), by the rules of RFC 8725.
local core = require "moonloop.core"
local claims_of = require "moonloop.jwt.claims"
local crypto = require "moonloop.crypto"
local json = require "moonloop.json"
local jwks = require "moonloop.jwt.jwks"
local jwt_core = require "moonloop.jwt.core"
local keys = require "moonloop.jwt.keys"
local options = require "moonloop.core.options"
local sorted_keys = require "moonloop.core.sorted_keys"

local fail = core.fail

local M = {}

local LONGEST = 16384 -- characters of a token, as jwt_token.h has it
local MOST_SIGNING = 256 -- tokens that wait for a signature by RSA
local ALGORITHMS = { HS256 = true, HS384 = true, HS512 = true, EdDSA = true, RS256 = true, ES256 = true, PS256 = true }
local USUAL = { secret = "HS256", Ed25519 = "EdDSA", EC = "ES256", RSA = "RS256" }

local function check_algorithm(name, whose)
  if ALGORITHMS[name] then return name end
  if name == "none" then fail(whose .. ": the algorithm 'none' does not exist here: a token needs a signature") end
  if type(name) ~= "string" then fail(("%s: an algorithm is a %s (expected a name)"):format(whose, type(name))) end
  fail(options.unknown(name, ALGORITHMS, whose, "algorithm"))
end

local function check_key(source, whose)
  if type(source) ~= "string" and type(source) ~= "table" then
    fail(("%s: the key is a %s (expected a secret, a PEM text or a JWK)"):format(whose, type(source)))
  end
  local key, why = keys.read(source)
  if not key then fail(whose .. ": the key: " .. why) end
  return key
end

local function check_fit(key, algorithm, whose)
  if not key.algorithms[algorithm] then
    fail(("%s: a key that is for %s cannot be used for %s"):format(whose,
      table.concat(sorted_keys(key.algorithms), ", "), algorithm))
  end
  local why = keys.too_short(key, algorithm)
  if why then fail(whose .. ": " .. why) end
end

-- --- signing ---

local SIGN = { algorithm = "string", kid = "string", typ = "string", expires_in = "number" }

local signing = 0

--- Signs, for some RSA keys on another thread; so many may wait for that.
local function sign(key, algorithm, text)
  if key.type ~= "RSA" then return keys.sign(key, algorithm, text) end
  if signing >= MOST_SIGNING then
    local err = core.error { kind = "busy", message = "too many tokens wait to be signed" }
    err.status, err.detail, err.headers = 503, "Service Unavailable", { ["Retry-After"] = "1" }
    error(err, 0)
  end
  signing = signing + 1
  local _ <close> = setmetatable({}, { __close = function() signing = signing - 1 end })
  return keys.sign(key, algorithm, text)
end

local function encode_claims(claims, opts)
  if type(claims) ~= "table" then
    fail(("bad argument #1 to 'ml.jwt.sign' (a table of claims expected, got %s)"):format(type(claims)))
  end
  if opts.expires_in then
    local now, copy = core.time(), {}
    for name, value in pairs(claims) do copy[name] = value end
    copy.iat = copy.iat or now
    copy.exp = now + math.ceil(opts.expires_in)
    claims = copy
  end
  local name = claims_of.wrong_time(claims)
  if name then fail(("ml.jwt.sign: the claim '%s' is not a number of seconds since 1970"):format(name)) end
  if next(claims) == nil then return "{}" end
  local ok, text = pcall(json.encode, claims)
  if not ok then fail("ml.jwt.sign: the claims: " .. core.error_text(text)) end
  if text:sub(1, 1) ~= "{" then fail "ml.jwt.sign: the claims are a list (a table with names expected)" end
  return text
end

--- sign(claims, key [, opts]) -> token. Suspends for keys that are new, and with RSA.
function M.sign(claims, source, opts)
  opts = options.check(opts, SIGN, "ml.jwt.sign")
  if opts.algorithm then check_algorithm(opts.algorithm, "ml.jwt.sign") end
  local after = opts.expires_in
  if after and not (after > 0 and after < 1e10) then
    fail(options.wrong("expires_in", after, "a positive number of seconds", "ml.jwt.sign"))
  end
  local payload = encode_claims(claims, opts)
  local key = check_key(source, "ml.jwt.sign")
  local algorithm = opts.algorithm or key.alg or USUAL[key.type]
  check_fit(key, algorithm, "ml.jwt.sign")
  if not key.is_private then fail "ml.jwt.sign: the key is a public one, which can only verify" end
  local kid = opts.kid or key.kid
  local header = ('{"alg":"%s","typ":%s%s}'):format(algorithm, json.encode(opts.typ or "JWT"),
    kid and ',"kid":' .. json.encode(kid) or "")
  local text = crypto.base64url(header) .. "." .. crypto.base64url(payload)
  local token = text .. "." .. crypto.base64url(sign(key, algorithm, text))
  if #token > LONGEST then fail(("ml.jwt.sign: the token has %d characters (at most %d)"):format(#token, LONGEST)) end
  return token
end

-- --- verifying ---

local function check_texts(value)
  if type(value) == "string" then return end
  if type(value) ~= "table" or #value == 0 then return "a string or a list of them" end
  for _, text in ipairs(value) do
    if type(text) ~= "string" then return "a string or a list of them" end
  end
end

local function check_leeway(value)
  if type(value) ~= "number" or not (value >= 0 and value < math.huge) then return "seconds, at least 0" end
end

local VERIFY = { algorithms = "table", key = "string|table", jwks = "string|table", audience = check_texts,
  issuer = check_texts, leeway = check_leeway }
local JWKS = { url = "string", ttl = "number", keys = "table" }

--- The set of keys of the option `jwks`.
local function check_set(source, algorithms)
  local set = type(source) == "string" and { url = source } or options.check(source, JWKS, "jwks")
  if (set.url == nil) == (set.keys == nil) then fail "ml.jwt.verify: jwks has either a 'url' or 'keys'" end
  if set.ttl and (set.ttl <= 0 or set.ttl ~= set.ttl) then
    fail(options.wrong("ttl", set.ttl, "seconds, more than 0", "jwks"))
  end
  if set.keys then return set end
  local why = jwks.wrong_url(set.url)
  if why then fail(("ml.jwt.verify: jwks %s: %s"):format(why, require "moonloop.http.url".shown(set.url))) end
  for name in pairs(algorithms) do
    if name:find "^HS" then fail("ml.jwt.verify: keys for " .. name .. " are secret, and cannot come from a URL") end
  end
  return set
end

local function check_verify(opts)
  opts = options.check(opts, VERIFY, "ml.jwt.verify")
  if not opts.algorithms or #opts.algorithms == 0 then
    fail "ml.jwt.verify: option 'algorithms' is missing: the list of those that are accepted"
  end
  local algorithms = {}
  for _, name in ipairs(opts.algorithms) do algorithms[check_algorithm(name, "ml.jwt.verify")] = true end
  if (opts.key == nil) == (opts.jwks == nil) then fail "ml.jwt.verify: either 'key' or 'jwks' is needed" end
  if opts.jwks then return opts, algorithms, nil, check_set(opts.jwks, algorithms) end
  local key = check_key(opts.key, "ml.jwt.verify")
  for name in pairs(algorithms) do check_fit(key, name, "ml.jwt.verify") end
  return opts, algorithms, key
end

local function invalid(code, message)
  return nil, core.error { kind = "jwt", code = code, message = message }
end

--- Which key the token is signed with. nil, code and message if there is none.
local function find_key(header, key, set)
  local kid = header.kid
  if kid ~= nil and type(kid) ~= "string" then return nil, "malformed", "'kid' is not a string" end
  if key then
    if not kid or not key.kid or kid == key.kid then return key end
    return nil, "signature", "the token is signed with another key ('kid')"
  end
  local found, count = jwks.find(set, kid, header.alg)
  if found then return found end
  return nil, "signature", count > 1 and "the token does not say which of several keys it is signed with ('kid')"
    or "the token is signed with a key that is not in the set"
end

--- verify(token, opts) -> claims | nil, err. Suspends for keys that are new, and where they are fetched.
function M.verify(token, opts)
  local algorithms, key, set
  opts, algorithms, key, set = check_verify(opts)
  if type(token) ~= "string" then
    fail(("bad argument #1 to 'ml.jwt.verify' (string expected, got %s)"):format(type(token)))
  end
  local header, text, payload, signature = jwt_core.read(token)
  if not header then return invalid("malformed", text) end
  local algorithm = header.alg
  if type(algorithm) ~= "string" then return invalid("malformed", "'alg' is missing") end
  if not algorithms[algorithm] then return invalid("algorithm", "the token's algorithm is not accepted") end
  if header.crit ~= nil then return invalid("malformed", "the token needs extensions that are not known ('crit')") end
  local code, message
  key, code, message = find_key(header, key, set)
  if not key then return invalid(code, message) end
  if keys.too_short(key, algorithm) or not keys.verify(key, algorithm, text, signature) then
    return invalid("signature", "the signature does not match")
  end
  local claims, why = jwt_core.claims(payload)
  if not claims then return invalid("malformed", why) end
  code, message = claims_of.check(claims, opts, core.time())
  if code then return invalid(code, message) end
  return claims
end

return M
