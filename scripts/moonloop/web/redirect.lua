--- `ml.web.redirect`.
local response = require "moonloop.web.response"

local M = {}

-- 300 and 304 to 306 send nobody anywhere.
local STATUSES = { [301] = true, [302] = true, [303] = true, [307] = true, [308] = true }

-- What may stand in a URL as it is (RFC 3986 section 2); '%' is looked at by itself.
local NOT_URL = "[^%w%-._~:/?#%[%]@!$&'()*+,;=%%]"

local function escape(c) return ("%%%02X"):format(c:byte()) end

--- web.redirect(url [, status = 302]) -> response. `url` is absolute or relative to the request's
-- (RFC 9110 section 10.2.2). 303 makes the client GET it, 307 and 308 keep the method, 301 and 308
-- are for ever. Spaces, characters beyond ASCII and others that a URL cannot have are
-- percent-encoded ('\' too, which browsers take for '/'); a control character raises. A url from
-- outside is not checked: it may lead to any place.
function M.redirect(url, status)
  if type(url) ~= "string" then
    error("bad argument #1 to 'redirect' (string expected, got " .. type(url) .. ")", 2)
  end
  local at = url:find("%c")
  if at then error(("the URL to redirect to has a control character at %d"):format(at), 2) end
  if url == "" then error("the URL to redirect to is empty", 2) end
  if status ~= nil and not STATUSES[status] then
    error("bad argument #2 to 'redirect' (301, 302, 303, 307 or 308 expected)", 2)
  end
  url = url:gsub(NOT_URL, escape)
  url = url:gsub("%%(%x?%x?)", function(hex) return #hex < 2 and "%25" .. hex or nil end)
  return response.new { status = status or 302, headers = { Location = url } }
end

return M
