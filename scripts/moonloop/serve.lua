-- `moonloop serve APP.lua`: loads the app, listens, and stops in order at SIGINT or SIGTERM.

local inspect = require "moonloop.inspect"
local ml = require "moonloop"
local signals = require "moonloop.signals"

local function fail(...)
  io.stderr:write("moonloop: ", ...)
  io.stderr:write("\n")
  os.exit(1)
end

-- The app that the file returns.
local function load_app(file)
  local chunk, message = loadfile(file)
  if not chunk then fail(message) end
  local app = chunk(file)
  if not ml.web.is_app(app) then
    fail(file, " returned ", app == nil and "nothing" or "a " .. type(app), ", not an app: it has to end with ",
      "'return app', where app = ml.web.app()")
  end
  return app
end

-- How many tasks the requests have: handlers, and what they have left running. The app's own tasks,
-- which it started when it was loaded, are children of this one and may run for ever.
local function count_running()
  local main, parents, count = ml.current().id, {}, 0
  local tasks = inspect.tasks()
  for _, task in ipairs(tasks) do parents[task.id] = task.parent or 0 end
  for _, task in ipairs(tasks) do
    local id = task.id
    while id and id ~= 0 and id ~= main do id = parents[id] end
    if id == 0 then count = count + 1 end
  end
  return count
end

--- @param file string the app file
--- @param opts table the options of ml.web.listen that were given
--- @param version string
return function(file, opts, version)
  local app = load_app(file)
  local server, err = ml.web.listen(app, opts)
  if not server then fail(err.message) end
  signals.keep()
  local host, drain = opts.host, server.drain
  local shown = host:find(":", 1, true) and "[" .. host .. "]" or host
  io.stdout:write("moonloop ", version, ": serving ", file, " on http://", shown, ":", server.port,
    " (Ctrl-C stops)\n")
  io.stdout:flush()
  signals.wait()
  local limit, running = ml.now() + drain, count_running()
  if running > 0 then
    io.stderr:write(("moonloop: stopping: %d running task(s) have %g s; a second signal ends them at once\n")
      :format(running, drain))
  end
  server:stop(drain)
  while count_running() > 0 and ml.now() < limit do ml.sleep(0.01) end
  os.exit(0)
end
