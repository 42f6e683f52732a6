--- jobs:get, list, stats, retry, cancel.
local core = require "moonloop.core"
local holders = require "moonloop.sql.holders"
local json = require "moonloop.json"
local moment = require "moonloop.jobs.moment"
local options = require "moonloop.core.options"
local tables = require "moonloop.jobs.tables"
local wake = require "moonloop.jobs.wake"

local M = {}

local function ready(self, whose)
  holders.check_free(self.db, whose)
  return tables.need(self.db)
end

local function check_id(id, whose)
  if math.type(id) == "integer" then return end
  core.fail(("%s: the id of a job expected, an integer, got %s"):format(whose, type(id)))
end

local fields = { "id", "name", "queue", "state", "priority", "attempt", "pushed_at", "started_at", "finished_at" }

-- A row as scripts see it.
local function shown(row)
  local job = { attempts = row.max_attempts, args = row.args, unique = row.unique_key }
  for _, name in ipairs(fields) do job[name] = row[name] end
  if job.state == "scheduled" then job.at = row.run_at end
  job.cancelling = job.state == "running" and (row.cancelled == true or row.cancelled == 1) or nil
  return job
end

--- jobs:get(id) -> job | nil, err. None is nil, nil.
function M.get(self, id)
  check_id(id, "jobs:get")
  local ok, err = ready(self, "jobs:get")
  if not ok then return nil, err end
  local row
  row, err = self.dialect.get(self.db, id)
  if not row then return nil, err end
  local job = shown(row)
  job.errors = type(row.errors) == "table" and row.errors or {} -- both columns take any JSON
  job.progress = type(row.progress) == "table" and row.progress[tostring(id)] or nil
  if job.progress == json.null then job.progress = nil end
  return job
end

local states = { ready = true, scheduled = true, running = true, dead = true, done = true, cancelled = true }

local known = {
  state = function(v)
    return not states[v] and "'ready', 'scheduled', 'running', 'dead', 'done' or 'cancelled'" or nil
  end,
  name = "string", queue = "string",
  limit = function(v)
    return not (math.type(v) == "integer" and v >= 1 and v <= 10000) and "an integer from 1 to 10000" or nil
  end,
  after = "integer",
}

--- jobs:list([{state =, name =, queue =, limit =, after =}]) -> list | nil, err
function M.list(self, opts)
  opts = options.check(opts, known, "jobs:list")
  local ok, err = ready(self, "jobs:list")
  if not ok then return nil, err end
  local finished = opts.state == "done" or opts.state == "cancelled"
  local rows
  rows, err = self.dialect.list(self.db, finished, { state = opts.state, name = opts.name, queue = opts.queue,
    limit = opts.limit or 100, after = opts.after or 0 })
  if not rows then return nil, err end
  local list = json.array {}
  for i, row in ipairs(rows) do list[i] = shown(row) end
  return list
end

--- jobs:stats() -> table | nil, err
function M.stats(self)
  local ok, err = ready(self, "jobs:stats")
  if not ok then return nil, err end
  local rows, workers
  rows, err = self.dialect.counts(self.db)
  if not rows then return nil, err end
  workers, err = self.dialect.count_workers(self.db)
  if not workers then return nil, err end
  local stats = { ready = 0, scheduled = 0, running = 0, dead = 0, workers = workers, queues = {}, names = {} }
  local function count(where, key, row)
    where[key] = where[key] or { ready = 0, scheduled = 0, running = 0, dead = 0 }
    where[key][row.state] = where[key][row.state] + row.n
  end
  for _, row in ipairs(rows) do
    stats[row.state] = stats[row.state] + row.n
    count(stats.queues, row.queue, row)
    count(stats.names, row.name, row)
  end
  return stats
end

--- jobs:retry(id) -> boolean | nil, err: a dead or scheduled job runs at once, a dead one with all its attempts.
function M.retry(self, id)
  check_id(id, "jobs:retry")
  local ok, err = ready(self, "jobs:retry")
  if not ok then return nil, err end
  local rows
  rows, err = self.dialect.retry(self.db, { id = id })
  if not rows then return nil, err end
  if not rows[1] then return false end
  wake.pushed(self.db, { [rows[1].lane] = 0 })
  return true
end

--- jobs:cancel(id) -> boolean | nil, err: a job that waits is gone, or kept as cancelled; the task of one that runs
-- is cancelled by its worker.
function M.cancel(self, id)
  check_id(id, "jobs:cancel")
  local ok, err = ready(self, "jobs:cancel")
  if not ok then return nil, err end
  local row
  row, err = self.dialect.get(self.db, id)
  if not row then
    if err then return nil, err end
    return false
  end
  local definition = self.definitions[row.name]
  local keep = definition and definition.keep or self.keep
  local state
  state, err = self.dialect.cancel(self.db, { id = id, seconds = keep and keep + 0.0,
    now = moment() })
  if state == nil then return nil, err end
  if state == "running" then wake.cancelled(self.db, id) end
  return state ~= false
end

return M
