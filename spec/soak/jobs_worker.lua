-- A worker process of jobs.lua, beside this: moonloop spec/soak/jobs_worker.lua URL LOG LOST
-- It writes a line into LOG when a run begins and ends; what is written is kept when the process is killed.
local times = require "moonloop.jobs.times"
local url, log, lost = ...
times.lost, times.beat = tonumber(lost), tonumber(lost) / 4

local ml = require "moonloop"
local db = ml.sql.open(url, { pool = 4, acquire = 60, slow = 100 })
local jobs = ml.jobs.new(db)

local pid = assert(io.open "/proc/self/stat"):read "n"
local file = assert(io.open(log, "a"))
file:setvbuf "no"

local function note(what, args) file:write(("%s %d %d %.6f\n"):format(what, args.n, pid, ml.time.now())) end

local quick = { base = 0.05, max = 0.2, jitter = 0.5 }

jobs:define("plain", function(args)
  note("begin", args)
  if args.sleep then ml.sleep(args.sleep) end
  note("end", args)
end)

jobs:define("fails", { backoff = quick }, function(args, job)
  note("begin", args)
  if job.attempt <= args.times then
    note("fail", args)
    error("as it should", 0)
  end
  note("end", args)
end)

jobs:define("alone", { concurrency = 2 }, function(args)
  note("begin", args)
  ml.sleep(0.002)
  note("end", args)
end)

-- Its process dies each time.
jobs:define("poison", { attempts = 2 }, function(args)
  note("begin", args)
  os.execute("kill -KILL " .. pid)
  ml.sleep(1000)
end)

require "moonloop.jobs.errors".say = function(format, ...)
  local text = format:format(...)
  if not text:find "as it should" then io.stderr:write(text, "\n") end
end

local worker = jobs:work { queues = { default = 20 } }
worker:wait()
