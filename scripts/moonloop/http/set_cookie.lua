--- The value of a Set-Cookie header taken apart (RFC 6265bis section 5.6).
local date_of = require "moonloop.http.cookie_date"
local trim = require "moonloop.core.trim"

local MAX_SIZE = 4096 -- bytes of name and value together: more, and the cookie is ignored
local MAX_ATTRIBUTE = 1024 -- bytes of an attribute's value: more, and the attribute is ignored

local SAME_SITE = { strict = "strict", lax = "lax", none = "none" }

local readers = {}

function readers.expires(cookie, value) cookie.expires = date_of(value) or cookie.expires end

readers["max-age"] = function(cookie, value)
  if value:find "^%-?%d*$" and value ~= "" and value ~= "-" then cookie.max_age = tonumber(value) end
end

function readers.domain(cookie, value) cookie.domain = value:gsub("^%.", ""):lower() end

function readers.path(cookie, value) cookie.path = value:sub(1, 1) == "/" and value or nil end

function readers.secure(cookie) cookie.secure = true end

function readers.httponly(cookie) cookie.http_only = true end

function readers.samesite(cookie, value) cookie.same_site = SAME_SITE[value:lower()] end

--- A table of `name` and `value`, of which one may be empty, and what attributes say, the last one of a name:
-- `expires` (seconds since 1970), `max_age` (seconds), `domain` (in lower case, without a dot in front; "" if it is
-- empty), `path` (nil unless it begins with "/"), `secure`, `http_only`, `same_site` ("strict", "lax", "none").
-- nil for what browsers ignore.
return function(line)
  if line:find "[%z\1-\8\10-\31\127]" then return nil end
  local pair, rest = line:match "^([^;]*)(.*)$"
  local name, value = pair:match "^([^=]*)=(.*)$"
  name, value = trim(name or ""), trim(value or pair)
  if #name + #value > MAX_SIZE or (name == "" and value == "") then return nil end
  local cookie = { name = name, value = value }
  for key, text in rest:gmatch ";([^;=]*)=?([^;]*)" do
    local read = #key < MAX_ATTRIBUTE and readers[trim(key):lower()]
    text = trim(text)
    if read and #text <= MAX_ATTRIBUTE then read(cookie, text) end
  end
  return cookie
end
