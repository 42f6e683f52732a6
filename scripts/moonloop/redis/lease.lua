--- Connections with one holder: for blocking commands, WATCH and subscriptions.
local blocking = require "moonloop.redis.blocking"
local commands = require "moonloop.redis.commands"
local raw = require "moonloop.redis.raw"
local core = require "moonloop.redis.core"
local nodes = require "moonloop.redis.cluster_nodes"
local route = require "moonloop.redis.cluster_route"
local tasks = require "moonloop.core"

local MOST_IDLE = 4 -- of each kind, kept for reuse

local M = {}

-- --- idle ones ---

local function kept(client, patient)
  local t = core.table(client)
  return patient and t.idle_patient or t.idle
end

local function take(client, patient)
  local list = kept(client, patient)
  while #list > 0 do
    local conn = table.remove(list)
    if core.state(conn) == "ready" then return conn end
    core.close(conn)
  end
  return core.connection(client, patient)
end

-- --- leases ---

local Lease = {}
Lease.__index = Lease

--- Ends the lease. The connection is kept for reuse if it is known to be clean.
function Lease:__close()
  local client, conn = self.client, self.conn
  core.table(client).leased[conn] = nil
  local list = kept(client, self.patient)
  if self.clean and core.state(conn) == "ready" and core.state(client) ~= "closed" and #list < MOST_IDLE then
    list[#list + 1] = conn
  else
    core.close(conn)
  end
end

--- Leases a connection, `lease.conn`, for `local lease <close>`. At the end it is closed unless `lease.clean` is
-- set. patient: written commands have no timeout.
function M.new(client, patient)
  local conn = take(client, patient)
  core.table(client).leased[conn] = true
  return setmetatable({ client = client, conn = conn, patient = patient }, Lease)
end

--- Was the client or cluster closed?
function M.is_closed(client)
  local cluster = nodes.of(client)
  if cluster then return cluster.closed end
  return core.state(client) == "closed"
end

-- Sends a blocking command. If the server is still silent `timeout` seconds after the command's own limit, gives up.
local function send(client, conn, asking, name, ...)
  local limit = blocking.limit(name, commands.routes.arguments(name, ...))
  if not limit then return commands.routes.send(conn, asking, name, ...) end
  local seconds = limit + core.table(client).timeout
  local value, err = tasks.timeout(seconds, commands.routes.send, conn, asking, name, ...)
  -- Giving up has closed the connection.
  if value == nil and err and err.kind == "timeout" and core.state(conn) == "closed" then
    err = tasks.error { kind = "timeout", unknown = true,
      message = ("%s: no reply within %g s, although its own limit is %g s"):format(name, seconds, limit) }
  end
  return value, err
end

-- On a connection of its own to the server of `client`.
local function call(client, asking, name, ...)
  if core.state(client) == "closed" then return raw[name](client, ...) end -- returns the error
  local lease <close> = M.new(client, true)
  local value, err = send(client, lease.conn, asking, name, ...)
  lease.clean = true -- __close also checks that it is still connected
  return value, err
end

--- Runs a blocking command: value | nil, err.
function M.call(client, name, ...)
  local cluster = nodes.of(client)
  if not cluster then return call(client, false, name, ...) end
  local slot, key = commands.routes.slot(name, ...)
  if slot == false then return nil, key end
  local args = table.pack(...)
  return route.run(cluster, slot, function(node, asking)
    return call(node, asking, name, table.unpack(args, 1, args.n))
  end)
end

--- Sets up the connections of a client.
function M.open(t)
  t.idle, t.idle_patient, t.leased = {}, {}, {}
end

--- Closes all connections of a client.
function M.close(client)
  local t = core.table(client)
  for _, list in ipairs { t.idle, t.idle_patient } do
    while #list > 0 do core.close(table.remove(list)) end
  end
  for conn in pairs(t.leased) do core.close(conn) end
end

return M
