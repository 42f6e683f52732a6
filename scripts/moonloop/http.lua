--- The HTTP client: what `ml.http` is. The transfers are moonloop.http.core's.
--
-- A request suspends its task until the whole response is there. What may go wrong on the way comes
-- back as `nil, err` (kinds "dns", "network", "tls", "timeout" and "http"); wrong arguments raise.
-- A status of 400 or 500 is a response like any other: see `res.ok`.
local core = require "moonloop.http.core"

local DEFAULT_TIMEOUT = 30 -- seconds, for the whole request
local DEFAULT_MAX_BODY = 64 * 1024 * 1024 -- bytes, decoded
local DEFAULT_MAX_CONNECTIONS = 100

-- ml.json, loaded when it is first needed
local function json() return require "moonloop.json" end

--- Raises the error of an argument, with the line of the script that called into this file.
local function argument_error(message, ...)
  local here, level = debug.getinfo(1, "S").source, 2
  while (debug.getinfo(level, "S") or {}).source == here do level = level + 1 end
  error(message:format(...), level)
end

-- --- requests ---

local TOKEN = "^[%w!#$%%&'*+.^_`|~-]+$" -- RFC 9110 5.6.2

local function escape(text)
  return (tostring(text):gsub("[^%w%-._~]", function(c) return ("%%%02X"):format(c:byte()) end))
end

