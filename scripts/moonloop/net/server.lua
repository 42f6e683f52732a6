--- Servers of ml.net.listen.
local core = require "moonloop.core"
local net = require "moonloop.net.core"
local place = require "moonloop.net.place"
local check_options = require "moonloop.core.options".check

local bad_self, event, fail, shield, spawn_for = core.bad_self, core.event, core.fail, core.shield, core.spawn_for

local M = {}

local OPTIONS = {
  max_connections = place.positive,
  max_line = place.positive,
  tls = "table",
  backlog = place.positive,
  reuse_port = "boolean",
  mode = function(value)
    if math.type(value) ~= "integer" or value < 0 or value > 511 then
      return "the permissions of a file, such as tonumber('660', 8)"
    end
  end,
}

local HANDSHAKE = 10 -- seconds that a client has for it

local Server = {}
Server.__index = Server
Server.__name = "moonloop.server"

local function check(self, method)
  if getmetatable(self) ~= Server then bad_self(self, "server", method) end
  return self
end

--- The connections are over that have tasks of ours, and nothing is accepted any more.
local function note_end(self)
  if self.stopped and self.running == 0 then self.over:set() end
end

--- The task of a connection is over.
local function left(self, task, conn)
  conn:close()
  self.tasks[task] = nil
  self.running = self.running - 1
  note_end(self)
end

--- Tasks that were cancelled before they began could not say that they are over.
local function settle(self)
  for task, conn in pairs(self.tasks) do
    if conn and task:status() == "cancelled" then left(self, task, conn) end
  end
end

local function close(self)
  self.stopped = true
  self.listener:close()
  note_end(self)
end

--- accept() -> connection | nil, err: the next one, of whoever asks first. Suspends. `err` has the kind
-- "closed" when the server has stopped.
function Server:accept()
  check(self, "accept")
  local conn, err = self.listener:accept()
  if not conn then return nil, err end
  if self.max_line then conn.max_line = self.max_line end
  return conn
end

--- connections(): for conn in server:connections() do ... end, until the server stops.
function Server:connections()
  check(self, "connections")
  return function() return (self:accept()) end
end

--- address() -> host, port | "unix:PATH": where it listens
function Server:address()
  return table.unpack(check(self, "address").place)
end

--- The body of a connection's task.
local function handle(self, conn, f)
  local here = core.current()
  self.tasks[here] = false -- it has begun
  local _ <close> = setmetatable({}, { __close = function() left(self, here, conn) end })
  if self.tls and not core.timeout(HANDSHAKE, conn.tls, conn) then return end -- it was no client of ours
  f(conn)
end

--- Accepts connections, each of which gets a task.
local function serve(self, f)
  local _ <close> = setmetatable({}, { __close = function()
    close(self)
    settle(self)
  end })
  for conn in self:connections() do
    self.running = self.running + 1
    self.tasks[spawn_for(0, handle, self, conn, f)] = conn
  end
end

local function cancel_all(self)
  for task in pairs(self.tasks) do task:cancel "the server has stopped" end
  settle(self)
end

--- stop([drain]): accepts no more; waits for the tasks of connections, at most `drain` seconds (0),
-- and cancels the others. Suspends until they are over.
function Server:stop(drain)
  check(self, "stop")
  if drain ~= nil and (type(drain) ~= "number" or drain < 0 or drain ~= drain) then
    fail "bad argument #1 to 'server:stop' (a number of seconds expected)"
  end
  close(self)
  if self.running == 0 then return end
  if drain and drain > 0 then core.timeout(drain, self.over.wait, self.over) end
  cancel_all(self)
  self.over:wait()
end

--- wait(): suspends until the server has been stopped and the tasks of its connections are over.
function Server:wait()
  check(self, "wait").over:wait()
end

function Server:__close() shield(self.stop, self) end

--- An address to listen on, or nil and an error: names are looked up.
local function address_of(where)
  if not where.host or place.is_address(where.host) then return where.host end
  if where.host == "*" then return "" end
  local list, err = net.resolve("ml.net.listen", where.host, 0)
  if not list then return nil, err end
  return list[1]
end

--- listen(host, port [, opts] [, f]) -> server | nil, err; listen("unix:PATH" [, opts] [, f]). Each
-- connection runs f(conn) in a task of its own, a child of the calling task; it is closed when that
-- ends. Without `f` it is for server:accept. Suspends only to look a name up.
function M.listen(host, port, ...)
  local where, opts, f = place.arguments("ml.net.listen", host, port, ...)
  if f == nil and opts ~= nil and type(opts) ~= "table" then opts, f = nil, opts end
  opts = check_options(opts, OPTIONS, "ml.net.listen")
  if f ~= nil and not core.is_callable(f) then
    fail(("ml.net.listen: a function that takes a connection expected, got %s"):format(type(f)))
  end
  if opts.mode and not where.path then fail "ml.net.listen: only a Unix socket has a mode" end
  if opts.tls then net.check_tls(opts.tls, true, "the option 'tls' of ml.net.listen") end
  local address, err = address_of(where)
  if err then return nil, err end
  local listener
  listener, err = net.listen {
    host = address,
    port = where.port,
    path = where.path,
    backlog = opts.backlog,
    reuse_port = opts.reuse_port,
    mode = opts.mode,
    max_connections = opts.max_connections,
    tls = opts.tls,
  }
  if not listener then return nil, err end
  local server = setmetatable({
    listener = listener,
    place = table.pack(listener:address()),
    max_line = opts.max_line,
    tls = opts.tls,
    tasks = {},
    running = 0,
    stopped = false,
    over = event(),
  }, Server)
  if f then spawn_for(2, serve, server, f) end
  return server
end

return M
