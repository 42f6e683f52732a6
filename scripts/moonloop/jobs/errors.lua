--- What is kept of the error of a run.
local core = require "moonloop.core"
local json = require "moonloop.json"
local reconnect = require "moonloop.core.reconnect"

local MESSAGE, WHOLE = 2048, 8192 -- bytes
local AGAIN = 60 -- seconds until the same complaint is made again

local M = {}

--- Text that every database takes: cut, valid UTF-8, without NUL.
local function clean(text, size)
  if #text > size then text = text:sub(1, size - 3) .. "..." end
  text = text:gsub("%z", "?")
  local parts, at = {}, 1
  while true do
    local valid, bad = utf8.len(text, at)
    if valid then break end
    parts[#parts + 1] = text:sub(at, bad - 1)
    at = bad + 1
  end
  parts[#parts + 1] = text:sub(at)
  return table.concat(parts, "?")
end

--- The message of whatever was raised. What it says of itself may be anything, and raise.
function M.message(value)
  if core.is_error(value) and type(value.message) == "string" then return value.message end
  if type(value) == "table" and getmetatable(value) == nil then
    local ok, text = pcall(json.encode, value)
    if ok then return text end
  end
  return core.error_text(value)
end

--- The code of what was raised, and the texts of its causes; or nil for either.
function M.code_and_cause(value)
  if not core.is_error(value) then return nil end
  local code, causes = value.code, core.error_causes(value)
  return code ~= nil and clean(core.error_text(code), MESSAGE) or nil, causes and clean(causes, MESSAGE)
end

--- The kind of an error object, nil for what is none.
function M.kind(value)
  local kind = core.is_error(value) and value.kind
  return type(kind) == "string" and clean(kind, MESSAGE) or nil
end

--- The entry of a run that has failed, for the list of a job: {attempt, at, message, kind, traceback}.
function M.entry(attempt, at, value, traceback)
  local message = clean(M.message(value), MESSAGE)
  return {
    attempt = attempt, at = at, message = message, kind = M.kind(value),
    traceback = traceback and clean(traceback, WHOLE - #message) or nil,
  }
end

--- Says something on standard error.
function M.say(format, ...) require "moonloop.signals".say("warn", format:format(...)) end

--- The database does not answer a worker as it should. One that was closed never will: the worker ends, and the next
-- wait of its tasks raises.
function M.complain(worker, err)
  if worker.jobs.db:stats().closed then
    worker.task:cancel "its database was closed"
    return
  end
  local message = M.message(err)
  local now = core.now()
  if worker.complaint == message and now - worker.complained < AGAIN then return end
  worker.complaint, worker.complained = message, now
  M.say("a worker of jobs cannot use its database, and goes on trying: %s", message)
end

local function is_passing(err, worker)
  M.complain(worker, err)
  return true
end

--- Calls f(worker, ...), "value or nil, err", until the database answers: the value.
function M.insist(worker, f, ...) return reconnect(f, is_passing, worker, ...) end

return M
