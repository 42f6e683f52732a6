--- ml.executor.run inside a job: the function runs in the job's own worker.
--
-- A job that waits for another job of its pool keeps a thread busy, and a pool whose jobs all do that
-- has no thread left. A separate pool in each worker would compete for the same cores. So the function
-- runs here, as a child of the caller, with copies of its arguments as on another thread: code that
-- offloads behaves the same wherever it runs.
local check = require "moonloop.executor.check"
local core = require "moonloop.executor.core"
local tasks = require "moonloop.core"

--- run(f, ...) -> f's results    run{f, ..., cpu = seconds, slice = seconds}
local function run(...)
  check("ml.executor.run", ...)
  local task = tasks.spawn_for(2, core.copy("argument #", ...))
  return core.copy("result #", task:await())
end

return run
