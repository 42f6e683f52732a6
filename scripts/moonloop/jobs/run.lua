--- One run of a job.
local core = require "moonloop.core"
local json = require "moonloop.json"

local M = {}

local Job = { __name = "moonloop.job" }
Job.__index = Job

--- job:progress(v): a value of JSON, which jobs:get shows while the job runs.
function Job:progress(value)
  local ok, text = pcall(json.encode, value)
  if not ok then core.fail("job:progress: " .. tostring(core.is_error(text) and text.message or text)) end
  self.shown = text
end

--- job:cancelled() -> boolean
function Job:cancelled() return self.is_cancelled or false end

--- The object that a run gets.
function M.job(row)
  return setmetatable({ id = row.id, name = row.name, queue = row.queue, attempt = row.attempt,
    attempts = row.max_attempts }, Job)
end

local function handler(value) return { value = value, traceback = debug.traceback("", 2):gsub("^\n", "") } end

local function call(definition, args, job)
  local f = definition.f
  if definition.offload then
    f = require "moonloop.jobs.offload"
    if definition.timeout then return core.timeout(definition.timeout, f, definition, args, job) end
    return f(definition, args, job)
  end
  if definition.timeout then return core.timeout(definition.timeout, f, args, job) end
  return f(args, job)
end

--- Runs it in this task: "done"; "failed", what it raised or returned, a traceback or nil; or "interrupted" where
-- the task was cancelled, which then must not wait any more.
function M.attempt(definition, args, job)
  local own, ran, value, err = core.catch(xpcall, call, handler, definition, args, job)
  if not own then return "interrupted" end
  if not ran then return "failed", value.value, value.traceback end
  if value == nil and err ~= nil then return "failed", err end
  return "done"
end

return M
