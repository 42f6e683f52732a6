--- The `moonloop` module: what `require "moonloop"` gives.
local core = require "moonloop.core"
local inspect = require "moonloop.inspect"

local ml = {
  sleep = core.sleep,
  now = core.now,
  spawn = core.spawn,
  current = core.current,
  timeout = core.timeout,
  is_error = core.is_error,
  tasks = inspect.live,
  dump = inspect.dump,
  gather = require "moonloop.core.gather",
  race = require "moonloop.core.race".race,
  any = require "moonloop.core.race".any,
  wait = require "moonloop.core.wait".wait,
  as_completed = require "moonloop.core.wait".as_completed,
  map = require "moonloop.core.map",
  group = core.group,
  deadline = core.deadline,
  shield = core.shield,
  catch = core.catch,
  future = core.future,
  event = core.event,
  semaphore = core.semaphore,
  lock = core.lock,
  queue = core.queue,
  var = core.var,
}

-- Loaded on first use: a script that only sleeps starts without clients and threads.
local lazy = {
  fs = "moonloop.fs",
  http = "moonloop.http",
  jobs = "moonloop.jobs",
  json = "moonloop.json",
  log = "moonloop.log",
  executor = "moonloop.executor",
  web = "moonloop.web",
  ws = "moonloop.websocket",
  schema = "moonloop.schema",
  settings = "moonloop.settings",
  jwt = "moonloop.jwt",
  metrics = "moonloop.metrics",
  net = "moonloop.net",
  password = "moonloop.password",
  process = "moonloop.process",
  redis = "moonloop.redis",
  sql = "moonloop.sql",
  time = "moonloop.time",
  trace = "moonloop.trace",
  every = "moonloop.time.every",
  signal = "moonloop.core.signal",
}

return setmetatable(ml, {
  __names = lazy, -- for the prompt
  __index = function(self, key)
    local name = lazy[key]
    if not name then return nil end
    local module = require(name)
    rawset(self, key, module)
    return module
  end,
})
