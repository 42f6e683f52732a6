--- r:subscribe and r:psubscribe: messages from channels, on a connection of their own.
local arguments = require "moonloop.redis.arguments"
local core = require "moonloop.redis.core"
local lease = require "moonloop.redis.lease"
local nodes = require "moonloop.redis.cluster_nodes"
local raw = require "moonloop.redis.raw"
local reconnect = require "moonloop.core.reconnect"
local tasks = require "moonloop.core"
local unexpected = require "moonloop.redis.unexpected"

-- What may come before the server has confirmed all channels: messages, and bytes of them.
local MOST_EARLY, MOST_EARLY_BYTES = 1000, 1024 * 1024

local Subscription = {}
Subscription.__index = Subscription

-- Closes the connection.
function Subscription:close()
  if not self.conn then return end
  core.table(self.node).leased[self.conn] = nil
  core.close(self.conn)
  self.conn = nil
end

Subscription.__close = Subscription.close

-- Turns a reply into a message; nil for confirmations of the subscription itself, and for what is none.
local function message(reply)
  if type(reply) ~= "table" then return nil end
  local kind, made = reply[1], nil
  if kind == "message" or kind == "smessage" then made = { channel = reply[2], payload = reply[3] } end
  if kind == "pmessage" then made = { pattern = reply[2], channel = reply[3], payload = reply[4] } end
  return made and type(made.channel) == "string" and type(made.payload) == "string" and made or nil
end

-- Connects and subscribes; returns when the server has confirmed all channels. Messages that arrive
-- earlier are kept.
local function connect(self)
  local ok, err = raw.PING(self.conn)
  if not ok then return nil, err or unexpected "PING" end
  core.subscribe(self.conn)
  core.post(self.conn, self.command, table.unpack(self.channels))
  local confirmed, word, bytes = 0, self.command:lower(), 0
  while confirmed < #self.channels do
    local reply
    reply, err = core.next(self.conn)
    if err then return nil, err end
    if tasks.is_error(reply) then return nil, reply end
    if type(reply) ~= "table" then return nil, unexpected(self.command) end
    if reply[1] == word then
      confirmed = confirmed + 1
    else
      local m = message(reply)
      bytes = bytes + (m and #m.channel + #m.payload or 0)
      if #self.early == MOST_EARLY or bytes > MOST_EARLY_BYTES then return nil, unexpected(self.command) end
      self.early[#self.early + 1] = m
    end
  end
  return true
end

-- Opens a new connection in place of the old one.
local function open(self)
  self:close()
  if lease.is_closed(self.client) then return raw.PING(self.client) end -- returns the error
  local cluster, node = nodes.of(self.client), self.client
  if cluster then -- any node will do: messages reach all of them
    local failure
    node, failure = cluster:pick()
    if not node then return nil, failure end
  end
  self.node = node
  local t = core.table(self.node)
  self.conn = core.connection(self.node, true)
  t.leased[self.conn] = true
  local ok, err = tasks.timeout(t.timeout, connect, self)
  if not ok then
    if cluster then cluster:doubt(self.node) end
    self:close()
  end
  return ok, err
end

local function is_passing(err) return err.kind == "network" or err.kind == "dns" or err.kind == "timeout" end

-- The iterator: returns the next message.
local function next_message(self)
  if self.early[1] then return table.remove(self.early, 1) end
  while true do
    local reply, err = core.next(self.conn)
    if err then
      if lease.is_closed(self.client) then error(err, 0) end
      reconnect(open, is_passing, self)
      return { gap = true }
    end
    local m = not tasks.is_error(reply) and message(reply)
    if m then return m end
  end
end

--- for m in r:subscribe(channel, ...) do
-- `command` is SUBSCRIBE or PSUBSCRIBE. Returns when the server has confirmed; raises if that fails.
-- Leaving the loop closes the connection.
return function(client, command, ...)
  local channels = { ... }
  if type((...)) == "table" and select("#", ...) == 1 then channels = table.move(..., 1, #..., 1, {}) end
  if #channels == 0 then arguments.raise("%s: the name of a channel expected", command:lower()) end
  for _, channel in ipairs(channels) do arguments.text(command:lower(), "a channel", channel) end
  local self = setmetatable({ client = client, command = command, channels = channels, early = {} }, Subscription)
  local is_open = false
  local guard <close> = setmetatable({}, { -- luacheck: ignore (a cancel while it connects)
    __close = function()
      if not is_open then self:close() end
    end,
  })
  local ok, err = open(self)
  if not ok then error(err, 0) end
  is_open = true
  return next_message, self, nil, self
end
