--- ml.trace: distributed traces, by W3C Trace Context and OpenTelemetry's protocol.
local core = require "moonloop.core"
local options = require "moonloop.core.options"
local trace = require "moonloop.trace.core"

local M = {
  span = trace.span,
  current = trace.current,
  continue = trace["continue"],
}

local FLUSH_SECONDS = 10

local runs = false

--- start([opts]) -> boolean. Exports spans from now on, or with other settings than before; see settings.lua.
-- False: the environment has OTEL_SDK_DISABLED=true.
function M.start(opts)
  local settings, problems = require "moonloop.trace.settings".choose(opts, os.getenv)
  for _, problem in ipairs(problems) do trace.report(problem) end
  if settings.disabled then return false end
  local export = require "moonloop.trace.export"
  export.use(settings)
  trace.export({
    parent_based = settings.parent_based,
    ratio = settings.sample,
    queue = settings.queue,
    batch = settings.batch,
    delay = settings.delay,
  }, export.run)
  runs = true
  return true
end

local function check_seconds(name, seconds)
  if seconds == nil then return FLUSH_SECONDS end
  if type(seconds) ~= "number" or seconds < 0 or seconds ~= seconds then
    core.fail(options.wrong("seconds", seconds, "a number of at least 0", name, "argument"))
  end
  return seconds
end

--- flush([seconds]) -> true | nil, err. Sends what waits at once.
function M.flush(seconds)
  seconds = check_seconds("ml.trace.flush", seconds)
  if not runs then return true end
  return require "moonloop.trace.export".flush(seconds)
end

--- stop([seconds]) -> true | nil, err. Flushes, then exports nothing any more.
function M.stop(seconds)
  seconds = check_seconds("ml.trace.stop", seconds)
  if not runs then return true end
  local export = require "moonloop.trace.export"
  local ok, err = export.flush(seconds)
  runs = false
  trace.stop()
  export.close()
  return ok, err
end

--- stats() -> {recorded =, exported =, refused =, dropped =, queued =}: counts of spans.
function M.stats()
  return trace.counts() or { recorded = 0, exported = 0, refused = 0, dropped = 0, queued = 0 }
end

return M
