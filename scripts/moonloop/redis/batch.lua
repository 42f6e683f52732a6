--- r:pipeline and r:multi: several commands in one round trip.
local arguments = require "moonloop.redis.arguments"
local core = require "moonloop.redis.core"
local lease = require "moonloop.redis.lease"
local raw = require "moonloop.redis.raw"

local M = {}

-- Lets f add its commands. Returns the batch, or nil and the error that f returned.
local function fill(f, ...)
  local batch = core.batch()
  local value, err = f(batch, ...)
  if value == nil and err ~= nil then return nil, err end
  return batch
end

--- r:pipeline(f) -> list | nil, err
-- f(p) calls commands on p, which are sent together when f returns. The list has their replies, with error
-- objects for error replies, and their number as `n`.
function M.pipeline(client, f)
  arguments.callable("pipeline", f)
  local batch, err = fill(f)
  if not batch then return nil, err end
  return core.run(batch, client, false)
end

local function watched(client, keys, f)
  local held <close> = lease.new(client, false)
  local conn = held.conn
  local ok, err = raw.WATCH(conn, keys)
  if not ok then return nil, err end
  local batch
  batch, err = fill(f, conn)
  if not batch then return nil, err end
  local list
  list, err = core.run(batch, conn, true)
  held.clean = err == nil
  return list, err
end

--- r:multi([{watch = keys},] f) -> list | nil[, err]
-- Like pipeline, but between MULTI and EXEC: the commands are executed together or not at all. With `watch`
-- they have a connection of their own, which f gets as its second argument, to read from. The result is nil if
-- somebody else changed one of the keys.
function M.multi(client, opts, f)
  if f == nil then opts, f = nil, opts end
  opts = arguments.options("multi", opts, { watch = arguments.names })
  arguments.callable("multi", f)
  if opts.watch then
    if core.state(client) == "closed" then return raw.WATCH(client, opts.watch) end -- returns the error
    return watched(client, opts.watch, f)
  end
  local batch, err = fill(f)
  if not batch then return nil, err end
  return core.run(batch, client, true)
end

return M
