-- Asks many services at once whether they are well, at most 50 at a time, each for half a second.
-- `moonloop run health_check.lua host:port host:port ...`, or without services: some of its own.
local ml = require "moonloop"

local AT_ONCE, PATIENCE = 50, 0.5

--- What is wrong with a service, or nil: it takes a connection, and says something if it is asked.
local function fault(service)
  local host, port = service:match "^(.*):(%d+)$"
  local _, err = ml.timeout(PATIENCE, function()
    local conn, why = ml.net.connect(host, math.tointeger(port))
    if not conn then return nil, why end
    local _ <close> = conn
    conn:write "GET /healthz HTTP/1.0\r\n\r\n"
    local line, cut = conn:read()
    local status = line and line:match "^HTTP/1%.%d (%d%d%d)"
    if not line then return nil, cut or "it closes the connection" end
    if status ~= "200" then return nil, status and "status " .. status or "it does not speak HTTP" end
    return true
  end)
  if err == nil then return nil end
  return type(err) == "table" and (err.code or err.kind) or err
end

-- --- services to try it with ---

local servers, services = {}, { table.unpack(arg) }

local function start(name, f)
  local server = assert(ml.net.listen("127.0.0.1", 0, f))
  servers[#servers + 1] = server
  services[#services + 1] = ("127.0.0.1:%d"):format(select(2, server:address()))
  return name
end

local names = {}
if not services[1] then
  local function says(text)
    return function(conn)
      conn:read()
      conn:write(text)
    end
  end
  for i = 1, 20 do names[i] = start("well " .. i, says "HTTP/1.0 200 OK\r\n\r\n") end
  names[21] = start("ill", says "HTTP/1.0 503 Service Unavailable\r\n\r\n")
  names[22] = start("silent", function() ml.sleep(math.huge) end)
  names[23] = start("of another kind", says "220 a mail server\r\n")
  names[24] = start("gone", print)
  servers[24]:stop()
end

-- --- the check ---

local faults = ml.map(services, function(service) return fault(service) or false end, { limit = AT_ONCE })
local well = 0
for i, service in ipairs(services) do
  if faults[i] then
    print(("%s: %s"):format(names[i] or service, faults[i]))
  else
    well = well + 1
  end
end
print(("%d of %d are well"):format(well, #services))
for _, server in ipairs(servers) do server:stop() end
