--- Redirects (RFC 9110 15.4): what is asked for next.
local core = require "moonloop.core"
local fields = require "moonloop.http.fields"
local url = require "moonloop.http.url"

local M = {}

--- How many are followed.
M.LIMIT = 10

-- What may be known to the origin that the script has named, and to no other.
local credentials = { "authorization", "cookie", "proxy-authorization", "host" }
-- What speaks of a body that is not sent on.
local of_body = { "content-type", "content-encoding", "content-language", "content-location" }

local redirects = { [301] = true, [302] = true, [303] = true, [307] = true, [308] = true }

--- Says what went wrong on the way to the next response.
function M.failure(request, res, code, message)
  return core.error {
    kind = "http",
    code = code,
    message = ("%s %s: %s"):format(request.method, res.url, message),
  }
end

--- A URL that a server has written: blanks and bytes that may not stand in one are encoded.
local function clean(location)
  return (location:gsub("[^\33-\126]", function(c) return ("%%%02X"):format(c:byte()) end))
end

-- 303, and by custom 301 and 302 after a POST, make the next request a GET.
local function becomes_get(status, method)
  if status == 303 then return method ~= "HEAD" end
  return (status == 301 or status == 302) and method == "POST"
end

--- The request that follows `request` after the response `res`: nil where that is no redirect; nil and
-- an error where it cannot be followed. Another origin (scheme, host or port) gets none of the
-- credentials; so that following from https to http is harmless.
function M.follow(request, res)
  local location = redirects[res.status] and res.headers.location
  if not location then return nil end
  local target = url.resolve(res.url, clean(location))
  local scheme = target:match("^%a[%w+.-]*"):lower()
  if scheme ~= "http" and scheme ~= "https" then
    return nil, M.failure(request, res, "CURLE_UNSUPPORTED_PROTOCOL",
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
