--- The options of a route: what they may be, and what they make of its handler.
local core = require "moonloop.web.core"
local tasks = require "moonloop.core"
local core_spawn = tasks.spawn

local M = {}

local OPTIONS = { offload = "boolean", max_body = "number", cpu = "number", slice = "number",
  deadline = "number", summary = "string", tags = "table" }

--- Raises what is wrong with the options of a route, `level` calls further up.
function M.check(opts, level)
  level = level + 1
  if type(opts) ~= "table" then
    error("the options of a route are a " .. type(opts) .. " (expected a table)", level)
  end
  for name, value in pairs(opts) do
    local wanted = OPTIONS[name]
    if not wanted then
      error("unknown option '" .. tostring(name) .. "' of a route", level)
    end
    local given = math.type(value) == "integer" and wanted == "integer" and wanted or type(value)
    if given ~= wanted then
      error("option '" .. name .. "' of a route is a " .. given .. " (expected " .. wanted .. ")",
        level)
    end
  end
  for _, name in ipairs { "cpu", "slice", "deadline" } do
    local seconds = opts[name]
    if seconds and (seconds <= 0 or seconds ~= seconds) then
      error("option '" .. name .. "' of a route is not a positive number of seconds", level)
    end
  end
  local expected = opts.max_body and core.limit("max_body", opts.max_body)
  if expected then
    error("option 'max_body' of a route is " .. opts.max_body .. " (expected " .. expected .. ")", level)
  end
end

--- A handler with a budget of CPU seconds.
function M.limited(handler, cpu)
  return function(req) return core_spawn({ handler, req, cpu = cpu }):await() end
end

--- Runs in the worker: what the handler returns, and whether it is a response, which crosses as a plain
-- table.
local function run_there(handler, req)
  local value, status, headers = handler(req)
  local plain = require("moonloop.web.response").flatten(value)
  return plain or value, status, headers, plain ~= nil
end

local function unpack_here(value, status, headers, is_response)
  if is_response then setmetatable(value, core.response) end
  return value, status, headers
end

--- Ends the request with a 503. The client may try again in `wait` seconds, if that is not 0.
local function refuse(detail, wait)
  local err = core.abort(503, detail)
  if wait > 0 then err.headers = { ["Retry-After"] = tostring(math.ceil(wait)) } end
  error(err, 0)
end

--- How many seconds a request would wait for a worker now. In a job nothing waits for one.
local function expected_wait()
  local executor = require "moonloop.executor.core"
  return executor.in_worker() and 0 or executor.default():expected_wait()
end

--- A handler that runs on another core, as a job of the default executor. Where the request has to
-- be over at the time `ends` and would wait for a worker for longer, it is refused at once.
local function offloaded(handler, cpu)
  local executor
  return function(req, ends)
    executor = executor or require "moonloop.executor"
    local _ = req.body -- waits for it: a request crosses as a whole
    if ends then
      local wait = expected_wait()
      if wait > ends - tasks.now() then refuse("Service Unavailable", wait) end
    end
    return unpack_here(executor.run { run_there, handler, req, cpu = cpu })
  end
end

--- Bounds the stream of a response, if it has one, by the time at which the deadline is over.
local function bound_stream(ends, first, ...)
  local stream = getmetatable(first) == core.response and rawget(first, "stream")
  if stream then
    rawset(first, "stream", function(out)
      local _ <close> = tasks.deadline(math.max(0, ends - tasks.now()))
      stream(out)
    end)
  end
  return first, ...
end

--- A handler that has so many seconds. Then it is cancelled with all that it started, and when their
-- cleanup is over the client gets a 503, or its streamed response is broken off. With `is_offloaded`
-- the handler is told when that is, and a client that came when all workers were busy when to come
-- again.
local function with_deadline(handler, seconds, is_offloaded)
  local wait = require "moonloop.wait".wait
  return function(req)
    local ends = tasks.now() + seconds
    local task = is_offloaded and core_spawn(handler, req, ends) or core_spawn(handler, req)
    if #wait({ task }, { timeout = seconds }) == 0 and task:cancel("the deadline of the request") then
      wait { task }
      if task:status() == "cancelled" then
        refuse("Deadline Exceeded", is_offloaded and expected_wait() or 0)
      end
    end
    return bound_stream(ends, task:await())
  end
end

--- The handler as its options want it run.
function M.apply(opts, handler)
  if opts.offload then handler = offloaded(handler, opts.cpu) end
  if opts.deadline then handler = with_deadline(handler, opts.deadline, opts.offload) end
  return handler
end

return M
