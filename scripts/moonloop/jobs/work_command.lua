--- `moonloop work APP.lua`: runs the jobs of an app, which does not listen.
local core = require "moonloop.core"
local counted = require "moonloop.core.counted"
local is_app = require "moonloop.web.app".is_app
local load = require "moonloop.web.load"
local made = require "moonloop.jobs.made"
local server = require "moonloop.web.server"
local service = require "moonloop.service"
local signals = require "moonloop.signals"
local supervised = require "moonloop.supervised"

local function fail(status, message)
  io.stderr:write("moonloop: ", message, "\n")
  os.exit(status)
end

-- "emails:20,default" as { emails = 20, default = 10 }, and as text for people.
local function read_queues(text)
  local queues, shown = {}, {}
  for item in (text .. ","):gmatch "([^,]*)," do
    local name, slots = item:match "^(.-):(%d+)$"
    name, slots = name or item, slots and math.tointeger(tonumber(slots)) or 10
    if name == "" or name:find ":" or slots < 1 or slots > 10000 then
      fail(2, ("work: --queues must be a list such as emails:20,default:5, with numbers from 1 to 10000, not '%s'")
        :format(text))
    end
    if queues[name] then fail(2, ("work: --queues names the queue '%s' twice"):format(name)) end
    queues[name], shown[#shown + 1] = slots, ("%s (%d)"):format(name, slots)
  end
  return queues, table.concat(shown, ", ")
end

local function say_what(file, shown, version, inspector)
  local status = ("working for %s: %s"):format(file, shown)
  service.ready(status)
  io.stdout:write("moonloop ", version, ": ", status, " (Ctrl-C stops)\n")
  if inspector then io.stdout:write("moonloop ", version, ": the inspector is at ", inspector, "\n") end
  local metrics = supervised.metrics()
  if metrics then io.stdout:write("moonloop ", version, ": the metrics are at ", metrics, "\n") end
  io.stdout:flush()
end

local function count_running(workers)
  local n = 0
  for _, worker in ipairs(workers) do
    for _ in pairs(worker.running) do n = n + 1 end
  end
  return n
end

local function stop(workers, drain)
  local n = count_running(workers)
  local is_one = n == 1
  local what = "stopping: " .. counted(n, "running job")
  service.stopping(what)
  if n > 0 then
    signals.say("info", ("%s %s %g s; a second signal ends %s at once"):format(what, is_one and "gets" or "get", drain,
      is_one and "it" or "them"))
  end
  made.stop(workers, drain)
end

--- @param file string the app file
--- @param opts table queues, a text or nil; drain, in seconds
--- @param version string
--- @param warning? string said at the start
return function(file, opts, version, warning)
  local queues, shown
  if opts.queues then queues, shown = read_queues(opts.queues) end
  local ok, app = load.run(file)
  if not ok then fail(1, app) end
  local all = made.all()
  if #all == 0 then
    fail(1, ("work: %s makes no jobs: it has to call ml.jobs.new(db) while it is loaded"):format(file))
  end
  signals.keep()
  local inspector = supervised.inspects() and require "moonloop.inspect.start".start(file, nil, version)
  local apps = is_app(app) and server.start(app)
  local workers, names, seen = {}, {}, {}
  for i, jobs in ipairs(all) do
    workers[i] = jobs:work { queues = queues }
    if not seen[jobs.queue] then names[#names + 1], seen[jobs.queue] = jobs.queue .. " (10)", true end
  end
  if warning then signals.say("warn", warning) end
  local stopping = false
  for _, worker in ipairs(workers) do
    core.spawn(function()
      worker:wait()
      if stopping then return end
      stopping = true
      signals.say("error", "work: a worker has ended by itself")
      made.stop(workers, 0)
      os.exit(1)
    end)
  end
  say_what(file, shown or table.concat(names, ", "), version, inspector)
  signals.wait()
  stopping = true
  stop(workers, opts.drain)
  if apps then server.stop(apps, #apps) end
  os.exit(0)
end
