--- Values as short texts, for the page about an error. Nothing of the program runs for it: no metamethod is
-- called, and tables are read raw.
local secrets = require "moonloop.dev.secrets"

local M = {}

local DEPTH, ITEMS, KEYS, STRING, BYTES = 3, 20, 200, 200, 2000

local ESCAPES = { ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t", ["\\"] = "\\\\", ['"'] = '\\"' }

local function escape_byte(c) return ESCAPES[c] or ("\\x%02X"):format(c:byte()) end

--- The text with bytes that are not UTF-8 as escapes.
function M.utf8(text)
  if utf8.len(text) then return text end
  return (text:gsub("[\x80-\xFF]", escape_byte))
end

local function quote(text)
  local cut = secrets.urls(text:sub(1, 4 * STRING)) -- before it is cut where a password may be
  local is_cut = #cut > STRING or #text > 4 * STRING
  if #cut > STRING then
    local most = STRING
    while most > 1 and cut:find("^[\x80-\xBF]", most + 1) do most = most - 1 end
    cut = cut:sub(1, most)
  end
  cut = M.utf8((cut:gsub('[%c\\"]', escape_byte)))
  return is_cut and ('"%s" ... (%d bytes)'):format(cut, #text) or '"' .. cut .. '"'
end

local function show_function(f)
  local info = debug.getinfo(f, "S")
  return info.what == "C" and "a C function" or ("function (%s:%d)"):format(info.short_src, info.linedefined)
end

--- The name that the value's metatable has for its kind.
local function class_of(v)
  local meta = debug.getmetatable(v)
  local name = type(meta) == "table" and rawget(meta, "__name")
  if name == "moonloop.web.core.request" then return "the request" end -- which the page shows
  return type(name) == "string" and name or nil
end

local function by_kind(a, b)
  local ka, kb = type(a), type(b)
  if ka ~= kb then return ka < kb end
  if ka == "number" or ka == "string" then return a < b end
  return false
end

local show

local function show_table(t, state, depth)
  if state.open[t] then return "(itself)" end
  local class = class_of(t)
  local before = class and class .. " " or ""
  if next(t) == nil then return before .. "{}" end
  if depth >= DEPTH then return before .. "{...}" end
  local keys, more = {}, false
  for key in next, t do
    if #keys == KEYS then
      more = true
      break
    end
    keys[#keys + 1] = key
  end
  table.sort(keys, by_kind)
  state.open[t] = true
  local items = {}
  for i, key in ipairs(keys) do
    if i > ITEMS or state.left <= 0 then
      items[#items + 1] = more and "..." or ("... %d more"):format(#keys - i + 1)
      break
    end
    local value = rawget(t, key)
    local text
    if secrets.is_secret(key) then text = state.hide(value) else text = show(value, state, depth + 1) end
    if key ~= i then
      local is_name = type(key) == "string" and key:find "^[%a_][%w_]*$"
      text = (is_name and key or "[" .. show(key, state, DEPTH) .. "]") .. " = " .. text
    end
    items[#items + 1] = text
    state.left = state.left - #text
  end
  state.open[t] = nil
  return before .. "{" .. table.concat(items, ", ") .. "}"
end

function show(v, state, depth)
  local kind = type(v)
  if kind == "string" then return quote(v) end
  if kind == "function" then return show_function(v) end
  if kind == "table" then return show_table(v, state, depth) end
  if kind == "userdata" or kind == "thread" then return class_of(v) or kind end
  return tostring(v) -- nil, a boolean or a number, which have no metatables unless somebody sets them
end

--- The value as a text of at most about 2,000 bytes, tables to a depth of 3. `hide(value)` is called for the values
-- of keys that are secret.
function M.text(v, hide)
  local text = show(v, { open = {}, left = BYTES, hide = hide }, 0)
  return #text <= BYTES + STRING and text or M.utf8(text:sub(1, BYTES)) .. " ..."
end

return M
