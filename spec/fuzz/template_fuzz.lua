-- Templates, which are files: what is wrong with one is said with a line of it, and one that compiles has whatever a
-- value is in its place. The first byte chooses the kind.
local compile = require "moonloop.web.template.compile"

local KINDS = { "html", "xml", "plain" }

return function(text)
  local kind = KINDS[(text:byte(1) or 0) % #KINDS + 1]
  text = text:sub(2)
  local _, breaks = text:gsub("[\r\n]", "")
  local template, problem = compile(text, kind, "fuzz." .. kind)
  if template then return assert(type(template.main) == "function") end
  assert(type(problem.message) == "string" and problem.message ~= "")
  assert(problem.line == nil or problem.line >= 1 and problem.line <= breaks + 1, problem.line)
end
