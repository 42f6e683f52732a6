-- Documents of JSON Schema, such as others publish: one becomes a schema that decodes, or is refused by a message.
-- The first line is the document, the rest a text for it.
local ml = require "moonloop"

local s = ml.schema

return function(text)
  local doc, value = text:match "^([^\n]*)\n?(.*)$"
  local ok, schema = pcall(s.from_json_schema, doc)
  if not ok then return assert(tostring(schema):find("from_json_schema", 1, true), schema) end
  local decoded, err = schema:decode(value)
  assert(decoded ~= nil or err ~= nil)
end
