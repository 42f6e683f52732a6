--- `ml.web.listen`: serving an application.
local core = require "moonloop.web.core"
local is_app = require "moonloop.web.app".is_app
local server = require "moonloop.web.server"
local server_options = require "moonloop.web.server_options"
local site = require "moonloop.web.site"

local M = {}

local OPTIONS = { host = "string", port = "integer" }

--- web.listen(app [, opts]) -> server | nil, err. Serves `app` on opts.host (127.0.0.1) and
-- opts.port (8000; 0 is any that is free, see server.port) until server:stop([grace]).
-- server:wait() suspends until then. What app:on_start was given runs before; if it fails, its error
-- is raised and nothing is served. Each limit of the server is an option here (README, "Limits and
-- defaults"), and access_log: "common", "json" or f(entry), see web/access_log.lua; those of
-- web.app{...} are the defaults.
function M.listen(app, opts)
  if not is_app(app) then error("bad argument #1 to 'listen' (an app expected)", 2) end
  return M.open(app, server_options.check(opts, OPTIONS, "listen", 1), false)
end

--- The same for options that are right. `shared`: a worker process accepts from the socket that its
-- supervisor has opened, instead of one of its own.
function M.open(app, opts, shared)
  opts = server_options.merge(app.settings, opts)
  local router = site.router(app)
  local apps = server.start(app)
  local http, err = core.listen(router, opts.host or "127.0.0.1", opts.port or 8000, opts, shared)
  if not http then
    server.stop(apps, #apps)
    return nil, err
  end
  if opts.access_log then require "moonloop.web.access_log".keep(http, opts.access_log) end
  return server.new(http, apps)
end

return M
