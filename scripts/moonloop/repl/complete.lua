-- What TAB can add to a half-typed line: globals, fields and methods. It never runs the user's code:
-- `__index` is followed only if it is a table. If it is a function, the host's own objects list their
-- names elsewhere: `__methods` and `__names` in their metatables are tables with the names of methods
-- and fields as keys, and a C function has its methods as its first upvalue.

local complete = {}

local keywords = {"and", "break", "do", "else", "elseif", "end", "false", "for", "function", "goto",
  "if", "in", "local", "nil", "not", "or", "repeat", "return", "then", "true", "until", "while"}

local CHAIN = 10 -- `__index` tables followed at most

-- The methods of an `__index` that is a C function.
local function methods_of(index)
  if type(index) ~= "function" or debug.getinfo(index, "S").what ~= "C" then return nil end
  local _, methods = debug.getupvalue(index, 1)
  return type(methods) == "table" and methods or nil
end

-- The tables in which the fields of `v` are looked up, in order; those that list only names of fields;
-- and those that list only names of methods.
local function places(v)
  local list, named, methods = {}, {}, {}
  for _ = 1, CHAIN do
    if type(v) == "table" then list[#list + 1] = v end
    local meta = debug.getmetatable(v)
    if type(meta) ~= "table" then break end
    local own = rawget(meta, "__methods")
    local parts = type(own) == "table" and debug.getmetatable(own) or {}
    list[#list + 1], named[#named + 1] = own, rawget(meta, "__names")
    methods[#methods + 1] = rawget(parts, "__names")
    v = rawget(meta, "__index")
    v = methods_of(v) or v
    if type(v) ~= "table" then break end
  end
  return list, named, methods
end

local function field(v, name)
  local list, named = places(v)
  for _, t in ipairs(list) do
    local found = rawget(t, name)
    if found ~= nil then return found end
  end
  for _, t in ipairs(named) do -- a part of the host that is loaded on first use
    if rawget(t, name) ~= nil and type(v) == "table" then return v[name] end
  end
end

local function common_prefix(names)
  local first, last = names[1], names[#names] -- they are sorted
  local n = 0
  while n < #first and first:byte(n + 1) == last:byte(n + 1) do n = n + 1 end
  return first:sub(1, n)
end

--- Finds completions for the end of `line` (the text up to the cursor).
--- @param line string
--- @param globals table in which the first name of a path is looked up
--- @return string|nil the text to insert, or nil when nothing fits
--- @return table|nil the names that fit, sorted, if there are several
function complete.line(line, globals)
  line = line:gsub("^.*%.%.", " ") -- the left side of a concatenation does not matter
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
  local list, named, methods = places(value)
  for _, t in ipairs(list) do
    for k, v in next, t do offer(k, v) end
  end
  for _, t in ipairs(named) do
    for k in next, t do offer(k) end
  end
  for _, t in ipairs(methods) do
    for k in next, t do offer(k, places) end -- any function will do: it is loaded when called
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
