--- Retries: which exchanges are tried again, and when.
local arguments = require "moonloop.http.arguments"
local core = require "moonloop.core"
local http = require "moonloop.http.core"

local raise = arguments.raise

local M = {}

local names = { attempts = true, base = true, max = true, on = true, methods = true, retry_after = true }
-- RFC 9110 9.2.2: doing it twice is the same as doing it once.
local idempotent = { GET = true, HEAD = true, OPTIONS = true, PUT = true, DELETE = true, TRACE = true }

--- Statuses that may be another one soon (RFC 9110 15.6, RFC 6585 4), as a set. OTLP names the same.
M.passing = { [429] = true, [502] = true, [503] = true, [504] = true }

local kinds = { network = true, dns = true, timeout = true }

local function set_of(name, list, check)
  if type(list) ~= "table" then raise("retries: %s: list expected, got %s", name, type(list)) end
  local set = {}
  for _, item in ipairs(list) do set[check(item)] = true end
  return set
end

local function status_of(item)
  if math.type(item) ~= "integer" or item < 400 or item > 599 then
    raise("retries: on: %s is not a status from 400 to 599", tostring(item))
  end
  return item
end

--- The plan for the option `retries`: a count of further attempts, or a table of
--   attempts     in total (3)
--   base, max    seconds: attempt n + 1 waits a random time up to base * 2^(n-1), max at most (0.1; 5)
--   on           list of statuses that are tried again (429, 502, 503, 504)
--   methods      list of methods that are tried again (the idempotent ones)
--   retry_after  most seconds that a server's Retry-After may ask for (60); a response that asks for
--                more is returned as it is
-- nil or 0: none.
function M.plan(retries)
  if retries == nil or retries == 0 then return nil end
  if type(retries) == "number" then
    return M.plan { attempts = 1 + arguments.count("retries", retries) }
  end
  if type(retries) ~= "table" then raise("retries: number or table expected, got %s", type(retries)) end
  arguments.names("retries", retries, names)
  return {
    attempts = arguments.count("retries: attempts", retries.attempts, 3),
    base = arguments.limit("retries: base", retries.base, 0.1),
    max = arguments.limit("retries: max", retries.max, 5),
    on = retries.on == nil and M.passing or set_of("on", retries.on, status_of),
    methods = retries.methods == nil and idempotent or set_of("methods", retries.methods, arguments.method),
    retry_after = arguments.limit("retries: retry_after", retries.retry_after, 60),
  }
end

--- Seconds that the response asks to wait (RFC 9110 10.2.3), or nil.
function M.asked_wait(res)
  local value = res.headers["retry-after"]
  if not value then return nil end
  if value:find("^%d+$") then return tonumber(value) end
  local date = http.date(value)
  return date and math.max(0, date - core.time())
end

--- Seconds until the next attempt, when attempt `n` of `request` gave `res` or `err`; nil: no more.
function M.wait(plan, request, n, res, err)
  if n >= plan.attempts or request.source or not plan.methods[request.method] then return nil end
  local asked
  if res then
    if not plan.on[res.status] then return nil end
    asked = M.asked_wait(res)
    if asked and asked > plan.retry_after then return nil end
  elseif not kinds[err.kind] or err.code == "REFUSED" then
    return nil
  end
  local backoff = math.random() * math.min(plan.max, plan.base * 2.0 ^ (n - 1))
  return math.max(backoff, asked or 0)
end

return M
