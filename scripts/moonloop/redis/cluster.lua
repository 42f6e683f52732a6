--- ml.redis.client{cluster =}: the methods of a cluster beside the commands.
local arguments = require "moonloop.redis.arguments"
local batch = require "moonloop.redis.cluster_batch"
local core = require "moonloop.redis.core"
local nodes = require "moonloop.redis.cluster_nodes"
local raw = require "moonloop.redis.raw"
local scan = require "moonloop.redis.scan"

local M = {}

local Cluster = {}

Cluster.pipeline, Cluster.multi = batch.pipeline, batch.multi

--- cluster:nodes() -> list of clients of the nodes that have slots | nil, err
function Cluster:nodes() return nodes.of(self):list() end

--- for key in r:scan([pattern [, {count =, type =}]]) do
-- Scans one node after the other.
function Cluster:scan(pattern, opts)
  scan.check(pattern, opts)
  local list, next_key, at = nil, nil, 0
  return scan.iterator(function()
    if not list then
      local err
      list, err = nodes.of(self):list()
      if not list then error(err, 0) end
    end
    while true do
      local key = next_key and next_key()
      if key then return key end
      at = at + 1
      if not list[at] then return nil end
      next_key = scan.new(list[at], pattern, opts)
    end
  end)
end

function Cluster:close() nodes.of(self):close() end

M.methods = Cluster

--- Makes a cluster. seeds: places, as moonloop.redis.url returns them; make(host, port) -> a client; close(node).
function M.new(seeds, t, make, close)
  t.nodes = nodes.new(seeds, t.timeout, raw, make, close)
  return core.cluster(t)
end

--- Raises if a place cannot be a node of a cluster.
function M.check(seeds)
  for _, place in ipairs(seeds) do
    if place.path then
      arguments.raise("ml.redis.client: cluster: '%s' is a Unix socket; nodes have hosts and ports", place.path)
    end
    if place.database ~= 0 then
      arguments.raise("ml.redis.client: cluster: database %d: a cluster has only database 0", place.database)
    end
  end
end

return M