--- A query as text. The keys of a table are sorted, so that the same table gives the same URL.
local function encode_query(query)
  if type(query) == "string" then return query end
  if type(query) ~= "table" then argument_error("query: table or string expected, got %s", type(query)) end
  local pairs_of = {}
  local function add(key, value)
    local kind = type(value)
    if kind ~= "string" and kind ~= "number" and kind ~= "boolean" then
      argument_error("query: the value of '%s' is a %s", tostring(key), kind)
    end
    pairs_of[#pairs_of + 1] = escape(key) .. "=" .. escape(value)
  end
  local keys = {}
  for key in pairs(query) do
    if type(key) ~= "string" then argument_error("query: its keys are strings, got a %s", type(key)) end
    keys[#keys + 1] = key
  end
  table.sort(keys)
  for _, key in ipairs(keys) do
    local value = query[key]
    if type(value) == "table" then
      for _, item in ipairs(value) do add(key, item) end
    else
      add(key, value)
    end
  end
  return table.concat(pairs_of, "&")
end

--- `url` with `query` added to what it has, before the fragment.
local function add_query(url, query)
  local text = encode_query(query)
  if text == "" then return url end
  local front, fragment = url:match("^([^#]*)(.*)$")
  local mark = "?"
  if front:find("?", 1, true) then mark = front:find("[?&]$") and "" or "&" end
  return front .. mark .. text .. fragment
end

-- The client writes these itself: a second opinion on where a message ends is how requests are smuggled.
local own_headers = { ["content-length"] = true, ["transfer-encoding"] = true }

--- Checks `headers` and puts them into `fields`: lower-case name -> {name, value...}.
local function collect_headers(headers, fields)
  if headers == nil then return end
  if type(headers) ~= "table" then argument_error("headers: table expected, got %s", type(headers)) end
  for name, values in pairs(headers) do
    if type(name) ~= "string" or not name:find(TOKEN) then
      argument_error("headers: %q is no header name", tostring(name))
    end
    local lower = name:lower()
    if own_headers[lower] then argument_error("headers: '%s' is set by the client itself", name) end
    local field = { name }
    for _, value in ipairs(type(values) == "table" and values or { values }) do
      if type(value) == "number" then value = tostring(value) end
      if type(value) ~= "string" then
        argument_error("headers: the value of '%s' is a %s", name, type(value))
      end
      if value:find("[%z\1-\8\10-\31\127]") then
        argument_error("headers: the value of '%s' has a control character (line break, NUL...)", name)
      end
      field[#field + 1] = value:match("^[ \t]*(.-)[ \t]*$")
    end
    if #field == 1 then argument_error("headers: '%s' has no value", name) end
    fields[lower] = field
  end
end

--- The header lines curl wants. An empty value is written "Name;" there.
local function header_lines(fields)
  local lines = {}
  for _, field in pairs(fields) do
    for i = 2, #field do
      lines[#lines + 1] = field[i] == "" and field[1] .. ";" or field[1] .. ": " .. field[i]
    end
  end
  return lines
end

local function check_limit(name, value, default)
  if value == nil then return default end
  if type(value) ~= "number" then argument_error("%s: number expected, got %s", name, type(value)) end
  if value < 0 or value ~= value then argument_error("%s: a negative number or NaN", name) end
  return value
end

local function check_boolean(name, value)
  if value == nil then return true end
  if type(value) ~= "boolean" then argument_error("%s: boolean expected, got %s", name, type(value)) end
  return value
end

local request_options = {
  headers = true, query = true, json = true, body = true, timeout = true,
  follow_redirects = true, verify = true, max_body = true,
}
local client_options = { base_url = true, headers = true, timeout = true, max_connections = true }
local later_options = { form = true, retries = true, stream = true }

local function check_options(opts, known, and_these)
  if type(opts) ~= "table" then argument_error("options: table expected, got %s", type(opts)) end
  for name in pairs(opts) do
    if not known[name] and not (and_these and and_these[name]) then
      argument_error(later_options[name] and "option '%s' is not supported yet" or "unknown option '%s'",
        tostring(name))
    end
  end
end

-- --- responses ---

local headers_metatable = {
  -- The keys are in lower case; a name in any other case is looked up by that.
  __index = function(self, name)
    return type(name) == "string" and rawget(self, name:lower()) or nil
  end,
}

local Response = {}
Response.__index = Response
Response.__name = "moonloop.http.response"

--- The body as JSON: its value, or nil and an error of kind "json".
function Response:json() return json().decode(self.body) end

function Response:__tostring() return ("response %d of %s (%d bytes)"):format(self.status, self.url, #self.body) end

-- --- clients ---

local Client = {}
Client.__index = Client
Client.__name = "moonloop.http.client"

--- `url` below `base`, with one slash between them, unless it is whole.
local function join_url(base, url)
  if not base or url:find("^%a[%w+.-]*://") then return url end
  if url == "" then return base end
  return base:gsub("/+$", "") .. "/" .. url:gsub("^/+", "")
end

--- Does one request; `more_options` are names that `opts` may have, too.
local function perform(client, method, url, opts, more_options)
  if getmetatable(client) ~= Client then argument_error("a client's methods are called with a colon") end
  if type(url) ~= "string" then argument_error("bad URL: string expected, got %s", type(url)) end
  local lines, timeout, max_body, follow, verify = client.lines, client.timeout, DEFAULT_MAX_BODY, true, true
  local body
  url = join_url(client.base_url, url)
  if opts ~= nil then
    check_options(opts, request_options, more_options)
    timeout = check_limit("timeout", opts.timeout, timeout)
    max_body = check_limit("max_body", opts.max_body, max_body)
    follow = check_boolean("follow_redirects", opts.follow_redirects)
    verify = check_boolean("verify", opts.verify)
    if opts.query ~= nil then url = add_query(url, opts.query) end
    body = opts.body
    if body ~= nil and type(body) ~= "string" then
      argument_error("body: string expected, got %s (json= encodes a value)", type(body))
    end
    if opts.headers ~= nil or opts.json ~= nil then
      local fields = {}
      if opts.json ~= nil then
        if body then argument_error("body and json exclude each other") end
        body = json().encode(opts.json)
        fields["content-type"] = { "Content-Type", "application/json" }
      end
      collect_headers(client.headers, fields)
      collect_headers(opts.headers, fields)
      lines = header_lines(fields)
    end
    if body and method == "HEAD" then argument_error("a HEAD request has no body") end
  end
  local pool = client.pool
  if not pool then
    pool = core.pool(client.max_connections)
    client.pool = pool
  end
  local status, content, headers, final_url =
    core.request(pool, method, url, lines, body, timeout, max_body, follow, verify)
  if not status then return nil, content end
  return setmetatable({
    status = status,
    ok = status >= 200 and status < 300,
    headers = setmetatable(headers, headers_metatable),
    body = content,
    url = final_url,
  }, Response)
end

--- The request that the table `request` describes: `method` (GET where there is none), `url`, and the
-- options of the other methods.
function Client:request(request)
  if type(request) ~= "table" then argument_error("request: table expected, got %s", type(request)) end
  local method = request.method == nil and "GET" or request.method
  if type(method) ~= "string" or not method:find(TOKEN) then
    argument_error("method: %q is none", tostring(method))
  end
  method = method:upper()
  if method == "CONNECT" then argument_error("method: CONNECT is for proxies") end
  return perform(self, method, request.url, request, { method = true, url = true })
end

local http = {}

--- Makes a client with its own pool of connections, which are opened when they are needed.
-- opts: `base_url`, before every URL that is not whole; `headers` of every request; `timeout` in
-- seconds; `max_connections` at a time (100): further requests wait for their turn.
function http.client(opts)
  opts = opts == nil and {} or opts
  check_options(opts, client_options)
  local base_url, max = opts.base_url, opts.max_connections
  if base_url ~= nil and type(base_url) ~= "string" then
    argument_error("base_url: string expected, got %s", type(base_url))
  end
  if max == nil then max = DEFAULT_MAX_CONNECTIONS end
  if math.type(max) ~= "integer" or max < 1 or max > 1000000 then
    argument_error("max_connections: an integer from 1 to 1000000 expected")
  end
  local fields, headers = {}, {}
  collect_headers(opts.headers, fields)
  for _, field in pairs(fields) do headers[field[1]] = table.move(field, 2, #field, 1, {}) end
  return setmetatable({
    base_url = base_url,
    headers = headers,
    lines = header_lines(fields),
    timeout = check_limit("timeout", opts.timeout, DEFAULT_TIMEOUT),
    max_connections = max,
  }, Client)
end

local default = http.client()

--- Client:get(url [, opts]) -> response | nil, err; so are the others, and http.get(url [, opts]).
--
-- opts:
--   headers           name -> text, number, or a list of them; in place of the client's of that name
--   query             name -> text, number, boolean or a list of them (or the text itself), added to the URL
--   json              a value, sent as JSON
--   body              text, sent as it is
--   timeout           seconds for the whole request, redirects included: 30, or the client's. 0 is over at
--                     once, math.huge never. (A connection must be there within 10 s in any case.)
--   max_body          bytes of the decoded response that are accepted: 64 MB; more is an error of kind
--                     "http", code "too_large". math.huge: any number
--   follow_redirects  true; ten at most. Credentials are not sent on to another host
--   verify            true: the server's certificate must be good for its name
--
-- response:
--   status   as a number
--   ok       whether it is 200 to 299
--   headers  name -> text; names are found in any case, and are in lower case when iterated over.
--            Repeated headers are joined with ", ", but `set-cookie` is a list of texts
--   body     decoded text
--   url      that the response is from, after redirects, without user and password
for _, method in ipairs { "GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS" } do
  Client[method:lower()] = function(self, url, opts) return perform(self, method, url, opts) end
  http[method:lower()] = function(url, opts) return perform(default, method, url, opts) end
end

--- http.request{method=, url=, ...}: Client:request with the default client.
function http.request(request) return default:request(request) end

return http
