--- Chains of middleware: what a route's requests pass through, and how errors become responses.
local core = require "moonloop.web.core"
local is_error = require "moonloop.core".is_error
local response = require "moonloop.web.response".new
local vary = require "moonloop.web.vary"

local M = {}

--- Does `err` carry the status of its answer, as web.abort's errors do?
local function has_status(err)
  if not is_error(err) then return false end
  local status = rawget(err, "status")
  return math.type(status) == "integer" and status >= 300 and status <= 599
end

--- Reports an error that the client sees as a server failure. An error that was meant as an answer takes
-- one line; any other comes with its traceback.
local function report(err, req, traceback, name)
  local is_answer = has_status(err)
  core.report(req, err, not is_answer and traceback or nil, name, is_answer)
end

local answer_fault -- f(err, req, traceback, name) -> response | nil

--- From now on f is asked for the answer to an error that is a fault of the program and that no script answers; nil
-- from it is the usual one. For `moonloop dev`.
function M.answer_faults(f) answer_fault = f end

local finish_page -- f(req, res) -> response

--- From now on f(req, res) gives what is sent where a function of app:on_error has made `res`. For csrf.lua.
function M.finish_pages(f) finish_page = f end

--- The answer for an error that no script answers.
local function default(err, req, traceback, name)
  if has_status(err) then
    local detail = rawget(err, "detail")
    if detail == nil then detail = err.message end
    local ok, res = pcall(core.settle, name, response{
      status = err.status, json = {detail = detail}, headers = rawget(err, "headers")})
    if ok then
      if err.status >= 500 then report(err, req, nil, name) end
      return res
    end
    traceback = nil
    err = res
  end
  local ok, res = false, nil
  if answer_fault then
    if traceback and not traceback:find "\n\t[^%[]" then traceback = nil end -- it has no frame of a script
    ok, res = pcall(answer_fault, err, req, traceback, name)
  end
  core.report(req, err, traceback, name)
  if ok and res then return core.settle(name, res) end
  return core.settle(name, {detail = core.reason(500)}, 500)
end

--- Makes render(err, req, traceback, name, plainly) -> response, which raises only what ends the task.
-- The functions of app:on_error are asked one after the other, the innermost app's first, until one
-- returns something. An error that ends as a 5xx is always reported.
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
      if not ok and rawequal(res, err) then -- it raised the error again
        return default(err, req, traceback, name)
      elseif not ok then
        if not has_status(res) or res.status >= 500 then report(err, req, traceback, name) end
        return default(res, req, trace, handler.name)
      elseif res then
        if res.status >= 500 then report(err, req, traceback, name) end
        return finish_page and finish_page(req, res) or res
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

--- Makes the function that runs a whole chain for a request.
--
-- @param middleware list of {f =, render =}, outermost first
-- @param render for the handler's errors
-- @param name of the handler, for messages
function M.compose(middleware, render, handler, name)
  local link = core.link(handler, nil, name, render)
  for i = #middleware, 1, -1 do
    local m = middleware[i]
    link = core.link(m.f, link, "the middleware " .. M.site(m.f), m.render)
  end
  return link
end

--- Headers besides Content-* that describe the body that is not sent.
local OF_BODY = { etag = true, ["last-modified"] = true, ["accept-ranges"] = true }

--- The lines of `value` that are not in `own`: one line, a list, or nil.
local function added(value, own)
  if type(value) ~= "table" then return value ~= own and value or nil end
  local seen, lines = {}, {}
  for _, line in ipairs(type(own) == "table" and own or {own}) do seen[line] = true end
  for _, line in ipairs(value) do
    if not seen[line] then lines[#lines + 1] = line end
  end
  return lines[1] and lines or nil
end

--- The answer for an error in the stream of the response `res` before anything was sent: what `render`
-- makes of the error, with the headers that middleware added to `res`. The middleware does not run a
-- second time.
function M.answer_failed_stream(req, err, traceback, res, render, name)
  local answer = render(err, req, traceback, name)
  local headers, own = answer.headers, core.headers(rawget(res, "_own_headers"))
  for field, value in pairs(res.headers) do
    local lower = field:lower()
    if lower:find("^content%-") or OF_BODY[lower] then
      value = nil
    else
      value = added(value, own[field])
    end
    if value ~= nil and (headers[field] == nil or lower == "set-cookie") then
      answer:add_headers { [field] = value }
    elseif value ~= nil and lower == "vary" then
      for name_varied in tostring(value):gmatch("[^,%s]+") do vary(headers, name_varied) end
    end
  end
  return core.settle(name, answer)
end

--- The handler of requests without a route.
function M.fallback(req)
  local allow = core.allowed(req)
  if allow then return nil, core.abort(405, core.reason(405), {Allow = allow}) end
  return nil, core.abort(404, core.reason(404))
end

core.on_failed_stream(M.answer_failed_stream)

return M
