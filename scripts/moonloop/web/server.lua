--- A server as scripts see it: the host's server, plus what applications do before it accepts clients
-- (app:on_start) and after it has drained (app:on_stop).
local core = require "moonloop.core"
local report = require "moonloop.web.core".report
local wait = require "moonloop.core.wait".wait

local M = {}

--- Runs a hook. A result of nil and an error counts as a failure too.
local function run(hook)
  local value, err = hook()
  if value == nil and err ~= nil then error(err, 0) end
end

--- The apps of a tree, outer before inner, each once.
local function list_apps(app, apps)
  if apps[app] then return apps end
  apps[app] = true
  table.insert(apps, app)
  for _, mount in ipairs(app.mounts) do list_apps(mount.app, apps) end
  return apps
end

local function report_failed(task)
  report(nil, select(2, pcall(task.await, task)), task:traceback(), "app:on_stop")
end

--- Runs the on_stop functions of the first `count` apps, last one first. All of them run. Returns the
-- task of the first that failed; further failures are reported.
local function run_stops(apps, count)
  local failed
  for i = count, 1, -1 do
    local hooks = apps[i].stops
    for j = #hooks, 1, -1 do
      local task = core.spawn(run, hooks[j])
      wait { task }
      if task:status() ~= "done" then
        if failed then report_failed(task) end
        failed = failed or task
      end
    end
  end
  return failed
end

--- The same, but raises the first failure.
local function stop(apps, count)
  local failed = run_stops(apps, count)
  if failed then failed:await() end
end

--- Runs the on_start functions of an app and of those mounted in it, in the calling task. If one fails
-- or is cancelled, the apps that have started are stopped, and its error is raised.
function M.start(app)
  local apps, started = list_apps(app, {}), 0
  local _ <close> = setmetatable({}, { __close = function(_, err)
    local failed = err ~= nil and core.shield(run_stops, apps, started)
    if failed then report_failed(failed) end
  end })
  for i, one in ipairs(apps) do
    for _, hook in ipairs(one.starts) do run(hook) end
    started = i
  end
  return apps
end

M.stop = stop

local methods = {}
local Server = { __name = "moonloop.web.server", __methods = methods }

--- A method, or a field of the server in C, such as `port` or `connections`.
function Server.__index(server, name)
  local method = methods[name]
  if method ~= nil then return method end
  return server.core[name]
end

local function check(server, method)
  if getmetatable(server) ~= Server then core.bad_self(server, "server", method) end
end

--- Runs the on_stop functions once, for the first caller; every caller waits for their end.
local function finish(server)
  server.ending = server.ending or core.spawn(stop, server.apps, #server.apps)
  server.ending:await()
end

--- server:stop([grace]): stops accepting; gives running requests, and tasks that requests left behind,
-- `grace` seconds to end (by default the limit `drain`), then cancels them; then runs the functions of
-- app:on_stop. Suspends until all of this is over.
function methods.stop(server, grace)
  check(server, "stop")
  server.core:stop(grace)
  finish(server)
end

--- server:retire([grace]): the same for a server whose clients have other servers to go to, as in a worker
-- process that is being replaced: idle connections stay open until their next request is answered or
-- the time is over.
function methods.retire(server, grace)
  check(server, "retire")
  server.core:retire(grace)
  finish(server)
end

--- server:wait(): suspends until the server has been stopped and all of that is over.
function methods.wait(server)
  check(server, "wait")
  server.core:wait()
  finish(server)
end

--- Leaving the block of `local server <close>`: as server:stop(0).
function Server.__close(server) core.shield(methods.stop, server, 0) end

--- server:read_certificates() -> true | nil, err: reads the certificates of the option `tls` again, for
-- connections from now on; those that are open keep theirs. If one is wrong, the old ones stay. Without TLS: false.
function methods.read_certificates(server)
  check(server, "read_certificates")
  return server.core:read_certificates()
end

--- Wraps the host's server `http` for the apps that M.start returned. Its fields: port, drain,
-- connections, requests, tasks.
function M.new(http, apps)
  return setmetatable({ core = http, apps = apps, ending = false }, Server)
end

return M
