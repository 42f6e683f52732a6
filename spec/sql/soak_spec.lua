-- A short run of spec/soak/sql.lua. MOONLOOP_SEED=n repeats the run that printed n.
describe("SQL statements that are broken off at random moments", function()
  it("hit no others, get no other's answer, and leave no transaction and no lock behind", function()
    local soak = require "spec.soak.sql"
    local seed = math.tointeger(tonumber(os.getenv("MOONLOOP_SEED") or math.random(1, 2 ^ 31 - 1)))
    local message = ("sql soak: seed %d (MOONLOOP_SEED=%d repeats it)"):format(seed, seed)
    io.stderr:write(message, "\n")
    local ok, err = pcall(soak.run, 150, seed, function(text)
      if text:find "not installed" then io.stderr:write(text, "\n") end
    end)
    assert(ok, message .. "\n" .. tostring(err))
  end)
end)
