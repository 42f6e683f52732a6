--- Lua code as words: what is needed to find the modules and folders that it names, without running it.
local M = {}

-- Where the long bracket that begins at `at` ends; nil if none begins there.
local function long_end(text, at)
  local level = text:match("^%[(=*)%[", at)
  if not level then return nil end
  local _, last = text:find("]" .. level .. "]", at, true)
  return last or #text
end

-- Where the string that begins at `at` ends.
local function short_end(text, at)
  local quote = text:sub(at, at)
  local i = at + 1
  while i <= #text do
    local c = text:sub(i, i)
    if c == quote then return i end
    i = i + (c == "\\" and 2 or 1)
  end
  return #text
end

-- The value of a string as it is written.
local function value_of(literal)
  local f = load("return " .. literal, "=string", "t", {})
  return f and f()
end

--- read(text) -> list of {kind, text, line}: kind is "name", "string" (`text` is its value) or "symbol". Numbers
-- are names.
function M.read(text)
  local list, at, line = {}, 1, 1
  local function add(kind, first, last, value)
    list[#list + 1] = { kind = kind, text = value or text:sub(first, last), line = line }
  end
  local function pass(first, last)
    for _ in text:sub(first, last):gmatch "\n" do line = line + 1 end
    at = last + 1
  end
  if text:sub(1, 1) == "#" then pass(1, (text:find "\n" or #text + 1) - 1) end
  while at <= #text do
    local c = text:sub(at, at)
    local _, last = text:find("^%s+", at)
    if last then
      pass(at, last)
    elseif text:find("^%-%-", at) then
      pass(at, long_end(text, at + 2) or (text:find("\n", at, true) or #text + 1) - 1)
    elseif c == '"' or c == "'" or long_end(text, at) then
      last = long_end(text, at) or short_end(text, at)
      add("string", at, last, value_of(text:sub(at, last)) or "")
      pass(at, last)
    else
      _, last = text:find("^[%w_\128-\255]+", at)
      if last then add("name", at, last) end
      if not last then
        _, last = text:find("^%.%.+", at)
        last = last or at
        add("symbol", at, last)
      end
      pass(at, last)
    end
  end
  return list
end

return M
