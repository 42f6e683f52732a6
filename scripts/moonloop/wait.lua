--- ml.wait and ml.as_completed: watching tasks without owning them.
local core = require "moonloop.core"

local wait = {}

local function check_tasks(name, tasks)
  if type(tasks) ~= "table" then
    error(("bad argument #1 to '%s' (a list of tasks expected, got %s)"):format(name, type(tasks)), 3)
  end
  local count = tasks.n or #tasks
  for i = 1, count do
    if not core.is_task(tasks[i]) then
      error(("%s: item %d is a %s, not a task"):format(name, i, type(tasks[i])), 3)
    end
  end
  return count
end

local modes = { all = true, first = true, error = true }
local known_options = { mode = true, timeout = true }

--- wait(tasks [, {mode = "first" | "error" | "all", timeout = seconds}]) -> done, pending
-- Waits until all have ended, or the first, or the first failure, or the time is over. Cancels
-- nothing and raises none of their errors; both lists are in the order of `tasks`.
function wait.wait(tasks, options)
  local count = check_tasks("ml.wait", tasks)
  options = options or {}
  for option in pairs(options) do
    if not known_options[option] then
      error(("ml.wait: unknown option '%s'"):format(tostring(option)), 2)
    end
  end
  local mode = options.mode or "all"
  if not modes[mode] then error(("ml.wait: unknown mode '%s'"):format(tostring(mode)), 2) end
  core.checkpoint("ml.wait")
  if count > 0 then core.timeout(options.timeout, core.join, tasks, count, mode) end
  local done, pending = {}, {}
  for i = 1, count do
    local list = core.has_ended(tasks[i]) and done or pending
    list[#list + 1] = tasks[i]
  end
  return done, pending
end

--- as_completed(tasks): for task in ml.as_completed(tasks) do ... end, in the order they end
function wait.as_completed(tasks)
  local count = check_tasks("ml.as_completed", tasks)
  local completions = core.completions(tasks, count)
  return function()
    local index = completions:next()
    return index and tasks[index]
  end
end

return wait
