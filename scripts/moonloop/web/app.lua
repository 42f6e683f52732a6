--- Applications: routes, middleware, error handlers, and other applications mounted below a prefix.
local app_options = require "moonloop.web.openapi_options".app
local chain = require "moonloop.web.chain"
local core = require "moonloop.web.core"
local dependency = require "moonloop.web.dependency"
local health = require "moonloop.web.health"
local plans = require "moonloop.web.plan"
local route_options = require "moonloop.web.route_options"
local scope = require "moonloop.web.scope"
local server_options = require "moonloop.web.server_options"
local site = require "moonloop.web.site"
local tasks = require "moonloop.core"
local unknown = require "moonloop.core.options".unknown

local fail, is_callable = tasks.fail, tasks.is_callable

local METHODS = { get = "GET", post = "POST", put = "PUT", patch = "PATCH", delete = "DELETE", head = "HEAD",
  options = "OPTIONS", any = "ANY" }

local App = {}
App.__index = App
App.__name = "moonloop.web.app"

--- Raises unless the method was called on an app.
local function check_self(app, method)
  if getmetatable(app) ~= App then tasks.bad_self(app, "app", method) end
end

--- Raises if `f` is a function of ml.web that makes a handler or a middleware and was not called.
local function check_called(f, what)
  for name, value in pairs(package.loaded["moonloop.web"] or {}) do
    if value == f then fail(("%s is ml.web.%s itself: call it, ml.web.%s(...)"):format(what, name, name)) end
  end
end

--- Registers a route. `is_health` marks the route of app:health, which no middleware surrounds; with
-- `is_hidden` it is not in the OpenAPI document. `socket`: the options of app:websocket.
local function add_route(app, method, path, opts, handler, is_health, is_hidden, socket)
  if handler == nil then opts, handler = nil, opts end
  if type(path) ~= "string" then
    fail("the path of a route is a " .. type(path) .. " (expected a string)")
  end
  local types = opts ~= nil and route_options.check(opts) or nil
  if not is_callable(handler) then
    fail(("the handler of %s is %s"):format(path, handler == nil and
      "nil (expected a function; f() calls f, and passes what it returned)" or
      ("a %s (expected a function)"):format(type(handler))))
  end
  check_called(handler, "the handler of " .. path)
  opts = opts or {}
  local route = { method = method, path = path, opts = opts, types = types, is_health = is_health,
    is_hidden = is_hidden, place = tasks.place(), handler = handler, site = chain.site(handler) }
  if socket then require "moonloop.web.websocket".prepare(route, socket) end
  local wrong = site.problem(app, route)
  if wrong then fail(wrong) end
  local ok
  ok, wrong = app.router:add(method, path, handler, nil, nil, nil, route.place)
  if ok then ok, wrong = site.add(app, route) end
  if not ok then fail(wrong) end
  table.insert(app.routes, route)
  return app
end

for name, method in pairs(METHODS) do
  --- app:get(path [, opts], handler) and so on. Returns the app.
  App[name] = function(app, path, opts, handler)
    check_self(app, name)
    return add_route(app, method, path, opts, handler)
  end
end

--- app:route(method, path [, opts], handler): the same, with the method as a string.
function App.route(app, method, path, opts, handler)
  check_self(app, "route")
  local known = METHODS[type(method) == "string" and method:lower()]
  if not known then fail(unknown(method, METHODS, "app:route", "method")) end
  return add_route(app, known, path, opts, handler)
end

--- app:websocket(path [, opts], handler): handler(ws, req, deps) runs with a WebSocket of each client whose
-- handshake is right (web/websocket.lua). Returns the app.
function App.websocket(app, path, opts, handler)
  check_self(app, "websocket")
  if handler == nil then opts, handler = nil, opts end
  if handler == nil then return add_route(app, "GET", path) end -- which says so
  local route_opts, socket = require "moonloop.web.websocket".options(opts)
  return add_route(app, "GET", path, route_opts, handler, nil, true, socket)
