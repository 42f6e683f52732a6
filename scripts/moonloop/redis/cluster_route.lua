--- Sends commands to the node of a cluster that has their keys, and follows keys that move. A command is sent
-- again only if a node refused it or it was never written.
local core = require "moonloop.redis.core"
local keys = require "moonloop.redis.cluster_keys"
local nodes = require "moonloop.redis.cluster_nodes"
local tasks = require "moonloop.core"

local MOST_REDIRECTS = 16
local FIRST_PAUSE, LONGEST_PAUSE = 0.02, 0.5 -- seconds between attempts while the cluster is changing

local M = {}

-- The node cannot execute the command now.
local passing_codes = { CLUSTERDOWN = true, TRYAGAIN = true, MASTERDOWN = true, LOADING = true }

--- What to do about an error: "moved" or "ask" if it names another node, "wait" if the command can be tried
-- again later, nil if the error is final.
function M.remedy(err)
  if err.kind == "redis" then
    if err.code == "MOVED" then return "moved" end
    if err.code == "ASK" then return "ask" end
    return passing_codes[err.code] and "wait" or nil
  end
  local away = err.kind == "network" or err.kind == "dns" or err.kind == "timeout"
  return away and not err.unknown and "wait" or nil
end

--- Returns a function that sleeps, longer each time, and returns false once `seconds` are over.
function M.pauses(seconds)
  local over, pause = tasks.now() + seconds, FIRST_PAUSE
  return function()
    local left = over - tasks.now()
    if left <= 0 then return false end
    tasks.sleep(math.min(left, pause * (0.5 + math.random() / 2)))
    pause = math.min(pause * 2, LONGEST_PAUSE)
    return true
  end
end

--- Calls f(node, asking) -> value | nil, err with the node that has the slot (any node if nil), again if
-- needed. asking: the node is importing the slot, so ASKING has to come first. `node` and `err`: f has been
-- tried there, and failed with that.
function M.run(self, slot, f, node, err)
  local pauses, redirects = M.pauses(self.timeout), 0
  local asked
  while true do
    if not err then
      local value
      local asking = asked ~= nil
      node, asked = asked, nil
      if not node then node, err = self:pick(slot) end
      if node then value, err = f(node, asking) end
      if err == nil then return value end
    end
    local remedy = tasks.is_error(err) and M.remedy(err)
    if self.closed or not remedy then
      if node and tasks.is_error(err) and (err.kind == "network" or err.kind == "timeout") then self:doubt(node) end
      return nil, err
    end
    if remedy == "wait" then
      if err.kind ~= "redis" then self:doubt(node) elseif err.code ~= "TRYAGAIN" then self:doubt() end
      if not pauses() then return nil, err end
    else
      redirects = redirects + 1
      if redirects > MOST_REDIRECTS then return nil, err end
      local target = self:redirected(err, node)
      if remedy == "ask" then asked = target end
    end
    err = nil
  end
end

-- The arguments as a list, with tables expanded.
local function list_of(expand, name, ...)
  for i = 1, select("#", ...) do
    if type((select(i, ...))) == "table" then return { expand(name, ...) } end
  end
  return { ... }
end

--- The functions that need the commands, `raw`, and the expansion of tables among arguments.
function M.new(raw, expand)
  local R = {}

  --- The arguments of a command as a list, with tables expanded.
  function R.arguments(name, ...) return list_of(expand, name, ...) end

  --- The slot and the first key of a command; or false and an error.
  function R.slot(name, ...) return keys.slot(name, R.arguments(name, ...)) end

  --- Sends one command to a node, after ASKING if the node is importing its slot.
  function R.send(node, asking, name, ...)
    if not asking then return raw[name](node, ...) end
    local batch = core.batch()
    raw.ASKING(batch)
    raw[name](batch, ...)
    local list, err = core.run(batch, node, false)
    if not list then return nil, err end
    if tasks.is_error(list[2]) then return nil, list[2] end
    return list[2]
  end

  --- The command `name` on a cluster: value | nil, err.
  function R.command(name, cluster, ...)
    local self = nodes.of(cluster)
    local slot, key = R.slot(name, ...)
    if slot == false then return nil, key end
    local node, err = slot and not self.stale and self.slots[slot] or nil, nil
    if node then
      local value
      value, err = raw[name](node, ...)
      if err == nil then return value end
    end
    local args = table.pack(...)
    return M.run(self, slot, function(other, asking)
      return R.send(other, asking, name, table.unpack(args, 1, args.n))
    end, node, err)
  end

  return R
end

return M
