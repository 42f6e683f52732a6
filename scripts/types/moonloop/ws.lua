---@meta _
-- Types of moonloop for LuaLS, the language server; made from doc/reference by scripts/package/types.lua.

---@class moonloop.ws
local ws = {}

---@class moonloop.ws.connect.opts
---@field headers? table more headers of the request, name to value or list of values (none)
---@field protocols? any[] names of protocols, the preferred one first (none)
---@field tls? table options of TLS, for `wss://`
---@field allow_address? function `f(ip, port)` says which addresses may be connected to: see `ml.net.connect` (none)
---@field timeout? number seconds for the connection and the handshake. `math.huge` is no limit (10)
---@field max_message? integer bytes of a message, of what it holds if it was compressed. A longer one closes the socket with 1009 (1048576)
---@field ping? number seconds of silence after which the peer is pinged; silent for as long again, it counts as lost. Any byte counts as life. `math.huge`: never (30)
---@field close_timeout? number seconds that the peer has to answer a Close frame (5)
---@field compress? boolean|table offer permessage-deflate (RFC 7692): `true`, or a table with the fields below (false)

---Connects to a `ws://` or `wss://` URL. Suspends until the server has accepted. `err` is that of
---`ml.net.connect` where there is no connection; kind `"network"` and code `"HANDSHAKE"` where there is one, but
---the server does not accept: `err.status` is its HTTP status if it has one.
---@param url string
---@param opts? moonloop.ws.connect.opts
---@return moonloop.ws.socket? ws
---@return moonloop.error? err
function ws.connect(url, opts) end

---@class moonloop.ws.compress
---@field window integer our messages refer back by up to 2^`window` bytes: 9 to 15 (12)
---@field takeover boolean messages may refer to earlier ones. Each socket then keeps a state of some ten kB, in both directions; without it an idle socket keeps none (false)
---@field min integer bytes of a message below which it is sent as it is (256)
local compress = {}

---@class moonloop.ws.socket
---@field protocol any The protocol that was chosen, or nil.
local socket = {}

---The next message, a string, and its kind: `"text"`, which is UTF-8, or `"binary"`. Suspends until there is one. At the end
---`err` has the kind `"closed"`, and
---@return string? message
---@return string|moonloop.ws.error kind
function socket:receive() end

---`for message, kind in ws:messages() do`, until the end. Suspends.
---@return (fun(...): ...) iterator
function socket:messages() end

---Sends a message of text, which has to be UTF-8. Suspends while more than 64 kB wait for the peer to take them; the message
---is sent even if that wait is cancelled or times out: who sends on to a peer that is stuck fills the memory, so close the
---socket then. `err` has the kind `"closed"`, and `code` and `reason` as above.
---@param text string
---@return moonloop.ws.socket? ws
---@return moonloop.ws.error? err
function socket:send(text) end

---The same for bytes.
---@param bytes string
---@return moonloop.ws.socket? ws
---@return moonloop.ws.error? err
function socket:send_binary(bytes) end

---Sends JSON as text.
---@param value any
---@return moonloop.ws.socket? ws
---@return moonloop.ws.error? err
function socket:send_json(value) end

---Receives a message and decodes it. One that is not JSON closes the socket with 1007, and `err` has the kind `"json"`.
---Suspends.
---@return any? value
---@return moonloop.ws.error? err
function socket:receive_json() end

---Sends a ping, and does not wait for the answer. There is no need to: see the option `ping`.
---@return moonloop.ws.socket? ws
---@return moonloop.ws.error? err
function socket:ping() end

---Sends a Close frame with the code (1000) and the reason (up to 123 bytes), and waits for the peer's, for `close_timeout` at
---most. What has not been received by then is dropped. Suspends. After the end it does nothing.
---@param code? integer
---@param reason? any
function socket:close(code, reason) end

---@class moonloop.ws.error: moonloop.error
---@field code integer the code of the peer's Close frame; 1005: it had none; 1006: the connection ended without one; 1002, 1007, 1008 or 1009: it broke the rules and was told so; nil: closed here
---@field reason string the peer's reason, or what it did wrong, or `""`
local error = {}
