--- The HTTP client: what `ml.http` is.
--
-- A request suspends its task until the response is there. What may go wrong on the way comes back as
-- `nil, err` (kinds "dns", "network", "tls", "timeout" and "http"); wrong arguments raise. A status of
-- 400 or 500 is a response like any other: see `res.ok`. Responses are described in http/response.lua.
--
-- The files of http/, in the order a request meets them: client, request (options), redirect, retry,
-- exchange (engines, hooks), response.
local clients = require "moonloop.http.client"

local http = {}

--- http.client([opts]) -> client: makes a client with its own pool of connections, which are opened
-- when they are needed. It may be made at module level.
--
-- opts, beside what holds for a single request in the same way (headers, timeout, retries, auth,
-- verify, follow_redirects, max_body):
--   base_url         before every URL that is not whole
--   max_connections  at a time (100), of http:// and of https:// each: further requests wait for
--                    their turn
--   max_per_origin   the same for one scheme, host and port (no limit of its own)
--   idle             seconds after which a connection that has no request is given up (60)
--   auth             with a base_url, goes to its origin only
--   cookies          true: keeps the cookies of responses and sends them back, as a browser would
--   proxy            URL of the proxy for all requests, maybe with user and password; false: none.
--                    Where it is nil: http_proxy, https_proxy, all_proxy and no_proxy of the environment
--   unix_socket      path of the socket to connect to in place of the URL's host
--   hooks            {request = f, response = g}, functions or lists of them, called in the task of
--                    the request for every exchange, those of redirects and retries included.
--                    f(request) may change request.method, .url, .headers and .body before it goes;
--                    g(response, request) sees what came. What they raise, the request raises
function http.client(opts) return clients.new(opts) end

local default = clients.new()

--- http.get(url [, opts]) -> response | nil, err; so are post, put, patch, delete, head, options, and
-- the same methods of clients: client:get(url [, opts]).
--
-- opts:
--   headers           name -> text, number, or a list of them; in place of the client's of that name
--   query             name -> text, number, boolean or a list of them (or the text itself), added to the URL
--   body              text, sent as it is; or a function that gives the next piece each time it is
--                     called, nil at the end: sent as the server takes it, with the length of a header
--                     Content-Length, or in chunks
--   json              a value, sent as JSON
--   form              name -> text, number, boolean or a list of them, sent as a form
--   multipart         fields and files, sent as multipart/form-data: see multipart.lua
--   auth              {user, password} (Basic), the text of a token (Bearer), or false: not the client's
--   timeout           seconds for the whole request, redirects and retries included: 30, or the client's.
--                     0 is over at once, math.huge never. (A connection must be there within 10 s in any
--                     case.) With `stream`, or a body in pieces, for each wait
--   retries           further attempts (0), or a table: see http/retry.lua. After errors of the kinds
--                     network, dns and timeout, and the statuses 429, 502, 503 and 504, of idempotent
--                     methods, never of a body in pieces
--   max_body          bytes of the decoded response that are accepted: 64 MB; more is an error of kind
--                     "http", code "too_large". math.huge: any number, as with `stream`
--   follow_redirects  true; ten at most. Credentials and cookies that the request names are not sent on
--                     to another origin
--   verify            true: the server's certificate must be good for its name
--   stream            true: the response comes when its head is there; its body is read in pieces
for _, verb in ipairs { "get", "post", "put", "patch", "delete", "head", "options" } do
  http[verb] = function(url, opts) return default[verb](default, url, opts) end
end

--- http.request{method=, url=, ...}: client:request with the default client.
function http.request(request) return default:request(request) end

return http
