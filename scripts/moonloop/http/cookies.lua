--- Cookies of requests and responses: what a jar (cookie_jar.lua) is asked and told by ml.http.
local fields = require "moonloop.http.fields"
local http = require "moonloop.http.core"
local jars = require "moonloop.http.cookie_jar"

local M = {}

local MOST = 50 -- Set-Cookie headers of a response: no more are looked at

--- A jar that knows the public suffixes, if libpsl is there.
function M.jar() return jars.new(http.is_public_suffix) end

local function is_address(host)
  return http.in_network("0.0.0.0/0", host) or http.in_network("::/0", (host:gsub("%%.*$", "")))
end

--- Is this host always this machine? What is sent to it cannot be read on the way.
local function is_own(host)
  return host == "localhost" or host:find "%.localhost$" ~= nil or http.in_network("127.0.0.0/8", host)
    or http.in_network("::1", host)
end

--- Where a request for `url` goes, for the jar; nil if the URL is malformed.
function M.place(url)
  local whole, host = http.place("GET", url)
  if not whole then return nil end
  host = host:lower()
  local path = whole:match "^%a+://[^/?#]*([^?#]*)"
  return { host = host, path = path == "" and "/" or path, is_address = is_address(host),
    secure = whole:find "^https:" ~= nil or is_own(host) }
end

--- The value of a Cookie header with these cookies, and then those of `own`, the text of one or nil, which go
-- instead of kept ones with their names. nil if there are none.
function M.header(cookies, own)
  local named, parts = {}, {}
  for name in (own or ""):gmatch "([^;=]*)=[^;]*" do named[name:match "^%s*(.*)$"] = true end
  for _, cookie in ipairs(cookies) do
    if not named[cookie.name] then
      parts[#parts + 1] = cookie.name == "" and cookie.value or cookie.name .. "=" .. cookie.value
    end
  end
  if own and own ~= "" then parts[#parts + 1] = own end
  return parts[1] and table.concat(parts, "; ") or nil
end

--- The header lines of the request with the cookies of the jar for its URL.
function M.lines(jar, request)
  local place = M.place(request.url)
  local own = request.fields.cookie
  local text = place and M.header(jar:of(place), own and own[2])
  if not text then return fields.lines(request.fields) end
  local with = fields.copy(request.fields)
  with.cookie = { own and own[1] or "Cookie", text }
  return fields.lines(with)
end

--- Takes the cookies of a response, from its URL or from `place`.
function M.take(jar, res, place)
  if not res.head:find "[Ss][Ee][Tt]%-[Cc][Oo][Oo][Kk][Ii][Ee]" then return end
  place = place or M.place(res.url)
  local lines = place and res.headers["set-cookie"] or {}
  for i = 1, math.min(#lines, MOST) do jar:take(lines[i], place) end
end

return M
