--- The heartbeat of a worker, on a thread and a connection of its own: it goes on while the loop computes, and while
-- its pool is empty. It also finds workers that are lost, and gives their jobs back, and jobs of its own that are to
-- be cancelled.
local counted = require "moonloop.core.counted"
local errors = require "moonloop.jobs.errors"
local executor = require "moonloop.executor"
local feed = require "moonloop.jobs.feed"
local holders = require "moonloop.sql.holders"
local signals = require "moonloop.signals"
local times = require "moonloop.jobs.times"

local M = {}

-- In the thread's own state. `all`: the dialect's name, the worker's id, and the times. Returns when the worker's row
-- is gone: others have taken it for lost.
local function beat(made_from, all)
  local ml = require "moonloop"
  local db = require "moonloop.sql.transfer".unpack(made_from)
  local message = require "moonloop.jobs.errors".message
  local dialect = require(all.dialect)
  local function tell(what, value) ml.executor.current():progress(what, value) end
  local said
  -- The thread must not wait for a loop that computes to read what it says: nothing is told twice.
  local function complain(err)
    local text = ("the heartbeat of worker %d has failed: %s"):format(all.id, message(err))
    if text ~= said then tell("say", text) end
    said = text
  end
  local cancelled = {}
  local function look_for_cancels()
    local rows, err = dialect.cancelled(db, { worker = all.id })
    if not rows then return complain(err) end
    local before = cancelled
    cancelled = {}
    for _, row in ipairs(rows) do
      cancelled[row.id] = true
      if not before[row.id] then tell("cancelled", row.id) end
    end
  end
  local regular, last, due = 0, ml.now(), -math.huge
  while true do
    if ml.now() >= due then
      local n, err = dialect.beat(db, { worker = all.id })
      if n == 0 then return end
      -- After an outage all workers look lost: they get the time to show that they are not.
      regular = n and ml.now() - last < 1.5 * all.beat and regular + 1 or 0
      if n then last = ml.now() end
      if regular >= 2 then
        local found
        found, err = dialect.rescue(db, { worker = all.id, seconds = all.lost + 0.0 })
        if found and found.jobs > 0 then tell("rescued", found) end
      end
      if err then complain(err) else said = nil end
      due = ml.now() + (n and all.beat or math.min(1, all.beat))
    end
    look_for_cancels()
    ml.sleep(math.max(0, math.min(all.poll, due - ml.now())))
  end
end

-- What the thread has to tell.
local told = {}

function told.say(_, text) errors.say("%s", text) end

function told.rescued(_, found)
  local of = found.lost == 0 and "workers that are gone" or counted(found.lost, "lost worker")
  errors.say("%s of %s %s given back", counted(found.jobs, "job"), of, found.jobs == 1 and "was" or "were")
  for _, job in ipairs(found.dead) do
    signals.say("error", ("the job '%s' (id %d) is dead after attempt %d of %d: %s"):format(job.name, job.id,
      job.attempt, job.max_attempts, job.why), nil, "attempt", job.attempt, "error", job.why,
      "job_id", tostring(job.id), "job", job.name, "queue", job.queue)
  end
end

function told.cancelled(worker, id)
  local record = worker.running[id]
  if record and not record.job.is_cancelled then feed.cancel(record, true) end
end

--- Beats for the worker until its id is lost, or the task is cancelled. Meanwhile worker.listen() takes what the
-- thread has found at once, for a job that computes: it does not wait.
function M.run(worker)
  local jobs = worker.jobs
  local pool <close> = executor.new { threads = 1, nice = 0 }
  -- What the database was made from, and not the object: a copy of that one would load the script's module that
  -- has it, and all that is in there, a second time.
  local call = pool:start(beat, holders.of(jobs.db).made_from, {
    dialect = "moonloop.jobs." .. (jobs.driver == "pg" and "postgres" or "sqlite"), id = worker.id,
    beat = times.beat, lost = times.lost, poll = times.poll,
  })
  function worker.listen()
    for what, value in call.line.poll, call.line do told[what](worker, value) end
  end
  local _ <close> = setmetatable({}, { __close = function()
    worker.listen = nil
    call:cancel()
  end })
  for what, value in call:progress() do told[what](worker, value) end
  call:await()
end

--- This process, as others see it: {host =, pid =}
function M.place()
  local function first(path, pattern)
    local file = io.open(path, "rb")
    if not file then return nil end
    local text = file:read "l"
    file:close()
    return text and text:match(pattern)
  end
  return { host = first("/proc/sys/kernel/hostname", "^%S+") or "?",
    pid = math.tointeger(tonumber(first("/proc/self/stat", "^%d+"))) or 0 }
end

return M
