-- Random operations on pools, against what has to hold whatever happens. A run prints its seed where
-- it fails; EXECUTOR_SEED repeats it, EXECUTOR_STEPS makes it longer.
local ml = require "moonloop"

local LONG = 240 -- seconds for one run: under TSan on a busy machine it takes 20

--- What jobs do.
local JOBS = {
  value = function(n) return n end,
  error = function(n) error { n = n } end,
  sleep = function(n)
    ml.sleep(n % 5 / 1000)
    return n
  end,
  hog = function()
    while true do pcall(function() end) end
  end,
  stuck = function() ml.sleep(1000) end,
  memory = function()
    local list = {}
    while true do list[#list + 1] = ("x"):rep(1000) .. #list end
  end,
  progress = function(n)
    local job = ml.executor.current()
    for i = 1, n % 150 do job:progress(i) end
    return n
  end,
}
local ENDLESS = { hog = true, stuck = true }
local NAMES = { "value", "value", "value", "error", "sleep", "hog", "stuck", "memory", "progress", "progress" }

--- Random numbers of its own, so that nothing else changes the run.
local function generator(seed)
  local state = seed
  return function(n)
    state = (state * 6364136223846793005 + 1442695040888963407)
    return (state >> 33) % n + 1
  end
end

--- Runs one job through, in one of the ways to call it, and says how it ended.
local function one_job(pool, random, n, tally)
  local name, way = NAMES[random(#NAMES)], random(4)
  local reads, leaves = random(2) == 1, random(150)
  local call
  local task = ml.spawn(function()
    if way == 1 then return pool:run(JOBS[name], n) end
    call = way == 2 and pool:start({ JOBS[name], n, cpu = 50 }) or pool:start(JOBS[name], n)
    local expected = 1
    if reads then
      for v in call:progress() do
        assert(v == expected, "progress in another order")
        expected = expected + 1
        if expected > leaves then break end
      end
      if name == "progress" and expected <= leaves then
        assert(expected == n % 150 + 1, "progress was lost")
      end
    end
    return call:await()
  end)
  local cancels = ENDLESS[name] or random(4) == 1
  if cancels then
    ml.sleep(random(8) / 1000)
    if ENDLESS[name] or random(2) == 1 then task:cancel() end
  end
  local ok, value = pcall(task.await, task)
  local status = task:status()
  if call then pcall(call.await, call) end -- its job may have failed before the task was cancelled
  if status == "cancelled" then
    tally.cancelled = tally.cancelled + 1
  elseif name == "error" then
    assert(not ok and value.n == n, "another error")
  elseif name == "memory" then
    assert(not ok and value.kind == "memory", tostring(value))
  else
    assert(ok and value == n, tostring(value))
  end
  tally.ended = tally.ended + 1
end

local function run(seed, steps)
  local random = generator(seed)
  local tally = { ended = 0, cancelled = 0 }
  local pool = ml.executor.new {
    threads = random(3), max_threads = 2 + random(3), idle_timeout = random(20) / 1000,
    queue = random(8), max_jobs = random(20), max_memory = 4 << 20,
    init = random(2) == 1 and function() ready = true end or nil, -- luacheck: ignore
  }
  local workers = {}
  for w = 1, 8 do
    workers[w] = function()
      for n = 1, steps // 8 do one_job(pool, random, n, tally) end
    end
  end
  ml.gather(workers)
  pool:close()
  local stats = pool:stats()
  assert(tally.ended == steps // 8 * 8)
  assert(stats.queued == 0 and stats.running == 0, "jobs are left")
  -- A task that was cancelled before its job came to the pool is not the pool's.
  local accounted = stats.done + stats.failed + stats.cancelled
  assert(accounted <= tally.ended and accounted >= tally.ended - tally.cancelled, "jobs were lost")
  local jobs = 0
  for _, worker in ipairs(stats.workers) do jobs = jobs + worker.jobs end
  assert(jobs >= stats.done + stats.failed and jobs <= accounted, "workers count other jobs")
end

describe("a pool under random operations", function()
  local steps = tonumber(os.getenv "EXECUTOR_STEPS") or 240
  local fixed = math.tointeger(tonumber(os.getenv "EXECUTOR_SEED"))
  for i = 1, fixed and 1 or 4 do
    it("loses nothing, run " .. i, function()
      local seed = fixed or math.random(1 << 30)
      local finished, err = ml.catch(function()
        return assert(ml.timeout(LONG, function()
          run(seed, steps)
          return true
        end))
      end)
      if not finished then error(("EXECUTOR_SEED=%d: %s"):format(seed, tostring(err)), 0) end
    end)
  end
end)
