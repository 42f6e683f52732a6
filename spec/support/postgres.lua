--- PostgreSQL servers for the specs: real ones of their own, on a Unix socket in a temporary folder and
-- on a port of 127.0.0.1, run by an unprivileged user.
local folders = require "spec.support.folder"
local process = require "spec.support.process"
local servers = require "spec.support.servers"
local assert = require "luassert"

local M = {}

local WAIT = 100 -- seconds that something may take to happen
local PROGRAMS = "/usr/lib/postgresql/15/bin"

--- Why there can be no server, or nil.
function M.missing()
  if not os.execute(PROGRAMS .. "/postgres --version >/dev/null 2>&1") then return "postgresql-15 is not installed" end
end

--- Why there can be no pgbouncer, or nil.
function M.missing_pgbouncer()
  if not os.execute "PATH=$PATH:/usr/sbin pgbouncer --version >/dev/null 2>&1" then
    return "pgbouncer is not installed"
  end
end

--- Waits until `f()` gives something, and gives that; `what` is said where it does not.
function M.eventually(what, f) return servers.eventually(WAIT, what, f) end

-- Who may log in: `secret` with a password by TCP, `old` by MD5, all others without one.
local ACCESS = [[
local all all trust
host all secret 127.0.0.1/32 scram-sha-256
host all old 127.0.0.1/32 md5
host all nobody 127.0.0.1/32 reject
host all all 127.0.0.1/32 trust
]]

local Server = setmetatable({}, { __index = servers.Server })
Server.__index = Server
Server.eventually = M.eventually

local function run(command)
  local output, status = process.sh(command)
  if status ~= 0 then error(("%s\n%s"):format(command, output), 2) end
  return output
end

--- Starts it, on the same places as before.
function Server:start()
  local command = ("cd %s && echo $$ && exec %s %s/postgres -D data -k %s -p %d %s >>log 2>&1")
    :format(self.folder.path, self.as, PROGRAMS, self.folder.path, self.port, self.options)
  self.pipe = assert(io.popen(command))
  self.pid = self.pipe:read "l"
  self.eventually("PostgreSQL has not started: " .. self.folder.path, function()
    local output, status = process.sh(("%s/pg_isready -q -h %s -p %d"):format(PROGRAMS, self.folder.path, self.port))
    return status == 0, output
  end)
  return self
end

--- What `psql` prints for the SQL: rows as lines without a head, columns with a bar between them.
function Server:psql(sql)
  local script <close> = folders.file(sql)
  return (run(("PGOPTIONS='' %s/psql -X -q -A -t -v ON_ERROR_STOP=1 -h %s -p %d -U postgres -d postgres -f %s")
    :format(PROGRAMS, self.folder.path, self.port, script.path)):gsub("\n$", ""))
end

--- What it has logged so far.
function Server:log() return folders.read(self.folder.path .. "/log") end

--- Ends it at once, so that it can be started again. `signal`: QUIT, INT (fast) or TERM (when all have gone).
function Server:stop(signal) servers.Server.stop(self, signal or "QUIT") end

Server.__close = Server.close

--- Starts a server in a new folder. `settings` are lines of its configuration, as a text or a table; with
-- `{ssl = true}` it has a certificate for "localhost" of its own, `folder.path .. "/server.crt"`.
-- server.url leads to it by its Unix socket, server.tcp_url by TCP; server:at(user, password, parameters)
-- is a URL by TCP.
function M.start(settings)
  settings = settings or {}
  local folder = folders.new {}
  local path = folder.path
  local as = servers.as_nobody()
  run("chmod 777 " .. path)
  run(("cd %s && %s %s/initdb -D data -U postgres -A trust --no-sync --no-locale -E UTF8"):format(path, as, PROGRAMS))
  folders.write(path .. "/data/pg_hba.conf", ACCESS)
  if settings.ssl then
    run(("cd %s && openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=localhost -addext "
      .. "subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout server.key -out server.crt 2>&1"):format(path))
    run(("cd %s && cp server.key server.crt data/ && chmod 600 data/server.key && "
      .. "(test $(id -u) != 0 || chown 65534:65534 data/server.key data/server.crt)"):format(path))
  end
  local options = { "-c fsync=off -c full_page_writes=off -c listen_addresses=127.0.0.1 -c timezone=UTC" }
  for name, value in pairs(settings) do
    options[#options + 1] = ("-c %s=%s"):format(name, process.quote(tostring(value)))
  end
  local port = servers.free_port()
  return setmetatable({ folder = folder, as = as, port = port, options = table.concat(options, " "),
    url = ("postgres://postgres@/postgres?host=%s&port=%d"):format(path, port),
    tcp_url = ("postgres://postgres@127.0.0.1:%d/postgres?sslmode=disable"):format(port) }, Server):start()
end

--- The URL of a database by TCP for another user; `parameters` stand behind the "?".
function Server:at(user, password, parameters)
  return ("postgres://%s%s@127.0.0.1:%d/postgres?%s"):format(user, password and ":" .. password or "", self.port,
    parameters or "sslmode=disable")
end

-- --- pgbouncer ---

local Bouncer = {}
Bouncer.__index = Bouncer

function Bouncer:close()
  os.execute(("kill -KILL %s 2>/dev/null"):format(self.pid))
  self.pipe:close()
  self.folder:close()
end

Bouncer.__close = Bouncer.close

--- Starts pgbouncer in front of the server, in transaction mode. bouncer.url leads to it.
function M.bouncer(server)
  local folder = folders.new {}
  local path = folder.path
  run("chmod 777 " .. path)
  local port = servers.free_port()
  folders.write(path .. "/users", '"postgres" ""\n')
  folders.write(path .. "/ini", ([[
[databases]
postgres = host=%s port=%d dbname=postgres user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %d
unix_socket_dir = %s
auth_type = any
auth_file = %s/users
pool_mode = transaction
default_pool_size = 4
max_client_conn = 200
ignore_startup_parameters = extra_float_digits,options
]]):format(server.folder.path, server.port, port, path, path))
  local command = ("cd %s && echo $$ && PATH=$PATH:/usr/sbin exec %s pgbouncer ini >log 2>&1"):format(path,
    servers.as_nobody())
  local pipe = assert(io.popen(command))
  local bouncer = setmetatable({ folder = folder, pipe = pipe, pid = pipe:read "l",
    url = ("postgres://postgres@127.0.0.1:%d/postgres?sslmode=disable"):format(port) }, Bouncer)
  M.eventually("pgbouncer has not started", function()
    local _, status = process.sh(("%s/pg_isready -q -h 127.0.0.1 -p %d"):format(PROGRAMS, port))
    return status == 0
  end)
  return bouncer
end

return M
