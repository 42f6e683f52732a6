--- Rows as an aligned table, for people.
local shown = require "moonloop.log.core".shown

-- The columns of a terminal that a text takes: its characters.
local function width(text) return utf8.len(text) or #text end

local function is_number(value) return type(value) == "number" end

local function show(value, null)
  if value == nil then return null or "" end
  return (shown(tostring(value)):gsub("\t", "\\t"))
end

--- table_text(names, rows [, null]) -> text. Each row is a list of values with the length of `names`; nil is
-- shown as `null`, or nothing. A column of numbers is aligned to the right.
return function(names, rows, null)
  local widths, right, texts = {}, {}, {}
  for i, name in ipairs(names) do widths[i], right[i] = width(show(name)), #rows > 0 end
  for r, row in ipairs(rows) do
    texts[r] = {}
    for i = 1, #names do
      local text = show(row[i], null)
      texts[r][i] = text
      widths[i] = math.max(widths[i], width(text))
      if row[i] ~= nil and not is_number(row[i]) then right[i] = false end
    end
  end
  local function line(cells)
    local parts = {}
    for i, text in ipairs(cells) do
      local space = (" "):rep(widths[i] - width(text))
      parts[i] = right[i] and space .. text or text .. space
    end
    return (table.concat(parts, " | "):match "^(.*%S)" or "") .. "\n"
  end
  local head, rule = {}, {}
  for i, name in ipairs(names) do
    head[i] = show(name)
    rule[i] = ("-"):rep(widths[i])
  end
  local out = { line(head), table.concat(rule, "-+-"), "\n" }
  for r = 1, #rows do out[#out + 1] = line(texts[r]) end
  return table.concat(out)
end
