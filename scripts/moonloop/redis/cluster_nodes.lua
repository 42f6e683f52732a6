--- The nodes of a cluster, each an ordinary client, and the slots that they have.
local core = require "moonloop.redis.core"
local is_between = require "moonloop.core.is_between"
local tasks = require "moonloop.core"

local LONGEST_QUESTION = 2 -- seconds to wait for one node's answer to CLUSTER SLOTS
local MOVED_PAUSE = 1 -- seconds between refreshes because slots have moved
local SLOTS = 16384
local MOST = 1000 -- nodes that are known at a time: Redis is made for no more

-- A table with weak keys.
local function by_node() return setmetatable({}, { __mode = "k" }) end

local Nodes = {}
Nodes.__index = Nodes

-- The client for the node at that address; the same one each time. nil where there are too many.
local function node_at(self, host, port)
  local address = host .. ":" .. port
  local node = self.by_address[address]
  if not node then
    if self.count == MOST then return nil end
    node = self.make(host, port)
    self.by_address[address], self.count = node, self.count + 1
    self.hosts[node] = host
  end
  self.unused[node] = nil
  return node
end

local function close_at(self, address, node)
  self.by_address[address], self.count = nil, self.count - 1
  self.close_node(node)
end

-- Closes nodes that had no slots at the last refresh either, so that calls in progress are not cut off.
local function close_unused(self, known)
  for address, node in pairs(self.by_address) do
    if known[node] or self.is_seed[node] then
      self.unused[node] = nil
    elseif not self.unused[node] then
      self.unused[node] = true
    else
      close_at(self, address, node)
    end
  end
end

-- Where there are too many nodes for these ranges as well, closes those that are not in them.
local function make_room(self, ranges)
  local wanted, new = {}, 0
  for _, range in ipairs(ranges) do
    local address = range.host .. ":" .. range.port
    if not wanted[address] and not self.by_address[address] then new = new + 1 end
    wanted[address] = true
  end
  if self.count + new <= MOST then return end
  for address, node in pairs(self.by_address) do
    if not wanted[address] and not self.is_seed[node] then close_at(self, address, node) end
  end
end

-- The host and port of the node in {first, last, {host, port, id, ...}, replicas...}, which `asked` has sent; nil if
-- it is something else.
local function place_of(self, asked, range)
  local place = type(range) == "table" and range[3]
  if type(place) ~= "table" or not is_between(place[2], 1, 65535) then return nil end
  if not (is_between(range[1], 0, SLOTS - 1) and is_between(range[2], range[1], SLOTS - 1)) then return nil end
  local host = place[1]
  if type(host) ~= "string" or host == "" or host == "?" then host = self.hosts[asked] end
  return host, place[2]
end

-- The ranges of the reply to CLUSTER SLOTS: {first =, last =, host =, port =}, ...; nil: it is none.
local function ranges_of(self, asked, reply)
  if type(reply) ~= "table" then return nil end
  local ranges, count = {}, 0
  for i, range in ipairs(reply) do
    local host, port = place_of(self, asked, range)
    count = count + (host and range[2] - range[1] + 1 or 0)
    if not host or count > SLOTS then return nil end -- some would have two nodes
    ranges[i] = { first = range[1], last = range[2], host = host, port = port }
  end
  return ranges
end

