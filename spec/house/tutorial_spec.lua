-- doc/tutorial against the project: each page's app is served as `moonloop serve` does, and its commands print what the
-- page says.
local examples = require "spec.support.examples"
local folders = require "spec.support.folder"
local json = require("moonloop").json
local processes = require "spec.support.process"

local FOLDER = "doc/tutorial/"

--- Adds a file to the entries of a folder.
local function add(entries, name, text)
  local folder, rest = name:match "^([^/]+)/(.+)$"
  if not folder then entries[name] = text return end
  entries[folder] = entries[folder] or {}
  add(entries[folder], rest, text)
end

--- The files of a page, as folders.new takes them, and its commands: a list of {command =, output =}.
local function read(page)
  local files, commands = {}, {}
  for language, text in folders.read(FOLDER .. page):gmatch "\n```(%l+)\n(.-)\n```" do
    local name = text:match "^%-%- ([%w_/]+%.lua)\n"
    if language == "lua" and name then add(files, name, text) end
    if language == "console" then
      for line in (text .. "\n"):gmatch "(.-)\n" do
        local command = line:match "^%$ (.+)"
        if command then
          commands[#commands + 1] = { command = command, output = "" }
        else
          commands[#commands].output = commands[#commands].output .. line .. "\n"
        end
      end
    end
  end
  return files, commands
end

--- The lines of an output as values: fields of JSON have no order.
local function lines(output)
  local list = {}
  for line in output:gmatch "[^\n]+" do
    local value = json.decode(line)
    list[#list + 1] = value == nil and line or value
  end
  return list
end

describe("doc/tutorial", function()
  for page in folders.read(FOLDER .. "README.md"):gmatch "%]%(([%w-]+%.md)%)" do
    local files, commands = read(page)
    if #commands == 0 then
      for _, example in ipairs(examples.of(FOLDER .. page)) do it(example.name, example.run) end
    else
      it("prints in " .. page .. " what clients get", function()
        local folder <close> = folders.new(files)
        local server <close> = processes.serve(folder.path .. "/app.lua")
        for _, one in ipairs(commands) do
          local command = one.command:gsub("127%.0%.0%.1:8000", "127.0.0.1:" .. server.port):gsub("curl ", "curl -sS ")
          local output = processes.sh(("cd %s && %s"):format(processes.quote(folder.path), command))
          assert.same(lines(one.output), lines(output), one.command)
        end
      end)
    end
  end

  it("has pages that link to files that exist", function()
    for page in folders.read(FOLDER .. "README.md"):gmatch "%]%(([%w-]+%.md)%)" do
      for target in folders.read(FOLDER .. page):gmatch "%]%(([%w./_-]+)" do
        assert(io.open(FOLDER .. target), page .. " names " .. target):close()
      end
    end
  end)
end)
