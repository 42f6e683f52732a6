--- Jobs in SQLite: the same functions as postgres.lua has. The database's clock is the machine's; moments are
-- seconds since 1970.
local holders = require "moonloop.sql.holders"
local json = require "moonloop.json"
local texts = require "moonloop.jobs.texts"
local time = require "moonloop.time"

local run = texts.run

local M = { LOWEST = 0 }

local MINE = "worker = {worker} and state = 'running'"

local function take(pick)
  return [[
update moonloop_jobs set state = 'running', worker = {worker}, attempt = attempt + 1, started_at = {now}
where id in (]] .. pick .. [[)
returning id, name, queue, priority, attempt, max_attempts, cancelled, unique_key, args]]
end

local LOST = [[
select id from moonloop_jobs where state = 'running' and worker not in (select id from moonloop_jobs_workers)]]

local statements = texts.all {
  take = take [[
select id from moonloop_jobs where lane = {lane} and state = 'ready' and name = any({names})
  and exists (select 1 from moonloop_jobs_workers where id = {worker})
order by priority, id limit {limit}]],
  take_any = take [[
select id from moonloop_jobs where state = 'ready' and name = any({names}) order by priority, id limit 1]],
  running_of_lane = "select count(*) from moonloop_jobs where lane = {lane} and state = 'running'",

  done = "delete from moonloop_jobs where id = any({done}) and " .. MINE,
  release = [[
delete from moonloop_jobs_unique where until is null and job = any({ids})
  and job not in (select id from moonloop_jobs where state <> 'dead')]],
  keep = [[
insert into moonloop_jobs_done (id, queue, name, state, priority, attempt, max_attempts, pushed_at, started_at,
  finished_at, keep_until, args, errors)
select id, queue, name, {state}, priority, attempt, max_attempts, pushed_at, started_at, {now}, {now} + {seconds}, args,
  errors
from moonloop_jobs where id = {id} and ]] .. MINE,

  fail = [[
update moonloop_jobs set worker = null, started_at = null,
  state = case when cancelled then 'ready' when attempt >= max_attempts then 'dead' else 'scheduled' end,
  run_at = {now} + {delay},
  errors = json_insert(case when json_array_length(coalesce(errors, '[]')) >= 10 then json_remove(errors, '$[0]')
    else coalesce(errors, '[]') end, '$[#]', json({error}))
where id = {id} and ]] .. MINE .. " returning state, unique_key",

  put_back = [[
update moonloop_jobs set state = 'ready', worker = null, started_at = null, attempt = attempt - 1
where id = any({ids}) and ]] .. MINE,
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
  lose = "delete from moonloop_jobs_workers where seen_at < {now} - {seconds}",
  rescue = [[
update moonloop_jobs set worker = null, started_at = null,
  state = case when attempt >= max_attempts and not cancelled then 'dead' else 'ready' end,
  errors = json_insert(case when json_array_length(coalesce(errors, '[]')) >= 10 then json_remove(errors, '$[0]')
    else coalesce(errors, '[]') end, '$[#]', json_object('attempt', attempt, 'at', {now},
      'message', 'its worker was lost'))
where id in (]] .. LOST .. [[) returning id, state, unique_key]],

  cancelled = "select id from moonloop_jobs where cancelled and " .. MINE,
  relane = [[
update moonloop_jobs set lane = queue || {suffix}
where name = {name} and state in ('ready', 'scheduled') and lane <> queue || {suffix}]],
  purge_done = "delete from moonloop_jobs_done where keep_until <= {now}",
  purge_unique = "delete from moonloop_jobs_unique where until <= {now}",
}

--- f(holder, ...) with the present moment, in a transaction of its own where `holder` is a database.
local function together(holder, values, f)
  if not holders.is_database(holder) then return f(holder, values) end
  return holder:tx(function(tx) return f(tx, values) end)
end

local function stamped(values)
  values.now = values.now or time.now()
  return values
end

local function decoded(rows)
  for _, row in ipairs(rows) do
    if type(row.args) == "string" then row.args = json.decode(row.args) end
    row.cancelled = row.cancelled == 1
  end
  return rows
end

-- Gives the keys of those of `ids` free that have ended.
local function release(tx, ids) return run(tx, "exec", statements.release, { ids = ids }) end

local function finish(tx, values)
  local finished = 0
  local n, err
  for i, id in ipairs(values.kept or {}) do
    n, err = run(tx, "exec", statements.keep, { id = id, worker = values.worker, state = values.states[i],
      seconds = values.seconds[i], now = values.now })
    if not n then return nil, err end
  end
  for _, ids in ipairs { values.done or false, values.kept or false } do
    if ids then
      n, err = run(tx, "exec", statements.done, { done = ids, worker = values.worker })
      if n and values.keyed then
        local released
        released, err = release(tx, ids)
        n = released and n
      end
      if not n then return nil, err end
      finished = finished + n
    end
  end
  return finished
end

local function take_some(tx, values)
  if values.concurrency then
    local running, err = run(tx, "value", statements.running_of_lane, values)
    if not running then return nil, err end
    values.limit = math.max(0, math.min(values.limit, values.concurrency - running))
  end
  local rows, err = run(tx, "query", statements.take, values)
  if not rows then return nil, err end
  return decoded(rows)
end

--- round(db, values) -> how many were finished, the rows that were taken | nil, err
function M.round(db, values)
  stamped(values)
  return db:tx(function(tx)
    local finished, err = finish(tx, values)
    if not finished then return nil, err end
    if not values.lane then return finished, {} end
    local rows
    rows, err = take_some(tx, values)
    if not rows then return nil, err end
    return finished, rows
  end)
end

