--- Folders of files for the specs.
local lfs = require "lfs"

local M = {}

local function remove(path)
  if lfs.symlinkattributes(path, "mode") == "directory" then
    for name in lfs.dir(path) do
      if name ~= "." and name ~= ".." then remove(path .. "/" .. name) end
    end
    lfs.rmdir(path)
  else
    os.remove(path)
  end
end

--- Writes `content` into the file at `path`; `mtime` is its time in seconds since 1970.
function M.write(path, content, mtime)
  local file = assert(io.open(path, "wb"))
  file:write(content)
  file:close()
  if mtime then assert(lfs.touch(path, mtime)) end
end

--- Makes a new folder with `entries`, name to content, or to a table of entries. It is gone when the
-- variable `folder <close>` is left; `folder.path` is where it is.
function M.new(entries)
  local path = os.tmpname()
  os.remove(path)
  local function fill(at, list)
    assert(lfs.mkdir(at))
    for name, content in pairs(list) do
      local where = at .. "/" .. name
      if type(content) == "table" then fill(where, content) else M.write(where, content) end
    end
  end
  fill(path, entries)
  return setmetatable({ path = path }, { __close = function() remove(path) end })
end

--- Makes a symbolic link at `path` that leads to `target`.
function M.link(path, target) assert(lfs.link(target, path, true)) end

return M
