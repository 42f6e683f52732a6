--- db:copy_in and db:copy_out: many rows at once, by COPY of PostgreSQL; into SQLite by batches.
local builders = require "moonloop.sql.builders"
local core = require "moonloop.core"
local holders = require "moonloop.sql.holders"
local sql_value = require "moonloop.sql.value"

local M = {}

local BATCH = 500 -- rows that SQLite gets at once
local CHUNK = 64 * 1024 -- bytes that PostgreSQL gets at once

local escapes = { ["\\"] = "\\\\", ["\t"] = "\\t", ["\n"] = "\\n", ["\r"] = "\\r", ["\b"] = "\\b", ["\f"] = "\\f",
  ["\v"] = "\\v" }

-- A list in PostgreSQL's notation for arrays.
local function array_text(list, text_of)
  local parts = {}
  for i = 1, list.n or #list do
    local value = list[i]
    if value == nil or value == sql_value.null then
      parts[i] = "NULL"
    elseif type(value) == "table" then
      parts[i] = array_text(value, text_of)
    else
      parts[i] = '"' .. text_of(value):gsub('[\\"]', "\\%0") .. '"'
    end
  end
  return "{" .. table.concat(parts, ",") .. "}"
end

local function plain_text(value)
  local kind, text = sql_value.open(value)
  if kind == "bytes" then return "\\x" .. text:gsub(".", function(c) return ("%02x"):format(c:byte()) end) end
  if kind == "json" then return text end
  if type(value) == "boolean" then return value and "t" or "f" end
  if math.type(value) == "float" then
    if value ~= value then return "NaN" end
    if value == math.huge then return "Infinity" elseif value == -math.huge then return "-Infinity" end
    return ("%.17g"):format(value)
  end
  if type(value) == "table" then return array_text(value, plain_text) end
  if type(value) ~= "string" and type(value) ~= "number" then
    core.fail(("copy_in: a %s cannot be a value"):format(type(value)))
  end
  return tostring(value)
end

-- A row of COPY's text format.
local function line_of(row, count, number)
  if type(row) ~= "table" then
    core.fail(("copy_in: row %d is a %s (expected a list of %d values)"):format(number, type(row), count))
  end
  local fields = {}
  for i = 1, count do
    local value = row[i]
    if value == nil or value == sql_value.null then
      fields[i] = "\\N"
    else
      fields[i] = plain_text(value):gsub("[\\\t\n\r\b\f\v]", escapes)
    end
  end
  return table.concat(fields, "\t") .. "\n"
end

-- An iterator over the text of all rows, in pieces.
local function chunks(next_row, state, control, count)
  local number, over = 0, false
  return function()
    if over then return nil end
    local lines, size = {}, 0
    while size < CHUNK do
      local row = next_row(state, control)
      control = row
      if row == nil then
        over = true
        break
      end
      number = number + 1
      local line = line_of(row, count, number)
      lines[#lines + 1] = line
      size = size + #line
    end
    if size == 0 then return nil end
    return table.concat(lines)
  end
end

local function iterator_of(rows)
  if type(rows) == "table" and not core.is_callable(rows) then
    local i = 0
    return function()
      i = i + 1
      return rows[i]
    end
  end
  if not core.is_callable(rows) then
    core.fail(("copy_in: an iterator or a list of rows expected, got %s"):format(type(rows)))
  end
  return rows
end

-- A connection for `f`, of a database or of what holds one: f's results.
local function with_connection(db, method, f)
  if not holders.is_database(db) then return db:finish(f(db:enter(method))) end
  holders.check_free(db, "db:" .. method)
  local conn, err = db:lease "write"
  if not conn then return nil, err end
  local _ <close> = setmetatable({}, { __close = function() holders.give_back(conn) end })
  return f(conn)
end

local function driver_of(db) return holders.of(holders.is_database(db) and db or db.db, "copy_in").driver end

local function names_of(columns)
  if type(columns) ~= "table" or #columns == 0 then core.fail "copy_in: a list of columns expected" end
  local names = {}
  for i, column in ipairs(columns) do names[i] = builders.ident(column) end
  return table.concat(names, ", ")
end

-- In batches, all in one transaction.
local function into_sqlite(db, target, names, count, next_row)
  local marks = {}
  for i = 1, count do marks[i] = "$" .. i end
  local sql = ("insert into %s (%s) values (%s)"):format(target, names, table.concat(marks, ", "))
  return db:tx(function(tx)
    local total, number = 0, 0
    while true do
      local list = {}
      while #list < BATCH do
        local row = holders.beside(tx, next_row) -- which may ask the database for what it gives
        if row == nil then break end
        number = number + 1
        if type(row) ~= "table" then
          core.fail(("copy_in: row %d is a %s (expected a list of %d values)"):format(number, type(row), count))
        end
        local values = { n = count }
        for i = 1, count do
          if row[i] ~= sql_value.null then values[i] = row[i] end
        end
        list[#list + 1] = values
      end
      if #list == 0 then return total end
      local n, err = tx:batch(sql, list)
      if not n then return nil, err end
      total = total + n
    end
  end)
end

--- db:copy_in(table, columns, rows) -> how many rows | nil, err
-- rows: a list of lists of values, or a function that gives the next list, nil at the end. All or none.
function M.copy_in(db, name, columns, rows, state, control)
  local target, names = builders.table_name("copy_in", name), names_of(columns)
  local next_row = iterator_of(rows)
  if driver_of(db) == "sqlite" then
    if holders.is_database(db) then holders.check_free(db, "db:copy_in") end
    return into_sqlite(db, target, names, #columns, function()
      control = next_row(state, control)
      return control
    end)
  end
  local sql = ("copy %s (%s) from stdin"):format(target, names)
  return with_connection(db, "copy_in", function(conn)
    return conn:copy_in(sql, chunks(next_row, state, control, #columns))
  end)
end

-- The connection of a loop over copy_out is given back at its end.
local Output = {}
Output.__index = Output

function Output:__close()
  holders.give_back(self.conn)
  if self.copy then self.copy:close() end
end

--- for chunk in db:copy_out(sql) do
-- sql: "copy ... to stdout". Chunks are text as COPY makes it, of whole rows.
function M.copy_out(db, sql)
  if type(sql) ~= "string" then core.fail(("copy_out: SQL expected, got %s"):format(type(sql))) end
  if driver_of(db) == "sqlite" then core.fail "copy_out: SQLite has no COPY; use db:rows" end
  if not holders.is_database(db) then return db:enter("copy_out"):copy_out(sql) end
  holders.check_free(db, "db:copy_out")
  local conn, err = db:lease "read"
  if not conn then error(err, 0) end
  local output = setmetatable({ conn = conn }, Output)
  local ok, next_chunk, chunk_state, first = pcall(conn.copy_out, conn, sql)
  if not ok then
    Output.__close(output)
    error(next_chunk, 0)
  end
  output.copy = chunk_state
  return next_chunk, chunk_state, first, output
end

return M
