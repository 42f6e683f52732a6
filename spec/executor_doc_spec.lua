-- doc/executor.md against the project: its examples run.
local folders = require "spec.support.folder"

describe("doc/executor.md", function()
  local number = 0
  for text in folders.read("doc/executor.md"):gmatch("```lua\n(.-)```") do
    number = number + 1
    it(("example %d runs"):format(number), function()
      assert(load(text, "=doc/executor.md, example " .. number))()
    end)
  end

  it("has examples", function() assert.is_true(number >= 6) end)
end)
