--- Sessions in a table of PostgreSQL or SQLite. The table is made when it is first missed, so that a
-- user of the database who may not make tables can have it made by a migration.
local core = require "moonloop.core"
local report = require "moonloop.web.core".report

local PAUSE = 600 -- seconds between two removals of expired sessions
local MOST = 1000 -- sessions removed at a time: a request waits for it

local Sql = {}
Sql.__index = Sql

local function is_missing(err)
  return err.code == "42P01" or err.code == "SQLITE_ERROR" and err.message:find("^no such table") ~= nil
end

--- Makes the table. Returns the first error, if any: another process that does so at the same time may be
-- first, and PostgreSQL has several errors for that.
local function make_table(self)
  local first
  for _, statement in ipairs(self.statements.make) do
    local _, err = self.db:exec(statement)
    first = first or err
  end
  return first
end

--- Calls db[method](db, statement, ...), and again if the table had to be made.
local function run(self, method, statement, ...)
  local db = self.db
  local value, err = db[method](db, self.statements[statement], ...)
  if err and is_missing(err) then
    local why = make_table(self)
    value, err = db[method](db, self.statements[statement], ...)
    if err and is_missing(err) then err = why or err end
  end
  if err then error(err, 0) end
  return value
end

--- Removes expired sessions, now and then. A failure is no matter of the request.
local function clean(self)
  local now = core.time()
  if now < self.clean_at then return end
  self.clean_at = now + PAUSE
  local n, err = self.db:exec(self.statements.expire, now, MOST)
  if not n then
    report(nil, err, nil, "the removal of expired sessions", true)
  elseif n >= MOST then
    self.clean_at = now
  end
end

function Sql:load(key)
  local row = run(self, "one", "select", key)
  return row and { text = row.data, created = row.created, expires = row.expires }
end

function Sql:create(key, text, created, expires)
  run(self, "exec", "insert", key, text, created, expires)
  clean(self)
end

function Sql:save(key, text, expires) return run(self, "exec", "update", key, text, expires) > 0 end

function Sql:move(old, key, text, created, expires)
  return run(self, "exec", "rename", old, key, text, created, expires) > 0
end

function Sql:touch(key, expires) run(self, "exec", "extend", key, expires) end

function Sql:delete(key) run(self, "exec", "delete", key) end

--- A store in the database; `name` is the table's, "schema.table" for one in a schema.
return function(db, name)
  local ident = require "moonloop.sql".ident
  local parts = {}
  for part in name:gmatch("[^.]+") do parts[#parts + 1] = ident(part) end
  local quoted = table.concat(parts, ".")
  local index = ident(name:match("[^.]+$") .. "_expires")
  local function statement(text) return (text:gsub("TABLE", function() return quoted end)) end
  return setmetatable({ db = db, clean_at = 0, statements = {
    make = {
      statement [[create table if not exists TABLE (id text primary key, data text not null,
        created double precision not null, expires double precision not null)]],
      statement("create index if not exists " .. index .. " on TABLE (expires)"),
    },
    select = statement "select data, created, expires from TABLE where id = $1",
    insert = statement "insert into TABLE (id, data, created, expires) values ($1, $2, $3, $4)",
    update = statement "update TABLE set data = $2, expires = $3 where id = $1",
    rename = statement "update TABLE set id = $2, data = $3, created = $4, expires = $5 where id = $1",
    extend = statement "update TABLE set expires = $2 where id = $1",
    delete = statement "delete from TABLE where id = $1",
    expire = statement "delete from TABLE where id in (select id from TABLE where expires <= $1 limit $2)",
  } }, Sql)
end
