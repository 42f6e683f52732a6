-- The examples of doc/websocket.md.
local examples = require "spec.support.examples"

describe("doc/websocket.md", function()
  for _, example in ipairs(examples.of "doc/websocket.md") do it(example.name, example.run) end
end)
