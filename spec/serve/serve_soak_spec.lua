-- A short run of spec/soak/workers.lua. MOONLOOP_SEED=n repeats the run that printed n.
local soak = require "spec.soak.workers"

describe("worker processes under random events", function()
  it("answer every request that no killed process had, and end in order", function()
    local seed = math.tointeger(tonumber(os.getenv("MOONLOOP_SEED") or math.random(1, 2 ^ 31 - 1)))
    local message = ("workers soak: seed %d (MOONLOOP_SEED=%d repeats it)"):format(seed, seed)
    io.stderr:write(message, "\n")
    local done, problem = soak.run(20, seed)
    assert(done, message .. "\n" .. tostring(problem))
  end)
end)
