--- `ml.web.listen`: serving an application.
local core = require "moonloop.web.core"
local is_app = require "moonloop.web.app".is_app

local M = {}

--- web.listen(app [, opts]) -> server | nil, err. Serves `app` on opts.host (127.0.0.1) and
-- opts.port (8000; 0 is any that is free, see server.port) until server:stop([grace]).
-- server:wait() suspends until then. A client gets opts.timeout seconds (30) for the head of a
-- request, between two pieces of its body, and to take a response; and opts.keep_alive seconds (75)
-- between two requests.
function M.listen(app, opts)
  if not is_app(app) then error("bad argument #1 to 'listen' (an app expected)", 2) end
  opts = opts or {}
  return core.listen(app.router, opts.host or "127.0.0.1", opts.port or 8000,
    opts.timeout or 30, opts.keep_alive or 75)
end

return M
