--- A program on a terminal, and the screen that a person would see: `screen.open` starts it,
-- `type` types, `expect` waits until the screen shows a text, `lines` is the screen.
local pty = require "pty"

local Screen = {}
Screen.__index = Screen

local WAIT = 100 -- seconds that a text may take to appear

--- screen.open(columns, program, ...): a screen of so many columns and enough rows.
function Screen.open(columns, ...)
  return setmetatable({pty = pty.open(columns, 50, ...), columns = columns, rows = {{}}, row = 1, column = 1,
    pending = ""}, Screen)
end

local function put(self, char)
  if self.column > self.columns then self.row, self.column = self.row + 1, 1 end
  self.rows[self.row] = self.rows[self.row] or {}
  self.rows[self.row][self.column] = char
  self.column = self.column + 1
end

local function shift(row, from, by, columns)
  local old = table.move(row, 1, columns + math.abs(by), 1, {})
  for i = from, columns do row[i] = old[i + by] end
  if by < 0 then for i = from, from - by - 1 do row[i] = " " end end
end

local controls = {
  A = function(self, n) self.row = math.max(1, self.row - n) end,
  B = function(self, n) self.row = self.row + n end,
  C = function(self, n) self.column = math.min(self.columns, self.column + n) end,
  D = function(self, n) self.column = math.max(1, math.min(self.column, self.columns) - n) end,
  G = function(self, n) self.column = n end,
  P = function(self, n) shift(self.rows[self.row], self.column, n, self.columns) end,
  ["@"] = function(self, n) shift(self.rows[self.row], self.column, -n, self.columns) end,
  K = function(self) for i = self.column, self.columns do self.rows[self.row][i] = nil end end,
  J = function(self)
    for i = self.column, self.columns do self.rows[self.row][i] = nil end
    for i = self.row + 1, #self.rows do self.rows[i] = {} end
  end,
  H = function(self) self.row, self.column = 1, 1 end,
  m = function() end, h = function() end, l = function() end,
}

-- Shows what the program wrote.
local function show(self, data)
  data = self.pending .. data
  self.pending = ""
  local at = 1
  while at <= #data do
    local rest = data:sub(at)
    local parameter, final = rest:match("^\27%[([%d;?]*)([%a@])")
    if final then
      local control = assert(controls[final], "a control sequence that the specs do not know: CSI " .. final)
      local n = tonumber(parameter) or 1
      if final == "H" or (final == "J" and parameter == "2") then
        self.rows, self.row, self.column = {{}}, 1, 1
      else
        control(self, n)
      end
      at = at + 2 + #parameter + 1
    elseif rest:find("^\27%[?[%d;?]*$") then
      self.pending = rest
      return
    elseif rest:find("^\27") then
      at = at + 2
    else
      local char = rest:match("^[%z\1-\127]") or rest:match("^[\xC2-\xF4][\x80-\xBF]+")
      if not char then
        self.pending = rest
        return
      end
      if char == "\r" then self.column = 1
      elseif char == "\n" then self.row = self.row + 1
      elseif char == "\b" then self.column = math.max(1, math.min(self.column, self.columns) - 1)
      elseif char == "\t" then self.column = (self.column - 1) // 8 * 8 + 9
      elseif char ~= "\a" then put(self, char) end
      at = at + #char
    end
    self.rows[self.row] = self.rows[self.row] or {}
  end
end

--- The rows of the screen up to the last that is not empty, as strings.
function Screen:lines()
  local lines = {}
  for i = 1, math.max(self.row, #self.rows) do
    local cells = {}
    for j = 1, self.columns do cells[j] = self.rows[i] and self.rows[i][j] or " " end
    lines[i] = table.concat(cells):gsub("%s+$", "")
  end
  while lines[#lines] == "" do lines[#lines] = nil end
  return lines
end

function Screen:text() return table.concat(self:lines(), "\n") end

--- Types the bytes.
function Screen:type(bytes) self.pty:write(bytes) end

--- Waits until the screen's text ends with `text`; raises what it shows instead.
function Screen:expect(text)
  local limit = os.time() + WAIT
  while self:text():sub(-#text) ~= text do
    local data = self.pty:read(0.2)
    if data == nil or os.time() > limit then
      error(("expected at the end of the screen:\n%s\nbut it is:\n%s"):format(text, self:text()), 2)
    end
    show(self, data)
  end
end

--- Reads what is still to come until the program ends; returns its exit status.
function Screen:finish()
  local limit = os.time() + WAIT
  while os.time() <= limit do
    local data = self.pty:read(0.2)
    if data == nil then break end
    show(self, data)
  end
  return self.pty:wait(WAIT)
end

function Screen:close() self.pty:close() end

return Screen
