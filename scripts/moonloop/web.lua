--- `moonloop.web`: applications whose handlers are plain functions of a request. The parts are in
-- web/*.lua; those that not every application needs are loaded when they are first asked for.
local core = require "moonloop.web.core"

local app = require "moonloop.web.app"
local response = require "moonloop.web.response"

local web = { app = app.new, is_app = app.is_app, response = response.new }

--- What else `moonloop.web` has, by the module that has a function of that name.
local PARTS = {
  events = "moonloop.web.events",
  cors = "moonloop.web.cors",
  listen = "moonloop.web.listen",
  request_id = "moonloop.web.request_id",
  compress = "moonloop.web.compress",
  file = "moonloop.web.files",
  redirect = "moonloop.web.redirect",
  signer = "moonloop.web.signer",
  token = "moonloop.web.signer",
}

--- web.abort(status [, detail]): ends the request with the status and {"detail": detail}. The
-- detail is any JSON value; without it, it is the name of the status.
function web.abort(status, detail)
  if math.type(status) ~= "integer" or status < 300 or status > 599 then
    error("bad argument #1 to 'abort' (a status from 300 to 599 expected)", 2)
  end
  if detail == nil then detail = core.reason(status) end
  error(core.abort(status, detail), 0)
end

core.on_file(function(req, res) return require "moonloop.web.files".finish(req, res) end)

return setmetatable(web, {
  __index = function(self, name)
    local part = PARTS[name]
    if not part then return nil end
    local value = require(part)[name]
    rawset(self, name, value)
    return value
  end,
})
