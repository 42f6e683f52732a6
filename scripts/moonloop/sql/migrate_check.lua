--- `moonloop migrate check`: are the statements right? Migrations that have not run are run and taken back;
-- then the app's own statements are prepared against the tables as they are after them.
local files = require "moonloop.sql.migrate_files"
local folder = require "moonloop.folder"
local run = require "moonloop.sql.migrate_run"
local splitting = require "moonloop.sql.split"

-- Folders that are nobody's own code.
local skipped = { node_modules = true, build = true }

-- What cannot be prepared, or not against tables that are there: a schema that was written out, say.
local skips = {}
for word in ([[create drop alter begin start commit end rollback abort savepoint release set reset grant revoke
  comment pragma vacuum analyze reindex attach detach copy listen notify unlisten truncate do call lock
  explain refresh cluster checkpoint discard show declare fetch close prepare execute deallocate
  reassign security load import]]):gmatch "%l+" do
  skips[word] = true
end

local variants = { pg = "postgres", sqlite = "sqlite" }

-- Adds the .sql files below `path` that are for this database to the list.
local function find(path, dialect, except, list)
  local names, folders = folder.list(path)
  if not names then
    if not path:find "%.sql$" then
      error(files.error(("%s is neither a folder nor a .sql file that can be read: %s"):format(path, folders)), 0)
    end
    list[#list + 1] = path
    return list
  end
  table.sort(names)
  table.sort(folders)
  for _, name in ipairs(names) do
    local variant = variants[name:match "%.(%w+)%.sql$"]
    if name:find "^[^.].*%.sql$" and (not variant or variant == dialect) then
      list[#list + 1] = path == "." and name or path .. "/" .. name
    end
  end
  for _, name in ipairs(folders) do
    local below = path == "." and name or path .. "/" .. name
    if not name:find "^%." and not skipped[name] and below ~= except then find(below, dialect, except, list) end
  end
  return list
end

local function read(path)
  local file, message = io.open(path, "rb")
  if not file then error(files.error("cannot read " .. message), 0) end
  local text = file:read "a"
  file:close()
  return text
end

-- Prepares a statement: nil, or what is wrong. It may have parameters.
local function prepare(conn, statement)
  local is_sqlite = conn.place.dialect == "sqlite"
  local text, count = splitting.number(statement.text, conn.place.dialect)
  local before = is_sqlite and "explain " or "prepare moonloop_check as "
  local done, err
  if is_sqlite then
    done, err = conn:query(before .. text, table.unpack({}, 1, count))
  else
    done, err = conn:simple(before .. text)
    if done then done, err = conn:simple "deallocate moonloop_check" end
  end
  if done then return nil end
  local position = err.position and err.position > #before and err.position - #before or nil
  return { message = err.message, code = err.code, position = position }
end

local function run_pending(conn, list, applied, notes)
  local ran = {}
  for _, migration in ipairs(list) do
    if not migration.elsewhere and not applied[migration.name] then
      run.check_part(migration.up)
      if migration.down then run.check_part(migration.down) end
      if migration.up.transaction then
        run.run_part(conn, migration.up)
        ran[#ran + 1] = migration
      else
        notes[#notes + 1] = migration.up.file .. " is -- no-transaction: it was not tried"
      end
    end
  end
  return ran
end

--- check(conn, list, dir, paths) -> {migrations, statements, files, notes}. Raises the error of the first
-- statement that is wrong.
return function(conn, list, dir, paths)
  local dialect = conn.place.dialect
  local applied = run.applied(conn)
  run.check(conn, list, applied, dir)
  if #paths == 0 then paths[1] = "." end
  local result = { migrations = 0, statements = 0, files = 0, notes = {} }
  run.scratch(conn, list, function()
    local ran = run_pending(conn, list, applied, result.notes)
    for _, migration in ipairs(list) do
      if not migration.elsewhere then result.migrations = result.migrations + 1 end
    end
    result.migrations = result.migrations - #result.notes
    for _, path in ipairs(paths) do
      for _, file in ipairs(find(path, dialect, dir, {})) do
        result.files = result.files + 1
        local part = { file = file, transaction = true, statements = splitting.split(read(file), dialect) }
        for _, statement in ipairs(part.statements) do
          if not skips[statement.keyword] then
            local err = prepare(conn, statement)
            if err then error(run.statement_error(part, statement, err, ""), 0) end
            result.statements = result.statements + 1
          end
        end
      end
    end
    for i = #ran, 1, -1 do
      local down = ran[i].down
      if down and down.transaction then run.run_part(conn, down) end
    end
  end)
  return result
end
