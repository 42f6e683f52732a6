--- ml.gather: runs several things at once and waits for all of them.
local core = require "moonloop.core"

local is_callable, is_task = core.is_callable, core.is_task

--- Is `item` a function, a `{f, arg, ...}` list, or a task?
local function is_item(item)
  return is_task(item) or is_callable(item) or (type(item) == "table" and is_callable(item[1]))
end

local function is_list(value)
  return type(value) == "table" and not is_callable(value)
end

--- Reads gather's arguments: items, their count, options, and whether they came as a list.
local function arguments(...)
  local count = select("#", ...)
  local first, second = ...
  local options = count == 2 and type(second) == "table" and second[1] == nil
    and not is_callable(second)
  if is_list(first) and (count == 1 or options) then
    return first, first.n or #first, options and second or {}, true
  end
  return { ... }, count, {}, false
end

local known_options = { return_errors = true }

local function check(items, count, options)
  for name in pairs(options) do
    if not known_options[name] then
      error(("ml.gather: unknown option '%s'"):format(tostring(name)), 4)
    end
  end
  for i = 1, count do
    if not is_item(items[i]) then
      error(("ml.gather: item %d is a %s; expected a function, a {function, arguments...} list or a task")
        :format(i, type(items[i])), 4)
    end
  end
end

--- Starts what is not a task already. Returns the tasks, and which of them are ours to cancel.
local function start(items, count)
  local tasks, owned = {}, {}
  for i = 1, count do
    local item = items[i]
    if is_task(item) then
      tasks[i], owned[i] = item, false
    elseif is_callable(item) then
      tasks[i], owned[i] = core.spawn_for(3, item), true
    else
      tasks[i], owned[i] = core.spawn_for(3, table.unpack(item, 1, item.n or #item)), true
    end
  end
  return tasks, owned
end

--- What stands in the slot of a failed item: an error object, made where something else was raised.
local function as_error(value, traceback)
  if core.is_error(value) then return value end
  return core.error { kind = "error", message = tostring(value), value = value, traceback = traceback }
end

local function collect(tasks, count)
  local results = { n = count }
  for i = 1, count do
    local ok, value, traceback = core.outcome(tasks[i])
    if ok then results[i] = value else results[i] = as_error(value, traceback) end
  end
  return results
end

--- gather(f, g, ...) -> a, b, ...    gather(list [, {return_errors = true}]) -> results
-- Runs all items at once and waits for them. One value an item, in argument order. The first
-- failure (an error, or `nil, err` returned) cancels the items that gather started, waits for their
-- clean-up, and is raised. With return_errors it waits for all, and a failed item's slot holds an
-- error object whose `value` is what was raised. Cancelling the caller cancels what it started.
local function gather(...)
  local items, count, options, as_list = arguments(...)
  check(items, count, options)
  if count == 0 then
    if as_list then return { n = 0 } end
    return
  end
  core.checkpoint("ml.gather")
  local tasks, owned = start(items, count)
  local failed = core.join(tasks, count, not options.return_errors, owned)
  if options.return_errors then return collect(tasks, count) end
  if failed then
    local _, err = tasks[failed]:await() -- raises what the task raised, with its traceback
    error(err, 0)                        -- or it returned nil and an error
  end
  local results = core.first_results(tasks, count)
  if as_list then return results end
  return table.unpack(results, 1, count)
end

return gather
