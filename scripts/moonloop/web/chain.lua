--- Chains of middleware: what a route's requests go through, and how errors become responses in it.
local core = require "moonloop.web.core"
local is_error = require "moonloop.core".is_error
local response = require "moonloop.web.response".new

local M = {}

--- Is `err` one that says itself how it is to be answered, as web.abort's does?
local function has_status(err)
  if not is_error(err) then return false end
  local status = rawget(err, "status")
  return math.type(status) == "integer" and status >= 300 and status <= 599
end

--- The answer for an error when no script has one. What is nobody's answer is reported.
local function default(err, req, traceback, name)
  if has_status(err) then
    local detail = rawget(err, "detail")
    if detail == nil then detail = err.message end
    local ok, res = pcall(core.settle, name, response{
      status = err.status, json = {detail = detail}, headers = rawget(err, "headers")})
    if ok then return res end
    traceback = nil
    err = res
  end
  core.report(req, err, traceback, name)
  return core.settle(name, {detail = core.reason(500)}, 500)
end

--- Makes render(err, req, traceback, name, plainly) -> response, which raises nothing but what
-- breaks the task off. The functions of app:on_error are asked one after the other, the innermost
-- app's first, until one returns something.
--
-- @param handlers list of {f =, name =}
function M.renderer(handlers)
  return function(err, req, traceback, name, plainly)
    if plainly then return default(err, req, traceback, name) end
    for _, handler in ipairs(handlers) do
      local trace
      local function keep(failure)
        trace = debug.traceback(nil, 2)
        return failure
      end
      local function run()
        local function settle(value, ...)
          if value == nil and ... == nil then return nil end
          return core.settle(handler.name, value, ...)
        end
        return settle(handler.f(err, req, traceback))
      end
      local ok, res = xpcall(run, keep)
      if not ok then
        if not has_status(res) then core.report(req, err, traceback, name) end
        return default(res, req, trace, handler.name)
      elseif res then
        return res
      end
    end
    return default(err, req, traceback, name)
  end
end

--- "app.lua:12" for a function, for messages.
function M.site(f)
  if type(f) ~= "function" then return "a callable " .. type(f) end
  local info = debug.getinfo(f, "S")
  return info.what == "C" and "a C function" or info.short_src .. ":" .. info.linedefined
end

--- The function that runs a whole chain for a request.
--
-- @param middleware list of {f =, render =}, outermost first
-- @param render of the handler's errors
-- @param name of the handler, for messages
function M.compose(middleware, render, handler, name)
  local link = core.link(handler, nil, name, render)
  for i = #middleware, 1, -1 do
    local m = middleware[i]
    link = core.link(m.f, link, "the middleware " .. M.site(m.f), m.render)
  end
  return link
end

--- The handler of the requests that have no route.
function M.fallback(req)
  local allow = core.allowed(req)
  local err = core.abort(allow and 405 or 404, core.reason(allow and 405 or 404))
  if allow then err.headers = {Allow = allow} end
  return nil, err
end

return M
