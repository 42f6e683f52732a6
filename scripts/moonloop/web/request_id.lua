--- Request ids: a name for each request, in logs and in its response.
local check_options = require "moonloop.web.options"
local core = require "moonloop.web.core"

local M = {}

local OPTIONS = { header = "string", trust = "boolean" }

--- Is the text safe to be repeated in headers and logs? At most 128 letters, digits and -_.:/+=@
local function is_sane(text)
  return #text <= 128 and text:find("^[%w%-_.:/+=@]+$") ~= nil
end

--- web.request_id([opts]): middleware that gives each request an id: req.id, a response header, and
-- the access log have it. Options: `header`, its name (X-Request-Id); `trust`, whether the id that a
-- client sends in that header is taken where it is sane (true), or each request gets a new one.
function M.request_id(opts)
  opts = opts == nil and {} or opts
  check_options(opts, OPTIONS, "request_id")
  local header, trust = opts.header or "X-Request-Id", opts.trust ~= false
  if not header:find("^[%w!#$%%&'*+.^_`|~-]+$") then
    error("option 'header' of request_id is no header name: " .. header, 2)
  end
  return function(req, next)
    local id = trust and req.headers[header]
    if not id or not is_sane(id) then id = core.new_id() end
    req.id = id
    core.log_id(id)
    local res = next(req)
    res.headers[header] = id
    return res
  end
end

return M
