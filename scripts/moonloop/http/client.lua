--- Clients: options shared by many requests, and the path of a request through redirects and retries.
local address = require "moonloop.http.address"
local arguments = require "moonloop.http.arguments"
local auth = require "moonloop.http.auth"
local cookies = require "moonloop.http.cookies"
local core = require "moonloop.core"
local exchange = require "moonloop.http.exchange"
local fields = require "moonloop.http.fields"
local proxy = require "moonloop.http.proxy"
local redirect = require "moonloop.http.redirect"
local requests = require "moonloop.http.request"
local retry = require "moonloop.http.retry"
local url = require "moonloop.http.url"

local raise = arguments.raise
local is_callable, now, send_bare = core.is_callable, core.now, exchange.send_bare

local DEFAULT_TIMEOUT = 30 -- seconds, for the whole request
local DEFAULT_MAX_CONNECTIONS = 100
local DEFAULT_IDLE = 60 -- seconds

local Client = {}
Client.__index = Client
Client.__name = "moonloop.http.client"

local function check_self(client, method)
  if getmetatable(client) ~= Client then core.bad_self(client, "client", method) end
end

-- --- the way of a request ---

--- Does the request, and repeats it as its retry plan says. Returns a response, or nil and an error.
local function attempt(client, request, due)
  local plan, n = request.retries, 0
  while true do
    n = n + 1
    -- A stream's timeout starts again with each wait.
    local left = request.stream and request.timeout or math.max(0, due - now())
    local res, err = exchange.run(client, request, left, n)
    local wait = plan and retry.wait(plan, request, n, res, err)
    if not wait or now() + wait >= due then return res, err end
    if res then res:close() end
    core.sleep(wait)
    if not request.stream and now() >= due then return res, err end -- the sleep took longer than asked
  end
end

