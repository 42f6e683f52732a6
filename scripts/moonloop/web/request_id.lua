--- Request ids: a name for each request, in logs and in its response.
local check_options = require "moonloop.core.options".check
local core = require "moonloop.web.core"
local fail = require "moonloop.core".fail
local own_response = require "moonloop.web.own_response"
local TOKEN = require "moonloop.http.token"

local M = {}

local OPTIONS = { header = "string", trust = "boolean" }

--- Is the text safe to repeat in headers and logs? At most 128 letters, digits and -_.:/+=@
local function is_sane(text)
  return #text <= 128 and text:find("^[%w%-_.:/+=@]+$") ~= nil
end

--- web.request_id([opts]): middleware that gives each request an id, found in req.id, in a response
-- header and in the access log. Options: `header`, the header's name (X-Request-Id); `trust`, whether a
-- safe id that a client sends in that header is kept (true), or each request gets a new one.
function M.request_id(opts)
  opts = check_options(opts, OPTIONS, "ml.web.request_id")
  local header, trust = opts.header or "X-Request-Id", opts.trust ~= false
  if not header:find(TOKEN) then
    fail("option 'header' of ml.web.request_id is not a header name: " .. header)
  end
  return function(req, next)
    local id = trust and req.headers[header]
    if not id or not is_sane(id) then id = core.new_id() end
    req.id = id
    core.log_id(id)
    local res = own_response(next(req))
    res.headers[header] = id
    return res
  end
end

return M
