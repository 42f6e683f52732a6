--- One run of a job.
local core = require "moonloop.core"
local errors = require "moonloop.jobs.errors"
local json = require "moonloop.json"
local bound = require "moonloop.log.bound"
local log = require "moonloop.log.core"
local metrics = require "moonloop.metrics.core"
local observed_job = require "moonloop.observed_job"
local trace = require "moonloop.trace.core"

local M = {}

local Job = { __name = "moonloop.job" }
Job.__index = Job

--- job:progress(v): a value of JSON, which jobs:get shows while the job runs.
function Job:progress(value)
  local ok, text = pcall(json.encode, value)
  if not ok then core.fail("job:progress: " .. errors.message(text)) end
  self.shown = text
end

--- job:cancelled() -> boolean: is it being cancelled, or is its `timeout` over? True while the loop computes, too.
function Job:cancelled()
  if self.is_cancelled then return true end
  local listen = self.worker and self.worker.listen
  if listen then listen() end
  return self.is_cancelled or M.is_late(self)
end

--- Is its time over?
function M.is_late(job) return job.ends ~= nil and core.now() > job.ends end

--- The object that a run gets.
function M.job(row)
  return setmetatable({ id = row.id, name = row.name, queue = row.queue, attempt = row.attempt,
    attempts = row.max_attempts }, Job)
end

-- Where an error was raised; what is below the call of the function is not the script's.
local function handler(value)
  local text = core.origin(value) or debug.traceback(nil, 2)
  local own = text:find "\n\t%[C%]: in function 'xpcall'\n\t%[C%]: in function '[%w.]*catch'" -- by either name
  if own then text = text:sub(1, own - 1) end
  return { value = value, traceback = (text:gsub("\n\t%(%.%.%.tail calls%.%.%.%)$", "")) } -- those of `call`
end

-- A budget of CPU time is that of a task: this one has to write down what became of the run.
local function with_budget(definition, args, job)
  local task = core.spawn { definition.f, args, job, cpu = definition.cpu }
  task.name = "job " .. job.name
  local _ <close> = setmetatable({}, { __close = function() task:cancel() end })
  return task:await()
end

local function call(definition, args, job)
  local f = definition.f
  job.ends = definition.timeout and core.now() + definition.timeout
  if definition.offload or definition.cpu then
    f = definition.offload and require "moonloop.jobs.offload" or with_budget
    if definition.timeout then return core.timeout(definition.timeout, f, definition, args, job) end
    return f(definition, args, job)
  end
  if definition.timeout then return core.timeout(definition.timeout, f, args, job) end
  return f(args, job)
end

--- Calls f(...): what is logged meanwhile has the id, the name and the queue of the job.
function M.logged(row, f, ...)
  local fields = log.bind_context(bound:get(), "job_id", row.id, "job", row.name, "queue", row.queue)
  return bound:with(fields, f, ...)
end

--- Tells observers that a run begins in this task: what `ended` takes.
function M.began(row)
  metrics.message(false, row.queue, row.name)
  return observed_job.began {
    name = row.name, queue = row.queue, attempt = row.attempt, id = tostring(row.id), parent = row.trace,
    waited = math.max(0, row.waited),
  }
end

-- The error of a run, in its span, as ml.trace.span notes one.
local function note_error(value, traceback)
  local span = trace.current()
  if not span:recorded() then return end
  local kind = errors.kind(value) or type(value) == "string" and "error" or type(value)
  local message = errors.message(value)
  span:event("exception", { ["exception.type"] = kind, ["exception.message"] = message,
    ["exception.stacktrace"] = traceback })
  span:set("error.type", kind):status("error", message)
end

--- Tells observers what became of a run: `observed` is what `began` gave, `value` and `traceback` are those of
-- `attempt`.
function M.ended(observed, outcome, value, traceback)
  if not observed then return end
  if outcome == "failed" or outcome == "dead" then note_error(value, traceback) end
  observed:ended(outcome)
end

--- Runs the job of a record (feed.lua) in this task: "done"; "failed", what it raised or returned, a traceback or
-- nil; or "interrupted" where the task was cancelled, which then must not wait any more.
function M.attempt(record)
  if record.bad_args then return "failed", record.bad_args end
  local own, ran, value, err = core.catch(xpcall, call, handler, record.definition, record.args, record.job)
  if not own then return "interrupted" end
  if not ran then return "failed", value.value, value.traceback end
  if value == nil and err ~= nil then return "failed", err end
  if M.is_late(record.job) then -- it has computed, and nothing could end it
    return "failed", core.error { kind = "timeout",
      message = ("not finished after %g s"):format(record.definition.timeout) }
  end
  return "done"
end

return M
