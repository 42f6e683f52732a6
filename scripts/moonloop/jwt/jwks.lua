--- Sets of keys (RFC 7517 section 5): given as a table, or fetched from a URL and kept.
local core = require "moonloop.core"
local keys = require "moonloop.jwt.keys"
local lru = require "moonloop.core.lru"

local M = {}

local TTL = 600 -- seconds for which a set is kept
local PAUSE = 30 -- seconds between fetches for the sake of unknown ids, and after a failed one
local STALE = 86400 -- seconds for which an old set is used while its URL does not answer
local MOST = 100 -- keys in a set
local MOST_SETS = 1000
local TIMEOUT, SIZE = 10, 1024 * 1024
local LONGEST = 2048 -- bytes of a text in a key, such as its id: the longest modulus has 1366
local MOST_VALUES = 20000 -- in the whole document

--- What is wrong with a URL of keys, or nil. Whoever can change the answer can sign tokens: it has to come by
-- https, unless it does not leave the machine.
function M.wrong_url(url)
  local host = url:match "^https?://([^/?#]+)"
  local is_local = host and (host:find "^localhost:?%d*$" or host:find "^127%.%d+%.%d+%.%d+:?%d*$"
    or host:find "^%[::1%]:?%d*$")
  if not host or url:find "[%s%c]" then return "is not an http or https URL" end
  if not url:find "^https:" and not is_local then return "is not an https URL" end
end

-- --- fetching ---

local function over_at(set) return (set.fetched or set.made) + set.stale end

M.sets = lru.new(MOST_SETS, over_at, core.now) -- by URL

local function set_of(url, ttl)
  local set = M.sets:get(url)
  if not set then
    set = { url = url, lock = core.lock(), tries = 0, made = core.now(), stale = STALE }
    M.sets:set(url, set)
  end
  set.stale = math.max(set.stale, ttl)
  return set
end

local TEXTS = { "kty", "kid", "alg", "use", "crv", "n", "e", "x", "y" }

--- What of a key is kept: its public parts and what it is for, none of which is long. nil: it is none of ours.
local function public_part(jwk)
  if type(jwk) ~= "table" then return nil end
  local part = {}
  for _, name in ipairs(TEXTS) do
    local value = jwk[name]
    if type(value) == "string" and #value > LONGEST then return nil end
    part[name] = value
  end
  if type(jwk.key_ops) == "table" then
    part.key_ops = {}
    for _, op in ipairs(jwk.key_ops) do
      if op == "sign" or op == "verify" then part.key_ops[#part.key_ops + 1] = op end
    end
  end
  return part
end

--- The keys at the URL, or nil and why there are none.
local function fetch(url)
  local http = require "moonloop.http"
  local shown = require "moonloop.http.url".shown
  local res, err = http.get(url, { timeout = TIMEOUT, max_body = SIZE, follow_redirects = false,
    max_values = MOST_VALUES, headers = { accept = "application/jwk-set+json, application/json" } })
  if not res then return nil, err.message end
  if res.status ~= 200 then return nil, ("%s answered with the status %d"):format(shown(url), res.status) end
  local doc = res:json()
  if type(doc) ~= "table" or type(doc.keys) ~= "table" then return nil, shown(url) .. " has no set of keys" end
  local list = {}
  for i = 1, #doc.keys do
    local part = public_part(doc.keys[i])
    if part and #list < MOST then list[#list + 1] = part end
  end
  return list
end

--- Fetches the set, unless another task has tried since the caller saw `tries`. If that task is cancelled, the
-- next one in the line fetches.
local function refresh(set, tries)
  local held <close> = set.lock:hold() -- luacheck: ignore
  if set.tries ~= tries then return end
  local _ <close> = setmetatable({}, { __close = function() set.is_fetching = false end })
  set.is_fetching = true
  local list, why = fetch(set.url)
  set.tries, set.tried = set.tries + 1, core.now()
  set.failure = why
  if list then set.keys, set.fetched = list, set.tried end
end

--- The URL's keys, at most `ttl` seconds old if that is possible. Raises if there are none.
local function current(set, ttl)
  local now = core.now()
  local is_old = not set.keys or now - set.fetched > ttl
  local is_paused = set.failure and now - set.tried < PAUSE / (set.keys and 1 or 6)
  -- Where another task fetches already, old keys do for the rest.
  if is_old and not is_paused and not (set.keys and set.is_fetching) then refresh(set, set.tries) end
  if set.keys and core.now() - set.fetched <= math.max(ttl, STALE) then return set.keys end
  local err = core.error { kind = "network", message = "the keys of tokens are not available: " .. set.failure }
  err.status, err.detail = 503, "Service Unavailable"
  err.headers = { ["Retry-After"] = "5" }
  error(err, 0)
end

-- --- choosing ---

local KINDS = { HS256 = "oct", HS384 = "oct", HS512 = "oct", RS256 = "RSA", PS256 = "RSA", ES256 = "EC", EdDSA = "OKP" }

--- The one key for the algorithm with this id; without an id, the only one for the algorithm. nil and how
-- many there are.
local function choose(list, kid, algorithm)
  local found, count = nil, 0
  for _, jwk in ipairs(list) do
    local fits = jwk.kty == KINDS[algorithm] and (jwk.alg == nil or jwk.alg == algorithm)
      and (jwk.use == nil or jwk.use == "sig") and (kid == nil or jwk.kid == kid)
    local key = fits and keys.read(jwk)
    if key and key.algorithms[algorithm] then found, count = key, count + 1 end
  end
  if count == 1 then return found end
  return nil, count
end

--- find(source, kid, algorithm) -> key | nil, why. The source is {keys =} or {url =, ttl =}. Suspends where keys
-- are fetched or read. Raises where the URL does not give any.
function M.find(source, kid, algorithm)
  if source.keys then
    local key, count = choose(source.keys, kid, algorithm)
    return key, count
  end
  local ttl = source.ttl or TTL
  local set = set_of(source.url, ttl)
  local list = current(set, ttl)
  local key, count = choose(list, kid, algorithm)
  if not key and count == 0 and core.now() - set.tried >= PAUSE then
    refresh(set, set.tries)
    key, count = choose(set.keys, kid, algorithm)
  end
  return key, count
end

return M
