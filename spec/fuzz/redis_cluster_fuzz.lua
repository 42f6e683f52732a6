-- What nodes of a Redis cluster say of its slots. The first line is an error that sends elsewhere, the rest is the
-- reply to CLUSTER SLOTS, as JSON. Whatever it says, each slot that is known has a node, and no other is.
local json = require "moonloop.json"
local nodes = require "moonloop.redis.cluster_nodes"

local SLOTS = 16384

local function no_node() end

local function make(host, port)
  assert(type(host) == "string" and math.type(port) == "integer" and port > 0 and port < 65536)
  return { host = host, port = port }
end

local function check(cluster)
  for slot, node in pairs(cluster.slots) do
    assert(math.type(slot) == "integer" and slot >= 0 and slot < SLOTS and node.host)
  end
end

return function(text)
  local message, reply = text:match "^([^\n]*)\n?(.*)$"
  reply = json.decode(reply)
  local raw = { CLUSTER = function() return reply end }
  local cluster = nodes.new({ { host = "a", port = 1 } }, 1, raw, make, no_node)
  local ok, err = cluster:refresh()
  assert(ok == true or err ~= nil)
  check(cluster)
  local code = message:match "^%u+"
  local node = cluster:redirected({ message = message, code = code }, cluster.seeds[1])
  assert(node == nil or node.host)
  check(cluster)
  if ok then assert(#cluster:list() > 0) end
  cluster:close()
end
