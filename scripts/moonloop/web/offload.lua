--- Handlers that run on another core, as jobs of the default executor.
local core = require "moonloop.web.core"
local tasks = require "moonloop.core"

local M = {}

local LARGEST = 256 * 1024 -- bytes of a body that is checked on the loop

--- Ends the request with a 503. Unless `wait` is 0, the client is told to try again in `wait` seconds.
function M.refuse(detail, wait)
  error(core.abort(503, detail, wait > 0 and { ["Retry-After"] = tostring(math.ceil(wait)) } or nil), 0)
end

--- How many seconds a request would wait for a worker now. Inside a job there is no wait.
function M.expected_wait()
  local executor = require "moonloop.executor.core"
  return executor.in_worker() and 0 or executor.default():expected_wait()
end

--- Refuses a request that must end by the time `ends` and would wait longer than that for a worker.
local function check_wait(ends)
  if not ends then return end
  local wait = M.expected_wait()
  if wait > ends - tasks.now() then M.refuse("Service Unavailable", wait) end
end

--- Runs in the worker: the handler's results, and whether they are a response, which is copied as a plain
-- table.
local function pack_there(value, status, headers)
  local plain = require("moonloop.web.response").flatten(value)
  return plain or value, status, headers, plain ~= nil
end

--- Calls the handler in the worker.
local function call_there(handler, req, deps)
  local encode = require "moonloop.json".encode
  require "moonloop.web.redirect".job_root = req.root_path
  local session = req.session and encode(req.session) -- a copy
  local value, status, headers = handler(req, deps)
  if session and encode(req.session) ~= session then
    error("the session of an offloaded route is a copy: what is written into it is lost", 0)
  end
  return value, status, headers
end

local function run_there(handler, req, deps) return pack_there(call_there(handler, req, deps)) end

local function unpack_here(value, status, headers, is_response)
  if is_response then setmetatable(value, core.response) end
  return value, status, headers
end

--- A copy of the dependencies' values that can be passed to another state.
local function copied(deps)
  local copy = deps and {}
  for name, value in next, deps or {} do copy[name] = value end
  return copy
end

--- plain(handler, cpu) -> inner(req, deps, ends)
function M.plain(handler, cpu)
  local executor
  return function(req, deps, ends)
    executor = executor or require "moonloop.executor"
    local _, _ = req.body, req.session -- waits for both: a request is copied as a whole
    check_wait(ends)
    return unpack_here(executor.run { run_there, handler, req, copied(deps), cpu = cpu })
  end
end

-- --- with schemas ---

local encoders = {} -- in the worker: answer functions by the definitions' id

--- Decodes in the worker: value | nil, errors.
local function decode_there(definition, text, mode)
  return require "moonloop.schema.core".decode(require "moonloop.web.definition".program(definition), text, mode)
end

--- Runs in the worker. `work` is {name =, body = definition | nil, mode =, answers = definitions | nil, id =}.
-- Returns false and the errors in the body, or true and the results.
local function run_typed(handler, req, deps, work)
  if work.body then
    local value, errors = decode_there(work.body, req.body, work.mode)
    if errors then return false, errors end
    local valid = req.valid or {}
    valid.body, req.valid = value, valid
  end
  if not work.answers then return true, run_there(handler, req, deps) end
  local answer = encoders[work.id]
  if not answer then
    answer = require "moonloop.web.respond".encoder_of(work.answers, work.name)
    encoders[work.id] = answer
  end
  return true, pack_there(answer(call_there(handler, req, deps)))
end

--- typed(route, plan, definitions of answers | nil, name) -> inner(req, deps, ends): checks the request here,
-- but a large body in the worker, which also encodes the answer.
function M.typed(route, plan, answers, name)
  local handler, cpu, schema = route.handler, route.opts.cpu, route.types.body
  local work = { name = name, answers = answers, id = core.new_id(), mode = plan.mode }
  local run = require "moonloop.schema.run"
  local work_with_body, definition
  if schema then
    definition = require "moonloop.web.definition".of(schema)
    work_with_body = { name = name, answers = answers, id = work.id, mode = plan.mode, body = definition }
  end
  local has_checks = schema and run.compiled(schema).checks
  local executor

  --- Errors in all parts, or the work that is left: a body to decode.
  local function check(req)
    local is_large = schema and #req.body > LARGEST and rawget(req.valid or {}, "body") == nil
    if not is_large then
      if plan.check then plan.check(req) end
      return work
    end
    local errors, too_many = plan.check_rest(req, true), core.admit_json(req, req.body)
    if too_many then return plan.merge(req, errors, nil, too_many) end
    if errors or has_checks then
      local value, wrong = executor.run { decode_there, definition, req.body, plan.mode, cpu = cpu }
      return plan.merge(req, errors, value, wrong)
    end
    return work_with_body
  end

  local function settle(is_valid, ...)
    if is_valid then return unpack_here(...) end
    return plan.refuse_body(...)
  end

  return function(req, deps, ends)
    executor = executor or require "moonloop.executor"
    local _, _ = req.body, req.session
    local todo = check(req) or work
    check_wait(ends)
    return settle(executor.run { run_typed, handler, req, copied(deps), todo, cpu = cpu })
  end
end

return M
