--- The heartbeat of a worker, on a thread and a connection of its own: it goes on while the loop computes, and while
-- its pool is empty. It also finds workers that are lost, and gives their jobs back.
local errors = require "moonloop.jobs.errors"
local executor = require "moonloop.executor"
local holders = require "moonloop.sql.holders"
local signals = require "moonloop.signals"
local times = require "moonloop.jobs.times"

local M = {}

-- In the thread's own state. Returns when the worker's row is gone: others have taken it for lost.
local function beat(made_from, dialect_name, id, every, lost)
  local ml = require "moonloop"
  local db = require "moonloop.sql.transfer".unpack(made_from)
  local message = require "moonloop.jobs.errors".message
  local dialect = require(dialect_name)
  local function tell(what, value) ml.executor.current():progress(what, value) end
  local regular, last = 0, ml.now()
  while true do
    local n, err = dialect.beat(db, { worker = id })
    if n == 0 then return end
    -- After an outage all workers look lost: they get the time to show that they are not.
    regular = n and ml.now() - last < 1.5 * every and regular + 1 or 0
    if n then last = ml.now() end
    if regular >= 2 then
      local found
      found, err = dialect.rescue(db, { worker = id, seconds = lost + 0.0 })
      if found and found.jobs > 0 then tell("rescued", found) end
    end
    if err then tell("say", ("the heartbeat of worker %d has failed: %s"):format(id, message(err))) end
    ml.sleep(n and every or math.min(1, every))
  end
end

local function plural(n, noun) return ("%d %s%s"):format(n, noun, n == 1 and "" or "s") end

-- What the thread has to tell.
local told = { say = function(text) errors.say("%s", text) end }

function told.rescued(found)
  errors.say("%s of %s given back", plural(found.jobs, "job"),
    (found.lost == 0 and "workers that are gone" or plural(found.lost, "lost worker")) ..
    (found.jobs == 1 and " was" or " were"))
  for _, job in ipairs(found.dead) do
    signals.say("error", ("the job '%s' (id %d) is dead after attempt %d of %d: %s"):format(job.name, job.id,
      job.attempt, job.max_attempts, job.why), nil, "attempt", job.attempt, "error", job.why,
      "job_id", tostring(job.id), "job", job.name, "queue", job.queue)
  end
end

--- Beats for the worker until its id is lost, or the task is cancelled.
function M.run(jobs, id)
  local pool <close> = executor.new { threads = 1, nice = 0 }
  -- What the database was made from, and not the object: a copy of that one would load the script's module that
  -- has it, and all that is in there, a second time.
  local call = pool:start(beat, holders.of(jobs.db).made_from,
    "moonloop.jobs." .. (jobs.driver == "pg" and "postgres" or "sqlite"), id, times.beat, times.lost)
  local _ <close> = setmetatable({}, { __close = function() call:cancel() end })
  for what, value in call:progress() do told[what](value) end
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
