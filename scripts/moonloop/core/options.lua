--- Checks of option tables, shared by all functions that take one. Errors are raised with the line of
-- the script.
local core = require "moonloop.core"

local options = {}

--- Is the type of `value` among those in a text such as "string|integer"?
local function has_type(value, types)
  for wanted in types:gmatch("[^|]+") do
    if type(value) == wanted or math.type(value) == wanted then return true end
  end
  return false
end

--- A check for `known` (options.problem): `test` says whether a value is right, `expected` what is, in words.
function options.kind(expected, test)
  return function(value) return not test(value) and expected or nil end
end

--- A limit that may be left off.
options.limit = options.kind("an integer of at least 1, or math.huge", function(v)
  return v == math.huge or math.type(v) == "integer" and v >= 1
end)

--- The message for a name that `whose` does not have. `known` has the valid names as keys. `what` is the
-- word for them, "option" by default.
function options.unknown(name, known, whose, what)
  return core.unknown(what or "option", name, whose, require "moonloop.core.sorted_keys"(known))
end

--- The message for a value of the wrong kind.
function options.wrong(name, value, expected, whose, what)
  local given = type(value) == "number" and tostring(value) or "a " .. type(value)
  return ("%s '%s' of %s is %s (expected %s)"):format(what or "option", name, whose, given, expected)
end

--- What is wrong with `opts`, or nil. `known` has the types for each name ("string|integer"), true
-- for any value, or a function that returns nil for a right value and what was expected for a wrong
-- one. `whose` names the owner in messages, such as "ml.web.cors".
function options.problem(opts, known, whose, what)
  if type(opts) ~= "table" then
    return ("the %ss of %s are a %s (expected a table)"):format(what or "option", whose, type(opts))
  end
  for name, value in pairs(opts) do
    local wanted = known[name]
    if not wanted then return options.unknown(name, known, whose, what) end
    local expected
    if type(wanted) == "function" then
      expected = wanted(value)
    elseif wanted ~= true and not has_type(value, wanted) then
      expected = wanted:gsub("|", " or ")
    end
    if expected then return options.wrong(name, value, expected, whose, what) end
  end
end

--- Raises what is wrong with `opts`, with the line of the script. Returns `opts`, or an empty table for
-- nil.
function options.check(opts, known, whose, what)
  if opts == nil then return {} end
  local problem = options.problem(opts, known, whose, what)
  if problem then core.fail(problem) end
  return opts
end

return options
