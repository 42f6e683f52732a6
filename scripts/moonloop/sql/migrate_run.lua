--- Running migrations on one connection, one transaction a file. Others may do the same at the same
-- time: who has the lock looks again at what has run.
--
-- A connection `conn` here is one that the driver has leased, with what is known of its database:
-- conn:simple(sql) and conn:query(sql, ...), both "value or nil, err", and `place`: {dialect =, folder =
-- (where SQLite's file is)}.
local core = require "moonloop.core"
local files = require "moonloop.sql.migrate_files"
local folder = require "moonloop.folder"

local M = {}

local TABLE = "moonloop_migrations"
local KEY = 0x6d6f6f6e6c6f6f70 -- of the advisory lock: "moonloop"
local PAUSE = 0.05 -- seconds between two looks whether a lock is free
local PATIENCE = 5 -- seconds after which it is said what is waited for

M.TABLE = TABLE

local function fail(message, ...) error(files.error(message:format(...)), 0) end

-- The value, or the failure of a statement that is ours, raised.
local function need(value, err) return files.need(value, err, "migrations: ") end

local function quote(name) return '"' .. name:gsub('"', '""') .. '"' end

-- --- what the databases do in different ways ---

local engines = {}

-- Where it is noted what has run.
local function table_of(conn) return conn.place.table or TABLE end

local postgres = { columns = "name text primary key, sha256 text not null, applied_at timestamptz not null" }
engines.postgres = postgres

-- The table, with its schema: a migration may set another search_path. The catalog is read as a table:
-- to_regclass looks into the server's cache, which in a transaction may be older than the lock.
function postgres.find_table(conn)
  local row = need(conn:query([[
    select nspname as schema, exists (
      select from pg_catalog.pg_class where relnamespace = n.oid and relname = $1) as found
    from pg_catalog.pg_namespace n where nspname = current_schema()]], table_of(conn)))[1]
  if not row then
    fail "migrations: no schema of the search_path exists: create one, or set search_path in the URL"
  end
  return quote(row.schema) .. "." .. quote(table_of(conn)), row.found
end

-- A lock that is asked for again and again, not waited for: a statement that waits has a snapshot, and
-- CREATE INDEX CONCURRENTLY waits for all of these.
local function try(conn, call)
  return need(conn:query(("select %s(%d) as taken"):format(call, KEY)))[1].taken
end

-- A server notices that its client was killed when it next sends something; until then, which may be hours
-- in the middle of a statement, it has the lock. PostgreSQL 14 and later can look for themselves. `for_now`:
-- until the transaction has ended.
local function watch_client(conn, for_now)
  need(conn:query([[
    select set_config(name, '1s', $1) from pg_settings where name = 'client_connection_check_interval']], for_now))
end

-- Each statement sees what was committed before it: a snapshot for the whole transaction, which may be the
-- database's default, would be older than the lock.
function postgres.begin(conn)
  need(conn:simple "begin isolation level read committed")
  if try(conn, "pg_try_advisory_xact_lock") then
    watch_client(conn, true)
    return true
  end
  need(conn:simple "rollback")
  return false
end

-- What a file has set is not for the next one.
function postgres.after(conn) need(conn:simple "reset all; set session authorization default") end

function postgres.hold(conn)
  if not try(conn, "pg_try_advisory_lock") then return nil end
  watch_client(conn, false)
  return function() conn:simple(("select pg_advisory_unlock(%d)"):format(KEY)) end
end

local sqlite = { columns = "name text primary key, sha256 text not null, applied_at timestamptz not null" }
engines.sqlite = sqlite

function sqlite.find_table(conn)
  local found = need(conn:query("select 1 as found from sqlite_schema where type = 'table' and name = $1",
    table_of(conn)))
  return quote(table_of(conn)), found[1] ~= nil
end

function sqlite.begin(conn)
  local done, err = conn:simple "begin immediate"
  if done then return true end
  if err.kind == "busy" or err.kind == "lock_timeout" then return false end
  need(nil, err)
end

-- No transaction can be the lock here, and a lock on the file would be in SQLite's way.
function sqlite.hold(conn)
  if not conn.place.folder then return function() end end
  local lock, message = folder.lock(conn.place.folder)
  if lock == nil then fail("migrations: cannot lock %s: %s", conn.place.folder, message) end
  return lock and function() lock:close() end
end

-- DROP TABLE deletes the rows first, and with them what refers to them with ON DELETE CASCADE: for a
-- table that is made anew the keys must be off. They are looked at before the commit instead.
function sqlite.prepare(conn, part)
  for _, statement in ipairs(part.statements) do
    if statement.keyword == "drop" and statement.second == "table" then
      need(conn:simple "pragma foreign_keys = off")
      return function() need(conn:simple "pragma foreign_keys = on") end
    end
  end
end

function sqlite.before_commit(conn, part)
  local wrong = need(conn:query "pragma foreign_key_check")[1]
  if not wrong then return end
  fail("%s: after it a row of %s refers to one of %s that is not there (rowid %s; pragma foreign_key_check " ..
    "shows all); nothing of the file is left in the database", part.file, wrong.table, wrong.parent, wrong.rowid)
end

-- --- one file ---

-- The line where a statement is wrong.
local function line_of(statement, err)
  local line = statement.line
  if not err.position then return line end
  local byte = utf8.offset(statement.text, err.position) or err.position
  for _ in statement.text:sub(1, byte - 1):gmatch "\n" do line = line + 1 end
  return line
end

local ending = { commit = true, ["end"] = true, rollback = true, abort = true, begin = true, start = true }

-- Raises what no migration may have.
local function check_statement(part, statement)
  local keyword = statement.keyword
  if part.transaction and ending[keyword] and statement.second ~= "to" then
    fail("%s:%d: %s: each file is a transaction of its own: take it out, or begin the file with " ..
      "-- no-transaction", part.file, statement.line, keyword:upper())
  end
  if keyword == "copy" and statement.text:lower():find "%f[%w]from%s+stdin%f[^%w]" then
    fail("%s:%d: COPY FROM STDIN: there is no such input here: use INSERT", part.file, statement.line)
  end
end

--- Checks what can be checked of a part without a database.
function M.check_part(part)
  for _, statement in ipairs(part.statements) do check_statement(part, statement) end
end

--- The error of a statement, with its file and line. `left` says what became of the file.
function M.statement_error(part, statement, err, left)
  local line = line_of(statement, err)
  return files.error(("%s:%d: %s%s"):format(part.file, line, err.message or tostring(err), left),
    { file = part.file, line = line, cause = err, code = err.code })
end

--- Runs the statements of a part. Raises the error of the one that failed.
function M.run_part(conn, part)
  for i, statement in ipairs(part.statements) do
    local done, err = conn:simple(statement.text)
    if not done then
      local left = "; nothing of the file is left in the database"
      if not part.transaction then
        left = i == 1 and "; it was the first statement of the file" or
          ("; the file is -- no-transaction: the %d statement(s) before it have run and stay, so undo them, or " ..
            "make the file so that it can run again"):format(i - 1)
      end
      error(M.statement_error(part, statement, err, left), 0)
    end
  end
end

-- Calls f() in a transaction with the lock. False where another process has it.
local function in_transaction(conn, engine, part, f)
  local restore, done
  local _ <close> = setmetatable({}, { __close = function()
    if done then return end
    core.shield(function()
      conn:simple "rollback"
      if restore then restore() end
    end)
  end })
  restore = part and engine.prepare and engine.prepare(conn, part)
  if not engine.begin(conn) then return false end
  f()
  if restore then engine.before_commit(conn, part) end
  local committed, err = conn:simple "commit"
  if not committed then
    error(files.error(("%s: the commit failed: %s"):format(part and part.file or "migrations", err.message),
      { file = part and part.file, cause = err, code = err.code }), 0)
  end
  done = true
  if restore then restore() end
  return true
end

-- The same without a transaction: the lock alone.
local function with_lock(conn, engine, f)
  local release = engine.hold(conn)
  if not release then return false end
  local _ <close> = setmetatable({}, { __close = function() core.shield(release) end })
  f()
  return true
end

-- --- what has run ---

--- What has run in this database: name to {sha256, applied_at}.
function M.applied(conn)
  local name, exists = engines[conn.place.dialect].find_table(conn)
  local applied = {}
  if not exists then return applied, name end
  for _, row in ipairs(need(conn:query("select name, sha256, applied_at from " .. name))) do applied[row.name] = row end
  return applied, name
end

--- The time of a row, as people read it.
function M.time(row)
  return type(row.applied_at) == "number" and os.date("!%Y-%m-%d %H:%M:%S UTC", row.applied_at // 1 | 0)
    or tostring(row.applied_at)
end

--- What is wrong with a migration that has run, or nil.
function M.changed(migration, row)
  if migration.sha256 == row.sha256 then return nil end
  return ("%s has changed since it ran here (on %s): take the change back, and put it into a new migration")
    :format(migration.up.file, M.time(row))
end

-- Raises where the files are not those that have run.
local function check(conn, list, applied, dir)
  local known, last = {}, nil
  for _, migration in ipairs(list) do
    local row = applied[migration.name]
    if row and not migration.elsewhere then
      known[migration.name] = true
      local changed = M.changed(migration, row)
      if changed then fail("%s", changed) end
      last = migration
    end
  end
  for name, row in pairs(applied) do
    if not known[name] then
      fail("the migration %s has run here (on %s), but is not in %s: bring its file back; if it has been undone by " ..
        "hand, delete its row from the table %s", name, M.time(row), dir, table_of(conn))
    end
  end
  for _, migration in ipairs(list) do
    if not last or migration == last then break end
    if not applied[migration.name] and not migration.elsewhere and files.is_counted(migration.number) then
      fail("%s has not run here, and %s, which follows it, has: give it a number behind that one", migration.up.file,
        last.name)
    end
  end
end

-- The next migration to run, or nil.
local function next_up(list, applied)
  for _, migration in ipairs(list) do
    if not applied[migration.name] and not migration.elsewhere then return migration, migration.up end
  end
end

-- The last one that has run, or nil.
local function next_down(list, applied)
  for i = #list, 1, -1 do
    local migration = list[i]
    if applied[migration.name] then
      if not migration.down then
        fail("%s cannot be undone: there is no %s.down.sql, and no line '-- down' in %s", migration.name,
          migration.name, migration.up.file)
      elseif #migration.down.statements == 0 then
        fail("%s: there is no statement to undo %s: write one (select 1; where nothing is to be done)",
          migration.down.file, migration.name)
      end
      return migration, migration.down
    end
  end
end

local directions = {
  up = { next = next_up, note = function(conn, name, migration)
    need(conn:query(("insert into %s (name, sha256, applied_at) values ($1, $2, $3)"):format(name), migration.name,
      migration.sha256, core.time()))
  end },
  down = { next = next_down, note = function(conn, name, migration)
    need(conn:query(("delete from %s where name = $1"):format(name), migration.name))
  end },
}

-- Runs a part, and notes that in the table `name`.
local function apply(conn, engine, direction, migration, part, name)
  need(conn:simple(("create table if not exists %s (%s)"):format(name, engine.columns)))
  M.run_part(conn, part)
  direction.note(conn, name, migration)
end

-- Runs the next migration: it, or nil where there is none; false where it has to be tried again.
local function step(conn, list, dir, direction)
  local engine = engines[conn.place.dialect]
  local applied = M.applied(conn)
  check(conn, list, applied, dir)
  local migration, part = direction.next(list, applied)
  if not migration then return nil end
  M.check_part(part)
  local ran = false
  local function run()
    local now, name = M.applied(conn)
    check(conn, list, now, dir)
    if direction.next(list, now) ~= migration then return end -- another process was faster
    apply(conn, engine, direction, migration, part, name)
    ran = true
  end
  local locked
  if part.transaction then
    locked = in_transaction(conn, engine, part, run)
  else
    locked = with_lock(conn, engine, run)
  end
  if ran and engine.after then engine.after(conn) end
  return ran and migration or false, not locked
end

--- Runs the migrations of `list`, of which none has run, on a holder of a connection that has a transaction open:
-- they are part of it. `table` is where they are noted.
function M.run_in(tx, list, dialect, table)
  local conn = {
    simple = function(_, sql) return tx:script(sql) end,
    query = function(_, ...) return tx:query(...) end,
  }
  for _, migration in ipairs(list) do
    apply(conn, engines[dialect], directions.up, migration, migration.up, quote(table))
  end
end

--- Runs the migrations of `list`, from the folder `dir`, that have not run (`way` is "up"), or undoes the
-- last ones ("down"), at most `most` of them. `told(migration, seconds)` is called after each, `waits()`
-- when another process has had the lock for long. Raises an error object.
function M.run(conn, list, dir, way, most, told, waits)
  local count, since = 0, nil
  while count < most do
    local started = core.now()
    local migration, busy = step(conn, list, dir, directions[way])
    if migration == nil then return count end
    if migration then
      count = count + 1
      told(migration, core.now() - started)
    end
    since = busy and (since or started) or nil
    if busy then
      core.sleep(PAUSE)
      if waits and core.now() - since > PATIENCE then
        waits()
        waits = nil
      end
    end
  end
  return count
end

--- Calls f() in a transaction that is rolled back.
function M.scratch(conn, list, f)
  local engine = engines[conn.place.dialect]
  local parts = {}
  for _, migration in ipairs(list) do
    for _, part in ipairs { migration.up, migration.down } do
      table.move(part.statements, 1, #part.statements, #parts + 1, parts)
    end
  end
  local restore = engine.prepare and engine.prepare(conn, { statements = parts })
  need(conn:simple(conn.place.dialect == "sqlite" and "begin immediate" or "begin"))
  local _ <close> = setmetatable({}, { __close = function()
    core.shield(function()
      conn:simple "rollback"
      if restore then restore() end
    end)
  end })
  return f()
end

M.next = { up = next_up, down = next_down }
M.check = check

return M
