--- Clients: options that hold for many requests, and the way of a request through redirects and
-- retries.
local arguments = require "moonloop.http.arguments"
local auth = require "moonloop.http.auth"
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

-- --- the way of a request ---

--- Does the request, again where its plan of retries says so. Gives a response, or nil and an error.
local function attempt(client, request, due)
  local plan, n = request.retries, 0
  while true do
    n = n + 1
    -- A stream's timeout begins anew with each wait.
    local left = request.stream and request.timeout or math.max(0, due - now())
    local res, err = exchange.run(client, request, left, n)
    local wait = plan and retry.wait(plan, request, n, res, err)
    if not wait or now() + wait >= due then return res, err end
    if res then res:close() end
    core.sleep(wait)
    if not request.stream and now() >= due then return res, err end -- it has slept longer
  end
end

--- Does the request, and those that it is redirected to, by the time `due`. `res`: the response to the
-- first one, where it is there already.
local function perform(client, request, due, res)
  local history, err
  while true do
    if not res then res, err = attempt(client, request, due) end
    if not res then return nil, err end
    if history then rawset(res, "history", history) end
    if not request.follow then return res end
    local following, failure = redirect.follow(request, res)
    if not following and not failure then return res end
    res:close()
    if failure then return nil, failure end
    history = history or {}
    if #history == redirect.LIMIT then
      return nil, redirect.failure(request, res, "CURLE_TOO_MANY_REDIRECTS",
        ("more than %d redirects"):format(redirect.LIMIT))
    end
    history[#history + 1] = res
    request, res = following, nil
  end
end

--- Any request; one without options comes here where it is not bare (see exchange.bare).
local function start(client, method, target, opts, more)
  if getmetatable(client) ~= Client then raise("a client's methods are called with a colon") end
  if client.closed then error(core.error { kind = "closed", message = "the HTTP client is closed" }, 0) end
  if client.bare == nil then
    client.bare = exchange.bare(client)
    if opts == nil then return client[method:lower()](client, target) end
  end
  local request, err = requests.make(client, method, target, opts, more)
  if not request then return nil, err end
  return perform(client, request, now() + request.timeout)
end

--- Goes on with a bare request whose response is `res` and may be a redirect.
local function follow(client, method, target, res, due)
  return perform(client, requests.make(client, method, target), due, res)
end

--- Are the client's credentials for this URL? With a base URL, for its origin alone.
function Client:trusts(target)
  return not self.base_url or url.origin(self.base_url) == url.origin(target)
end

--- The request that the table `request` describes: `method` (GET where there is none), `url`, and the
-- options of the other methods.
function Client:request(request)
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

--- Closes the connections: idle ones at once, others when their exchanges are over. No request may
-- follow. Leaving the block of a `local client <close>` does that, too; and so does the collector.
function Client:close()
  self.closed, self.bare = true, nil
  if self.core_pool then self.core_pool:close() end
  if self.plain_pool then self.plain_pool:close() end
end

Client.__close = Client.close

-- --- making one ---

local options = {
  base_url = true, headers = true, timeout = true, max_connections = true, max_per_origin = true, idle = true,
  retries = true, auth = true, cookies = true, proxy = true, unix_socket = true, hooks = true, verify = true,
  follow_redirects = true, max_body = true,
}

--- The list of functions that the hook `name` is: one, a list of them, or nil.
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
  arguments.names(hooks, { request = true, response = true })
  return { request = hook_list("request", hooks.request), response = hook_list("response", hooks.response) }
end

local M = {}

--- client([opts]) -> a client with connections of its own.
function M.new(opts)
  opts = opts == nil and {} or opts
  arguments.names(opts, options)
  local set = fields.collect(opts.headers, {})
  fields.take_length(set, false)
  if opts.auth ~= nil and set.authorization then
    raise("auth and the header 'Authorization' exclude each other")
  end
  local max = arguments.count("max_connections", opts.max_connections, DEFAULT_MAX_CONNECTIONS)
  return setmetatable({
    base_url = arguments.typed("base_url", opts.base_url, "string"),
    fields = set,
    timeout = arguments.limit("timeout", opts.timeout, DEFAULT_TIMEOUT),
    max_connections = max,
    max_per_origin = arguments.count("max_per_origin", opts.max_per_origin),
    idle = arguments.limit("idle", opts.idle, DEFAULT_IDLE),
    retries = retry.plan(opts.retries),
    auth = auth.value(opts.auth),
    cookies = arguments.boolean("cookies", opts.cookies, false),
    proxy = proxy.check(opts.proxy),
    unix_socket = arguments.typed("unix_socket", opts.unix_socket, "string"),
    hooks = check_hooks(opts.hooks),
    verify = arguments.boolean("verify", opts.verify, true),
    follow = arguments.boolean("follow_redirects", opts.follow_redirects, true),
    max_body = arguments.limit("max_body", opts.max_body),
  }, Client)
end

return M
