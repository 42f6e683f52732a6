--- Jobs in SQLite: the same functions as postgres.lua has. The database's clock is the machine's; moments are
-- seconds since 1970.
local json = require "moonloop.json"
local texts = require "moonloop.jobs.texts"
local time = require "moonloop.time"

local run = texts.run

local M = { LOWEST = 0 }

local MINE = "worker = {worker} and state = 'running'"

local COLUMNS_OF_RUN = "id, name, queue, priority, attempt, max_attempts, cancelled, unique_key, trace, "
  .. "{now} - coalesce(run_at, pushed_at) as waited, "

local LOST = [[
select id from moonloop_jobs where state = 'running' and worker not in (select id from moonloop_jobs_workers)]]

local OLDEST = "(select seen_at from moonloop_jobs_workers where id = {worker}) - {seconds}"

-- The column takes any text.
local ERRORS = "case when json_valid(errors) then iif(json_type(errors) = 'array', errors, '[]') else '[]' end"

-- The last ten of a job are kept.
local function with_error(entry)
  return ("errors = json_insert(iif(json_array_length(%s) >= 10, json_remove(errors, '$[0]'), %s), '$[#]', %s)")
    :format(ERRORS, ERRORS, entry)
end

local statements = texts.all {
  -- {ended} is a list of {id, state, until}. Both are one statement: see the triggers in tables.lua. The plus keeps
  -- SQLite from reading the whole table to look each row up in what is joined.
  round = [[
update moonloop_jobs set
  state = coalesce(w.state, 'running'), worker = iif(w.state is null, {worker}, null),
  attempt = attempt + (w.state is null),
  started_at = iif(w.state is null, {now}, started_at), run_at = iif(w.state is null, run_at, {now}), until = w.until
from (
  select j.id, e.value ->> 1 as state, e.value ->> 2 as until
  from json_each({ended}) e cross join moonloop_jobs j on j.id = e.value ->> 0
  where j.worker = {worker} and j.state = 'running'
  union all
  select * from (
    select id, null, null from moonloop_jobs where lane = {lane} and state = 'ready' and name = any({names})
      and exists (select 1 from moonloop_jobs_workers where id = {worker})
    order by priority, id limit max(0, min({limit}, {concurrency} - iif({concurrency} < 1000000000, (
      select count(*) from moonloop_jobs where name = {limited} and state = 'running'
        and id not in (select value ->> 0 from json_each({ended}))), 0))))
) w where moonloop_jobs.id = +w.id
returning state, ]] .. COLUMNS_OF_RUN .. "iif(state = 'running', args, null) as args",
  take_any = [[
update moonloop_jobs set state = 'running', worker = {worker}, attempt = attempt + 1, started_at = {now}
where id in (
  select id from moonloop_jobs where state = 'ready' and name = any({names}) order by priority, id limit 1)
returning ]] .. COLUMNS_OF_RUN .. "args",

  fail = [[
update moonloop_jobs set worker = null, started_at = null,
  state = case when cancelled then 'ready' when attempt >= max_attempts then 'dead' else 'scheduled' end,
  run_at = {now} + {delay}, ]] .. with_error "json({error})" .. [[
 where id = {id} and ]] .. MINE .. " returning state",

  put_back = [[
update moonloop_jobs set state = 'ready', worker = null, started_at = null, attempt = attempt - 1
where id = any({ids}) and ]] .. MINE,
  put_back_all = [[
update moonloop_jobs set state = 'ready', worker = null, started_at = null, attempt = attempt - 1
where ]] .. MINE,
  put_back_others = [[
update moonloop_jobs set state = 'ready', worker = null, started_at = null, attempt = attempt - 1
where ]] .. MINE .. " and lane = any({lanes}) and id <> all({ids})",

  promote = "update moonloop_jobs set state = 'ready' where state = 'scheduled' and run_at <= {now}",
  next_due = "select min(run_at) from moonloop_jobs where state = 'scheduled'",

  register = [[
insert into moonloop_jobs_workers (host, pid, started_at, seen_at) values ({host}, {pid}, {now}, {now})
returning id]],
  beat = "update moonloop_jobs_workers set seen_at = {now} where id = {worker}",
  progress = "update moonloop_jobs_workers set progress = {progress} where id = {worker}",
  leave = "delete from moonloop_jobs_workers where id = {worker}",
  -- As in postgres.lua: a machine that stood still for a while has not lost itself.
  lose = "delete from moonloop_jobs_workers where seen_at < " .. OLDEST .. " returning id, host, pid",
  has_lost = [[
select exists (select 1 from moonloop_jobs_workers where seen_at < ]] .. OLDEST .. ") or exists (" .. LOST .. ")",
  rescue = [[
update moonloop_jobs set worker = null, started_at = null,
  state = case when attempt >= max_attempts and not cancelled then 'dead' else 'ready' end, ]]
    .. with_error [[
json_object('attempt', attempt, 'at', {now}, 'message', coalesce((
      select 'its worker was lost (process ' || (value ->> 'pid') || ' on ' || (value ->> 'host') || ')'
      from json_each({lost}) where value ->> 'id' = worker), 'its worker is gone'))]]
    .. " where id in (" .. LOST .. [[)
returning id, name, queue, attempt, max_attempts, state, errors ->> '$[#-1].message' as why]],

  cancelled = "select id from moonloop_jobs where cancelled and " .. MINE,
  relane = [[
update moonloop_jobs set lane = iif(name = any({limited}), queue || char(31) || name, queue)
where (state = 'ready' or state = 'scheduled') and (lane = {queue} and name = any({limited})
  or lane = any({others}) and queue = {queue})]],
  purge_done = [[
delete from moonloop_jobs_done where id in (
  select id from moonloop_jobs_done where keep_until <= {now} limit 10000)]],
  purge_unique = "delete from moonloop_jobs_unique where until <= {now}",
  schedules = [[
select {now} as now, s.key as key, s.spec as spec, s.next_at as next_at
from (select 1) left join moonloop_jobs_schedules s on true]],
}

