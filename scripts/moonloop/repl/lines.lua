--- Reading lines for a prompt: with the line editor on a terminal, or from a pipe or a file.

local complete = require "moonloop.repl.complete"
local terminal = require "moonloop.terminal"

local M = {}

-- Reading with the line editor: a line, or nil and "eof", "SIGINT" or "SIGTERM".
local function edit(prompt, complete_line)
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
      local insert, names = complete_line(text)
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

local rest = "" -- what was read past the last line

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

--- next(prompt, complete_line) -> the next line, or nil and "eof", "SIGINT" or "SIGTERM". complete_line(text)
-- -> what to insert behind the text, or nil; names to choose from.
function M.next(prompt, complete_line)
  if not terminal.interactive then return read_line() end
  return edit(prompt, complete_line)
end

return M
