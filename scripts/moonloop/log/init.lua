--- ml.log: entries on the standard error, one a line.
local bound = require "moonloop.log.bound"
local core = require "moonloop.core"
local log = require "moonloop.log.core"

local M = { debug = log.debug, info = log.info, warn = log.warn, error = log.error }

--- with(fields, f, ...) -> f's results: what f logs, and the tasks that it starts, has these fields.
function M.with(fields, f, ...)
  local wrong = type(fields) ~= "table" and "#1 to 'ml.log.with' (table expected, got " .. type(fields)
    or not core.is_callable(f) and "#2 to 'ml.log.with' (function expected, got " .. type(f)
  if wrong then core.fail("bad argument " .. wrong .. ")") end
  return bound:with(log.bind(fields, bound:get()), f, ...)
end

--- to(f): from now on f(entry) gets the entries, in a task, in place of the standard error; nil: as before.
function M.to(f)
  if f == nil then return log.to() end
  local decode = require "moonloop.json".decode
  if type(f) ~= "function" then return log.to(f) end
  log.to(function(line) f(decode(line)) end)
end

return M
