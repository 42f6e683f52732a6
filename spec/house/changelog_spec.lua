-- CHANGELOG.md is merged line by line: an entry that one side has moved comes back where it was.
local folders = require "spec.support.folder"

describe("CHANGELOG.md", function()
  it("has each entry once", function()
    local seen, count = {}, 0
    for entry in folders.read "CHANGELOG.md":gmatch "\n(%- [^\n]+)" do
      assert(not seen[entry], entry)
      seen[entry], count = true, count + 1
    end
    assert(count > 100)
  end)
end)
