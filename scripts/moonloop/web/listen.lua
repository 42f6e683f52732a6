--- `ml.web.listen`: serving an application.
local core = require "moonloop.web.core"
local is_app = require "moonloop.web.app".is_app
local fail = require "moonloop.core".fail
local server = require "moonloop.web.server"
local server_options = require "moonloop.web.server_options"
local site = require "moonloop.web.site"
local shield = require "moonloop.core".shield

local M = {}

--- What is expected if `list` is not a list of addresses.
local function wrong_addresses(list)
  if type(list) ~= "table" or #list == 0 then return "a list of addresses, such as { ':8000', 'unix:PATH' }" end
  for _, text in ipairs(list) do
    local wrong = type(text) ~= "string" and "each is a string" or core.listen_problem(text)
    if wrong then return ("a list of addresses; %s: %s"):format(tostring(text), wrong) end
  end
end

local OPTIONS = { host = "string", port = "integer", listen = wrong_addresses, tls = "table",
  docs = require "moonloop.web.openapi_options".docs }

--- web.listen(app [, opts]) -> server | nil, err. Serves `app` on opts.host (127.0.0.1) and
-- opts.port (8000; 0 is any that is free, see server.port), or on each address of the list opts.listen,
-- until server:stop([grace]).
-- server:wait() suspends until then. The functions of app:on_start run first; if one fails, its error
-- is raised and nothing is served. The options are the limits of the server (doc/reference/web.md),
-- access_log: "common", "json" or f(entry), see web/access_log.lua; and docs, whether the OpenAPI document
-- is served; those of web.app{...} are the defaults.
function M.listen(app, opts)
  if not is_app(app) then
    fail(("bad argument #1 to 'ml.web.listen' (an app of ml.web.app() expected, got %s)"):format(type(app)))
  end
  if type(opts) == "number" then fail(("ml.web.listen takes a table: { port = %d }"):format(opts // 1)) end
  opts = server_options.check(opts, OPTIONS, "ml.web.listen")
  if opts.listen and (opts.host or opts.port) then
    fail "ml.web.listen: 'listen' takes the place of 'host' and 'port'"
  end
  return M.open(app, opts, false)
end

--- Opens the host's server. Returns it, or nil and an error.
local function open_core(router, opts)
  opts = server_options.for_host(opts)
  local http, err = core.listen(router, opts.host, opts.port, opts, opts.listen)
  if not http then return nil, err end
  if opts.access_log then require "moonloop.web.access_log".keep(http, opts.access_log) end
  return http
end

--- Serves the router `first` while the app starts, then the app's own. This way probes learn that the
-- app is starting, and a port that is taken is noticed before on_start runs.
local function open_early(app, router, first, opts)
  local http, err = open_core(first, opts)
  if not http then return nil, err end
  local _ <close> = setmetatable({}, { __close = function(_, failure)
    if failure ~= nil then shield(http.stop, http, 0) end
  end })
  local apps = server.start(app)
  http:route_by(router)
  return server.new(http, apps)
end

--- The same with checked options; opts.listen may also be true: the sockets that the command line has
-- opened. `shared`: in a worker process.
function M.open(app, opts, shared)
  opts = server_options.merge(app.settings, opts)
  if opts.docs then require "moonloop.web.docs".serve(app, opts.docs) end
  local router = site.router(app)
  -- A worker that is starting leaves the clients to those that are ready.
  local first = not shared and site.start_router(app)
  if first then return open_early(app, router, first, opts) end
  local apps = server.start(app)
  local http, err = open_core(router, opts)
  if not http then
    server.stop(apps, #apps)
    return nil, err
  end
  return server.new(http, apps)
end

return M
