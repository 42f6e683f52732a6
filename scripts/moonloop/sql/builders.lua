--- insert, update and delete: statements for tables. Values are always parameters.
local core = require "moonloop.core"
local holders = require "moonloop.sql.holders"
local options = require "moonloop.core.options"
local sql_value = require "moonloop.sql.value"

local M = {}

--- The name of a table or column, quoted where it has to be; "schema.table" are two names.
function M.ident(name)
  if type(name) ~= "string" or name == "" then
    core.fail(("ml.sql.ident: a name expected, got %s"):format(name == "" and "''" or type(name)))
  end
  if name:find "%z" then core.fail "ml.sql.ident: the name holds a NUL byte" end
  return '"' .. name:gsub('"', '""') .. '"'
end

local ident = M.ident

--- The name of a table, quoted: "schema.table" is what people mean by it.
function M.table_name(whose, name)
  if type(name) ~= "string" or name == "" then
    core.fail(("%s: the name of a table expected, got %s"):format(whose, name == "" and "''" or type(name)))
  end
  local parts = {}
  for part in name:gmatch "[^.]+" do parts[#parts + 1] = ident(part) end
  return table.concat(parts, ".")
end

local function sorted_columns(whose, rows)
  local seen, list = {}, {}
  for _, row in ipairs(rows) do
    for column in pairs(row) do
      if type(column) ~= "string" then
        core.fail(("%s: a row has the key %s (expected the names of columns)"):format(whose, tostring(column)))
      end
      if not seen[column] then
        seen[column] = true
        list[#list + 1] = column
      end
    end
  end
  table.sort(list)
  return list
end

-- "a, b" of a list of columns, or of a text: '*' is all, others are one column.
local function column_list(whose, what, value)
  if value == "*" then return "*" end
  if type(value) == "string" then return ident(value) end
  if type(value) ~= "table" or #value == 0 then
    core.fail(("%s: %s: a column or a list of columns expected"):format(whose, what))
  end
  local names = {}
  for i, name in ipairs(value) do names[i] = ident(name) end
  return table.concat(names, ", ")
end

-- Parameters in the order in which they are written.
local Values = {}
Values.__index = Values

local function new_values() return setmetatable({ n = 0 }, Values) end

function Values:add(value)
  if value == sql_value.null then value = nil end
  self.n = self.n + 1
  self[self.n] = value
  return "$" .. self.n
end

local function conflict_text(whose, conflict, columns)
  if conflict == nil then return "" end
  if conflict == "nothing" then return " on conflict do nothing" end
  if type(conflict) ~= "table" or #conflict == 0 then
    core.fail(whose .. ": on_conflict is 'nothing', or the columns that collide: { 'email', update = { 'name' } }")
  end
  local target = column_list(whose, "on_conflict", table.move(conflict, 1, #conflict, 1, {}))
  local changed = conflict.update
  if changed == nil then return (" on conflict (%s) do nothing"):format(target) end
  if changed == true then
    local collide = {}
    for _, name in ipairs(conflict) do collide[name] = true end
    changed = {}
    for _, name in ipairs(columns) do
      if not collide[name] then changed[#changed + 1] = name end
    end
  elseif type(changed) ~= "table" then
    core.fail(whose .. ": on_conflict: update is true (all other columns), or a list of columns")
  end
  local sets = {}
  for i, name in ipairs(changed) do sets[i] = ("%s = excluded.%s"):format(ident(name), ident(name)) end
  if #sets == 0 then return (" on conflict (%s) do nothing"):format(target) end
  return (" on conflict (%s) do update set %s"):format(target, table.concat(sets, ", "))
end

-- Runs it: its rows where it returns some, else how many it changed.
local function run(db, sql, values, returning)
  if returning then return db:query(sql, table.unpack(values, 1, values.n)) end
  return db:exec(sql, table.unpack(values, 1, values.n))
end

local function returning_text(whose, opts)
  return opts.returning and " returning " .. column_list(whose, "returning", opts.returning) or ""
end

local insert_options = { returning = "string|table", on_conflict = "string|table" }

--- db:insert(table, row | rows [, {returning =, on_conflict =}]) -> affected rows, or the rows of returning | nil, err
-- A column that a row does not have is NULL where another row has it, else its default.
function M.insert(db, name, rows, opts)
  local whose = "insert"
  holders.check_shared(db, whose)
  local target = M.table_name(whose, name)
  opts = options.check(opts, insert_options, whose)
  if type(rows) ~= "table" then core.fail(("insert: a row or a list of rows expected, got %s"):format(type(rows))) end
  if rows[1] == nil then
    if next(rows) == nil and getmetatable(rows) then return opts.returning and {} or 0 end
    rows = { rows }
  end
  for i, row in ipairs(rows) do
    if type(row) ~= "table" then core.fail(("insert: row %d is a %s (expected a table)"):format(i, type(row))) end
  end
  local columns, values, lines = sorted_columns(whose, rows), new_values(), {}
  local tail = conflict_text(whose, opts.on_conflict, columns) .. returning_text(whose, opts)
  if #columns == 0 then
    if #rows > 1 then core.fail "insert: several rows without any column: insert them one by one" end
    return run(db, ("insert into %s default values%s"):format(target, tail), values, opts.returning)
  end
  for i, row in ipairs(rows) do
    local places = {}
    for j, column in ipairs(columns) do places[j] = values:add(row[column]) end
    lines[i] = "(" .. table.concat(places, ", ") .. ")"
  end
  local sql = ("insert into %s (%s) values %s%s"):format(target, column_list(whose, "row", columns),
    table.concat(lines, ", "), tail)
  return run(db, sql, values, opts.returning)
end

-- "a = $1 and b is null" of {a = 1, b = ml.sql.null}.
local function condition(whose, where, values)
  if type(where) ~= "table" then
    core.fail(("%s: where: a table of columns and values expected, got %s"):format(whose, type(where)))
  end
  local columns, parts = sorted_columns(whose, { where }), {}
  if #columns == 0 then
    core.fail(("%s: where is empty, which would be all rows: write that as db:exec"):format(whose))
  end
  for i, column in ipairs(columns) do
    local value = where[column]
    if value == sql_value.null then
      parts[i] = ident(column) .. " is null"
    elseif type(value) == "table" and getmetatable(value) == nil then
      parts[i] = ("%s = any(%s)"):format(ident(column), values:add(value))
    else
      parts[i] = ("%s = %s"):format(ident(column), values:add(value))
    end
  end
  return table.concat(parts, " and ")
end

local change_options = { returning = "string|table" }

--- db:update(table, set, where [, {returning =}]) -> affected rows, or the rows of returning | nil, err
function M.update(db, name, set, where, opts)
  local whose = "update"
  holders.check_shared(db, whose)
  local target = M.table_name(whose, name)
  opts = options.check(opts, change_options, whose)
  if type(set) ~= "table" then
    core.fail(("update: a table of columns and values expected, got %s"):format(type(set)))
  end
  local values, sets = new_values(), {}
  local columns = sorted_columns(whose, { set })
  if #columns == 0 then core.fail "update: there is no column to set" end
  for i, column in ipairs(columns) do sets[i] = ("%s = %s"):format(ident(column), values:add(set[column])) end
  local sql = ("update %s set %s where %s%s"):format(target, table.concat(sets, ", "), condition(whose, where, values),
    returning_text(whose, opts))
  return run(db, sql, values, opts.returning)
end

--- db:delete(table, where [, {returning =}]) -> affected rows, or the rows of returning | nil, err
function M.delete(db, name, where, opts)
  local whose = "delete"
  holders.check_shared(db, whose)
  local target = M.table_name(whose, name)
  opts = options.check(opts, change_options, whose)
  local values = new_values()
  local sql = ("delete from %s where %s%s"):format(target, condition(whose, where, values), returning_text(whose, opts))
  return run(db, sql, values, opts.returning)
end

return M
