--- Tables among the arguments of commands: lists, options, and names with values.
local arguments = require "moonloop.redis.arguments"

local raise = arguments.raise

-- Options of these commands, in the order in which they are sent. true: a flag without a value.
local options = {
  SET = { { "nx", true }, { "xx", true }, { "get", true }, { "ex" }, { "px" }, { "exat" }, { "pxat" },
    { "keepttl", true } },
  GETEX = { { "ex" }, { "px" }, { "exat" }, { "pxat" }, { "persist", true } },
}

-- Commands that take a table of names and values.
local takes_pairs = { HSET = true, HMSET = true, MSET = true, MSETNX = true, XADD = true }

local function add_options(name, opts, out)
  local left = {}
  for key, value in pairs(opts) do left[key] = value end
  for _, option in ipairs(options[name]) do
    local key, is_word = option[1], option[2]
    local value = opts[key]
    left[key] = nil
    if value ~= nil and is_word and type(value) ~= "boolean" then
      raise("%s: option '%s': true or false expected, got %s", name:lower(), key, type(value))
    end
    if value then out[#out + 1] = key:upper() end
    if value and not is_word then out[#out + 1] = value end
  end
  local unknown = next(left)
  if unknown ~= nil then
    local known = {}
    for _, option in ipairs(options[name]) do known[option[1]] = true end
    arguments.unknown(unknown, known, name:lower())
  end
end

local function add_table(name, value, out)
  local count, length = 0, #value
  for _ in pairs(value) do count = count + 1 end
  if count == length then
    table.move(value, 1, length, #out + 1, out)
  elseif length > 0 then
    raise("%s: a table is either a list or has names, not both", name:lower())
  elseif options[name] then
    add_options(name, value, out)
  elseif takes_pairs[name] then
    for key, item in pairs(value) do
      out[#out + 1] = key
      out[#out + 1] = item
    end
  else
    raise("%s: a table with names is not accepted; give strings, numbers or lists of them", name:lower())
  end
end

--- expand(name, ...) -> ...
-- Replaces lists by their items, and tables with names by options or pairs.
return function(name, ...)
  local out = {}
  for i = 1, select("#", ...) do
    local value = (select(i, ...))
    if type(value) == "table" then add_table(name, value, out) else out[#out + 1] = value end
  end
  return table.unpack(out)
end
