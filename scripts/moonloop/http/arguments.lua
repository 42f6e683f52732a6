--- Checks of the arguments of the HTTP client. Each error has the line of the script that called into
-- the client, and names what is wrong.
local fail = require "moonloop.core".fail
local options = require "moonloop.core.options"
local TOKEN = require "moonloop.http.token"

local M = {}

--- Raises an error about an argument. The message is a format for string.format.
function M.raise(message, ...) fail(message:format(...)) end

local raise = M.raise

--- Returns `value` if it is nil or of the Lua type `kind`; raises otherwise.
function M.typed(name, value, kind)
  if value ~= nil and type(value) ~= kind then raise("%s: %s expected, got %s", name, kind, type(value)) end
  return value
end

--- Returns `value` if it is a number of at least 0 (math.huge: no limit); `otherwise` for nil.
function M.limit(name, value, otherwise)
  if value == nil then return otherwise end
  if type(value) ~= "number" then raise("%s: number expected, got %s", name, type(value)) end
  if value < 0 or value ~= value then raise("%s: must not be negative or NaN", name) end
  return value
end

--- Returns `value` if it is an integer from 1 to a million; `otherwise` for nil.
function M.count(name, value, otherwise)
  if value == nil then return otherwise end
  if math.type(value) ~= "integer" or value < 1 or value > 1000000 then
    raise("%s: an integer from 1 to 1000000 expected", name)
  end
  return value
end

--- Returns `value` if it is an integer from 1, or math.huge; `otherwise` for nil.
function M.values(name, value, otherwise)
  if value == nil then return otherwise end
  if value ~= math.huge and (math.type(value) ~= "integer" or value < 1) then
    raise("%s: an integer from 1, or math.huge, expected", name)
  end
  return value
end

--- Returns `value` if it is a boolean; `otherwise` for nil.
function M.boolean(name, value, otherwise)
  if value == nil then return otherwise end
  if type(value) ~= "boolean" then raise("%s: boolean expected, got %s", name, type(value)) end
  return value
end

--- Checks that `opts` is a table whose keys are in one of the two sets. `whose` names their owner in
-- messages. `elsewhere` has the names of options that others have, and says whose they are.
function M.names(whose, opts, known, and_these, elsewhere)
  if type(opts) ~= "table" then fail(("the options of %s are a %s (expected a table)"):format(whose, type(opts))) end
  for name in pairs(opts) do
    if not known[name] and not (and_these and and_these[name]) then
      if elsewhere and elsewhere[name] then
        fail(("unknown option '%s' of %s (it is one of %s)"):format(name, whose, elsewhere[name]))
      end
      local all = {}
      for each in pairs(known) do all[each] = true end
      for each in pairs(and_these or {}) do all[each] = true end
      fail(options.unknown(name, all, whose))
    end
  end
end

--- Returns `method` in capitals; raises if it is not valid (RFC 9110 9.1).
function M.method(method)
  if type(method) ~= "string" or not method:find(TOKEN) then
    raise("method: %q is not a valid method name", tostring(method))
  end
  method = method:upper()
  if method == "CONNECT" then raise("method: CONNECT is not supported (it is for proxies)") end
  return method
end

return M
