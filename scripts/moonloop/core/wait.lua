--- ml.wait and ml.as_completed: watching tasks without owning them.
local core = require "moonloop.core"
local options = require "moonloop.core.options"

local fail = core.fail

local wait = {}

local function check_tasks(name, tasks)
  if type(tasks) ~= "table" then
    local given = core.is_task(tasks) and "one task: write {task}" or type(tasks)
    fail(("bad argument #1 to '%s' (a list of tasks expected, got %s)"):format(name, given))
  end
  local list, count = {}, tasks.n or #tasks -- a copy: the list may change during the wait
  for i = 1, count do
    local task = tasks[i]
    if not core.is_task(task) then
      fail(("%s: item %d is a %s, not a task (ml.spawn makes one)"):format(name, i, type(task)))
    end
    list[i] = task
  end
  return list, count
end

local modes = { all = true, first = true, error = true }
local OPTIONS = { mode = true, timeout = "number" }

--- wait(tasks [, {mode = "first" | "error" | "all", timeout = seconds}]) -> done, pending
-- Waits until all tasks have ended, or the first one, or the first failure, or until the time is over.
-- Cancels nothing and raises none of their errors. Both lists are in the order of `tasks`.
function wait.wait(tasks, opts)
  local list, count = check_tasks("ml.wait", tasks)
  opts = options.check(opts, OPTIONS, "ml.wait")
  local mode = opts.mode or "all"
  if not modes[mode] then fail(options.unknown(mode, modes, "ml.wait", "mode")) end
  core.checkpoint("ml.wait")
  if count > 0 then core.timeout(opts.timeout, core.join, list, count, mode) end
  local done, pending = {}, {}
  for i = 1, count do
    local of = core.told(list[i]) and done or pending
    of[#of + 1] = list[i]
  end
  return done, pending
end

--- as_completed(tasks): for task in ml.as_completed(tasks) do ... end, in the order they end
function wait.as_completed(tasks)
  local list, count = check_tasks("ml.as_completed", tasks)
  local completions = core.completions(list, count)
  local function next_task()
    local index = completions:next()
    return index and list[index]
  end
  return next_task, nil, nil, completions -- closed when the loop is left
end

return wait
