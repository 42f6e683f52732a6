--- jobs:drain(): runs what is due in this task, for specs.
local core = require "moonloop.core"
local every = require "moonloop.jobs.every"
local feed = require "moonloop.jobs.feed"
local heart = require "moonloop.jobs.heart"
local holders = require "moonloop.sql.holders"
local moment = require "moonloop.jobs.moment"
local run = require "moonloop.jobs.run"
local tables = require "moonloop.jobs.tables"

local M = {}

local function need(value, err)
  if value == nil then error(err, 0) end
  return value
end

-- Runs one job and writes down what became of it: true where it was done.
local function run_one(self, id, row)
  local dialect, db = self.dialect, self.db
  local record = feed.record(self, row, id)
  local outcome, value, traceback = "cancelled", nil, nil
  local written = false
  local _ <close> = setmetatable({}, { __close = function() -- this task was cancelled
    if not written then core.shield(dialect.put_back, db, { ids = { row.id }, worker = id }) end
  end })
  local observed = not row.cancelled and run.began(row)
  if not row.cancelled then outcome, value, traceback = run.attempt(record) end
  if outcome == "interrupted" then
    core.sleep(0) -- raises the cancel
  elseif outcome == "failed" then
    local state = need(dialect.fail(db, (feed.failure(record, value, traceback))))
    run.ended(observed, state == "dead" and state or "failed", value, traceback)
  else
    local values = { worker = id, now = moment() }
    record.outcome = outcome
    feed.add_finished(values, record)
    need(dialect.round(db, values))
    run.ended(observed, outcome)
  end
  written = true
  return outcome == "done"
end

--- jobs:drain() -> done, failed: how many runs there were
function M.drain(self)
  local dialect, db = self.dialect, self.db
  holders.check_free(db, "jobs:drain")
  need(tables.need(db))
  local id = need(dialect.register(db, heart.place()))
  local _ <close> = setmetatable({}, { __close = function() core.shield(dialect.leave, db, { worker = id }) end })
  local done, failed = 0, 0
  need(every.tick(self, true))
  while true do
    need(dialect.promote(db, { now = moment() }))
    local rows = need(dialect.take_any(db, { worker = id, names = self.names, now = moment() }))
    if not rows[1] then return done, failed end
    local was_done = run.logged(rows[1], run_one, self, id, rows[1])
    if was_done then done = done + 1 elseif not rows[1].cancelled then failed = failed + 1 end
  end
end

return M
