--- One queue of a worker: jobs are taken as there is room for them, and those that have ended are written down. In
-- SQLite both is one transaction; in PostgreSQL two tasks do it at the same time, on two connections.
--
-- A queue has a lane for all its jobs, and one for each name with `concurrency`. A lane is `dirty` where there may
-- be something in it. It is read from behind the last place that was taken, which is cheap whatever stands before
-- it, and from its front now and then: what was pushed there since, by a transaction that was slow to commit, with
-- a higher priority or by a retry, is found then. These full looks may take a fifth of the time; there is one at least
-- each second (tend.lua).
local core = require "moonloop.core"
local define = require "moonloop.jobs.define"
local errors = require "moonloop.jobs.errors"
local json = require "moonloop.json"
local moment = require "moonloop.jobs.moment"
local run = require "moonloop.jobs.run"
local signals = require "moonloop.signals"
local time = require "moonloop.time"

local MOST = 1000 -- jobs that one statement takes
local FULL_PAUSE = 4 -- times what a full look took, until the next
local LONGEST_FULL_PAUSE = 1 -- seconds, unless it took longer itself
local BUSY_PAUSE = 0.01 -- seconds until another worker is done with a lane

local Feed = {}
Feed.__index = Feed

local M = {}

function M.new(worker, name, slots)
  return setmetatable({
    worker = worker, jobs = worker.jobs, name = name, slots = slots, running = 0, lanes = {}, names = 0, turn = 1,
    ended = {}, finishing = {}, fetch = core.event(), finish = core.event(), unsure = false,
  }, Feed)
end

-- --- lanes ---

-- `limited`: the name whose jobs have this lane for themselves, or nil.
local function add_lane(self, name, concurrency, limited)
  for _, lane in ipairs(self.lanes) do
    if lane.name == name then return end
  end
  table.insert(self.lanes, { name = name, concurrency = concurrency, limited = limited, dirty = true,
    priority = self.jobs.dialect.LOWEST, id = 0, full_at = -math.huge, not_before = -math.huge })
end

-- Jobs may be defined while the worker runs.
local function update_lanes(self)
  local names = self.jobs.names
  if self.names == #names then return end
  self.names = #names
  add_lane(self, self.name)
  for _, name in ipairs(names) do
    local definition = self.jobs.definitions[name]
    if definition.concurrency then
      add_lane(self, define.lane(definition, self.name), definition.concurrency, name)
    end
  end
end

--- There may be something in the lane of that name, or in all.
function Feed:look(name)
  for _, lane in ipairs(self.lanes) do
    if not name or lane.name == name then lane.dirty, lane.not_before = true, -math.huge end
  end
  self.fetch:set()
end

-- A job of the name with `concurrency` has ended: another one may begin, in any queue.
local function look_for_limited(worker, name)
  for _, one in pairs(worker.feeds) do
    for _, lane in ipairs(one.lanes) do
      if lane.limited == name then
        lane.dirty, lane.not_before = true, -math.huge
        one.fetch:set()
      end
    end
  end
end

-- The lane that is next, or nil; and the time when there may be one.
local function next_lane(self, now)
  local soonest
  for i = 0, #self.lanes - 1 do
    local turn = (self.turn + i - 1) % #self.lanes + 1
    local lane = self.lanes[turn]
    if lane.dirty then
      if lane.not_before <= now then
        self.turn = turn + 1
        return lane
      end
      soonest = math.min(soonest or math.huge, lane.not_before)
    end
  end
  return nil, soonest
end

-- --- jobs ---

