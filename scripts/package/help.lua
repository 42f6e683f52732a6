--- The commands and options of the program, read from what `moonloop help` prints: the one list of them that
-- completions are made from.
local ml = require "moonloop"

local M = {}

local WORDS = { auto = true, clear = true, common = true, ["false"] = true, json = true, ["true"] = true } -- as values

local function output(binary, ...)
  return assert(ml.process.run { binary, "help", ..., check = true }).stdout
end

-- What may follow the option: nothing, a file, a folder, some words, or anything.
local function value_of(argument, about)
  if argument == "" then return { kind = "none" } end
  if argument == "FILE" then return { kind = "file" } end
  if argument == "FOLDER" then return { kind = "folder" } end
  local words = {}
  if argument == "TEMPLATE" then
    local list = about:match ": (.*)":gsub("%(.-%)", ""):gsub(" or ", " ")
    for word in list:gmatch "%l+" do words[#words + 1] = word end
    return { kind = "words", words = words }
  end
  for word in about:gmatch "%a+" do
    if WORDS[word] then words[#words + 1] = word end
  end
  if words[1] then return { kind = "words", words = words } end
  return { kind = "any" }
end

local function options_of(text)
  local options = {}
  local limits = text:find("Limits of the server:", 1, true) or math.huge
  for at, name, argument, about in text:gmatch "()\n  (%-%-[%w-]+)([^\n]-)  +([^\n]+)" do
    argument = at > limits and "NUMBER" or argument:gsub("^%[?[ =]", ""):gsub("%]$", "")
    options[#options + 1] = {
      name = name,
      about = about:gsub("%s*%(.*", ""),
      value = value_of(argument, about),
    }
  end
  options[#options + 1] = { name = "--help", about = "explains the command", value = { kind = "none" } }
  return options
end

--- @param binary string the program
--- @return table commands, sorted: each has `name`, `about`, `options` (name, about, value) and `words`, what may
-- come first behind it
function M.read(binary)
  local commands = {}
  local all = output(binary):match "\nCommands:\n(.-)\n\n"
  for name, about in ("\n" .. all):gmatch "\n  (%l+)%s.-  +([^\n]+)" do
    local text = output(binary, name)
    local words = {}
    for word in ("\n" .. text):gmatch "\n  (%l+)[^\n]-  +[^\n]+" do words[#words + 1] = word end
    commands[#commands + 1] = { name = name, about = about, options = options_of(text), words = words }
  end
  assert(commands[1], "moonloop help lists no commands")
  return commands
end

return M
