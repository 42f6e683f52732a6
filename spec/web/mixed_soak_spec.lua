-- A short run of spec/soak/mixed.lua. MOONLOOP_SEED=n repeats the run that printed n.
local soak = require "spec.soak.mixed"
local support = require "spec.support"
local tls = require "spec.support.tls"

describe("some seconds of mixed load", { timeout = 400 }, function()
  it("get right answers of every kind, and leave no task, no job and no descriptor", function()
    if not tls.is_there() then return pending "openssl is not installed" end
    local seed = math.tointeger(tonumber(os.getenv("MOONLOOP_SEED") or math.random(1, 2 ^ 31 - 1)))
    local reports <close> = support.keep_reports() -- luacheck: ignore
    local ok, text = soak.run(6, seed, function() end)
    assert(ok, ("MOONLOOP_SEED=%d repeats it\n%s"):format(seed, text))
  end)
end)
