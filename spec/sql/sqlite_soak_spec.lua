-- A short run of spec/soak/sqlite.lua. MOONLOOP_SEED=n repeats the run that printed n, MOONLOOP_CANCELS=n
-- makes it longer.
describe("SQLite statements that are broken off at random moments", function()
  it("give no answer to the wrong task, commit nothing by halves and leave no lock", function()
    local soak = require "spec.soak.sqlite"
    local seed = math.tointeger(tonumber(os.getenv("MOONLOOP_SEED") or math.random(1, 2 ^ 31 - 1)))
    local count = math.tointeger(tonumber(os.getenv("MOONLOOP_CANCELS") or 150))
    local message = ("sqlite soak: seed %d (MOONLOOP_SEED=%d repeats it)"):format(seed, seed)
    io.stderr:write(message, "\n")
    local ok, err = pcall(soak.run, count, seed)
    assert(ok, message .. "\n" .. tostring(err))
  end)
end)
