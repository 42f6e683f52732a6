--- `app:health`: the route where probes ask whether to send clients here.
local core = require "moonloop.web.core"

local M = {}

local HEADERS = { ["Cache-Control"] = "no-store" }

--- The handler while the app is served.
function M.answer()
  if core.is_stopping() then return { status = "stopping" }, 503, HEADERS end
  return { status = "ok" }, 200, HEADERS
end

--- The handler while the functions of app:on_start run.
function M.answer_starting() return { status = "starting" }, 503, HEADERS end

--- The answer to everything else meanwhile.
function M.refuse() return { detail = core.reason(503) }, 503, { ["Retry-After"] = "1" } end

return M
