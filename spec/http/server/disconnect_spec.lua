-- Short runs of spec/soak/disconnect.lua. MOONLOOP_SEED=n repeats the run that printed n.
local soak = require "spec.soak.disconnect"
local tls = require "spec.support.tls"

describe("clients that go away at any moment", function()
  local function run(o)
    local seed = math.tointeger(tonumber(os.getenv("MOONLOOP_SEED") or math.random(1, 2 ^ 31 - 1)))
    local message = ("disconnect soak: seed %d (MOONLOOP_SEED=%d repeats it)"):format(seed, seed)
    io.stderr:write(message, "\n")
    local done, problem = soak.run(1500, 100, seed, o)
    assert(done, message .. "\n" .. tostring(problem))
  end

  it("leave no connection, no handler, no task and no descriptor", function() run {} end)

  it("leave none where half of them speak HTTP/2", function() run { http2 = true } end)

  for _, http2 in ipairs { false, true } do
    it("leave none with TLS" .. (http2 and " and HTTP/2" or ""), function()
      if not tls.is_there() then return pending "openssl is not installed" end
      local folder <close> = tls.certificates { one = { signer = "self" } }
      run { cert = folder.one, http2 = http2 }
    end)
  end
end)
