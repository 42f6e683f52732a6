---@meta _
-- Types of moonloop for LuaLS, the language server; made from doc/reference by scripts/package/types.lua.

---@class moonloop.web
---@field detail any The schema of `{"detail": "..."}`, which `ml.web.abort` and the server's own errors answer with.
---@field security moonloop.web.security
local web = {}

---@class moonloop.web.app.opts
---@field coerce? boolean JSON bodies of typed routes are read laxly (false)
---@field tls? table see TLS (none)
---@field http2? boolean|string see HTTP/2 (true)

---A new app without routes. `opts` are the limits for servers that serve it,
---`access_log`, `trusted_proxies`, `proxy_protocol` and `root_path`, which `ml.web.listen` and `moonloop serve` can override, what its
---OpenAPI document says, and:
---@param opts? moonloop.web.app.opts
---@return moonloop.web.app app
function web.app(opts) end

---Whether `v` is an app.
---@param v any
---@return boolean
function web.is_app(v) end

---@class moonloop.web.dependency.opts
---@field name? string its name in messages (where it was made, `"app.lua:12"`)
---@field needs? table dependencies that it needs, by the names that they have in its `deps`; those without a name only run before it (none)
---@field scope? string when it is cleaned up: `"handler"`, before the response is written; `"response"`, after its last byte (`"handler"`)
---@field concurrent? boolean whether it runs in a task of its own, at the same time as others with this option whose needs are there (false)
---@field offload? boolean false says that its value cannot be copied to another core: a route with `offload` that has it is refused (true)

---The function `f(req, deps)` is the first value of `spec`. It runs once for a request whose route needs the dependency,
---in the task of the handler and before it, inside of all middleware. `deps` has the values of its `needs`.
---@param spec moonloop.web.dependency.opts
---@return table dependency
function web.dependency(spec) end

---@class moonloop.web.hub.opts
---@field name? string 1 to 255 bytes (`"default"`)
---@field redis? any by which the hubs of that name on other hosts, and of scripts and workers without a server, are one with this; it may be given later, by another call (none)
---@field max_backlog? integer bytes that may wait to be sent to a member, the new message counted (1048576)

---The hub of that name. Hubs of one name are one: each call gives the same one, and what is published in one process of a
---server reaches the members in all of its workers, also in those of both generations while it is reloaded.
---@param opts? moonloop.web.hub.opts
---@return moonloop.web.hub hub
function web.hub(opts) end

---@class moonloop.web.cors.opts
---@field origins? string|table|function `"*"`, one origin, a list, or `f(origin, req) -> boolean` (`"*"`)
---@field methods? table allowed methods (GET HEAD POST PUT PATCH DELETE)
---@field headers? table allowed request headers (those asked for)
---@field expose? table response headers that scripts may read (none)
---@field credentials? boolean whether cookies are sent; needs a list of origins (false)
---@field max_age? integer seconds that a browser may keep the answer to a preflight (600)

---Lets scripts of other origins use the app. It answers preflights itself, whether or not there is a route. Use it first,
---so that errors have its headers, too.
---@param opts? moonloop.web.cors.opts
---@return (fun(req: moonloop.web.request, next: fun(req?: moonloop.web.request): moonloop.web.response): (any, (integer|moonloop.error)?, table<string, any>?)) middleware
function web.cors(opts) end

---@class moonloop.web.compress.opts
---@field min? integer the smallest body to compress, in bytes (1024)
---@field level? integer 1 (fast) to 9 (small) (4; 3 for streams with brotli)
---@field types? table media types; `"text/*"` for a family (`text/*`, JSON, XML, JavaScript, WebAssembly, SVG, uncompressed fonts and bitmaps, but not `text/event-stream`)

---Sends bodies with brotli or gzip to clients that accept it, if that makes them smaller. Small bodies, ranges, and
---responses with a `Content-Encoding` or `Cache-Control: no-transform` are not compressed. Streams are compressed piece by
---piece; bodies of more than 32 kB beside the loop, on half of libuv's threads at most: while 16 more of them wait, others are sent
---as they are. An encoder of a stream takes 0.3 MB (gzip) or 0.7 MB (brotli) until its stream is over,
---which `max_buffered` counts; while half of that is taken, streams are sent as they are.
---@param opts? moonloop.web.compress.opts
---@return (fun(req: moonloop.web.request, next: fun(req?: moonloop.web.request): moonloop.web.response): (any, (integer|moonloop.error)?, table<string, any>?)) middleware
function web.compress(opts) end

---@class moonloop.web.request_id.opts
---@field header? string the header's name (`"X-Request-Id"`)
---@field trust? boolean whether a client's id is kept if it is safe: at most 128 letters, digits and `-_.:/+=@` (true)

---Gives each request an id, found in `req.id`, in a response header and in the access log.
---@param opts? moonloop.web.request_id.opts
---@return (fun(req: moonloop.web.request, next: fun(req?: moonloop.web.request): moonloop.web.response): (any, (integer|moonloop.error)?, table<string, any>?)) middleware
function web.request_id(opts) end

---@class moonloop.web.security_headers.opts
---@field hsts? boolean|table `Strict-Transport-Security`, over https alone (`req.scheme`): `{ max_age = 31536000, subdomains = false, preload = false }`; `max_age` in seconds (true)
---@field nosniff? boolean `X-Content-Type-Options: nosniff` (true)
---@field frame_options? string|false `X-Frame-Options`; or `"SAMEORIGIN"` (`"DENY"`)
---@field referrer_policy? string|false `Referrer-Policy` (`"strict-origin-when-cross-origin"`)
---@field csp? string|table `Content-Security-Policy`: a text, or the directives with their sources: `{ script_src = { "'self'", "'nonce'" } }` (none)
---@field csp_report_only? boolean the policy is `Content-Security-Policy-Report-Only` (false)

---Adds headers that tell browsers to be careful with a site's pages, where a response does not have them yet. Use it
---first, so that errors have them, too.
---@param opts? moonloop.web.security_headers.opts
---@return (fun(req: moonloop.web.request, next: fun(req?: moonloop.web.request): moonloop.web.response): (any, (integer|moonloop.error)?, table<string, any>?)) middleware
function web.security_headers(opts) end

