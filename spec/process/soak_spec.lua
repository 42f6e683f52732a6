-- A short run of spec/soak/processes.lua, which counts all children of its process.
local process = require "spec.support.process"
local support = require "spec.support"

it("programs that end in every way leave no process and no descriptor", { timeout = 400 }, function()
  local seed = math.tointeger(tonumber(os.getenv("MOONLOOP_SEED") or math.random(1, 2 ^ 31 - 1)))
  local output, status = process.sh(("%s run --block-limit 0 spec/soak/processes.lua 120 10 %d"):format(support.binary,
    seed))
  assert.equal(0, status, ("MOONLOOP_SEED=%d repeats it\n%s"):format(seed, output))
end)
