--- The options of a server: its limits, which `ml.web.app`, `ml.web.listen` and `moonloop serve` have
-- in common, and what else the one or the other takes.
local core = require "moonloop.web.core"

local M = {}

--- Options that are no limits, of apps and servers alike: functions that say what is expected of a
-- value that is not right.
local COMMON = {
  access_log = function(value) return require "moonloop.web.access_log".check(value) end,
}

--- Checks `opts` and returns a copy (nil gives an empty one). `others` has the types of the options
-- that are no limits, beside those of COMMON; `whose` says whose they are; errors are raised `level` calls further up.
function M.check(opts, others, whose, level)
  level = level + 1
  if opts == nil then return {} end
  if type(opts) ~= "table" then
    error("the options of " .. whose .. " are a " .. type(opts) .. " (expected a table)", level)
  end
  local copy = {}
  for name, value in pairs(opts) do
    local expected = others[name]
    if COMMON[name] then
      expected = COMMON[name](value)
    elseif expected then
      if type(value) == expected or math.type(value) == expected then expected = nil end
    elseif type(name) == "string" then
      expected = core.limit(name, value)
    end
    if expected == false or type(name) ~= "string" then
      error("unknown option '" .. tostring(name) .. "' of " .. whose, level)
    elseif expected then
      local given = type(value) == "number" and tostring(value) or "a " .. type(value)
      error("option '" .. name .. "' of " .. whose .. " is " .. given .. " (expected " .. expected .. ")", level)
    end
    copy[name] = value
  end
  return copy
end

--- `first` with what `second` has beyond or instead.
function M.merge(first, second)
  local merged = {}
  for name, value in pairs(first) do merged[name] = value end
  for name, value in pairs(second) do merged[name] = value end
  return merged
end

return M
