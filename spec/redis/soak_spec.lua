-- A short run of spec/soak/redis.lua. MOONLOOP_SEED=n repeats the run that printed n.
local redis = require "spec.support.redis"

describe("Redis commands that are broken off at random moments", function()
  it("give no answer to the wrong task, leave no connection behind and hang nowhere", function()
    if redis.missing() then return pending(redis.missing()) end
    local soak = require "spec.soak.redis"
    local seed = math.tointeger(tonumber(os.getenv("MOONLOOP_SEED") or math.random(1, 2 ^ 31 - 1)))
    local message = ("redis soak: seed %d (MOONLOOP_SEED=%d repeats it)"):format(seed, seed)
    io.stderr:write(message, "\n")
    local ok, err = pcall(soak.run, 400, seed)
    assert(ok, message .. "\n" .. tostring(err))
  end)
end)
