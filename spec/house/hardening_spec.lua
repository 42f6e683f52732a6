-- What the release build does against the use of a fault (cmake/hardening.cmake), read off the program.
local process = require "spec.support.process"
local support = require "spec.support"

--- What readelf prints of the program.
local function read(options)
  local output, status = process.sh(("readelf %s %s"):format(options, process.quote(support.binary)))
  assert.equal(0, status, output)
  return output
end

describe("the release build", function()
  local is_release = support.binary:find("/release/", 1, true)

  it("is hardened", function()
    if not is_release then return pending "another build" end
    local headers = read "-lW"
    assert.matches("GNU_RELRO", headers)
    assert.matches("Elf file type is DYN", headers) -- at an address that nobody knows
    assert.matches("GNU_STACK[^\n]* RW ", headers)
    assert.matches("NOW", read "-dW")
  end)

  it("checks frames and copies", function()
    if not is_release then return pending "another build" end
    local symbols = read "--dyn-syms -W"
    assert.matches("__stack_chk_fail", symbols)
    assert.matches("__memcpy_chk", symbols)
  end)
end)
