--- Applications: a table of routes.
local core = require "moonloop.web.core"
local route_options = require "moonloop.web.route_options"
local server_options = require "moonloop.web.server_options"

local METHODS = { "get", "post", "put", "patch", "delete", "head", "options", "any" }

--- Is `f` something that can be called?
local function is_callable(f)
  if type(f) == "function" then return true end
  local meta = getmetatable(f)
  return type(meta) == "table" and type(meta.__call) == "function"
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
  if opts ~= nil then route_options.check(opts, 2) end
  if not is_callable(handler) then
    error("the handler of " .. path .. " is a " .. type(handler) .. " (expected a function)",
      2)
  end
  opts = opts or {}
  handler = route_options.apply(opts, handler)
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

--- app:static(prefix, dir [, opts]): serves the files of a directory (web/static.lua).
function App.static(app, prefix, dir, opts)
  local handler = require "moonloop.web.static".new(prefix, dir, opts)
  prefix = prefix:gsub("/$", "")
  if prefix ~= "" then add_route(app, "GET", prefix, nil, handler) end
  return add_route(app, "GET", prefix .. "/{path:path}", nil, handler)
end

local M = {}

--- web.app([opts]) -> a new application without routes. `opts` are limits for the servers that serve
-- it (README, "Limits and defaults").
function M.new(opts)
  return setmetatable({ router = core.router(), limits = server_options.check(opts, {}, "an app", 1) }, App)
end

--- Is `v` an application?
function M.is_app(v) return getmetatable(v) == App end

return M
