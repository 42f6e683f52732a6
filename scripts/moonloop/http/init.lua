--- The HTTP client: what `ml.http` is.
--
-- A request suspends its task until the response has arrived. Failures come back as `nil, err` (kinds
-- "dns", "network", "tls", "timeout" and "http"); wrong arguments raise. A status of 400 or 500 is a
-- response like any other: see `res.ok`. Responses are described in http/response.lua.
--
-- The files of http/, in the order a request meets them: client, request (options), redirect, retry,
-- exchange (hooks; proxy, address, cookies), response.
local clients = require "moonloop.http.client"

local http = {}

--- http.client([opts]) -> client: makes a client with its own pool of connections, which are opened when
-- they are needed. It may be created at module level.
--
-- opts, besides those that a single request takes too (headers, timeout, retries, auth, verify,
-- follow_redirects, max_body, max_values, allow_address):
--   base_url         put before every relative URL; has no query
--   max_connections  at a time (100): further requests wait for their turn
--   max_per_origin   the same for one scheme, host and port (no separate limit)
--   idle             seconds after which a connection without a request is closed (60)
--   headers, auth    with a base_url, sent to its origin only; `cert` is shown to it only
--   ca, cert, key    for https: the authorities of servers' certificates, our own certificate and its key, each
--                    the path of a PEM file or PEM text
--   http2            true: over https, where the server has it; "clear": also over http, whose servers are
--                    known to have it; false: never
--   cookies          true: keeps the cookies of responses and sends them back, as a browser would
--   proxy            URL of the proxy for all requests, optionally with user and password; false: none.
--                    nil: http_proxy, https_proxy, all_proxy and no_proxy of the environment
--   unix_socket      path of the socket to connect to instead of the URL's host
--   hooks            {request = f, response = g}, functions or lists of them, called in the task of
--                    the request for every exchange, those of redirects and retries included.
--                    f(request) may change request.method, .url, .headers and .body before it is
--                    sent; g(response, request) sees the result. The request raises what they raise
function http.client(opts) return clients.new(opts) end

local default = clients.new()

--- http.get(url [, opts]) -> response | nil, err; so are post, put, patch, delete, head, options, and
-- the same methods of clients: client:get(url [, opts]).
--
-- opts:
--   headers           name -> text, number, or a list of them; replaces the client's of that name
--   query             name -> text, number, boolean or a list of them (or the text itself), added to the URL
--   body              text, sent as it is; or a function that gives the next piece each time it is
--                     called, nil at the end: sent as the server takes it, with the Content-Length
--                     given in `headers`, or else in chunks
--   json              a value, sent as JSON
--   form              name -> text, number, boolean or a list of them, sent as a form
--   multipart         fields and files, sent as multipart/form-data: see multipart.lua
--   auth              {user, password} (Basic), the text of a token (Bearer), or false to omit the client's
--   timeout           seconds for the whole request, redirects and retries included: 30, or the client's.
--                     0 ends at once, math.huge never. (Connecting may take 10 s in any case.) With
--                     `stream`, or a body in pieces, it limits each wait
--   retries           further attempts (0), or a table: see http/retry.lua. After errors of the kinds
--                     network, dns and timeout, and the statuses 429, 502, 503 and 504; only for
--                     idempotent methods, and never with a body in pieces
--   max_body          bytes of the decoded response that are accepted, and of all that redirect to it:
--                     64 MB; more is an error of kind "http", code "too_large". math.huge: any number,
--                     as with `stream`
--   max_values        values of JSON that res:json() makes: 1000000; more is an error of kind "json", code
--                     "too_large". math.huge: any number
--   follow_redirects  true; ten at most. Credentials and cookies given to the request are not sent to
--                     another origin
--   verify            true: the server's certificate must be good for its name
--   allow_address     f(ip, port), called in the task of the request for each address that its host has:
--                     the request connects to none for which it returns false or nil
--   stream            true: the response is returned when its head is there; its body is read in pieces
for _, verb in ipairs { "get", "post", "put", "patch", "delete", "head", "options" } do
  http[verb] = function(url, opts) return default[verb](default, url, opts) end
end

--- http.public_only(ip, port) -> boolean: an `allow_address` that lets addresses of the internet pass.
http.public_only = require "moonloop.http.core".public_only

--- http.request{method=, url=, ...}: client:request with the default client.
function http.request(request) return default:request(request) end

return http
