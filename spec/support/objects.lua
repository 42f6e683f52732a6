--- The symbols of the objects that the running moonloop was built from, by their source files.
local lfs = require "lfs"
local ml = require "moonloop"
local folders = require "spec.support.folder"
local process = require "spec.support.process"
local support = require "spec.support"

local M = {}

-- The object that a command of compile_commands.json writes.
local function object_of(entry)
  local output = entry.output
  for i, word in ipairs(entry.arguments or {}) do
    if word == "-o" then output = entry.arguments[i + 1] end
  end
  output = output or entry.command:match " %-o (%S+)"
  return output:sub(1, 1) == "/" and output or entry.directory .. "/" .. output
end

--- The objects of host/ and bindings/: a table of source path ("host/core/task.c") to
-- { defines = {name = true}, uses = {name = true} }. nil and a reason where there is no build tree
-- round the running binary.
function M.read()
  local build = support.binary:match "^(.*)/[^/]+$"
  local path = build .. "/compile_commands.json"
  if not lfs.attributes(path) then return nil, "needs the build tree of moonloop: there is no " .. path end
  local root = lfs.currentdir() .. "/"
  local sources, arguments = {}, {}
  for _, entry in ipairs(assert(ml.json.decode(folders.read(path)))) do
    local source = entry.file:sub(1, #root) == root and entry.file:sub(#root + 1) or ""
    -- A source of several programs has several objects, with the same symbols.
    if source:find "^host/" or source:find "^bindings/" then
      local object = object_of(entry)
      if not sources[source] and lfs.attributes(object) then
        sources[source] = object
        arguments[#arguments + 1] = process.quote(object)
      end
    end
  end
  if #arguments == 0 then return nil, "needs a build tree of this folder: " .. path .. " names no file of it" end

  local by_object, objects = {}, {}
  for source, object in pairs(sources) do
    objects[source] = { defines = {}, uses = {} }
    by_object[object] = objects[source]
  end
  local output, status = process.sh("nm -A -P " .. table.concat(arguments, " "))
  if status == 127 then return nil, "needs nm, of binutils" end
  assert(status == 0, output)
  for object, name, kind in output:gmatch "([^\n]-): (%S+) (%a)[^\n]*" do
    local symbols = by_object[object]
    if symbols and kind == "U" then
      symbols.uses[name] = true
    elseif symbols and kind:find "%u" then
      symbols.defines[name] = true
    end
  end
  return objects
end

return M
