--- Wake-ups: a worker that has nothing to do hears of a push at once. It also looks by itself each second, so that
-- a wake-up may get lost.
--
-- Workers of this Lua state are called directly. Others hear of it by a notification of PostgreSQL. Never in the
-- transaction that pushes: the server commits those that notify one after the other, each with its fsync. Here
-- one is sent behind the commit, from a connection beside the pool, for all that was pushed in 10 ms. Other
-- processes on an SQLite file see that its log has changed.
local core = require "moonloop.core"
local holders = require "moonloop.sql.holders"
local reconnect = require "moonloop.core.reconnect"
local urls = require "moonloop.sql.url"

local CHANNEL = "moonloop_jobs"
local POLL = 1 -- seconds: what is due later is found without a wake-up
local PAUSE = 0.010 -- seconds between two notifications, and between two looks at a file
local LIMIT = 1 -- seconds that a notification may take

-- Losing a wake-up in a crash is no harm, so it does not wait for the disk.
local NOTIFY = "select set_config('synchronous_commit', 'off', true), pg_notify($1, l) from unnest($2::text[]) as l"

local M = {}

-- --- listeners of this Lua state ---

local rooms = setmetatable({}, { __mode = "v" }) -- by the database's place; who listens keeps the room

local places = setmetatable({}, { __mode = "k" }) -- by database: a URL is taken apart once

local function place_of(db)
  local place = places[db]
  if place then return place end
  local known = holders.of(db, "jobs")
  local made = known.made_from
  if made.memory then
    place = db
  else
    place = known.driver == "sqlite" and select(2, urls.parse(made.url)).path or made.url
  end
  places[db] = place
  return place
end

local function wake_here(db, lanes, cancelled)
  for f in pairs(rooms[place_of(db)] or {}) do f(lanes, cancelled) end
end

-- --- sending ---

local senders = setmetatable({}, { __mode = "k" }) -- by database

local function send(self)
  local lanes = {}
  for lane in pairs(self.lanes) do lanes[#lanes + 1] = lane end
  self.lanes, self.sent = {}, core.now()
  local conn = self.conn
  if not conn or conn:state() == "closed" then
    conn = self.db:lease "listen"
    self.conn = conn
    if not conn then return end
  end
  local ok = conn:query(NOTIFY, CHANNEL, lanes)
  if not ok then
    conn:discard()
    self.conn = nil
  end
end

-- The body of a task of its own.
local function send_all(self)
  core.set_vars(nil) -- nothing of the task that pushed is this one's
  local _ <close> = setmetatable({}, { __close = function() self.is_sending = false end })
  repeat
    local wait = self.sent + PAUSE - core.now()
    if wait > 0 then core.sleep(wait) end
    pcall(core.timeout, LIMIT, send, self)
  until not next(self.lanes)
end

local function send_soon(db, lanes)
  local self = senders[db]
  if not self then
    self = { db = db, lanes = {}, sent = -math.huge }
    senders[db] = self
  end
  for lane, delay in pairs(lanes) do
    if delay < POLL then self.lanes[lane] = true end
  end
  if self.is_sending or not next(self.lanes) then return end
  self.is_sending = true
  core.spawn_host(send_all, self)
end

--- Jobs were committed in `db`. `lanes`: from the lanes that they are in to the seconds after which the first is
-- due. Does not wait.
function M.pushed(db, lanes)
  wake_here(db, lanes)
  if holders.of(db, "jobs").driver == "pg" then send_soon(db, lanes) end
end

--- The run of the job with that id is to be cancelled. Workers of other processes see it within a second.
function M.cancelled(db, id) wake_here(db, {}, id) end

-- --- listening ---

-- Calls stream(db, f), which may end with an error, for ever.
local function listen_for_ever(db, f, stream)
  local ended
  local function try()
    local heard = nil
    ended = pcall(stream, db, function(lanes)
      heard = true -- the pauses begin anew
      f(lanes)
    end) or db:stats().closed
    if not ended then f(nil) end
    return ended or heard
  end
  repeat reconnect(try) until ended
end

local function notifications(db, call)
  for note in db:listen(CHANNEL) do
    call(not note.gap and { [note.payload] = 0 } or nil)
  end
end

-- The log of an SQLite file grows with each commit, also with those of this process.
local function changes(db, call)
  for _ in assert(require "moonloop.fs".watch(place_of(db) .. "-wal")) do
    call(nil)
    core.sleep(PAUSE)
  end
end

--- From now on f(lanes) is called for what is pushed, f(nil) when something may have been, in any lane, and
-- f({}, id) for a job to cancel. f must not wait. Returns a function that ends that, and may wait; it is for the
-- task that has called this one.
function M.subscribe(db, f)
  local place, known = place_of(db), holders.of(db, "jobs")
  local room = rooms[place] or {}
  rooms[place] = room
  room[f] = true
  local stream = known.driver == "pg" and notifications or not known.made_from.memory and changes
  local task = stream and core.spawn(listen_for_ever, db, f, stream)
  return function()
    room[f] = nil
    if not task then return end
    task:cancel()
    pcall(task.await, task)
    task = nil
  end
end

return M
