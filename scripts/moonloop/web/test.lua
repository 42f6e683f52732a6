--- `ml.web.test`: a client for the specs of an app. The app is served as by ml.web.listen, but without a
-- socket: the bytes of requests and responses go through memory. The client is that of ml.http, with its
-- own transport and a jar for cookies.
local clients = require "moonloop.http.client"
local core = require "moonloop.core"
local is_app = require "moonloop.web.app".is_app
local cookies = require "moonloop.http.cookies"
local pool_of = require "moonloop.http.core".pool
local server = require "moonloop.web.server"
local server_options = require "moonloop.web.server_options"
local site = require "moonloop.web.site"
local url = require "moonloop.http.url"
local web = require "moonloop.web.core"
local TOKEN = require "moonloop.http.token"

local fail = core.fail

local M = {}

--- The clients that are not closed, with the lines that made them: `moonloop test` looks for those that a
-- spec has left behind.
M.open = {}

local WHOSE = "ml.web.test"

--- The options that are not the server's, with what is checked here; ml.http checks the others itself.
local OPTIONS = { raise = "boolean", base_url = "string", headers = "table", cookies = "table", timeout = "number",
  follow_redirects = "boolean", auth = "string|table" }

local BASE_URL = "http://localhost"

local Client = {}
Client.__index = Client
Client.__name = "moonloop.web.test_client"

local function check_self(client, method)
  if getmetatable(client) ~= Client then core.bad_self(client, "test client", method) end
end

-- --- cookies ---

--- Raises unless name and value can be sent as a cookie.
local function check_cookie(name, value)
  if type(name) ~= "string" then fail(("cookies: a name is a %s (expected a string)"):format(type(name))) end
  if not name:find(TOKEN) then fail(("cookies: %q is not a valid name"):format(name)) end
  if type(value) ~= "string" and type(value) ~= "number" then
    fail(("cookies: the value of '%s' is a %s (expected a string)"):format(name, type(value)))
  end
  value = tostring(value)
  if value:find("[%c;]") then
    fail(("cookies: the value of '%s' has a semicolon or a control character"):format(name))
  end
  return value
end

--- Raises unless `given`, the option `cookies`, is a table of them or nil.
local function check_cookies(given)
  if given == nil then return end
  if type(given) ~= "table" then fail(("cookies: table expected, got %s"):format(type(given))) end
  for name, value in pairs(given) do check_cookie(name, value) end
end

--- The place, as jars call it, of `path` of the app: as if it were reached by TLS, since nobody can listen.
local function place_of(self, path)
  local place = cookies.place(self.origin .. path) or cookies.place(self.origin)
  place.secure = true
  return place
end

local function path_of(target) return target:match("^%a[%w+.-]*://[^/?#]*([^?#]*)") or target:match("^[^?#]*") end

