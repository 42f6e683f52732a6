--- Settings as objects: they are read, not changed, a name that they do not have is an error, and secrets do
-- not show when they are printed.
local core = require "moonloop.core"
local define = require "moonloop.schema.define"
local json = require "moonloop.json"
local log = require "moonloop.log.core"

local fail = core.fail

local M = {}

local HIDDEN = "(hidden)"

local function text_of(value)
  if type(value) == "string" then return log.hide_passwords(("%q"):format(value):gsub("\\\n", "\\n")) end
  if type(value) ~= "table" then return tostring(value) end
  local ok, text = pcall(json.encode, value)
  return ok and log.hide_passwords(text) or tostring(value)
end

--- Is what has this name and definition never shown? The log hides by the name alone.
local function is_secret(name, def)
  local said = def.opts and def.opts.secret
  if said == nil then return log.is_secret(name) end
  return said
end

--- Is a part of the value a secret?
local function has_secret(def)
  if def.opts and def.opts.secret then return true end
  local parts = { def.item }
  for _, item in ipairs(def.items or {}) do parts[#parts + 1] = item end
  for _, pair in ipairs(def.fields or def.branches or {}) do parts[#parts + 1] = pair[2] end
  for _, part in ipairs(parts) do
    if has_secret(define.of(part)) then return true end
  end
  return false
end

local function add_lines(lines, values, def, prefix)
  for _, field in ipairs(def.fields) do
    local name, inner = field[1], define.of(field[2])
    local value, shown = values[name], nil
    if value == nil then
      shown = "nil"
    elseif is_secret(name, inner) then
      shown = HIDDEN
    elseif inner.fields and type(value) == "table" and value ~= json.null then
      add_lines(lines, value, inner, prefix .. name .. ".")
    elseif has_secret(inner) then
      shown = HIDDEN
    else
      shown = text_of(value)
    end
    if shown then lines[#lines + 1] = prefix .. name .. " = " .. shown end
  end
end

--- Makes an object of the values, which fit the object schema with this definition.
function M.wrap(values, def)
  local names, list = {}, {}
  for i, field in ipairs(def.fields) do
    names[field[1]], list[i] = true, field[1]
    local inner = define.of(field[2])
    local value = values[field[1]]
    if inner.fields and type(value) == "table" and value ~= json.null then values[field[1]] = M.wrap(value, inner) end
  end
  return setmetatable({}, {
    __name = "settings",
    __index = function(_, name)
      local value = values[name]
      if value == nil and not names[name] then fail(core.unknown("setting", tostring(name), "ml.settings", list)) end
      return value
    end,
    __newindex = function(_, name) fail(("settings are not changed (setting '%s')"):format(tostring(name))) end,
    __pairs = function() return next, values end,
    __tostring = function()
      local lines = {}
      add_lines(lines, values, def, "")
      return table.concat(lines, "\n")
    end,
  })
end

return M
