-- The examples of doc/dependencies.md.
local examples = require "spec.support.examples"

describe("the page on dependencies", function()
  for _, example in ipairs(examples.of "doc/dependencies.md") do it(example.name, example.run) end
end)
