--- The commands of Redis as methods: any name is a command. raw.lua sends them; this file knows which commands cannot
-- share a connection.
local arguments = require "moonloop.redis.arguments"
local blocking = require "moonloop.redis.blocking"
local cluster_route = require "moonloop.redis.cluster_route"
local expand = require "moonloop.redis.expand"
local raw = require "moonloop.redis.raw"

local raise = arguments.raise

local M = {}

-- --- commands ---

local routes = cluster_route.new(raw, expand)

--- on_cluster(name, cluster, ...) -> value | nil, err
M.on_cluster = routes.command

--- What clusters need besides: cluster_route.lua.
M.routes = routes

-- Commands that would change the connection that all tasks share, and what to use instead.
local refused = {
  SELECT = "give the database in the client's URL", AUTH = "give user and password in the client's URL",
  HELLO = "the client sends it itself", QUIT = "use r:close()", RESET = "make another client",
  MONITOR = "use redis-cli", SYNC = "only replicas send it", PSYNC = "only replicas send it",
  MULTI = "use r:multi", EXEC = "use r:multi", DISCARD = "use r:multi", WATCH = "use r:multi{watch =}",
  UNWATCH = "use r:multi{watch =}", SUBSCRIBE = "use r:subscribe", PSUBSCRIBE = "use r:psubscribe",
  SSUBSCRIBE = "use r:subscribe", UNSUBSCRIBE = "leave the loop of r:subscribe",
  PUNSUBSCRIBE = "leave the loop of r:psubscribe", SUNSUBSCRIBE = "leave the loop of r:subscribe",
}

-- A function for a refused command.
local function refusal(name, instead)
  return function() raise("%s cannot be sent on a shared connection: %s", name, instead) end
end

--- The command `name` for clients and clusters: `on_lease(client, name, ...)` runs it on a connection of
-- its own.
local function for_client(name, on_lease)
  local send = raw[name]
  if refused[name] then return refusal(name, refused[name]) end
  if name == "CLIENT" then
    return function(self, ...)
      if blocking.has_word("REPLY", (...)) then raise "CLIENT REPLY cannot be sent on a shared connection" end
      return send(self, ...)
    end
  end
  if not blocking.commands[name] then return send end
  return function(self, ...)
    if blocking.blocks(name, ...) then return on_lease(self, name, ...) end
    return send(self, ...)
  end
end

--- The command `name` for a batch.
local function for_batch(name)
  local send = raw[name]
  if refused[name] then return refusal(name, refused[name]) end
  if name == "CLIENT" then return for_client(name) end
  if not blocking.commands[name] then return send end
  return function(self, ...)
    if blocking.blocks(name, ...) then
      raise("%s blocks, so it cannot be part of a batch: call it on the client", name)
    end
    return send(self, ...)
  end
end

local function name_of(whose, name)
  if type(name) ~= "string" then raise("%s: the name of a command expected, got %s", whose, type(name)) end
  if not name:find "^[%w_.-]+$" then
    raise("%s: '%s' is not the name of a command; further words are arguments", whose, name:sub(1, 50))
  end
  return name:upper()
end

-- Adds `call`, and each command by its name in lower case, to the methods `own`.
local function methods(own, make)
  local made = {}
  local function command(name)
    local f = made[name] or make(name)
    made[name] = f
    return f
  end
  function own:call(name, ...) return command(name_of("call", name))(self, ...) end
  return setmetatable(own, { __index = function(t, key)
    if type(key) ~= "string" or not key:find "^%l[%l%d]*$" then return nil end
    local f = command(key:upper())
    rawset(t, key, f)
    return f
  end })
end

--- The methods of clients: `own` and the commands.
function M.for_clients(own, on_lease)
  return methods(own, function(name) return for_client(name, on_lease) end)
end

--- The methods of the batches of clusters: `add(batch, name, ...)` records a command.
function M.for_records(add)
  return methods({}, function(name)
    local check = for_batch(name)
    return function(self, ...)
      check(self.check, ...)
      add(self, name, ...)
    end
  end)
end

--- The methods of batches, and of the connection of a transaction with `watch`.
function M.for_batches() return methods({}, for_batch) end
M.for_connections = M.for_batches

return M
