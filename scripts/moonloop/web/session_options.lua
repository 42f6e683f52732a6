--- The options of ml.web.sessions: their checks, and the store that they describe.
local core = require "moonloop.core"
local options = require "moonloop.core.options"
local TOKEN = require "moonloop.http.token"

local fail = core.fail

local M = {}

local WHOSE = "ml.web.sessions"
local STORES = '"memory", "cookie", a database of ml.sql or a client of ml.redis'

local OPTIONS = { store = "string|userdata", secret = "string|table", idle = "number", absolute = "number",
  name = "string", secure = "boolean", same_site = "string", persistent = "boolean", max = "integer",
  table = "string", prefix = "string" }

--- The options of one kind of store alone.
local OWN = { secret = "cookie", max = "memory", table = "sql", prefix = "redis" }
local SHOWN = { cookie = '"cookie"', memory = '"memory"', sql = "a database", redis = "a Redis client" }

local SAME_SITE = { lax = "Lax", strict = "Strict", none = "None" }

local function bad(name, value, expected) fail(options.wrong(name, value, expected, WHOSE)) end

--- "memory", "cookie", "sql" or "redis" for the option `store`.
local function kind_of(store)
  if store == nil or store == "memory" then return "memory" end
  if store == "cookie" then return "cookie" end
  if type(store) == "string" then
    fail(("option 'store' of %s is '%s' (expected %s)"):format(WHOSE, store, STORES))
  end
  local class = getmetatable(store)
  local name = type(class) == "table" and class.__name or ""
  if name:find("^moonloop%.sql%..+%.db$") then return "sql" end
  if name == "moonloop.redis.client" or name == "moonloop.redis.cluster" then return "redis" end
  bad("store", store, STORES)
end

--- Is this one of several worker processes?
local function has_siblings()
  return require "moonloop.supervised".number() ~= nil and (tonumber(os.getenv "MOONLOOP_WORKERS") or 1) > 1
end

local stores = {}

function stores.memory(opts)
  if has_siblings() then
    fail(WHOSE .. ": store = \"memory\" is of one process, and there are several workers: "
      .. "use a database, Redis or \"cookie\"")
  end
  local max = opts.max or 10000
  if max < 1 then bad("max", max, "a number of sessions") end
  return require "moonloop.web.session_memory"(max)
end

function stores.sql(opts)
  local name = opts.table or "moonloop_sessions"
  local has_schema = name:find("^[%a_][%w_]*%.[%a_][%w_]*$") and getmetatable(opts.store).__name:find("%.pg%.")
  if not has_schema and not name:find("^[%a_][%w_]*$") then
    bad("table", name, "the name of a table; schema.table on PostgreSQL")
  end
  return require "moonloop.web.session_sql"(opts.store, name)
end

function stores.redis(opts) return require "moonloop.web.session_redis"(opts.store, opts.prefix or "session:") end

local function check_times(opts)
  for _, name in ipairs { "idle", "absolute" } do
    local seconds = opts[name]
    if seconds and not (seconds > 0 and seconds < math.huge) then
      bad(name, seconds, "a positive number of seconds")
    end
  end
end

local function same_site_of(value)
  local known = SAME_SITE[(value or "Lax"):lower()]
  if not known then
    fail(("option 'same_site' of %s is '%s' (expected Lax, Strict or None)"):format(WHOSE, value))
  end
  return known
end

--- Checks the options -> what they come to.
function M.check(opts)
  opts = options.check(opts, OPTIONS, WHOSE)
  local kind = kind_of(opts.store)
  for name, owner in pairs(OWN) do
    if opts[name] ~= nil and owner ~= kind then
      fail(("option '%s' of %s is for store = %s alone"):format(name, WHOSE, SHOWN[owner]))
    end
  end
  check_times(opts)
  local name = opts.name or "session"
  if not name:find(TOKEN) or name:lower():find("^__%a+%-") then
    fail(("option 'name' of %s is '%s' (expected a cookie name without a prefix)"):format(WHOSE, name))
  end
  local absolute = opts.absolute or 43200
  local store
  if kind == "cookie" then
    store = require "moonloop.web.session_cookie"(opts.secret)
  else
    store = require "moonloop.web.session_keyed"(stores[kind](opts))
  end
  return {
    store = store, absolute = absolute, idle = math.min(opts.idle or 1800, absolute),
    name = name, secure = opts.secure, same_site = same_site_of(opts.same_site), persistent = opts.persistent,
  }
end

return M
