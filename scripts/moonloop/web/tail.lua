--- What follows a response: clean-up that waits for its last byte, and the functions of req:after.
local core = require "moonloop.web.core"
local place = require "moonloop.web.chain".site
local tasks = require "moonloop.core"

local fail = tasks.fail

local M = {}

--- Calls f() when the response of the running task's request is over, before the functions of req:after; what was
-- put off last comes first. f must not raise. False if the task does not work for a request.
function M.put_off(f)
  local tail = core.tail()
  if not tail then return false end
  tail.first = tail.first or {}
  table.insert(tail.first, f)
  return true
end

--- req:after(f): f() runs in a task of its own when the response has been sent and all clean-up is over, or the
-- client has gone. Its errors are reported.
function M.after(req, f)
  if not tasks.is_callable(f) then
    fail(("bad argument #1 to 'req:after' (function expected, got %s)"):format(type(f)))
  end
  local tail = core.tail(req)
  if not tail then
    fail "req:after: only the handler and the tasks that it started can call this, while it runs, and not an \z
      offloaded one"
  end
  table.insert(tail, { f = f, req = req, vars = tasks.vars() })
end

local function run(entry)
  local trace
  local function note(err)
    trace = debug.traceback(nil, 2)
    return err
  end
  tasks.set_vars(entry.vars)
  local ok, value, err = xpcall(entry.f, note)
  if ok and (value ~= nil or err == nil) then return end
  core.report(entry.req, ok and err or value, trace, "the function of req:after " .. place(entry.f))
end

core.on_tail(function(tail)
  for i = #(tail and tail.first or {}), 1, -1 do tail.first[i]() end
  for _, entry in ipairs(tail or {}) do tasks.spawn(run, entry) end
end)

return M
