-- `moonloop serve APP.lua`: loads the app, listens, and stops in order at SIGINT or SIGTERM.

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
  local running = server.tasks
  if running > 0 then
    io.stderr:write(("moonloop: stopping: %d running task(s) have %g s; a second signal ends them at once\n")
      :format(running, drain))
  end
  server:stop(drain)
  os.exit(0)
end
