--- Redirects (RFC 9110 15.4): which request comes next.
local core = require "moonloop.core"
local fields = require "moonloop.http.fields"
local redacted = require "moonloop.http.core".redacted
local trim = require "moonloop.core.trim"
local url = require "moonloop.http.url"

local M = {}

--- How many redirects are followed.
M.LIMIT = 10

-- Headers that only the origin named by the script may see.
local credentials = { "authorization", "cookie", "proxy-authorization", "host" }
-- Headers that describe a body, dropped when the body is not sent again.
local of_body = { "content-type", "content-encoding", "content-language", "content-location" }

local redirects = { [301] = true, [302] = true, [303] = true, [307] = true, [308] = true }

--- Makes the error for a redirect that cannot be followed.
function M.failure(request, res, code, message)
  return core.error {
    kind = "http",
    code = code,
    message = ("%s %s: %s"):format(request.method, redacted(res.url), message),
  }
end

--- What keeps a URL written by a server from meaning the same to all, or nil: browsers leave tabs out and read a
-- backslash as '/', so that it may lead to another host.
local function ambiguity(location)
  if location:find "%c" then return "a control character" end
  if location:match "^[^?#]*":find("\\", 1, true) then return "a backslash" end
end

--- A URL written by a server, with blanks and bytes that are not allowed in URLs percent-encoded.
local function clean(location)
  return (location:gsub("[^\33-\126]", function(c) return ("%%%02X"):format(c:byte()) end))
end

-- 303, and by custom 301 and 302 after a POST, make the next request a GET.
local function becomes_get(status, method)
  if status == 303 then return method ~= "HEAD" end
  return (status == 301 or status == 302) and method == "POST"
end

--- Does the response have several different Location headers? Then it is unclear which one the server
-- means, and joining them, as is done with other headers, would make yet another URL.
local function is_ambiguous(res, location)
  if not location:find(", ", 1, true) then return false end
  local first
  for name, value in res.head:gmatch("([^:\r\n]+):[ \t]*([^\r\n]*)") do
    if name:lower() == "location" then
      value = trim(value)
      if first and value ~= first then return true end
      first = value
    end
  end
  return false, first
end

--- The request that follows `request` after the response `res`: nil if that is not a redirect; nil and
-- an error if it cannot be followed. Another origin (scheme, host or port) gets none of the
-- credentials, so following a redirect from https to http does not leak them.
function M.follow(request, res)
  local location = redirects[res.status] and res.headers.location
  if not location then return nil end
  local is_unclear, only = is_ambiguous(res, location)
  if is_unclear then
    return nil, M.failure(request, res, "ambiguous_location", "the redirect has several Location headers")
  end
  location = only or location
  local has = ambiguity(location)
  if has then return nil, M.failure(request, res, "BAD_URL", "the redirect leads to a URL with " .. has) end
  local target = url.resolve(res.url, clean(location))
  local scheme = target:match("^%a[%w+.-]*"):lower()
  if scheme ~= "http" and scheme ~= "https" then
    return nil, M.failure(request, res, "UNSUPPORTED_PROTOCOL",
      ("the redirect leads to the scheme '%s', which is neither http nor https"):format(scheme))
  end
  local following = setmetatable({}, getmetatable(request))
  for key, value in pairs(request) do following[key] = value end
  following.fields = fields.copy(request.fields)
  following.lines = nil
  if url.origin(target) == url.origin(res.url) then
    if url.credentials(target) == "" then target = url.with_credentials(target, url.credentials(request.url)) end
  else
    for _, name in ipairs(credentials) do following.fields[name] = nil end
    for _, name in ipairs(request.private or {}) do following.fields[name] = nil end
  end
  following.url = target
  if becomes_get(res.status, request.method) then
    following.method, following.body, following.source = "GET", nil, nil
    for _, name in ipairs(of_body) do following.fields[name] = nil end
  elseif request.source and request.source.once then
    return nil, M.failure(request, res, "body_not_repeatable",
      ("status %d asks for the body again, which was streamed"):format(res.status))
  end
  return following
end

return M
