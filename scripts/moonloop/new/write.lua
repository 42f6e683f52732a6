--- Writes files of the binary into a folder.
local files = require "moonloop.core.embedded"
local fs = require "moonloop.fs"

local M = {}

--- Writes a file, with the folders on its way. Raises an error object.
function M.file(path, content)
  local folder = path:match "^(.*)/[^/]*$"
  if folder then assert(fs.mkdir(folder, { parents = true })) end
  assert(fs.write(path, content))
end

--- Writes the types of moonloop into the folder; returns how many files.
function M.types(folder)
  local names = files.names "types/"
  for _, name in ipairs(names) do M.file(folder .. "/" .. name, files.read("types/" .. name)) end
  return #names
end

return M
