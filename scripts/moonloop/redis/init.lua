--- ml.redis: a client of Redis servers.
local arguments = require "moonloop.redis.arguments"
local batch = require "moonloop.redis.batch"
local cache = require "moonloop.redis.cache"
local cluster = require "moonloop.redis.cluster"
local commands = require "moonloop.redis.commands"
local core = require "moonloop.redis.core"
local group = require "moonloop.redis.group"
local lease = require "moonloop.redis.lease"
local lock = require "moonloop.redis.lock"
local places = require "moonloop.redis.places"
local scan = require "moonloop.redis.scan"
local script = require "moonloop.redis.script"
local subscribe = require "moonloop.redis.subscribe"

-- --- the methods of a client beside the commands ---

local Client = {}

Client.pipeline, Client.multi = batch.pipeline, batch.multi
Client.script, Client.scan = script.new, scan.new
Client.group, Client.lock, Client.cache = group, lock, cache

function Client:subscribe(...) return subscribe(self, "SUBSCRIBE", ...) end
function Client:psubscribe(...) return subscribe(self, "PSUBSCRIBE", ...) end

--- Closes all connections. Waiting and later calls fail with kind "closed".
function Client:close()
  core.close(self)
  lease.close(self)
end

for name, f in pairs(Client) do
  if cluster.methods[name] == nil then cluster.methods[name] = f end
end
core.index("cluster", commands.for_clients(cluster.methods, lease.call))
core.index("client", commands.for_clients(Client, lease.call))
core.index("connection", commands.for_connections())
core.index("batch", commands.for_batches())

-- --- making clients ---

local options = {
  user = "string", password = "string", database = arguments.index, name = "string",
  protocol = arguments.protocol, timeout = arguments.seconds, connect_timeout = arguments.span,
  offline_queue = arguments.index, tls = "boolean|table", max_reply = arguments.bytes,
}
local defaults = { protocol = 3, timeout = 10, connect_timeout = 5, offline_queue = 1000,
  max_reply = 256 * 1024 * 1024 }

local M = {}

local function copy(t)
  if type(t) ~= "table" then return t end
  local result = {}
  for name, value in pairs(t) do result[name] = copy(value) end
  return result
end

local function check(settings)
  if settings.tls then core.check_tls(settings.tls) end
  if settings.user and not settings.password then
    arguments.raise "ml.redis.client: option 'user' needs a password"
  end
  if settings.name and settings.name:find "[^!-~]" then
    arguments.raise "ml.redis.client: option 'name': printable characters without spaces expected"
  end
end

-- A client of the server at a place, or of the master that sentinels name. settings: the options.
local function one(place, settings, made_from)
  settings = copy(settings)
  for _, sentinel in ipairs(place.sentinels or {}) do settings.tls = settings.tls or sentinel.tls end
  if place.tls and settings.tls == false then
    arguments.raise("ml.redis.client: option 'tls' is false, and the URL says rediss://")
  end
  for name, value in pairs(place) do
    if settings[name] == nil then settings[name] = value end
  end
  check(settings)
  local t = { made_from = made_from, timeout = settings.timeout }
  lease.open(t)
  return core.client(core.settings(settings), t)
end

local function of_cluster(seeds, settings, made_from, opts)
  cluster.check(seeds)
  if settings.database and settings.database ~= 0 then
    arguments.raise("ml.redis.client: option 'database': a cluster has only database 0")
  end
  for _, place in ipairs(seeds) do
    settings.user, settings.password = settings.user or place.user, settings.password or place.password
    settings.tls = settings.tls or place.tls
  end
  settings.hasty = true
  check(settings)
  local function node(host, port)
    local place = places.at(host, port)
    return one(place, settings, { place.label, opts })
  end
  return cluster.new(seeds, { made_from = made_from, timeout = settings.timeout }, node, Client.close)
end

--- client(url [, opts]) -> a client that connects at its first command.
-- client{sentinels = [, master =], ...}, client{cluster =, ...}: the options are in the same table.
function M.client(where, opts)
  local made_from = { copy(where), copy(opts) }
  local place, seeds
  if type(where) == "table" then
    place, seeds, opts = places.several(where, opts)
  else
    place = places.parse(where)
  end
  local settings = arguments.options("ml.redis.client", opts, options, defaults)
  if seeds then return of_cluster(seeds, settings, made_from, opts) end
  return one(place, settings, made_from)
end

return M
