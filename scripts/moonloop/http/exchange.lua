--- One request and one response: the engine that does it, and the client's hooks around it.
local arguments = require "moonloop.http.arguments"
local body = require "moonloop.http.body"
local core = require "moonloop.http.core"
local fields = require "moonloop.http.fields"
local plain = require "moonloop.http.plain"
local proxy = require "moonloop.http.proxy"
local requests = require "moonloop.http.request"
local Response = require "moonloop.http.response"

local M = {}

--- Looks up what the client's pools need to know. Their connections are opened when they are needed; so
-- is libcurl.
function M.open(client)
  local proxies = proxy.of(client.proxy)
  client.pool_options = {
    max_connections = client.max_connections,
    max_per_origin = client.max_per_origin,
    idle = client.idle,
    cookies = client.cookies,
    http_proxy = proxies.http,
    https_proxy = proxies.https,
    no_proxy = proxies.except,
  }
  client.uses_plain = not client.cookies and not proxies.http
  client.opened = true
end

--- The client's pool of plain connections, or nil where its http:// URLs are libcurl's, too.
function M.plain_pool(client)
  if not client.opened then M.open(client) end
  if not client.uses_plain then return nil end
  local pool = client.plain_pool
  if not pool then
    pool = plain.pool(client.pool_options)
    client.plain_pool = pool
  end
  return pool
end

--- The engine for the URL, and the client's pool of it: libcurl speaks TLS, to proxies, and keeps
-- cookies; what is left needs none of it.
local function engine_of(client, url)
  local pool = url:find("^[Hh][Tt][Tt][Pp]:") and M.plain_pool(client)
  if pool then return plain, pool end
  if not client.opened then M.open(client) end
  pool = client.core_pool
  if not pool then
    pool = core.pool(client.pool_options)
    client.core_pool = pool
  end
  return core, pool
end

--- Sends a request whose body comes in pieces, and gives what the engine's request gives.
local function send_pieces(engine, pool, client, request, lines, timeout)
  local upload <close>, err = engine.begin(pool, request.method, request.url, lines, request.source.length,
    timeout, client.unix_socket, request.verify)
  if not upload then return nil, err end
  local sent, why = body.send(request.source, upload)
  if not sent then return nil, why end
  return upload:response(request.max_body, request.stream)
end

--- Does the request, within `timeout` seconds. Gives a response, or nil and an error.
local function send(client, request, timeout)
  local engine, pool = engine_of(client, request.url)
  local lines = request.lines
  if not lines then
    lines = fields.lines(request.fields)
    request.lines = lines
  end
  local status, content, head, url
  if request.source then
    status, content, head, url = send_pieces(engine, pool, client, request, lines, timeout)
  else
    status, content, head, url = engine.request(pool, request.method, request.url, lines, request.body, timeout,
      request.max_body, request.stream, client.unix_socket, request.verify)
  end
  if not status then return nil, content end
  local res = { status = status, head = head, url = url }
  res[request.stream and "reader" or "body"] = content
  return setmetatable(res, Response)
end

--- Makes what M.send_bare takes as client.bare: what its requests without options have in common; false
-- where they are not for it.
function M.bare(client)
  local base = client.base_url
  if client.retries or client.auth or client.hooks or base and base:sub(1, 7) ~= "http://" then return false end
  local pool = M.plain_pool(client)
  return pool and plain.bare(pool, base, fields.lines(client.fields), client.timeout,
    client.max_body or requests.DEFAULT_MAX_BODY, client.unix_socket) or false
end

--- send_bare(client, method, url): the short way of `send`; see bindings/http_plain_bare.c.
M.send_bare = plain.sender(Response)

--- Lets the hooks see, and change, the request. Returns what is sent in its place, and what they saw.
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
  if sent.body and sent.source then arguments.raise("body: it is streamed already") end
  sent.fields, sent.lines = fields.collect(shown.headers, {}), nil
  fields.take_length(sent.fields, false)
  for name, field in pairs(sent.fields) do -- as the script has written it
    local before = request.fields[name]
    if before then field[1] = before[1] end
  end
  return sent, shown
end

--- Does the request once: see `send`. `attempt` counts from 1.
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
