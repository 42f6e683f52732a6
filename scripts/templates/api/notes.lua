--- The notes. They are in the memory of one process, and gone when it ends: a database keeps them (see README.md).
local M = {}

local notes, last = {}, 0

function M.all()
  local list = {}
  for id = 1, last do list[#list + 1] = notes[id] end
  return list
end

function M.add(text)
  last = last + 1
  notes[last] = { id = last, text = text }
  return notes[last]
end

function M.get(id) return notes[id] end

function M.remove(id) notes[id] = nil end

--- For specs: as at the start.
function M.clear() notes, last = {}, 0 end

return M
