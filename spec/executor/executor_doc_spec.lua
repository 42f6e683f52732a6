-- doc/executor.md against the project: its examples run.
local examples = require "spec.support.examples"

describe("doc/executor.md", function()
  for _, example in ipairs(examples.of "doc/executor.md") do it(example.name, example.run) end
end)
