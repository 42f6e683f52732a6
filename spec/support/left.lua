--- What a process has left: descriptors, children, and other processes that still live.
local lfs = require "lfs"
local folders = require "spec.support.folder"

local M = {}

--- How many descriptors a process has: this one, unless `pid` is another. Two more are counted, the same each time.
function M.descriptors(pid)
  local count = 0
  for _ in lfs.dir(("/proc/%s/fd"):format(pid or "self")) do count = count + 1 end
  return count
end

--- How many children this process has, zombies included.
function M.children()
  local count = 0
  for id in lfs.dir "/proc/self/task" do
    local file = io.open("/proc/self/task/" .. id .. "/children")
    if file then
      for _ in file:read "a":gmatch "%d+" do count = count + 1 end
      file:close()
    end
  end
  return count
end

--- Is there such a process, that has not ended?
function M.is_alive(pid)
  local ok, stat = pcall(folders.read, "/proc/" .. pid .. "/stat")
  local state = ok and stat:match "%) (%a)"
  return state and state ~= "Z" and state ~= "X" or false
end

return M
