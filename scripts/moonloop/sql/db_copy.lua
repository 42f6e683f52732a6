--- `moonloop db copy FROM_URL TO_URL`: all rows of an SQLite database into the tables of a PostgreSQL one,
-- in one transaction.
local files = require "moonloop.sql.migrate_files"
local migrate = require "moonloop.sql.migrate"
local run = require "moonloop.sql.migrate_run"
local target = require "moonloop.sql.db_copy_target"
local value_text = require "moonloop.sql.db_copy_value"

local CHUNK = 64 * 1024 -- bytes that are sent at once

local function fail(message, ...) error(files.error(message:format(...)), 0) end

local need = files.need

local function quote(name) return '"' .. name:gsub('"', '""') .. '"' end

-- --- the source ---

local source_tables = [[
  select name, type from pragma_table_list where schema = 'main' and name not like 'sqlite\_%' escape '\'
  order by name]]

-- The tables of the source with their columns; what is not copied.
local function read_source(from)
  local tables, others = {}, {}
  for _, row in ipairs(need(from:query(source_tables))) do
    if row.type == "table" and row.name ~= run.TABLE then
      local columns = {}
      local sql = "select name, hidden from pragma_table_xinfo($1) order by cid"
      for _, column in ipairs(need(from:query(sql, row.name))) do
        if column.hidden == 0 then columns[#columns + 1] = column.name end
      end
      tables[#tables + 1] = { name = row.name, columns = columns }
    elseif row.type == "virtual" then
      others[#others + 1] = row.name
    end
  end
  return tables, others
end

-- --- one table ---

-- The values as SQLite has them, whatever type the column was declared with; of blobs the digits.
local function select_of(pair)
  local list = {}
  for i, column in ipairs(pair.columns) do
    local name = quote(column.from)
    if column.to.type == "bytea" then
      list[i] = ("case when %s is not null then '\\x' || hex(%s) end as c%d"):format(name, name, i)
    else
      list[i] = ("+%s as c%d"):format(name, i)
    end
  end
  return ("select %s from %s"):format(table.concat(list, ", "), quote(pair.from.name))
end

local escapes = { ["\\"] = "\\\\", ["\t"] = "\\t", ["\n"] = "\\n", ["\r"] = "\\r" }

local function line_of(pair, row)
  local fields = {}
  for i, column in ipairs(pair.columns) do
    local value = row["c" .. i]
    fields[i] = value == nil and "\\N" or value_text(value, column.to):gsub("[\\\t\n\r]", escapes)
  end
  return table.concat(fields, "\t") .. "\n"
end

-- Copies the rows: how many.
local function copy_table(from, to, pair)
  local names, total = {}, 0
  for i, column in ipairs(pair.columns) do names[i] = quote(column.to.name) end
  local next_row, state, control, closing = from:rows(select_of(pair))
  local _ <close> = closing
  local function chunk()
    local lines, size = {}, 0
    while size < CHUNK and next_row do
      control = next_row(state, control)
      if control == nil then
        next_row = nil
      else
        lines[#lines + 1] = line_of(pair, control)
        size = size + #lines[#lines]
        total = total + 1
      end
    end
    return size > 0 and table.concat(lines) or nil
  end
  local sql = ("copy %s (%s) from stdin"):format(quote(pair.to.name), table.concat(names, ", "))
  local copied, err = to:copy_in(sql, chunk)
  if not copied then
    error(files.error(("%s: %s; nothing was copied"):format(pair.from.name, err.message),
      { cause = err, code = err.code }), 0)
  end
  return total
end

local function count_of(conn, name) return need(conn:query("select count(*) as n from " .. quote(name)))[1].n end

local function copy_all(from, to, pairs_in_order, told)
  local total = 0
  for _, pair in ipairs(pairs_in_order) do
    local n = copy_table(from, to, pair)
    local before, after = count_of(from, pair.from.name), count_of(to, pair.to.name)
    if before ~= n or after ~= n then
      fail("%s: %d rows were read and %d sent, and %d are there; nothing was copied", pair.from.name, before, n, after)
    end
    target.set_sequences(to, pair.to)
    told(pair.to.name, n)
    total = total + n
  end
  return total
end

-- --- all ---

local function check_urls(from_url, to_url)
  if not from_url:find "^sqlite3?:" or not to_url:find "^postgres" then
    fail "db copy: it goes from SQLite to PostgreSQL: moonloop db copy sqlite:app.db postgres://..."
  end
  local path = from_url:match "^sqlite3?:([^?]*)"
  local file, message = io.open(path)
  if not file then fail("db copy: %s", message) end
  file:close()
end

-- Ends a transaction that is left without a commit.
local function rollback_at_end(conn)
  return setmetatable({}, { __close = function()
    if conn.lease:state() ~= "idle" then require "moonloop.core".shield(function() conn:simple "rollback" end) end
  end })
end

--- copy(from_url, to_url, told) -> how many rows, names of virtual tables that are left out. told(table, rows)
-- is called for each table. Raises an error object.
return function(from_url, to_url, told)
  check_urls(from_url, to_url)
  local from <close> = migrate.connect_existing(from_url)
  local to <close> = migrate.connect(to_url)
  need(from:simple "begin") -- what others write meanwhile is not seen
  local _ <close> = rollback_at_end(from)
  need(to:simple "begin")
  local _ <close> = rollback_at_end(to)
  local tables, others = read_source(from)
  local found = target.match(to, tables)
  local restore = target.prepare(to, found)
  local total = copy_all(from, to, found, told)
  restore()
  need(to:simple "commit")
  return total, others
end
