-- Names from outside that become paths: none leads out of its folder. The first line is the folder.
local fs = require "moonloop.fs"

-- The parts of a path, with `..` applied; nil where it leads above where it began.
local function parts_of(path)
  local parts = {}
  for part in path:gmatch "[^/]+" do
    if part == ".." then
      if #parts == 0 then return nil end
      parts[#parts] = nil
    elseif part ~= "." then
      parts[#parts + 1] = part
    end
  end
  return parts
end

return function(text)
  local dir, name = text:match "^([^\n]*)\n(.*)$"
  if not dir or dir == "" or dir:find "\0" then return end
  local path, err = fs.safe_join(dir, name)
  if not path then return assert(err.message) end
  assert(path:sub(1, #dir) == dir and not path:find "\0")
  local rest = path:sub(#dir + 1)
  assert(dir:sub(-1) == "/" or rest == "" or rest:sub(1, 1) == "/")
  assert(parts_of(rest), path)
end
