--- Cross-origin requests: the CORS protocol of the Fetch standard, section 3.2.
local check_options = require "moonloop.core.options".check
local fail = require "moonloop.core".fail
local own_response = require "moonloop.web.own_response"
local response = require "moonloop.web.response"
local vary = require "moonloop.web.vary"
local TOKEN = require "moonloop.http.token"

local M = {}

local OPTIONS = { origins = "string|table|function", methods = "table", headers = "table", expose = "table",
  credentials = "boolean", max_age = "integer" }
local METHODS = { "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE" }

--- The names of the option as one header value.
local function join_tokens(list, option)
  for i, name in ipairs(list) do
    if type(name) ~= "string" or not name:find(TOKEN) then
      fail("option '" .. option .. "' of ml.web.cors: item " .. i .. " is not a name: " .. tostring(name))
    end
  end
  return table.concat(list, ", ")
end

--- Is the text one origin, as browsers send it?
local function is_origin(text)
  return text == "null" or text:find("^[%a][%w+.-]*://[%w._~%-%[%]:]+$") ~= nil
end

M.is_origin = is_origin

--- Makes the function that says whether an origin is allowed.
local function matcher(origins)
  if type(origins) == "function" then return origins end
  if origins == "*" then return function() return true end end
  local allowed = {}
  for i, origin in ipairs(type(origins) == "table" and origins or { origins }) do
    if type(origin) ~= "string" or not is_origin(origin) then
      fail("option 'origins' of ml.web.cors: item " .. i .. " is not an origin such as https://example.com: " ..
        tostring(origin))
    end
    allowed[origin:lower()] = true
  end
  return function(origin) return allowed[origin:lower()] end
end

--- web.cors{...}: middleware that lets scripts of other origins use the app. Options: `origins`, "*"
-- (the default), a list, or f(origin, req) -> boolean; `methods`, by default GET HEAD POST PUT PATCH
-- DELETE; `headers`, allowed request headers, by default those asked for; `expose`, response headers
-- that scripts may read; `credentials`, whether cookies are sent, which needs a list of origins;
-- `max_age`, seconds that a browser may keep the answer to a preflight (600).
-- It answers preflights itself, whether or not there is a route. Use it first, so that errors have its
-- headers too.
function M.cors(opts)
  opts = check_options(opts, OPTIONS, "ml.web.cors")
  local origins = opts.origins == nil and "*" or opts.origins
  local any = origins == "*"
  if any and opts.credentials then
    fail("option 'credentials' of ml.web.cors: browsers refuse it for all origins; list the origins instead")
  end
  local is_allowed = matcher(origins)
  local methods = join_tokens(opts.methods or METHODS, "methods")
  local allowed_headers = opts.headers and join_tokens(opts.headers, "headers")
  local expose = opts.expose and join_tokens(opts.expose, "expose")
  local max_age = opts.max_age or 600

  --- Headers that preflights and other answers share.
  local function allow(headers, origin)
    headers["Access-Control-Allow-Origin"] = any and "*" or origin
    if opts.credentials then headers["Access-Control-Allow-Credentials"] = "true" end
  end

  local function answer_preflight(req, origin, allowed)
    local res = response.new{ status = 204 }
    local headers = res.headers
    if not any then vary(headers, "Origin") end
    vary(headers, "Access-Control-Request-Method")
    vary(headers, "Access-Control-Request-Headers")
    if not allowed then
      res.status = 403
      res.json = { detail = "Origin Not Allowed" }
      return res
    end
    allow(headers, origin)
    headers["Access-Control-Allow-Methods"] = methods
    local wanted = req.headers["access-control-request-headers"]
    if wanted and not wanted:find("^[%w!#$%%&'*+.^_`|~, \t-]*$") then wanted = nil end
    headers["Access-Control-Allow-Headers"] = allowed_headers or wanted
    headers["Access-Control-Max-Age"] = max_age
    return res
  end

  return function(req, next)
    local origin = req.headers.origin
    local allowed = origin and is_origin(origin) and is_allowed(origin, req)
    if origin and req.method == "OPTIONS" and req.headers["access-control-request-method"] then
      return answer_preflight(req, origin, allowed)
    end
    local res = next(req)
    if any and not allowed then return res end
    res = own_response(res)
    if not any then vary(res.headers, "Origin") end
    if allowed then
      allow(res.headers, origin)
      res.headers["Access-Control-Expose-Headers"] = expose
    end
    return res
  end
end

return M
