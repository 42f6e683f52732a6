-- `moonloop serve APP.lua`: loads the app, listens, and stops in order at SIGINT or SIGTERM. As a
-- worker process it serves beside others, and makes room for new ones when its supervisor says so.

local listen = require "moonloop.web.listen"
local ml = require "moonloop"
local signals = require "moonloop.signals"
local supervised = require "moonloop.supervised"

local is_worker = supervised.number() ~= nil

local function fail(...)
  io.stderr:write("moonloop: ", ...)
  io.stderr:write("\n")
  os.exit(1)
end

-- The supervisor is told of every file that code is taken from, before it can turn out to be wrong.
local function report_code(file)
  supervised.loads(file)
  table.insert(package.searchers, 2, function(name)
    local path = package.searchpath(name, package.path) or package.searchpath(name, package.cpath)
    if path then supervised.loads(path) end
  end)
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

local function say_where(file, host, port, version)
  local shown = host:find(":", 1, true) and "[" .. host .. "]" or host
  io.stdout:write("moonloop ", version, ": serving ", file, " on http://", shown, ":", port, " (Ctrl-C stops)\n")
  io.stdout:flush()
end

-- Lets others have the clients; in a hurry from the next signal on.
local function retire(server, drain)
  ml.spawn(function()
    signals.wait()
    server.core:stop(drain)
  end)
  server:retire(drain)
end

local function stop(server, drain)
  local running = server.tasks
  if running > 0 then
    io.stderr:write(("moonloop: stopping: %d running task(s) have %g s; a second signal ends them at once\n")
      :format(running, drain))
  end
  server:stop(drain)
end

--- @param file string the app file
--- @param opts table the options of ml.web.listen that were given
--- @param version string
return function(file, opts, version)
  if is_worker then report_code(file) end
  local app = load_app(file)
  local server, err = listen.open(app, opts, is_worker)
  if not server then fail(err.message) end
  signals.keep()
  local drain = server.drain
  if is_worker then
    supervised.ready(drain)
  else
    say_where(file, opts.host, server.port, version)
  end
  if signals.wait() == "SIGHUP" then retire(server, drain) else stop(server, drain) end
  os.exit(0)
end
