--- The arguments of the combinators (gather, race, any, map), which all take the same.
-- An item is a function, a `{f, arg, ...}` list, or a task.
local core = require "moonloop.core"
local check_options = require "moonloop.core.options".check

local is_callable, is_task = core.is_callable, core.is_task

local items = {}

local function is_item(item)
  return is_task(item) or is_callable(item) or (type(item) == "table" and is_callable(item[1]))
end

local function is_list(value)
  return type(value) == "table" and not is_callable(value)
end

--- Reads `name`'s arguments (item, item, ...) or (list [, options]).
-- Returns the items, their count, and the options.
function items.arguments(name, known_options, ...)
  local count = select("#", ...)
  local first, second = ...
  local with_options = count == 2 and type(second) == "table" and second[1] == nil
    and not is_callable(second)
  local list, options = { ... }, {}
  if is_list(first) and (count == 1 or with_options) then
    list, count, options = first, first.n or #first, with_options and second or {}
  end
  check_options(options, known_options, name)
  for i = 1, count do
    if not is_item(list[i]) then
      core.bad_item(name, i, list[i])
    end
  end
  return list, count, options
end

--- Starts each item that is not a task yet. Returns the tasks, and which of them were started here.
-- The place where they are spawned is `level` levels up, counted from here: 3 is the caller of the
-- function that calls this one.
function items.start(list, count, level)
  local tasks, owned = {}, {}
  for i = 1, count do
    local item = list[i]
    if is_task(item) then
      tasks[i], owned[i] = item, false
    else
      tasks[i], owned[i] = core.spawn_for(level, item), true
    end
  end
  return tasks, owned
end

--- Raises the failure of the ended task, or returns all its results.
function items.outcome(task)
  local results = table.pack(task:await())
  if results[1] == nil and results[2] ~= nil then error(results[2], 0) end
  return table.unpack(results, 1, results.n)
end

return items
