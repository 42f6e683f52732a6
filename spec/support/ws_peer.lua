--- Raw peers of WebSockets for the specs: frames are written and read byte by byte.
local ml = require "moonloop"
local websocket = require "moonloop.websocket.core"

local M = {}

M.KEY = "\x12\x34\x56\x78"

local function mask(payload, key)
  local out = {}
  for i = 1, #payload do out[i] = string.char(payload:byte(i) ~ key:byte((i - 1) % 4 + 1)) end
  return table.concat(out)
end

--- A frame. `first`: opcode and flags, 0x81 for a whole text. `key`: masked with it.
function M.frame(first, payload, key)
  local n, bit = #payload, key and 0x80 or 0
  local head = n < 126 and string.pack("BB", first, n | bit) or n < 65536 and string.pack(">BBI2", first, 126 | bit, n)
    or string.pack(">BBI8", first, 127 | bit, n)
  return head .. (key and key .. mask(payload, key) or payload)
end

--- The payload of a Close frame.
function M.code(code, reason) return string.pack(">I2", code) .. (reason or "") end

local Peer = {}
Peer.__index = Peer

--- Sends a frame, masked if it is a client's.
function Peer:send(first, payload) return self.conn:write(M.frame(first, payload or "", self.key)) end

--- Sends bytes as they are.
function Peer:raw(bytes) return self.conn:write(bytes) end

--- The next frame: its first byte and the payload; or nil at the end.
function Peer:frame()
  local head = self.conn:read(2)
  if not head or #head < 2 then return nil end
  local first, n = head:byte(1, 2)
  self.masked = n & 0x80 ~= 0
  n = n & 0x7F
  if n == 126 then n = (">I2"):unpack(self.conn:read(2)) elseif n == 127 then n = (">I8"):unpack(self.conn:read(8)) end
  local key = self.masked and self.conn:read(4)
  local payload = n > 0 and self.conn:read(n) or ""
  return first, key and mask(payload, key) or payload
end

--- The code and the reason of the Close frame that comes next.
function Peer:closed()
  local first, payload = self:frame()
  if first ~= 0x88 then return nil, ("first byte %s, payload %q"):format(first, payload) end
  if payload == "" then return 1005, "" end
  return (">I2"):unpack(payload), payload:sub(3)
end

--- Waits for the end of the connection.
function Peer:over() return self.conn:read("a") == "" end

--- Answers a client's handshake on `conn`. `answer`: more lines of the head. Returns the peer, and the head
-- of the request.
function M.accept(conn, answer)
  local head = conn:read_until "\r\n\r\n"
  local key = head:match "Sec%-WebSocket%-Key: (%S+)\r\n"
  conn:write(("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" ..
    "Sec-WebSocket-Accept: %s\r\n%s\r\n"):format(websocket.accept_key(key), answer or ""))
  return setmetatable({ conn = conn }, Peer), head
end

--- A server whose connections run f(peer, head). Returns it and its URL.
function M.listen(f, answer)
  local server = assert(ml.net.listen("127.0.0.1", 0, function(conn) f(M.accept(conn, answer)) end))
  return server, ("ws://127.0.0.1:%d/"):format(select(2, server:address()))
end

--- Runs f(ws, peer, head) with a client (`opts`) and its raw server, and closes both.
function M.pair(opts, f, answer)
  local over, ready, got = ml.event(), ml.event(), {}
  local _ <close>, url = M.listen(function(peer, head)
    got.peer, got.head = peer, head
    ready:set()
    over:wait()
  end, answer)
  local ws <close> = assert(ml.ws.connect(url, opts))
  ready:wait()
  f(ws, got.peer, got.head)
  over:set()
end

--- A client of the WebSocket at a port. `lines`: more lines of its handshake. Returns the peer, and the head
-- of the response.
function M.connect(port, path, lines)
  local conn = assert(ml.net.connect("127.0.0.1", port))
  conn:write(("GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" ..
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n%s\r\n"):format(
      path, port, lines or ""))
  return setmetatable({ conn = conn, key = M.KEY }, Peer), conn:read_until "\r\n\r\n"
end

return M
