-- The examples, run as a reader would run them.
local support = require "spec.support"

--- Runs an example to its end: what it printed, errors included.
local function run(name, arguments)
  local command = ("%s scripts/examples/%s %s 2>&1"):format(support.binary, name, arguments or "")
  local pipe = assert(io.popen(command))
  local output = pipe:read("a")
  local ok = pipe:close()
  assert.is_true(ok, command .. " failed:\n" .. output)
  return output
end

describe("the example", function()
  it("fetch.lua gets the same answers one after the other and at once", function()
    local output = run "fetch.lua"
    assert.matches("one after the other: 1 2 3 in %d", output)
    assert.matches("at once: +1 2 3 in %d", output)
  end)

  it("gather_errors.lua shows the first failure, and each in its place", function()
    assert.equal([[
fail-fast:	false	cannot divide 1 by zero
job 1 gave 42
job 2 failed: cannot divide 1 by zero
job 3 gave 3
]], run "gather_errors.lua")
  end)

  it("background.lua works on while something else is done", function()
    local output = run "background.lua"
    assert.matches("^the report is pending\n  wrote page 1\n", output)
    assert.matches("meanwhile, something else; the report is suspended\n", output)
    assert.matches("the report has 3 pages and is done\n$", output)
  end)

  it("timeout.lua ends in time, and cleans up", function()
    assert.equal([[
  (the cup is put away)
tea, after 1 minutes
  (the cup is put away)
nil	timeout
]], run "timeout.lua")
  end)

  it("offload.lua counts on other cores while the loop is free", function()
    assert.equal([[
primes up to 200,000: 17984
the loop was free meanwhile: true
]], run "offload.lua")
  end)
end)
