--- The commands and options of the program, read from what `moonloop help` prints: the one list of them that
-- completions are made from.
local ml = require "moonloop"

local M = {}

local KINDS = { FILE = "file", PATH = "file", WHAT = "file", FOLDER = "folder" } -- by the argument of an option

-- Arguments that are one of the words in the text.
local LISTS = { FORMAT = true, LEVEL = true, STATE = true, TEMPLATE = true, VALUE = true }

local function output(binary, ...)
  return assert(ml.process.run { binary, "help", ..., check = true }).stdout
end

-- The words of "what it is: one (default), another or a third", where each is one, and what it says before them.
local function words_of(about)
  local plain = about:gsub("%s*%b()", "")
  local before, list = plain:match "^(.*): (.*)$"
  list = (list or plain):gsub(", and above$", "")
  local words = {}
  for word in list:gsub(" or ", ", "):gmatch "[^,]+" do words[#words + 1] = word:match "^%s*(%l+)%s*$" end
  assert(words[2], "these are no words for a completion: " .. about)
  return words, before or "one of these"
end

-- What may follow an option, nothing, a file, a folder, some words, or anything; and what is said about it.
local function value_of(argument, about)
  local short = about:gsub("%s*%(.*", "")
  if argument == "" then return { kind = "none" }, short end
  if KINDS[argument] then return { kind = KINDS[argument] }, short end
  if LISTS[argument] then
    local words, before = words_of(about)
    return { kind = "words", words = words }, before
  end
  if about:find "%f[%l]auto:" then return { kind = "words", words = { "auto" } }, short end
  return { kind = "any" }, short
end

local function add_option(options, name, argument, about)
  local value, short = value_of(argument, about)
  options[#options + 1] = { name = name, about = short, value = value }
end

-- The options that a text lists; `others`, those of another command, if it says that these are taken, too.
local function options_of(text, others)
  local options, is_limit, name, argument, about = {}, false, nil, nil, nil
  for line in (text .. "\n"):gmatch "([^\n]*)\n" do
    is_limit = is_limit or line:find "^Limits of the server:" ~= nil
    local more = name and line:match "^          +(%S.*)$"
    if more then
      about = about .. " " .. more
    elseif name then
      add_option(options, name, argument, about)
      name = nil
    end
    local option, rest, words = line:match "^  (%-%-[%w-]+)(.-)  +(%S.*)$"
    if option then
      name, about = option, words
      argument = is_limit and "NUMBER" or rest:gsub("^%[=.*%]$", ""):gsub("^[ =]", "") -- no next word is for [=VALUE]
    end
  end
  local has = {}
  for _, option in ipairs(options) do has[option.name] = true end
  for _, option in ipairs(text:find("The other options of moonloop serve", 1, true) and others or {}) do
    if not has[option.name] and option.name ~= "--help" then options[#options + 1] = option end
  end
  options[#options + 1] = { name = "--help", about = "explains the command", value = { kind = "none" } }
  return options
end

--- @param binary string the program
--- @return table commands, sorted: each has `name`, `about`, `options` (name, about, value), `words`, what may come
-- first behind it, `takes_files`, whether files may follow, and `files_after`, the word that they follow (nil: all)
function M.read(binary)
  local commands, of_serve = {}, nil
  local all = output(binary):match "\nCommands:\n(.-)\n\n"
  for name, about in ("\n" .. all):gmatch "\n  (%l+)%s.-  +([^\n]+)" do
    local text = output(binary, name)
    local usage = text:match "^[^\n]*\n" -- the first line has what takes files
    local words = {}
    for word in ("\n" .. text):gmatch "\n  (%l+)[^\n]-  +[^\n]+" do words[#words + 1] = word end
    local options = options_of(text, of_serve)
    if name == "serve" then of_serve = options end
    local after = usage:match "(%l+) %[PATH"
    if after == name then after = nil end
    local takes_files = usage:find "%f[%w]APP%.lua" or usage:find "SCRIPT" or usage:find "PATH"
    commands[#commands + 1] = { name = name, about = about, options = options, words = words,
      takes_files = takes_files ~= nil, files_after = after }
  end
  assert(commands[1], "moonloop help lists no commands")
  return commands
end

return M
