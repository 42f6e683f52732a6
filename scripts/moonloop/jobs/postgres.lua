--- Jobs in PostgreSQL. Moments go by the server's clock, or by `now` where the values have it (the virtual
-- clock). Functions return nil, err where a statement fails. `holder` is a database, a transaction or a session.
local json = require "moonloop.json"
local texts = require "moonloop.jobs.texts"

local run = texts.run

local M = {
  LOWEST = -2147483648,
  parallel = true, -- one connection can finish jobs while another takes some
}

-- Each of several workers takes other rows: what another has locked is skipped. A queue is read from behind the
-- last place that was taken: where an old transaction somewhere keeps finished rows from being cleaned away, all
-- of them stand at its front. ({priority}, {id}) is that place, or the lowest. A
-- worker that was given up takes nothing.
local PICK = [[
select id from moonloop_jobs where lane = {lane} and state = 'ready' and name = any({names}::text[])
  and (priority, id) > ({priority}::integer, {id}::bigint)
  and exists (select from moonloop_jobs_workers where id = {worker}::bigint)
order by priority, id limit {limit}::bigint for update skip locked]]

local function take(pick)
  return [[
update moonloop_jobs set state = 'running', worker = {worker}::bigint, attempt = attempt + 1,
  started_at = coalesce({now}::timestamptz, now())
where id = any(array(]] .. pick .. [[))
returning id, name, queue, priority, attempt, max_attempts, cancelled, unique_key, trace,
  extract(epoch from started_at - coalesce(run_at, pushed_at))::float8 as waited, args]]
end

local MINE = "worker = {worker}::bigint and state = 'running'"

local function release(from)
  return ("delete from moonloop_jobs_unique u using %s j where u.key = j.unique_key and u.job = j.id "
    .. "and u.until is null"):format(from)
end

local FINISHED = "(id, queue, name, state, priority, attempt, max_attempts, pushed_at, started_at, finished_at, "
  .. "keep_until, args, errors)"

-- The commit of this statement does not wait for the disk. For what is no harm where the database itself dies: that
-- jobs were taken. That they were finished has to last.
local LAZY = "set_config('synchronous_commit', 'off', true)"

-- --- finishing some and taking others, in one journey ---

local rounds = {}

