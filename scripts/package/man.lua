--- Turns doc/reference/command-line.md into the source of the manual page, for scdoc: man.lua PAGE.md VERSION >OUT
local page = assert(io.open(arg[1])):read "a"
local out = {}

local function add(line) out[#out + 1] = line end

-- scdoc's own marks must not be seen in text; code is bold, links are their text.
local function inline(text)
  local codes = {}
  text = text:gsub("`([^`]+)`", function(code)
    codes[#codes + 1] = "*" .. code:gsub("[\\*_]", "\\%0") .. "*"
    return "\1" .. #codes .. "\2"
  end)
  text = text:gsub("%[([^%]]+)%]%([^%)]+%)", "%1")
  text = text:gsub("%*%*([^*]+)%*%*", "\3%1\4"):gsub("[\\*_]", "\\%0"):gsub("\3", "*"):gsub("\4", "*")
  return (text:gsub("\1(%d+)\2", function(i) return codes[tonumber(i)] end))
end

-- A table is a list: its first column, and the others below it.
local function row(cells)
  add(cells[1])
  local rest = {}
  for i = 2, #cells do rest[#rest + 1] = cells[i] end
  if #rest == 2 and rest[1] ~= "" then rest[1] = "(" .. rest[1] .. ")" end
  add("\t" .. table.concat(rest, " "))
  add ""
end

local function cells_of(line)
  local cells = {}
  for cell in line:sub(2):gmatch "%s*(.-)%s*|" do cells[#cells + 1] = inline(cell) end
  return cells
end

add("moonloop(1) \"\" \"moonloop " .. arg[2] .. "\"")
add ""
add "# NAME"
add ""
add "moonloop - async API host for Lua 5.4"
add ""
add "# SYNOPSIS"
add ""

local is_literal, paragraph = false, {}

local function flush()
  if paragraph[1] then add(inline(table.concat(paragraph, " "))) end
  paragraph = {}
end

for line in page:gmatch "([^\n]*)\n" do
  local level, title = line:match "^(#+) (.*)"
  local code = line:match "^    (.*)"
  if is_literal and not code then
    add "```"
    is_literal = false
  end
  if level then
    flush()
    if level == "##" then add("# " .. inline(title):upper()) end
    if level == "###" then add("## " .. inline(title)) end
  elseif code and not paragraph[1] then
    if not is_literal then add "```" end
    is_literal = true
    add(code)
  elseif line:find "^|%-%-%-" then
    out[#out] = nil -- the blank line, the cells and the name of the first column: a heading
    out[#out] = nil
    out[#out] = nil
  elseif line:find "^|" then
    flush()
    row(cells_of(line))
  elseif line:find "^%- " then
    flush()
    paragraph[1] = line
  else
    if line == "" then
      flush()
      add ""
    else
      paragraph[#paragraph + 1] = line
    end
  end
end
flush()
add "# SEE ALSO"
add ""
add "*lua*(1), and the documentation in /usr/share/doc/moonloop"
io.write(table.concat(out, "\n"):gsub("\n\n\n+", "\n\n"), "\n")
