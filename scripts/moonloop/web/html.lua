--- `ml.web.html`.
local core = require "moonloop.web.core"
local fail = require "moonloop.core".fail
local response = require "moonloop.web.response"

local M = {}

local TYPE = "text/html; charset=utf-8"
local HEADERS = { ["Content-Type"] = TYPE } -- never changed: a response copies its headers when they are asked for

--- web.html(text [, status = 200 [, headers]]) -> response: a page. `headers` is as a handler returns them;
-- a Content-Type in it is kept.
function M.html(text, status, headers)
  if type(text) ~= "string" then
    fail("bad argument #1 to 'ml.web.html' (string expected, got " .. type(text) .. ")")
  end
  if status ~= nil and (math.type(status) ~= "integer" or status < 200 or status > 599) then
    fail("bad argument #2 to 'ml.web.html' (a status from 200 to 599 expected)")
  end
  if headers ~= nil and type(headers) ~= "table" then
    fail("bad argument #3 to 'ml.web.html' (a table of headers expected, got " .. type(headers) .. ")")
  end
  if headers then
    headers = core.headers(headers)
    headers["Content-Type"] = headers["Content-Type"] or TYPE
  end
  return response.new { status = status, body = text, headers = headers or HEADERS }
end

return M
