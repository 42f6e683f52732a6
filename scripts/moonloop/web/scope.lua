--- Runs the dependencies of a request: opens them, hands them to the handler, and cleans up.
local core = require "moonloop.web.core"
local handing = require "moonloop.core.handing"
local items = require "moonloop.core.items"
local plans = require "moonloop.web.plan"
local put_off = require "moonloop.web.tail".put_off
local tasks = require "moonloop.core"

local fail, shield_for = tasks.fail, tasks.shield_for
local overrides, response, settle = plans.overrides, core.response, core.settle

local CLEANUP_LIMIT = 5 -- seconds for each function that cleans up

local M = {}

--- What a function that needs nothing gets.
local NOTHING = setmetatable({}, {
  __index = function(_, key)
    fail(("deps.%s: this dependency needs nothing: put what it uses into its 'needs'"):format(tostring(key)))
  end,
  __newindex = function() fail "deps: this dependency needs nothing, and its table cannot be changed" end,
})

--- The metatable of tables whose dependencies have ended.
local ENDED = { __index = function(_, key)
  fail(("deps.%s: the dependencies of this request have ended (what goes on longer has to keep what it needs, " ..
    "or to open its own with app:scope)"):format(tostring(key)))
end }

-- What is open for a request. As a list it has the functions that clean up and their steps in turn, in the order in
-- which they came; `n` is its length. Fields: `plan`, `req`; `deps`, the table of the handler; `given`, a list of
-- those of the dependencies; `lasting`, a list like the first for those that clean up after the response; `cleaned`,
-- if the response is a stream, the steps that are over; `is_done`, the handler has returned; `err`, why the request
-- failed; `vars`, the variables of the task where it was opened, once that is over; where dependencies are opened at
-- the same time, `values` by the places of their steps, and `made`, the variables of their tasks. What is not there
-- is nil or false.
local Run = {}

-- Those that are over are used again.
local spare, n_spare, MOST_SPARE = {}, 0, 64

local function new_run()
  return setmetatable({ n = 0, plan = false, req = false, deps = false, given = false, lasting = false,
    cleaned = false, is_done = false }, Run)
end

-- --- clean-up ---

--- Raises the error that a function that cleans up has returned.
local function fail_clean(step, why, is_late)
  if is_late == true then
    why = tasks.error { kind = "timeout", cause = why,
      message = ("the clean-up of %s (%s) is not finished after %d s"):format(tostring(step.dep),
        step.dep.site or "?", CLEANUP_LIMIT) }
  end
  error(why, 0)
end

--- Calls a function that cleans up. A cancel from outside has to wait for it.
local function clean(cleanup, step, err)
  local value, why, is_late = shield_for(CLEANUP_LIMIT, cleanup, err)
  if value == nil and why ~= nil then fail_clean(step, why, is_late) end
end

--- The same where another error is under way, or nobody waits for the outcome: reports a failure, and returns it.
local function clean_after(run, cleanup, step, err)
  local trace
  local function note(failure)
    trace = debug.traceback(nil, 2)
    return failure
  end
  local ok, failure = xpcall(clean, note, cleanup, step, err)
  if ok or rawequal(failure, err) then return nil end
  core.report(run.req or nil, failure, trace, ("the clean-up of %s (%s)"):format(tostring(step.dep),
    step.dep.site or "?"))
  return failure
end

--- Nobody can use the table any more.
local function end_table(deps)
  for name in next, deps do deps[name] = nil end
  setmetatable(deps, ENDED)
end

local function end_tables(run)
  local deps, given, clear = run.deps, run.given, run.plan.clear
  if deps and clear then
    clear(deps)
    setmetatable(deps, ENDED)
  elseif deps then
    end_table(deps)
  end
  if given then
    for i = 1, #given do end_table(given[i]) end
  end
end

--- The stream of the response goes on without those that were cleaned up.
local function end_some(run)
  local deps, names, plan = run.deps, run.plan.names, run.plan
  local ended = {}
  for i = 1, #names, 2 do
    if run.cleaned[plan.steps[names[i + 1]]] then
      deps[names[i]] = nil
      ended[names[i]] = true
    end
  end
  setmetatable(deps, { __index = function(_, key)
    if not ended[key] then return plan.class.__index(deps, key) end
    fail(("deps.%s: it has ended with the handler (for a stream it needs scope = 'response')"):format(key))
  end })
end

