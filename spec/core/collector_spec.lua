-- The mode in which Lua's collector starts.
local ml = require "moonloop"

-- What the collector runs in, and goes on in.
local function mode()
  local before = collectgarbage "incremental"
  collectgarbage(before)
  return before
end

describe("the collector", function()
  it("starts incremental, also in workers: a generational collection is one long step", function()
    assert.equal("incremental", mode())
    local pool <close> = ml.executor.new { threads = 1 } -- luacheck: ignore
    assert.equal("incremental", pool:run(mode))
  end)
end)
