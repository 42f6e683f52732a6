-- CPU work on other cores. While the executor counts primes, this task's loop goes on ticking.
local ml = require "moonloop"

local function count_primes(from, to)
  local count = 0
  for n = math.max(from, 2), to do
    local prime = true
    for d = 2, math.floor(n ^ 0.5) do
      if n % d == 0 then prime = false break end
    end
    if prime then count = count + 1 end
  end
  return count
end

local ticks = 0
local ticker = ml.spawn(function()
  while true do
    ml.sleep(0.001)
    ticks = ticks + 1
  end
end)

-- Four jobs, as many at a time as the executor has threads.
local jobs = {}
for i = 1, 4 do
  jobs[i] = { ml.executor.run, count_primes, (i - 1) * 50000 + 1, i * 50000 }
end
local counts = ml.gather(jobs)
ticker:cancel()

print("primes up to 200,000: " .. counts[1] + counts[2] + counts[3] + counts[4])
print("the loop was free meanwhile: " .. tostring(ticks > 0))
