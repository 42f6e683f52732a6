-- `moonloop repl`: reads, evaluates, prints. Each input is a task, so it may wait, and tasks it
-- starts keep running while the next one is typed.

local commands = require "moonloop.repl.commands"
local complete = require "moonloop.repl.complete"
local core = require "moonloop.core"
local history = require "moonloop.repl.history"
local inspect = require "moonloop.inspect"
local lines = require "moonloop.repl.lines"
local locals = require "moonloop.repl.locals"
local log = require "moonloop.log.core"
local ml = require "moonloop"
local show = require "moonloop.repl.show"
local terminal = require "moonloop.terminal"

local PROMPT, MORE = "> ", ">> "

local function is_begun(message) return message:find("<eof>", -5, true) ~= nil end

-- Reads a text as Lua code. Returns the code to compile, with `return` before an expression; or nil, a
-- message, and true if the text is incomplete.
local function read(text, name)
  text = text:gsub("^%s*=", "return ", 1) -- as older versions of Lua's own prompt had it
  local as_expression = "return " .. text
  local chunk, expression_message = load(as_expression, name, "t")
  if chunk then return as_expression end
  local message
  chunk, message = load(text, name, "t")
  if chunk then return text end
  return nil, message, is_begun(message) or is_begun(expression_message)
end

local function next_line(prompt)
  local line, why = lines.next(prompt, function(text) return complete.line(text, locals.scope()) end)
  if terminal.interactive and line and line:find("%S") then
    terminal.remember(line)
    history.add(line)
  end
  return line, why
end

local told_of_lost -- has the user been told that a local ends with its input?

local function tell_of_lost(names)
  if #names == 0 or told_of_lost then return end
  told_of_lost = true
  io.stdout:flush()
  io.stderr:write(("(the local '%s' ends with this input: later inputs do not see it)\n"):format(names[1]))
end

-- The message of an input that is not Lua code, with its name.
local function with_name(message, name) return (message:gsub("^input", name:sub(2), 1)) end

-- Reads lines until they make a whole input. Returns its chunk; or nil and a message for the user; or
-- nil, nil and the reason why the input has ended.
local function next_chunk()
  local text, why = next_line(PROMPT)
  if not text then return nil, nil, why end
  local is_command, output, wrong, leaves = commands.run(text)
  if is_command then
    io.stdout:write(output or "")
    return nil, wrong, leaves and "eof" or "command"
  end
  while true do
    local code, message, begun = read(text, "=input")
    if not begun then
      local name = commands.note(text)
      if not code then return nil, with_name(message, name) end
      local chunk, lost = locals.chunk(code, name)
      tell_of_lost(lost)
      return chunk
    end
    local line
    line, why = next_line(MORE)
    if not line and why == "eof" and not terminal.interactive then
      return nil, with_name(message, commands.note(text))
    end
    if not line then return nil, nil, why end
    text = text .. "\n" .. line
  end
end

-- The text of an input's error, with the traceback of the place where it was raised.
local function failure(task, err)
  local message = type(err) == "table" and not getmetatable(err) and show.value(err) or tostring(err)
  local traceback = task:traceback()
  local text = traceback == "" and message or message .. "\n" .. traceback
  return (text:gsub("[^\n]+", log.shown)) -- it may quote what others have sent
end

-- Is there no server or other socket whose peer could be waiting?
local function serves_nobody()
  for _, handle in ipairs(inspect.handles()) do
    if handle.address then return false end
  end
  return true
end

-- Runs an input and prints its results. Returns whether it succeeded; nil if it called os.exit.
local function evaluate(chunk)
  local task = ml.spawn(chunk)
  task.name = debug.getinfo(chunk, "S").short_src -- "input 3"
  core.as_main(task)
  if terminal.interactive then terminal.foreground(task, serves_nobody()) end
  local results = table.pack(pcall(task.await, task))
  terminal.foreground(nil)
  if not results[1] then
    io.stdout:flush()
    local err = results[2]
    local reason = task:status() == "cancelled" and ml.is_error(err) and err.reason
    if reason == "os.exit was called" then return nil end
    io.stderr:write(reason == "SIGINT" and "cancelled" or failure(task, err), "\n")
    return false
  end
  if results.n > 1 then
    if results[2] ~= nil then _G._ = results[2] end
    if terminal.interactive then terminal.fresh_line() end
    local shown, text = pcall(show.values, table.pack(table.unpack(results, 2, results.n)))
    io.stdout:write(text, "\n")
    return shown
  end
  return true
end

--- Reads and evaluates until the input ends. On a terminal, Ctrl-C cancels the running input or
--- drops the typed one, and Ctrl-D leaves, which cancels background tasks. With a pipe or a file there
--- is no prompt, and background tasks run to their end.
--- @param version string
--- @return integer the exit status: 1 if an input from a pipe or a file failed
return function(version)
  _G.ml = ml
  local good = true
  if terminal.interactive then
    terminal.keep(history.MOST)
    for _, line in ipairs(history.load()) do terminal.remember(line) end
    io.stdout:write("moonloop ", version, " on ", _VERSION, "; ml is loaded. .help explains, Ctrl-D leaves.\n")
  end
  while true do
    local chunk, message, why = next_chunk()
    if chunk then
      local well = evaluate(chunk)
      if well == nil then return 0 end
      good = good and well
    elseif message then
      good = false
      io.stdout:flush()
      io.stderr:write(message, "\n")
    elseif why == "SIGTERM" then
      os.exit(143)
    elseif why == "SIGINT" and not terminal.interactive then
      os.exit(130)
    elseif why == "eof" then
      break
    end
  end
  if terminal.interactive then os.exit(0) end
  io.stdout:flush()
  return good and 0 or 1
end
