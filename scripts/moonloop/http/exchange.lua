--- One request and one response: how it is done, and the client's hooks around it.
local address = require "moonloop.http.address"
local arguments = require "moonloop.http.arguments"
local body = require "moonloop.http.body"
local cookies = require "moonloop.http.cookies"
local fields = require "moonloop.http.fields"
local core = require "moonloop.http.core"
local now = require "moonloop.core".now
local proxy = require "moonloop.http.proxy"
local requests = require "moonloop.http.request"
local Response = require "moonloop.http.response"

local M = {}

local DIRECT = {} -- no proxy

--- Collects what the client's pool needs to know. Connections are opened when they are needed.
function M.open(client)
  local proxies = proxy.of(client.proxy)
  local cert_host, cert_port
  if client.cert and client.base_url then
    local base, host, port = core.place("GET", client.base_url)
    cert_host, cert_port = base and base:find "^https:" and host:lower() or "", base and port
  end
  client.pool_options = {
    max_connections = client.max_connections,
    max_per_origin = client.max_per_origin,
    idle = client.idle,
    ca = client.ca,
    cert = client.cert,
    key = client.key,
    cert_host = cert_host,
    cert_port = cert_port,
    http2 = client.http2,
  }
  client.proxies = (proxies.http or proxies.https) and not client.unix_socket and proxies
  client.opened = true
end

--- The client's pool.
function M.core_pool(client)
  local pool = client.core_pool
  if not pool then
    pool = core.pool(client.pool_options)
    client.core_pool = pool
  end
  return pool
end

--- The client's pool for the URL, and the proxy if there is one.
local function pool_of(client, url)
  if client.transport then return client.transport.pool end
  if not client.opened then M.open(client) end
  return M.core_pool(client), client.proxies and proxy.choose(client.proxies, url) or nil
end

--- Sends a request whose body comes in pieces. Returns what the engine's request returns.
local function send_pieces(pool, client, request, lines, timeout, addresses, through)
  local upload <close>, err, id = core.begin(pool, request.method, request.url, lines, request.source.length,
    timeout, client.unix_socket, request.verify, addresses, through.host, through.port, through.credentials)
  if not upload then return nil, err, id end
  local sent, why
  sent, why, id = body.send(request.source, upload)
  if not sent then return nil, why, id end
  return upload:response(request.max_body, request.stream)
end

--- Does the request within `timeout` seconds. Returns a response, or nil and an error.
local function send(client, request, timeout)
  local pool, through = pool_of(client, request.url)
  local transport = client.transport
  if through and through.wrong then return nil, proxy.failure(request, through) end
  if transport then transport.prepare(request) end
  local addresses, err
  if request.allow_address and not transport then
    if through then return nil, address.unchecked(request) end
    local began = now()
    addresses, err = address.allowed(request, timeout)
    if not addresses then return nil, err end
    if not request.stream and not request.source then timeout = math.max(0, timeout - (now() - began)) end
  end
  through = through or DIRECT
  local jar, lines = client.jar, request.lines
  if jar then
    lines = cookies.lines(jar, request)
  elseif not lines then
    lines = fields.lines(request.fields)
    request.lines = lines
  end
  local status, content, head, url, id
  if request.source then
    status, content, head, url, id = send_pieces(pool, client, request, lines, timeout, addresses, through)
  else
    status, content, head, url, id = core.request(pool, request.method, request.url, lines, request.body, timeout,
      request.max_body, request.stream, client.unix_socket, request.verify, addresses,
      through.host, through.port, through.credentials)
  end
  if not status then
    if transport then transport.failed(head) end
    return nil, content
  end
  local res = { status = status, head = head, url = url, max_values = request.max_values }
  res[request.stream and "reader" or "body"] = content
  setmetatable(res, Response)
  if jar then cookies.take(jar, res) end
  if transport then transport.came(res, id) end
  return res
end

--- Makes client.bare, which M.send_bare uses: what all requests without options share; false if this
-- client cannot use the short path.
function M.bare(client)
  local base = client.base_url
  if client.transport or client.retries or client.auth or client.hooks or client.allow_address then return false end
  if client.jar or (base and not base:find("^https?://")) then return false end
  if not client.opened then M.open(client) end
  if client.proxies then return false end
  return core.bare(M.core_pool(client), base, fields.lines(client.fields), client.timeout,
    client.max_body or requests.DEFAULT_MAX_BODY, client.unix_socket, client.verify, client.max_values)
end

--- send_bare(client, method, url): a short path of `send`; see bindings/http/client_bare.c.
M.send_bare = core.sender(Response)

--- Lets the hooks see and change the request. Returns the request to send, and what the hooks saw.
local function ask_hooks(hooks, request, attempt)
  local shown = {
    method = request.method,
    url = request.url,
    headers = fields.show(request.fields),
    body = request.body,
    attempt = attempt,
  }
  for _, hook in ipairs(hooks) do hook(shown) end
  local sent = {}
  for key, value in pairs(request) do sent[key] = value end
  sent.method = arguments.method(shown.method)
  sent.url = arguments.typed("url", shown.url, "string")
  sent.body = arguments.typed("body", shown.body, "string")
  if sent.body and sent.source then arguments.raise("body: it cannot be set, since it is being streamed") end
  sent.fields, sent.lines = fields.collect(shown.headers, {}), nil
  fields.take_length(sent.fields, false)
  for name, field in pairs(sent.fields) do -- in the case the script wrote it
    local before = request.fields[name]
    if before then field[1] = before[1] end
  end
  return sent, shown
end

--- Does the request once, as `send` does. `attempt` counts from 1.
function M.run(client, request, timeout, attempt)
  local hooks = client.hooks
  if not hooks then return send(client, request, timeout) end
  local sent, shown = ask_hooks(hooks.request, request, attempt)
  local res, err = send(client, sent, timeout)
  if res then
    for _, hook in ipairs(hooks.response) do hook(res, shown) end
  end
  return res, err
end

return M
