-- host/net/dial.c: the addresses of a host are tried in turn, as RFC 8305 has it. spec/support/dial.c
-- plays the addresses: a answers, h never does, l does so late, r refuses, u cannot be reached; IPv6
-- ones are in capitals.
local binary = require("spec.support").binary
local process = require "spec.support.process"

local program = process.quote(binary:match("^(.*)/[^/]+$") .. "/spec/dial")

--- Dials: the letters in the order they were tried, the milliseconds before each, and how it ended. With
-- `attempts` it is cancelled when there have been so many. Nothing but the connection is left open.
local function dial(letters, attempts)
  local output, status = process.sh(("timeout 300 %s %s %s"):format(program, letters, attempts or ""))
  assert.equal(0, status, output)
  local order, waits = "", {}
  for line in output:gmatch("[^\n]+") do
    local letter, ms = line:match("^(%a) (%d+)$")
    order = order .. (letter or "")
    waits[#waits + 1] = tonumber(ms)
  end
  assert.matches("open 0\n$", output)
  return order, waits, output:match("\n([^\n]+)\nopen 0\n$")
end

describe("the addresses of a host", function()
  it("are tried one after the other, each 250 ms after one that says nothing", function()
    local order, waits, result = dial "hhaa"
    assert.same({ "hha", "connected a" }, { order, result })
    assert.is_true(waits[2] >= 250 and waits[3] >= 250)
  end)

  it("are tried at once if the one before is refused", function()
    local order, waits, result = dial "rrrrrrrrrrrrrrra"
    assert.same({ "rrrrrrrrrrrrrrra", "connected a" }, { order, result })
    local late = 0 -- a machine that stands still makes one or another late
    for _, ms in ipairs(waits) do late = late + (ms >= 250 and 1 or 0) end
    assert.is_true(late < #waits // 2)
  end)

  it("are not abandoned when the next is tried: the first that answers is taken", function()
    local order, _, result = dial "lh"
    assert.same({ "lh", "connected l" }, { order, result })
  end)

  it("alternate by family, beginning with that of the first", function()
    assert.equal("Ha", (dial "HHHa"))
    assert.equal("hA", (dial "hhhA"))
    assert.equal("RrRrA", (dial "RRArrr"))
    assert.equal("rRrrr", (dial "rrrrR"))
  end)

  it("give the most informative error if none answers", function()
    for letters, error in pairs { r = "ECONNREFUSED", ur = "ECONNREFUSED", ru = "ECONNREFUSED", uu = "ENETUNREACH" } do
      local order, _, result = dial(letters)
      assert.same({ letters, error }, { order, result })
    end
  end)

  it("are sixteen at most", function()
    local order, _, result = dial "rrrrrrrrrrrrrrrra"
    assert.same({ ("r"):rep(16), "ECONNREFUSED" }, { order, result })
  end)

  it("are released when dialing is cancelled", function()
    for attempts = 1, 3 do
      local order, _, result = dial("hhhhhhhh", attempts)
      assert.same({ ("h"):rep(attempts), "ECANCELED" }, { order, result })
    end
  end)
end)
