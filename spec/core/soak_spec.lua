-- A short run of spec/soak/soak.lua. MOONLOOP_SEED=n repeats the run that printed n.
local soak = require "spec.soak.soak"

describe("random operations against the model", function()
  it("make no difference, leave nothing, hang nowhere", function()
    local seed = math.tointeger(tonumber(os.getenv("MOONLOOP_SEED") or math.random(1, 2 ^ 31 - 1)))
    local message = ("soak: seed %d (MOONLOOP_SEED=%d repeats it)"):format(seed, seed)
    io.stderr:write(message, "\n")
    local done, problem = soak.run(8000, seed)
    assert(done, message .. "\n" .. tostring(problem))
  end)
end)
