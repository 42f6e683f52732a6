-- host/net/lookup.c: name servers that are silent, and the line in front of them. The steps are those
-- of spec/support/lookup.c.
local binary = require("spec.support").binary
local process = require "spec.support.process"

local program = process.quote(binary:match("^(.*)/[^/]+$") .. "/spec/lookup")

--- Goes through the steps and closes the runtime. Gives what was asked, in order; what ended, in
-- order, as "K STATUS"; and all lines.
local function go(steps)
  if not steps:find(".", 1, true) then steps = steps .. " ." end
  local quoted = steps:gsub("%S+", function(step) return process.quote(step) end)
  local output, status = process.sh(("timeout 300 %s %s"):format(program, quoted))
  assert.equal(0, status, output)
  local asked, over = {}, {}
  for line in output:gmatch("[^\n]+") do
    asked[#asked + 1] = line:match "^asked (.*)"
    over[#over + 1] = line:match "^over (.*)"
  end
  assert.matches("closed 0\n", output)
  return asked, over, output
end

local function most(output) return tonumber(output:match "most (%d+)") end

describe("look-ups", function()
  it("of one name at the same time share one question, and end together", function()
    local asked, over = go "+a +a +b +a =2 !a @1 @2 @4 !b @3"
    table.sort(asked)
    assert.same({ "a", "b" }, asked)
    assert.same({ "1 EAI_NONAME", "2 EAI_NONAME", "4 EAI_NONAME", "3 EAI_NONAME" }, over)
  end)

  it("are asked again once the name has been answered", function()
    local asked, over = go "+a !a @1 +a @2"
    assert.same({ "a", "a" }, asked)
    assert.equal(2, #over)
    asked, over = go "*a +a !a @2" -- by who is told
    assert.same({ "a", "a" }, asked)
    assert.equal(2, #over)
  end)

  it("of silent name servers are 32 at a time, the others wait in line", function()
    local asked, over, output = go "40+n =32 !n7 @7 =33 !n33 @33 =34"
    assert.equal(32, most(output))
    assert.same({ "n33", "n34" }, { asked[33], asked[34] })
    assert.same({ "7 EAI_NONAME", "33 EAI_NONAME" }, over)
  end)

  it("that are abandoned count until they have ended: others do not take their place", function()
    local steps = { "32+n =32" }
    for k = 1, 32 do steps[#steps + 1] = "-" .. k end
    local asked, over, output = go(table.concat(steps, " ") .. " +x !x !n5 @33")
    assert.equal(32, most(output))
    assert.equal("x", asked[33])
    assert.same({ "33 EAI_NONAME" }, over)
  end)

  it("that are abandoned in line leave it at once", function()
    local asked = go "32+n =32 +x +y +x -33 -35 !n1 =33"
    assert.equal("y", asked[33])
  end)

  it("in line stay there for listeners that have not abandoned them", function()
    local asked, over = go "32+n =32 +x +x -33 !n1 !x @34"
    assert.equal("x", asked[33])
    assert.same({ "1 EAI_NONAME", "34 EAI_NONAME" }, over)
  end)

  it("join an abandoned one for the same name that is still under way", function()
    local asked, over = go "+a =1 -1 +a !a @2"
    assert.same({ "a" }, asked)
    assert.same({ "2 EAI_NONAME" }, over)
  end)

  it("do not keep a runtime from closing, however they end afterwards", function()
    local asked, over, output = go "40+n =32 . !n1 -1 -2 -40 !n2"
    assert.equal(32, #asked)
    assert.same({}, over)
    assert.equal(32, most(output))
  end)
end)