--- Does the request, and those it is redirected to, by the time `due`. `res` is the response to the
-- first one if it has already come.
local function perform(client, request, due, res)
  local history, err
  local kept = 0 -- bytes of the bodies in `history`
  while true do
    if not res then res, err = attempt(client, request, due) end
    if not res then return nil, err end
    if history then rawset(res, "history", history) end
    if not request.follow then return res end
    local following, failure = redirect.follow(request, res)
    if not following and not failure then return res end
    if following and client.transport and not client.transport.reaches(following.url) then return res end
    res:close()
    if failure then return nil, failure end
    history = history or {}
    if #history == redirect.LIMIT then
      return nil, redirect.failure(request, res, "TOO_MANY_REDIRECTS",
        ("more than %d redirects"):format(redirect.LIMIT))
    end
    kept = kept + #(rawget(res, "body") or "") -- a streamed one was not read
    if kept > request.max_body then
      return nil, redirect.failure(request, res, "too_large",
        ("the bodies of the redirects are over the limit of %.0f bytes"):format(request.max_body))
    end
    history[#history + 1] = res
    request, res = following, nil
  end
end

--- Does any request. One without options comes here unless it is bare (see exchange.bare).
local function start(client, method, target, opts, more)
  check_self(client, method:lower())
  if client.closed then error(core.error { kind = "closed", message = "the HTTP client is closed" }, 0) end
  if client.bare == nil then
    client.bare = exchange.bare(client)
    if opts == nil then return client[method:lower()](client, target) end
  end
  if client.transport then
    more = more or {}
    more.cookies = true
  end
  local request, err = requests.make(client, method, target, opts, more)
  if not request then return nil, err end
  return perform(client, request, now() + request.timeout)
end

--- Continues a bare request whose response `res` may be a redirect.
local function follow(client, method, target, res, due)
  return perform(client, requests.make(client, method, target), due, res)
end

--- Do the client's credentials apply to this URL? With a base URL, they apply to its origin only.
function Client:trusts(target)
  return not self.base_url or url.origin(self.base_url) == url.origin(target)
end

--- Does the request that the table describes: `method` (GET by default), `url`, and the options of the
-- other methods.
function Client:request(request)
  check_self(self, "request")
  if type(request) ~= "table" then raise("request: table expected, got %s", type(request)) end
  local method = request.method == nil and "GET" or arguments.method(request.method)
  return start(self, method, request.url, request, { method = true, url = true })
end

for _, method in ipairs { "GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS" } do
  Client[method:lower()] = function(self, target, opts)
    if opts == nil then
      local res, err, due = send_bare(self, method, target)
      if due then return follow(self, method, target, res, due) end
      if res ~= false then return res, err end
    end
    return start(self, method, target, opts)
  end
end

--- Closes the connections: idle ones at once, the others when their exchanges are over. No request may
-- follow. Leaving the block of a `local client <close>` does the same, and so does the collector.
function Client:close()
  check_self(self, "close")
  self.closed, self.bare = true, nil
  if self.transport then self.transport.pool:close(true) end
  if self.core_pool then self.core_pool:close() end
end

Client.__close = Client.close

-- --- making one ---

local options = {
  base_url = true, headers = true, timeout = true, max_connections = true, max_per_origin = true, idle = true,
  retries = true, auth = true, cookies = true, proxy = true, unix_socket = true, hooks = true, verify = true,
  follow_redirects = true, max_body = true, max_values = true, ca = true, cert = true, key = true, http2 = true,
  allow_address = true,
}

--- The functions of the hook `name` as a list. The option is one function, a list of them, or nil.
local function hook_list(name, hook)
  if hook == nil then return {} end
  local list = is_callable(hook) and { hook } or hook
  if type(list) ~= "table" then raise("hooks: %s: function expected, got %s", name, type(list)) end
  for _, f in ipairs(list) do
    if not is_callable(f) then raise("hooks: %s: function expected, got %s", name, type(f)) end
  end
  return table.move(list, 1, #list, 1, {})
end

local function check_hooks(hooks)
  if arguments.typed("hooks", hooks, "table") == nil then return nil end
  arguments.names("the hooks of a client", hooks, { request = true, response = true })
  return { request = hook_list("request", hooks.request), response = hook_list("response", hooks.response) }
end

--- The option `http2`: true (the default), false or "clear".
local function check_http2(http2)
  if http2 == nil or http2 == "clear" then return http2 or true end
  if type(http2) ~= "boolean" then raise("http2: true, false or \"clear\" expected, got %s", tostring(http2)) end
  return http2
end

local M = {}

--- client([opts]) -> a client with its own connections. `transport`, for clients that reach their server
-- in another way: a table of
--   pool               the pool for all its requests
--   reaches(url)       is the URL, of a redirect, one of its server?
--   prepare(request)   called before the request is sent; `request.cookies` is an option that was given
--   came(res, id)      called with each response, and what the server calls its request
--   failed(id)         called where there is none, before the error is returned. Each of them may raise
function M.new(opts, transport)
  opts = opts == nil and {} or opts
  arguments.names("ml.http.client", opts, options)
  local set = fields.collect(opts.headers, {})
  fields.take_length(set, false)
  if opts.auth ~= nil and set.authorization then
    raise("auth and the header 'Authorization' cannot be used together")
  end
  local max = arguments.count("max_connections", opts.max_connections, DEFAULT_MAX_CONNECTIONS)
  return setmetatable({
    base_url = url.check_base(opts.base_url),
    fields = set,
    timeout = arguments.limit("timeout", opts.timeout, DEFAULT_TIMEOUT),
    max_connections = max,
    max_per_origin = arguments.count("max_per_origin", opts.max_per_origin),
    idle = arguments.limit("idle", opts.idle, DEFAULT_IDLE),
    retries = retry.plan(opts.retries),
    auth = auth.value(opts.auth),
    jar = arguments.boolean("cookies", opts.cookies, false) and cookies.jar() or nil,
    proxy = proxy.check(opts.proxy),
    unix_socket = arguments.typed("unix_socket", opts.unix_socket, "string"),
    hooks = check_hooks(opts.hooks),
    verify = arguments.boolean("verify", opts.verify, true),
    follow = arguments.boolean("follow_redirects", opts.follow_redirects, true),
    max_body = arguments.limit("max_body", opts.max_body),
    max_values = arguments.values("max_values", opts.max_values),
    ca = arguments.typed("ca", opts.ca, "string"),
    cert = arguments.typed("cert", opts.cert, "string"),
    key = arguments.typed("key", opts.key, "string"),
    http2 = check_http2(opts.http2),
    allow_address = address.check(opts.allow_address, opts),
    transport = transport,
  }, Client)
end

return M
