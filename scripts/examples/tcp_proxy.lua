-- A proxy for any protocol over TCP: `moonloop run tcp_proxy.lua 8080 127.0.0.1 8000`. Ctrl-C ends it.
-- Bytes are read no faster than the other side takes them, so that it needs little memory however much
-- passes through it.
local ml = require "moonloop"

local port, target, target_port = tonumber(arg[1]), arg[2], tonumber(arg[3])
if not (port and target and target_port) then
  io.stderr:write "usage: tcp_proxy.lua PORT TARGET TARGET_PORT\n"
  os.exit(2)
end

--- Passes on what comes, to its end. Returns nil and an error if one of the two is broken.
local function pass(from, to)
  while true do
    local data, err = from:read_some()
    if err then return nil, err end
    if not data then return to:shutdown() end -- the other way may go on
    local ok, why = to:write(data)            -- waits while `to` is behind
    if not ok then return nil, why end
  end
end

local function serve(client)
  local upstream <close>, err = ml.net.connect(target, target_port, { timeout = 10 })
  if not upstream then return print(("%s port %d: %s"):format(target, target_port, err)) end
  pcall(ml.gather, { pass, client, upstream }, { pass, upstream, client }) -- one that breaks ends both
end

local server = assert(ml.net.listen("127.0.0.1", port, { max_connections = 1000 }, serve))
print(("listening on %s port %d"):format(server:address()))
io.stdout:flush()

ml.signal.wait("INT", "TERM")
server:stop(5) -- what is on its way has five seconds
