-- A short run of spec/soak/dependencies.lua, which reports errors that are meant: a process of its own.
local process = require "spec.support.process"
local support = require "spec.support"

it("dependencies and sessions of requests that end in every way leave nothing", { timeout = 400 }, function()
  local seed = math.tointeger(tonumber(os.getenv("MOONLOOP_SEED") or math.random(1, 2 ^ 31 - 1)))
  local output, status = process.sh(("%s run --block-limit 0 spec/soak/dependencies.lua 2 %d"):format(support.binary,
    seed))
  assert.equal(0, status, ("MOONLOOP_SEED=%d repeats it\n%s"):format(seed, output))
end)
