--- jobs:push and jobs:push_all.
local core = require "moonloop.core"
local define = require "moonloop.jobs.define"
local errors = require "moonloop.jobs.errors"
local holders = require "moonloop.sql.holders"
local json = require "moonloop.json"
local metrics = require "moonloop.metrics.core"
local moment = require "moonloop.jobs.moment"
local observed_job = require "moonloop.observed_job"
local options = require "moonloop.core.options"
local tables = require "moonloop.jobs.tables"
local transaction = require "moonloop.sql.transaction"
local wake = require "moonloop.jobs.wake"

local M = {}

local known = {
  tx = function(v) return not transaction.is_transaction(v) and "a transaction of the same database" or nil end,
  delay = function(v)
    return not (type(v) == "number" and v >= 0 and v < math.huge) and "a number of seconds, at least 0" or nil
  end,
  at = function(v)
    return not (type(v) == "number" and v > -1e11 and v < 1e11) and "seconds since 1970" or nil
  end,
  priority = function(v)
    return not (math.type(v) == "integer" and v >= 0 and v <= 1000000) and "an integer from 0 to 1000000" or nil
  end,
  queue = define.name, unique = define.name, unique_for = define.seconds,
}

--- The arguments as JSON text, or nil for nil. Raises what is wrong with them.
local function encode(definition, args, whose)
  if definition.args then
    local value, err = definition.args:parse(args)
    if value == nil and err ~= nil then
      core.fail(("%s: the arguments of '%s' are wrong: %s"):format(whose, definition.name, errors.message(err)))
    end
    args = value
  end
  if args == nil then return nil end
  local ok, text = pcall(json.encode, args)
  if not ok then
    core.fail(("%s: the arguments of '%s' are no JSON: %s"):format(whose, definition.name,
      errors.message(text)))
  end
  return text
end

--- Raises where `args` are none for the jobs of that name.
function M.check_args(self, name, args, whose) encode(define.find(self, name, whose), args, whose) end

local function make(self, name, args, opts, whose)
  local definition = define.find(self, name, whose)
  if opts.delay and opts.at then
    core.fail(whose .. ": the options 'delay' and 'at' exclude each other: keep one")
  end
  if opts.unique_for and not opts.unique then
    core.fail(whose .. ": the option 'unique_for' needs 'unique', the key that is taken for so long")
  end
  local queue = opts.queue or self.queue
  return {
    name = name, queue = queue, lane = define.lane(definition, queue), priority = opts.priority or 0,
    attempts = definition.attempts, args = encode(definition, args, whose), at = opts.at,
    delay = (opts.delay or 0) + 0.0,
    is_due = opts.at ~= nil or opts.delay ~= nil, unique = opts.unique, unique_for = opts.unique_for,
    now = moment(),
  }
end

--- Checks that `tx` may be used, or that the database may without one.
local function check_holder(self, tx, whose)
  if tx then
    if tx.db ~= self.db then
      core.fail(whose .. ": the transaction is one of another database than these jobs are in")
    end
    return
  end
  local held = holders.held(self.db)
  if held then
    core.fail(("%s: this task holds a transaction of this database, begun at %s: give it as {tx = tx}; then the job "
      .. "exists if the transaction commits"):format(whose, held.place or "?"))
  end
end

-- Workers look, and the jobs are counted, when they can be seen.
local function tell(self, tx, lanes, jobs)
  local function pushed()
    wake.pushed(self.db, lanes)
    for _, job in ipairs(jobs) do
      if job.is_created then metrics.message(true, job.queue, job.name) end
    end
  end
  if tx then transaction.after_commit(tx, pushed) else pushed() end
end

-- Counts jobs that could not be pushed: nil, err
local function failed(jobs, err)
  local kind = core.is_error(err) and err.kind or "error"
  for _, job in ipairs(jobs) do metrics.message(true, job.queue, job.name, kind) end
  return nil, err
end

