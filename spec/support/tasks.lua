--- What the specs of tasks share.
local ml = require "moonloop"

local M = {}

local PATIENCE = 100 -- seconds: longer than anything in the specs takes, on a machine that is stopped now and then

--- The specs' unit of time, in seconds: long enough that times of different length end in order.
M.UNIT = 0.02

--- Spawns f with these arguments and lets it run to its first wait; gives the task.
function M.started(f, ...)
  local task = ml.spawn(f, ...)
  ml.sleep(0)
  return task
end

--- How often another task runs during f(...), and what that returns.
function M.turns_during(f, ...)
  local turns, over = 0, false
  local other = M.started(function()
    while not over do
      turns = turns + 1
      ml.sleep(0)
    end
  end)
  local before = turns
  local results = table.pack(f(...))
  local during = turns - before
  over = true
  other:await()
  return during, table.unpack(results, 1, results.n)
end

-- What may be made in one go, in kB.
local MOST_AT_ONCE = 1500

--- f(...), which makes many values, during which other tasks run often enough: between two turns of theirs little
-- memory is taken.
function M.in_steps(f, ...)
  collectgarbage()
  collectgarbage "stop"
  local _ <close> = M.closing(function() collectgarbage "restart" end)
  local over, most, last = false, 0, collectgarbage "count"
  local before = last
  local function look()
    local now = collectgarbage "count"
    most, last = math.max(most, now - last), now
  end
  local other = M.started(function()
    while not over do
      look()
      ml.sleep(0)
    end
  end)
  local results = table.pack(f(...))
  look()
  over = true
  other:await()
  assert(last - before > 3 * MOST_AT_ONCE, ("only %.0f kB were made"):format(last - before))
  assert(most < MOST_AT_ONCE, ("%.0f kB were made in one go"):format(most))
  return table.unpack(results, 1, results.n)
end

--- A task of f(...), which makes many values in steps: some of them are made.
function M.half_made(f, ...)
  collectgarbage()
  collectgarbage "stop"
  local _ <close> = M.closing(function() collectgarbage "restart" end)
  local before = collectgarbage "count"
  local task = M.started(f, ...)
  while collectgarbage "count" - before < MOST_AT_ONCE do ml.sleep(0) end
  assert(task:status() == "suspended", task:status())
  return task
end

--- How a task ends: true and its results, or false and what it raised.
function M.await(task) return pcall(task.await, task) end

--- A value for a to-be-closed variable, whose __close calls f.
function M.closing(f) return setmetatable({}, { __close = f }) end

--- Waits until `condition()` is true; an error when that takes longer than anything should.
function M.eventually(condition)
  local came = ml.timeout(PATIENCE, function()
    while not condition() do ml.sleep(0.002) end
    return true
  end)
  assert(came, "it never came true")
end

--- A function that gives these values after so many units.
function M.after(units, ...)
  local values = table.pack(...)
  return function()
    ml.sleep(units * M.UNIT)
    return table.unpack(values, 1, values.n)
  end
end

return M
