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
  gather = require "moonloop.gather",
  race = require "moonloop.race".race,
  any = require "moonloop.race".any,
  wait = require "moonloop.wait".wait,
  as_completed = require "moonloop.wait".as_completed,
  map = require "moonloop.map",
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

--- group() -> group, for `local g <close> = ml.group()`    group(f) -> f's results
-- Leaving the block, or f, waits for all tasks of the group; the first failure cancels the others.
function ml.group(...)
  if select("#", ...) == 0 then return core.group() end
  return core.group_run((...))
end

-- Loaded when they are first used: a script that only sleeps starts without curl and threads.
local lazy = {
  http = "moonloop.http",
  json = "moonloop.json",
  executor = "moonloop.executor",
  web = "moonloop.web",
}

return setmetatable(ml, {
  __index = function(self, key)
    local name = lazy[key]
    if not name then return nil end
    local module = require(name)
    rawset(self, key, module)
    return module
  end,
})
