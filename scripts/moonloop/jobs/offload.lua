--- Jobs that run on another core.
local executor = require "moonloop.executor"

-- In the worker's state: the object that the run gets there.
local function run_there(f, args, about)
  local current = require "moonloop.executor".current()
  local job = about
  function job.progress(_, value) current:progress(value) end
  function job.cancelled() return current:cancelled() end
  local value, err = f(args, job) -- no tail call, which a traceback would show
  return value, err
end

--- Runs a job there, and passes its progress on.
return function(definition, args, job)
  local about = { id = job.id, name = job.name, queue = job.queue, attempt = job.attempt, attempts = job.attempts }
  local call = executor.start { run_there, definition.f, args, about, cpu = definition.cpu }
  local _ <close> = setmetatable({}, { __close = function() call:cancel() end })
  for value in call:progress() do job:progress(value) end
  return call:await()
end
