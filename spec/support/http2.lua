--- A client of HTTP/2 that is made of frames, for the specs of servers: it sends whatever it is told to.
-- It asks the server not to use the dynamic table of HPACK, and understands of heads only the status.
local rawtcp = require("spec.support").rawtcp

local M = {}

M.PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

M.DATA, M.HEADERS, M.PRIORITY, M.RST_STREAM, M.SETTINGS, M.PING, M.GOAWAY, M.WINDOW_UPDATE, M.CONTINUATION =
  0, 1, 2, 3, 4, 6, 7, 8, 9
M.END_STREAM, M.ACK, M.END_HEADERS = 1, 1, 4
M.NO_ERROR, M.PROTOCOL_ERROR, M.INTERNAL_ERROR, M.STREAM_CLOSED, M.REFUSED_STREAM, M.CANCEL, M.ENHANCE_YOUR_CALM =
  0, 1, 2, 5, 7, 8, 11

local HEADER_TABLE_SIZE, INITIAL_WINDOW_SIZE = 1, 4

--- A frame's bytes.
function M.frame(type, flags, stream, payload)
  payload = payload or ""
  return string.pack(">I3I1I1I4", #payload, type, flags, stream) .. payload
end

local function integer(n, prefix)
  local most = (1 << prefix) - 1
  if n < most then return string.char(n) end
  local bytes = { string.char(most) }
  n = n - most
  while n >= 128 do
    bytes[#bytes + 1] = string.char(n & 127 | 128)
    n = n >> 7
  end
  return table.concat(bytes) .. string.char(n)
end

--- Fields, a list of {name, value}, in HPACK: each as it is, without tables.
function M.fields(list)
  local parts = {}
  for i, field in ipairs(list) do
    parts[i] = "\0" .. integer(#field[1], 7) .. field[1] .. integer(#field[2], 7) .. field[2]
  end
  return table.concat(parts)
end

--- The fields of a request; those of `more` follow.
function M.request(method, path, more)
  local list = { { ":method", method }, { ":scheme", "http" }, { ":authority", "here" }, { ":path", path } }
  return table.move(more or {}, 1, #(more or {}), #list + 1, list)
end

local Client = {}
Client.__index = Client

--- A connection that has exchanged its settings. opts.window: of each stream, for what comes.
function M.connect(port, opts)
  opts = opts or {}
  local client = setmetatable({ conn = assert(rawtcp.connect(port)), last = -1, bodies = {}, statuses = {}, resets = {},
    ended = {} }, Client)
  local settings = string.pack(">I2I4", HEADER_TABLE_SIZE, 0)
  if opts.window then settings = settings .. string.pack(">I2I4", INITIAL_WINDOW_SIZE, opts.window) end
  client:write((opts.prefix or "") .. M.PREFACE .. M.frame(M.SETTINGS, 0, 0, settings))
  return client
end

function Client:write(bytes) return self.conn:send(bytes) end

function Client:send(...) return self:write(M.frame(...)) end

--- Opens a stream with a request that is complete unless `is_open`; returns its number.
function Client:ask(method, path, more, is_open)
  self.last = self.last + 2
  self:send(M.HEADERS, M.END_HEADERS | (is_open and 0 or M.END_STREAM), self.last,
    M.fields(M.request(method, path, more)))
  return self.last
end

local INDEXED = { [8] = 200, [9] = 204, [10] = 206, [11] = 304, [12] = 400, [13] = 404, [14] = 500 }

--- The status at the start of a block, whose digits may be in HPACK's code: 0 to 2 have five bits, 3 to 9
-- six.
local function status_of(block)
  block = block:gsub("^[\x20-\x3f]+", "")
  local first = block:byte()
  if first >= 128 then return INDEXED[first & 127] end
  local length, text = block:byte(2), block:sub(3)
  if length < 128 then return tonumber(text:sub(1, length)) end
  local bits, at, status = string.unpack(">I4", text .. "\0\0\0\0"), 32, 0
  for _ = 1, 3 do
    local five = bits >> (at - 5) & 31
    if five < 3 then
      status, at = status * 10 + five, at - 5
    else
      status, at = status * 10 + (bits >> (at - 6) & 63) - 25 + 3, at - 6
    end
  end
  return status
end

--- The next frame: {type, flags, stream, payload}; nil and why if there is none. Takes note of it.
function Client:read()
  local head, why = self.conn:receive(9)
  if not head then return nil, why end
  local n, type, flags, stream = string.unpack(">I3I1I1I4", head)
  local payload = n > 0 and assert(self.conn:receive(n)) or ""
  if type == M.HEADERS then
    self.statuses[stream] = status_of(payload)
  elseif type == M.DATA then
    self.bodies[stream] = (self.bodies[stream] or "") .. payload
  elseif type == M.RST_STREAM then
    self.resets[stream] = string.unpack(">I4", payload)
  elseif type == M.GOAWAY then
    self.goaway = { table.unpack({ string.unpack(">I4I4", payload) }, 1, 2) }
  elseif type == M.SETTINGS and flags & M.ACK == 0 then
    self:send(M.SETTINGS, M.ACK, 0)
  end
  if (type == M.HEADERS or type == M.DATA) and flags & M.END_STREAM ~= 0 then self.ended[stream] = true end
  return { type = type, flags = flags, stream = stream, payload = payload }
end

--- Reads until `is_it(frame)` is true: that frame; nil and why at the end.
function Client:read_until(is_it)
  while true do
    local frame, why = self:read()
    if not frame then return nil, why end
    if is_it(frame) then return frame end
  end
end

--- Waits for the whole response on the stream: its status and body. nil and the code if it was reset; nil
-- and "goaway", or why the connection has ended.
function Client:response(stream)
  while not self.ended[stream] do
    if self.resets[stream] then return nil, self.resets[stream] end
    local frame, why = self:read()
    if not frame then return nil, why end
  end
  return self.statuses[stream], self.bodies[stream] or ""
end

--- Waits for the code with which the stream is reset; nil and why if the connection ends.
function Client:reset(stream)
  while not self.resets[stream] do
    local frame, why = self:read()
    if not frame then return nil, why end
  end
  return self.resets[stream]
end

--- Waits until the server closes the connection, whatever becomes of what is sent: the code of its GOAWAY.
function Client:end_code()
  while self:read() do end -- luacheck: ignore
  return self.goaway and self.goaway[2]
end

--- Lets the server send `n` bytes more, on all streams together if `stream` is 0.
function Client:widen(stream, n) self:send(M.WINDOW_UPDATE, 0, stream, string.pack(">I4", n)) end

function Client:close() self.conn:close() end
Client.__close = Client.close

return M
