--- Keys: secrets, PEM and JWK (RFC 7517), as what signs and verifies. A key is a table with
-- type        "secret", "RSA", "EC" or "Ed25519"
-- algorithms  the only ones that it may be used for
-- is_private  whether it can sign
-- kid         its id, of a JWK
local crypto = require "moonloop.crypto"
local der = require "moonloop.jwt.der"
local jwt_core = require "moonloop.jwt.core"

local M = {}

local MOST = 256 -- keys that are kept
local TYPES = {
  secret = { HS256 = 256, HS384 = 384, HS512 = 512 },
  RSA = { RS256 = true, PS256 = true },
  EC = { ES256 = true },
  Ed25519 = { EdDSA = true },
}

-- --- PEM (RFC 7468) ---

local function ed25519(seed, public)
  local secret
  if seed then
    local own
    secret, own = jwt_core.ed25519_pair(seed)
    if public and public ~= own then return nil, "a private key does not fit its public part" end
    public = own
  end
  return { type = "Ed25519", secret = secret, public = public, is_private = seed ~= nil }
end

local function openssl(bytes, is_private)
  local handle, why = jwt_core.key(bytes, is_private)
  if not handle then return nil, why end
  return { type = handle:type(), handle = handle, is_private = is_private }
end

local labels = {
  ["PUBLIC KEY"] = function(bytes)
    local public = der.ed25519_public(bytes)
    if public then return ed25519(nil, public) end
    return openssl(bytes, false)
  end,
  ["RSA PUBLIC KEY"] = function(bytes) return openssl(der.rsa_info(bytes), false) end,
  ["PRIVATE KEY"] = function(bytes)
    local seed = der.ed25519_private(bytes)
    if seed then return ed25519(seed) end
    return openssl(bytes, true)
  end,
  ["RSA PRIVATE KEY"] = function(bytes) return openssl(bytes, true) end,
  ["EC PRIVATE KEY"] = function(bytes) return openssl(bytes, true) end,
  ["ENCRYPTED PRIVATE KEY"] = function()
    return nil, "a private key is encrypted: store it without a passphrase (openssl pkey -in FILE)"
  end,
  CERTIFICATE = function()
    return nil, "a certificate is not a key: take its key out (openssl x509 -pubkey -noout -in FILE)"
  end,
}

local function from_pem(text)
  -- openssl writes the parameters of a curve before the key.
  text = text:gsub("%-%-%-%-%-BEGIN EC PARAMETERS%-%-%-%-%-.-%-%-%-%-%-END EC PARAMETERS%-%-%-%-%-", "")
  local label, body, last =
    text:match "^%s*%-%-%-%-%-BEGIN ([%u%d ]+)%-%-%-%-%-(.-)%-%-%-%-%-END ([%u%d ]+)%-%-%-%-%-%s*$"
  if not label or label ~= last or body:find("-----", 1, true) then return nil, "a PEM text is not one key, whole" end
  local read = labels[label]
  if not read then return nil, ("a PEM text has a '%s' (a key expected)"):format(label) end
  if body:find(":", 1, true) then return labels["ENCRYPTED PRIVATE KEY"]() end
  local bytes = crypto.from_base64((body:gsub("%s+", "")))
  if not bytes or #bytes > 16384 then return nil, "the base64 of a PEM text is malformed" end
  return read(bytes)
end

-- --- secrets ---

-- Public keys without the lines around them, and in the form of ssh.
local PUBLIC = { "%-%-%-%-%-BEGIN", "^%s*ssh%-", "^%s*ecdsa%-sha2%-", "^%s*MII[%w+/]*BCgKCAQ",
  "^%s*MII%w+ANBgkqhkiG9w0BAQ", "^%s*MFkwEwYHKoZIzj0CAQ", "^%s*MCowBQYDK2Vw", '^%s*{.*"kty"' }

local function from_secret(text)
  for _, pattern in ipairs(PUBLIC) do
    if text:find(pattern) then return nil, "a text that holds a key of another kind is not a secret" end
  end
  return { type = "secret", secret = text, is_private = true }
end

-- --- JWK ---

local function bytes_of(jwk, name, size)
  local bytes = type(jwk[name]) == "string" and #jwk[name] < 4096 and crypto.from_base64url(jwk[name])
  if not bytes or bytes == "" or size and #bytes ~= size then
    error(("'%s' of a JWK is malformed"):format(name), 0)
  end
  return bytes
end

