--- The cookies of a client with one host (RFC 6265 section 5), for the test client. What does not depend on
-- there being other sites is as in browsers; so cookies with `Secure` are kept and sent, as browsers do on
-- localhost, and domains are only checked against the host.
local time = require "moonloop.core".time
local seconds_of = require "moonloop.web.conditional".seconds
local trim = require "moonloop.core.trim"

local Jar = {}
Jar.__index = Jar

local M = {}

--- A jar for the host, a name without a port.
function M.new(host) return setmetatable({ host = host:lower(), list = {} }, Jar) end

--- The path of a cookie that is set without one (section 5.1.4).
local function default_path(path) return path:match("^(/.*)/[^/]*$") or "/" end

local function path_matches(path, cookie_path)
  if path:sub(1, #cookie_path) ~= cookie_path then return false end
  return #path == #cookie_path or cookie_path:sub(-1) == "/" or path:sub(#cookie_path + 1, #cookie_path + 1) == "/"
end

local function domain_matches(host, domain)
  domain = domain:gsub("^%.", ""):lower()
  return host == domain or host:sub(-#domain - 1) == "." .. domain
end

--- Removes what has expired, and the cookie of this name and path.
local function sweep(jar, name, path)
  local now, kept = time(), {}
  for _, cookie in ipairs(jar.list) do
    local same = cookie.name == name and cookie.path == path
    if not same and cookie.expires > now then kept[#kept + 1] = cookie end
  end
  jar.list = kept
end

--- Keeps a cookie until the time `expires`, in seconds since 1970.
function Jar:put(name, value, path, expires)
  sweep(self, name, path)
  if expires > time() then table.insert(self.list, { name = name, value = value, path = path, expires = expires }) end
end

--- When a cookie with these attributes expires. Max-Age wins over Expires (section 5.3).
local function expiry(attributes)
  local age = attributes["max-age"]
  if age and age:find("^-?%d+$") then return time() + tonumber(age) end
  return attributes.expires and seconds_of(attributes.expires) or math.huge
end

--- What browsers refuse although it is well-formed (RFC 6265bis section 5.7).
local function is_refused(jar, name, attributes)
  local prefix = name:lower()
  if attributes.domain and attributes.domain ~= "" and not domain_matches(jar.host, attributes.domain) then
    return true
  end
  if prefix:find("^__secure%-") then return not attributes.secure end
  if prefix:find("^__host%-") then
    return not attributes.secure or attributes.path ~= "/" or attributes.domain ~= nil
  end
  return false
end

--- Takes the value of a Set-Cookie header that came in the response for `path`. Ignores a malformed one.
function Jar:take(line, path)
  local pair, rest = line:match("^([^;]*)(.*)$")
  local name, value = pair:match("^([^=]*)=(.*)$")
  if not name then return end
  name, value = trim(name), trim(value)
  if name == "" then return end
  local attributes = {}
  for key, text in rest:gmatch(";%s*([^;=]*)=?([^;]*)") do
    attributes[trim(key):lower()] = trim(text)
  end
  if is_refused(self, name, attributes) then return end
  local own = attributes.path
  if not own or own:sub(1, 1) ~= "/" then own = default_path(path) end
  self:put(name, value, own, expiry(attributes))
end

--- The cookies for `path` as a table of name -> value, and as a list of names in the order they are sent in:
-- longer paths first, then older ones (section 5.4).
function Jar:of(path)
  sweep(self)
  local found, values, names = {}, {}, {}
  for i, cookie in ipairs(self.list) do
    if path_matches(path, cookie.path) then found[#found + 1] = { i, cookie } end
  end
  table.sort(found, function(a, b)
    if #a[2].path ~= #b[2].path then return #a[2].path > #b[2].path end
    return a[1] < b[1]
  end)
  for _, pair in ipairs(found) do
    local cookie = pair[2]
    if not values[cookie.name] then names[#names + 1], values[cookie.name] = cookie.name, cookie.value end
  end
  return values, names
end

--- Forgets all cookies.
function Jar:clear() self.list = {} end

return M
