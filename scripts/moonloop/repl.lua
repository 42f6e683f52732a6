-- `moonloop repl`: reads, evaluates, prints. Each input is a task, so it may wait, and what it starts
-- goes on while the next one is typed.

local complete = require "moonloop.repl.complete"
local history = require "moonloop.repl.history"
local ml = require "moonloop"
local show = require "moonloop.repl.show"
local terminal = require "moonloop.terminal"

local PROMPT, MORE = "> ", ">> "

local function is_begun(message) return message:find("<eof>", -5, true) ~= nil end

-- A chunk of the text, first as expressions. nil, message, and true when the text is only begun.
local function compile(text)
  local chunk, as_expression = load("return " .. text, "=stdin", "t")
  if chunk then return chunk end
  local message
  chunk, message = load(text, "=stdin", "t")
  return chunk, message, not chunk and (is_begun(message) or is_begun(as_expression))
end

-- What `ml` loads only when it is used is to be found by TAB, too.
local function load_all()
  for _, name in ipairs {"http", "json", "executor", "web"} do
    pcall(function() return ml[name] end)
  end
end

-- Reading with the line editor: a line, or nil and "eof", "SIGINT" or "SIGTERM".
local function edit(prompt)
  terminal.begin(prompt)
  local tabs = 0
  while true do
    local event = terminal.wait()
    local what, text
    if event == "input" then what, text = terminal.feed() end
    if event == "SIGINT" or what == "interrupt" then
      terminal.abandon()
      return nil, "SIGINT"
    elseif event == "SIGTERM" or what == "eof" then
      return nil, event == "SIGTERM" and event or "eof"
    elseif what == "line" then
      return text
    elseif what == "complete" then
      if text:find("ml", 1, true) then load_all() end
      local insert, names = complete.line(text, _G)
      if not insert and text:find("^%s*$") then
        terminal.insert("  ")
      elseif insert and insert ~= "" then
        terminal.insert(insert)
      elseif names and tabs > 0 then
        io.stdout:write(complete.columns(names, terminal.width()))
      else
        terminal.beep()
      end
    end
    tabs = what == "complete" and tabs + 1 or 0
  end
end

local rest = "" -- what was read beyond the last line

-- Reading from a pipe or a file: the same results.
local function read_line()
  while true do
    local line, after = rest:match("^([^\n]*)\n(.*)$")
    if line then
      rest = after
      return line
    end
    local event = terminal.wait()
    if event ~= "input" then return nil, event end
    local data = terminal.read()
    if not data then
      line, rest = rest, ""
      if line ~= "" then return line end
      return nil, "eof"
    end
    rest = rest .. data
  end
end

local function next_line(prompt)
  if not terminal.interactive then return read_line() end
  local line, why = edit(prompt)
  if line and line:find("%S") then
    terminal.remember(line)
    history.add(line)
  end
  return line, why
end

-- Reads lines until they make a whole input: its chunk; or nil and a message for the user; or nil,
-- nil and why there is no more.
local function next_chunk()
  local text, why = next_line(PROMPT)
  if not text then return nil, nil, why end
  while true do
    local chunk, message, begun = compile(text)
    if not begun then return chunk, message end
    local line
    line, why = next_line(MORE)
    if not line and why == "eof" and not terminal.interactive then return nil, message end
    if not line then return nil, nil, why end
    text = text .. "\n" .. line
  end
end

-- The text of an input's error, with the traceback of the place where it was raised.
local function failure(task, err)
  local message = type(err) == "table" and not getmetatable(err) and show.value(err) or tostring(err)
  local traceback = task:traceback()
  return traceback == "" and message or message .. "\n" .. traceback
end

-- Runs an input and prints what came of it. Returns whether it went well; nil when it called os.exit.
local function evaluate(chunk)
  local task = ml.spawn(chunk)
  if terminal.interactive then terminal.foreground(task) end
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
    if terminal.interactive then terminal.fresh_line() end
    local shown, text = pcall(show.values, table.pack(table.unpack(results, 2, results.n)))
    io.stdout:write(text, "\n")
    return shown
  end
  return true
end

--- Reads and evaluates until the input ends. On a terminal, Ctrl-C cancels the running input or
--- gives up the typed one, and Ctrl-D leaves, which cancels the tasks in the background. From a pipe
--- or a file there is no prompt, and the tasks in the background may end.
--- @param version string
--- @return integer the exit status: 1 when an input from a pipe or a file failed
return function(version)
  _G.ml = ml
  local good = true
  if terminal.interactive then
    for _, line in ipairs(history.load()) do terminal.remember(line) end
    io.stdout:write("moonloop ", version, " on ", _VERSION, "; ml is loaded. TAB completes, Ctrl-C cancels, ",
      "Ctrl-D leaves.\n")
  end
  while true do
    local chunk, message, why = next_chunk()
    if chunk then
      local well = evaluate(chunk)
      if well == nil then return 0 end
      good = good and well
    elseif message then
      good = false
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