function M.take_any(holder, values)
  local rows, err = run(holder, "query", statements.take_any, stamped(values))
  if not rows then return nil, err end
  return decoded(rows)
end

function M.fail(holder, values)
  return together(holder, stamped(values), function(tx)
    local rows, err = run(tx, "query", statements.fail, values)
    if not rows then return nil, err end
    local row = rows[1]
    if not row then return false end
    if row.state == "dead" and row.unique_key then
      local ok
      ok, err = release(tx, { values.id })
      if not ok then return nil, err end
    end
    return row.state
  end)
end

for _, name in ipairs { "put_back", "put_back_others", "beat", "progress", "leave", "relane", "purge_done",
  "purge_unique" } do
  M[name] = function(holder, values) return run(holder, "exec", statements[name], stamped(values)) end
end

function M.promote(holder, values)
  stamped(values)
  local first, err = run(holder, "value", statements.next_due, values)
  if err then return nil, err end
  if type(first) ~= "number" then return 0 end
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
  local found, err = run(holder, "value", texts.new(
    "select exists (select 1 from moonloop_jobs_workers where seen_at < {now} - {seconds}) or exists (" .. LOST .. ")"),
    { seconds = values.seconds, now = os.time() })
  if found == nil then return nil, err end
  if found == 0 then return { lost = 0, jobs = 0, dead = 0 } end
  return together(holder, { seconds = values.seconds, now = os.time() }, function(tx, own)
    local lost, rows
    lost, err = run(tx, "exec", statements.lose, own)
    if not lost then return nil, err end
    rows, err = run(tx, "query", statements.rescue, own)
    if not rows then return nil, err end
    local dead = {}
    for _, row in ipairs(rows) do
      if row.state == "dead" then dead[#dead + 1] = row.id end
    end
    if #dead > 0 then
      local ok
      ok, err = release(tx, dead)
      if not ok then return nil, err end
    end
    return { lost = lost, jobs = #rows, dead = #dead }
  end)
end

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
  state = "select state from moonloop_jobs where id = {id}",
  ask_cancel = "update moonloop_jobs set cancelled = 1 where id = {id}",
  keep_cancelled = [[
insert into moonloop_jobs_done (id, queue, name, state, priority, attempt, max_attempts, pushed_at, started_at,
  finished_at, keep_until, args, errors)
select id, queue, name, 'cancelled', priority, attempt, max_attempts, pushed_at, started_at, {now}, {now} + {seconds},
  args, errors from moonloop_jobs where id = {id}]],
  delete = "delete from moonloop_jobs where id = {id}",
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
  return together(holder, stamped(values), function(tx)
    local state, err = run(tx, "value", looks.state, values)
    if not state then
      if err then return nil, err end
      return false
    end
    local steps = { looks.ask_cancel }
    if state ~= "running" then
      steps = { looks.delete }
      if values.seconds then table.insert(steps, 1, looks.keep_cancelled) end
    end
    for _, step in ipairs(steps) do
      local n
      n, err = run(tx, "exec", step, values)
      if not n then return nil, err end
    end
    if state ~= "running" then
      local ok
      ok, err = release(tx, { values.id })
      if not ok then return nil, err end
    end
    return state
  end)
end

-- --- pushing ---

local COLUMNS = "lane, queue, name, priority, max_attempts, args, pushed_at"
local VALUES = "{lane}, {queue}, {name}, {priority}, {attempts}, {args}, {now}"

local pushes = texts.all {
  plain = ("insert into moonloop_jobs (%s) values (%s) returning id"):format(COLUMNS, VALUES),
  due = ("insert into moonloop_jobs (%s, run_at, state, unique_key) values (%s, {at}, {state}, {unique}) returning id")
    :format(COLUMNS, VALUES),
  taken = "select job from moonloop_jobs_unique where key = {unique} and (until is null or until > {now})",
  take_key = [[
insert into moonloop_jobs_unique (key, job, until) values ({unique}, {id}, {now} + {unique_for})
on conflict (key) do update set job = excluded.job, until = excluded.until]],
}

local function push_due(holder, job)
  job.at = job.at or job.now + job.delay
  job.state = job.at > job.now and "scheduled" or "ready"
  return run(holder, "value", pushes.due, job)
end

function M.push(holder, job)
  stamped(job)
  if not job.unique then
    local id, err
    if job.is_due then id, err = push_due(holder, job) else id, err = run(holder, "value", pushes.plain, job) end
    if not id then return nil, err end
    return id, true
  end
  return together(holder, job, function(tx)
    local id, err = run(tx, "value", pushes.taken, job)
    if err then return nil, err end
    if id then return id, false end
    id, err = push_due(tx, job)
    if not id then return nil, err end
    job.id = id
    local ok
    ok, err = run(tx, "exec", pushes.take_key, job)
    if not ok then return nil, err end
    return id, true
  end)
end

local many = texts.new(([[
insert into moonloop_jobs (%s, run_at, state)
select value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, {now}, value ->> 6,
  case when value ->> 6 > {now} then 'scheduled' else 'ready' end
from json_each({rows}) order by key returning id]]):format(COLUMNS))

--- push_many(holder, columns) -> rows with their ids, in order | nil, err
function M.push_many(holder, columns)
  local now, rows = columns.now or time.now(), {}
  for i, name in ipairs(columns.names) do
    local at, args = columns.ats[i], columns.args[i]
    if at == json.null then at = now + columns.delays[i] end
    rows[i] = { columns.lanes[i], columns.queues[i], name, columns.priorities[i], columns.attempts[i], args, at }
  end
  return run(holder, "query", many, { rows = json.encode(rows), now = now })
end

return M
