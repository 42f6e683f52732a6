--- ml.web.hub: topics, and messages to all WebSockets and streams of events that have joined them, in
-- this process, in the server's other workers, and with Redis on other hosts.
local core = require "moonloop.hub.core"
local events = require "moonloop.web.events"
local executor = require "moonloop.executor.core"
local json = require "moonloop.json"
local options = require "moonloop.core.options"
local report = require "moonloop.web.core".report
local tasks = require "moonloop.core"

local fail = tasks.fail

local WHOSE = "ml.web.hub"
local NAME_MAX = 255 -- bytes (host/hub/hub.h)
local MAX_BACKLOG = 1024 * 1024 -- bytes

local M = {}

local Hub = {}
Hub.__index = Hub
Hub.__name = "moonloop.hub"
Hub.__stays = "a hub, which cannot leave its Lua state"

function Hub:__tostring() return ("hub: '%s'"):format(self.name) end

local function check_self(self, method)
  if getmetatable(self) ~= Hub then tasks.bad_self(self, "hub", method) end
end

-- What joins: a WebSocket, or a stream of events, which scripts know by its `send`.
local function receiver(value)
  return type(value) == "function" and events.mailbox(value) or value
end

--- hub:join(ws, topic): what is published under `topic` goes to `ws` from now on, until it leaves or ends.
-- `ws` is a WebSocket, or the `send` of ml.web.events. With Redis, the first one waits until this process
-- hears the other hosts.
function Hub:join(ws, topic)
  check_self(self, "join")
  core.join(self.core, receiver(ws), topic)
  if self.link then self.link:hear() end
end

--- hub:leave(ws [, topic]): without a topic, all topics of this hub.
function Hub:leave(ws, topic)
  check_self(self, "leave")
  core.leave(self.core, receiver(ws), topic)
end

--- hub:count(topic) -> how many have joined in this process
function Hub:count(topic)
  check_self(self, "count")
  return core.count(self.core, topic)
end

local KINDS = { text = true, binary = true }
local PUBLISH = { except = true }

local function check_publish(message, kind, opts)
  if type(message) == "table" then
    message = json.encode(message)
  elseif type(message) ~= "string" then
    fail(("bad argument #2 to 'hub:publish' (string or table expected, got %s)"):format(type(message)))
  end
  if kind ~= nil and not KINDS[kind] then
    fail(("bad argument #3 to 'hub:publish' (\"text\" or \"binary\" expected, got %s)")
      :format(type(kind) == "string" and '"' .. kind .. '"' or type(kind)))
  end
  return message, kind ~= "binary", options.check(opts, PUBLISH, "hub:publish").except
end

local function report_nobody(self)
  self.is_alone = false -- once
  report(nil, "hub:publish reaches nobody: clients are connected to the server, and `moonloop work` is another "
    .. "process. Give ml.web.hub the option 'redis', here and in the server", nil, tostring(self), true)
end

--- hub:publish(topic, message [, kind] [, {except = ws}]): gives the message, a string or what is made
-- JSON, to all that have joined `topic`, here and elsewhere. kind: "text" or "binary".
function Hub:publish(topic, message, kind, opts)
  check_self(self, "publish")
  if type(kind) == "table" and opts == nil then kind, opts = nil, kind end
  local text, is_text, except = check_publish(message, kind, opts)
  core.publish(self.core, topic, text, is_text, except and receiver(except))
  if self.link then
    self.link:tell(topic, text, is_text)
  elseif self.is_alone and core.members(self.core) == 0 then
    report_nobody(self)
  end
end

-- --- making hubs ---

local function is_redis(value)
  local class = type(value) == "userdata" and getmetatable(value)
  local kind = type(class) == "table" and class.__name
  if kind ~= "moonloop.redis.client" and kind ~= "moonloop.redis.cluster" then return "a client of ml.redis" end
end

local function is_name(value)
  if type(value) ~= "string" or value == "" or #value > NAME_MAX then return "a text of 1 to 255 bytes" end
end

local function is_size(value)
  if math.type(value) ~= "integer" or value < 1 then return "a positive number of bytes" end
end

local OPTIONS = { name = is_name, redis = is_redis, max_backlog = is_size }

local hubs = {} -- by name

local function new(name, max_backlog)
  return setmetatable({
    name = name, max_backlog = max_backlog, core = core.new(name, max_backlog),
    is_alone = package.loaded["moonloop.jobs.work_command"] ~= nil, -- a process without a server beside it
  }, Hub)
end

--- ml.web.hub{name = "default", redis = r, max_backlog =} -> hub. All calls with a name give the same hub.
function M.hub(opts)
  if executor.in_worker() then
    fail "ml.web.hub: a job of ml.executor has no hubs (its task can publish what it returns)"
  end
  opts = options.check(opts, OPTIONS, WHOSE)
  local name = opts.name or "default"
  local hub = hubs[name]
  if hub and opts.max_backlog and opts.max_backlog ~= hub.max_backlog then
    fail(("option 'max_backlog' of ml.web.hub is %d, and hub '%s' has been made with %d"):format(opts.max_backlog,
      name, hub.max_backlog))
  end
  if hub and hub.link and opts.redis and not hub.link:is_over() and hub.link.redis ~= opts.redis then
    fail(("option 'redis' of ml.web.hub: hub '%s' has been made with another client"):format(name))
  end
  hub = hub or new(name, opts.max_backlog or MAX_BACKLOG)
  if opts.redis and not (hub.link and hub.link.redis == opts.redis) then
    hub.link = require "moonloop.hub.redis".new(hub, opts.redis)
  end
  hubs[name] = hub
  return hub
end

return M
