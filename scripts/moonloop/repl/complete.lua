-- What TAB can add to a half-typed line: globals, fields and methods. It looks without running any
-- code of the user's: `__index` is followed where it is a table.

local complete = {}

local keywords = {"and", "break", "do", "else", "elseif", "end", "false", "for", "function", "goto",
  "if", "in", "local", "nil", "not", "or", "repeat", "return", "then", "true", "until", "while"}

local CHAIN = 10 -- `__index` tables followed at most

-- The tables in which the fields of `v` are looked up, first first.
local function places(v)
  local list = {}
  for _ = 1, CHAIN do
    if type(v) == "table" then list[#list + 1] = v end
    local meta = debug.getmetatable(v)
    local index = type(meta) == "table" and rawget(meta, "__index")
    if type(index) ~= "table" then break end
    v = index
  end
  return list
end

local function field(v, name)
  for _, t in ipairs(places(v)) do
    local found = rawget(t, name)
    if found ~= nil then return found end
  end
end

local function common_prefix(names)
  local first, last = names[1], names[#names] -- they are sorted
  local n = 0
  while n < #first and first:byte(n + 1) == last:byte(n + 1) do n = n + 1 end
  return first:sub(1, n)
end

--- What fits the end of `line` (the text up to the cursor).
--- @param line string
--- @param globals table where the first name of a path is looked up
--- @return string|nil the text to insert, or nil when nothing fits
--- @return table|nil the names that fit, sorted, when they are several
function complete.line(line, globals)
  line = line:gsub("^.*%.%.", " ") -- what is left of a concatenation says nothing
  local path, word = line:match("([%a_][%w_%.:]*[%.:])([%w_]*)$")
  if path then
    local before = line:sub(1, #line - #path - #word)
    if before:find("[%w_%.:%]%)\"']$") then return nil end -- the value of an expression: not known
  else
    word = line:match("[%a_][%w_]*$") or ""
    if line:sub(1, #line - #word):find("[%.:%d]$") then return nil end -- a.[TAB], 0x[TAB]
  end
  local value, methods_only = globals, false
  if path then
    for name, separator in path:gmatch("([%w_]+)([%.:])") do
      value = field(value, name)
      if value == nil then return nil end
      methods_only = separator == ":"
    end
  end
  local names, seen = {}, {}
  local function offer(name, v)
    if type(name) ~= "string" or seen[name] or name:sub(1, #word) ~= word then return end
    if not name:find("^[%a_][%w_]*$") then return end
    if methods_only and type(v) ~= "function" then return end
    if word == "" and name:sub(1, 2) == "__" then return end
    seen[name] = true
    names[#names + 1] = name
  end
  for _, t in ipairs(places(value)) do
    for k, v in next, t do offer(k, v) end
  end
  if not path and word ~= "" then
    for _, k in ipairs(keywords) do offer(k) end
  end
  if #names == 0 or (not path and word == "") then return nil end
  table.sort(names)
  return common_prefix(names):sub(#word + 1), #names > 1 and names or nil
end

--- Names in columns, as `ls` shows them.
--- @param names table
--- @param width integer columns of the terminal
--- @return string lines, each with its newline
function complete.columns(names, width)
  local longest = 0
  for _, name in ipairs(names) do longest = math.max(longest, #name) end
  local columns = math.max(1, width // (longest + 2))
  local rows = (#names + columns - 1) // columns
  local lines = {}
  for row = 1, rows do
    local cells = {}
    for i = row, #names, rows do cells[#cells + 1] = names[i] .. (" "):rep(longest + 2 - #names[i]) end
    lines[row] = table.concat(cells):gsub("%s+$", "")
  end
  return table.concat(lines, "\n") .. "\n"
end

return complete