---@class moonloop.web.response.opts
---@field status? integer 200 to 599 (200)
---@field headers? table as above (none)
---@field body? string sent as it is, as `text/plain; charset=utf-8` if no header says otherwise (none)
---@field json? any encoded as JSON; `ml.json.null` for null (none)
---@field stream? function `stream(out)` writes the body piece by piece: see below (none)
---@field file? string|table a path, or the options of `ml.web.file` with `path` (none)

---At most one of the last four may be given.
---@param fields moonloop.web.response.opts
---@return moonloop.web.response res
function web.response(fields) end

---Ends the request: raises an error of kind `"http"` with the `status` (300 to 599), the `detail` and the `headers`; the
---answer is `{"detail": detail}`. `detail` is any JSON value, by default the name of the status (`"Not Found"`); `headers`
---are as above: `ml.web.abort(401, "who?", { ["WWW-Authenticate"] = "Bearer" })`.
---@param status integer
---@param detail? any
---@param headers? table<string, any>
function web.abort(status, detail, headers) end

---A page: `text` as `text/html; charset=utf-8`. `status` is 200 by default, `headers` are as above.
---@param text string
---@param status? integer
---@param headers? table<string, any>
---@return moonloop.web.response res
function web.html(text, status, headers) end

---`text` as it is written in HTML, in an element or in an attribute's quotes: `&`, `<`, `>`, `"` and `'` become entities. Use it
---for whatever comes from outside: `"<p>" .. ml.web.escape(name) .. "</p>"`.
---@param text string
---@return string
function web.escape(text) end

---@class moonloop.web.redirect.opts
---@field same_origin? boolean a URL that has a scheme or a host, or is not valid, ends the request with a 400: `ml.web.redirect(req.query.next, { same_origin = true })` (false)

---Sends the client to `url`, absolute or relative. A path, such as `/login`, gets the server's
---root path before it. `status` is 302, or 301, 303 (the client uses GET), 307 (it repeats the
---method) or 308; 301 and 308 are permanent. Characters that are not allowed in a URL are percent-encoded; a control
---character raises an error. A URL from outside may lead anywhere, unless `same_origin` is set.
---@param url string
---@param status? integer
---@param opts? moonloop.web.redirect.opts
---@return moonloop.web.response res
---@overload fun(url: string, opts?: moonloop.web.redirect.opts): moonloop.web.response
function web.redirect(url, status, opts) end

---@class moonloop.web.file.opts
---@field path? string for `file = {path =, ...}` in `ml.web.response` (the argument)
---@field type? string the Content-Type (by the extension)
---@field name? string browsers save the file under this name (none)
---@field max_age? integer seconds that caches may keep it (none)

---Sends a file, in pieces if it is large, read beside the loop. A download goes on though the file is replaced, unless
---descriptors were few meanwhile. Conditional requests and ranges work as with
---`app:static`. A file that cannot be opened is an error of the handler: 500. For paths that come from
---clients, use `app:static`. Both send `X-Content-Type-Options: nosniff`, unless the response has that header: a browser takes the
---file for what its type says, not for what it looks like.
---@param path string
---@param opts? moonloop.web.file.opts
---@return moonloop.web.response res
function web.file(path, opts) end

---@class moonloop.web.events.opts
---@field ping? number seconds between comments that keep the connection alive; `math.huge`: none (15)
---@field headers? table further headers (none)

---Server-Sent Events: `f(send)` runs in the handler's task and sends events for as long as it likes. When the client goes
---away, it is cancelled. The response has `Cache-Control: no-cache` and `X-Accel-Buffering: no` unless `headers` says
---otherwise.
---@param f fun(send: fun(event: any))
---@param opts? moonloop.web.events.opts
---@return moonloop.web.response res
function web.events(f, opts) end

---@class moonloop.web.sessions.opts
---@field store? any where sessions are kept: see stores (`"memory"`)
---@field secret? string|table at least 32 random bytes that only the servers know, or a list of such strings: the first encrypts, all decrypt (required for `"cookie"`)
---@field idle? number seconds without a request that reads the session, after which it is over (1800)
---@field absolute? number seconds after its begin, or after `session:regenerate()`, when it is over in any case (43200)
---@field name? string the name of the cookie, without a prefix (`"session"`)
---@field secure? boolean whether the cookie has the prefix `__Host-` and `Secure` (`req.scheme == "https"`)
---@field same_site? string `"Strict"`, `"None"`; over plain http `"None"` is `"Lax"` (`"Lax"`)
---@field persistent? boolean whether the cookie outlives the browser, until `absolute` (false)
---@field max? integer for `"memory"`: sessions at most (10000)
---@field table? string for a database: the table; on PostgreSQL also `"schema.table"` (`"moonloop_sessions"`)
---@field prefix? string for Redis: the beginning of the keys (`"session:"`)

---Gives each request `req.session`, a table that lasts from request to request of one client. It is loaded when it is
---first read, which suspends; a request that does not read it costs next to nothing. It holds what
---JSON can hold. If it has changed when the handler has returned, in nested tables too, it is saved, before the
---head of the response is written. That is so for any response, also for one of `ml.web.abort` or an error.
---@param opts? moonloop.web.sessions.opts
---@return (fun(req: moonloop.web.request, next: fun(req?: moonloop.web.request): moonloop.web.response): (any, (integer|moonloop.error)?, table<string, any>?)) middleware
function web.sessions(opts) end

---The session of the request, for what cannot be said by its table. Suspends while the session is loaded. Raises if no
---`ml.web.sessions` is around the route.
---@param req moonloop.web.request
---@return moonloop.web.session session
function web.session(req) end

---@class moonloop.web.csrf.opts
---@field trusted? table other origins that may send requests: `{ "https://admin.example.com" }`; also the app's own, if a proxy changes `Host` (none)
---@field secret? string|table tokens by a signed cookie: 32 random bytes, or a list, as in `ml.web.signer` (none)
---@field name? string the name of that cookie, without a prefix (`"csrf"`)
---@field secure? boolean whether that cookie has the prefix `__Host-` and `Secure` (`req.scheme == "https"`)
---@field header? string the header with the token (`"X-CSRF-Token"`)
---@field field? string the form's field with the token (`"csrf_token"`)

---Answers 403 to requests that another site has a browser make in the name of its user. GET, HEAD, OPTIONS and TRACE pass,
---since they change nothing, except for those that open a WebSocket. Any other request is looked at in this order:
---@param opts? moonloop.web.csrf.opts
---@return (fun(req: moonloop.web.request, next: fun(req?: moonloop.web.request): moonloop.web.response): (any, (integer|moonloop.error)?, table<string, any>?)) middleware
function web.csrf(opts) end

---The token for this client, for a field of a form. It looks different each time. It begins a session if there is none;
---`session:regenerate()` makes the tokens of before invalid. Suspends while the session is loaded.
---@param req moonloop.web.request
---@return string token
function web.csrf_token(req) end

---@class moonloop.web.rate_limit.opts
---@field rate number requests in `per` seconds
---@field per? number seconds (1)
---@field burst? integer requests at once (`rate`, rounded up)
---@field key? function `key(req)` gives a string or a number for whom to count, or nil: no limit; anything else, such as a file in place of a field, is answered with 400 and reported, at most once a minute (the client's address)
---@field store? any `"memory"` counts in each worker by itself; a Redis client counts for all together, with one journey for each request (`"memory"`)
---@field name? string for Redis, and ignored in memory: limits with the same name and the same numbers count together (none)
---@field max? integer for `"memory"`, and ignored with Redis: clients at most; the one that was seen least recently is forgotten (10000)
---@field on_failure? string if Redis fails: `"allow"` lets requests pass, `"refuse"` answers 503. It is reported, at most once a minute (`"allow"`)

---Lets each client make `rate` requests in `per` seconds on average, and `burst` at once (the algorithm is GCRA, a token
---bucket). Further ones get a 429 with `Retry-After`. All responses get the headers of
---draft-ietf-httpapi-ratelimit-headers-06: `RateLimit-Limit` (`burst`), `RateLimit-Remaining`, `RateLimit-Reset` (seconds
---until all of `burst` is free again) and `RateLimit-Policy`.
---@param opts moonloop.web.rate_limit.opts
---@return (fun(req: moonloop.web.request, next: fun(req?: moonloop.web.request): moonloop.web.response): (any, (integer|moonloop.error)?, table<string, any>?)) middleware
function web.rate_limit(opts) end

---@class moonloop.web.templates.opts
---@field globals? table names that all templates have: functions, constants (none)
---@field reload? boolean look for changed files at each rendering, which reads them on the loop: for development (false)

---Reads and compiles all templates in the folder `dir` and in those below it, at once: call it where the app is made. A
---relative `dir` is one of the working directory; `debug.getinfo(1, "S").source:match "^@(.*)/" or "."` is the file's own. The
---end of a file's name says how values are escaped: `.html`, `.htm`, `.xml` and `.svg` by their place, `.txt` not at all.
---Other files and those that begin with a dot are not templates.
---@param dir string
---@param opts? moonloop.web.templates.opts
---@return moonloop.web.templates templates
function web.templates(dir, opts) end

---A page of HTML, made of a template; `status` is 200 by default.
---@param templates moonloop.web.templates
---@param name string
---@param values? table<string, any>
---@param status? integer
---@return moonloop.web.response response
function web.page(templates, name, values, status) end

---@class moonloop.web.test.opts
---@field raise? boolean whether a request raises what its handler has raised: see below (true)
---@field base_url? string `http://` and the host that the app sees, with a port or without (`"http://localhost"`)
---@field headers? table sent with every request (none)
---@field auth? table|string `{user, password}` (Basic) or a token (Bearer), sent with every request (none)
---@field cookies? table name to value: the cookies to begin with (none)
---@field timeout? number seconds for each request (`math.huge`)
---@field follow_redirects? boolean whether redirects are followed, ten at most (true)
---@field access_log? string|function see access log (the app's)
---@field trusted_proxies? string|table see behind a proxy. The test client's address is 127.0.0.1 (the app's)
---@field root_path? string see behind a proxy (the app's)
---@field http2? boolean|string changes nothing: the client speaks HTTP/1 (the app's)
---@field proxy_protocol? boolean changes nothing: there is no proxy (the app's)

---Runs the functions of `app:on_start` in the calling task, and serves the app until `c:close()`. One app may have several
---test clients, and be served by `ml.web.listen` at the same time.
---@param app moonloop.web.app
---@param opts? moonloop.web.test.opts
---@return moonloop.web.test_client c
function web.test(app, opts) end

---@class moonloop.web.listen.opts
---@field host? string the address to listen on (`"127.0.0.1"`)
---@field port? integer the port; 0 is any free one, found in `server.port` (8000)
---@field listen? any[] addresses instead of `host` and `port`, such as `{ ":8000", "unix:/run/app.sock,mode=660" }`: as of `--listen` (none)
---@field access_log? string|function see access log (none)
---@field trusted_proxies? string|table see behind a proxy (nobody)
---@field proxy_protocol? boolean see behind a proxy (false)
---@field root_path? string see behind a proxy (none)
---@field tls? table serves `https`: see TLS (none)
---@field http2? boolean|string see HTTP/2 (true)
---@field docs? boolean|table serves the OpenAPI document. A `guard` that the app has stays (the app's)

---Runs the functions of `app:on_start`, then accepts clients until `server:stop()`. It does not suspend until then: see
---`server:wait()`. `err` is of kind `"network"` if the address cannot be used (`"EADDRINUSE"`).
---@param app moonloop.web.app
---@param opts? moonloop.web.listen.opts
---@return moonloop.web.server? server
---@return moonloop.error? err
function web.listen(app, opts) end

---The app that the file returns, as `moonloop serve` loads it: its folder is put first on `package.path`, so that
---`dir/app.lua` finds `dir/helper.lua` as `require "helper"`, also in executor jobs. It is for specs and scripts that use
---the app of another folder.
---@param file string
---@return moonloop.web.app app
function web.load(file) end

---@class moonloop.web.signer.opts
---@field max_age? number seconds for which a signature is valid (no limit)
---@field salt? string names the purpose of the signer: signers with the same secret and different salts do not accept each other's texts (`""`)
---@field time? function returns the seconds since 1970 (`ml.time.now`)

---Signs texts that pass through other hands, so that a change is noticed. `secret` is a string of at least 32 random bytes
---that only the servers know (less is an error), or a list of them. With a list, the first one signs and all of them
---verify: put a new secret in front, and drop the old one when what it signed has expired. Anybody who has a signed text
---can read its value. For cookies see `res:set_signed_cookie`.
---@param secret string|string[]
---@param opts? moonloop.web.signer.opts
---@return moonloop.web.signer signer
function web.signer(secret, opts) end

---Random text that cannot be guessed, for session ids and secrets: `bytes` random bytes as letters, digits, `-` and `_`.
---The default is 32, which makes 43 characters; the minimum is 16 (22 characters), the maximum 1024: any other number is
---an argument error.
---@param bytes? integer
---@return string text
function web.token(bytes) end

---@class moonloop.web.app
---@field state any yours: nil until a script sets it, and never touched by the host. Each worker process has its own; a handler with `offload` sees a copy. Do not use an app's other fields
local app = {}

---@class moonloop.web.app.get.opts
---@field depends? table what the handler needs: it gets the values as its second argument. See dependencies (none)
---@field offload? boolean run the handler on another core: see executor.md (false)
---@field deadline? number seconds; then the handler is cancelled, and the client gets a 503 when its clean-up is over. A stream that has begun is cut off (no limit)
---@field cpu? number seconds of CPU time; then the handler is interrupted with an error of kind `"cpu"`: a 500 (no limit)
---@field slice? number seconds that it may run before others get their turn; see limits.md (no limit)
---@field max_body? integer bytes of a request's body, however it is read; `math.huge` for no limit (the server's limit)
---@field use? table a list of middleware for this route, the first one outermost; it runs inside that of `app:use` (none)

---Registers a handler for GET. `app:post`, `app:put`, `app:patch`, `app:delete`, `app:head` and `app:options` work the
---same way, and `app:any` answers the methods that have no route of their own. A route for GET also answers HEAD. All
---return the app.
---@param path string
---@param opts moonloop.web.app.get.opts|nil
---@param handler fun(req: moonloop.web.request, deps: table<string, any>): (any, (integer|moonloop.error)?, table<string, any>?)
---@return moonloop.web.app app
---@overload fun(self: moonloop.web.app, path: string, handler: fun(req: moonloop.web.request, deps: table<string, any>): (any, (integer|moonloop.error)?, table<string, any>?)): moonloop.web.app
function app:get(path, opts, handler) end

---@param path string
---@param opts moonloop.web.app.get.opts|nil
---@param handler fun(req: moonloop.web.request, deps: table<string, any>): (any, (integer|moonloop.error)?, table<string, any>?)
---@return moonloop.web.app app
---@overload fun(self: moonloop.web.app, path: string, handler: fun(req: moonloop.web.request, deps: table<string, any>): (any, (integer|moonloop.error)?, table<string, any>?)): moonloop.web.app
function app:post(path, opts, handler) end

---@param path string
---@param opts moonloop.web.app.get.opts|nil
---@param handler fun(req: moonloop.web.request, deps: table<string, any>): (any, (integer|moonloop.error)?, table<string, any>?)
---@return moonloop.web.app app
---@overload fun(self: moonloop.web.app, path: string, handler: fun(req: moonloop.web.request, deps: table<string, any>): (any, (integer|moonloop.error)?, table<string, any>?)): moonloop.web.app
function app:put(path, opts, handler) end

---@param path string
---@param opts moonloop.web.app.get.opts|nil
---@param handler fun(req: moonloop.web.request, deps: table<string, any>): (any, (integer|moonloop.error)?, table<string, any>?)
---@return moonloop.web.app app
---@overload fun(self: moonloop.web.app, path: string, handler: fun(req: moonloop.web.request, deps: table<string, any>): (any, (integer|moonloop.error)?, table<string, any>?)): moonloop.web.app
function app:patch(path, opts, handler) end

---@param path string
---@param opts moonloop.web.app.get.opts|nil
---@param handler fun(req: moonloop.web.request, deps: table<string, any>): (any, (integer|moonloop.error)?, table<string, any>?)
---@return moonloop.web.app app
---@overload fun(self: moonloop.web.app, path: string, handler: fun(req: moonloop.web.request, deps: table<string, any>): (any, (integer|moonloop.error)?, table<string, any>?)): moonloop.web.app
function app:delete(path, opts, handler) end

---@param path string
---@param opts moonloop.web.app.get.opts|nil
---@param handler fun(req: moonloop.web.request, deps: table<string, any>): (any, (integer|moonloop.error)?, table<string, any>?)
---@return moonloop.web.app app
---@overload fun(self: moonloop.web.app, path: string, handler: fun(req: moonloop.web.request, deps: table<string, any>): (any, (integer|moonloop.error)?, table<string, any>?)): moonloop.web.app
function app:head(path, opts, handler) end

---@param path string
---@param opts moonloop.web.app.get.opts|nil
---@param handler fun(req: moonloop.web.request, deps: table<string, any>): (any, (integer|moonloop.error)?, table<string, any>?)
---@return moonloop.web.app app
---@overload fun(self: moonloop.web.app, path: string, handler: fun(req: moonloop.web.request, deps: table<string, any>): (any, (integer|moonloop.error)?, table<string, any>?)): moonloop.web.app
function app:options(path, opts, handler) end

---@param path string
---@param opts moonloop.web.app.get.opts|nil
---@param handler fun(req: moonloop.web.request, deps: table<string, any>): (any, (integer|moonloop.error)?, table<string, any>?)
---@return moonloop.web.app app
---@overload fun(self: moonloop.web.app, path: string, handler: fun(req: moonloop.web.request, deps: table<string, any>): (any, (integer|moonloop.error)?, table<string, any>?)): moonloop.web.app
function app:any(path, opts, handler) end

---The same with the method as a string, in any case; `"any"` for `app:any`.
---@param method string
---@param path string
---@param opts table|nil
---@param handler fun(req: moonloop.web.request, deps: table<string, any>): (any, (integer|moonloop.error)?, table<string, any>?)
---@return moonloop.web.app app
---@overload fun(self: moonloop.web.app, method: string, path: string, handler: fun(req: moonloop.web.request, deps: table<string, any>): (any, (integer|moonloop.error)?, table<string, any>?)): moonloop.web.app
function app:route(method, path, opts, handler) end

---@class moonloop.web.app.websocket.opts
---@field protocols? table names of subprotocols, the preferred one first: the first that the client offers becomes `ws.protocol` (none)
---@field origins? table|string origins such as `https://example.com` whose pages may open the socket; `"*"`: any. A request without `Origin` does not come from a page and is let in (the request's own scheme and host)
---@field max_message? integer bytes of a message, decompressed; a longer one closes the socket with 1009 (1048576)
---@field ping? number seconds of silence before a ping; without an answer in the same time again the client has vanished. `math.huge`: none (30)
---@field close_timeout? number seconds for the client's part of closing (5)
---@field compress? boolean|table permessage-deflate, for clients that offer it: see WebSockets (false)

---A route for WebSockets. `handler(ws, req, deps)` runs with the WebSocket of each client whose handshake
---(RFC 6455) is right, the request of that, and the values of the route's
---dependencies.
---@param path string
---@param opts moonloop.web.app.websocket.opts|nil
---@param handler fun(ws: moonloop.ws.socket, req: moonloop.web.request, deps: table<string, any>)
---@return moonloop.web.app app
---@overload fun(self: moonloop.web.app, path: string, handler: fun(ws: moonloop.ws.socket, req: moonloop.web.request, deps: table<string, any>)): moonloop.web.app
function app:websocket(path, opts, handler) end

---@class moonloop.web.app.metrics.opts
---@field hosts? any[] names by which clients ask for this server, such as `"metrics.example"`, without a port (none)

---A route where Prometheus and its like collect the metrics of all worker processes, at `"/metrics"` by default; middleware
---surrounds it as any other, so that it can be kept from strangers: whoever reaches the app reads them.
---`serve --metrics` shows them beside the app. From then on the host's own are among them:
---ml.metrics.
---@param path? string
---@param opts? moonloop.web.app.metrics.opts
---@return moonloop.web.app app
---@overload fun(self: moonloop.web.app, opts?: moonloop.web.app.metrics.opts): moonloop.web.app
function app:metrics(path, opts) end

---A route for probes, at `"/healthz"` by default: 200 while the app is served, 503 while the functions of `app:on_start`
---run and while the server stops. No middleware runs around it.
---@param path? string
---@return moonloop.web.app app
function app:health(path) end

---@class moonloop.web.app.static.opts
---@field index? string|false the file sent for its directory (`"index.html"`)
---@field list? boolean whether a directory without one is listed (false)
---@field max_age? integer seconds that caches may keep a file (none)
---@field dotfiles? boolean whether names that begin with a dot are served (false)

---Serves the files of a directory, which has to exist (in the working directory, if `dir` is relative), below `prefix`. Answers GET and HEAD, conditional requests, and
---ranges (up to 16 in a request; with more the whole file is sent). Files are read beside the loop. The Content-Type is
---chosen by the extension. A missing file, anything that is neither a file nor a directory, and any path or symbolic link
---that leads out of the directory is a 404. A directory is redirected to its path with a slash; the query is kept.
---@param prefix string
---@param dir string
---@param opts? moonloop.web.app.static.opts
---@return moonloop.web.app app
function app:static(prefix, dir, opts) end

---Middleware: `f(req, next)` runs around all handlers of the app, including those added later, and around requests without
---a route. It runs in the handler's task; the first one is the outermost. `next(req)` always returns the response object,
---even for an error, a 404 or a 405; it may be called again, and `next()` passes on the same request. `f` returns that
---response, or anything a handler may return.
---@param f fun(req: moonloop.web.request, next: fun(req?: moonloop.web.request): moonloop.web.response): (any, (integer|moonloop.error)?, table<string, any>?)
---@return moonloop.web.app app
function app:use(f) end

---`f(err, req, traceback)` makes the answer to an error that a handler or a middleware raised, including those of
---`ml.web.abort` and of requests without a route (`err.status`). It returns what a handler may return, or nil to leave the
---error to the app around this one, and finally to the default. The traceback may be
---nil. If the answer is a 5xx, the error is reported as well.
---@param f fun(err: any, req: moonloop.web.request, traceback: string?): (any, (integer|moonloop.error)?, table<string, any>?)
---@return moonloop.web.app app
function app:on_error(f) end

---@class moonloop.web.app.validation_error.opts
---@field make function `make(err, req)` returns what a handler may return, with the status 422 by default, or nil for the usual answer
---@field schema? moonloop.schema.schema what the document says of it; a table that `make` returns goes out by it (none)

---Makes another answer of what does not fit the schemas of a route, where `app:on_error` makes none; also for mounted apps without their own.
---@param opts moonloop.web.app.validation_error.opts
---@return moonloop.web.app app
function app:validation_error(opts) end

---`f()` runs before a server of the app accepts clients (with `app:health`, before it answers them
---with anything but a 503). If it raises, or returns nil and an error, nothing is served.
---@param f fun(): (any, any)
---@return moonloop.web.app app
function app:on_start(f) end

---`f()` runs when a server has stopped and its requests, with the tasks they started, have ended. The functions run in
---reverse order. All of them run; `server:stop` raises the first error, and the others are reported.
---@param f fun(): (any, any)
---@return moonloop.web.app app
function app:on_stop(f) end

---@param list any[]
---@return moonloop.web.app app
function app:depends(list) end

---@param dep any
---@param f function
---@return moonloop.web.override o
function app:override(dep, f) end

---See dependencies: those of all routes, replacing them in specs, and using them
---outside of requests.
---@param needs table
---@param f function
---@return any ...
function app:scope(needs, f) end

---Puts the routes of another app, including later ones, below a prefix, which may have parameters. Its middleware runs
---inside this app's, its `on_error` is called first, and its `on_start` runs after this app's. Its route `"/"` answers the
---prefix with and without a slash at the end. A path below the prefix for which the mounted app has no route is that app's
---404, even if a parameter or catch-all of the outer app would match; only routes of the outer app that begin with the
---prefix itself still count. The mounted app's own limits are ignored. An app may be mounted in several places, but not in
---itself.
---@param prefix string
---@param other moonloop.web.app
---@return moonloop.web.app app
function app:mount(prefix, other) end

---@class moonloop.web.override
local override = {}

---The dependency is itself again, as at the end of the block of `local o <close> = app:override(...)`.
function override:close() end

---@class moonloop.web.hub
local hub = {}

---From now on, what is published under `topic` is sent to `ws`: a WebSocket, or the `send` of a stream of events, which
---gets it as `data`. It may join any number of topics, of 1 to 65,535 bytes. Joining twice is the same as once, and joining
---with one that has ended does nothing.
---@param ws moonloop.ws.socket|fun(event: any)
---@param topic string
function hub:join(ws, topic) end

---Leaves the topic, or all topics of this hub. A member that ends leaves by itself.
---@param ws moonloop.ws.socket|fun(event: any)
---@param topic? string
function hub:leave(ws, topic) end

---How many members the topic has in this process.
---@param topic string
---@return integer
function hub:count(topic) end

---@class moonloop.web.hub.publish.opts
---@field except? any the member that does not get it (none)

---Sends the message to all members of the topic: a string, or a table, which goes as JSON. `kind` is `"text"`
---(the default), which has to be UTF-8, or `"binary"`. The member that publishes gets it, too, unless it is the exception.
---@param topic string
---@param message string|table
---@param kind? string
---@param opts? moonloop.web.hub.publish.opts
---@overload fun(self: moonloop.web.hub, topic: string, message: string|table, opts?: moonloop.web.hub.publish.opts)
function hub:publish(topic, message, kind, opts) end

---@class moonloop.web.request
---@field method string `"GET"`
---@field path string the path, percent-decoded, without the query and the root path
---@field root_path string the root path of the server; `""` if it has none
---@field scheme string `"http"` or `"https"`
---@field tls table what a connection with TLS has agreed on: `version` (`"1.3"`), `cipher`, `alpn`, `resumed` (boolean), and `peer`, the certificate of the client: `subject`, `issuer`, `names` (a list), `fingerprint` (SHA-256 in hexadecimal), `not_after` (Unix seconds). `peer` is nil without one, `tls` without TLS, or if it is first read when the client has gone
---@field params table the path's parameters; see routes
---@field query table the query's fields, decoded; the last value of a repeated name. `query:all(name)` has all of them
---@field query_string string the query as it was sent, without the `?`; `""` if there is none
---@field target string path and query as they were sent
---@field host string host and port, from the header `Host` or an absolute target; nil if an HTTP/1.0 client named none
---@field url string the whole URL: `"http://example.com:8000/users/7?page=2"`; only the target if the client named no host
---@field headers table the headers, found in any case; repeated ones are joined with `", "`
---@field body string the whole body, `""` if there is none. The first use suspends until it has arrived
---@field valid table what the schemas of a typed route have checked: `body`, `form`, `query`, `params`, `headers`, `cookies`; nil without any
---@field client table `{host = "127.0.0.1", port = 54321}`; `tostring` gives `127.0.0.1:54321`. Of a Unix socket it is `{host = "unix", port = 0}`
---@field id integer|string a number, at which the `request_id` of the logs ends; with `ml.web.request_id`, the request id
---@field [string] any
local request = {}

---@class moonloop.web.request.json.opts
---@field raise? boolean whether bad JSON is raised (true)

---The body as JSON. A body that is not JSON **raises** an error of kind `"json"` with the status 400, so that the client
---is told even if the handler does not check. With `{ raise = false }` the results are `nil, err`. A body of more than 256 kB
---is decoded in steps of 8,192 values, between which other tasks run: however long it is, it does not hold up the loop. One such body is decoded at a time,
---the others wait.
---@param opts? moonloop.web.request.json.opts
---@return any? value
---@return moonloop.error? err
function request:json(opts) end

---`for chunk in req:chunks() do` gives the body in pieces, as it arrives; a body that has been read before is one piece.
---After that, `req.body` and the others raise an error. One task at a time may read.
---@return (fun(...): ...) iterator
function request:chunks() end

---@class moonloop.web.request.form.opts
---@field max_fields? integer fields (1000)
---@field max_header? integer bytes of the headers of a part, in 100 lines at most (8192)
---@field max_field? integer bytes of a field that is not a file (1 MB)
---@field max_file? integer bytes of a file (10 MB)
---@field raise? boolean whether what is wrong with the form is raised (true)

---The fields of an urlencoded or multipart form. `values` is a table by name, with the last value of a repeated name;
---`fields` is the list of all in order, each `{name =, value =}`. A value is a string, or for a file a table `{filename =,
---content_type =, body =}`; if a file field was left empty, `filename` and `body` are `""`. A second call gives the same
---results.
---@param opts? moonloop.web.request.form.opts
---@return table<string, any>? values
---@return table|moonloop.error fields
function request:form(opts) end

---@class moonloop.web.request.parts.opts
---@field max_fields? integer parts (1000)
---@field max_header? integer bytes of the headers of a part (8192)
---@field max_field? integer bytes of a part without a file name (the route's `max_body`)
---@field max_file? integer bytes of a part with a file name (the route's `max_body`)
---@field raise? boolean whether what is wrong with the form is raised (true)

---`for part in req:parts() do` gives the parts of a multipart form as they arrive, whatever their size. Read a part before
---asking for the next one; its unread rest is skipped.
---@param opts? moonloop.web.request.parts.opts
---@return (fun(...): ...)? iterator
---@return moonloop.error? err
function request:parts(opts) end

---`f()` runs in a task of its own when the response has been given to the system, or the client has gone, and the clean-up
---of all dependencies is over. Its errors are reported; a stopping server waits for it. It
---has the caller's task-local values. Several run in the order of the calls.
---@param f fun()
function request:after(f) end

---The cookies by name, as they were sent, including quotes; the first one of equal names. Each call makes a new table.
---@return table
function request:cookies() end

---The value that `res:set_signed_cookie` was given; nil without an error if there is no such cookie.
---See `signer:verify` for errors.
---@param name string
---@param signer moonloop.web.signer
---@return any? value
---@return moonloop.error? err
function request:signed_cookie(name, signer) end

---@class moonloop.web.query
local query = {}

---All values of a name in `req.query`, in order; an empty list if there are none. A field called `all` is found only with
---`req.query:all("all")`.
---@param name string
---@return string[]
function query:all(name) end

---@class moonloop.web.part
---@field name string the field's name
---@field filename string as the client sent it, so never a path to write to; nil for a field that is not a file
---@field content_type string `"text/plain"` if the part does not say
---@field headers table the part's headers, found in any case
local part = {}

---The rest of the part. Raises an error with the status 413 if that is more than `max` bytes (1 MB).
---@param max? integer
---@return string text
function part:read(max) end

---`for piece in part:chunks() do` gives the part as it arrives.
---@return (fun(...): ...) iterator
function part:chunks() end

---@class moonloop.web.part.save.opts
---@field replace? boolean whether a file of that name is replaced; otherwise it is left as it is, and `err.code` is `"EEXIST"` (false)

---Writes the rest of the part to a file, beside the loop. Only its owner can read it (mode 600;
---`ml.fs.chmod` changes that). Until it is complete and on the disk, the file is called
---`path.RANDOM.part`; it is removed if the form is bad, the client goes away or the disk is full (`err` of kind `"file"`).
---@param path string
---@param opts? moonloop.web.part.save.opts
---@return integer? bytes
---@return moonloop.error? err
function part:save(path, opts) end

---@class moonloop.web.response
---@field status integer
---@field headers table names are found in any case; several lines are a list
---@field body string the text, even of a JSON body; assigning it keeps the type
---@field json any the value of a JSON body; assigning it replaces the body and its type
---@field stream function|any as in `ml.web.response`
---@field file function|any as in `ml.web.response`
local response = {}

---Adds lines to those of the same names; a `Content-Type` replaces the old one.
---@param headers table<string, any>
---@return moonloop.web.response res
function response:add_headers(headers) end

---@class moonloop.web.response.set_cookie.opts
---@field path? string (`"/"`)
---@field domain? string (this host alone)
---@field max_age? integer seconds (until the browser is closed)
---@field expires? number seconds since 1970 (until the browser is closed)
---@field secure? boolean only over TLS: set it if the site has TLS (false)
---@field http_only? boolean hidden from the page's scripts (true)
---@field same_site? string or `"Strict"`, `"None"` (`"Lax"`)
---@field partitioned? boolean (false)

---The value is sent as it is: ASCII without spaces, quotes, commas, semicolons and backslashes; name and value together
---may have at most 4096 bytes.
---@param name string
---@param value any
---@param opts? moonloop.web.response.set_cookie.opts
---@return moonloop.web.response res
function response:set_cookie(name, value, opts) end

---Makes the browser forget a cookie; `opts` are those with which it was set (path, domain).
---@param name string
---@param opts? table
---@return moonloop.web.response res
function response:delete_cookie(name, opts) end

---As `set_cookie`, but for any string, signed by a signer. Read it with
---`req:signed_cookie`.
---@param name string
---@param value any
---@param signer moonloop.web.signer
---@param opts? table
---@return moonloop.web.response res
function response:set_signed_cookie(name, value, signer, opts) end

---@class moonloop.web.out
local out = {}

---Adds strings and numbers to the body; suspends while the client is more than 64 kB behind. Several tasks may write: each
---call stays in one piece, in the order in which the calls began.
---@param ... any
---@return moonloop.web.out out
function out:write(...) end

---@class moonloop.web.security
---@field password_form any A schema of the form that clients of the password flow send: `username`, `password`, `scope` (`""` by default), and perhaps `grant_type`, `client_id` and `client_secret`.
local security = {}

---@class moonloop.web.security.bearer.opts
---@field format? string what the token is, for the document: `"JWT"` (none)

---A token in the header `Authorization: Bearer TOKEN`. The credentials are the token.
---@param opts? moonloop.web.security.bearer.opts
---@return moonloop.web.scheme scheme
function security.bearer(opts) end

---@class moonloop.web.security.oauth2_password.opts
---@field token_url string the URL, relative to the document's
---@field refresh_url? string the URL for another token (none)
---@field scopes? table name to description of the scopes that there are; `scheme:require` knows no others (any)

---The same, with the URL where a client gets the token for a name and a password (RFC 6749 section 4.3).
---@param opts moonloop.web.security.oauth2_password.opts
---@return moonloop.web.scheme scheme
function security.oauth2_password(opts) end

---@class moonloop.web.security.basic.opts
---@field realm? string what the name is for, which browsers show (none)

---A name and a password (RFC 7617). The credentials are `{username =, password =}`.
---@param opts? moonloop.web.security.basic.opts
---@return moonloop.web.scheme scheme
function security.basic(opts) end

---@class moonloop.web.security.api_key.opts
---@field header? string the name of the header, the field of the query, or the cookie (one is required)
---@field query? string the name of the header, the field of the query, or the cookie (one is required)
---@field cookie? string the name of the header, the field of the query, or the cookie (one is required)

---A key that a client has been given. The credentials are its text.
---@param opts moonloop.web.security.api_key.opts
---@return moonloop.web.scheme scheme
function security.api_key(opts) end

---Are two strings equal? The time does not show where strings of the same length differ: use this, not `==`, for secrets.
---@param a string
---@param b string
---@return boolean
function security.equal(a, b) end

---@class moonloop.web.scheme
local scheme = {}

---The same principal, which has all these scopes. `principal.scopes` is a list, a text with spaces between them, or a table
---with the scopes as keys. The scopes show in the document.
---@param scope string
---@param ... any
---@return moonloop.web.scheme scheme
function scheme:require(scope, ...) end

---@class moonloop.web.session
---@field [string] any
local session = {}

---Gives the session a new id and a new time to live; the old id is worth nothing from then on. Call it when a user logs in
---or gets more rights, so that an id that somebody else has planted or seen is not logged in, too. The answer is a 409 if
---another request has ended the session meanwhile.
---@return moonloop.web.session session
function session:regenerate() end

---Ends the session: its table is emptied, store and client forget it. What is written into the table afterwards is a new
---session.
function session:destroy() end

---@class moonloop.web.templates
local templates = {}

---The text of the template `name`, its path below `dir`. The fields of the table `values` are the template's global
---variables. **Raises** what its code raises, with the template's file and line.
---@param name string
---@param values? table<string, any>
---@return string text
function templates:render(name, values) end

---Writes the same text by `out:write(text)` in pieces while it is made: where `flush()` says so, and in loops after some
---hundred pieces. `out` is that of a stream, a file, or any object with such a method.
---@param name string
---@param values table<string, any>
---@param out any
function templates:stream(name, values, out) end

---@class moonloop.web.test_client
local test_client = {}

---@param path string
---@param opts? moonloop.web.test.opts
---@return moonloop.http.response? res
---@return moonloop.error? err
function test_client:get(path, opts) end

---@param path string
---@param opts? moonloop.web.test.opts
---@return moonloop.http.response? res
---@return moonloop.error? err
function test_client:post(path, opts) end

---@param path string
---@param opts? moonloop.web.test.opts
---@return moonloop.http.response? res
---@return moonloop.error? err
function test_client:put(path, opts) end

---@param path string
---@param opts? moonloop.web.test.opts
---@return moonloop.http.response? res
---@return moonloop.error? err
function test_client:patch(path, opts) end

---@param path string
---@param opts? moonloop.web.test.opts
---@return moonloop.http.response? res
---@return moonloop.error? err
function test_client:delete(path, opts) end

---@param path string
---@param opts? moonloop.web.test.opts
---@return moonloop.http.response? res
---@return moonloop.error? err
function test_client:head(path, opts) end

---@param path string
---@param opts? moonloop.web.test.opts
---@return moonloop.http.response? res
---@return moonloop.error? err
function test_client:options(path, opts) end

---@class moonloop.web.test_client.request.opts
---@field cookies? table name to value: cookies for this request, in place of kept ones of the same name (none)

---They are the requests of ml.http, with the same options (`json`, `form`, `multipart`, `body`,
---`query`, `headers`, `stream`, ...), responses and errors, and one option more:
---@param request moonloop.web.test_client.request.opts
---@return moonloop.http.response? res
---@return moonloop.error? err
function test_client:request(request) end

---Opens a WebSocket to a route of `app:websocket`; cookies are sent as with a request. The
---options are those of `ml.ws.connect` but `tls`, with `cookies` as above, and it fails in the same way
---where the app has answered with another response than a 101.
---@param path string
---@param opts? table
---@return moonloop.ws.socket? ws
---@return moonloop.error? err
function test_client:websocket(path, opts) end

---The cookies that a request for `path` (`"/"`) would send, as name to value.
---@param path? string
---@return table
function test_client:cookies(path) end

---Keeps a cookie as if the app had set it, for all paths. With a `value` of nil it is forgotten.
---@param name string
---@param value any
function test_client:set_cookie(name, value) end

---Forgets all of them.
function test_client:clear_cookies() end

---Closes the connections, so that requests that still run see their client go; waits for the handlers, and for the tasks
---that they have left behind, as long as the limit `drain` says; then runs the functions of `app:on_stop`. Leaving the
---block of a `local c <close>` does the same; a spec that leaves a client open fails. Requests after that raise an error of kind `"closed"`.
function test_client:close() end

---@class moonloop.web.server
---@field port integer the port it listens on, the first of several; nil: it has none
---@field addresses any[] where it listens: `"http://127.0.0.1:8000"`, `"unix:/run/app.sock"`
---@field drain number the limit `drain` in seconds
---@field connections integer open connections
---@field requests integer requests that it has had so far
---@field tasks integer tasks of requests: handlers, and tasks they have started
local server = {}

---Stops accepting, gives running requests, and tasks that requests left behind, `grace` seconds to end (by default the
---limit `drain`), then cancels them, and runs the functions of `app:on_stop`. Suspends until all of this is over. A
---handler may call it: its own task is not waited for. If tasks are cancelled when the time is over, their number is
---printed on standard error.
---@param grace? number
function server:stop(grace) end

---The same for a server whose clients can go elsewhere: idle connections stay open until their next request has been
---answered.
---@param grace? number
function server:retire(grace) end

---Reads the files of the option `tls` again, for connections from now on; those that are open keep theirs. If a
---file or certificate is wrong, the server goes on with what it has, and `err`, of kind `"tls"`, says what is wrong. It is
---`false` if the server does not speak TLS.
---@return true?
---@return moonloop.error? err
function server:read_certificates() end

---Suspends until the server has been stopped and all of that is over.
function server:wait() end

---@class moonloop.web.access_entry
---@field time string `"2026-01-31T12:00:00.000Z"`
---@field client string the client's address
---@field method string from the request line
---@field target string from the request line
---@field protocol string from the request line
---@field request string the whole line instead of these, if it was malformed
---@field status integer 499 if the client did not wait for the answer
---@field bytes integer bytes of the response's body; a client that leaves, or is cut off (`write_timeout`), has taken fewer
---@field duration number seconds
---@field referer string headers of the request; nil if it had none
---@field user_agent string headers of the request; nil if it had none
---@field request_id string the request id, as in `ml.log`; nil if no handler ran
---@field trace_id string the trace that the request belongs to, as in `ml.log`; nil if there is none
---@field worker integer the worker's number and process id, with `serve --workers`
---@field pid integer the worker's number and process id, with `serve --workers`
local access_entry = {}

---@class moonloop.web.signer
local signer = {}

---`value` is any string; the text consists of letters, digits, `-`, `_` and `.`. `name` has to be the same in `verify`.
---@param value any
---@param name? string
---@return string text
function signer:sign(value, name) end

---`err` is of kind `"signature"`. Its code is `"INVALID"` (not signed with one of the secrets, for this salt and name, or
---changed) or `"EXPIRED"` (older than `max_age`).
---@param text string
---@param name? string
---@return any? value
---@return moonloop.error? err
function signer:verify(text, name) end
