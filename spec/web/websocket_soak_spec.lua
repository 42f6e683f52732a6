-- A short run of spec/soak/websockets.lua. MOONLOOP_SEED=n repeats the run that printed n.
local keep_reports = require("spec.support").keep_reports
local soak = require "spec.soak.websockets"
local tls = require "spec.support.tls"

describe("WebSockets that come and go at random points", function()
  local function run(cert)
    local seed = tonumber(os.getenv "MOONLOOP_SEED") or os.time()
    local reports <close> = keep_reports() -- luacheck: ignore
    local ok, text = soak.run(300, 30, seed, cert)
    assert(ok, ("seed %d: %s"):format(seed, text))
  end

  it("leave nothing", function() run() end)

  it("leave nothing with TLS", function()
    if not tls.is_there() then return pending "openssl is not installed" end
    local folder <close> = tls.certificates { one = { signer = "self" } }
    run(folder.one)
  end)
end)
