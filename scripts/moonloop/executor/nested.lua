--- ml.executor.run inside a job: the function runs in the job's own worker.
--
-- A job that waited for another of its pool would keep a thread from it, and a pool whose jobs all do
-- that has none left. A pool of each worker's own would compete for the same cores. So the function
-- runs here, as a child of the caller, with the copies that it would have on another thread: code that
-- offloads does the same wherever it runs.
local core = require "moonloop.executor.core"
local tasks = require "moonloop.core"

local function check(f, ...)
  if type(f) == "function" then return end
  if type(f) ~= "table" then
    error(("bad argument #1 to 'run' (function expected, got %s)"):format(type(f)), 3)
  elseif select("#", ...) > 0 then
    error("bad argument #2 to 'run' (the arguments belong into the list)", 3)
  end
end

--- run(f, ...) -> f's results    run{f, ..., cpu = seconds, slice = seconds}
local function run(...)
  check(...)
  local task = tasks.spawn_for(2, core.copy("argument #", ...))
  return core.copy("result #", task:await())
end

return run