-- Applies the reply, as far as there may be nodes. False: it is none.
local function apply(self, asked, reply)
  local slots, masters, known = {}, {}, {}
  local ranges = ranges_of(self, asked, reply) or {}
  make_room(self, ranges)
  for _, range in ipairs(ranges) do
    local node = node_at(self, range.host, range.port)
    if not node then break end
    if not known[node] then masters[#masters + 1] = node end
    known[node] = true
    for slot = range.first, range.last do slots[slot] = node end
  end
  if not masters[1] then return false end
  self.slots, self.masters, self.stale, self.moved = slots, masters, false, false
  self.asked_at = tasks.now()
  close_unused(self, known)
  return true
end

-- The nodes to ask, those that have just failed last.
local function candidates(self)
  local list, listed = {}, {}
  local function add(nodes, failed)
    for _, node in ipairs(nodes) do
      if not listed[node] and (self.failed[node] ~= nil) == failed then
        listed[node] = true
        list[#list + 1] = node
      end
    end
  end
  for _, failed in ipairs { false, true } do
    add(self.masters, failed)
    add(self.seeds, failed)
  end
  return list
end

--- Asks one node after the other for the slots. Returns true, or nil and the last error.
function Nodes:refresh()
  local round = self.round
  local held <close> = self.lock:hold() -- luacheck: ignore
  if self.round ~= round and not self.stale then return true end -- another task has just refreshed them
  local err
  for _, node in ipairs(candidates(self)) do
    if self.closed then break end
    local reply
    reply, err = tasks.timeout(math.min(LONGEST_QUESTION, self.timeout), self.raw.CLUSTER, node, "SLOTS")
    if reply and apply(self, node, reply) then
      self.round = self.round + 1
      self.failed = by_node()
      return true
    end
    if not reply then self.failed[node] = true end
  end
  return nil, err or tasks.error { kind = "network", code = "CLUSTERDOWN",
    message = "no node of the cluster knows the slots" }
end

--- The node that has a slot, or any node if `slot` is nil. Or nil and an error.
function Nodes:pick(slot)
  if self.closed then return nil, tasks.error { kind = "closed", message = "the client of the cluster was closed" } end
  if self.stale or self.moved and tasks.now() - self.asked_at > MOVED_PAUSE then
    local ok, err = self:refresh()
    if not ok then return nil, err end
  end
  local node
  if slot then node = self.slots[slot] else node = self.masters[math.random(#self.masters)] end
  if node then return node end
  self.stale = true
  return nil, tasks.error { kind = "redis", code = "CLUSTERDOWN",
    message = ("no node of the cluster has slot %d"):format(slot) }
end

--- Notes that a node could not be reached, or that the slots may have changed.
function Nodes:doubt(node)
  if node then self.failed[node] = true end
  self.stale = true
end

--- The node that a MOVED or ASK error names.
function Nodes:redirected(err, from)
  local slot, host, port = err.message:match "%u+ (%d+) (.*):(%d+)$"
  slot, port = math.tointeger(tonumber(slot)), math.tointeger(tonumber(port))
  if not (is_between(slot, 0, SLOTS - 1) and is_between(port, 1, 65535)) then return nil end
  if host == "" or host == "?" then host = self.hosts[from] end
  local node = node_at(self, host, port)
  if node and err.code == "MOVED" then
    self.slots[slot] = node
    self.moved = true
  end
  return node
end

--- The clients of the nodes that have slots. Or nil and an error.
function Nodes:list()
  local ok, err = self:pick()
  if not ok then return nil, err end
  return table.move(self.masters, 1, #self.masters, 1, {})
end

function Nodes:close()
  self.closed = true
  for _, node in pairs(self.by_address) do self.close_node(node) end
end

local M = {}

--- make(host, port) -> a client of one node; close_node(node) closes it. seeds: the places to start from.
function M.new(seeds, timeout, raw, make, close_node)
  local self = setmetatable({
    make = make, close_node = close_node, raw = raw, timeout = timeout, lock = tasks.lock(), by_address = {}, count = 0,
    hosts = by_node(), failed = by_node(), unused = by_node(), slots = {}, masters = {}, seeds = {}, is_seed = {},
    stale = true, moved = false, closed = false, round = 0,
  }, Nodes)
  for i, place in ipairs(seeds) do
    self.seeds[i] = node_at(self, place.host, place.port)
    self.is_seed[self.seeds[i]] = true
  end
  return self
end

--- The nodes of a cluster; nil for an ordinary client.
function M.of(client) return core.table(client).nodes end

return M
