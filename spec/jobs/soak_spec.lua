-- A short run of spec/soak/jobs.lua; MOONLOOP_SEED=n repeats the one with that seed. In a process of its own, whose
-- time of day no virtual clock has moved: workers of other processes would wait for a day that is not there yet.
local process = require "spec.support.process"
local support = require "spec.support"

describe("jobs whose workers and database are killed at random moments", { timeout = 400 }, function()
  it("are not lost, not stuck, and run again only where something was killed", function()
    local seed = math.tointeger(tonumber(os.getenv("MOONLOOP_SEED") or math.random(1, 2 ^ 31 - 1)))
    local output, status = process.sh(("%s run --block-limit 0 spec/soak/jobs.lua 120 %d"):format(support.binary, seed))
    assert.equal(0, status, ("MOONLOOP_SEED=%d repeats it\n%s"):format(seed, output))
  end)
end)
