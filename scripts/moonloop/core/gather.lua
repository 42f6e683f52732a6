--- ml.gather: runs several things at once and waits for all of them.
local core = require "moonloop.core"
local items = require "moonloop.core.items"

--- What the slot of a failed item holds: an error object, which wraps any other value that was raised.
local function as_error(value, traceback)
  if core.is_error(value) then return value end
  return core.error { kind = "error", message = core.error_text(value), value = value, traceback = traceback }
end

local function collect(tasks, count)
  local results = core.counted { n = count }
  for i = 1, count do
    local ok, value, traceback = core.outcome(tasks[i])
    if ok then results[i] = value else results[i] = as_error(value, traceback) end
  end
  return results
end

-- Called by gather: its caller is one level further up than items.lua takes it to be.
local function gather_list(...)
  local list, count, options = items.arguments("ml.gather", { return_errors = "boolean" }, ...)
  if count == 0 then return core.counted { n = 0 } end
  core.checkpoint("ml.gather")
  local tasks, owned = items.start(list, count, 4)
  local failed = core.join(tasks, count, options.return_errors and "all" or "error", owned)
  if options.return_errors then return collect(tasks, count) end
  if failed then return items.outcome(tasks[failed]) end
  return core.first_results(tasks, count)
end

--- gather(f, g, ...) -> a, b, ...    gather(list [, {return_errors = true}]) -> results
-- Runs all items at once and waits for them. Gives one value per item, in argument order. The first
-- failure (an error, or `nil, err` returned) cancels the items that gather started, waits for their
-- clean-up, and is raised. With return_errors it waits for all, and a failed item's slot holds an
-- error object whose `value` is what was raised. Cancelling the caller cancels what it started.
return core.make_gather(gather_list)
