--- `moonloop db shell`: sends statements to a database and shows what comes back. On one connection, so that
-- transactions and SET work.
local counted = require "moonloop.core.counted"
local describe = require "moonloop.sql.db_shell_tables"
local error_shown = require "moonloop.sql.error_shown"
local files = require "moonloop.sql.migrate_files"
local json = require "moonloop.json"
local lines = require "moonloop.repl.lines"
local ml = require "moonloop"
local migrate = require "moonloop.sql.migrate"
local split = require "moonloop.sql.split".split
local table_text = require "moonloop.sql.table_text"
local terminal = require "moonloop.terminal"

local HELP = [[
A statement ends with a ';' and may have many lines. Ctrl-C cancels, Ctrl-D leaves.
  \d         the tables
  \d NAME    the columns of a table
  \?         this text
  \q         leaves
]]

local gives_rows = { select = true, values = true, with = true, show = true, explain = true, pragma = true,
  table = true, fetch = true, execute = true }
local counts = { insert = true, update = true, delete = true, merge = true, replace = true }

local function count(n) return "(" .. counted(n, "row") .. ")\n" end

local function cell(value)
  if type(value) ~= "table" then return value end
  local good, text = pcall(json.encode, value)
  return good and text or tostring(value)
end

local function show_rows(rows)
  local names, cells = rows.columns or {}, {}
  if #names == 0 then return end
  for r = 1, #rows do
    cells[r] = {}
    for c, name in ipairs(names) do cells[r][c] = cell(rows[r][name]) end
  end
  io.stdout:write(table_text(names, cells, "NULL"), count(#rows))
end

-- Runs one statement and shows its results; or nil and an error.
local function run(conn, statement)
  local text, keyword = statement.text, statement.keyword
  if gives_rows[keyword] or counts[keyword] and text:lower():find "%f[%w]returning%f[%W]" then
    local rows, err = conn.lease:query(text)
    if not rows then return nil, err end
    show_rows(rows)
  elseif counts[keyword] then
    local n, err = conn.lease:exec(text)
    if not n then return nil, err end
    io.stdout:write(count(n))
  else
    local done, err = conn:simple(text)
    if not done then return nil, err end
    io.stdout:write "done\n"
  end
  return true
end

local function say_error(err, line)
  io.stdout:flush()
  io.stderr:write(line and "line " .. line .. ": " or "", error_shown(err), "\n")
end

-- Calls f() as a task that Ctrl-C cancels. Was it good?
local function attempt(f)
  local task = ml.spawn(f)
  if terminal.interactive then terminal.foreground(task, true) end
  local ok, done, err = pcall(task.await, task)
  terminal.foreground(nil)
  if ok and done then return true end
  if not ok and task:status() == "cancelled" then
    io.stdout:flush()
    io.stderr:write "cancelled\n"
  else
    say_error(ok and err or done)
  end
  return false
end

local Shell = {}
Shell.__index = Shell

function Shell:prompt()
  if self.text ~= "" then return "-> " end
  local state = self.conn.lease:state()
  return self.conn.place.dialect .. (state == "transaction" and "*> " or state == "failed" and "!> " or "> ")
end

-- A line that begins with a backslash. True: leave.
function Shell:command(line)
  local word, rest = line:match "^\\(%S*)%s*(.-)%s*;?%s*$"
  if word == "q" then return true end
  if word == "?" then
    io.stdout:write(HELP)
  elseif word == "d" then
    local good = attempt(function()
      local names, rows = describe(self.conn, rest)
      io.stdout:write(table_text(names, rows, ""))
      return true
    end)
    self.good = self.good and good
  else
    say_error(("there is no \\%s: \\? shows what there is"):format(word))
    self.good = false
  end
end

-- Runs a statement of the list and says what is wrong with it. Was it good?
function Shell:run(statement)
  if self.conn.lease:state() == "closed" then
    say_error "the connection was lost: this is a new one"
    self.conn = self.connect()
  end
  local ok, done, err = pcall(run, self.conn, statement)
  if ok and done then return true end
  say_error(ok and err or done, not terminal.interactive and statement.line)
  return false
end

-- Runs what is whole in the text that was read. All of it is one task: Ctrl-C ends it wherever it is.
function Shell:take(is_end)
  local list, rest = split(self.text, self.conn.place.dialect, self.line)
  local whole = is_end and #list or rest and #list - 1 or #list
  local good = whole == 0 or attempt(function()
    local all = true
    for i = 1, whole do all = self:run(list[i]) and all end
    self.good = self.good and all
    return true
  end)
  self.good = self.good and good
  local read = rest and self.text:sub(1, rest - 1) or self.text
  self.line = self.line + select(2, read:gsub("\n", ""))
  self.text = rest and not is_end and self.text:sub(rest) or ""
end

-- Reads and runs until the input ends. The exit status.
function Shell:loop()
  while true do
    local line, why = lines.next(self:prompt(), function() end)
    if line then
      if terminal.interactive and line:find "%S" then terminal.remember(line) end
      if self.text == "" and line:find "^%s*\\" then
        self.line = self.line + 1
        if self:command(line:match "^%s*(.*)") then break end
      else
        self.text = self.text .. line .. "\n"
        if line:find(";", 1, true) or not self.text:find "%S" then self:take(false) end
      end
    elseif why == "SIGTERM" then
      os.exit(143)
    elseif why == "SIGINT" then
      if not terminal.interactive then os.exit(130) end
      self.text = ""
    else
      if not terminal.interactive then self:take(true) end
      break
    end
  end
  return (self.good or terminal.interactive) and 0 or 1
end

--- shell(url) -> the exit status: 1 if a statement from a pipe or a file failed. Raises what is in the way of a
-- connection.
return function(url)
  local function connect()
    local conn = migrate.connect_existing(url, { time = "text" })
    local good, err = conn:query "select 1"
    if good then return conn end
    conn:__close()
    return files.need(nil, err)
  end
  local shell = setmetatable({ connect = connect, conn = connect(), text = "", line = 1, good = true }, Shell)
  if terminal.interactive then
    io.stdout:write(shell.conn.place.url, "; \\? explains, Ctrl-D leaves.\n")
  end
  local status = shell:loop()
  shell.conn:__close()
  return status
end
