--- A server as scripts see it: the host's, with what applications do before it accepts clients
-- (app:on_start) and after it has drained (app:on_stop).
local core = require "moonloop.core"
local report = require "moonloop.web.core".report
local wait = require "moonloop.wait".wait

local M = {}

--- Runs a hook, whose nil and an error is a failure too.
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

--- Runs the on_stop functions of the first `count` apps, last one first. All of them run; the first
-- failure is raised, the others are reported.
local function stop(apps, count)
  local failed
  for i = count, 1, -1 do
    local hooks = apps[i].stops
    for j = #hooks, 1, -1 do
      local task = core.spawn(run, hooks[j])
      wait { task }
      if task:status() ~= "done" then
        if failed then report(nil, select(2, pcall(task.await, task)), task:traceback(), "app:on_stop") end
        failed = failed or task
      end
    end
  end
  if failed then failed:await() end
end

--- Runs the on_start functions of an app and of those mounted in it, in the calling task. Where one
-- fails, the apps that have started are stopped, and its error is raised.
function M.start(app)
  local apps, started = list_apps(app, {}), 0
  local _ <close> = setmetatable({}, { __close = function(_, err)
    if err ~= nil then stop(apps, started) end
  end })
  for i, one in ipairs(apps) do
    for _, hook in ipairs(one.starts) do run(hook) end
    started = i
  end
  return apps
end

M.stop = stop

local methods = {}
local Server = { __name = "moonloop.web.server" }

--- A method, or what the server in C has: `port`, `connections`.
function Server.__index(server, name)
  local method = methods[name]
  if method ~= nil then return method end
  return server.core[name]
end

--- Runs the on_stop functions once, whoever comes first; waits for their end.
local function finish(server)
  server.ending = server.ending or core.spawn(stop, server.apps, #server.apps)
  server.ending:await()
end

--- server:stop([grace]): stops accepting; lets running requests, and the tasks that requests have
-- left behind, end for `grace` seconds (by default the limit `drain`), then cancels them; then runs
-- what app:on_stop was given. Suspends until all is over.
function methods.stop(server, grace)
  server.core:stop(grace)
  finish(server)
end

--- server:retire([grace]): the same for a server whose clients have others to go to, a worker process
-- that is replaced: connections that are idle stay open until their next request is answered, or
-- the time is over.
function methods.retire(server, grace)
  server.core:retire(grace)
  finish(server)
end

--- server:wait(): suspends until somebody has stopped the server and all is over.
function methods.wait(server)
  server.core:wait()
  finish(server)
end

--- The server `http` of the host, for the apps that M.start returned. Its fields: port, drain,
-- connections, requests, tasks.
function M.new(http, apps)
  return setmetatable({ core = http, apps = apps, ending = false }, Server)
end

return M