--- The kept cookies for `path`, one of each name: the one that is sent first. Then name -> value.
local function kept(self, path)
  local list, values = {}, {}
  for _, cookie in ipairs(self.jar:of(place_of(self, path))) do
    if cookie.name ~= "" and not values[cookie.name] then
      list[#list + 1] = cookie
      values[cookie.name] = cookie.value
    end
  end
  return list, values
end

--- Keeps a cookie for all paths, until the time `expires`.
local function keep(self, name, value, expires)
  self.jar:put { name = name, value = value, domain = place_of(self, "/").host, host_only = true, path = "/",
    secure = false, expires = expires }
end

--- The Cookie header for a request to `path`: the jar's, replaced and followed by the request's own.
function M.cookie_header(self, path, own)
  check_cookies(own)
  local list, values = kept(self, path)
  local parts, more = {}, {}
  for _, cookie in ipairs(list) do
    local name = cookie.name
    local value = own and own[name] ~= nil and own[name] or cookie.value
    parts[#parts + 1] = name .. "=" .. value
  end
  for name, value in pairs(own or {}) do
    if values[name] == nil then more[#more + 1] = name .. "=" .. value end
  end
  table.sort(more)
  table.move(more, 1, #more, #parts + 1, parts)
  return parts[1] and table.concat(parts, "; ") or nil
end

local cookie_header = M.cookie_header

-- --- the transport (http/client.lua) ---

--- Raises the error that the handler of the request `id` has failed with, if it has.
function M.raise_failure(failures, id)
  local failure = id and failures[id]
  if not failure then return end
  failures[id] = nil
  core.raise(failure[1], failure[2])
end

local raise_failure = M.raise_failure

--- The reader of a streamed response, which raises when the handler has failed.
local function watch(reader, failures, id)
  return {
    read = function()
      local chunk, err = reader:read()
      if chunk == nil then raise_failure(failures, id) end
      return chunk, err
    end,
    close = function() reader:close() end,
  }
end

--- The transport of a client whose requests go to the host's server `http`, at most `max` at a time.
local function new_transport(client, http, max, base)
  local failures, origin = client.failures, url.origin(base)
  return {
    pool = pool_of { server = http, max_connections = max, idle = math.huge },
    reaches = function(target) return url.origin(target) == origin end,
    prepare = function(request)
      local fields = request.fields
      if request.own_cookie == nil then request.own_cookie = fields.cookie ~= nil end
      if request.own_cookie then return end
      local text = cookie_header(client, path_of(request.url), request.cookies)
      fields.cookie = text and { "Cookie", text }
      request.lines = nil
    end,
    came = function(res, id)
      cookies.take(client.jar, res, place_of(client, path_of(res.url)))
      local reader = rawget(res, "reader")
      if reader and res.ok then -- the pieces before an error come first
        rawset(res, "reader", watch(reader, failures, id))
        return
      end
      if failures[id] then res:close() end
      raise_failure(failures, id)
    end,
    failed = function(id) raise_failure(failures, id) end,
  }
end

-- --- the client ---

--- Raises unless `target` is a path of the app, or a URL of it.
local function check_target(client, target)
  if type(target) ~= "string" then return end -- ml.http says so
  local origin = url.origin(target)
  if origin and origin ~= url.origin(client.http.base_url) then
    fail(("the test client reaches only its app: %s (expected a path such as \"/items\")"):format(url.shown(target)))
  end
end

for _, method in ipairs { "get", "post", "put", "patch", "delete", "head", "options" } do
  --- c:get(path [, opts]) and so on -> response | nil, err: as in ml.http, with the option `cookies`, a table
  -- of name -> value for this request. Raises what the handler has raised, unless `raise` is false.
  Client[method] = function(self, target, opts)
    check_self(self, method)
    check_target(self, target)
    return self.http[method](self.http, target, opts)
  end
end

--- c:request{method =, url =, ...}: the same for any method.
function Client.request(self, request)
  check_self(self, "request")
  if type(request) == "table" then check_target(self, request.url) end
  return self.http:request(request)
end

--- c:websocket(path [, opts]) -> ws | nil, err: see web/test_websocket.lua.
function Client.websocket(self, path, opts)
  check_self(self, "websocket")
  return require "moonloop.web.test_websocket"(self, path, opts)
end

--- c:cookies([path = "/"]) -> a table of name -> value: the cookies that a request for the path would send.
function Client.cookies(self, path)
  check_self(self, "cookies")
  if path ~= nil and type(path) ~= "string" then
    fail(("bad argument #1 to 'cookies' (string expected, got %s)"):format(type(path)))
  end
  local _, values = kept(self, path or "/")
  return values
end

--- c:set_cookie(name, value): as if the app had set it, for all paths. A value of nil removes it.
function Client.set_cookie(self, name, value)
  check_self(self, "set_cookie")
  local text = check_cookie(name, value == nil and "" or value)
  keep(self, name, text, value == nil and 0 or math.huge)
end

--- c:clear_cookies(): forgets all cookies, as a new client.
function Client.clear_cookies(self)
  check_self(self, "clear_cookies")
  self.jar:clear()
end

--- Reports the errors of requests that nobody waited for any more.
local function report_unheard(failures)
  for id, failure in pairs(failures) do
    failures[id] = nil
    web.report(nil, failure[1], failure[2], "a request of the test client")
  end
end

--- c:close(): closes the connections, so that requests still running see their client go; then stops the
-- server, and runs the functions of app:on_stop. Leaving the block of a `local c <close>` does the same.
function Client.close(self)
  check_self(self, "close")
  if self.closed then return end
  self.closed = true
  M.open[self] = nil
  self.http:close()
  local failures <close> = setmetatable({}, { __close = function() report_unheard(self.failures) end }) -- luacheck: ignore
  core.shield(self.server.stop, self.server)
end

Client.__close = Client.close

function Client.__tostring(self)
  return ("test client%s"):format(self.closed and " (closed)" or "")
end

--- The options of ml.http's client.
local function http_options(opts, base)
  return { base_url = base, headers = opts.headers, timeout = opts.timeout or math.huge, auth = opts.auth,
    follow_redirects = opts.follow_redirects }
end

--- web.test(app [, opts]) -> client: serves `app` without a socket, for specs. The functions of app:on_start
-- run first, in the calling task. Options: those of ml.web.listen but host and port, and
--   raise             true: the error of a handler that would be a 500 is raised by the request
--   base_url          "http://localhost": scheme, host and port of what the app sees
--   headers, auth, follow_redirects   as in ml.http.client
--   timeout           seconds for each request (no limit)
--   cookies           name -> value: cookies to begin with
function M.test(app, opts)
  if not is_app(app) then
    fail(("bad argument #1 to 'ml.web.test' (an app of ml.web.app() expected, got %s)"):format(type(app)))
  end
  opts = server_options.check(opts, OPTIONS, WHOSE)
  check_cookies(opts.cookies)
  local base = url.check_base(opts.base_url) or BASE_URL
  if not base:lower():find("^http://[^/?#]+/*$") then
    fail(("base_url: %q (expected http:// and a host, without a path)"):format(url.shown(base)))
  end
  local self = { opts = opts, base = base, failures = {}, jar = cookies.jar(), origin = base:match("^%a+://[^/]+") }
  for name, value in pairs(opts.cookies or {}) do keep(self, name, tostring(value), math.huge) end
  local settings = server_options.merge(app.settings, opts)
  local router = site.router(app)
  local apps = server.start(app)
  local failures = opts.raise ~= false and self.failures or nil
  local http = web.serve_in_memory(router, server_options.for_host(settings), failures)
  if settings.access_log then require "moonloop.web.access_log".keep(http, settings.access_log) end
  self.server = server.new(http, apps)
  self.http = clients.new(http_options(opts, base), new_transport(self, http, settings.max_connections, base))
  M.open[self] = core.place() or "?"
  return setmetatable(self, Client)
end

return M