local function stamped(values)
  values.now = values.now or time.now()
  return values
end

-- The column takes any text: a script may have changed a row by hand. `bad_args`: what is wrong with it.
local function decoded(row)
  local args, err = nil, nil
  if type(row.args) == "string" then args, err = json.decode(row.args) end
  if err then row.bad_args = "the arguments in its row are not JSON: " .. tostring(err) end
  row.args = args
  row.cancelled = row.cancelled == 1
  return row
end

local function ended(values)
  local list = json.array {}
  for _, id in ipairs(values.done or {}) do list[#list + 1] = { id, "done", json.null } end
  for i, id in ipairs(values.kept or {}) do
    list[#list + 1] = { id, values.states[i], values.now + values.seconds[i] }
  end
  return json.encode(list)
end

--- round(db, values) -> how many were finished, the rows that were taken | nil, err
function M.round(db, values)
  stamped(values)
  values.ended = ended(values)
  values.names, values.limit = values.names or {}, values.limit or 0
  values.concurrency = values.concurrency or math.maxinteger
  local rows, err = run(db, "query", statements.round, values)
  if not rows then return nil, err end
  local finished, taken = 0, {}
  for _, row in ipairs(rows) do
    if row.state == "running" then taken[#taken + 1] = decoded(row) else finished = finished + 1 end
  end
  return finished, taken
end

function M.take_any(holder, values)
  local rows, err = run(holder, "query", statements.take_any, stamped(values))
  if not rows then return nil, err end
  if rows[1] then decoded(rows[1]) end
  return rows
end

function M.fail(holder, values)
  local rows, err = run(holder, "query", statements.fail, stamped(values))
  if not rows then return nil, err end
  return rows[1] and rows[1].state or false
end

for _, name in ipairs { "put_back", "put_back_all", "put_back_others", "beat", "progress", "leave", "relane",
  "purge_done", "purge_unique" } do
  M[name] = function(holder, values) return run(holder, "exec", statements[name], stamped(values)) end
end

function M.promote(holder, values)
  stamped(values)
  local first, err = run(holder, "value", statements.next_due, values)
  if err then return nil, err end
  if not first then return 0 end
  if first > values.now then return 0, first - values.now end
  local n
  n, err = run(holder, "exec", statements.promote, values)
  if not n then return nil, err end
  return n, 0
end

function M.register(holder, values) return run(holder, "value", statements.register, { host = values.host,
  pid = values.pid, now = os.time() }) end

function M.rescue(holder, values)
  -- Heartbeats go by the machine's clock, also where this one is virtual.
  values = { worker = values.worker, seconds = values.seconds, now = os.time() }
  local found, err = run(holder, "value", statements.has_lost, values)
  if found == nil then return nil, err end
  if found == 0 then return { lost = 0, jobs = 0, dead = {} } end
  local lost, rows
  lost, err = run(holder, "query", statements.lose, values)
  if not lost then return nil, err end
  values.lost = json.encode(json.array(lost))
  rows, err = run(holder, "query", statements.rescue, values)
  if not rows then return nil, err end
  local dead = {}
  for _, row in ipairs(rows) do
    if row.state == "dead" then dead[#dead + 1] = row end
  end
  return { lost = #lost, jobs = #rows, dead = dead }
end

function M.schedules(holder, values) return run(holder, "query", statements.schedules, stamped(values)) end

function M.cancelled(holder, values) return run(holder, "query", statements.cancelled, values) end

-- --- looking and changing ---

local DONE = "id, queue, name, state, priority, attempt, max_attempts, args, pushed_at, started_at, finished_at"
local LIVE = "id, queue, name, state, priority, attempt, max_attempts, cancelled, unique_key, args, worker, run_at, "
  .. "pushed_at, started_at"

local looks = texts.all {
  live = "select " .. LIVE .. [[, errors,
  (select progress from moonloop_jobs_workers w where w.id = worker) as progress
from moonloop_jobs where id = {id}]],
  finished = "select " .. DONE .. ", errors from moonloop_jobs_done where id = {id}",
  list = "select " .. LIVE .. [[ from moonloop_jobs
where id > {after} and ({state} is null or state = {state}) and ({name} is null or name = {name})
  and ({queue} is null or queue = {queue}) order by id limit {limit}]],
  list_finished = "select " .. DONE .. [[ from moonloop_jobs_done
where id > {after} and state = {state} and ({name} is null or name = {name})
  and ({queue} is null or queue = {queue}) order by id limit {limit}]],
  counts = "select queue, name, state, count(*) as n from moonloop_jobs group by 1, 2, 3",
  workers = "select count(*) from moonloop_jobs_workers",
  retry = [[
update moonloop_jobs set attempt = case when state = 'dead' then 0 else attempt end, state = 'ready'
where id = {id} and state in ('dead', 'scheduled') returning lane]],
  cancel = [[
update moonloop_jobs set cancelled = 1, state = iif(state = 'running', state, 'cancelled'),
  run_at = iif(state = 'running', run_at, {now}), until = iif(state = 'running', until, {now} + {seconds})
where id = {id} returning state]],
}

local function decode_columns(row)
  for _, name in ipairs { "args", "errors", "progress" } do
    if type(row[name]) == "string" then row[name] = json.decode(row[name]) end
  end
  return row
end

function M.get(holder, id)
  local row, err = run(holder, "one", looks.live, { id = id })
  if not row and not err then row, err = run(holder, "one", looks.finished, { id = id }) end
  if not row then return nil, err end
  return decode_columns(row)
end

function M.list(holder, finished, values)
  local rows, err = run(holder, "query", finished and looks.list_finished or looks.list, values)
  if not rows then return nil, err end
  for _, row in ipairs(rows) do decode_columns(row) end
  return rows
end

function M.counts(holder) return run(holder, "query", looks.counts, {}) end

function M.count_workers(holder) return run(holder, "value", looks.workers, {}) end

function M.retry(holder, values) return run(holder, "query", looks.retry, values) end

function M.cancel(holder, values)
  local rows, err = run(holder, "query", looks.cancel, stamped(values))
  if not rows then return nil, err end
  return rows[1] and rows[1].state or false
end

-- --- pushing ---

local COLUMNS = "lane, queue, name, priority, max_attempts, args, trace, pushed_at"
local VALUES = "{lane}, {queue}, {name}, {priority}, {attempts}, {args}, {trace}, {now}"

local pushes = texts.all {
  plain = ("insert into moonloop_jobs (%s) values (%s) returning id"):format(COLUMNS, VALUES),
  due = ("insert into moonloop_jobs (%s, run_at, state) values (%s, {at}, {state}) returning id")
    :format(COLUMNS, VALUES),
  unique = ([[
insert into moonloop_jobs (%s, run_at, state, unique_key, until)
select %s, {at}, {state}, {unique}, {now} + {unique_for} where not exists (
  select 1 from moonloop_jobs_unique where key = {unique} and (until is null or until > {now}))
returning id]]):format(COLUMNS, VALUES),
  taken = "select job from moonloop_jobs_unique where key = {unique}",
}

function M.push(holder, job)
  stamped(job)
  job.at = job.at or job.now + job.delay
  job.state = job.at > job.now and "scheduled" or "ready"
  while true do
    local id, err = run(holder, "value", pushes[job.unique and "unique" or job.is_due and "due" or "plain"], job)
    if id then return id, true end
    if err then return nil, err end
    id, err = run(holder, "value", pushes.taken, job)
    if id then return id, false end
    if err then return nil, err end
  end
end

local many = texts.new(([[
insert into moonloop_jobs (%s, run_at, state)
select value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, {trace}, {now}, value ->> 6,
  case when value ->> 6 > {now} then 'scheduled' else 'ready' end
from json_each({rows}) order by key returning id]]):format(COLUMNS))

--- push_many(holder, jobs) -> rows with their ids, in order | nil, err
function M.push_many(holder, jobs)
  local now, rows = jobs[1].now or time.now(), {}
  for i, job in ipairs(jobs) do
    rows[i] = { job.lane, job.queue, job.name, job.priority, job.attempts, job.args or json.null,
      job.at or now + job.delay }
  end
  return run(holder, "query", many, { rows = json.encode(rows), now = now, trace = jobs[1].trace })
end

return M