--- The running task gets what the tasks that opened something have in their variables.
local function take_made(run)
  local made = run.made
  run.made = nil
  for _, values in ipairs(made) do handing.take(values, made.before) end
end

--- Cleans up in reverse, after an error or while there is none: then the first failure is raised, and the rest,
-- which is left in the list, has to be cleaned up after it.
local function clean_all(run, err)
  repeat
    local n = run.n
    local cleanup, step = run[n - 1], run[n]
    run[n - 1], run[n], run.n = false, false, n - 2
    if run.cleaned then run.cleaned[step] = true end
    if err == nil then
      clean(cleanup, step)
    else
      clean_after(run, cleanup, step, err)
    end
  until n == 2
end

--- The block of the handler is over.
function Run.__close(run, err)
  if err == nil then
    err = run.err
    if err == nil and not run.is_done then err = "nil was raised" end -- what failed is not to be committed
  end
  if run.err == nil then run.err = err end
  if run.made then take_made(run) end
  if run.n > 0 then
    local _ <close> = run -- goes on with the rest where one raises, and comes here again in any case
    clean_all(run, err)
    return
  end
  local goes_on = run.cleaned and err == nil
  if goes_on then end_some(run) end
  if goes_on or run.lasting then
    run.vars = tasks.vars()
    return
  end
  end_tables(run)
  if n_spare == MOST_SPARE or err ~= nil or run.cleaned or run.values then return end
  n_spare = n_spare + 1
  spare[n_spare] = run
  run.req, run.deps, run.given, run.is_done = false, false, false, false
end

--- The response is over.
local function end_lasting(run)
  local list, err = run.lasting, run.err
  handing.take(run.vars)
  for i = #list, 2, -2 do
    local failure = clean_after(run, list[i - 1], list[i], err)
    if err == nil then err = failure end
  end
  end_tables(run)
end

-- --- opening ---

