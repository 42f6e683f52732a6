--- What pool:start returns: a job under way, its progress and its outcome.
local core = require "moonloop.executor.core"
local tasks = require "moonloop.core"

local Call = {}
Call.__index = Call

--- call:progress() -> iterator, for `for v in call:progress() do`: what the job sends with
-- job:progress(v), in order, until the job has ended. Leaving the loop early drops the rest.
function Call:progress()
  self.is_read = true
  return self.line.take, self.line, nil, self.line
end

--- call:await() -> the job's results; raises its error. Progress that nobody has asked for with
-- call:progress is dropped from then on.
function Call:await()
  if not self.is_read then self.line:discard() end
  return self.task:await()
end

--- call:cancel([reason]) -> boolean: as of a task; false if the job had ended.
function Call:cancel(reason)
  return self.task:cancel(reason)
end

--- call:status() -> string: as of a task.
function Call:status()
  return self.task:status()
end

--- start(pool, f, ...) -> call    start(pool, {f, ..., cpu = seconds})
-- Copies f and its arguments now and runs them on the pool, in a child task of the caller, which is
-- call.task. That task's outcome is the job's.
local function start(pool, ...)
  local line = core.progress()
  local prepared = core.prepare(pool, line, ...)
  local task = tasks.spawn_for(2, core.run_prepared, pool, prepared)
  core.follow(prepared, task)
  return setmetatable({ task = task, line = line, is_read = false }, Call)
end

return start