-- Called when a run has ended, in its task or where that never ran.
local function settle(self, record, outcome)
  if record.outcome then return end
  record.outcome = outcome
  self.running = self.running - 1
  if self.worker.running[record.id] == record then self.worker.running[record.id] = nil end
  if outcome ~= "failed" then
    self.ended[#self.ended + 1] = record
    self.finish:set()
  elseif record.lane.limited then
    look_for_limited(self.worker, record.lane.limited)
  end
  self.fetch:set()
  if not next(self.worker.running) then self.worker.idle:set() end
end

-- A dead job is an error: nobody will try it again.
local function say_failed(record, state, delay, entry, value)
  local next = state == "dead" and "it is dead now" or ("again in %.3g s"):format(delay)
  if not state then next = "it was given to another worker meanwhile" end
  local message = ("the job '%s' (id %d) has failed, attempt %d of %d; %s: %s"):format(record.name, record.id,
    record.attempt, record.max_attempts, next, entry.message)
  local code, cause = errors.code_and_cause(value)
  signals.say(state == "dead" and "error" or "warn", message, entry.traceback, "attempt", record.attempt,
    "error", entry.message, "error_kind", entry.kind, "error_code", code, "cause", cause)
end

--- The values of the statement that writes a failed run of a record down, and what is kept of the error.
function M.failure(record, value, traceback)
  local entry = errors.entry(record.attempt, time.now(), value, traceback)
  local ok, delay = pcall(record.definition.backoff, record.attempt, value)
  if not ok or type(delay) ~= "number" or not (delay >= 0 and delay < math.huge) then
    errors.say("the backoff of the job '%s' has to return a number of seconds, at least 0; it %s %s", record.name,
      ok and "returned" or "raised", errors.message(delay))
    delay = 60
  end
  local values = { id = record.id, worker = record.worker, delay = delay + 0.0, error = json.encode(entry),
    now = moment() }
  return values, entry
end

-- Writes a failed run down, and returns its next state; waits until the database answers.
local function write_failure(self, record, value, traceback)
  local values, entry = M.failure(record, value, traceback)
  local jobs = self.jobs
  local state = errors.insist(self.worker, function() return jobs.dialect.fail(jobs.db, values) end)
  if state == false then self.worker.late = self.worker.late + 1 end
  say_failed(record, state, values.delay, entry, value)
  return state
end

local function run_record(self, record, row)
  record.begun = true
  local observed = run.began(row)
  local outcome, value, traceback = run.attempt(record)
  local state = outcome
  if outcome == "failed" then
    local ok
    ok, state = core.catch(write_failure, self, record, value, traceback)
    if not ok then outcome = "interrupted" end
  end
  if outcome == "interrupted" and record.job.is_cancelled then outcome = "cancelled" end
  run.ended(observed, outcome == "done" and "done" or outcome == "failed" and (state == "dead" and state or "failed")
    or "cancelled", value, traceback)
  settle(self, record, outcome)
end

--- A job that the worker with that id has taken.
function M.record(jobs, row, worker_id)
  return {
    id = row.id, name = row.name, attempt = row.attempt, max_attempts = row.max_attempts, args = row.args,
    bad_args = row.bad_args, keyed = row.unique_key ~= nil, definition = jobs.definitions[row.name],
    worker = worker_id, job = run.job(row),
  }
end

local function start(self, lane, row, worker_id)
  local record = M.record(self.jobs, row, worker_id)
  record.lane, record.feed, record.job.worker = lane, self, self.worker
  self.running = self.running + 1
  self.worker.running[record.id] = record
  if row.cancelled then
    settle(self, record, "cancelled")
    return
  end
  record.task = core.spawn(run.logged, row, run_record, self, record, row)
  record.task.name = "job " .. row.name
end

--- Cancels the run of a record: its job is put back, or where `for_good` ends as cancelled.
function M.cancel(record, for_good)
  if for_good then record.job.is_cancelled = true end
  if not record.begun then settle(record.feed, record, for_good and "cancelled" or "interrupted") end
  if record.task then record.task:cancel(for_good and "the job was cancelled" or "the worker stops") end
end

-- --- journeys ---

local function add(values, name, value)
  local list = values[name] or {}
  list[#list + 1] = value
  values[name] = list
end

--- Puts a record that is done or cancelled into the values of the statement that finishes it.
function M.add_finished(values, record)
  local keep = record.definition.keep
  if keep then
    add(values, "kept", record.id)
    add(values, "seconds", keep + 0.0)
    add(values, "states", record.outcome)
  else
    add(values, "done", record.id)
  end
  values.keyed = values.keyed or record.keyed
end

-- Puts what has ended into the values of a statement. Returns how many it is to finish.
local function add_ended(self, values, ended)
  local count = 0
  for _, record in ipairs(ended) do
    if record.worker ~= values.worker then
      if not record.late then self.worker.late = self.worker.late + 1 end -- it was given to others with the old id
      record.late = true
    elseif record.outcome == "interrupted" then
      add(values, "back", record.id)
    else
      count = count + 1
      M.add_finished(values, record)
    end
  end
  return count
end

-- A statement whose answer was lost may have taken jobs: those that nobody here knows of are given back.
local function make_sure(self)
  local ids, lanes = {}, {}
  for id, record in pairs(self.worker.running) do
    if record.feed == self then ids[#ids + 1] = id end
  end
  for _, list in ipairs { self.ended, self.finishing } do
    for _, record in ipairs(list) do ids[#ids + 1] = record.id end
  end
  for i, lane in ipairs(self.lanes) do lanes[i] = lane.name end
  local n, err = self.jobs.dialect.put_back_others(self.jobs.db, { worker = self.worker.id, lanes = lanes, ids = ids })
  if not n then return nil, err end
  self.unsure = false
  if n > 0 then self:look() end
  return true
end

local function note_look(lane, values, rows, is_full, took)
  if rows == "busy" then
    lane.dirty, lane.not_before = true, core.now() + BUSY_PAUSE
    return
  end
  if is_full then lane.full_at = core.now() + math.min(FULL_PAUSE * took, math.max(took, LONGEST_FULL_PAUSE)) end
  if #rows > 0 then
    local last = rows[#rows]
    lane.priority, lane.id = last.priority, last.id
  end
  if #rows >= values.limit then
    lane.dirty = true
  elseif not is_full then
    lane.dirty, lane.not_before = true, lane.full_at -- the rest is at the front, if there is one
  end
end

local function in_order(a, b)
  if a.priority ~= b.priority then return a.priority < b.priority end
  return a.id < b.id
end

-- Puts the place to look into the values of a statement, if there is one: the lane, is it a full look?
local function add_lane_values(self, values)
  update_lanes(self)
  local now, room = core.now(), self.slots - self.running
  if self.worker.stopping or room <= 0 or #self.ended + #self.finishing > self.slots + MOST then return nil end
  local lane = next_lane(self, now)
  if not lane then return nil end
  local is_full = lane.concurrency or now >= lane.full_at
  if is_full then lane.priority, lane.id = self.jobs.dialect.LOWEST, 0 end
  values.lane, values.concurrency, values.limited = lane.name, lane.concurrency, lane.limited
  values.names = self.jobs.names
  values.limit, values.priority, values.id = math.min(room, MOST), lane.priority, lane.id
  lane.dirty = false
  return lane, is_full
end

-- Jobs that were to be finished are: `count` of them, and `finished` really. For the task that finishes alone: what
-- it has under way is not to be forgotten because another one has taken some.
local function note_finished(self, ended, count, finished)
  self.finishing = {}
  if not self.repeated then self.worker.late = self.worker.late + count - finished end
  self.repeated = false
  self.worker.done = self.worker.done + finished
  for _, record in ipairs(ended) do
    if record.lane.limited then look_for_limited(self.worker, record.lane.limited) end
  end
  self.fetch:set()
end

-- One journey: finishes what has ended, where `finishes`; takes jobs, where `fetches`. False where there is nothing
-- to do; nil, err.
local function round(worker, self, fetches, finishes)
  local dialect, db = self.jobs.dialect, self.jobs.db
  if fetches and self.unsure then
    local ok, err = make_sure(self)
    if not ok then return nil, err end
  end
  local values = { worker = worker.id, now = moment() }
  local lane, is_full
  if fetches then lane, is_full = add_lane_values(self, values) end
  local ended = finishes and self.ended or {}
  if not lane and #ended == 0 then return false end
  local count = 0
  if #ended > 0 then
    self.ended, self.finishing = {}, ended
    count = add_ended(self, values, ended)
  end
  local began = core.now()
  local finished, rows, done = dialect.round(db, values)
  if finished and values.back then
    local n, err = dialect.put_back(db, { ids = values.back, worker = values.worker })
    if not n then
      errors.complain(worker, err)
      self.unsure = true -- make_sure gives them back
    end
  end
  if #ended > 0 and (finished or done) then note_finished(self, ended, count, finished or done) end
  if not finished then
    if lane then lane.dirty, self.unsure = true, true end
    if not done and #ended > 0 then
      self.repeated, self.finishing = true, {}
      table.move(self.ended, 1, #self.ended, #ended + 1, ended)
      self.ended = ended
    end
    return nil, rows
  end
  if not lane then return true end
  if #rows > 1 and rows ~= "busy" then table.sort(rows, in_order) end
  note_look(lane, values, rows, is_full, core.now() - began)
  if rows == "busy" then return true end
  for _, row in ipairs(rows) do start(self, lane, row, values.worker) end
  return true
end

-- Waits until there may be something to do.
local function wait(self, event, fetches)
  local soonest
  if fetches and self.running < self.slots and not self.worker.stopping then
    local _
    _, soonest = next_lane(self, core.now())
  end
  if soonest then
    core.timeout(math.max(0, soonest - core.now()), event.wait, event)
  else
    event:wait()
  end
  event:clear()
  core.sleep(0) -- what else ends in this pass goes into the same journey
end

local function work(self, event, fetches, finishes)
  while true do
    local worked = errors.insist(self.worker, round, self, fetches, finishes)
    if not worked then wait(self, event, fetches) end
  end
end

--- Starts the tasks of the queue, in the group `g`.
function Feed:start(g)
  if self.jobs.dialect.parallel then
    g:spawn(work, self, self.fetch, true, false)
    g:spawn(work, self, self.finish, false, true)
  else
    self.finish = self.fetch
    g:spawn(work, self, self.fetch, true, true)
  end
end

--- Writes down what has ended in all queues of a worker: true | nil, err
function M.finish_all(worker)
  local values, jobs = { worker = worker.id, now = moment() }, worker.jobs
  for _, self in pairs(worker.feeds) do
    for _, ended in ipairs { self.finishing, self.ended } do add_ended(self, values, ended) end
    self.ended, self.finishing = {}, {}
  end
  if values.done or values.kept then
    local n, err = jobs.dialect.round(jobs.db, values)
    if not n then return nil, err end
    worker.done = worker.done + n
  end
  return true
end

return M
