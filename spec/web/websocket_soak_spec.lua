-- A short run of spec/soak/websockets.lua. MOONLOOP_SEED=n repeats the run that printed n.
local keep_reports = require("spec.support").keep_reports
local soak = require "spec.soak.websockets"

it("WebSockets that come and go at random points leave nothing", function()
  local seed = tonumber(os.getenv "MOONLOOP_SEED") or os.time()
  local reports <close> = keep_reports() -- luacheck: ignore
  local ok, text = soak.run(300, 30, seed)
  assert(ok, ("seed %d: %s"):format(seed, text))
end)
