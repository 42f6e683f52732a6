-- Values as text for people: what the prompt prints for a result.

local show = {}

local WIDTH = 80 -- a table that fits into this many columns stays on one line
local DEPTH = 4  -- tables below this are shown as {...}
local ITEMS = 100 -- of one table
local ALL_ITEMS = 1000 -- of all tables of a result
local KEYS = 10000 -- items of one table that are looked at
local STRING = 200 -- bytes of a string inside a table
local TEXT = 10000 -- bytes of a string that is itself a result
local RESULTS = 50

local keywords = {}
for word in ([[and break do else elseif end false for function goto if in local nil not or repeat
    return then true until while]]):gmatch("%a+") do
  keywords[word] = true
end

local escapes = {["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t", ["\\"] = "\\\\", ['"'] = '\\"'}

local function escape_byte(c) return escapes[c] or ("\\x%02X"):format(c:byte()) end

local function escape_bytes(s) return (s:gsub(".", escape_byte)) end

-- A string in double quotes, with escapes for control characters, what turns the order around, and invalid UTF-8.
local function quote(s)
  local text = s:gsub('[%c\\"]', escape_byte)
  if not utf8.len(text) then
    text = text:gsub("[\x80-\xFF]", escape_byte)
  else
    text = text:gsub("\xC2[\x80-\x9F]", escape_bytes):gsub("\xE2\x80[\xA8-\xAE]", escape_bytes)
      :gsub("\xE2\x81[\xA6-\xA9]", escape_bytes)
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

-- At most `most` bytes of a text, in whole characters, followed by the count of bytes left out.
local function shorten(text, most, write)
  if #text <= most then return write(text) end
  local cut = most
  while cut > 1 and text:find("^[\x80-\xBF]", cut + 1) do cut = cut - 1 end
  return ("%s... (%d bytes)"):format(write(text:sub(1, cut)), #text)
end

local function plain(text) return text end

-- The value's own __tostring, if it has one; an error in it is shown, not raised.
local function show_tostring(v)
  local ok, text = pcall(tostring, v)
  if ok then return shorten(text, TEXT, plain) end
  return ("<%s whose __tostring failed: %s>"):format(type(v), tostring(text))
end

local show_value

local function show_key(key, indent, depth, open)
  if type(key) == "string" and key:find("^[%a_][%w_]*$") and not keywords[key] then return key end
  return "[" .. show_value(key, indent, depth, open) .. "]"
end

-- The items of the table to show, as texts; how many of them belong to its list; and the note about the
-- others, or nil. `open.left` is how many more items may be shown in total.
local function items_of(t, inner, depth, open)
  local items, length, size = {}, 0, rawlen(t)
  local function full()
    if #items >= ITEMS or open.left <= 0 then return true end
    open.left = open.left - 1
  end
  while rawget(t, length + 1) ~= nil and not full() do
    length = length + 1
    items[length] = show_value(rawget(t, length), inner, depth + 1, open)
  end
  local last = rawget(t, length + 1) ~= nil and math.max(size, length) or length -- items of the list
  local keys, looked_at, more = {}, 0, nil
  for k in next, t do
    looked_at = looked_at + 1
    if looked_at > KEYS then
      more = "... more"
      break
    end
    if not (math.type(k) == "integer" and k >= 1 and k <= last) then keys[#keys + 1] = k end
  end
  table.sort(keys, by_key)
  local shown = 0
  for _, k in ipairs(keys) do
    if full() then break end
    shown = shown + 1
    items[#items + 1] = show_key(k, inner, depth + 1, open) .. " = "
      .. show_value(rawget(t, k), inner, depth + 1, open)
  end
  local left_out = last - length + #keys - shown
  if left_out > 0 and not more then more = ("... %d more"):format(left_out) end
  return items, length, more
end

local function show_table(t, indent, depth, open)
  if open[t] then return "<cycle>" end
  if next(t) == nil then return "{}" end
  if depth >= DEPTH or open.left <= 0 then return "{...}" end
  open[t] = true
  local inner = indent .. "  "
  local items, length, more = items_of(t, inner, depth, open)
  items[#items + 1] = more
  open[t] = nil
  local line = "{" .. table.concat(items, ", ") .. "}"
  if #indent + #line <= WIDTH and not line:find("\n", 1, true) then return line end
  -- many short items (a list of numbers): several per line
  local lines, current = {}, inner
  for i, item in ipairs(items) do
    local piece = i < #items and item .. "," or item
    local packs = (i <= length or item == more) and not item:find("\n", 1, true)
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
    return shorten(v, depth > 0 and STRING or TEXT, quote)
  elseif kind == "function" then
    return show_function(v)
  elseif kind == "table" then
    local meta = debug.getmetatable(v)
    if meta and type(rawget(meta, "__tostring")) == "function" then return show_tostring(v) end
    return show_table(v, indent, depth, open)
  end
  return show_tostring(v)
end

--- The value as text: strings quoted, tables with sorted keys to a depth of 4, <cycle> for a table inside
--- itself, `__tostring` if a value has it. The length is bounded for any value. Never raises.
--- @param v any
--- @return string
function show.value(v) return show_value(v, "", 0, {left = ALL_ITEMS}) end

--- Several results on one line, or each on its own lines if one is long.
--- @param values table with `n`, as table.pack makes it
--- @return string
function show.values(values)
  local texts, long = {}, false
  for i = 1, math.min(values.n, RESULTS) do
    texts[i] = show.value(values[i])
    long = long or texts[i]:find("\n", 1, true) ~= nil
  end
  if values.n > RESULTS then texts[RESULTS + 1] = ("... %d more"):format(values.n - RESULTS) end
  return table.concat(texts, long and "\n" or "\t")
end

return show
