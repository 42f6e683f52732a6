--- jobs:every: jobs that are pushed at certain times, once in the whole cluster. A schedule is a row with the time
-- when it is due next, by the database's clock; who moves it on pushes the job, in the same transaction.
local core = require "moonloop.core"
local cron = require "moonloop.jobs.cron"
local define = require "moonloop.jobs.define"
local moment = require "moonloop.jobs.moment"
local options = require "moonloop.core.options"
local push = require "moonloop.jobs.push"
local texts = require "moonloop.jobs.texts"
local zones = require "moonloop.jobs.zone"

local M = {}

-- --- what is asked for ---

local known = {
  timezone = function(v)
    if type(v) ~= "string" then return "the name of a time zone" end
    local zone, why = zones.named(v)
    if not zone then core.fail("jobs:every: " .. why) end
  end,
  key = define.name,
}

-- Seconds: the next time of a beat that was due at `due`, or that begins now.
local function by_seconds(seconds)
  return function(now, due)
    if not due then return now + seconds end
    return due + (math.floor((now - due) / seconds) + 1) * seconds
  end
end

local function by_cron(text, zone)
  local parsed = cron.parse(text)
  return function(now) return parsed:next(now, zone) end
end

--- jobs:every("0 3 * * *" | seconds, name, args [, {timezone =, key =}])
function M.every(self, when, name, args, opts)
  opts = options.check(opts, known, "jobs:every")
  define.find(self, name, "jobs:every")
  local key, schedule = opts.key or name, { name = name, args = args, place = core.place() }
  if type(when) == "string" then
    schedule.next = by_cron(when, opts.timezone and zones.named(opts.timezone))
    schedule.spec = when .. " " .. (opts.timezone or "UTC")
  elseif type(when) == "number" and when >= 1 and when < math.huge then
    if opts.timezone then core.fail "jobs:every: seconds have no 'timezone': it belongs to cron expressions" end
    schedule.next, schedule.spec = by_seconds(when), ("%.14g"):format(when)
  else
    core.fail(("jobs:every: a cron expression such as '0 3 * * *' or a number of seconds, at least 1, expected, got %s")
      :format(type(when) == "number" and tostring(when) or type(when)))
  end
  if self.schedules[key] then
    core.fail(("jobs:every: '%s' has a schedule already, from %s: give this one a name of its own, {key = }"):format(
      key, self.schedules[key].place or "?"))
  end
  push.check_args(self, name, args, "jobs:every")
  self.schedules[key] = schedule
end

-- --- the rows ---

local statements = texts.all {
  -- A new one, or one that has changed.
  plan = "insert into moonloop_jobs_schedules (key, spec, next_at) values ({key}, {spec}, {next}) "
    .. "on conflict (key) do update set spec = excluded.spec, next_at = excluded.next_at "
    .. "where moonloop_jobs_schedules.spec <> excluded.spec",
  -- Of several that do this, one changes a row.
  move = "update moonloop_jobs_schedules set next_at = {next}, pushed_at = {at} "
    .. "where key = {key} and spec = {spec} and next_at <= {at}",
}

-- Pushes the job of a schedule that is due, unless another worker was faster: when it is due next | nil, err
local function fire(self, key, schedule, now, due)
  local following = schedule.next(now, due)
  local ok, err = self.db:tx(function(tx)
    local n, failure = texts.run(tx, "exec", statements.move, { key = key, spec = schedule.spec, at = now,
      next = following })
    if n == nil then return nil, failure end
    if n == 0 then return true end
    local id
    id, failure = push.push(self, schedule.name, schedule.args, { tx = tx })
    if not id then return nil, failure end
    return true
  end)
  if not ok then return nil, err end
  return following
end

--- tick(jobs, is_first) -> seconds until the next schedule is due (math.huge: none) | nil, err
-- Pushes what is due; what was due several times meanwhile is pushed once. `is_first`: plans those that are new here.
-- A row with another spec than ours is a schedule of workers with other code.
function M.tick(self, is_first)
  if not next(self.schedules) then return math.huge end
  local rows, err = self.dialect.schedules(self.db, { now = moment() })
  if not rows then return nil, err end
  local now, planned, soonest = rows[1].now, {}, math.huge
  for _, row in ipairs(rows) do
    if row.key then planned[row.key] = row end
  end
  for key, schedule in pairs(self.schedules) do
    local row = planned[key]
    local due = row and row.spec == schedule.spec and row.next_at
    if not due and is_first then
      due = schedule.next(now)
      local n
      n, err = texts.run(self.db, "exec", statements.plan, { key = key, spec = schedule.spec, next = due })
      if n == nil then return nil, err end
    elseif due and due <= now then
      due, err = fire(self, key, schedule, now, due)
      if not due then return nil, err end
    end
    if due then soonest = math.min(soonest, due - now) end
  end
  return soonest
end

return M
