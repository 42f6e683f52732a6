--- `ml.web.listen`: serving an application.
local core = require "moonloop.web.core"
local is_app = require "moonloop.web.app".is_app
local fail = require "moonloop.core".fail
local server = require "moonloop.web.server"
local server_options = require "moonloop.web.server_options"
local site = require "moonloop.web.site"
local shield = require "moonloop.core".shield

local M = {}

local OPTIONS = { host = "string", port = "integer", docs = require "moonloop.web.openapi_options".docs }

--- web.listen(app [, opts]) -> server | nil, err. Serves `app` on opts.host (127.0.0.1) and
-- opts.port (8000; 0 is any that is free, see server.port) until server:stop([grace]).
-- server:wait() suspends until then. The functions of app:on_start run first; if one fails, its error
-- is raised and nothing is served. The options are the limits of the server (doc/reference/web.md),
-- access_log: "common", "json" or f(entry), see web/access_log.lua; and docs, whether the OpenAPI document
-- is served; those of web.app{...} are the defaults.
function M.listen(app, opts)
  if not is_app(app) then
    fail(("bad argument #1 to 'ml.web.listen' (an app of ml.web.app() expected, got %s)"):format(type(app)))
  end
  if type(opts) == "number" then fail(("ml.web.listen takes a table: { port = %d }"):format(opts // 1)) end
  return M.open(app, server_options.check(opts, OPTIONS, "ml.web.listen"), false)
end

--- Opens the host's server. Returns it, or nil and an error.
local function open_core(router, opts, shared)
  local http, err = core.listen(router, opts.host, opts.port, opts, shared)
  if not http then return nil, err end
  if opts.access_log then require "moonloop.web.access_log".keep(http, opts.access_log) end
  return http
end

--- Serves the router `first` while the app starts, then the app's own. This way probes learn that the
-- app is starting, and a port that is taken is noticed before on_start runs.
local function open_early(app, router, first, opts)
  local http, err = open_core(first, opts, false)
  if not http then return nil, err end
  local _ <close> = setmetatable({}, { __close = function(_, failure)
    if failure ~= nil then shield(http.stop, http, 0) end
  end })
  local apps = server.start(app)
  http:route_by(router)
  return server.new(http, apps)
end

--- The same with checked options. `shared`: a worker process accepts from the socket that its supervisor
-- has opened instead of its own.
function M.open(app, opts, shared)
  opts = server_options.merge(app.settings, opts)
  if opts.docs then require "moonloop.web.docs".serve(app, opts.docs) end
  local router = site.router(app)
  -- A worker that is starting leaves the clients to those that are ready.
  local first = not shared and site.start_router(app)
  if first then return open_early(app, router, first, opts) end
  local apps = server.start(app)
  local http, err = open_core(router, opts, shared)
  if not http then
    server.stop(apps, #apps)
    return nil, err
  end
  return server.new(http, apps)
end

return M
