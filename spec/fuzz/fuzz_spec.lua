-- The fuzzers beside this file: each has inputs to begin with, and those in Lua take theirs.
local folders = require "spec.support.folder"
local lfs = require "lfs"

local FOLDER = "spec/fuzz/"

--- The inputs of a fuzzer: name -> bytes.
local function inputs_of(name)
  local folder, inputs = FOLDER .. "corpus/" .. name, {}
  assert(lfs.attributes(folder), folder .. " is missing: a fuzzer begins with inputs that lead into what it is about")
  for file in lfs.dir(folder) do
    if file:sub(1, 1) ~= "." then inputs[file] = folders.read(folder .. "/" .. file) end
  end
  return inputs
end

describe("the fuzzer", function()
  for file in lfs.dir(FOLDER) do
    local name, language = file:match "^(.+)_fuzz%.(%a+)$"
    if name then
      it(name .. " has inputs to begin with", function() assert.is_truthy(next(inputs_of(name))) end)
      it(name .. " stands in the table of what is read", function()
        assert(folders.read(FOLDER .. "README.md"):find("`" .. name .. "`", 1, true))
      end)
    end
    if language == "lua" then
      it(name .. " takes its inputs", function()
        local fuzz = dofile(FOLDER .. file)
        for input, bytes in pairs(inputs_of(name)) do
          local ok, err = pcall(fuzz, bytes)
          assert(ok, ("%s: %s"):format(input, tostring(err)))
        end
      end)
    end
  end
end)