--- Notes the second value of a dependency.
local function keep(run, step, value, cleanup)
  if type(cleanup) ~= "function" then
    if value == nil then error(cleanup, 0) end
    error(("%s (%s) returned a second value that is a %s (expected a function that cleans up, or nothing)"):format(
      tostring(step.dep), step.dep.site or "?", type(cleanup)), 0)
  end
  if step.lasts and run.req and (run.lasting or put_off(function() end_lasting(run) end)) then
    local list = run.lasting or {}
    list[#list + 1] = cleanup
    list[#list + 1] = step
    run.lasting = list
    return
  end
  local n = run.n + 2
  run[n - 1], run[n], run.n = cleanup, step, n
end

--- Notes a table that was given to a dependency.
local function note(run, deps)
  local given = run.given
  if given then
    given[#given + 1] = deps
  else
    run.given = { deps }
  end
end

--- The table with the values at the places in `names`.
local function table_of(values, names, class)
  local deps = {}
  for i = 1, #names, 2 do deps[names[i]] = values[names[i + 1]] end
  return setmetatable(deps, class)
end

local function open_step(run, step, req)
  local given = NOTHING
  if step.needs then
    given = table_of(run.values, step.needs, step.class)
    note(run, given)
  end
  local value, cleanup = step.f(req, given)
  if cleanup ~= nil then keep(run, step, value, cleanup) end
  run.values[step.at] = value
end

local function open_apart(run, step, req)
  open_step(run, step, req)
  table.insert(run.made, tasks.vars() or nil)
end

--- Does the error only say what the client gets?
local function is_answer(err)
  local status = tasks.is_error(err) and rawget(err, "status")
  return math.type(status) == "integer" and status < 500
end

--- As ml.gather. But where several steps refuse the request, it gets the answer of the first one, and the
-- others have not failed.
local function gather(calls, stage, req)
  local started, owned = items.start(calls, #calls, 4)
  local failed = tasks.join(started, #calls, "error", owned)
  if not failed then return end
  for i, task in ipairs(started) do
    if i ~= failed and task:status() == "failed" then
      local _, err, trace = tasks.outcome(task)
      if not is_answer(err) then
        core.report(req, err, trace, ("%s (%s)"):format(tostring(stage[i].dep), stage[i].dep.site or "?"))
      end
    end
  end
  started[failed]:await()
end

--- Opens the steps that may run at once.
local function open_stage(run, stage, req)
  if not stage[2] then return open_step(run, stage[1], req) end
  local calls = {}
  run.made = { before = tasks.vars() }
  for i, step in ipairs(stage) do calls[i] = { open_apart, run, step, req } end
  gather(calls, stage, req)
  take_made(run)
end

--- Opens a plan whose steps do not run one after the other; returns the table for the handler.
local function open_stages(run, req)
  local plan = run.plan
  run.values = {}
  for _, stage in ipairs(plan.stages) do open_stage(run, stage, req) end
  return table_of(run.values, plan.names, plan.class)
end

-- --- requests ---

local Streaming = { __close = function(streaming, err)
  local run = streaming.run
  if run.err == nil then run.err = err end
  if not run.lasting then end_tables(run) end
end }

--- If the response is a stream, it goes on after the handler: what it needs stays open for it. Returns the response
-- to be sent.
local function follow(run, res)
  local stream = rawget(res, "stream")
  if not stream then return res end
  run.cleaned = {}
  res = require "moonloop.web.own_response"(res) -- the handler may return its object again
  rawset(res, "stream", function(out)
    handing.take(run.vars)
    local _ <close> = setmetatable({ run = run }, Streaming)
    stream(out)
  end)
  return res
end

--- The results of a handler where nothing is cleaned up.
local function finish(run, value, status, headers)
  run.is_done = true
  if getmetatable(value) == response then
    value = follow(run, value)
  elseif value == nil and status ~= nil and type(status) ~= "number" then
    run.err = status
  end
  if status == nil and headers == nil then return value end
  return value, status, headers
end

--- The same where something is: what is wrong with the results is an error for the clean-up.
local function finish_checked(run, ok, res)
  if not ok then error(res, 0) end
  run.is_done = true
  if rawget(res, "stream") then res = follow(run, res) end
  if rawget(res, "file") then rawset(res, "_checked", nil) end -- what it is made into has to be checked
  return res
end

--- wrap(record, inner, name) -> a handler that runs inner(req, deps, ...) with dependencies.
--
-- @param record of plan.of_app
-- @param name of the handler, for messages
function M.wrap(record, inner, name)
  return function(req, _, ends)
    local plan = record.version == overrides.version and record.plan or record.renew()
    local run <close> = spare[n_spare] or new_run()
    if n_spare > 0 then n_spare = n_spare - 1 end
    run.plan, run.req = plan, req
    local open = plan.open
    local deps = open and open(run, req, keep, note, NOTHING) or open_stages(run, req)
    run.deps = deps
    if run.n > 0 then return finish_checked(run, pcall(settle, name, inner(req, deps, ends))) end
    return finish(run, inner(req, deps, ends))
  end
end

-- --- upgrades ---

--- What has been opened for a response 101, until its function takes it over.
local Held = { __close = function(held, err)
  local run = held.run
  held.run = nil
  if run then Run.__close(run, err) end
end }

--- The same as M.wrap for inner(req, deps) -> a response 101: all stays open until the function of that has ended,
-- or something else has been sent in its place.
function M.wrap_upgrade(record, inner)
  return function(req)
    local plan = record.version == overrides.version and record.plan or record.renew()
    local run = new_run()
    local held <close> = setmetatable({ run = run }, Held)
    run.plan, run.req = plan, req
    run.deps = plan.open and plan.open(run, req, keep, note, NOTHING) or open_stages(run, req)
    local res = inner(req, run.deps)
    local f = rawget(res, "_upgrade")
    local waits = setmetatable({ run = run }, Held)
    run.vars = tasks.vars()
    if run.n > 0 then
      put_off(function()
        if waits.run then handing.take(waits.run.vars) end
        Held.__close(waits, tasks.error { kind = "closed", message = "the WebSocket was not opened" })
      end)
    end
    held.run = nil
    rawset(res, "_upgrade", function(ws)
      local mine <close> = waits.run
      waits.run = nil
      handing.take(mine.vars)
      local value, err = f(ws)
      mine.is_done = true
      if value == nil and err ~= nil and not (tasks.is_error(err) and err.kind == "closed") then mine.err = err end
      return value, err
    end)
    return res
  end
end

-- --- outside of requests ---

local function finish_alone(run, ...)
  local value, err = ...
  run.is_done = true
  if value == nil then run.err = err end
  return ...
end

--- Opens what the table `needs` names, calls f(deps), and cleans up: what f returns. Where that is nil and an
-- error, the functions that clean up get it.
function M.scope(app, needs, f)
  local plan = plans.of_app(app, { needs }, "app:scope", true).plan
  local run <close> = new_run()
  run.plan = plan
  local deps = open_stages(run, nil)
  run.deps = deps
  return finish_alone(run, f(deps))
end

return M
