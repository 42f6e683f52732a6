-- A short run of spec/soak/disconnect.lua. MOONLOOP_SEED=n repeats the run that printed n.
local soak = require "spec.soak.disconnect"

describe("clients that go away at any moment", function()
  it("leave no connection, no handler, no task and no descriptor", function()
    local seed = math.tointeger(tonumber(os.getenv("MOONLOOP_SEED") or math.random(1, 2 ^ 31 - 1)))
    local message = ("disconnect soak: seed %d (MOONLOOP_SEED=%d repeats it)"):format(seed, seed)
    io.stderr:write(message, "\n")
    local done, problem = soak.run(1500, 100, seed)
    assert(done, message .. "\n" .. tostring(problem))
  end)
end)
