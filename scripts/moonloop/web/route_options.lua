--- The options of a route: their checks, and the handler as they change it.
local core = require "moonloop.web.core"
local dependency = require "moonloop.web.dependency"
local openapi_options = require "moonloop.web.openapi_options"
local options = require "moonloop.core.options"
local tasks = require "moonloop.core"

local fail = tasks.fail
local core_spawn = tasks.spawn

local M = {}

--- The expected value, or nil if `list` is a list of functions.
local function check_functions(value)
  local is_list = type(value) == "table" and not tasks.is_callable(value)
  for _, f in pairs(is_list and value or {}) do is_list = is_list and tasks.is_callable(f) end
  if not is_list then return "a list of functions" end
end

local OPTIONS = { use = check_functions, offload = "boolean", cpu = "number", slice = "number",
  deadline = "number", max_body = function(value) return core.limit("max_body", value) or nil end,
  -- what comes in and goes out: see typed.lua
  body = true, query = true, params = true, headers = true, cookies = true, form = true, response = true,
  depends = "table" }
for name, types in pairs(openapi_options.route) do OPTIONS[name] = types end

--- The names, and what is checked of each.
M.known = OPTIONS

local TYPES = { "body", "query", "params", "headers", "cookies", "form", "response" }

--- Raises what is wrong with the options of a route. Returns its schemas, if it has any.
function M.check(opts)
  options.check(opts, OPTIONS, "a route")
  for _, name in ipairs { "cpu", "slice", "deadline" } do
    local seconds = opts[name]
    if seconds and (seconds <= 0 or seconds ~= seconds) then
      fail(options.wrong(name, seconds, "a positive number of seconds", "a route"))
    end
  end
  if opts.depends then dependency.check(opts.depends, "depends of a route") end
  for _, name in ipairs(TYPES) do
    if opts[name] ~= nil then return require "moonloop.web.typed".types(opts) end
  end
end

--- A handler with a budget of CPU seconds.
function M.limited(handler, cpu)
  return function(req) return core_spawn({ handler, req, cpu = cpu }):await() end
end

--- Applies the deadline to the stream of a response, if it has one.
local function bound_stream(ends, first, ...)
  local stream = getmetatable(first) == core.response and rawget(first, "stream")
  if stream then
    first = require "moonloop.web.own_response"(first) -- the handler may return its object again
    rawset(first, "stream", function(out)
      local limit
      local _ <close> = setmetatable({}, { __close = function(_, err)
        if limit.expired and tasks.is_error(err) and err.kind == "timeout" then -- a 503, if nothing has been sent
          rawset(err, "status", 503)
          rawset(err, "detail", "Deadline Exceeded")
        end
      end })
      local bound <close> = tasks.deadline(math.max(0, ends - tasks.now()))
      limit = bound
      stream(out)
    end)
  end
  return first, ...
end

--- Runs the handler until its time is over.
local function run_until(ends, handler, ...)
  local _ <close> = tasks.expire(ends - tasks.now(), "the deadline of the request")
  return handler(...)
end

--- Waits for the end of the handler's task. When the request is cancelled, and the task with it, an error
-- in its clean-up is raised instead of the cancel.
local function wait_for(task)
  local wait = require "moonloop.core.wait".wait
  local ok, err = tasks.catch(wait, { task })
  if ok then return end
  tasks.shield(wait, { task })
  if task:status() == "failed" then task:await() end
  error(err, 0)
end

--- A handler with a time limit in seconds. When the time is over, the handler is cancelled with all that
-- it started, and after their clean-up the client gets a 503, or its streamed response is cut short.
-- With `is_offloaded` the handler is told the time of the end, as its third argument, and a client that came
-- while all workers were busy is told when to come again.
local function with_deadline(handler, seconds, is_offloaded)
  return function(req)
    local ends = tasks.now() + seconds
    local task
    if is_offloaded then
      task = core_spawn(run_until, ends, handler, req, nil, ends)
    else
      task = core_spawn(run_until, ends, handler, req)
    end
    wait_for(task)
    if task:status() == "cancelled" and tasks.now() >= ends then
      local offload = require "moonloop.web.offload"
      offload.refuse("Deadline Exceeded", is_offloaded and offload.expected_wait() or 0)
    end
    return bound_stream(ends, task:await())
  end
end

--- The handler of the route as it is served at `place` (site.lua): what its options make of it. Raises what
-- is wrong with its schemas.
--
-- @param wrap function(handler) -> the handler with its dependencies, or nil
function M.build(route, place, wrap)
  local opts, handler, begin = route.opts, route.handler, nil
  -- Inside, a handler is inner(req, deps, ends): `ends` is the time of the deadline, for an offloaded one.
  if route.types then
    handler, begin = require "moonloop.web.typed".inner(route, place, wrap ~= nil)
  elseif opts.offload then
    handler = require "moonloop.web.offload".plain(handler, opts.cpu)
  end
  if wrap then handler = wrap(handler) end
  if wrap and begin then
    local wrapped = handler
    handler = function(req, deps, ends)
      begin(req)
      return wrapped(req, deps, ends)
    end
  end
  if route.check then -- a WebSocket's
    local inner, check = handler, route.check
    handler = function(req)
      check(req)
      return inner(req)
    end
  end
  if opts.deadline then handler = with_deadline(handler, opts.deadline, opts.offload) end
  return handler
end

return M
