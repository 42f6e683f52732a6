--- Rate limits: the generic cell rate algorithm (GCRA, a token bucket that needs one number for each
-- client): the time at which the client's bucket will be full again.
local chain = require "moonloop.web.chain"
local core = require "moonloop.web.core"
local crypto = require "moonloop.crypto"
local lru = require "moonloop.core.lru"
local now = require "moonloop.core".now
local options = require "moonloop.core.options"
local own_response = require "moonloop.web.own_response"
local seldom = require "moonloop.web.seldom"
local fail = require "moonloop.core".fail

local M = {}

local WHOSE = "ml.web.rate_limit"

--- The same step as in `take_here`, by Redis's clock, for all workers and machines.
local TAKE = [[
local t = redis.call('TIME')
local now = t[1] + t[2] / 1000000
local interval, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local full = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now)
local after = full + interval
if after - now > interval * (burst + 0.001) then
  return { 0, string.format('%.6f', full - now) }
end
redis.call('SET', KEYS[1], string.format('%.6f', after), 'PX', math.ceil((after - now) * 1000))
return { 1, string.format('%.6f', after - now) }
]]

-- A store is a function take(key) -> whether the request may pass, seconds until the bucket is full |
-- nil, err.

-- A full bucket is as good as none.
local function over_at(full_at) return full_at end

local function memory(interval, burst, max)
  local full_at = lru.new(max, over_at, now)
  return function(key)
    local at = now()
    local full = math.max(full_at:get(key) or at, at)
    local after = full + interval
    if after - at > interval * (burst + 0.001) then return true, false, full - at end
    full_at:set(key, after)
    return true, true, after - at
  end
end

local function redis(client, prefix, interval, burst)
  local script = client:script(TAKE)
  return function(key)
    local reply, err = script({ prefix .. key }, interval, burst)
    if not reply then return nil, err end
    return true, reply[1] == 1, tonumber(reply[2])
  end
end

-- --- keys ---

--- A key may come from the client: a long one takes no more memory than others.
local function short(key) return #key <= 64 and key or crypto.sha256(key) end

--- The groups of 16 bits on one side of an IPv6 address's "::".
local function groups(text)
  local list = {}
  for group in text:gmatch("[^:]+") do list[#list + 1] = ("%x"):format(tonumber(group, 16) or 0) end
  return list
end

--- What counts as one client: an IPv4 address, or the first 64 bits of an IPv6 address, since one client has
-- all that begin with them.
local function network_of(address)
  if not address:find(":", 1, true) then return address end
  local v4 = address:match("^::[fF][fF][fF][fF]:(%d+%.%d+%.%d+%.%d+)$")
  if v4 then return v4 end
  local before, after = address:match("^(.-)::(.*)$")
  local list = groups((before or address):gsub("%%.*", ""))
  if before then
    local rest = groups((after:gsub("%%.*", "")))
    while #list + #rest < 8 do list[#list + 1] = "0" end
    table.move(rest, 1, #rest, #list + 1, list)
  end
  return table.concat(list, ":", 1, math.min(4, #list)) .. "::"
end

local function key_of_client(req)
  local host = req.client.host
  return host and network_of(host) or ""
end

--- The key as text. Another value would be a client of its own each time, and so none would ever be refused. Where the
-- key is part of a form or of JSON, the client chooses its type: so that is the client's mistake.
local function text_of(key, key_of, report)
  if type(key) == "string" or type(key) == "number" then return tostring(key) end
  report(("the function 'key' (%s) returned a %s (expected a string or a number, or nil for no limit)"):format(
    chain.site(key_of), type(key)))
  error(core.abort(400, "whose request this is, for its rate limit, should be a text or a number"), 0)
end

-- --- the middleware ---

local OPTIONS = { rate = "number", per = "number", burst = "integer", key = "function", store = "string|userdata",
  name = "string", max = "integer", on_failure = "string" }

local function bad(name, value, expected) fail(options.wrong(name, value, expected, WHOSE)) end

local function check(opts)
  opts = options.check(opts, OPTIONS, WHOSE)
  local rate, per = opts.rate, opts.per or 1
  if not rate then fail("option 'rate' of " .. WHOSE .. " is missing (requests in 'per' seconds)") end
  if not (rate > 0 and rate < math.huge) then bad("rate", rate, "a positive number of requests") end
  if not (per > 0 and per < math.huge) then bad("per", per, "a positive number of seconds") end
  local burst = opts.burst or math.max(1, math.ceil(rate))
  if burst < 1 then bad("burst", burst, "a number of requests, at least 1") end
  local on_failure = opts.on_failure or "allow"
  if on_failure ~= "allow" and on_failure ~= "refuse" then
    fail(("option 'on_failure' of %s is '%s' (expected 'allow' or 'refuse')"):format(WHOSE, on_failure))
  end
  if opts.max and opts.max < 1 then bad("max", opts.max, "a number of clients") end
  return opts, per / rate, burst, on_failure
end

--- `name` and `max` mean something to one store each, and the other takes them: which one an app has is often said by a
-- setting.
local function open(opts, interval, burst)
  local store = opts.store
  if store == nil or store == "memory" then
    return memory(interval, burst, opts.max or 10000)
  end
  local class = type(store) == "userdata" and getmetatable(store)
  local kind = type(class) == "table" and class.__name
  if kind ~= "moonloop.redis.client" and kind ~= "moonloop.redis.cluster" then
    fail("option 'store' of " .. WHOSE .. " is neither \"memory\" nor a client of ml.redis")
  end
  -- Limits with other numbers do not count in the same bucket, even if they have the same name.
  local prefix = ("rate:%s:%.6g:%d:"):format(opts.name or "", interval, burst)
  return redis(store, prefix, interval, burst)
end

--- ml.web.rate_limit{...} -> middleware that answers 429 to clients that send too much. See
-- doc/reference/web-sessions.md for the options.
function M.rate_limit(opts)
  local interval, burst, on_failure
  opts, interval, burst, on_failure = check(opts)
  local take = open(opts, interval, burst)
  local key_of = opts.key or key_of_client
  local window = interval * burst
  local limit, policy = burst, ("%d;w=%d"):format(burst, math.ceil(window))
  local report, report_key = seldom(WHOSE), seldom(WHOSE) -- apart: a client must not hide that the store fails

  --- The headers of draft-ietf-httpapi-ratelimit-headers-06.
  local function tell(headers, full)
    headers["RateLimit-Policy"] = policy
    headers["RateLimit-Limit"] = limit
    headers["RateLimit-Remaining"] = math.max(0, math.floor((window - full) / interval + 1e-6))
    headers["RateLimit-Reset"] = math.ceil(full - 1e-6)
    return headers
  end

  return function(req, next)
    local key = key_of(req)
    if key == nil then return next(req) end -- no limit for this one
    local ok, passes, full = take(short(text_of(key, key_of, report_key)))
    if not ok then
      report(passes)
      if on_failure == "allow" then return next(req) end
      return { detail = core.reason(503) }, 503 -- returned, not raised: each of those would be reported
    end
    if not passes then
      local headers = tell({}, full)
      headers["Retry-After"] = math.max(1, math.ceil(full + interval - window - 1e-6))
      error(core.abort(429, core.reason(429), headers), 0)
    end
    local res = own_response(next(req))
    tell(res.headers, full)
    return res
  end
end

return M
