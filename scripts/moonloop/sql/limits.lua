--- Warns where a process, or the workers of a server, could open more connections than PostgreSQL takes. The
-- first of them asks it, once, when the database is first used. Those of other servers are not known here.
local core = require "moonloop.core"
local holders = require "moonloop.sql.holders"
local signals = require "moonloop.signals"

local M = {}

local ORDINARY = 10 -- a pool that is no larger is nobody's mistake

local ASK = [[select current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int]]

local function check(db, shown, workers, pool)
  local ok, most = pcall(db.value, db, ASK)
  if not ok or not most or workers * pool <= most then return end
  local who = workers > 1 and ("%d workers with a pool"):format(workers) or "a pool"
  signals.say("warn", ("%s of %d may open %d connections to %s, which takes %d: make `pool` smaller, or "
    .. "max_connections larger"):format(who, pool, workers * pool, shown, most))
end

--- Has this checked when `db` is first used. shown: its URL for people; pool: connections at most.
function M.watch(db, shown, pool)
  local workers = tonumber(os.getenv "MOONLOOP_WORKERS")
  if workers and (pool == 1 or os.getenv "MOONLOOP_WORKER" ~= "1") then return end
  if not workers and pool <= ORDINARY then return end
  workers = workers or 1
  holders.at_first_use(db, function() core.spawn(check, db, shown, workers, pool) end)
end

return M
