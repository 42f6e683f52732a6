-- The allocator of Lua's states while its memory is trimmed.
local sanitized = require("spec.support").sanitized
local blocks = require "blocks"

describe("the allocator", function()
  it("keeps what is in blocks that come and go between the steps of trimming", function()
    for seed = 1, sanitized and 1 or 3 do
      local wrong, trimmed = blocks.churn(seed, 20)
      assert.equal(0, wrong, "seed " .. seed)
      assert.is_true(trimmed > 5, trimmed)
    end
  end)

  it("trims in steps of a few thousand blocks", function()
    assert.is_true(blocks.steps(1000) < 20)
    assert.is_true(blocks.steps(1000000) > 500)
  end)
end)