end

--- app:health([path = "/healthz"]): a route for probes: 200 while the app is served, 503 while
-- app:on_start's functions run and while the server stops. No middleware surrounds it. With it, a
-- server in this process accepts clients before on_start is over, and answers everything else with 503
-- until then. Returns the app.
function App.health(app, path)
  check_self(app, "health")
  if path == nil then path = "/healthz" end
  return add_route(app, "GET", path, nil, health.answer, true, true)
end

--- app:metrics([path = "/metrics"] [, {hosts =}]): a route where Prometheus and its like collect the metrics.
function App.metrics(app, path, opts)
  check_self(app, "metrics")
  if type(path) == "table" then path, opts = nil, path end
  if path == nil then path = "/metrics" end
  return add_route(app, "GET", path, nil, require "moonloop.web.metrics".handler(opts), false, true)
end

--- app:static(prefix, dir [, opts]): serves the files of a directory (web/static.lua).
function App.static(app, prefix, dir, opts)
  check_self(app, "static")
  local handler = require "moonloop.web.static".new(prefix, dir, opts)
  prefix = prefix:gsub("/$", "")
  if prefix ~= "" then add_route(app, "GET", prefix, nil, handler, nil, true) end
  return add_route(app, "GET", prefix .. "/{path:path}", nil, handler, nil, true)
end

--- Raises if the app is already being served: then it is too late for what applies to every route.
local function check_open(app, name)
  check_self(app, name)
  if #app.places > 0 then
    fail("app:" .. name .. ": the app is already being served (only routes can be added)")
  end
end

local function check_callable(f, name, place)
  if not is_callable(f) then
    fail("bad argument #" .. (place or 1) .. " to 'app:" .. name .. "' (function expected, got " .. type(f) .. ")")
  end
end

--- app:use(f): middleware for all routes of the app, including those added later, and for requests
-- without a route. f(req, next) runs in the handler's task; the first one added is the outermost.
-- next(req) runs the inner part and returns its response object, even if it failed or was a 404; it
-- may be called again, and next() passes on the request that f got. f returns that response, or
-- anything a handler may return. Returns the app.
function App.use(app, f)
  check_open(app, "use")
  check_callable(f, "use")
  check_called(f, "the middleware")
  table.insert(app.middleware, f)
  return app
end

--- app:on_error(f): f(err, req, traceback) returns what a handler may return, for an error that a
-- handler or middleware of the app raised, including web.abort's and those of requests without a
-- route (err.status). Returning nil passes the error to the app that this one is mounted in, and
-- finally to the default: err.status and {"detail": ...}, or a 500. An error that ends as a 5xx is
-- reported on stderr. The traceback may be nil. Returns the app.
function App.on_error(app, f)
  check_open(app, "on_error")
  check_callable(f, "on_error")
  app.error_handler = { f = f, name = "the function of app:on_error " .. chain.site(f) }
  return app
end

--- app:validation_error{make = f [, schema =]}: what clients get instead of {"detail": ...} where a request
-- does not fit its route's schemas. f(err, req) returns what a handler may return, with the status 422 unless
-- it gives another; nil leaves the answer as it is. `schema` is what the document says of it, and what a body
-- has to fit. It is asked after app:on_error, and applies to mounted apps without one of their own. Returns
-- the app.
function App.validation_error(app, opts)
  check_open(app, "validation_error")
  local f = require "moonloop.web.typed".validation_error(opts)
  local name = "the function of app:validation_error " .. chain.site(opts.make)
  app.validation = { f = f, name = name, schema = opts.schema }
  return app
end

--- app:depends(list): dependencies of all routes of the app and of those mounted in it, including those
-- added later. `list` is as a route's option `depends`. Returns the app.
function App.depends(app, list)
  check_open(app, "depends")
  table.insert(app.dependencies, dependency.check(list, "app:depends"))
  return app
end

