--- The options of a request, checked and merged with those of its client.
--
-- A request is a table of `method`, `url`, `fields` (fields.lua), optionally `lines` (the fields as
-- text), `body` (text) or `source` (body.lua), `timeout` in seconds, `max_body` in bytes, `max_values` or nil
-- (the default), `stream`, `follow`, `verify`, `allow_address` (address.lua), and `retries` (retry.lua).
local address = require "moonloop.http.address"
local arguments = require "moonloop.http.arguments"
local auth = require "moonloop.http.auth"
local body = require "moonloop.http.body"
local fields = require "moonloop.http.fields"
local retry = require "moonloop.http.retry"
local url = require "moonloop.http.url"

local raise = arguments.raise

local M = {}

M.DEFAULT_MAX_BODY = 64 * 1024 * 1024 -- decoded bytes of a body that is not streamed

local options = {
  headers = true, query = true, json = true, body = true, form = true, multipart = true, timeout = true,
  follow_redirects = true, verify = true, max_body = true, max_values = true, stream = true, retries = true,
  auth = true, allow_address = true,
}

-- What clients have and requests do not: a connection is of the client's pool, not of one request.
local of_clients = {}
for _, name in ipairs { "base_url", "ca", "cert", "cookies", "hooks", "http2", "idle", "key", "max_connections",
  "max_per_origin", "proxy", "unix_socket" } do
  of_clients[name] = "ml.http.client"
end

--- The fields of a request whose body has the type `content_type` (or nil). The request's own fields
-- take precedence over the client's, and those over what the body implies. The second result lists the names of the
-- client's that are for the origin of its base_url alone, or is nil.
local function collect(client, target, opts, content_type)
  local own = fields.collect(opts.headers, {})
  if opts.auth ~= nil and own.authorization then
    raise("auth and the header 'Authorization' cannot be used together")
  end
  local set = {}
  if content_type then set["content-type"] = { "Content-Type", content_type } end
  local trusts, private = client:trusts(target), nil
  for name, field in pairs(trusts and client.fields or {}) do
    set[name] = field
    if client.base_url and not own[name] then
      private = private or {}
      private[#private + 1] = name
    end
  end
  if opts.auth == nil and client.auth and trusts then
    set.authorization = { "Authorization", client.auth }
  elseif opts.auth then
    set.authorization = { "Authorization", auth.value(opts.auth) }
  end
  for name, field in pairs(own) do set[name] = field end
  return set, private
end

--- Makes the request of `method` for `target` with the options `opts`; the names in `more` are allowed
-- as well. Returns nil and an error if its body cannot be read.
function M.make(client, method, target, opts, more)
  if type(target) ~= "string" then raise("bad URL: string expected, got %s", type(target)) end
  opts = opts == nil and {} or opts
  arguments.names("a request", opts, options, more, of_clients)
  target = url.join(client.base_url, target)
  if opts.query ~= nil then target = url.add_query(target, opts.query) end
  local text, source, content_type, err = body.of(opts)
  if err then return nil, err end
  if (text or source) and method == "HEAD" then raise("a HEAD request has no body") end
  local set, private = collect(client, target, opts, content_type)
  local length = fields.take_length(set, source)
  if length then source.length = length end
  local stream = arguments.boolean("stream", opts.stream, false)
  local retries = client.retries
  if opts.retries ~= nil then retries = retry.plan(opts.retries) end
  return {
    method = method,
    url = target,
    fields = set,
    private = private,
    body = text,
    source = source,
    timeout = arguments.limit("timeout", opts.timeout, client.timeout),
    max_body = arguments.limit("max_body", opts.max_body, client.max_body)
      or (stream and math.huge or M.DEFAULT_MAX_BODY),
    max_values = arguments.values("max_values", opts.max_values, client.max_values),
    stream = stream,
    follow = arguments.boolean("follow_redirects", opts.follow_redirects, client.follow),
    verify = arguments.boolean("verify", opts.verify, client.verify),
    retries = retries,
    allow_address = address.check(opts.allow_address, client) or client.allow_address,
    cookies = opts.cookies, -- only with a transport (client.lua)
  }
end

return M