-- The statement for what there is to do; each combination is one text.
local function round_statement(has_done, has_kept, has_keyed, has_fetch)
  local key = (has_done and 1 or 0) + (has_kept and 2 or 0) + (has_keyed and 4 or 0) + (has_fetch and 8 or 0)
  if rounds[key] then return rounds[key] end
  local with, counts, sources = {}, {}, {}
  if has_done then
    with[#with + 1] = "d as (delete from moonloop_jobs where id = any({done}::bigint[]) and " .. MINE
      .. " returning id, unique_key)"
    counts[#counts + 1], sources[#sources + 1] = "(select count(*) from d)", "select id, unique_key from d"
  end
  if has_kept then
    with[#with + 1] = "k as (delete from moonloop_jobs where id = any({kept}::bigint[]) and " .. MINE
      .. " returning *)"
    with[#with + 1] = "i as (insert into moonloop_jobs_done " .. FINISHED .. [[
 select k.id, queue, name, s.state, priority, attempt, max_attempts, pushed_at, started_at,
   coalesce({now}::timestamptz, now()), coalesce({now}::timestamptz, now()) + s.seconds * interval '1 second', args,
   errors
 from k join unnest({kept}::bigint[], {seconds}::float8[], {states}::text[]) s(id, seconds, state) on s.id = k.id)]]
    counts[#counts + 1], sources[#sources + 1] = "(select count(*) from k)", "select id, unique_key from k"
  end
  if has_keyed then
    with[#with + 1] = "q as (" .. release("(" .. table.concat(sources, " union all ") .. ")") .. ")"
  end
  if has_fetch then with[#with + 1] = "f as (" .. take(PICK) .. ")" end
  local count = #counts > 0 and table.concat(counts, " + ") or "0"
  local text = ("with %s select %s as finished"):format(table.concat(with, ", "), count)
  if has_fetch then
    text = ("%s, f.* from (select %s) o left join f on true"):format(text, count == "0" and LAZY or "1")
  end
  rounds[key] = texts.new(text)
  return rounds[key]
end

-- One that counts who runs in the whole cluster: a lock makes it one at a time, and the statement behind the lock
-- sees what those before have done.
local LOCK = "select pg_try_advisory_xact_lock(hashtextextended($1, 0)), " .. LAZY
local limited = texts.new(take((PICK:gsub("{limit}::bigint",
  "greatest(0, least({limit}::bigint, {concurrency}::bigint - "
  .. "(select count(*) from moonloop_jobs where name = {limited} and state = 'running')))"))))

local READY = "select exists (select from moonloop_jobs where lane = $1 and state = 'ready')"

local function take_limited(db, values)
  local any, failure = db:value(READY, values.lane)
  if any == nil then return nil, failure end
  if not any then return {} end
  return db:tx({ isolation = "read committed" }, function(tx)
    local locked, err = tx:value(LOCK, "moonloop_jobs " .. values.limited)
    if locked == nil then return nil, err end
    if not locked then return "busy" end
    return run(tx, "query", limited, values)
  end)
end

--- round(db, values) -> how many were finished, the rows that were taken | nil, err
-- `done`, `kept` (with `seconds` and `states`): the jobs of `worker` that have ended, those with `keyed` had keys;
-- `lane`: where at most `limit` are taken, or nil; with `concurrency` so that no more run of the name
-- `limited`, in any queue. The rows are "busy" where another worker looks for jobs of that name right now.
function M.round(db, values)
  local finished, rows = 0, {}
  local err
  local is_limited = values.lane and values.concurrency
  local has_done, has_kept = values.done ~= nil, values.kept ~= nil
  local has_fetch = values.lane ~= nil and not is_limited
  if has_done or has_kept or has_fetch then
    rows, err = run(db, "query", round_statement(has_done, has_kept, values.keyed, has_fetch), values)
    if not rows then return nil, err end
    finished = rows[1].finished
    if not has_fetch or rows[1].id == nil then rows = {} end
  end
  if is_limited then
    rows, err = take_limited(db, values)
    if not rows then return nil, err, finished end
  end
  return finished, rows
end

-- The column takes any JSON.
local ERRORS = "case when jsonb_typeof(errors) = 'array' then errors else '[]' end"

-- The last ten of a job are kept.
local function with_error(entry)
  return ("errors = case when jsonb_array_length(%s) >= 10 then errors - 0 else %s end || jsonb_build_array(%s)")
    :format(ERRORS, ERRORS, entry)
end

local statements = texts.all {
  take_any = take [[
select id from moonloop_jobs where state = 'ready' and name = any({names}::text[])
order by priority, id limit 1 for update skip locked]],

  fail = [[
with f as (
  update moonloop_jobs set worker = null, started_at = null,
    state = case when cancelled then 'ready' when attempt >= max_attempts then 'dead' else 'scheduled' end,
    run_at = coalesce({now}::timestamptz, now()) + {delay}::float8 * interval '1 second',
    ]] .. with_error "{error}::jsonb" .. [[

  where id = {id}::bigint and ]] .. MINE .. [[ returning id, state, unique_key),
u as (]] .. release "f" .. [[ and j.state = 'dead')
select state from f]],

  put_back = [[
update moonloop_jobs set state = 'ready', worker = null, started_at = null, attempt = attempt - 1
where id = any({ids}::bigint[]) and ]] .. MINE,

  put_back_all = [[
update moonloop_jobs set state = 'ready', worker = null, started_at = null, attempt = attempt - 1
where ]] .. MINE,

  put_back_others = [[
update moonloop_jobs set state = 'ready', worker = null, started_at = null, attempt = attempt - 1
where ]] .. MINE .. [[ and lane = any({lanes}::text[]) and id <> all({ids}::bigint[])]],

  promote = [[
with p as (
  update moonloop_jobs set state = 'ready' where id = any(array(
    select id from moonloop_jobs where state = 'scheduled' and run_at <= coalesce({now}::timestamptz, now())
    order by run_at limit 1000 for update skip locked)) returning 1)
select ]] .. LAZY .. [[, (select count(*) from p) as promoted, (
  select extract(epoch from min(run_at) - coalesce({now}::timestamptz, now()))::float8 from moonloop_jobs
  where state = 'scheduled' and run_at > coalesce({now}::timestamptz, now())) as next]],

  register = [[
insert into moonloop_jobs_workers (host, pid, started_at, seen_at)
values ({host}, {pid}::integer, now(), now()) returning id]],

  beat = [[
with l as materialized (select ]] .. LAZY .. [[)
update moonloop_jobs_workers set seen_at = now() from l where id = {worker}::bigint]],
  progress = [[
with l as materialized (select ]] .. LAZY .. [[)
update moonloop_jobs_workers set progress = {progress}::text::json from l where id = {worker}::bigint]],
  leave = "delete from moonloop_jobs_workers where id = {worker}::bigint",

  -- Who has begun after this statement is not seen here, nor are its jobs. Heartbeats are compared with that of the
  -- worker that looks: a machine that stood still for a while has not lost itself.
  rescue = [[
with lost as (
  delete from moonloop_jobs_workers where seen_at < (
    select seen_at from moonloop_jobs_workers where id = {worker}::bigint) - {seconds}::float8 * interval '1 second'
  returning id, host, pid),
r as (
  update moonloop_jobs j set worker = null, started_at = null,
    state = case when attempt >= max_attempts and not cancelled then 'dead' else 'ready' end,
    ]] .. with_error [[
jsonb_build_object('attempt', attempt, 'at', extract(epoch from now())::float8, 'message', coalesce(
        (select 'its worker was lost (process ' || pid || ' on ' || host || ')' from lost where lost.id = j.worker),
        'its worker is gone'))]] .. [[

  where state = 'running' and (worker in (select id from lost)
    or not exists (select from moonloop_jobs_workers w where w.id = j.worker))
  returning id, name, queue, attempt, max_attempts, state, unique_key, errors -> -1 ->> 'message' as why),
u as (]] .. release "r" .. [[ and j.state = 'dead')
select (select count(*) from lost) as lost, (select count(*) from r) as jobs, (
  select coalesce(json_agg(json_build_object('id', id, 'name', name, 'queue', queue, 'attempt', attempt,
    'max_attempts', max_attempts, 'why', why) order by id), '[]')
  from r where state = 'dead') as dead]],

  cancelled = "select id from moonloop_jobs where cancelled and " .. MINE,

  -- Two conditions for two indexes.
  relane = [[
update moonloop_jobs set lane = case when name = any({limited}::text[]) then queue || chr(31) || name else queue end
where (state = 'ready' or state = 'scheduled') and (lane = {queue} and name = any({limited}::text[])
  or lane = any({others}::text[]) and queue = {queue})]],

  purge_done = [[
delete from moonloop_jobs_done where id = any(array(
  select id from moonloop_jobs_done where keep_until <= coalesce({now}::timestamptz, now()) limit 10000))]],
  purge_unique = "delete from moonloop_jobs_unique where until <= coalesce({now}::timestamptz, now())",

  -- The clock is asked once, whatever the rows are.
  schedules = [[
select c.now as now, s.key as key, s.spec as spec, s.next_at as next_at
from (select coalesce({now}::float8, extract(epoch from clock_timestamp())::float8) as now) c
left join moonloop_jobs_schedules s on true]],
}

--- Takes the first job that is ready in any queue, for `worker`: rows | nil, err
function M.take_any(holder, values) return run(holder, "query", statements.take_any, values) end

--- A run has failed: its next state, or false where the job was given back meanwhile | nil, err
function M.fail(holder, values)
  local rows, err = run(holder, "query", statements.fail, values)
  if not rows then return nil, err end
  return rows[1] and rows[1].state or false
end

for _, name in ipairs { "put_back", "put_back_all", "put_back_others", "beat", "progress", "leave", "relane",
  "purge_done", "purge_unique" } do
  M[name] = function(holder, values) return run(holder, "exec", statements[name], values) end
end

--- promote(holder, values) -> how many jobs were due, seconds until the next is, or nil | nil, err
function M.promote(holder, values)
  local row, err = run(holder, "one", statements.promote, values)
  if not row then return nil, err end
  return row.promoted, row.next
end

--- register(holder, {host =, pid =}) -> the id of a new worker | nil, err
function M.register(holder, values) return run(holder, "value", statements.register, values) end

--- rescue(holder, {worker =, seconds =}) -> {lost =, jobs =, dead =} | nil, err
-- How many workers were lost, how many jobs of such ones were given back, and a list of those that are dead now:
-- {id =, name =, queue =, attempt =, max_attempts =, why =}.
function M.rescue(holder, values) return run(holder, "one", statements.rescue, values) end

--- schedules(holder, {now =}) -> rows {now, key, spec, next_at}; one without a key where there are none | nil, err
function M.schedules(holder, values) return run(holder, "query", statements.schedules, values) end

--- cancelled(holder, {worker =}) -> rows with the ids of its jobs that are to be cancelled | nil, err
function M.cancelled(holder, values) return run(holder, "query", statements.cancelled, values) end

-- --- looking and changing ---

local function seconds(column) return ("extract(epoch from %s)::float8 as %s"):format(column, column) end

local LIVE = "id, queue, name, state, priority, attempt, max_attempts, cancelled, unique_key, args, worker, "
  .. seconds "run_at" .. ", " .. seconds "pushed_at" .. ", " .. seconds "started_at"
local DONE = "id, queue, name, state, priority, attempt, max_attempts, args, " .. seconds "pushed_at" .. ", "
  .. seconds "started_at" .. ", " .. seconds "finished_at"

local looks = texts.all {
  live = "select " .. LIVE .. [[, errors,
  (select progress from moonloop_jobs_workers w where w.id = worker) as progress
from moonloop_jobs where id = {id}::bigint]],
  finished = "select " .. DONE .. ", errors from moonloop_jobs_done where id = {id}::bigint",
  list = "select " .. LIVE .. [[ from moonloop_jobs
where id > {after}::bigint and ({state}::text is null or state = {state}) and ({name}::text is null or name = {name})
  and ({queue}::text is null or queue = {queue}) order by id limit {limit}::bigint]],
  list_finished = "select " .. DONE .. [[ from moonloop_jobs_done
where id > {after}::bigint and state = {state} and ({name}::text is null or name = {name})
  and ({queue}::text is null or queue = {queue}) order by id limit {limit}::bigint]],
  counts = "select queue, name, state, count(*) as n from moonloop_jobs group by 1, 2, 3",
  workers = "select count(*) from moonloop_jobs_workers",
  retry = [[
update moonloop_jobs set attempt = case when state = 'dead' then 0 else attempt end, state = 'ready'
where id = {id}::bigint and state in ('dead', 'scheduled') returning lane]],
  cancel = [[
with g as (
  delete from moonloop_jobs where id = {id}::bigint and state <> 'running' returning *),
i as (
  insert into moonloop_jobs_done ]] .. FINISHED .. [[
 select id, queue, name, 'cancelled', priority, attempt, max_attempts, pushed_at, started_at,
    coalesce({now}::timestamptz, now()), coalesce({now}::timestamptz, now()) + {seconds}::float8 * interval '1 second',
    args, errors from g where {seconds}::float8 is not null),
u as (]] .. release "g" .. [[),
c as (update moonloop_jobs set cancelled = true where id = {id}::bigint and state = 'running' returning id)
select (select state from g) as gone, exists (select from c) as running]],
}

--- get(holder, id) -> row | nil, err
function M.get(holder, id)
  local row, err = run(holder, "one", looks.live, { id = id })
  if row or err then return row, err end
  return run(holder, "one", looks.finished, { id = id })
end

--- list(holder, finished, values) -> rows | nil, err
function M.list(holder, finished, values)
  return run(holder, "query", finished and looks.list_finished or looks.list, values)
end

--- counts(holder) -> rows { queue, name, state, n } | nil, err
function M.counts(holder) return run(holder, "query", looks.counts, {}) end

function M.count_workers(holder) return run(holder, "value", looks.workers, {}) end

--- retry(holder, {id =}) -> rows with the lane of the job | nil, err
function M.retry(holder, values) return run(holder, "query", looks.retry, values) end

--- cancel(holder, {id =, seconds =, now =}) -> the state that the job was in, false where there is none | nil, err
function M.cancel(holder, values)
  local row, err = run(holder, "one", looks.cancel, values)
  if not row then return nil, err end
  return row.running and "running" or row.gone or false
end

-- --- pushing ---

local CLOCK = "coalesce({now}::timestamptz, clock_timestamp())"

local COLUMNS = "lane, queue, name, priority, max_attempts, args, trace, pushed_at"
local VALUES = "{lane}, {queue}, {name}, {priority}::integer, {attempts}::integer, {args}::text::json, {trace}, "
  .. CLOCK
local DUE = "coalesce({at}::timestamptz, " .. CLOCK .. " + {delay}::float8 * interval '1 second')"

local pushes = texts.all {
  plain = ("insert into moonloop_jobs (%s) values (%s) returning id"):format(COLUMNS, VALUES),

  due = ("insert into moonloop_jobs (%s, run_at, state) select %s, d.at, case when d.at > %s then 'scheduled' "
    .. "else 'ready' end from (select %s as at) d returning id"):format(COLUMNS, VALUES, CLOCK, DUE),

  -- The key's row is written in any case: who collides with one that is not committed yet waits for it, and sees it.
  unique = ([[
with n as (select nextval(pg_get_serial_sequence('moonloop_jobs', 'id')) as id),
u as (
  insert into moonloop_jobs_unique as t (key, job, until)
  select {unique}, n.id, CLOCK + {unique_for}::float8 * interval '1 second' from n
  on conflict (key) do update set
    job = case when t.until <= CLOCK then excluded.job else t.job end,
    until = case when t.until <= CLOCK then excluded.until else t.until end
  returning job),
j as (
  insert into moonloop_jobs (id, %s, unique_key, run_at, state)
  select n.id, %s, {unique}, d.at, case when d.at > CLOCK then 'scheduled' else 'ready' end
  from n, u, (select %s as at) d where u.job = n.id returning id)
select u.job as id, exists (select from j) as created from u]]):gsub("CLOCK", CLOCK):format(COLUMNS, VALUES, DUE),

  many = ([[
insert into moonloop_jobs (%s, run_at, state)
select lane, queue, name, priority, attempts, args::json, {trace}, CLOCK, d.at,
  case when d.at > CLOCK then 'scheduled' else 'ready' end
from unnest({lane}::text[], {queue}::text[], {name}::text[], {priority}::integer[], {attempts}::integer[],
    {args}::text[], {at}::float8[], {delay}::float8[])
  with ordinality as t (lane, queue, name, priority, attempts, args, at_s, delay, n)
  cross join lateral (select coalesce(to_timestamp(at_s), CLOCK + delay * interval '1 second') as at) d
order by n returning id]]):gsub("CLOCK", CLOCK):format(COLUMNS),
}

--- push(holder, job) -> id, created | nil, err
function M.push(holder, job)
  if job.unique then
    local row, err = run(holder, "one", pushes.unique, job)
    if not row then return nil, err end
    return row.id, row.created
  end
  local id, err = run(holder, "value", job.is_due and pushes.due or pushes.plain, job)
  if not id then return nil, err end
  return id, true
end

local COLUMNS_OF_MANY = { "lane", "queue", "name", "priority", "attempts", "args", "at", "delay" }

--- push_many(holder, jobs) -> rows with their ids, in order | nil, err
function M.push_many(holder, jobs)
  local values = { now = jobs[1].now, trace = jobs[1].trace }
  for _, field in ipairs(COLUMNS_OF_MANY) do
    local column = {}
    for i, job in ipairs(jobs) do column[i] = job[field] or json.null end
    values[field] = column
  end
  return run(holder, "query", pushes.many, values)
end

return M