--- Calls f(...) in a span of its own, of which the runs of the jobs are parts, where the task is traced.
local function in_span(jobs, f, ...)
  if not observed_job.parent() then return f(...) end
  local first, is_one = jobs[1], #jobs == 1
  return require "moonloop.trace.core".producer(is_one and "send " .. first.name or "send", {
    ["messaging.system"] = "moonloop", ["messaging.operation.name"] = "send", ["messaging.operation.type"] = "send",
    ["messaging.destination.name"] = first.queue, ["moonloop.job.name"] = is_one and first.name or nil,
    ["messaging.batch.message_count"] = not is_one and #jobs or nil,
  }, f, ...)
end

local function push_one(self, job, tx)
  job.trace = observed_job.parent()
  local ok, err = tables.need(self.db, tx)
  if not ok then return failed({ job }, err) end
  local id, created = self.dialect.push(tx or self.db, job)
  if not id then return failed({ job }, created) end
  if job.trace then require "moonloop.trace.core".current():set("messaging.message.id", tostring(id)) end
  job.is_created = created
  if created then tell(self, tx, { [job.lane] = job.delay }, { job }) end
  return id, created
end

--- jobs:push(name, args [, opts]) -> id, created | nil, err
function M.push(self, name, args, opts)
  opts = options.check(opts, known, "jobs:push")
  local job = make(self, name, args, opts, "jobs:push")
  check_holder(self, opts.tx, "jobs:push")
  return in_span({ job }, push_one, self, job, opts.tx)
end

local all_known = { tx = known.tx }

local function push_list(self, holder, list)
  local ids, plain, places = {}, {}, {}
  for i, job in ipairs(list) do
    if job.unique then
      local id, created = self.dialect.push(holder, job)
      if not id then return nil, created end
      ids[i], job.is_created = id, created
    else
      plain[#plain + 1], places[#plain + 1] = job, i
    end
  end
  if #plain > 0 then
    local rows, err = self.dialect.push_many(holder, plain)
    if not rows then return nil, err end
    for i, row in ipairs(rows) do ids[places[i]], plain[i].is_created = row.id, true end
  end
  return ids
end

local function push_jobs(self, jobs, lanes, keyed, tx)
  local trace = observed_job.parent()
  for _, job in ipairs(jobs) do job.trace = trace end
  local ok, err = tables.need(self.db, tx)
  if not ok then return failed(jobs, err) end
  local ids
  if keyed and not tx then
    ids, err = self.db:tx(function(inner) return push_list(self, inner, jobs) end)
  else
    ids, err = push_list(self, tx or self.db, jobs)
  end
  if not ids then return failed(jobs, err) end
  tell(self, tx, lanes, jobs)
  return ids
end

--- jobs:push_all({ {name, args [, opts]}, ... } [, {tx =}]) -> ids | nil, err
-- All or none.
function M.push_all(self, list, opts)
  if type(list) ~= "table" then
    core.fail(("jobs:push_all: a list of {name, args, options} expected, got %s"):format(type(list)))
  end
  opts = options.check(opts, all_known, "jobs:push_all")
  local jobs, lanes, keyed = {}, {}, false
  for i, item in ipairs(list) do
    local whose = ("jobs:push_all: item %d"):format(i)
    if type(item) ~= "table" then
      core.fail(("%s: a list {name, args, options} expected, got %s"):format(whose, type(item)))
    end
    local own = options.check(item[3], known, whose)
    if own.tx then core.fail(whose .. ": the option 'tx' is for all of them: jobs:push_all(list, {tx = tx})") end
    jobs[i] = make(self, item[1], item[2], own, whose)
    lanes[jobs[i].lane] = math.min(lanes[jobs[i].lane] or math.huge, jobs[i].delay)
    keyed = keyed or jobs[i].unique ~= nil
  end
  check_holder(self, opts.tx, "jobs:push_all")
  if #jobs == 0 then return {} end
  return in_span(jobs, push_jobs, self, jobs, lanes, keyed, opts.tx)
end

return M
