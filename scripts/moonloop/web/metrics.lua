--- `app:metrics`: the route where Prometheus and its like collect the metrics.
local core = require "moonloop.metrics.core"
local metrics = require "moonloop.metrics"
local response = require "moonloop.web.response"

local M = {}

--- From now on the host's own metrics are kept.
M.observe = core.observe

--- The handler.
function M.answer(req)
  local text, type = metrics.text(req.headers.accept)
  return response.new { body = text, headers = { ["Content-Type"] = type, ["Cache-Control"] = "no-store",
    Vary = "Accept" } }
end

return M
