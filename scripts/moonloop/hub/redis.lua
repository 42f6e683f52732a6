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
local TOO_MUCH = 16 << 20 -- bytes that wait for Redis: more are dropped

local Link = {}
Link.__index = Link

local M = {}

function M.new(hub, redis)
  return setmetatable({ hub = hub, redis = redis, channel = "moonloop:hub:" .. hub.name, group = core.group(),
    queue = {}, bytes = 0, given = 0, sent = 0 }, Link)
end

--- Has its client been closed?
function Link:is_over() return lease.is_closed(self.redis) end

-- A failure is reported once, until it is over.
local function report(self, err)
  if not self.failing then web.report(nil, err, nil, ("hub '%s'"):format(self.hub.name)) end
  self.failing = true
end

-- --- to others ---

-- Sends the messages at the head of the queue, in order.
local function send_batch(self)
  local queue, n = self.queue, 0
  local replies, err = self.redis:pipeline(function(p)
    for i = 1, math.min(#queue, A_BATCH) do
      p:publish(self.channel, queue[i])
      self.bytes = self.bytes - #queue[i]
      n = i
    end
  end)
  table.move(queue, n + 1, #queue + n, 1)
  for i = 1, replies and replies.n or 0 do
    if tasks.is_error(replies[i]) then err = replies[i] end
  end
  if err then report(self, err) else self.failing = false end
  self.sent = self.sent + n
end

-- Sends what waits.
local function send_all(self)
  local _ <close> = setmetatable({}, { __close = function()
    self.sending = nil
    self.progress:set()
  end })
  while self.queue[1] do
    send_batch(self)
    self.progress:set()
    self.progress:clear()
  end
end

--- Sends a message after those before it, and waits until Redis has it; but not for one that fails: then
-- messages are dropped, in the end.
function Link:tell(topic, message, is_text)
  local name = self.hub.name
  local text = self.group .. string.pack("<BBI2", is_text and 1 or 0, #name, #topic) .. name .. topic .. message
  if self.bytes > 0 and self.bytes + #text > TOO_MUCH then
    report(self, tasks.error { kind = "busy", message = "Redis does not take the messages: they are dropped" })
    return
  end
  self.given = self.given + 1
  local number = self.given
  table.insert(self.queue, text)
  self.bytes = self.bytes + #text
  if not self.sending then
    self.progress = tasks.event()
    self.sending = core.start(send_all, self)
  end
  while self.sent < number and self.sending and not self.failing and core.may_wait() do self.progress:wait() end
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
    return ok or self:is_over() or nil, err
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
