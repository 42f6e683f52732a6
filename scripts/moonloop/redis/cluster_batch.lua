--- r:pipeline and r:multi of a cluster. Commands are recorded, then sent to the nodes that have their keys.
local arguments = require "moonloop.redis.arguments"
local batch = require "moonloop.redis.batch"
local commands = require "moonloop.redis.commands"
local raw = require "moonloop.redis.raw"
local core = require "moonloop.redis.core"
local gather = require "moonloop.core.gather"
local keys = require "moonloop.redis.cluster_keys"
local nodes = require "moonloop.redis.cluster_nodes"
local route = require "moonloop.redis.cluster_route"
local tasks = require "moonloop.core"

local MOST_ROUNDS = 16

local M = {}

-- --- recording ---

local Record = {}

Record.__index = commands.for_records(function(record, name, ...)
  if record.over then error(("%s: the commands have already been sent"):format(name), 3) end
  local slot, key = commands.routes.slot(name, ...)
  local entry = table.pack(...)
  entry.name, entry.slot, entry.key, entry.at = name, slot, key, #record + 1
  record[entry.at] = entry
end)

-- Lets f add its commands. Returns them, or nil and the error that f returned. An entry has the arguments of a
-- command, its `name`, its `slot` and its first `key`; if no node can execute it, these are false and an error.
local function fill(f, ...)
  local record = setmetatable({ check = core.batch(), over = false }, Record)
  local value, err = f(record, ...)
  record.over = true
  if value == nil and err ~= nil then return nil, err end
  return record
end

local function add(to, entry) raw[entry.name](to, table.unpack(entry, 1, entry.n)) end

-- --- pipelines ---

-- Groups the entries by node, in order: a list of {node =, entries...}. `asked` maps slots to the nodes that are
-- importing them. Entries for which no node is known are in a group without `node`, each with its `err`.
local function by_node(self, entries, asked)
  local groups, group_of, any = {}, {}, nil
  for _, entry in ipairs(entries) do
    local target = entry.slot and asked[entry.slot]
    local node, err = target, nil
    if not node and not entry.slot then node = any end
    if not node then node, err = self:pick(entry.slot) end
    if not entry.slot then any = node end
    local group = group_of[node or false]
    if not group then
      group = { node = node }
      group_of[node or false] = group
      groups[#groups + 1] = group
    end
    entry.asking, entry.err = target ~= nil, err
    group[#group + 1] = entry
  end
  return groups
end

-- Sends the commands of a group, and sets the `reply` or `err` of each entry.
local function send(group)
  if not group.node then return end
  local commands_of = core.batch()
  for _, entry in ipairs(group) do
    if entry.asking then raw.ASKING(commands_of) end
    add(commands_of, entry)
  end
  local replies, err = core.run(commands_of, group.node, false)
  local at = 0
  for _, entry in ipairs(group) do
    at = at + (entry.asking and 2 or 1)
    entry.reply, entry.err = replies and replies[at], err
    if tasks.is_error(entry.reply) then entry.reply, entry.err = nil, entry.reply end
  end
end

-- Sends the entries and puts their replies into the list. Returns the entries to be sent again, and whether to
-- pause first.
local function round(self, entries, list, asked)
  local groups = by_node(self, entries, asked)
  local sends = {}
  for i, group in ipairs(groups) do sends[i] = { send, group } end
  if sends[2] then gather(sends, {}) elseif groups[1] then send(groups[1]) end
  local again, wait = {}, false
  for _, group in ipairs(groups) do
    for _, entry in ipairs(group) do
      local remedy = entry.err and route.remedy(entry.err)
      list[entry.at] = entry.reply
      if entry.err then list[entry.at] = entry.err end
      if remedy then
        again[#again + 1] = entry
        if remedy == "wait" then
          self:doubt(entry.err.kind ~= "redis" and group.node or nil)
          wait = true
        else
          local target = self:redirected(entry.err, group.node)
          if remedy == "ask" then asked[entry.slot] = target elseif entry.slot then asked[entry.slot] = nil end
        end
      elseif entry.err and entry.err.kind == "network" then
        self:doubt(group.node)
      end
    end
  end
  table.sort(again, function(a, b) return a.at < b.at end)
  return again, wait
end

--- r:pipeline(f) -> list | nil, err
-- The commands of each node are sent together. A command that failed is an error object in its place.
function M.pipeline(cluster, f)
  arguments.callable("pipeline", f)
  local record, err = fill(f)
  if not record then return nil, err end
  local self = nodes.of(cluster)
  local entries, list, asked = {}, {}, {}
  if self.closed then return nil, select(2, self:pick()) end
  for _, entry in ipairs(record) do
    if entry.slot == false then list[entry.at] = entry.key else entries[#entries + 1] = entry end
  end
  local pauses, rounds = route.pauses(self.timeout), 0
  while entries[1] do
    rounds = rounds + 1
    local wait
    entries, wait = round(self, entries, list, asked)
    if rounds == MOST_ROUNDS and not wait or wait and not pauses() then break end
  end
  return core.count(list, #record)
end

-- --- transactions ---

-- The slot of all commands, or nil if they have no keys; or false and an error.
local function common_slot(record)
  local first
  for _, entry in ipairs(record) do
    if entry.slot == false then return false, entry.key end
    if entry.slot and not first then first = entry end
    if entry.slot and entry.slot ~= first.slot then return false, keys.crossing("MULTI", first.key, entry.key) end
  end
  return first and first.slot
end

-- For a node that is importing the slot: one ASKING is enough for a transaction.
local function run_asking(node, record)
  local commands_of = core.batch()
  raw.ASKING(commands_of)
  raw.MULTI(commands_of)
  for _, entry in ipairs(record) do add(commands_of, entry) end
  raw.EXEC(commands_of)
  local list, err = core.run(commands_of, node, false)
  if not list then return nil, err end
  for i = 1, list.n do
    if tasks.is_error(list[i]) then return nil, list[i] end
  end
  return core.count(list[list.n], #record)
end

local function watched(self, opts, f)
  local watch = type(opts.watch) == "table" and opts.watch or { opts.watch }
  local slot, key = commands.routes.slot("WATCH", watch)
  if slot == false then return nil, key end
  local called = false
  local list, err
  local done, failure = route.run(self, slot, function(node)
    list, err = batch.multi(node, opts, function(...)
      called = true
      return f(...)
    end)
    if err == nil or called then return true end
    return nil, err
  end)
  if not done then return nil, failure end
  if tasks.is_error(err) and err.code == "MOVED" then self:doubt() end
  return list, err
end

--- r:multi([{watch = keys},] f) -> list | nil[, err]
-- All keys have to be in one slot.
function M.multi(cluster, opts, f)
  if f == nil then opts, f = nil, opts end
  opts = arguments.options("multi", opts, { watch = arguments.names })
  arguments.callable("multi", f)
  local self = nodes.of(cluster)
  if opts.watch then return watched(self, opts, f) end
  local record, err = fill(f)
  if not record then return nil, err end
  local slot, failure = common_slot(record)
  if slot == false then return nil, failure end
  return route.run(self, slot, function(node, asking)
    if asking then return run_asking(node, record) end
    local commands_of = core.batch()
    for _, entry in ipairs(record) do add(commands_of, entry) end
    return core.run(commands_of, node, true)
  end)
end

return M
