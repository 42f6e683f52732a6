-- Values as text for people: what the prompt prints for a result.

local show = {}

local WIDTH = 80 -- a table that fits into this many columns stays on one line
local DEPTH = 4  -- tables below this are shown as {...}
local ITEMS = 100 -- of one table
local STRING = 200 -- bytes of a string inside a table

local keywords = {}
for word in ([[and break do else elseif end false for function goto if in local nil not or repeat
    return then true until while]]):gmatch("%a+") do
  keywords[word] = true
end

local escapes = {["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t", ["\\"] = "\\\\", ['"'] = '\\"'}

local function escape_byte(c) return escapes[c] or ("\\x%02X"):format(c:byte()) end

-- A string in double quotes; control characters and what is not UTF-8 as escapes.
local function quote(s)
  local text = s:gsub('[%c\\"]', escape_byte)
  if not utf8.len(text) then
    text = text:gsub("[\x80-\xFF]", escape_byte)
  end
  return '"' .. text .. '"'
end

local function by_key(a, b)
  local ta, tb = math.type(a) and "number" or type(a), math.type(b) and "number" or type(b)
  if ta ~= tb then return ta < tb end
  if ta == "number" or ta == "string" then return a < b end
  return tostring(a) < tostring(b)
end

local function show_function(f)
  local info = debug.getinfo(f, "S")
  if info.what == "C" then return (tostring(f):gsub("builtin: ", "")) end
  return ("%s (%s:%d)"):format(tostring(f), info.short_src, info.linedefined)
end

-- tostring where the value says how; an error in it is shown, not raised.
local function show_tostring(v)
  local ok, text = pcall(tostring, v)
  if ok then return text end
  return ("<%s whose __tostring failed: %s>"):format(type(v), tostring(text))
end

local show_value

local function show_key(key, indent, depth, open)
  if type(key) == "string" and key:find("^[%a_][%w_]*$") and not keywords[key] then return key end
  return "[" .. show_value(key, indent, depth, open) .. "]"
end

local function show_table(t, indent, depth, open)
  if open[t] then return "<cycle>" end
  if next(t) == nil then return "{}" end
  if depth >= DEPTH then return "{...}" end
  open[t] = true
  local inner = indent .. "  "
  local items, left_out, length = {}, 0, 0
  while rawget(t, length + 1) ~= nil do
    length = length + 1
    if #items < ITEMS then
      items[#items + 1] = show_value(rawget(t, length), inner, depth + 1, open)
    else
      left_out = left_out + 1
    end
  end
  local keys = {}
  for k in next, t do
    if not (math.type(k) == "integer" and k >= 1 and k <= length) then keys[#keys + 1] = k end
  end
  table.sort(keys, by_key)
  for _, k in ipairs(keys) do
    if #items < ITEMS then
      items[#items + 1] = show_key(k, inner, depth + 1, open) .. " = "
        .. show_value(rawget(t, k), inner, depth + 1, open)
    else
      left_out = left_out + 1
    end
  end
  if left_out > 0 then items[#items + 1] = ("... %d more"):format(left_out) end
  open[t] = nil
  local line = "{" .. table.concat(items, ", ") .. "}"
  if #indent + #line <= WIDTH and not line:find("\n", 1, true) then return line end
  -- many short items (a list of numbers): several a line
  local lines, current = {}, inner
  for i, item in ipairs(items) do
    local piece = i < #items and item .. "," or item
    local packs = i <= length and not item:find("\n", 1, true)
    if current == inner then
      current = current .. piece
    elseif packs and #current + 1 + #piece <= WIDTH and i > 1 then
      current = current .. " " .. piece
    else
      lines[#lines + 1] = current
      current = inner .. piece
    end
  end
  lines[#lines + 1] = current
  return "{\n" .. table.concat(lines, "\n") .. "\n" .. indent .. "}"
end

function show_value(v, indent, depth, open)
  local kind = type(v)
  if kind == "string" then
    if depth > 0 and #v > STRING then
      local cut = utf8.offset(v, 0, STRING + 1) or STRING + 1
      return ("%s... (%d bytes)"):format(quote(v:sub(1, cut - 1)), #v)
    end
    return quote(v)
  elseif kind == "function" then
    return show_function(v)
  elseif kind == "table" then
    local meta = debug.getmetatable(v)
    if meta and type(rawget(meta, "__tostring")) == "function" then return show_tostring(v) end
    return show_table(v, indent, depth, open)
  end
  return show_tostring(v)
end

--- The value as text: strings quoted, tables with their keys sorted, nested to a depth of 4, a table
--- that holds itself as <cycle>, `__tostring` where a value has it. Never raises.
--- @param v any
--- @return string
function show.value(v) return show_value(v, "", 0, {}) end

--- Several results on one line, or each on its own lines where one is long.
--- @param values table with `n`, as table.pack makes it
--- @return string
function show.values(values)
  local texts, long = {}, false
  for i = 1, values.n do
    texts[i] = show.value(values[i])
    long = long or texts[i]:find("\n", 1, true) ~= nil
  end
  return table.concat(texts, long and "\n" or "\t")
end

return show
