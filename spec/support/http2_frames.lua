--- A server of HTTP/2 on plain TCP that decides on every frame it sends, for the specs of the client, whose
-- option is `http2 = "clear"`. It reads no header blocks: an answer goes by the number of the stream.
local http = require "spec.support.http"

local M = {}

M.DATA, M.HEADERS, M.PRIORITY, M.RST_STREAM, M.SETTINGS = 0, 1, 2, 3, 4
M.PUSH_PROMISE, M.PING, M.GOAWAY, M.WINDOW_UPDATE, M.CONTINUATION = 5, 6, 7, 8, 9
M.END_STREAM, M.ACK, M.END_HEADERS = 1, 1, 4

local PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

--- A frame as bytes.
function M.frame(type, flags, id, payload)
  payload = payload or ""
  return (">I3BBI4"):pack(#payload, type, flags, id) .. payload
end

--- A number of HPACK with a prefix of seven bits (RFC 7541 section 5.1).
local function number(n)
  if n < 127 then return string.char(n) end
  local bytes = { "\127" }
  n = n - 127
  while n >= 128 do
    bytes[#bytes + 1] = string.char(n % 128 + 128)
    n = n // 128
  end
  return table.concat(bytes) .. string.char(n)
end

--- A header block: `fields` is a list of name, value, name, value, as they are written.
function M.block(fields)
  local parts = {}
  for i = 1, #fields, 2 do
    local name, value = fields[i], fields[i + 1]
    parts[#parts + 1] = "\0" .. number(#name) .. name .. number(#value) .. value
  end
  return table.concat(parts)
end

--- HEADERS of a stream with these fields.
function M.headers(id, fields, flags)
  return M.frame(M.HEADERS, M.END_HEADERS | (flags or 0), id, M.block(fields))
end

--- A whole response of 200.
function M.ok(id, body)
  return M.headers(id, { ":status", "200", "content-length", tostring(#body) })
    .. M.frame(M.DATA, M.END_STREAM, id, body)
end

function M.settings(list)
  local parts = {}
  for key, value in pairs(list or {}) do parts[#parts + 1] = (">I2I4"):pack(key, value) end
  return M.frame(M.SETTINGS, 0, 0, table.concat(parts))
end

function M.reset(id, code) return M.frame(M.RST_STREAM, 0, id, (">I4"):pack(code)) end

function M.goaway(last, code) return M.frame(M.GOAWAY, 0, 0, (">I4I4"):pack(last, code or 0)) end

--- Reads a frame: a table of type, flags, id and payload; nil at the end.
function M.read(conn)
  local head = conn:receive(9, 60)
  if not head or #head < 9 then return nil end
  local size, type, flags, id = (">I3BBI4"):unpack(head)
  local payload = size > 0 and conn:receive(size, 60) or ""
  if not payload or #payload < size then return nil end
  return { type = type, flags = flags, id = id, payload = payload }
end

--- Talks to a client: acknowledges its settings and pings, and calls `answer(conn, frame)` with every other
-- frame; `conn.frames` has all of them. `settings` are ours.
function M.talk(answer, settings)
  return function(socket, n)
    local conn = setmetatable({ frames = {}, n = n }, { __index = function(_, name)
      return function(_, ...) return socket[name](socket, ...) end
    end })
    if socket:receive(#PREFACE, 60) ~= PREFACE then return end
    socket:send(M.settings(settings))
    for frame in M.read, socket do
      conn.frames[#conn.frames + 1] = frame
      if frame.type == M.SETTINGS then
        if frame.flags & M.ACK == 0 then socket:send(M.frame(M.SETTINGS, M.ACK, 0)) end
      elseif frame.type == M.PING and frame.flags & M.ACK == 0 and not conn.silent then
        socket:send(M.frame(M.PING, M.ACK, 0, frame.payload))
      elseif answer(conn, frame) == false then
        return
      end
    end
  end
end

--- A server that answers each HEADERS of a client by `answer(conn, id, frame)`, which may return false: the
-- connection is closed.
function M.serve(answer, settings)
  return http.serve(M.talk(function(conn, frame)
    if frame.type == M.HEADERS then return answer(conn, frame.id, frame) end
  end, settings))
end

return M
