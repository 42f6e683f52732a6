--- ml.sql: PostgreSQL and SQLite with one set of functions. Statements are run by the drivers
-- (bindings/sql); here is what is made of them.
local builders = require "moonloop.sql.builders"
local core = require "moonloop.core"
local holders = require "moonloop.sql.holders"
local limits = require "moonloop.sql.limits"
local listen = require "moonloop.sql.listen"
local options = require "moonloop.core.options"
local session = require "moonloop.sql.session"
local sql_value = require "moonloop.sql.value"
local statements = require "moonloop.sql.statements"
local transaction = require "moonloop.sql.transaction"
local urls = require "moonloop.sql.url"

-- --- what a database has beside its driver's functions ---

local Database = {
  begin = transaction.begin, tx = transaction.tx, session = session.session, script = session.script,
  listen = listen.listen,
}
for name, f in pairs(statements.shared) do Database[name] = f end

--- db:migrate(dir) -> names of the migrations that ran | nil, err
function Database:migrate(dir) return require "moonloop.sql.migrate".up(self, dir) end

-- --- opening one ---

local kind = options.kind
local seconds = kind("a number of seconds, more than 0", function(v) return type(v) == "number" and v > 0 end)
local known = {
  pool = kind("an integer from 1 to 1000", function(v) return math.type(v) == "integer" and v >= 1 and v <= 1000 end),
  acquire = seconds, timeout = seconds, slow = seconds, prepare = "boolean", pipeline = "boolean", nulls = "boolean",
  inline = "boolean",
  max_result = options.limit,
  numeric = kind("'text' or 'number'", function(v) return v == "text" or v == "number" end),
  time = kind("'number' or 'text'", function(v) return v == "number" or v == "text" end),
}
local defaults = {
  pool = 10, acquire = 10, timeout = 30, slow = 1, prepare = true, pipeline = true, nulls = false, inline = false,
  numeric = "text", time = "number", max_result = 256 * 1024 * 1024,
}

local drivers = {} -- by name; each is loaded when it is first used

local function driver_of(name)
  local driver = drivers[name]
  if driver then return driver end
  driver = require("moonloop.sql." .. name)
  for method, f in pairs(Database) do driver.methods[method] = f end
  driver.methods.__table = driver.table
  drivers[name] = driver
  return driver
end

local M = {
  ident = builders.ident, bytes = sql_value.bytes, json = sql_value.json, null = sql_value.null,
}

--- open(url [, opts]) -> db. Connects at the first statement.
function M.open(url, opts)
  local name, place = urls.parse(url)
  local settings = {}
  for option, value in pairs(defaults) do settings[option] = value end
  for option, value in pairs(options.check(opts, known, "ml.sql.open")) do settings[option] = value end
  for part, value in pairs(place) do settings[part] = value end
  settings.shown = urls.shown(url)
  local driver = driver_of(name)
  local why, missing = driver.check(settings.url)
  if missing then core.fail("ml.sql.open: " .. missing) end
  if why then urls.bad(url, why) end
  local own = {}
  for option, value in pairs(opts or {}) do own[option] = value end
  local db = driver.open(settings, holders.new(name, { url = url, opts = own, memory = place.memory }))
  if name == "pg" then limits.watch(db, settings.shown, settings.pool) end
  return db
end

return M
