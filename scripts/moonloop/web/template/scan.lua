--- Templates: how script.lua and style.lua go through a text. Each mode has a function that reads from a
-- place on, in the state's mode, and returns where to go on.
local M = {}

--- Reads the text by the functions of `modes`.
function M.run(modes, state, text)
  local at = 1
  while at <= #text do at = modes[state.mode](state, text, at) end
end

--- The mode inside a comment that ends with "*/".
function M.comment(state, text, at)
  local found = text:find("*/", at, true)
  if not found then return #text + 1 end
  state.mode = "code"
  return found + 2
end

return M
