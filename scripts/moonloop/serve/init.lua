-- `moonloop serve APP.lua`: loads the app, listens, and stops cleanly on SIGINT, SIGTERM or SIGHUP. A
-- worker process serves beside others; its supervisor sends SIGHUP to replace it with a new one.

local listen = require "moonloop.web.listen"
local load = require "moonloop.web.load"
local ml = require "moonloop"
local service = require "moonloop.service"
local signals = require "moonloop.signals"
local supervised = require "moonloop.supervised"

local is_worker = supervised.number() ~= nil

-- The supervisor is told of every file before its code is loaded, so it also watches files with errors.
local function report_code(file)
  supervised.loads(file)
  table.insert(package.searchers, 2, function(name)
    local path = package.searchpath(name, package.path) or package.searchpath(name, package.cpath)
    if path then supervised.loads(path) end
  end)
end

local status -- what the service manager knows of this process

local function say_where(file, addresses, version, inspector, warning)
  local last = table.remove(addresses)
  local shown = #addresses > 0 and table.concat(addresses, ", ") .. " and " .. last or last
  status = ("serving %s on %s"):format(file, shown)
  service.ready(status)
  io.stdout:write("moonloop ", version, ": serving ", file, " on ", shown, " (Ctrl-C stops)\n")
  if inspector then io.stdout:write("moonloop ", version, ": the inspector is at ", inspector, "\n") end
  local metrics = supervised.metrics()
  if metrics then io.stdout:write("moonloop ", version, ": the metrics are at ", metrics, "\n") end
  io.stdout:flush()
  if warning then signals.say("warn", warning) end
end

-- What `moonloop dev` says at its start, and again when another set of routes is served.
local function show_screen(file, app, server, version, workers, inspector)
  local links = {}
  local first = server.addresses[1]
  if app.docs_handlers and first then links[1] = { first .. "/docs", "the API, to try it out" } end
  if inspector then links[#links + 1] = { inspector, "the inspector: tasks, requests, what holds up the loop" } end
  local text = require "moonloop.dev".screen { file = file, version = version, app = app,
    addresses = server.addresses, links = links, workers = workers }
  if not supervised.shows(text) then return end
  io.stdout:write(text)
  io.stdout:flush()
end

-- Leaves the clients to other workers; stops at once on the next signal.
local function retire(server, drain)
  ml.spawn(function()
    signals.wait()
    server.core:stop(drain)
  end)
  server:retire(drain)
end

local function stop(server, drain)
  local running = server.tasks
  local is_one = running == 1
  local what = ("stopping: %d running task"):format(running) .. (is_one and "" or "s")
  service.stopping(what)
  if running > 0 then
    signals.say("info", ("%s %s %g s; a second signal ends %s at once"):format(what, is_one and "gets" or "get", drain,
      is_one and "it" or "them"))
  end
  server:stop(drain)
end

-- The certificates of the command line take the place of the app's own; what else the app says stays.
local function merge_tls(app, opts)
  if not opts.tls then return end
  for name, value in pairs(app.settings.tls or {}) do
    if name ~= "cert" and name ~= "key" and name ~= "certs" then opts.tls[name] = value end
  end
end

local function read_certificates(server)
  service.reloading()
  local ok, err = server:read_certificates()
  if status then service.ready(status) end
  if ok then
    signals.say("info", "the certificates have been read again")
  elseif err then
    signals.say("error", "the certificates stay as they were: " .. err.message)
  end
end

-- Waits for a signal that ends the server. Certificates are read again in between: at SIGHUP by a server
-- on its own, unless its terminal was closed, and when the supervisor says so.
local function wait_for_end(server, has_tls)
  local has_terminal = signals.has_terminal()
  if has_tls and not is_worker then signals.stay_at_hangup() end
  while true do
    local name = signals.wait()
    local reads = name == "SIGUSR2" or (name == "SIGHUP" and has_tls and not is_worker
      and (not has_terminal or signals.has_terminal()))
    if not reads then return name end
    read_certificates(server)
  end
end

-- What is wrong with the value of an option that only Lua knows ends the program.
local function check(opts)
  if not opts.trusted_proxies and not opts.root_path then return end
  local proxy_options = require "moonloop.web.proxy_options"
  local option, expected = "--trusted-proxies", opts.trusted_proxies
    and proxy_options.check_proxies(opts.trusted_proxies)
  if not expected and opts.root_path then
    option, expected = "--root-path", proxy_options.check_root(opts.root_path)
  end
  if not expected then return end
  io.stderr:write(("moonloop: serve: %s must be %s\n"):format(option, expected))
  os.exit(2)
end

--- @param file string the app file
--- @param opts table the options of ml.web.listen that were given
--- @param version string
--- @param is_dev boolean `moonloop dev`
--- @param warning string? of what it has kept, said when it serves
return function(file, opts, version, is_dev, warning)
  check(opts)
  if is_worker then report_code(file) end
  local app = load.open_or_exit(file)
  opts.listen = true
  if is_dev then require "moonloop.dev".prepare(app) end
  merge_tls(app, opts)
  local server, err = listen.open(app, opts, is_worker)
  if not server then
    signals.say("error", err.message)
    os.exit(1)
  end
  signals.keep()
  server.core:ends_with_process()
  local inspector = supervised.inspects() and require "moonloop.inspect.start".start(file, app, version)
  local drain = server.drain
  local stop_jobs
  if is_dev then
    local workers
    workers, stop_jobs = require "moonloop.dev".work()
    show_screen(file, app, server, version, workers, inspector)
  end
  if is_worker then
    supervised.ready(drain)
  else
    say_where(file, server.addresses, version, inspector, warning)
  end
  local has_tls = (opts.tls or app.settings.tls) ~= nil
  local name = wait_for_end(server, has_tls)
  local jobs = stop_jobs and ml.spawn(stop_jobs, drain)
  if name == "SIGHUP" and is_worker then retire(server, drain) else stop(server, drain) end
  if jobs then jobs:await() end
  os.exit(0)
end
