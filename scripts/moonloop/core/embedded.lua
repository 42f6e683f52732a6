--- Files that are in the binary: those of templates, the types, the pages of the inspector.
local embedded = require "moonloop.web.docs.core"

local M = {}

--- The names of the embedded files that begin with `prefix`, without it, sorted.
function M.names(prefix)
  local names = embedded.names(prefix)
  for i, name in ipairs(names) do names[i] = name:sub(#prefix + 1) end
  table.sort(names)
  return names
end

--- The content of an embedded file.
function M.read(name)
  local pieces = {}
  local decoder <close> = assert(embedded.decoder(name), name)
  for bytes in decoder.read, decoder do pieces[#pieces + 1] = bytes end
  return table.concat(pieces)
end

return M
