--- What a worker does each second: schedules, full looks, scheduled jobs that are due, progress.
local core = require "moonloop.core"
local define = require "moonloop.jobs.define"
local every = require "moonloop.jobs.every"
local errors = require "moonloop.jobs.errors"
local moment = require "moonloop.jobs.moment"
local times = require "moonloop.jobs.times"

local M = {}

-- Jobs whose name has got or lost its `concurrency` since they were pushed belong in other lanes.
local function relane(worker)
  local jobs = worker.jobs
  if worker.relaned == #jobs.names then return true end
  for queue in pairs(worker.feeds) do
    local limited, others = {}, {}
    for _, name in ipairs(jobs.names) do
      if jobs.definitions[name].concurrency then
        limited[#limited + 1] = name
      else
        others[#others + 1] = define.own_lane(name, queue)
      end
    end
    local n, err = jobs.dialect.relane(jobs.db, { queue = queue, limited = limited, others = others })
    if not n then return nil, err end
  end
  worker.relaned = #jobs.names
  return true
end

local function promote(worker)
  local count, next_due = worker.jobs.dialect.promote(worker.jobs.db, { now = moment() })
  if not count then return nil, next_due end
  for _, one in pairs(worker.feeds) do one:look() end
  return next_due or math.huge
end

-- A worker for all queues begins to work for those that have jobs now.
local function find_queues(worker)
  if not worker.is_for_all then return true end
  local rows, err = worker.jobs.dialect.counts(worker.jobs.db)
  if not rows then return nil, err end
  for _, row in ipairs(rows) do worker.add_queue(row.queue) end
  return true
end

local function write_progress(worker)
  local parts = {}
  for id, record in pairs(worker.running) do
    if record.job.shown then parts[#parts + 1] = ('"%d":%s'):format(id, record.job.shown) end
  end
  table.sort(parts)
  local text = "{" .. table.concat(parts, ",") .. "}"
  if text == worker.shown then return true end
  local n, err = worker.jobs.dialect.progress(worker.jobs.db, { worker = worker.id, progress = text })
  if not n then return nil, err end
  worker.shown = text
  return true
end

local function sweep(worker)
  local values = { now = moment() }
  local jobs = worker.jobs
  local n, err
  repeat n, err = jobs.dialect.purge_done(jobs.db, values) until n ~= 10000
  if n then n, err = jobs.dialect.purge_unique(jobs.db, values) end
  if n then n, err = relane(worker) end
  if not n then return nil, err end
  -- What a database has taken back when it died is put right, too.
  for _, one in pairs(worker.feeds) do
    one.unsure = true
    one:look()
  end
  return true
end

-- The seconds until there may be something to do again | nil, err
local function each(worker)
  local next_beat, err = every.tick(worker.jobs, not worker.has_planned)
  if not next_beat then return nil, err end
  worker.has_planned = true
  local next_due
  next_due, err = promote(worker)
  if not next_due then return nil, err end
  local ok
  ok, err = find_queues(worker)
  if ok then ok, err = write_progress(worker) end
  if not ok then return nil, err end
  return math.min(next_due, next_beat, times.poll)
end

--- Works until it is cancelled. `worker.poke` is an event that brings the next look forward.
function M.run(worker)
  local swept
  while true do
    local now = core.now()
    if not swept or now - swept >= times.sweep then
      local ok, err = sweep(worker)
      if ok then swept = now else errors.complain(worker, err) end
    end
    local pause, err = each(worker)
    if not pause then
      errors.complain(worker, err)
      pause = times.poll
    end
    worker.due_at = core.now() + pause
    core.timeout(math.max(pause, 0.001), worker.poke.wait, worker.poke)
    worker.poke:clear()
  end
end

return M
