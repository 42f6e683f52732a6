--- A hub's link to other hosts, by a channel of Redis: "moonloop:hub:NAME".
--
-- A message is the 16 bytes that tell which server it is from, and what the workers of a server send each
-- other (host/hub/hub.c). What comes from this server's own processes has come without Redis already.
local core = require "moonloop.hub.core"
local lease = require "moonloop.redis.lease"
local reconnect = require "moonloop.core.reconnect"
local tasks = require "moonloop.core"
local web = require "moonloop.web.core"

local GROUP = 16 -- bytes
local A_BATCH = 512 -- messages that are sent together
local MUCH, TOO_MUCH = 1 << 20, 16 << 20 -- bytes on their way: publishers wait; messages are dropped

local Link = {}
Link.__index = Link

local M = {}

function M.new(hub, redis)
  return setmetatable({ hub = hub, redis = redis, channel = "moonloop:hub:" .. hub.name, group = core.group(),
    queue = {}, bytes = 0, sent = tasks.event() }, Link)
end

--- Has its client been closed?
function Link:is_over() return lease.is_closed(self.redis) end

-- A failure is reported once, until it is over.
local function report(self, err)
  if not self.failing then web.report(nil, err, nil, ("hub '%s'"):format(self.hub.name)) end
  self.failing = true
end

-- --- to others ---

-- Sends what waits, in order.
local function send_all(self)
  while self.queue[1] do
    local batch = table.move(self.queue, 1, A_BATCH, 1, {})
    self.queue = table.move(self.queue, A_BATCH + 1, #self.queue, 1, {})
    local replies, err = self.redis:pipeline(function(p)
      for _, text in ipairs(batch) do p:publish(self.channel, text) end
    end)
    for i = 1, replies and replies.n or 0 do
      if tasks.is_error(replies[i]) then err = replies[i] end
    end
    for _, text in ipairs(batch) do self.bytes = self.bytes - #text end
    if err then report(self, err) else self.failing = false end
    self.sent:set()
    self.sent:clear()
  end
end

--- Sends a message after those before it. Waits while many are on their way, but not for a Redis that
-- fails: messages are dropped then, in the end.
function Link:tell(topic, message, is_text)
  local name = self.hub.name
  local text = self.group .. string.pack("<BBI2", is_text and 1 or 0, #name, #topic) .. name .. topic .. message
  if self.bytes + #text > TOO_MUCH and self.bytes > 0 then
    report(self, tasks.error { kind = "busy", message = "Redis does not take the messages: they are dropped" })
    return
  end
  table.insert(self.queue, text)
  self.bytes = self.bytes + #text
  if not self.sending then
    self.sending = core.start(function()
      local _ <close> = setmetatable({}, { __close = function() self.sending = nil end })
      send_all(self)
    end)
  end
  while self.bytes > MUCH and not self.failing and tasks.current() do self.sent:wait() end
end

-- --- from others ---

local function is_passing(err)
  return tasks.is_error(err) and (err.kind == "network" or err.kind == "dns" or err.kind == "timeout")
end

-- Takes messages until it is cancelled, or the client is closed.
local function listen(self, heard)
  reconnect(function()
    local ok, err = pcall(function()
      local next_message, subscription, first, closer = self.redis:subscribe(self.channel)
      heard:set()
      for m in next_message, subscription, first, closer do
        if m.payload and m.payload:sub(1, GROUP) ~= self.group then
          core.came(self.hub.core, m.payload:sub(GROUP + 1))
        end
      end
    end)
    heard:set()
    if not ok and not self:is_over() then report(self, err) end
    return ok or self:is_over(), err
  end, is_passing)
end

--- Waits until it hears what others publish, or cannot. It does while the hub has members.
function Link:hear()
  if core.members(self.hub.core) == 0 then return end
  if not self.heard then
    local heard = tasks.event()
    self.heard = heard
    core.start(function()
      local _ <close> = setmetatable({}, { __close = function()
        heard:set()
        self.heard = nil
      end })
      local listener = tasks.spawn(listen, self, heard)
      core.idle(self.hub.core)
      listener:cancel()
    end)
  end
  self.heard:wait()
end

return M
