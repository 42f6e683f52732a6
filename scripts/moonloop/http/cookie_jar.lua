--- The cookies of a client (RFC 6265bis sections 5.7 and 5.8), of ml.http and of ml.web.test.
--
-- A place is where a request goes: a table of `host` (in lower case; an IPv6 address without brackets), `path`,
-- `secure` (over https, or on this machine) and `is_address`.
local lru = require "moonloop.core.lru"
local now = require "moonloop.core".day_time
local read = require "moonloop.http.set_cookie"
local sweeper = require "moonloop.core.sweeper"

local MAX_PER_DOMAIN = 50
local MAX = 3000
local MAX_AGE = 400 * 86400 -- seconds that a cookie may live

local Jar = {}
Jar.__index = Jar

local M = {}

--- A jar. `is_public_suffix(domain)` says whether anybody can have a name below the domain: true, false, or nil if
-- that is not known; then the domains of cookies are not believed.
function M.new(is_public_suffix)
  local jar = setmetatable({ is_public_suffix = is_public_suffix, created = 0 }, Jar)
  jar:clear()
  return jar
end

-- --- what belongs to what ---

--- The path of a cookie that is set without one (section 5.1.4).
local function default_path(path) return path:match "^(/.*)/[^/]*$" or "/" end

local function path_matches(path, cookie_path)
  if path:sub(1, #cookie_path) ~= cookie_path then return false end
  return #path == #cookie_path or cookie_path:sub(-1) == "/" or path:sub(#cookie_path + 1, #cookie_path + 1) == "/"
end

--- Is the host the domain, or below it?
local function is_within(host, domain) return host == domain or host:sub(-#domain - 1) == "." .. domain end

local function domain_matches(place, domain)
  return place.host == domain or (not place.is_address and is_within(place.host, domain))
end

--- What only one cookie of a domain can have.
local function key_of(cookie)
  return ("%s;%s;%s"):format(cookie.name, cookie.path, cookie.host_only and "host" or "domain")
end

-- --- the table of domains ---

--- Notes under its name that a cookie is `Secure`, or that it is gone.
local function note_secure(jar, cookie, is_there)
  if not cookie.secure then return end
  local named = jar.secure[cookie.name] or {}
  jar.secure[cookie.name], named[cookie] = named, is_there
  if next(named) == nil then jar.secure[cookie.name] = nil end
end

local function remove(jar, cookie)
  local group = jar.domains[cookie.domain]
  group.cookies[key_of(cookie)] = nil
  group.count = group.count - 1
  if group.count == 0 then jar.domains[cookie.domain] = nil end
  jar.all:remove(cookie)
  note_secure(jar, cookie, nil)
end

--- Removes the cookies of the list that have expired by the time `at`. Returns when the next one does.
local function sweep_list(jar, cookies, at)
  local gone, next_one = {}, math.huge
  for _, cookie in pairs(cookies) do
    if cookie.expires <= at then gone[#gone + 1] = cookie else next_one = math.min(next_one, cookie.expires) end
  end
  for _, cookie in ipairs(gone) do remove(jar, cookie) end
  return next_one
end

--- Makes room among the cookies of one domain: those that have expired go, or else the one that was used least
-- recently, and of that kind one that is not `Secure` if there is any (section 5.7).
local function make_room(jar, group, at)
  sweep_list(jar, group.cookies, at)
  if group.count < MAX_PER_DOMAIN then return end
  local oldest
  for _, cookie in pairs(group.cookies) do
    if not oldest or (oldest.secure and not cookie.secure)
      or (oldest.secure == cookie.secure and cookie.used < oldest.used) then
      oldest = cookie
    end
  end
  remove(jar, oldest)
end

--- Removes those of all domains that have expired. They are looked for only when there are some, so each is looked at
-- seldom.
local function sweep_all(jar, at)
  if jar.next_expiry > at then return end
  local next_one = math.huge
  for _, group in pairs(jar.domains) do next_one = math.min(next_one, sweep_list(jar, group.cookies, at)) end
  jar.next_expiry = next_one
end

--- For the sweeper (sweeper.lua): all at once, since they are few.
function Jar:sweep()
  local at, before = now(), self.all.count
  sweep_all(self, at)
  return before - self.all.count, self.next_expiry < math.huge and self.next_expiry - at or nil
end

--- The same as `make_room` for all of them.
local function make_room_in_all(jar, at)
  if jar.all.count < MAX then return end
  sweep_all(jar, at)
  if jar.all.count >= MAX then remove(jar, jar.all:oldest()) end
end

--- Keeps a cookie: a table of `name`, `value`, `domain`, `host_only`, `path`, `secure`, `expires` in seconds since
-- 1970. The one it replaces gives it its age.
function Jar:put(cookie)
  local at, key = now(), key_of(cookie)
  local group = self.domains[cookie.domain]
  local old = group and group.cookies[key]
  if old then remove(self, old) end
  if cookie.expires <= at then return end
  group = self.domains[cookie.domain]
  if group and group.count >= MAX_PER_DOMAIN then make_room(self, group, at) end
  make_room_in_all(self, at)
  group = self.domains[cookie.domain]
  if not group then
    group = { count = 0, cookies = {} }
    self.domains[cookie.domain] = group
  end
  self.created = self.created + 1
  cookie.age, cookie.used = old and old.expires > at and old.age or self.created, self.created
  group.cookies[key] = cookie
  group.count = group.count + 1
  self.all:set(cookie, cookie)
  note_secure(self, cookie, true)
  if cookie.expires < self.next_expiry then
    self.next_expiry = cookie.expires
    sweeper.watch(self, cookie.expires - at)
  end
end

-- --- taking cookies ---

--- The domain that a cookie is for, and whether for that host alone; nil if its domain is not to be believed.
local function domain_of(jar, cookie, place)
  local domain = cookie.domain or ""
  if domain == "" then return place.host, true end
  if domain:find "[\128-\255]" or not domain_matches(place, domain) then return nil end
  if place.is_address then return place.host, true end
  local is_public = jar.is_public_suffix((domain:gsub("%.$", "")))
  if is_public == false then return domain, false end
  if is_public and domain ~= place.host then return nil end
  return place.host, true
end

--- Would a cookie that came without encryption hide, or be taken for, one that is `Secure`?
local function covers_secure(jar, cookie)
  for other in pairs(jar.secure[cookie.name] or {}) do
    if (is_within(other.domain, cookie.domain) or is_within(cookie.domain, other.domain))
      and path_matches(cookie.path, other.path) then
      return true
    end
  end
  return false
end

--- Do the prefixes of names promise what is not so (section 4.1.3)? A cookie without a name is sent as its value,
-- which must not look like such a name.
local function breaks_prefix(cookie, path)
  local name = cookie.name == "" and cookie.value:lower() or cookie.name:lower()
  local is_host, is_secure = name:find "^__host%-", name:find "^__secure%-"
  if cookie.name == "" then return is_host or is_secure end
  if (is_host or is_secure) and not cookie.secure then return true end
  return is_host and not (cookie.host_only and path == "/" and not cookie.had_domain)
end

--- When it expires: Max-Age wins over Expires, and neither is believed beyond 400 days.
local function expiry(cookie)
  local at = now()
  if cookie.max_age then return cookie.max_age <= 0 and 0 or at + math.min(cookie.max_age, MAX_AGE) end
  return cookie.expires and math.min(cookie.expires, at + MAX_AGE) or math.huge
end

--- Takes the value of a Set-Cookie header of the response from `place`. Ignores what browsers ignore.
function Jar:take(line, place)
  local cookie = read(line)
  if not cookie then return end
  local domain, host_only = domain_of(self, cookie, place)
  if not domain then return end
  if cookie.secure and not place.secure then return end
  if cookie.same_site == "none" and not cookie.secure then return end
  cookie.had_domain = cookie.domain ~= nil and cookie.domain ~= ""
  local own_path = cookie.path
  cookie.domain, cookie.host_only, cookie.expires = domain, host_only, expiry(cookie)
  cookie.path, cookie.secure = own_path or default_path(place.path), cookie.secure or false
  if breaks_prefix(cookie, own_path) then return end
  if not cookie.secure and not place.secure and covers_secure(self, cookie) then return end
  self:put(cookie)
end

-- --- giving them ---

local function is_before(a, b)
  if #a.path ~= #b.path then return #a.path > #b.path end
  return a.age < b.age
end

--- The cookies for a request to `place`, in the order they are sent in: longer paths first, then older ones.
function Jar:of(place)
  local found, at = {}, now()
  local domain = place.host
  while domain do
    local group = self.domains[domain]
    for _, cookie in pairs(group and group.cookies or {}) do
      if cookie.expires > at and (not cookie.host_only or domain == place.host) and (place.secure or not cookie.secure)
        and path_matches(place.path, cookie.path) then
        found[#found + 1] = cookie
      end
    end
    domain = not place.is_address and domain:match "^[^.]*%.(.+)$" or nil
  end
  table.sort(found, is_before)
  self.created = self.created + 1
  for _, cookie in ipairs(found) do
    cookie.used = self.created
    self.all:get(cookie)
  end
  return found
end

--- Forgets all cookies.
function Jar:clear()
  self.domains = {} -- domain -> {count =, cookies = what `key_of` gives -> cookie}
  self.all = lru.new(MAX) -- cookie -> cookie
  self.secure = {} -- name -> the set of its cookies that are Secure
  self.next_expiry = math.huge -- no cookie expires before this
end

return M
