--- Redis servers for the specs: a real one of their own, one that says what a spec wants, and a proxy.
local ml = require "moonloop"
local folders = require "spec.support.folder"
local proxies = require "spec.support.proxy"
local rawtcp = require("spec.support").rawtcp
local common = require "spec.support.servers"
local assert = require "luassert"

local M = {}

local WAIT = 100 -- seconds that something may take to happen

--- Why there can be no real server, or nil.
function M.missing()
  if not os.execute "redis-server --version >/dev/null 2>&1" then return "redis-server is not installed" end
end

--- Waits until `f()` gives something, and gives that; `what` is said where it does not.
function M.eventually(what, f) return common.eventually(WAIT, what, f) end

-- --- a real server ---

local Server = setmetatable({}, { __index = common.Server })
Server.__index = Server

--- Starts redis-server, as nobody where we are root, on the same places as before.
function Server:start()
  local command = ("cd %s && echo $$ && exec %s redis-server %s >>log 2>&1"):format(self.folder.path, self.as,
    self.arguments)
  self.pipe = assert(io.popen(command))
  self.pid = self.pipe:read "l"
  local client <close> = self:client { timeout = 1 }
  self.eventually("redis-server has not started", function() return client:ping() end)
  return self
end

Server.eventually = M.eventually

--- A client of it, by its Unix socket; or by TCP, with `{tcp = true}`.
function Server:client(opts)
  opts = opts or {}
  opts.timeout = opts.timeout or WAIT
  local url = opts.tcp and self.url or "unix:" .. self.folder.path .. "/socket"
  opts.tcp = nil
  return ml.redis.client(url, opts)
end

Server.__close = Server.close

-- A server that is to be started in a new folder, with these files.
local function new_server(files)
  local folder = folders.new(files)
  assert(os.execute(("chmod 777 %s && cd %s && chmod 666 * 2>/dev/null; true"):format(folder.path, folder.path)))
  local port = common.free_port()
  return setmetatable({ folder = folder, as = common.as_nobody(), port = port,
    url = "redis://127.0.0.1:" .. port }, Server)
end

--- Starts a server in a new folder; `options` are more words of its command line.
function M.start(options)
  local server = new_server {}
  server.arguments = ([[--port %d --bind 127.0.0.1 --unixsocket %s/socket --unixsocketperm 777 --save '' --appendonly no
    --daemonize no --dir %s --enable-debug-command yes %s]]):gsub("\n%s*", " "):format(server.port,
    server.folder.path, server.folder.path, options or "")
  return server:start()
end

--- The words of a command line with which a server also listens with TLS, at a new port, and speaks it with the
-- servers that belong to it; that port. `certs` is a folder of spec.support.tls with the pair "good".
function M.tls_words(certs)
  local port = common.free_port()
  return ("--tls-port %d --tls-cert-file %s --tls-key-file %s --tls-ca-cert-file %s --tls-auth-clients optional "
    .. "--tls-cluster yes --tls-replication yes"):format(port, certs.good.cert, certs.good.key, certs.ca), port
end

-- --- servers that belong together ---

local Servers = {}
Servers.__index = Servers

-- Starts each with `start(i)`; what has been started is closed where one fails.
local function start_all(count, start)
  local servers = setmetatable({}, Servers)
  for i = 1, count do
    local ok, server = pcall(start, i)
    if not ok then
      servers:close()
      error(server, 0)
    end
    servers[i] = server
  end
  return servers
end

function Servers:close()
  for _, server in ipairs(self) do server:close() end
end

Servers.__close = Servers.close

--- The URLs of all.
function Servers:urls()
  local urls = {}
  for i, server in ipairs(self) do urls[i] = server.url end
  return urls
end

