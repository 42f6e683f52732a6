-- Lua code, as `moonloop build` reads that of an app: every word stands on a line of it, one after the other, and each
-- module and path that is found has a line, too.
local tokens = require "moonloop.build.tokens"
local uses = require "moonloop.build.uses"

return function(text)
  local _, breaks = text:gsub("\n", "")
  local line = 1
  for _, token in ipairs(tokens.read(text)) do
    assert(token.line >= line and token.line <= breaks + 1)
    assert(type(token.text) == "string" and (token.kind == "string" or token.text ~= ""))
    line = token.line
  end
  local found = uses.read(text)
  for _, kind in ipairs { "modules", "unknown", "paths", "unclear", "secrets" } do
    for _, use in ipairs(found[kind]) do
      assert(use.line == nil and kind == "secrets" or use.line >= 1 and use.line <= breaks + 1)
      assert(type(use.name or use.path or use.what) == "string")
    end
  end
end
