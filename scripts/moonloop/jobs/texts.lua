--- Statements with names in braces for their parameters, where ml.sql's own `:name` would not do: a name may be
-- nil, and a text may be put together of parts.
local holders = require "moonloop.sql.holders"
local json = require "moonloop.json"

local M = {}

--- new(text) -> { text, names }: "{name}" becomes "$1" and so on.
function M.new(text)
  local names, places = {}, {}
  local numbered = text:gsub("{([%a_]+)}", function(name)
    if not places[name] then
      names[#names + 1] = name
      places[name] = #names
    end
    return "$" .. places[name]
  end)
  return { text = numbered, names = names }
end

local function gives_nulls(holder)
  local db = type(holder) == "table" and holder.db or holder
  return holders.of(db).made_from.opts.nulls
end

local function without_null(value)
  if value == json.null then return nil end
  return value
end

local function strip_row(row)
  for name, value in pairs(row) do row[name] = without_null(value) end
  return row
end

-- What a database gives that was opened with {nulls = true}, as another one gives it.
local stripped = {
  query = function(rows)
    for _, row in ipairs(rows) do strip_row(row) end
    return rows
  end,
  one = strip_row,
  value = without_null,
}

--- Runs a statement of `new` as holder:METHOD, with the values of a table. A column that is null is nil, whatever
-- the option `nulls` of the database says.
function M.run(holder, method, statement, values)
  local names = statement.names
  local list = {}
  for i = 1, #names do list[i] = values[names[i]] end
  local result, err = holder[method](holder, statement.text, table.unpack(list, 1, #names))
  if result ~= nil and stripped[method] and gives_nulls(holder) then result = stripped[method](result) end
  return result, err
end

--- all { name = text, ... } -> the same with statements.
function M.all(texts)
  for name, text in pairs(texts) do texts[name] = M.new(text) end
  return texts
end

return M
