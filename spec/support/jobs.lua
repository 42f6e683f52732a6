--- Jobs for the specs: each case runs on SQLite and on PostgreSQL.
local ml = require "moonloop"
local busted = require "busted"
local sql = require "spec.support.sql"
local times = require "moonloop.jobs.times"

local M = {}

local TABLES = { "jobs", "jobs_done", "jobs_unique", "jobs_workers", "jobs_schedules", "jobs_migrations" }

--- Describes `what` for each database: f(fresh, kind), where fresh([opts]) gives jobs in a database without tables
-- of jobs, and that database.
function M.on_each(what, f)
  sql.on_each(what, function(place, kind)
    local db
    busted.before_each(function()
      db = place():open { pool = 4 }
      for _, name in ipairs(TABLES) do assert(db:exec("drop table if exists moonloop_" .. name)) end
    end)
    f(function(opts) return ml.jobs.new(db, opts), db end, kind, place)
  end)
end

--- Waits until f() gives something, and gives that.
function M.eventually(f)
  local _ <close> = ml.deadline(300)
  while true do
    local value = f()
    if value then return value end
    ml.sleep(0.005)
  end
end

--- Calls f with other times (times.lua); they are as before afterwards.
function M.with_times(own, f)
  local before = {}
  for name, value in pairs(own) do before[name], times[name] = times[name], value end
  local _ <close> = setmetatable({}, { __close = function()
    for name, value in pairs(before) do times[name] = value end
  end })
  return f()
end

--- A worker for a variable <close>.
function M.work(jobs, opts)
  local worker = jobs:work(opts)
  return setmetatable({ worker = worker }, { __close = function() worker:stop() end }), worker
end

return M
