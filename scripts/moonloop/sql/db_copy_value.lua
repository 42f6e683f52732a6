--- The text of a value of SQLite's for a column of PostgreSQL's, as COPY takes it.
local json = require "moonloop.json"

local function number_text(value)
  if math.type(value) == "integer" then return tostring(value) end
  if value ~= value then return "NaN" end
  if value == math.huge then return "Infinity" elseif value == -math.huge then return "-Infinity" end
  return ("%.17g"):format(value)
end

-- Unix seconds as PostgreSQL reads a time.
local function time_text(value)
  local whole = math.floor(value)
  local micro = math.floor((value - whole) * 1e6 + 0.5)
  if micro >= 1e6 then whole, micro = whole + 1, 0 end
  return os.date("!%Y-%m-%d %H:%M:%S", whole) .. (micro > 0 and (".%06d"):format(micro) or "") .. "+00"
end

-- A list in PostgreSQL's notation for arrays.
local function array_text(list)
  local parts = {}
  for i = 1, #list do
    local value = list[i]
    if value == json.null then
      parts[i] = "NULL"
    elseif type(value) == "table" then
      parts[i] = array_text(value)
    else
      local text = type(value) == "number" and number_text(value) or tostring(value)
      parts[i] = '"' .. text:gsub('[\\"]', "\\%0") .. '"'
    end
  end
  return "{" .. table.concat(parts, ",") .. "}"
end

local times = { ["timestamp with time zone"] = true, ["timestamp without time zone"] = true, date = true }
local integers = { smallint = true, integer = true, bigint = true }

--- value_text(value, column) -> text. `value` is an integer, a float or a text; `column` has `type`, as
-- PostgreSQL names it, and `is_array`. What cannot be is left for the server to complain of.
return function(value, column)
  if type(value) == "number" then
    if times[column.type] then return time_text(value) end
    if integers[column.type] then value = math.tointeger(value) or value end
    return number_text(value)
  end
  if column.is_array and value:find "^%s*%[" then
    local list = json.decode(value)
    if type(list) == "table" then return array_text(list) end
  end
  return value
end
