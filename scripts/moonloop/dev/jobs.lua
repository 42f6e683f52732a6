--- Jobs in `moonloop dev`: it works for all that the app has made with ml.jobs.new, in all queues, unless the app
-- does so itself.
local M = {}

--- Starts the workers. Returns how many there are, and f(drain), which stops them.
function M.work()
  local workers = {}
  if package.loaded["moonloop.jobs"] then
    for _, jobs in ipairs(require "moonloop.jobs.made".all()) do
      if not jobs.is_worked then workers[#workers + 1] = require "moonloop.jobs.worker".work_all(jobs) end
    end
  end
  return #workers, function(drain) require "moonloop.jobs.made".stop(workers, drain) end
end

return M
