--- db:listen and db:notify: PostgreSQL's notifications. Whoever listens has a connection beside the pool.
local core = require "moonloop.core"
local holders = require "moonloop.sql.holders"
local reconnect = require "moonloop.core.reconnect"

local M = {}

local Listener = {}
Listener.__index = Listener

function Listener:close()
  if not self.conn then return end
  self.conn:discard()
  self.conn = nil
end

Listener.__close = Listener.close

-- Returns when the server has confirmed.
local function open(self)
  self:close()
  local conn, err = self.db:lease "listen"
  if not conn then return nil, err end
  self.conn = conn
  for _, channel in ipairs(self.channels) do
    local ok
    ok, err = conn:listen(channel)
    if not ok then
      self:close()
      return nil, err
    end
  end
  return true
end

-- May the server be back soon, and is the database wanted still?
local function is_passing(err, self)
  return (err.kind == "network" or err.kind == "closed" or err.kind == "timeout") and not self.db:stats().closed
end

local function next_notification(self)
  local notification, err = self.conn:next_notification()
  if notification then return notification end
  if not is_passing(err, self) then error(err, 0) end
  reconnect(open, is_passing, self)
  return { gap = true }
end

--- for n in db:listen(channel, ...) do
-- n.channel, n.payload; n.gap is true, and nothing else is there, where the connection was lost and made
-- again: what was sent meanwhile is lost. Returns when the server has confirmed; raises where it cannot.
function M.listen(db, ...)
  local known = holders.of(db, "listen")
  if known.driver ~= "pg" then core.fail "db:listen: SQLite has no notifications; PostgreSQL has" end
  local channels = { ... }
  if #channels == 0 then core.fail "db:listen: the name of a channel expected" end
  for _, channel in ipairs(channels) do
    if type(channel) ~= "string" or channel == "" then
      core.fail(("db:listen: the name of a channel expected, got %s"):format(channel == "" and "''" or type(channel)))
    end
  end
  local self = setmetatable({ db = db, channels = channels }, Listener)
  local is_open = false
  local _ <close> = setmetatable({}, { __close = function() -- a cancel while it connects
    if not is_open then self:close() end
  end })
  local ok, err = open(self)
  if not ok then error(err, 0) end
  is_open = true
  return next_notification, self, nil, self
end

--- db:notify(channel [, text]) -> true | nil, err
-- In a transaction it is sent when that is committed.
function M.notify(db, channel, text)
  local known = holders.of(holders.is_database(db) and db or db.db, "notify")
  if known.driver ~= "pg" then core.fail "notify: SQLite has no notifications; PostgreSQL has" end
  holders.check_shared(db, "notify")
  local n, err = db:exec("select pg_notify($1, $2)", channel, text or "")
  if n == nil then return nil, err end
  return true
end

return M