--- Starts sentinels that watch over `server` as "mymaster"; with `certs` by TLS, which they listen with at `tls_port`.
function M.start_sentinels(count, server, certs)
  return start_all(count, function()
    local sentinel = new_server { ["sentinel.conf"] = ([[
      sentinel monitor mymaster 127.0.0.1 %d %d
      sentinel down-after-milliseconds mymaster 1000
      sentinel failover-timeout mymaster 10000
    ]]):format(certs and server.tls_port or server.port, count // 2 + 1) }
    local path, words = sentinel.folder.path, ""
    if certs then words, sentinel.tls_port = M.tls_words(certs) end
    sentinel.arguments = ("%s/sentinel.conf --sentinel --port %d --bind 127.0.0.1 --unixsocket %s/socket " ..
      "--unixsocketperm 777 --dir %s %s"):format(path, sentinel.port, path, path, words)
    return sentinel:start()
  end)
end

-- Tells the servers of a cluster of each other, and which slots they have.
local function join(servers, masters)
  for i = 1, #servers do
    local client <close> = servers[i]:client()
    if i <= masters then
      local first, last = 16384 * (i - 1) // masters, 16384 * i // masters - 1
      assert(client:call("CLUSTER", "ADDSLOTSRANGE", first, last))
    end
    assert(client:call("CLUSTER", "SET-CONFIG-EPOCH", i))
    local first = servers[1]
    if i > 1 then assert(client:call("CLUSTER", "MEET", "127.0.0.1", first.tls_port or first.port, first.bus)) end
  end
  local names = {}
  for i, server in ipairs(servers) do
    local client <close> = server:client()
    names[i] = client:call("CLUSTER", "MYID")
    M.eventually("the nodes do not know each other", function()
      return select(2, client:call("CLUSTER", "NODES"):gsub("127.0.0.1", "")) == #servers
    end)
  end
  for i = masters + 1, #servers do
    local client <close> = servers[i]:client()
    M.eventually("the replica does not know its master", function()
      return client:call("CLUSTER", "REPLICATE", names[i - masters])
    end)
  end
  for _, server in ipairs(servers) do
    local client <close> = server:client()
    M.eventually("the cluster is not ready", function()
      return client:call("CLUSTER", "INFO"):find "cluster_state:ok" and #client:call("CLUSTER", "SLOTS") == masters
    end)
  end
end

--- Starts a cluster of `masters` nodes with slots, and `replicas`, of the first ones; with `certs` its nodes speak TLS
-- with each other, and at their `tls_port`.
function M.start_cluster(masters, replicas, certs)
  local servers = start_all(masters + (replicas or 0), function()
    local bus, words, tls_port = common.free_port(), "", nil
    if certs then words, tls_port = M.tls_words(certs) end
    local server = M.start(([[--cluster-enabled yes --cluster-config-file nodes.conf --cluster-node-timeout 60000
      --cluster-port %d --cluster-replica-validity-factor 0 --repl-diskless-sync-delay 0 %s]]):gsub("\n%s*", " ")
      :format(bus, words))
    server.bus, server.tls_port = bus, tls_port
    return server
  end)
  local ok, err = pcall(join, servers, masters)
  if ok then return servers end
  servers:close()
  error(err, 0)
end

-- --- one that says what a spec wants ---

--- Reads a command: the list of its words; nil when the client has gone.
function M.read_command(conn)
  local head = conn:receive "\r\n"
  local words = {}
  for i = 1, tonumber(head and head:match "^%*(%d+)" or 0) do
    local length = conn:receive "\r\n"
    local word = length and conn:receive(tonumber(length:match "%d+") + 2)
    if not word then return nil end
    words[i] = word:sub(1, -3)
  end
  return words[1] and words
end

--- A server whose connections go to `talk(conn, n)` after HELLO, each in a task of its own; to
-- `greet(conn, words)`, if that is given, goes HELLO itself.
function M.fake(talk, greet)
  local server = { listener = rawtcp.listen(), connections = 0 }
  server.url = "redis://127.0.0.1:" .. server.listener.port
  server.task = ml.spawn(function()
    while true do
      local conn = server.listener:accept(WAIT)
      if not conn then return end
      server.connections = server.connections + 1
      local n = server.connections
      ml.spawn(function()
        local _ <close> = conn
        local words = M.read_command(conn)
        if not words then return end
        if greet then greet(conn, words) else conn:send "%1\r\n+server\r\n+fake\r\n" end
        talk(conn, n)
      end)
    end
  end)
  return setmetatable(server, { __close = function()
    server.task:cancel()
    server.listener:close()
  end })
end

--- Answers each command by what `reply(words)` gives, a text.
function M.answering(reply)
  return function(conn)
    for words in M.read_command, conn do
      if not conn:send(type(reply) == "string" and reply or reply(words)) then return end
    end
  end
end

--- A proxy in front of the server at `port` (spec/support/proxy.lua); `proxy.url` leads to it.
function M.proxy(port)
  local proxy = proxies.start(port)
  proxy.url = "redis://127.0.0.1:" .. proxy.port
  return proxy
end

return M
