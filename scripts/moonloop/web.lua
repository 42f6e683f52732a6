--- `moonloop.web`: applications whose handlers are plain functions of a request.
local core = require "moonloop.web.core"
local core_spawn = require "moonloop.core".spawn

local web = {}

local METHODS = { "get", "post", "put", "patch", "delete", "head", "options", "any" }
local OPTIONS = { offload = "boolean", max_body = "integer", cpu = "number", slice = "number",
  deadline = "number", summary = "string", tags = "table" }

--- Is `f` something that can be called?
local function is_callable(f)
  if type(f) == "function" then return true end
  local meta = getmetatable(f)
  return type(meta) == "table" and type(meta.__call) == "function"
end

--- Raises what is wrong with the options of a route, at the line that registers it.
local function check_options(opts)
  local level = 3
  if type(opts) ~= "table" then
    error("the options of a route are a " .. type(opts) .. " (expected a table)", level)
  end
  for name, value in pairs(opts) do
    local wanted = OPTIONS[name]
    if not wanted then
      error("unknown option '" .. tostring(name) .. "' of a route", level)
    end
    local given = math.type(value) == "integer" and wanted == "integer" and wanted or type(value)
    if given ~= wanted then
      error("option '" .. name .. "' of a route is a " .. given .. " (expected " .. wanted .. ")",
        level)
    end
  end
  for _, name in ipairs { "cpu", "slice", "deadline" } do
    local seconds = opts[name]
    if seconds and (seconds <= 0 or seconds ~= seconds) then
      error("option '" .. name .. "' of a route is not a positive number of seconds", level)
    end
  end
  if opts.max_body and opts.max_body < 0 then
    error("option 'max_body' of a route is negative", level)
  end
end

--- A handler with a budget of CPU seconds on whatever thread it runs.
local function limited(handler, cpu)
  return function(req) return core_spawn({ handler, req, cpu = cpu }):await() end
end

--- Runs in the worker: the handler's results, and whether the first is a response, which crosses as
-- a plain table.
local function run_there(handler, req)
  local response = require("moonloop.web.core").response
  local function pack(first, ...)
    local is_response = getmetatable(first) == response
    if is_response then setmetatable(first, nil) end
    return is_response, first, ...
  end
  return pack(handler(req))
end

local function unpack_here(is_response, first, ...)
  if is_response then setmetatable(first, core.response) end
  return first, ...
end

--- A handler that runs on another core, as a job of the default executor.
local function offloaded(handler, cpu)
  local executor
  if cpu then handler = limited(handler, cpu) end
  return function(req)
    executor = executor or require "moonloop.executor"
    return unpack_here(executor.run(run_there, handler, req))
  end
end

--- A handler that has so many seconds. Then it is cancelled with all that it started, and when their
-- cleanup is over the client gets a 503.
local function with_deadline(handler, seconds)
  local wait = require "moonloop.wait".wait
  return function(req)
    local task = core_spawn(handler, req)
    if #wait({ task }, { timeout = seconds }) == 0 and task:cancel("the deadline of the request") then
      wait { task }
      if task:status() == "cancelled" then web.abort(503, "Deadline Exceeded") end
    end
    return task:await()
  end
end

local App = {}
App.__index = App
App.__name = "moonloop.web.app"

--- Registers a route. The methods below end in a call of it, so level 2 is the script's line.
local function add_route(app, method, path, opts, handler)
  if handler == nil then opts, handler = nil, opts end
  if type(path) ~= "string" then
    error("the path of a route is a " .. type(path) .. " (expected a string)", 2)
  end
  if opts ~= nil then check_options(opts) end
  if not is_callable(handler) then
    error("the handler of " .. path .. " is a " .. type(handler) .. " (expected a function)",
      2)
  end
  opts = opts or {}
  if opts.offload then handler = offloaded(handler, opts.cpu) end
  if opts.deadline then handler = with_deadline(handler, opts.deadline) end
  local ok, wrong = app.router:add(method, path, handler, opts.max_body, opts.cpu, opts.slice)
  if not ok then error(wrong, 2) end
  return app
end

for _, name in ipairs(METHODS) do
  local method = name:upper()
  --- app:get(path [, opts], handler) and so on. Returns the app.
  App[name] = function(app, path, opts, handler)
    return add_route(app, method, path, opts, handler)
  end
end

--- app:route(method, path [, opts], handler): the same, with the method as a string.
function App.route(app, method, path, opts, handler)
  local name = type(method) == "string" and method:lower() or tostring(method)
  for _, known in ipairs(METHODS) do
    if name == known then return add_route(app, known:upper(), path, opts, handler) end
  end
  error("unknown method '" .. tostring(method) .. "'", 2)
end

--- A new application without routes.
function web.app() return setmetatable({ router = core.router() }, App) end

--- Is `v` an application?
function web.is_app(v) return getmetatable(v) == App end

--- web.listen(app [, opts]) -> server | nil, err. Serves `app` on opts.host (127.0.0.1) and
-- opts.port (8000; 0 is any that is free, see server.port) until server:stop([grace]).
-- server:wait() suspends until then. A client gets opts.timeout seconds (30) for the head of a
-- request, between two pieces of its body, and to take a response; and opts.keep_alive seconds (75)
-- between two requests.
function web.listen(app, opts)
  if not web.is_app(app) then error("bad argument #1 to 'listen' (an app expected)", 2) end
  opts = opts or {}
  return core.listen(app.router, opts.host or "127.0.0.1", opts.port or 8000,
    opts.timeout or 30, opts.keep_alive or 75)
end

local RESPONSE = { status = "integer", headers = "table", body = "string" }

--- web.response{status =, headers =, body =, json =}: a response of any kind, for a handler to
-- return. `body` is sent as it is, `json` is encoded.
function web.response(fields)
  if type(fields) ~= "table" then
    error("bad argument #1 to 'response' (table expected, got " .. type(fields) .. ")", 2)
  end
  local copy = {}
  for name, value in pairs(fields) do
    local wanted = RESPONSE[name]
    if not wanted and name ~= "json" then
      error("unknown field '" .. tostring(name) .. "' of a response", 2)
    end
    local given = wanted == "integer" and math.type(value) or type(value)
    if wanted and given ~= wanted then
      error("field '" .. name .. "' of a response is a " .. type(value) .. " (expected " ..
        wanted .. ")", 2)
    end
    copy[name] = value
  end
  if copy.body and copy.json ~= nil then error("a response has either a body or json", 2) end
  return setmetatable(copy, core.response)
end

--- web.abort(status [, detail]): ends the request with the status and {"detail": detail}. The
-- detail is any JSON value; without it, it is the name of the status.
function web.abort(status, detail)
  if math.type(status) ~= "integer" or status < 300 or status > 599 then
    error("bad argument #1 to 'abort' (a status from 300 to 599 expected)", 2)
  end
  if detail == nil then detail = core.reason(status) end
  error(core.abort(status, detail), 0)
end

return web
