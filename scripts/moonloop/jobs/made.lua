--- All that ml.jobs.new has made in this process, for those who work for all of them.
local gather = require "moonloop.core.gather"

local made = setmetatable({}, { __mode = "v" }) -- by number
local count = 0

local M = {}

function M.add(jobs)
  count = count + 1
  made[count] = jobs
end

--- In the order in which they were made.
function M.all()
  local list = {}
  for i = 1, count do list[#list + 1] = made[i] end
  return list
end

--- Stops workers of them, all at once: worker:stop(drain) of each.
function M.stop(workers, drain)
  local stops = {}
  for i, worker in ipairs(workers) do stops[i] = { worker.stop, worker, drain } end
  gather(stops)
end

return M
