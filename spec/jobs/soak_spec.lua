-- A short run of spec/soak/jobs.lua. MOONLOOP_SEED=n repeats the run that printed n.
describe("jobs whose workers and database are killed at random moments", { timeout = 300 }, function()
  it("are not lost, not stuck, and run again only where something was killed", function()
    local soak = require "spec.soak.jobs"
    local seed = math.tointeger(tonumber(os.getenv("MOONLOOP_SEED") or math.random(1, 2 ^ 31 - 1)))
    local message = ("jobs soak: seed %d (MOONLOOP_SEED=%d repeats it)"):format(seed, seed)
    io.stderr:write(message, "\n")
    local ok, err = pcall(soak.run, 120, seed, function(text)
      if text:find "not installed" then io.stderr:write(text, "\n") end
    end)
    assert(ok, message .. "\n" .. tostring(err))
  end)
end)
