--- `moonloop.web`: applications whose handlers are plain functions of a request. The parts are in
-- web/*.lua; those that not every application needs are loaded on first use.
local core = require "moonloop.web.core"
local fail = require "moonloop.core".fail

local app = require "moonloop.web.app"
local response = require "moonloop.web.response"

local web = { app = app.new, is_app = app.is_app, response = response.new }

--- The other functions of `moonloop.web`, each with the module that defines it.
local PARTS = {
  escape = "moonloop.web.escape",
  events = "moonloop.web.events",
  cors = "moonloop.web.cors",
  dependency = "moonloop.web.dependency",
  listen = "moonloop.web.listen",
  load = "moonloop.web.load",
  request_id = "moonloop.web.request_id",
  compress = "moonloop.web.compress",
  detail = "moonloop.web.typed",
  file = "moonloop.web.files",
  html = "moonloop.web.html",
  hub = "moonloop.hub",
  page = "moonloop.web.templates",
  redirect = "moonloop.web.redirect",
  csrf = "moonloop.web.csrf",
  csrf_token = "moonloop.web.csrf",
  rate_limit = "moonloop.web.rate_limit",
  security = "moonloop.web.security",
  security_headers = "moonloop.web.security_headers",
  session = "moonloop.web.sessions",
  sessions = "moonloop.web.sessions",
  test = "moonloop.web.test",
  signer = "moonloop.web.signer",
  templates = "moonloop.web.templates",
  token = "moonloop.web.signer",
}

--- web.abort(status [, detail [, headers]]): ends the request with the status and {"detail": detail}.
-- The detail is any JSON value, by default the name of the status. `headers` is as in a response.
function web.abort(status, detail, headers)
  if math.type(status) ~= "integer" or status < 300 or status > 599 then
    local given = type(status) == "number" and tostring(status) or type(status)
    fail(("bad argument #1 to 'ml.web.abort' (a status from 300 to 599 expected, got %s)"):format(given))
  end
  if headers ~= nil and type(headers) ~= "table" then
    fail("bad argument #3 to 'ml.web.abort' (a table of headers expected, got " .. type(headers) .. ")")
  end
  if detail == nil then detail = core.reason(status) end
  error(core.abort(status, detail, headers), 0)
end

core.on_file(function(req, res) return require "moonloop.web.files".finish(req, res) end)

return setmetatable(web, {
  __names = PARTS, -- for the prompt
  __index = function(self, name)
    local part = PARTS[name]
    if not part then return nil end
    local value = require(part)[name]
    rawset(self, name, value)
    return value
  end,
})
