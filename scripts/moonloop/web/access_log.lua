--- The access log of a server: the option `access_log`.
local core = require "moonloop.web.core"
local is_callable = require "moonloop.core".is_callable
local json = require "moonloop.json"

local M = {}

--- What the option's value should be, or nil if it is valid.
function M.check(value)
  if value ~= "common" and value ~= "json" and not is_callable(value) then
    return "'common', 'json' or a function"
  end
end

--- Calls f(entry) for the waiting entries. An error is reported, and the next entry follows.
local function deliver(f, server)
  local traceback
  local function keep(err)
    traceback = debug.traceback(nil, 2)
    return err
  end
  for text in server.take_entries, server do
    for line in text:gmatch("[^\n]+") do
      local ok, err = xpcall(f, keep, assert(json.decode(line)))
      if not ok then core.report(nil, err, traceback, "the function of access_log") end
    end
  end
end

--- Keeps the log of the host's server `http`: "common" or "json" lines on standard output, or a
-- function that gets each entry as a table (time, client, method, target, protocol or request,
-- status, bytes, duration, referer, user_agent, request_id, trace_id), one after the other, in a separate task.
function M.keep(http, option)
  if type(option) == "string" then
    http:log(option)
  else
    http:log(function(server) deliver(option, server) end)
  end
end

return M
