--- ml.fs: files and folders, on other threads. What is one operation is in bindings/fs.
local core = require "moonloop.core"
local fs_core = require "moonloop.fs.core"

local fail = core.fail

local M = {
  open = fs_core.open, temp_file = fs_core.temp_file, read = fs_core.read, write = fs_core.write, copy = fs_core.copy,
  stat = fs_core.stat, lstat = fs_core.lstat, exists = fs_core.exists,
  chmod = fs_core.chmod, utime = fs_core.utime,
  rename = fs_core.rename, link = fs_core.link, symlink = fs_core.symlink,
  readlink = fs_core.readlink, realpath = fs_core.realpath,
  remove = fs_core.remove, mkdir = fs_core.mkdir, list = fs_core.list, watch = fs_core.watch,
  walk = require "moonloop.fs.walk",
  glob = require "moonloop.fs.glob",
}

local function check_text(index, name, value, what)
  if type(value) ~= "string" then
    fail(("bad argument #%d to 'ml.fs.%s' (%s expected, got %s)"):format(index, name, what, type(value)))
  end
end

-- --- folders for a while ---

local TRIES <const> = 20 -- to remove one

local TempDir = { __name = "moonloop.temp_dir" }
TempDir.__index = TempDir

--- dir:close() -> true | nil, err: removes the folder and what is in it. Suspends.
function TempDir:close()
  if not self.open then return true end
  self.open = false
  local done, err
  for _ = 1, TRIES do
    done, err = core.shield(fs_core.remove, self.path, { recursive = true })
    if done or err.code == "ENOENT" then return true end
    -- A cancelled operation whose thread had begun has made a file meanwhile.
    if err.code ~= "ENOTEMPTY" then break end
  end
  return nil, err
end

function TempDir:__close(err)
  local done, failure = self:close()
  if not done and err == nil then error(failure, 0) end
end

function TempDir:__gc()
  if self.open then fs_core.discard(self.path) end
end

--- temp_dir() -> an object with the `path` of a new folder | nil, err. The folder is removed with what is in
-- it when the variable `<close>` is left, or by dir:close(). Suspends.
function M.temp_dir()
  local path, err = fs_core.temp_dir()
  if not path then return nil, err end
  return setmetatable({ path = path, open = true }, TempDir)
end

-- --- names ---

local function outside(name, why)
  local err = core.error { kind = "fs", code = "OUTSIDE",
    message = ("ml.fs.safe_join: %q %s"):format(name, why) }
  err.path, err.call = name, "join"
  return nil, err
end

--- safe_join(dir, name) -> the path of `name` below `dir` | nil, err, where it would lead outside: an absolute
-- name, too many "..", a NUL. It is about the text alone: nothing is looked up, and links are not known.
function M.safe_join(dir, name)
  check_text(1, "safe_join", dir, "path")
  check_text(2, "safe_join", name, "name")
  if dir:find "\0" then fail "bad argument #1 to 'ml.fs.safe_join' (the path contains a NUL)" end
  if name:find "\0" then return outside(name, "contains a NUL") end
  if name:sub(1, 1) == "/" then return outside(name, "is absolute") end
  local parts = {}
  for part in name:gmatch "[^/]+" do
    if part == ".." then
      if not parts[1] then return outside(name, "leads out of the folder") end
      parts[#parts] = nil
    elseif part ~= "." then
      parts[#parts + 1] = part
    end
  end
  if not parts[1] then return dir end
  if dir ~= "" and dir:sub(-1) ~= "/" then dir = dir .. "/" end
  return dir .. table.concat(parts, "/")
end

return M
