--- Checks of the arguments of the HTTP client. Each error has the line of the script that called into
-- the client, and names what is wrong.
local M = {}

--- Raises the error of an argument. The message is a format, as string.format's.
function M.raise(message, ...)
  local level, info = 2, debug.getinfo(2, "S")
  while info and info.source:find("^@moonloop/http") do
    level = level + 1
    info = debug.getinfo(level, "S")
  end
  error(message:format(...), level)
end

local raise = M.raise

--- `value`, when it is nil or of the Lua type `kind`.
function M.typed(name, value, kind)
  if value ~= nil and type(value) ~= kind then raise("%s: %s expected, got %s", name, kind, type(value)) end
  return value
end

--- `value` where it is a number that is not negative (math.huge: no limit); nil gives `otherwise`.
function M.limit(name, value, otherwise)
  if value == nil then return otherwise end
  if type(value) ~= "number" then raise("%s: number expected, got %s", name, type(value)) end
  if value < 0 or value ~= value then raise("%s: a negative number or NaN", name) end
  return value
end

--- `value` where it is an integer from 1 to a million; nil gives `otherwise`.
function M.count(name, value, otherwise)
  if value == nil then return otherwise end
  if math.type(value) ~= "integer" or value < 1 or value > 1000000 then
    raise("%s: an integer from 1 to 1000000 expected", name)
  end
  return value
end

--- `value` where it is a boolean; nil gives `otherwise`.
function M.boolean(name, value, otherwise)
  if value == nil then return otherwise end
  if type(value) ~= "boolean" then raise("%s: boolean expected, got %s", name, type(value)) end
  return value
end

--- Checks that `options` is a table whose keys are in one of the two sets.
function M.names(options, known, and_these)
  if type(options) ~= "table" then raise("options: table expected, got %s", type(options)) end
  for name in pairs(options) do
    if not known[name] and not (and_these and and_these[name]) then
      raise("unknown option '%s'", tostring(name))
    end
  end
end

--- `method` in capitals, where it may be one (RFC 9110 9.1).
function M.method(method)
  if type(method) ~= "string" or not method:find("^[%w!#$%%&'*+.^_`|~-]+$") then
    raise("method: %q is none", tostring(method))
  end
  method = method:upper()
  if method == "CONNECT" then raise("method: CONNECT is for proxies") end
  return method
end

return M
