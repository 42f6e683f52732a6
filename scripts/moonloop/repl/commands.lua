-- The prompt's own commands: lines that begin with a dot, as no Lua code does.

local locals = require "moonloop.repl.locals"

local HELP = [[
Input runs once it is complete Lua code. Expressions show their values. ml is moonloop.
  =EXPRESSION      the same as EXPRESSION
  _                the last value shown
  local x = 1      stays for later inputs; .forget x drops it, .locals lists them
  .input 3         shows input 3, as tracebacks number it; .input shows the last ones
  .exit            leaves, as Ctrl-D and os.exit() do
Each input is a task, so it may wait. Tasks that it starts keep running while you type.
Keys: TAB completes, Ctrl-R searches the history, Ctrl-C cancels the running input or the line.
]]

local SHOWN = 10 -- inputs that .input lists

local inputs = {} -- texts by number; old ones are dropped
local KEPT = 1000

local commands = {}

function commands.help() return HELP end

function commands.locals()
  local names = locals.names()
  return #names > 0 and table.concat(names, " ") .. "\n" or "none\n"
end

function commands.forget(name)
  if name == "" then return nil, ".forget needs the name of a local" end
  if locals.forget(name) then return "" end
  return nil, ("there is no local '%s'"):format(name)
end

function commands.input(number)
  if number ~= "" then
    local text = inputs[math.tointeger(tonumber(number))]
    if not text then return nil, ("there is no input %s"):format(number) end
    return text .. "\n"
  end
  local lines = {}
  for i = math.max(1, #inputs - SHOWN + 1), #inputs do
    lines[#lines + 1] = ("%d: %s\n"):format(i, (inputs[i]:gsub("\n", "\n    ")))
  end
  return table.concat(lines)
end

function commands.exit() return nil, nil, true end

local M = {}

--- Records the next input.
--- @param text string
--- @return string its name, for messages and tracebacks
function M.note(text)
  inputs[#inputs + 1] = text
  if #inputs > KEPT then inputs[#inputs - KEPT] = "(forgotten)" end
  return "=input " .. #inputs
end

--- Runs the line if it is one of the prompt's own commands.
--- @param line string
--- @return boolean|nil whether it is one; the other results are nil if not
--- @return string|nil what it prints
--- @return string|nil what is wrong
--- @return boolean|nil whether to leave the prompt
function M.run(line)
  local word = line:match "^%s*(%a+)%s*$"
  if (word == "exit" or word == "quit") and _G[word] == nil then return true, "Ctrl-D, .exit or os.exit() leaves\n" end
  local name, argument = line:match("^%s*%.(%a+)%s*(.-)%s*$")
  if not name then return nil end
  local command = commands[name]
  if not command then return true, nil, ("there is no command .%s: see .help"):format(name) end
  return true, command(argument)
end

return M
