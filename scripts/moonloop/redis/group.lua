--- r:group: the messages of a stream, divided among the consumers of a group.
local arguments = require "moonloop.redis.arguments"
local lease = require "moonloop.redis.lease"
local raw = require "moonloop.redis.raw"
local tasks = require "moonloop.core"
local unexpected = require "moonloop.redis.unexpected"

local BLOCK = 5 -- seconds that one XREADGROUP waits at most
local FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2 -- seconds between attempts to reconnect

-- --- messages ---

local Message = {}
Message.__index = Message
Message.__name = "moonloop.redis.message"

--- msg:ack() -> true | nil, err
-- Acknowledges the message: it is not delivered again.
function Message:ack()
  local of = self.of
  local n, err = raw.XACK(of.client, of.stream, of.group, self.id)
  if not n then return nil, err end
  return true
end

-- Is it {{id, {name, value, ...}}, ...}?
local function are_messages(list)
  if type(list) ~= "table" then return false end
  for _, entry in ipairs(list) do
    local fields = type(entry) == "table" and type(entry[1]) == "string" and (entry[2] or {})
    if type(fields) ~= "table" then return false end
    for i = 1, #fields, 2 do
      if type(fields[i]) ~= "string" then return false end
    end
  end
  return true
end

-- The messages of the stream in a reply to XREADGROUP, which has others beside it in RESP2; nil: it is none.
local function messages_of(reader, reply)
  if reply == nil then return {} end
  if type(reply) ~= "table" then return nil end
  local list, one = reply[reader.stream], reply[1]
  if list == nil then list = type(one) == "table" and one[2] or one == nil and {} end
  return are_messages(list) and list or nil
end

-- Adds the messages of a list. Returns the id of the last one, or nil. A deleted one has no fields; it is acknowledged
-- so that it does not come back.
local function add_messages(reader, list)
  local last
  for _, entry in ipairs(list) do
    local fields = {}
    for i = 1, #(entry[2] or {}), 2 do fields[entry[2][i]] = entry[2][i + 1] end
    local msg = setmetatable({ id = entry[1], fields = fields, stream = reader.stream, of = reader.of }, Message)
    if entry[2] then table.insert(reader.ready, msg) else msg:ack() end
    last = msg.id
  end
  return last
end

-- --- where messages come from ---

-- Another state would be a second consumer of the same name. Messages may go there, to be acknowledged there.
local Reader = { __stays = "an iterator over messages, which cannot leave its Lua state" }

-- Messages delivered to this consumer earlier and not acknowledged, from reader.old on.
local function read_old(reader)
  local reply, err = raw.XREADGROUP(reader.client, "GROUP", reader.group, reader.consumer, "COUNT", reader.count,
    "STREAMS", reader.stream, reader.old)
  if err then return nil, err end
  local list = messages_of(reader, reply)
  if not list then return nil, unexpected "XREADGROUP" end
  reader.old = add_messages(reader, list)
  return true
end

-- Messages that other consumers have held for too long.
local function claim(reader)
  local reply, err = raw.XAUTOCLAIM(reader.client, reader.stream, reader.group, reader.consumer,
    math.floor(reader.claim_idle * 1000), reader.cursor, "COUNT", reader.count)
  if err then return nil, err end
  if type(reply) ~= "table" or type(reply[1]) ~= "string" or not are_messages(reply[2]) then
    return nil, unexpected "XAUTOCLAIM"
  end
  reader.cursor = reply[1]
  if reader.cursor == "0-0" then reader.claim_at = tasks.now() + math.max(reader.claim_idle / 2, 0.01) end
  add_messages(reader, reply[2])
  return true
end

-- New messages; waits up to BLOCK seconds.
local function read_new(reader)
  local wait = BLOCK
  if reader.claim_at then wait = math.max(0.001, math.min(wait, reader.claim_at - tasks.now())) end
  local reply, err = lease.call(reader.client, "XREADGROUP", "GROUP", reader.group, reader.consumer, "COUNT",
    reader.count, "BLOCK", math.ceil(wait * 1000), "STREAMS", reader.stream, ">")
  if err then return nil, err end
  local list = messages_of(reader, reply)
  if not list then return nil, unexpected "XREADGROUP" end
  add_messages(reader, list)
  return true
end

local function create(reader)
  local ok, err = raw.XGROUP(reader.client, "CREATE", reader.stream, reader.group, reader.start, "MKSTREAM")
  if ok or err and err.code == "BUSYGROUP" then return true end
  return nil, err or unexpected "XGROUP CREATE"
end

local function step(reader)
  if not reader.created then
    local ok, err = create(reader)
    reader.created = ok
    return ok, err
  end
  if reader.old then return read_old(reader) end
  if reader.claim_at and tasks.now() >= reader.claim_at then return claim(reader) end
  return read_new(reader)
end

local function is_passing(err)
  return err.kind == "network" or err.kind == "dns" or err.kind == "timeout" or err.kind == "busy"
end

local function next_message(reader)
  local pause = FIRST_PAUSE
  while not reader.ready[1] do
    local ok, err = step(reader)
    if ok then
      pause = FIRST_PAUSE
    elseif err.code == "NOGROUP" then -- the server has lost the group
      reader.created = false
    elseif is_passing(err) then
      reader.old = "0" -- a lost reply may have delivered some
      tasks.sleep(pause)
      pause = math.min(pause * 2, LONGEST_PAUSE)
    else
      error(err, 0)
    end
  end
  return table.remove(reader.ready, 1)
end

--- for msg in r:group(stream, group, {consumer = [, count =, claim_idle =, start =]}) do ... msg:ack() end
-- Creates the group if it is missing. Messages that this consumer got earlier and did not acknowledge come
-- first, then new ones.
return function(client, stream, group, opts)
  arguments.text("group", "the stream", stream)
  arguments.text("group", "the group", group)
  opts = arguments.options("group", opts,
    { consumer = "string", count = arguments.count, claim_idle = arguments.span, start = "string" },
    { count = 10, start = "0" })
  if not opts.consumer then
    arguments.raise "group: option 'consumer' is missing: a name that stays the same when this process restarts"
  end
  local reader = setmetatable({
    of = { client = client, stream = stream, group = group },
    client = client, stream = stream, group = group, consumer = opts.consumer, count = opts.count,
    claim_idle = opts.claim_idle, claim_at = opts.claim_idle and 0 or nil, start = opts.start, cursor = "0-0",
    old = "0", ready = {},
  }, Reader)
  if lease.is_closed(client) then error(select(2, raw.PING(client)), 0) end
  return next_message, reader
end
