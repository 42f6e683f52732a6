-- The examples of doc/processes.md.
local examples = require "spec.support.examples"

describe("doc/processes.md", function()
  for _, example in ipairs(examples.of "doc/processes.md") do it(example.name, example.run) end
end)
