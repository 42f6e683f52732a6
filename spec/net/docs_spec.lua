-- The examples of doc/streams.md.
local examples = require "spec.support.examples"

describe("doc/streams.md", function()
  for _, example in ipairs(examples.of "doc/streams.md") do it(example.name, example.run) end
end)
