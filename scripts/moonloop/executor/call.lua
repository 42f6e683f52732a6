--- What pool:start returns: a job under way, its progress and its outcome.
local check_function = require "moonloop.executor.check"
local core = require "moonloop.executor.core"
local tasks = require "moonloop.core"

local Call = {}
Call.__index = Call

local function check_call(call, method)
  if getmetatable(call) ~= Call then tasks.bad_self(call, "call", method) end
end

--- call:progress() -> iterator, for `for v in call:progress() do`: what the job sends with
-- job:progress(v), in order, until the job has ended. Leaving the loop early drops the rest.
function Call:progress()
  check_call(self, "progress")
  self.is_read = true
  return self.line.take, self.line, nil, self.line
end

--- call:await() -> the job's results; raises its error. Unless call:progress was called before, progress
-- is dropped from then on.
function Call:await()
  check_call(self, "await")
  if not self.is_read then self.line:discard() end
  return self.task:await()
end

--- call:cancel([reason]) -> boolean: as task:cancel; false if the job had already ended.
function Call:cancel(reason)
  check_call(self, "cancel")
  return self.task:cancel(reason)
end

--- call:status() -> string: as task:status.
function Call:status()
  check_call(self, "status")
  return self.task:status()
end

--- start(pool, f, ...) -> call    start(pool, {f, ..., cpu = seconds})
-- Copies f and its arguments now and runs them on the pool. The child task that waits for the job is
-- call.task; its outcome is the job's.
local function start(pool, ...)
  check_function("pool:start", ...)
  local line = core.progress()
  local prepared = core.prepare(pool, line, ...)
  local task = tasks.spawn_for(2, core.run_prepared, pool, prepared)
  core.follow(prepared, task)
  return setmetatable({ task = task, line = line, is_read = false }, Call)
end

return start
