--- `ml.web.redirect`.
local core = require "moonloop.web.core"
local fail = require "moonloop.core".fail
local options = require "moonloop.core.options"
local response = require "moonloop.web.response"

local M = {
  job_root = nil, -- in an executor: the root path of the request whose handler is the job
}

-- 300 and 304 to 306 do not redirect.
local STATUSES = { [301] = true, [302] = true, [303] = true, [307] = true, [308] = true }

-- Characters allowed in a URL (RFC 3986 section 2); '%' is handled separately.
local NOT_URL = "[^%w%-._~:/?#%[%]@!$&'()*+,;=%%]"

local function escape(c) return ("%%%02X"):format(c:byte()) end

local OPTIONS = { same_origin = "boolean" }

--- Does the URL name a scheme or a host? `url` has no control characters, which browsers skip; a '\\',
-- which they treat as '/', will be encoded.
local function leads_away(url) return url:find("^//") or url:find("^%a[%w+.-]*:") end

--- web.redirect(url [, status = 302] [, opts]) -> response. `url` is absolute or relative to the
-- request's (RFC 9110 section 10.2.2). 303 makes the client GET it, 307 and 308 keep the method, 301
-- and 308 are permanent. Spaces, non-ASCII and other characters that a URL cannot have are
-- percent-encoded (also '\', which browsers treat as '/'); a control character raises. A URL from
-- outside is not checked: it may lead anywhere. A path gets the server's root path before it. `opts`:
-- with same_origin (false), a URL that has a scheme or a host, or is not valid, ends the request with a 400.
function M.redirect(url, status, opts)
  if opts == nil and type(status) == "table" then status, opts = nil, status end
  opts = options.check(opts, OPTIONS, "ml.web.redirect")
  if opts.same_origin and (type(url) ~= "string" or url == "" or url:find("%c") or leads_away(url)) then
    error(core.abort(400, "the redirect does not lead to a path of this site"), 0)
  end
  if type(url) ~= "string" then
    fail("bad argument #1 to 'ml.web.redirect' (string expected, got " .. type(url) .. ")")
  end
  local at = url:find("%c")
  if at then fail(("the URL to redirect to has a control character at %d"):format(at)) end
  if url == "" then fail("the URL to redirect to is empty") end
  if status ~= nil and not STATUSES[status] then
    fail("bad argument #2 to 'ml.web.redirect' (301, 302, 303, 307 or 308 expected)")
  end
  url = url:gsub(NOT_URL, escape)
  url = url:gsub("%%(%x?%x?)", function(hex) return #hex < 2 and "%25" .. hex or nil end)
  if url:find("^/") and not url:find("^//") then url = (M.job_root or core.root_path()) .. url end
  return response.new { status = status or 302, headers = { Location = url } }
end

return M
