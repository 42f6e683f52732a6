-- The examples of doc/schema.md run.
local examples = require "spec.support.examples"

describe("doc/schema.md", function()
  for _, example in ipairs(examples.of "doc/schema.md") do it(example.name, example.run) end
end)
