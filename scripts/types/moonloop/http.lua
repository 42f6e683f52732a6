---@meta _
-- Types of moonloop for LuaLS, the language server; made from doc/reference by scripts/package/types.lua.

---@class moonloop.http
local http = {}

---@class moonloop.http.get.opts
---@field headers? table name to text, number, or a list of them; replaces the client's header of that name (none)
---@field query? table|string name to text, number, boolean or a list of them; or the text itself. Added to the URL (none)
---@field body? string|function a text; or a function that returns the next piece at each call and nil at the end (none)
---@field json? any a value, sent as JSON (none)
---@field form? table|string as `query`, sent as an urlencoded form (none)
---@field multipart? table fields and files: see below (none)
---@field auth? table|string|false `{user, password}` (Basic), a token (Bearer), or false to omit the client's (the client's)
---@field timeout? number seconds for the whole request, redirects and retries included; 0 ends at once, `math.huge` never. With `stream`, or a body in pieces, it limits each wait (30, or the client's)
---@field retries? integer|table further attempts: see below (0, or the client's)
---@field max_body? integer bytes of the decoded response, and of all that redirect to it together; more is an error of kind `"http"`, code `"too_large"` (64 MB, or the client's; with `stream` no limit)
---@field max_values? integer values of JSON, lists and objects included, that `res:json()` makes of the body; more is an error of kind `"json"`, code `"too_large"`. `math.huge`: any number (1000000, or the client's)
---@field follow_redirects? boolean whether redirects are followed, ten at most (true, or the client's)
---@field verify? boolean whether the server's certificate must be valid for its name (true, or the client's)
---@field allow_address? function `f(ip, port)` says which addresses may be connected to: see below (the client's)
---@field stream? boolean the response is returned when its head has arrived; its body is read in pieces (false)

---`ml.http.post`, `ml.http.put`, `ml.http.patch`, `ml.http.delete`, `ml.http.head` and `ml.http.options` work the same
---way.
---@param url string
---@param opts? moonloop.http.get.opts
---@return moonloop.http.response? res
---@return moonloop.error? err
function http.get(url, opts) end

---@param url string
---@param opts? moonloop.http.get.opts
---@return moonloop.http.response? res
---@return moonloop.error? err
function http.post(url, opts) end

---@param url string
---@param opts? moonloop.http.get.opts
---@return moonloop.http.response? res
---@return moonloop.error? err
function http.put(url, opts) end

---@param url string
---@param opts? moonloop.http.get.opts
---@return moonloop.http.response? res
---@return moonloop.error? err
function http.patch(url, opts) end

---@param url string
---@param opts? moonloop.http.get.opts
---@return moonloop.http.response? res
---@return moonloop.error? err
function http.delete(url, opts) end

---@param url string
---@param opts? moonloop.http.get.opts
---@return moonloop.http.response? res
---@return moonloop.error? err
function http.head(url, opts) end

---@param url string
---@param opts? moonloop.http.get.opts
---@return moonloop.http.response? res
---@return moonloop.error? err
function http.options(url, opts) end

---@class moonloop.http.request.opts
---@field method? string any method but CONNECT (`"GET"`)
---@field url? string

---`request` is a table of the options above, and:
---@param request moonloop.http.request.opts
---@return moonloop.http.response? res
---@return moonloop.error? err
function http.request(request) end

---An `allow_address` for addresses of the internet. It refuses loopback, private (RFC 1918, `fc00::/7`), link-local (where
---clouds have their metadata), shared (`100.64.0.0/10`), multicast, unspecified, documentation, benchmark and reserved
---addresses, that where Azure's machines learn their secrets, those of IPv6 that lead to such ones of IPv4 (IPv4-mapped, NAT64, 6to4,
---ISATAP, Teredo), and what is not an address.
---@param ip string
---@param port? integer
---@return boolean
function http.public_only(ip, port) end

---@class moonloop.http.client.opts
---@field base_url? string put before every relative URL; `http://` or `https://` with a host, without a query or a fragment (none)
---@field headers? table as above; with a `base_url`, sent to its origin only (none)
---@field timeout? number as above (30)
---@field retries? integer|table as above (0)
---@field auth? table|string as above; with a `base_url`, sent to its origin only (none)
---@field verify? boolean as above (true)
---@field ca? string the authorities that servers' certificates have to come from: the path of a PEM file, or PEM text (the system's)
---@field cert? string our own certificate and its key, for servers that ask for one: paths or PEM text; the key may be in the same file; with a `base_url`, shown to its origin only (none)
---@field key? string our own certificate and its key, for servers that ask for one: paths or PEM text; the key may be in the same file; with a `base_url`, shown to its origin only (none)
---@field http2? boolean|string over https, HTTP/2 where the server has it; `"clear"`: also over http, to servers that are known to have it: see below (true)
---@field follow_redirects? boolean as above (true)
---@field max_body? integer as above (64 MB)
---@field max_values? integer as above (1000000)
---@field allow_address? function as above (none)
---@field max_connections? integer at a time; further requests wait in order (100)
---@field max_per_origin? integer the same for one scheme, host and port (no separate limit)
---@field idle? number seconds after which an idle connection is closed (60)
---@field cookies? boolean keeps the cookies of responses and sends them back: see below (false)
---@field proxy? string|false a URL, optionally with user and password; false: none (from the environment)
---@field unix_socket? string path of a socket to connect to instead of the URL's host (none)
---@field hooks? table see below (none)

---A client with its own pool of connections. It can be created at module level. Some options of a request apply to all of
---the client's requests when they are given here (`headers`, `timeout`, `retries`, `auth`, `verify`, `follow_redirects`,
---`max_body`, `max_values`, `allow_address`):
---@param opts? moonloop.http.client.opts
---@return moonloop.http.client client
function http.client(opts) end

---@class moonloop.http.client
local client = {}

---@param url string
---@param opts? moonloop.http.client.opts
---@return moonloop.http.response? res
---@return moonloop.error? err
function client:get(url, opts) end

---@param url string
---@param opts? moonloop.http.client.opts
---@return moonloop.http.response? res
---@return moonloop.error? err
function client:post(url, opts) end

---@param url string
---@param opts? moonloop.http.client.opts
---@return moonloop.http.response? res
---@return moonloop.error? err
function client:put(url, opts) end

---@param url string
---@param opts? moonloop.http.client.opts
---@return moonloop.http.response? res
---@return moonloop.error? err
function client:patch(url, opts) end

---@param url string
---@param opts? moonloop.http.client.opts
---@return moonloop.http.response? res
---@return moonloop.error? err
function client:delete(url, opts) end

---@param url string
---@param opts? moonloop.http.client.opts
---@return moonloop.http.response? res
---@return moonloop.error? err
function client:head(url, opts) end

---@param url string
---@param opts? moonloop.http.client.opts
---@return moonloop.http.response? res
---@return moonloop.error? err
function client:options(url, opts) end

---They work like the functions of the module. They are methods: `client.get(url)` is an error.
---@param request table
---@return moonloop.http.response? res
---@return moonloop.error? err
function client:request(request) end

---Closes its connections; those in use are closed when their exchange is over. A request after that raises an error of
---kind `"closed"`. `local client <close>` does the same, and so does the garbage collector.
function client:close() end

---@class moonloop.http.response
---@field status integer
---@field ok boolean whether the status is 200 to 299
---@field headers table names are found in any case; repeated ones are joined with `", "`, but `set-cookie` is a list
---@field body string decoded, in steps of 256 kB between which other tasks run; for a streamed response, reads all of it on first use, and raises on errors
---@field url string where the response came from, after redirects, without user and password
---@field history table the responses that led here by redirects, oldest first
local response = {}

---The body as JSON; see `ml.json.decode`. Suspends if it is longer than 256 kB. It may have `max_values` values.
---@return any? value
---@return moonloop.error? err
function response:json() end

---`for chunk in res:chunks() do` gives the body in pieces, once. Raises on errors. Leaving the loop early closes the
---response.
---@return (fun(...): ...) iterator
function response:chunks() end

---The next piece of the body, never empty; nil at its end. For a streamed response it suspends.
---@return string? chunk
---@return moonloop.error? err
function response:read() end

---Drops the rest of a streamed body. `local res <close>` does the same.
function response:close() end
