--- Applications: routes, middleware, error handlers, and other applications mounted below a prefix.
local is_callable = require "moonloop.core".is_callable
local chain = require "moonloop.web.chain"
local core = require "moonloop.web.core"
local route_options = require "moonloop.web.route_options"
local server_options = require "moonloop.web.server_options"
local site = require "moonloop.web.site"

local METHODS = { "get", "post", "put", "patch", "delete", "head", "options", "any" }

local App = {}
App.__index = App
App.__name = "moonloop.web.app"

--- Registers a route. The methods below end in a call of it, so level 2 is the script's line.
local function add_route(app, method, path, opts, handler)
  if handler == nil then opts, handler = nil, opts end
  if type(path) ~= "string" then
    error("the path of a route is a " .. type(path) .. " (expected a string)", 2)
  end
  if opts ~= nil then route_options.check(opts, 2) end
  if not is_callable(handler) then
    error("the handler of " .. path .. " is a " .. type(handler) .. " (expected a function)",
      2)
  end
  opts = opts or {}
  local route = { method = method, path = path, opts = opts,
    handler = route_options.apply(opts, handler), site = chain.site(handler) }
  local ok, wrong = app.router:add(method, path, handler)
  if ok then ok, wrong = site.add(app, route) end
  if not ok then error(wrong, 2) end
  table.insert(app.routes, route)
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

--- app:static(prefix, dir [, opts]): serves the files of a directory (web/static.lua).
function App.static(app, prefix, dir, opts)
  local handler = require "moonloop.web.static".new(prefix, dir, opts)
  prefix = prefix:gsub("/$", "")
  if prefix ~= "" then add_route(app, "GET", prefix, nil, handler) end
  return add_route(app, "GET", prefix .. "/{path:path}", nil, handler)
end

--- Raises that what applies to every route cannot come any more, in the script's line.
local function check_open(app, name)
  if #app.places > 0 then
    error("app:" .. name .. ": the app is being served already (only routes can be added)", 3)
  end
end

local function check_callable(f, name)
  if not is_callable(f) then
    error("bad argument #1 to '" .. name .. "' (function expected, got " .. type(f) .. ")", 3)
  end
end

--- app:use(f): middleware, for all routes of the app, also those that are added later, and for the
-- requests that have none. f(req, next) runs in the handler's task; the one that is added first is
-- the outermost. next(req) runs what is inside and returns its response object, also when it failed
-- or was a 404; it may be called again, and next() passes on the request that f got. f returns that,
-- or what a handler may return. Returns the app.
function App.use(app, f)
  check_callable(f, "use")
  check_open(app, "use")
  table.insert(app.middleware, f)
  return app
end

--- app:on_error(f): f(err, req, traceback) returns what a handler may return, for an error that a
-- handler or middleware of the app raised, web.abort's and those of requests without a route
-- included (err.status). Returning nil leaves it to the app that this one is mounted in, and in the
-- end to the default: err.status and {"detail": ...}, or a 500 and a report on stderr. The traceback
-- may be nil. Returns the app.
function App.on_error(app, f)
  check_callable(f, "on_error")
  check_open(app, "on_error")
  app.error_handler = { f = f, name = "the function of app:on_error " .. chain.site(f) }
  return app
end

--- app:on_start(f): f() runs before a server of the app accepts clients, in the task that calls
-- listen; when it raises, or returns nil and an error, nothing is served. Those of mounted apps run
-- after those of the app round them. Returns the app.
function App.on_start(app, f)
  check_callable(f, "on_start")
  check_open(app, "on_start")
  table.insert(app.starts, f)
  return app
end

--- app:on_stop(f): f() runs when a server of the app has stopped and its requests, and what they
-- had started, have ended; in the reverse order of all on_stop calls. Returns the app.
function App.on_stop(app, f)
  check_callable(f, "on_stop")
  check_open(app, "on_stop")
  table.insert(app.stops, f)
  return app
end

--- Has `app` the app `other` in its tree?
local function contains(app, other)
  if app == other then return true end
  for _, mount in ipairs(app.mounts) do
    if contains(mount.app, other) then return true end
  end
  return false
end

--- app:mount(prefix, other): the routes of the app `other`, also those that it gets later, below the
-- prefix, which may have parameters. Its middleware runs inside this app's, its on_error is asked
-- first. Its route "/" answers the prefix with and without a slash. Returns the app.
function App.mount(app, prefix, other)
  if type(prefix) ~= "string" then
    error("bad argument #1 to 'mount' (string expected, got " .. type(prefix) .. ")", 2)
  end
  if getmetatable(other) ~= App then error("bad argument #2 to 'mount' (an app expected)", 2) end
  check_open(app, "mount")
  if contains(other, app) then error("app:mount: an app cannot be mounted in itself", 2) end
  prefix = prefix:gsub("/$", "")
  local ok, wrong = core.router():add("GET", prefix .. "/x", print)
  if not ok then error("app:mount: " .. wrong, 2) end
  table.insert(app.mounts, { prefix = prefix, app = other })
  return app
end

local M = {}

--- web.app([opts]) -> a new application without routes. `opts` are limits for the servers that serve
-- it (README, "Limits and defaults"), and access_log, as in web.listen.
function M.new(opts)
  return setmetatable({
    settings = server_options.check(opts, {}, "an app", 1),
    router = core.router(), -- knows the app's own paths: what is wrong with one is said at its line
    routes = {}, middleware = {}, mounts = {}, starts = {}, stops = {},
    places = {}, -- where it is served: see site.lua
  }, App)
end

--- Is `v` an application?
function M.is_app(v) return getmetatable(v) == App end

return M
