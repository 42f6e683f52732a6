-- A short run of spec/soak/clients.lua. MOONLOOP_SEED=n repeats the run that printed n, MOONLOOP_CANCELS=n
-- makes it longer.
local soak = require "spec.soak.clients"

describe("requests, WebSockets and connections that are broken off at random moments", function()
  it("get no other's answer and leave no connection behind", function()
    local seed = math.tointeger(tonumber(os.getenv("MOONLOOP_SEED") or math.random(1, 2 ^ 31 - 1)))
    local count = math.tointeger(tonumber(os.getenv("MOONLOOP_CANCELS") or 150))
    local message = ("clients soak: seed %d (MOONLOOP_SEED=%d repeats it)"):format(seed, seed)
    io.stderr:write(message, "\n")
    local ok, err = pcall(soak.run, count, seed)
    assert(ok, message .. "\n" .. tostring(err))
  end)
end)
