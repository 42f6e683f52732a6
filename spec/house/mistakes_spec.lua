-- Beginners' mistakes: each message says what is wrong, where, and what to do (spec/support/mistakes.lua).
local folders = require "spec.support.folder"
local mistakes = require "spec.support.mistakes"
local process = require "spec.support.process"
local support = require "spec.support"

--- What a mistake prints.
local function printed(code)
  local command = code:match "^%$ moonloop (.*)$"
  if not command then return (process.run(mistakes.PRELUDE .. code)) end
  local folder <close> = folders.new(mistakes.FILES)
  return (process.sh(("cd %s && %s %s"):format(process.quote(folder.path), process.quote(support.binary), command)))
end

describe("a beginner's mistake", function()
  for _, mistake in ipairs(mistakes.list) do
    local what, code, message = table.unpack(mistake)
    it("gets a message that says what is wrong, where, and what to do: " .. what, function()
      local output = printed(code)
      assert.matches(message, output, 1, true)
      -- ... and nothing of the host's inside
      assert.not_matches("moonloop%.core", output)
      assert.not_matches("%[moonloop%]/", output)
      assert.not_matches("in %?", output)
    end)
  end
end)
