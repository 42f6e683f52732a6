--- jobs:work(): a worker. It has a row in the database with its heartbeat; a feed for each queue (feed.lua) and
-- the tasks of tend.lua and heart.lua are its own.
local core = require "moonloop.core"
local define = require "moonloop.jobs.define"
local errors = require "moonloop.jobs.errors"
local feed = require "moonloop.jobs.feed"
local heart = require "moonloop.jobs.heart"
local holders = require "moonloop.sql.holders"
local options = require "moonloop.core.options"
local tables = require "moonloop.jobs.tables"
local tend = require "moonloop.jobs.tend"
local times = require "moonloop.jobs.times"
local wake = require "moonloop.jobs.wake"

local SLOTS = 10

local Worker = { __name = "moonloop.jobs.worker", __stays = "a worker, which cannot leave its Lua state" }
Worker.__index = Worker

local M = {}

-- --- its life ---

local function register(self)
  local ok, err = tables.need(self.jobs.db)
  if not ok then return nil, err end
  return self.jobs.dialect.register(self.jobs.db, heart.place())
end

local function beat(self)
  if holders.of(self.jobs.db).made_from.memory then return end -- no other thread can reach it
  while true do
    heart.run(self)
    errors.say("worker %d was taken for lost, and goes on as another one: what it finishes late does not count",
      self.id)
    self.id = errors.insist(self, register)
    self.shown = nil
  end
end

-- Cancels what runs, and waits for its clean-up.
local function cancel_all(self)
  local tasks = {}
  for _, record in pairs(self.running) do
    if record.task then tasks[#tasks + 1] = record.task end
    feed.cancel(record)
  end
  if #tasks > 0 then require "moonloop.core.wait".wait(tasks, { timeout = times.clean_up }) end
end

-- Writes down what has ended, and gives back what has not.
local function give_back(self)
  local dialect, db = self.jobs.dialect, self.jobs.db
  local mine = { worker = self.id }
  local ok, err = feed.finish_all(self)
  if ok then ok, err = dialect.put_back_all(db, mine) end
  if ok then ok, err = dialect.leave(db, mine) end
  -- A statement that was under way when its task was cancelled may have taken more meanwhile. One that begins now
  -- takes nothing: there is no such worker.
  if ok then ok, err = dialect.put_back_all(db, mine) end
  if not ok then
    errors.say("a worker of jobs could not give its jobs back; they are when it counts as lost, in %d s: %s",
      times.lost, errors.message(err))
  end
end

local function leave(self)
  local _ <close> = setmetatable({}, { __close = function() self.over:set() end })
  self.stopping = true
  core.shield(function()
    if self.unsubscribe then self.unsubscribe() end
    cancel_all(self)
    if self.id then
      local ok, err = core.timeout(times.leave, give_back, self)
      if not ok and err then
        errors.say("a worker of jobs has ended while its database did not answer: %s", errors.message(err))
      end
    end
  end)
end

-- What wake.lua says: jobs were pushed into `lanes`, from them to the seconds until they are due, or perhaps
-- anywhere; or one is to be cancelled.
local function told(self)
  return function(lanes, cancelled)
    local record = self.running[cancelled or false]
    if record then feed.cancel(record, true) end
    for lane, delay in pairs(lanes or {}) do
      for _, one in pairs(self.feeds) do one:look(lane) end
      if self.is_for_all then self.poke:set() end -- it may be in another queue
      if delay > 0 and core.now() + delay < self.due_at then self.poke:set() end
    end
    if lanes then return end
    for _, one in pairs(self.feeds) do one:look() end
  end
end

local function live(self)
  local _ <close> = setmetatable({}, { __close = function() leave(self) end })
  self.id = errors.insist(self, register)
  self.unsubscribe = wake.subscribe(self.jobs.db, told(self))
  local g <close> = core.group()
  if self.is_for_all then
    function self.add_queue(name)
      if self.feeds[name] then return end
      self.feeds[name] = feed.new(self, name, SLOTS)
      self.feeds[name]:start(g)
      self.relaned = nil
    end
  end
  for _, one in pairs(self.feeds) do one:start(g) end
  g:spawn(tend.run, self)
  g:spawn(beat, self)
end

-- --- jobs:work ---

local known = {
  queues = function(v)
    if type(v) ~= "table" then return "a table { queue = how many jobs at once }" end
    for name, slots in pairs(v) do
      if define.name(name) or math.type(slots) ~= "integer" or slots < 1 or slots > 10000 then
        return "a table { queue = how many jobs at once }, with integers from 1 to 10000"
      end
    end
    return next(v) == nil and "a table with at least one queue" or nil
  end,
}

-- `queues`: from their names to how many jobs of them run at once.
local function begin(self, queues, is_for_all)
  holders.check_free(self.db, "jobs:work")
  local worker = setmetatable({
    jobs = self, running = {}, feeds = {}, late = 0, done = 0, over = core.event(), idle = core.event(),
    poke = core.event(), due_at = math.huge, is_for_all = is_for_all,
  }, Worker)
  for name, slots in pairs(queues) do
    worker.feeds[name] = feed.new(worker, name, slots)
  end
  self.is_worked = true
  worker.task = core.spawn(live, worker)
  worker.task.name = "worker of jobs"
  return worker
end

--- jobs:work([{queues =}]) -> worker
function M.work(self, opts)
  opts = options.check(opts, known, "jobs:work")
  return begin(self, opts.queues or { [self.queue] = SLOTS }, false)
end

--- The same for its own queue and all in which there are jobs.
function M.work_all(self) return begin(self, { [self.queue] = SLOTS }, true) end

local function check(self, method)
  if getmetatable(self) ~= Worker then core.bad_self(self, "worker", method) end
end

--- worker:stop([drain]): takes no more jobs, lets those that run go on for `drain` seconds (0), gives the others
-- back, and returns when that is done.
function Worker:stop(drain)
  check(self, "stop")
  if drain ~= nil and not (type(drain) == "number" and drain >= 0) then
    core.fail(("worker:stop: a number of seconds, at least 0, expected, got %s"):format(tostring(drain)))
  end
  self.stopping = true
  if (drain or 0) > 0 and next(self.running) then
    self.idle:clear()
    core.timeout(drain, self.idle.wait, self.idle)
  end
  if self.task:status() == "pending" then -- it never will run
    self.over:set()
  end
  self.task:cancel "the worker stops"
  self.over:wait()
end

--- worker:wait(): returns when it has ended.
function Worker:wait()
  check(self, "wait")
  self.over:wait()
end

return M
