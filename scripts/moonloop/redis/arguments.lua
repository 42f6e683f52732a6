--- Checks the arguments of ml.redis. Each error has the line of the calling script and
-- says what is wrong.
local core = require "moonloop.core"
local options = require "moonloop.core.options"

local M = {}

--- Raises an argument error. The message is a format for string.format.
function M.raise(message, ...) core.fail(message:format(...)) end

local kind = options.kind

local function is_integer_from(least)
  return function(v) return math.type(v) == "integer" and v >= least and v <= 1000000000 end
end

M.string, M.boolean = "string", "boolean"
M.count = kind("a positive integer", is_integer_from(1))
M.index = kind("an integer, 0 or more", is_integer_from(0))
M.bytes = options.limit
M.seconds = kind("a number of seconds, 0 or more", function(v) return type(v) == "number" and v >= 0 end)
M.span = kind("a number of seconds, at least 0.001", function(v)
  return type(v) == "number" and v >= 0.001 and v < 1e9
end)
M.protocol = kind("2 or 3", function(v) return v == 2 or v == 3 end)
M.names = kind("a key or a list of keys", function(v)
  return type(v) == "string" or type(v) == "table" and v[1] ~= nil
end)

--- Checks the options `opts` of `whose` and returns a copy with defaults filled in. `known` maps names
-- to the kinds above.
function M.options(whose, opts, known, defaults)
  local result = {}
  for name, value in pairs(options.check(opts, known, whose)) do result[name] = value end
  for name, value in pairs(defaults or {}) do
    if result[name] == nil then result[name] = value end
  end
  return result
end

--- Raises the error for an unknown option of a command.
function M.unknown(name, known, whose) core.fail(options.unknown(name, known, whose)) end

--- Returns `value` if it is a string.
function M.text(whose, what, value)
  if type(value) ~= "string" then M.raise("%s: %s: string expected, got %s", whose, what, type(value)) end
  return value
end

--- Returns `value` if it can be called.
function M.callable(whose, value)
  if not core.is_callable(value) then M.raise("%s: function expected, got %s", whose, type(value)) end
  return value
end

return M
