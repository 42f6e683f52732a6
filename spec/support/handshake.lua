--- The client's side of WebSockets on plain TCP, for specs that decide on every byte.
local rawtcp = require("spec.support").rawtcp
local web = require "spec.support.web"

local M = {}

M.KEY, M.ACCEPT = "dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" -- RFC 6455 section 1.3

--- The request of a handshake; `headers` replace its own, and are left out where they are false.
function M.request(target, headers, line)
  local all = { Host = "here", Upgrade = "websocket", Connection = "Upgrade", ["Sec-WebSocket-Version"] = "13",
    ["Sec-WebSocket-Key"] = M.KEY }
  for name, value in pairs(headers or {}) do all[name] = value end
  local lines = { line or ("GET %s HTTP/1.1"):format(target) }
  for name, value in pairs(all) do lines[#lines + 1] = value and ("%s: %s"):format(name, value) or nil end
  return table.concat(lines, "\r\n") .. "\r\n\r\n"
end

--- A masked frame: `first` is its first byte.
function M.frame(first, payload)
  local n, masked = #payload, {}
  local key = { 1, 2, 3, 4 }
  for i = 1, n do masked[i] = string.char(payload:byte(i) ~ key[(i - 1) % 4 + 1]) end
  local length = n < 126 and ("B"):pack(0x80 | n) or (">BI2"):pack(0x80 | 126, n)
  return string.char(first) .. length .. "\1\2\3\4" .. table.concat(masked)
end

function M.text(payload) return M.frame(0x81, payload) end

function M.close(code) return M.frame(0x88, code and (">I2"):pack(code) or "") end

--- Reads a frame of the server: its first byte and its payload; or nil, why.
function M.read(conn)
  local head, why = conn:receive(2)
  if not head then return nil, why end
  local first, n = head:byte(1, 2)
  if n == 126 then n = (">I2"):unpack(assert(conn:receive(2))) end
  return first, n > 0 and assert(conn:receive(n)) or ""
end

--- Reads a Close frame: its code, or false if it has none.
function M.read_close(conn)
  local first, payload = M.read(conn)
  assert(first == 0x88, ("not a Close frame: %s %s"):format(first, payload))
  return payload ~= "" and (">I2"):unpack(payload)
end

--- Connects to the port and sends the handshake; the connection, and the response.
function M.open(port, target, headers)
  local conn = assert(rawtcp.connect(port))
  assert(conn:send(M.request(target, headers)))
  return conn, web.receive(conn)
end

return M
