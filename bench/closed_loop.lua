-- What bench/redis.lua and bench/sql.lua share: tasks that ask again as soon as they were answered.
local ml = require "moonloop"

--- Seconds that the loop's thread was on a CPU.
local function loop_seconds()
  local file <close> = assert(io.open "/proc/thread-self/schedstat")
  return file:read "n" / 1e9
end

--- Does `f(i)` for i = 1 to `n` in this many tasks, after a tenth of that to warm up, and prints a line of JSON:
-- CPU time of the process and of the loop's thread for each operation in microseconds, and operations a second.
-- One call of `f` is `each` operations (1 by default).
return function(case, n, tasks, f, each)
  each = each or 1
  local total, begun
  local function worker()
    while begun < total do
      begun = begun + each
      f(begun)
    end
  end
  local workers = {}
  for i = 1, tasks do workers[i] = worker end
  local cpu, loop, wall
  for _, count in ipairs { n // 10 + 1, n } do
    total, begun = count, 0
    cpu, loop, wall = os.clock(), loop_seconds(), ml.now()
    ml.gather(workers)
    cpu, loop, wall = os.clock() - cpu, loop_seconds() - loop, ml.now() - wall
  end
  print(('{"driver":"moonloop","case":"%s-t%d","n":%d,"cpu_us":%.3f,"loop_us":%.3f,"ops":%.0f}'):format(
    case, tasks, begun, cpu / begun * 1e6, loop / begun * 1e6, begun / wall))
end
