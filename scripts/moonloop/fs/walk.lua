--- ml.fs.walk: all that is below a folder.
local core = require "moonloop.core"
local fs_core = require "moonloop.fs.core"
local options = require "moonloop.core.options"

local OPTIONS = { descend = "function" }

local types = {
  f = "file", d = "directory", l = "link", p = "fifo", s = "socket", c = "char", b = "block", ["?"] = "unknown",
}

--- walk(path [, {descend =}]) -> an iterator over entries {path, name, type, depth} | nil, err. A folder comes
-- before what is in it; names are in order. Links are not followed. `descend(entry)` says whether to go into
-- a folder. A folder that is gone when its turn comes is left out; one that cannot be read raises. Each step
-- into a folder suspends.
return function(path, opts)
  if type(path) ~= "string" then
    core.fail("bad argument #1 to 'ml.fs.walk' (path expected, got " .. type(path) .. ")")
  end
  if path:find "\0" then core.fail "bad argument #1 to 'ml.fs.walk' (the path contains a NUL)" end
  local descend = options.check(opts, OPTIONS, "ml.fs.walk").descend
  local names, kinds = fs_core.entries(path)
  if not names then return nil, kinds end
  -- The folders that are open, from the outermost in.
  local open = { { path = path:sub(-1) == "/" and path or path .. "/", names = names, kinds = kinds, at = 0 } }
  local pending -- a folder that was returned last

  local function enter()
    local entry = pending
    pending = nil
    if descend and not descend(entry) then return end
    local inner, inner_kinds = fs_core.entries(entry.path)
    if inner then
      open[#open + 1] = { path = entry.path .. "/", names = inner, kinds = inner_kinds, at = 0 }
    elseif inner_kinds.code ~= "ENOENT" and inner_kinds.code ~= "ENOTDIR" then
      error(inner_kinds, 0)
    end
  end

  return function()
    if pending then enter() end
    while true do
      local folder = open[#open]
      if not folder then return nil end
      folder.at = folder.at + 1
      local name = folder.names[folder.at]
      if name then
        local entry = { path = folder.path .. name, name = name, type = types[folder.kinds[folder.at]], depth = #open }
        if entry.type == "directory" then pending = entry end
        return entry
      end
      open[#open] = nil
    end
  end
end
