--- ml.process: programs that are started and waited for.
local core = require "moonloop.core"
local feed = require "moonloop.process.feed"
local options = require "moonloop.process.options"
local process_core = require "moonloop.process.core"
local result = require "moonloop.process.result"

local M = {}

--- Runs the program while another task feeds it. A failure of the source ends it.
local function run_and_feed(given, argv, settings)
  local handle <close>, problem = process_core.start(argv, settings, "ml.process.run")
  if not handle then return nil, problem end
  local input, err = handle:stream(0)
  if not input then return nil, err end
  local failure, outcome
  core.group(function(group)
    local feeder = group:spawn(function()
      local _, trouble = feed(input, given.stdin, "ml.process.run")
      if not trouble then return end
      failure = trouble
      handle:stop()
    end)
    outcome = table.pack(handle:finish())
    feeder:cancel()
  end)
  if failure then return nil, failure end
  return result.of(given, settings, table.unpack(outcome, 1, outcome.n))
end

-- What core's run returns.
local function of_run(given, settings, reason, ...)
  if reason == false then return nil, (...) end
  return result.of(given, settings, reason, ...)
end

--- run{program, argument, ..., option = value, ...} -> result | nil, err. Starts a program and waits
-- until it has ended. A cancel ends it first.
function M.run(given)
  local argv, settings = options.read(given, options.of_run, "ml.process.run", "text")
  if settings.ends[1] == "stream" then return run_and_feed(given, argv, settings) end
  return of_run(given, settings, process_core.run(argv, settings))
end

-- --- programs that one talks to ---

local Process = { __name = "process" }
Process.__index = Process

-- What only this file uses of a process: its handle, what it was started with, its feeder.
local private = setmetatable({}, { __mode = "k" })

local function check(self, method)
  return private[self] or core.bad_self(self, "process", method)
end

--- p:wait() -> result | nil, err: when it has ended. May be called again, and by several tasks.
function Process:wait()
  local own = check(self, "wait")
  local outcome = table.pack(own.handle:wait())
  if own.failure then return nil, own.failure end
  return result.of(own.given, own.settings, table.unpack(outcome, 1, outcome.n))
end

--- p:kill([signal]) -> boolean: sends it a signal, "TERM" by default. False if it has ended.
function Process:kill(signal)
  return check(self, "kill").handle:kill(options.signal(signal))
end

--- p:close(): closes its streams and ends it, and waits until it has ended.
function Process:close()
  local own = check(self, "close")
  if own.feeder then own.feeder:cancel() end
  for _, name in ipairs { "stdin", "stdout", "stderr" } do
    if own[name] then own[name]:close() end
  end
  own.handle:close()
end

Process.__close = Process.close

local function start_feeder(own, input)
  own.feeder = core.spawn_for(3, function()
    local _, problem = feed(input, own.given.stdin, "ml.process.spawn")
    if not problem then return end
    own.failure = problem
    own.handle:stop()
  end)
end

--- The streams of the program's standard descriptors, by their names; or nil and an error.
local function open_streams(handle)
  local streams = {}
  for i, name in ipairs { "stdin", "stdout", "stderr" } do
    local stream, err = handle:stream(i - 1)
    if err then
      for _, open in pairs(streams) do open:close() end
      handle:close()
      return nil, err
    end
    streams[name] = stream
  end
  return streams
end

--- spawn{program, argument, ..., option = value, ...} -> process | nil, err. Starts a program, which is
-- ended when the process is closed.
function M.spawn(given)
  local argv, settings = options.read(given, options.of_spawn, "ml.process.spawn", "stream")
  settings.keep_group = true
  local handle, err = process_core.start(argv, settings)
  if not handle then return nil, err end
  local streams
  streams, err = open_streams(handle)
  if not streams then return nil, err end
  local own = { handle = handle, given = given, settings = settings, stdin = streams.stdin,
    stdout = streams.stdout, stderr = streams.stderr }
  if given.stdin and streams.stdin then
    start_feeder(own, streams.stdin)
    streams.stdin = nil
  end
  streams.pid = handle:pid()
  local p = setmetatable(streams, Process)
  private[p] = own
  return p
end

return M
