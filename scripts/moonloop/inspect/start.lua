--- `--inspect` of serve and work: starts the inspector of this process. It runs beside the loop, on a thread with a
-- loop of its own, so that its page works, and says why, while the loop is held up.
local inspect = require "moonloop.inspect"
local json = require "moonloop.json"
local ml = require "moonloop"
local own_routes = require "moonloop.web.route_list".own
local queues = require "moonloop.inspect.queues".run
local supervised = require "moonloop.supervised"

local M = {}

--- Runs on the thread.
local function run(options) return require "moonloop.inspect.server"(options) end

--- The routes of an app, as the page lists them; none where nothing is served.
local function list_routes(app)
  local list = {}
  for i, one in ipairs(app and own_routes(app) or {}) do
    list[i] = { method = one.route.method, path = one.path, place = one.route.site }
  end
  return list
end

--- start(file, app, version) -> where its page is | nil: it was not asked for. `app` is nil where none is served.
function M.start(file, app, version)
  local descriptor, where, token = supervised.inspector()
  if not descriptor then return end
  local pid, parent = inspect.processes()
  local worker = supervised.number()
  local options = { descriptor = descriptor, token = token, where = where:match "^[^#]*", pid = pid,
    supervisor = worker and parent or nil, file = file, version = version,
    routes = json.encode(json.array(list_routes(app))) }
  local task = ml.spawn(function()
    if not worker or worker == 1 then inspect.hide(ml.spawn(queues)) end -- all workers have the same
    local pool <close> = ml.executor.new { threads = 1, max_threads = 1 }
    require "moonloop.executor.core".hide(pool)
    pool:run(run, options)
  end)
  inspect.hide(task)
  return where
end

return M
