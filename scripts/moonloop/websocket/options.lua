--- Options of WebSockets, of servers and clients.
local options = require "moonloop.core.options"

local M = {}

local WINDOW = 12 -- 2^12 bytes
local MIN = 256   -- bytes of a message

local COMPRESS = {
  window = function(value)
    if math.type(value) ~= "integer" or value < 9 or value > 15 then return "an integer from 9 to 15" end
  end,
  takeover = "boolean",
  min = function(value)
    if math.type(value) ~= "integer" or value < 0 or value > 2 ^ 31 then return "a number of bytes" end
  end,
}

local function seconds(value)
  if type(value) ~= "number" or value <= 0 or value ~= value then
    return "a positive number of seconds, or math.huge"
  end
end

--- The names, and what is checked of each.
M.known = {
  max_message = function(value)
    if math.type(value) ~= "integer" or value < 1 then return "a positive number of bytes" end
  end,
  ping = seconds,
  close_timeout = seconds,
  compress = function(value)
    if type(value) == "table" then return nil end
    if type(value) ~= "boolean" then return "true, false or a table" end
  end,
}

--- Checks options whose names are among `known` (those above, unless others are given). Returns a new
-- table, in which `compress` is false, or a table with all its fields.
function M.check(opts, whose, known)
  opts = options.check(opts, known or M.known, whose)
  local result = {}
  for name, value in pairs(opts) do result[name] = value end
  local compress = opts.compress
  if type(compress) == "table" then
    options.check(compress, COMPRESS, ("the option 'compress' of %s"):format(whose), "field")
  elseif compress then
    compress = {}
  end
  result.compress = compress and {
    window = compress.window or WINDOW,
    takeover = compress.takeover or false,
    min = compress.min or MIN,
  } or false
  return result
end

return M