--- app:override(dep, f) -> o: f stands in for the dependency `dep` in the app and in those mounted in it,
-- also while they are served, until o:close() or the end of the block of `local o <close> = ...`. f is a
-- function(req), which needs nothing, or a dependency.
function App.override(app, dep, f)
  check_self(app, "override")
  return plans.override(app, dep, f)
end

--- app:scope(needs, f): what f(deps) returns. Opens dependencies outside of a request, which get nil in its
-- place; cleans up when f has ended. `needs` is as a route's option `depends`.
function App.scope(app, needs, f)
  check_self(app, "scope")
  check_callable(f, "scope", 2)
  return scope.scope(app, dependency.check(needs, "app:scope"), f)
end

--- app:on_start(f): f() runs before a server of the app accepts clients, in the task that calls
-- listen; if it raises, or returns nil and an error, nothing is served. Those of mounted apps run after
-- those of the outer app. Returns the app.
function App.on_start(app, f)
  check_open(app, "on_start")
  check_callable(f, "on_start")
  table.insert(app.starts, f)
  return app
end

--- app:on_stop(f): f() runs when a server of the app has stopped and its requests, with the tasks they
-- started, have ended. The functions run in reverse order. Returns the app.
function App.on_stop(app, f)
  check_open(app, "on_stop")
  check_callable(f, "on_stop")
  table.insert(app.stops, f)
  return app
end

--- Is `other` in the tree of `app`?
local function contains(app, other)
  if app == other then return true end
  for _, mount in ipairs(app.mounts) do
    if contains(mount.app, other) then return true end
  end
  return false
end

--- app:mount(prefix, other): puts the routes of the app `other`, including later ones, below the
-- prefix, which may have parameters. Its middleware runs inside this app's, and its on_error is asked
-- first. Its route "/" answers the prefix with and without a slash. A path below the prefix without a
-- route is a 404 of `other`: no catch-all of an outer app answers it. Returns the app.
function App.mount(app, prefix, other, opts)
  check_open(app, "mount")
  if type(opts) == "table" then -- and no file's name, which `require "items"` returns as well
    fail("app:mount takes a prefix and an app: tags are an option of that app, its dependencies are those of its \z
      app:depends, its middleware that of its app:use")
  end
  if type(prefix) ~= "string" then
    fail("bad argument #1 to 'app:mount' (string expected, got " .. type(prefix) .. ")")
  end
  if getmetatable(other) ~= App then
    fail("bad argument #2 to 'app:mount' (an app of ml.web.app() expected, got " .. type(other) .. ")")
  end
  if contains(other, app) then fail("app:mount: an app cannot be mounted in itself") end
  prefix = prefix:gsub("/$", "")
  local ok, wrong = core.router():add("GET", prefix .. "/x", print)
  if not ok then fail("app:mount: " .. wrong) end
  table.insert(app.mounts, { prefix = prefix, app = other })
  table.insert(other.mounted_in, app)
  return app
end

local M = {}

local OPTIONS = { coerce = "boolean", tls = "table" } -- of apps, and what their servers take over
for name, types in pairs(app_options) do OPTIONS[name] = types end

--- web.app([opts]) -> a new application without routes. `opts` are limits for the servers that serve
-- it (doc/reference/web.md), access_log and docs, as in web.listen, what its OpenAPI document says, and
-- `coerce`: JSON bodies are read laxly, as Pydantic does.
function M.new(opts)
  return setmetatable({
    settings = server_options.check(opts, OPTIONS, "ml.web.app"),
    router = core.router(), -- has the app's own paths, so that a bad path is an error at its own line
    routes = {}, middleware = {}, mounts = {}, mounted_in = {}, starts = {}, stops = {},
    dependencies = {}, -- the tables of app:depends
    overrides = {}, -- see plan.lua
    places = {}, -- the places where it is served: see site.lua
  }, App)
end

--- Is `v` an application?
function M.is_app(v) return getmetatable(v) == App end

return M