local types = {
  oct = function(jwk) return from_secret(bytes_of(jwk, "k")) end,
  RSA = function(jwk)
    local n, e = bytes_of(jwk, "n"), bytes_of(jwk, "e")
    if #e > 8 then return nil, "'e' of a JWK is too large" end
    if e:byte(-1) % 2 == 0 or e:find "^\0*\1$" then return nil, "'e' of a JWK is even, or 1" end
    if jwk.oth then return nil, "a JWK of RSA has more than two primes" end
    if not jwk.d then return openssl(der.rsa_public(n, e), false) end
    local parts = { n, e }
    for i, name in ipairs { "d", "p", "q", "dp", "dq", "qi" } do parts[i + 2] = bytes_of(jwk, name) end
    return openssl(der.rsa_private(table.unpack(parts)), true)
  end,
  EC = function(jwk)
    if jwk.crv ~= "P-256" then return nil, "a JWK has another curve than P-256" end
    local x, y = bytes_of(jwk, "x", 32), bytes_of(jwk, "y", 32)
    if not jwk.d then return openssl(der.ec_public(x, y), false) end
    return openssl(der.ec_private(bytes_of(jwk, "d", 32), x, y), true)
  end,
  OKP = function(jwk)
    if jwk.crv ~= "Ed25519" then return nil, "a JWK has another curve than Ed25519" end
    return ed25519(jwk.d and bytes_of(jwk, "d", 32), bytes_of(jwk, "x", 32))
  end,
}

--- The JWK's own restrictions: RFC 7517 sections 4.2 to 4.4.
local function restrict(key, jwk)
  if jwk.use ~= nil and jwk.use ~= "sig" then return nil, "a JWK is not for signatures ('use')" end
  if type(jwk.key_ops) == "table" then
    local ops = {}
    for _, op in ipairs(jwk.key_ops) do ops[op] = true end
    if not ops.verify and not ops.sign then return nil, "a JWK is not for signatures ('key_ops')" end
    if not ops.sign and key.type ~= "secret" then key.is_private = false end
  end
  if jwk.kid ~= nil and type(jwk.kid) ~= "string" then return nil, "'kid' of a JWK is not a string" end
  key.kid = jwk.kid
  if jwk.alg ~= nil then
    local of_type = TYPES[key.type][jwk.alg]
    if not of_type then return nil, ("'alg' of a JWK is not an algorithm for its type: %s"):format(jwk.alg) end
    key.algorithms, key.alg = { [jwk.alg] = of_type }, jwk.alg
  end
  return key
end

local function from_jwk(jwk)
  local read = types[jwk.kty]
  if not read then return nil, "'kty' of a JWK is none of oct, RSA, EC and OKP" end
  local ok, key, why = pcall(read, jwk)
  if not ok then return nil, key end
  if not key then return nil, why end
  key.algorithms = TYPES[key.type]
  return restrict(key, jwk)
end

-- --- all of them ---

local kept = { string = {}, table = {} } -- by what kind of source, and by its name
local count = 0

local FIELDS = { "kty", "kid", "alg", "use", "crv", "k", "n", "e", "d", "p", "q", "dp", "dq", "qi", "oth", "x", "y" }

--- What tells keys apart: a table may be changed by who has it.
local function name_of(source)
  if type(source) == "string" then return source end
  local parts = {}
  for i, field in ipairs(FIELDS) do parts[i] = ("%s"):format(source[field]) end
  for _, op in ipairs(type(source.key_ops) == "table" and source.key_ops or {}) do parts[#parts + 1] = tostring(op) end
  return table.concat(parts, "\0")
end

--- read(source) -> key | nil, what is wrong. The source is a secret, a PEM text or a JWK. A key that has not
-- been seen yet is read on another thread: suspends.
function M.read(source)
  local kind, name = type(source), name_of(source)
  local key = kept[kind][name]
  if key then return key end
  local why
  if kind == "table" then
    key, why = from_jwk(source)
  elseif source:find "^%s*%-%-%-%-%-BEGIN " then
    key, why = from_pem(source)
  else
    key, why = from_secret(source)
  end
  if not key then return nil, why end
  key.algorithms = key.algorithms or TYPES[key.type]
  if count >= MOST then kept, count = { string = {}, table = {} }, 0 end
  kept[kind][name], count = key, count + 1
  return key
end

--- Is the secret of the key shorter than the algorithm's hash? RFC 7518 section 3.2 forbids that. Returns what
-- is wrong, or nil.
function M.too_short(key, algorithm)
  local bits = key.type == "secret" and key.algorithms[algorithm]
  if bits and #key.secret * 8 < bits then
    local least = bits // 8
    return ("the secret has %d bytes (%s needs at least %d, which are random)"):format(#key.secret, algorithm, least)
  end
end

--- Signs with a key that fits. Suspends with RSA.
function M.sign(key, algorithm, text)
  if key.type == "secret" then return jwt_core.mac(key.algorithms[algorithm], key.secret, text) end
  if key.type == "Ed25519" then return jwt_core.ed25519_sign(key.secret, text) end
  return key.handle:sign(algorithm, text)
end

--- Is it the signature of the text? The key fits the algorithm.
function M.verify(key, algorithm, text, signature)
  if key.type == "secret" then return crypto.equal(signature, M.sign(key, algorithm, text)) end
  if key.type == "Ed25519" then return jwt_core.ed25519_verify(key.public, text, signature) end
  return key.handle:verify(algorithm, text, signature)
end

return M
