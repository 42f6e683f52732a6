--- URLs of databases: postgres://[USER[:PASSWORD]@][HOST[:PORT][,...]]/[DATABASE][?PARAMETER=VALUE&...],
-- as libpq has them, sqlite:PATH[?synchronous=full&...] and sqlite::memory:.
local core = require "moonloop.core"
local decode = require "moonloop.core.percent"
local sorted_keys = require "moonloop.core.sorted_keys"

local M = {}

--- The URL without its password, which goes on to the last @: one that is not encoded may hold @, / and ? itself.
function M.shown(url)
  return (url:gsub("^(%a[%w+.-]*://[^/@:]*):.*@", "%1:***@"):gsub("([?&][%w_]*password=)[^&]*", "%1***")
    :gsub("%c", "?"))
end

--- Raises that the URL is not one, and why.
function M.bad(url, why) core.fail(("'%s' is not the URL of a database: %s"):format(M.shown(url), why)) end

local bad = M.bad

-- What may stand behind the path of an SQLite database.
local choices = {
  synchronous = { off = true, normal = true, full = true, extra = true },
  mode = { rwc = true, rw = true, ro = true },
}

local function sqlite_parameters(url, query)
  local result = {}
  for name, value in (query or ""):gmatch "([^&=]+)=?([^&]*)" do
    local known = choices[name]
    if not known then
      bad(url, core.unknown("parameter", name, "an SQLite database", { "mode", "synchronous" }))
    end
    if not known[value:lower()] then
      bad(url, ("%s is '%s' (expected one of %s)"):format(name, value, table.concat(sorted_keys(known), ", ")))
    end
    result[name] = value:lower()
  end
  return result
end

local function sqlite(url, rest)
  local path, query = rest:match "^([^?]*)%??(.*)$"
  path = decode(path:gsub("^//", "", 1))
  if path == "" then bad(url, "the path of its file is missing: sqlite:app.db, or sqlite::memory:") end
  if path:find "%z" then bad(url, "its path holds a NUL byte") end
  local result = sqlite_parameters(url, query)
  if path == ":memory:" then
    result.memory = true
  else
    result.path = path
  end
  return result
end

-- libpq would take what follows the first @ for the host, and what precedes the first / for host and port, and
-- show a part of the password in its message.
local function check_password(url, rest)
  local authority, path = rest:match "^//([^/?]*)([^?]*)"
  local hosts = authority:match "@(.*)$"
  if hosts and hosts:find("@", 1, true)
    or not hosts and path:find("@", 1, true) and authority:find ":[^,]*[^%d,]" then
    bad(url, "in its user and password @ is written %40, / is written %2F and % is written %25")
  end
end

--- parse(url) -> "pg" | "sqlite", what the driver needs of it. Raises what is wrong, with the line of the
-- script.
function M.parse(url)
  if type(url) ~= "string" then
    core.fail(("ml.sql.open: the URL of a database expected, such as sqlite:app.db, got %s"):format(type(url)))
  end
  local scheme, rest = url:match "^(%a[%w+.-]*):(.*)$"
  scheme = scheme and scheme:lower()
  if scheme == "sqlite" or scheme == "sqlite3" then
    return "sqlite", sqlite(url, rest)
  elseif scheme == "postgres" or scheme == "postgresql" then
    if not rest:find "^//" then bad(url, "two slashes come behind 'postgres:': postgres://user@host/database") end
    if url:find "%z" then bad(url, "it holds a NUL byte") end
    check_password(url, rest)
    return "pg", { url = "postgresql:" .. rest }
  elseif scheme == "mysql" or scheme == "mariadb" then
    bad(url, "there is no driver for MySQL; there are postgres:// and sqlite:")
  end
  bad(url, "it begins with neither postgres:// nor sqlite:")
end

return M
