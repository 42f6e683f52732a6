--- `app:metrics`: the route where Prometheus and its like collect the metrics. As `--metrics`, it answers nobody who
-- was led here by a name of somebody else's (DNS rebinding): a page in a browser of this network might ask.
local core = require "moonloop.metrics.core"
local metrics = require "moonloop.metrics"
local net = require "moonloop.net.core"
local options = require "moonloop.core.options"
local response = require "moonloop.web.response"

local M = {}

local function wrong_hosts(list)
  local expected = 'a list of names such as "metrics.example", without a port'
  if type(list) ~= "table" then return expected end
  for i = 1, #list do
    if type(list[i]) ~= "string" or not list[i]:find "^[%w._-]+$" then return expected end
  end
end

local KNOWN = { hosts = wrong_hosts }

local WHY = "the Host is not known to be this machine: ask by its address, or put it into the option 'hosts' of "
  .. "app:metrics"

-- The answer to what comes from elsewhere, or nil.
local function refusal(req, hosts)
  if req.headers.origin then
    return { detail = "a request of a page (Origin) is not answered here" }, 403
  end
  if not net.is_own_host(req.host, hosts) then return { detail = WHY }, 421 end
end

--- The handler. From now on the host's own metrics are kept. `opts`: hosts, names by which clients may ask.
function M.handler(opts)
  local hosts = options.check(opts, KNOWN, "app:metrics").hosts or {}
  core.observe()
  return function(req)
    local refused, status = refusal(req, hosts)
    if refused then return refused, status end
    local text, type = metrics.text(req.headers.accept)
    return response.new { body = text, headers = { ["Content-Type"] = type, ["Cache-Control"] = "no-store",
      Vary = "Accept" } }
  end
end

return M
