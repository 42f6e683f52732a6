---@meta _
-- Types of moonloop for LuaLS, the language server; made from doc/reference by scripts/package/types.lua.

---@class moonloop.net
local net = {}

---@class moonloop.net.connect.opts
---@field timeout? number seconds for all of it: the look-up, and every address. `math.huge` is no limit (10)
---@field nodelay? boolean send small pieces at once (TCP_NODELAY) (true)
---@field keepalive? integer seconds of silence after which the system begins to ask whether the other side is still there (off)
---@field bind? string the local address to connect from (any)
---@field allow_address? function `f(ip, port)` says which addresses may be connected to: see below (none)
---@field tls? boolean|table speak TLS: `true`, or a table of options. The `timeout` is for the handshake, too (false)
---@field max_line? integer sets `s.max_line` (65536)

---Connects to a host, a name or an address. All its addresses are tried, IPv6 and IPv4 in turn: a new one whenever one has
---failed or has not answered for 250 ms (RFC 8305). Suspends. `ml.net.connect("unix:/run/app.sock" [, opts])` connects to a
---Unix socket.
---@param host string
---@param port integer
---@param opts? moonloop.net.connect.opts
---@return moonloop.net.conn? conn
---@return moonloop.error? err
function net.connect(host, port, opts) end

---@class moonloop.net.listen.opts
---@field max_connections? integer at so many open connections no more are accepted; others wait in the system's line (no limit)
---@field backlog? integer how many may wait in that line (4096)
---@field reuse_port? boolean other processes may listen there, too, and share the connections (false)
---@field mode? integer for Unix sockets alone, the permissions of the file: `tonumber("660", 8)` (by the umask)
---@field max_line? integer sets `s.max_line` of each connection (65536)
---@field tls? table speak TLS: its options are those of `ml.web.listen`, but for `alpn`, which has no default. `f` runs when the handshake is over, for which a client has 10 s; a failed one is no error of the server. `accept` does not wait for it: the first read or write does (none)

---Listens on a host's address, `"*"` being all addresses of both families, and a port, 0 being any free one. A name stands
---for the first of its addresses; it is looked up, which suspends. `ml.net.listen("unix:/run/app.sock" [, opts] [, f])` makes
---a Unix socket. Its file replaces one of a server that has ended; any other file is an error (`"EEXIST"`). It is removed
---when the server stops, if it is still the same.
---@param host string
---@param port integer
---@param opts? moonloop.net.listen.opts
---@param f? fun(conn: moonloop.net.conn)
---@return moonloop.net.server? server
---@return moonloop.error? err
---@overload fun(host: string, port: integer, f?: fun(conn: moonloop.net.conn)): moonloop.net.server?, moonloop.error?
function net.listen(host, port, opts, f) end

---@class moonloop.net.udp.opts
---@field host? string the local address (all addresses of both families)
---@field port? integer the local port (any free one)
---@field reuse_address? boolean others may have the same port: for groups (false)
---@field allow_address? function `f(ip, port)` says where `send` and `connect` may lead: see above (none)

---Opens a socket for datagrams.
---@param opts? moonloop.net.udp.opts
---@return moonloop.net.socket? socket
---@return moonloop.error? err
function net.udp(opts) end

---@class moonloop.net.resolve.opts
---@field family? integer 4 or 6: only the addresses of IPv4, or of IPv6 (both)

---The addresses of a name, as the system's resolver gives them. Suspends.
---@param name string
---@param opts? moonloop.net.resolve.opts
---@return string[]?
---@return moonloop.error? err
function net.resolve(name, opts) end

---@class moonloop.net.conn: moonloop.stream
local conn = {}

---The address of the other side; `"unix:PATH"` for a Unix socket.
---@return string host
---@return integer port
function conn:peer() end

---Ours.
---@return string? host
---@return integer|moonloop.error port
function conn:address() end

---Changes to TLS in the middle of a dialogue, as mail servers do after STARTTLS: as the client, or as the server if the
---connection was accepted (then the options are those of a server, and needed). Suspends until the handshake is over. If it
---fails or is cancelled, the connection is closed. What had come in clear and was not read is taken for a piece of the
---handshake, which then fails: nobody can say things in advance.
---@param opts? table
---@return moonloop.net.conn? conn
---@return moonloop.error? err
function conn:starttls(opts) end

---What was agreed on. Suspends until the handshake is over. Nil alone for a connection in clear.
---@return moonloop.net.agreed? agreed
---@return moonloop.error? err
function conn:tls() end

---@class moonloop.net.agreed
---@field version string `"1.2"` or `"1.3"`
---@field cipher string OpenSSL's name of the cipher
---@field alpn string the protocol that was chosen of `alpn`; or nil
---@field resumed boolean the session of an earlier connection goes on
---@field peer table the other side's certificate: `subject`, `issuer`, `names` (a list), `fingerprint` (SHA-256 in hexadecimal), `not_after` (Unix seconds); nil if it has none
local agreed = {}

---@class moonloop.net.server
local server = {}

---The next connection. Suspends. When the server has stopped, the error has the kind `"closed"`.
---@return moonloop.net.conn? conn
---@return moonloop.error? err
function server:accept() end

---`for conn in server:connections() do`: accepts until the server stops. The loop closes none of them.
function server:connections() end

---Where it listens; `"unix:PATH"`.
---@return string host
---@return integer port
function server:address() end

---Accepts no more, and waits until the tasks of its connections are over, `drain` seconds at most (0), then cancels them and
---waits for their clean-up. `local server <close> = ...` does the same without a drain. What `accept` has given away is left
---alone.
---@param drain? number
function server:stop(drain) end

---Suspends until the server has been stopped and the tasks of its connections are over.
function server:wait() end

---@class moonloop.net.socket
local socket = {}

---Sends a datagram, to the peer if the socket is connected. Suspends to look a name up, and while the system has no room.
---@param data string
---@param host? string
---@param port? integer
---@return moonloop.net.socket? socket
---@return moonloop.error? err
---@overload fun(self: moonloop.net.socket, data: string, port?: integer): moonloop.net.socket?, moonloop.error?
function socket:send(data, host, port) end

---The next datagram and who sent it. Suspends. `truncated` is true if it was longer than `max` bytes (65536, which none is):
---the rest is lost. That a datagram could not be delivered is an error (`"ECONNREFUSED"`) of connected sockets alone; the
---socket goes on.
---@param max? integer
---@return string? data
---@return string|moonloop.error host
---@return integer? port
---@return boolean? truncated
function socket:receive(max) end

---From now on the socket sends to this peer, and receives from it alone.
---@param host string
---@param port integer
---@return moonloop.net.socket? socket
---@return moonloop.error? err
function socket:connect(host, port) end

---Receives what is sent to a group: `"239.1.2.3"`, `"ff02::1"`.
---@param group string
---@return moonloop.net.socket? socket
---@return moonloop.error? err
function socket:join(group) end

---Ours; nothing once it is closed.
---@return string host
---@return integer port
function socket:address() end

---Closes it. Who waits for it gets an error of kind `"closed"`. `local socket <close> = ...` does this at the end of the
---block.
function socket:close() end
