--- Header fields of requests and responses.
--
-- A set of request fields is a table: name in lower case -> {name, value...}.
local arguments = require "moonloop.http.arguments"
local TOKEN = require "moonloop.http.token"
local trim = require "moonloop.core.trim"

local raise = arguments.raise

local M = {}

--- The metatable of tables of fields whose keys are in lower case: names in any case are looked up and
-- set by the lower-case one.
M.any_case = {
  __index = function(self, name)
    return type(name) == "string" and rawget(self, name:lower()) or nil
  end,
  __newindex = function(self, name, value)
    rawset(self, type(name) == "string" and name:lower() or name, value)
  end,
}

local function check_value(name, value)
  if type(value) == "number" then value = tostring(value) end
  if type(value) ~= "string" then raise("headers: the value of '%s' is a %s", name, type(value)) end
  if value:find("[%z\1-\8\10-\31\127]") then
    raise("headers: the value of '%s' has a control character (line break, NUL...)", name)
  end
  return trim(value)
end

--- Checks `headers`, a script's table or nil, and puts them into the set `fields`.
function M.collect(headers, fields)
  if headers == nil then return fields end
  if type(headers) ~= "table" then raise("headers: table expected, got %s", type(headers)) end
  for name, values in pairs(headers) do
    if type(name) ~= "string" or not name:find(TOKEN) then
      raise("headers: %q is not a valid header name", tostring(name))
    end
    local field = { name }
    for _, value in ipairs(type(values) == "table" and values or { values }) do
      field[#field + 1] = check_value(name, value)
    end
    if #field == 1 then raise("headers: '%s' has no value", name) end
    local lower = name:lower()
    if lower == "cookie" then field = { name, table.concat(field, "; ", 2) } end -- one line: RFC 6265 5.4
    fields[lower] = field
  end
  return fields
end

--- Takes out the length that a script gave for its body, or nil. The client frames messages itself: two
-- opinions on where a message ends are how requests get smuggled.
function M.take_length(fields, streamed)
  local coding, field = fields["transfer-encoding"], fields["content-length"]
  if coding or field and not streamed then
    raise("headers: '%s' is set by the client itself", (coding or field)[1])
  end
  if not field then return nil end
  local length = field[2]:find("^%d+$") and #field == 2 and math.tointeger(tonumber(field[2]))
  if not length then raise("headers: the value of '%s' is not a valid length", field[1]) end
  fields["content-length"] = nil
  return length
end

--- The header lines of a set, as the engine takes them.
function M.lines(fields)
  local lines = {}
  for _, field in pairs(fields) do
    for i = 2, #field do lines[#lines + 1] = field[1] .. ": " .. field[i] .. "\r\n" end
  end
  return table.concat(lines)
end

--- The set as a table for scripts: name -> text, or a list if there are several values.
function M.show(fields)
  local shown = {}
  for lower, field in pairs(fields) do
    shown[lower] = #field == 2 and field[2] or table.move(field, 2, #field, 1, {})
  end
  return setmetatable(shown, M.any_case)
end

--- A copy of the set, which the caller may change.
function M.copy(fields)
  local copy = {}
  for lower, field in pairs(fields) do copy[lower] = field end
  return copy
end

return M
