--- Files and folders of files for the specs.
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

--- The content of the file at `path`.
function M.read(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read("a")
end

-- What is at `path`, with its method `close`, which is that of a variable `<close>` too.
local function at(path)
  local function close() remove(path) end
  return setmetatable({ path = path, close = close }, { __close = close })
end

--- Makes a new file with `content`. It is gone when the variable `file <close>` is left, or after
-- `file:close()`; `file.path` is where it is.
function M.file(content)
  local path = os.tmpname()
  M.write(path, content)
  return at(path)
end

--- Makes a new folder with `entries`, name to content, or to a table of entries, below `above` or with the
-- temporary files. It is gone as `file` says; `folder.path` is where it is.
function M.new(entries, above)
  local path = os.tmpname()
  os.remove(path)
  if above then path = above .. "/" .. path:match "[^/]+$" end
  local function fill(folder, list)
    assert(lfs.mkdir(folder))
    for name, content in pairs(list) do
      local where = folder .. "/" .. name
      if type(content) == "table" then fill(where, content) else M.write(where, content) end
    end
  end
  fill(path, entries)
  return at(path)
end

--- Makes a symbolic link at `path` that leads to `target`.
function M.link(path, target) assert(lfs.link(target, path, true)) end

return M
