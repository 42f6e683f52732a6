--- Migrations: db:migrate, and what the commands `migrate` and `db` share with it.
local core = require "moonloop.core"
local files = require "moonloop.sql.migrate_files"
local holders = require "moonloop.sql.holders"
local run = require "moonloop.sql.migrate_run"
local urls = require "moonloop.sql.url"

local M = {}

local ENOENT = 2

local dialects = { pg = "postgres", sqlite = "sqlite" }

-- --- connections ---

-- One connection, for migrate_run.lua.
local Connection = {}
Connection.__index = Connection

function Connection:simple(sql) return self.lease:simple(sql) end
function Connection:query(...) return self.lease:query(...) end
function Connection:copy_in(...) return self.lease:copy_in(...) end
function Connection:rows(...) return self.lease:rows(...) end

-- One that was left in the middle is not for others.
function Connection:__close()
  holders.give_back(self.lease)
  if self.own then self.own:close() end
end

local function folder_of(path) return path and (path:match "^(.*/)[^/]*$" or ".") end

local function lease(db, own)
  local found, err = db:lease "migrations"
  if not found then
    if own then own:close() end
    files.need(nil, err)
  end
  local known = holders.of(db)
  local _, parts = urls.parse(known.made_from.url)
  return setmetatable({ lease = found, own = own, place = {
    dialect = dialects[known.driver], folder = folder_of(parts.path), url = urls.shown(known.made_from.url),
  } }, Connection)
end

--- A connection to the database at `url`, for a variable <close>. It has no limits of time: a migration
-- takes as long as it takes. Without prepared statements it can go through pgbouncer. `opts`: more options of
-- ml.sql.open. Raises what is in the way.
function M.connect(url, opts)
  local options = { pool = 1, timeout = math.huge, slow = math.huge, prepare = false, pipeline = false }
  for name, value in pairs(opts or {}) do options[name] = value end
  local good, own = pcall(urls.parse, url)
  if good then good, own = pcall(require "moonloop.sql".open, url, options) end
  if not good then error(files.error(tostring(own)), 0) end
  return lease(own, own)
end

-- The file of SQLite that opening `url` would make, or nil.
local function missing_file(url)
  local good, name, parts = pcall(urls.parse, url)
  if not good or name ~= "sqlite" or not parts.path or parts.mode then return nil end
  local file, _, code = io.open(parts.path, "rb")
  if file then file:close() end
  return code == ENOENT and parts.path or nil
end

--- The same for a database that is there already: a wrong path makes no new one.
function M.connect_existing(url, opts)
  local path = missing_file(url)
  if path then
    error(files.error(("there is no database %s; sqlite:%s?mode=rwc makes a new one"):format(path, path)), 0)
  end
  return M.connect(url, opts)
end

--- The same to look at what has run: of a file that is not there nothing has, and it is not made.
function M.connect_to_look(url)
  if not missing_file(url) then return M.connect(url) end
  local conn = M.connect "sqlite::memory:"
  conn.place.url = urls.shown(url)
  return conn
end

-- --- db:migrate ---

local function say_waiting()
  require "moonloop.signals".say("info", "migrations wait for another process that is migrating this database")
end

--- f(...), or nil and the error of kind "migration" that it has raised.
function M.caught(f, ...)
  local results = table.pack(pcall(f, ...))
  if results[1] then return table.unpack(results, 2, results.n) end
  local err = results[2]
  if core.is_error(err) and err.kind == "migration" then return nil, err end
  error(err, 0)
end

--- up(db, dir) -> the names of the migrations that have run now | nil, err
function M.up(db, dir)
  local known = holders.of(db, "migrate")
  holders.check_free(db, "db:migrate")
  if dir ~= nil and type(dir) ~= "string" then
    core.fail(("db:migrate: the folder of migrations expected, got %s"):format(type(dir)))
  end
  dir = dir or "migrations"
  return M.caught(function()
    local list = files.read(dir, dialects[known.driver])
    local names = {}
    -- A database in memory is that of its one pool.
    local conn <close> = known.made_from.memory and lease(db) or M.connect(known.made_from.url)
    run.run(conn, list, dir, "up", math.huge, function(migration) names[#names + 1] = migration.name end, say_waiting)
    return names
  end)
end

--- own(db, table, read, source): runs migrations that come with moonloop, whatever the running task holds of
-- `db`, and notes in `table` which have run. `read(dialect)` gives the list, `source` is its name in messages.
-- true | nil, err
function M.own(db, table, read, source)
  local known = holders.of(db)
  return M.caught(function()
    local conn <close> = known.made_from.memory and lease(db) or M.connect(known.made_from.url)
    conn.place.table = table
    run.run(conn, read(conn.place.dialect), source, "up", math.huge, function() end, say_waiting)
    return true
  end)
end

M.say_waiting = say_waiting

return M
