--- Writes the types for LuaLS from the pages of doc/reference/, so that both say the same: types.lua [FOLDER], in the
-- root of the project; scripts/types by default. spec/house/types_spec.lua compares them with the code.
local here = arg[0]:match "^(.*/)" or "./"
package.path = here .. "?.lua;" .. package.path
local known = require "type_names"
local lfs = require "lfs"

local OWNERS, PARENTS, OPEN = known.OWNERS, known.PARENTS, known.OPEN
local NAMES, OWN_NAMES, WORDS = known.NAMES, known.OWN_NAMES, known.WORDS

local PAGES, TO = "doc/reference/", arg[1] or "scripts/types"
local SKIPPED = { ["README.md"] = true, ["c-api.md"] = true, ["command-line.md"] = true }

-- --- which class an object is ---

local function class_of(page, owner)
  local own = OWNERS[page] and OWNERS[page][owner]
  if own then return own end
  if owner == "ml" then return "moonloop" end
  local module = owner:match "^ml%.(.+)$"
  if module then return "moonloop." .. module end
  local stem = page:gsub("%.md$", ""):gsub("%-.*", "")
  return (stem == "ml" and "moonloop." or "moonloop." .. stem .. ".") .. owner
end

-- --- types of names and words ---

--- The type of an option or a field, from the words of its cell.
local function type_of_words(text)
  if not text then return "any" end
  local list, seen = {}, {}
  for word in text:gsub(" or ", ", "):gmatch "[^,]+" do
    word = word:gsub("^%s+", ""):gsub("%s+$", "")
    local word_type = WORDS[word]
    if not word_type then return "any" end
    if not seen[word_type] then list[#list + 1] = word_type end
    seen[word_type] = true
  end
  return list[1] and table.concat(list, "|") or "any"
end

-- --- pages ---

local function read(path)
  local file = assert(io.open(path))
  local text = file:read "a"
  file:close()
  return text
end

--- The text of a line without marks of Markdown that an editor would not show.
local function plain(line) return (line:gsub("%[([^%]]*)%]%([^%)]*%)", "%1")) end

local function cells(line)
  local list = {}
  for cell in line:sub(2):gsub("\\|", "\1"):gmatch "%s*(.-)%s*|" do list[#list + 1] = (cell:gsub("\1", "|")) end
  return list
end

-- What the columns of tables of options and fields are; every other one explains.
local COLUMNS = { option = "names", field = "names", type = "type", default = "default", environment = "variable" }

--- A row of such a table, by the titles of its columns: {names =, type =, default =, about =, has_type =}. What is
-- empty is nil; `has_type`: the table has that column.
local function row_of(titles, texts)
  local row = {}
  for i, title in ipairs(titles) do
    row[COLUMNS[title] or "about"] = texts[i] ~= "" and texts[i] or nil
    row.has_type = row.has_type or title == "type"
  end
  return row
end

--- The sections of a page: {signature =, about = first paragraph, options = rows, fields = rows, is_empty =}.
local function sections_of(page)
  local list, section, rows, titles, is_code = {}, nil, nil, nil, false
  local is_over
  for line in (read(PAGES .. page) .. "\n"):gmatch "([^\n]*)\n" do
    if line:find "^```" then is_code = not is_code end
    local title = not is_code and line:match "^#+ (.*)"
    if title then
      section = { signature = title:match "^`(.*)`$", about = {}, options = {}, fields = {}, is_empty = true }
      list[#list + 1] = section
      rows, is_over = nil, false
    elseif section and not is_code and line:find "^|" then
      local texts = cells(line)
      if texts[1] == "option" or texts[1] == "field" then
        rows, titles = texts[1] == "option" and section.options or section.fields, texts
      elseif rows and not line:find "^|%-" then
        rows[#rows + 1] = row_of(titles, texts)
      end
      section.is_empty = false
    elseif section and not is_code then
      rows = nil
      if line == "" then
        is_over = section.about[1] ~= nil
      elseif not is_over and not line:find "^```" then
        section.about[#section.about + 1] = plain(line)
      end
      if line ~= "" then section.is_empty = false end
    elseif not section and not is_code and line:find "^|" then -- before the first heading
      rows = nil
    end
  end
  return list
end

-- --- signatures ---

--- The arguments of a signature: a list of {name =, is_optional =, depth = how many brackets are around it}.
local function arguments_of(text)
  local list, depth, word, was_open = {}, 0, "", false
  local function add()
    local name = word:gsub("|.*", ""):gsub("%s", "")
    if name:find "^{" then name = "opts" end
    if name ~= "" then list[#list + 1] = { name = name, is_optional = was_open, depth = depth } end
    word = ""
  end
  for c in text:gmatch "." do
    if c == "[" then
      if word:find "%S" then add() end
      depth = depth + 1
    elseif c == "," or c == "]" then
      if word:find "%S" then
        was_open = depth > 0
        add()
      end
      if c == "]" then depth = depth - 1 end
    else
      if word == "" then was_open = depth > 0 end
      word = word .. c
    end
    if word:find "^%s*$" then was_open = depth > 0 end
  end
  if word:find "%S" then
    was_open = depth > 0
    add()
  end
  return list
end

--- The results as a list of lists of names, one for each of what may come back.
local function results_of(text)
  local list = {}
  for one in (text .. " | "):gmatch "(.-) | " do
    local names = {}
    for name in one:gsub("[%[%]]", ""):gmatch "[^,%s]+" do names[#names + 1] = name end
    list[#list + 1] = names
  end
  return list
end

-- --- what is known of all pages ---

local classes, order = {}, {} -- name -> {name =, page =, members = list}

local function class(name, page)
  if not classes[name] then
    classes[name] = { name = name, page = page, members = {}, has = {} }
    order[#order + 1] = name
  end
  return classes[name]
end

local function add_member(owner, member)
  if owner.has[member.name] then return end -- two pages tell of it
  owner.has[member.name] = true
  owner.members[#owner.members + 1] = member
end

local owners = {} -- page -> owner -> class

local function name_type(page, f, name)
  local own = OWN_NAMES[page .. " " .. f] or {}
  local of_page = OWN_NAMES[page] or {}
  return own[name] or of_page[name] or owners[page][name] or NAMES[name] or "any"
end

--- What the row says, as the end of a line: " how often (3)".
local function about_row(row)
  local default = row.default and row.default ~= "required" and (" (%s)"):format(plain(row.default)) or ""
  return (row.about and " " .. plain(row.about) or "") .. default
end

--- The lines of a class of options.
local function options_class(name, rows)
  local lines, seen = { ("---@class %s"):format(name) }, {}
  for _, row in ipairs(rows) do
    for code in row.names:gmatch "`([^`]+)`" do
      local option = code:match "^[%w_]+"
      local mark = row.default == "required" and "" or "?"
      if option and not seen[option] then
        seen[option] = true
        lines[#lines + 1] = ("---@field %s%s %s%s"):format(option, mark, type_of_words(row.type), about_row(row))
      end
    end
  end
  return lines
end

local function add_function(page, section, owner, name, is_method, arguments, results, last)
  local of = class(class_of(page, owner), page)
  local member = { name = name, is_function = true, is_method = is_method, about = section.about,
    arguments = arguments_of(arguments), overloads = {} }
  local has_options = false
  for _, argument in ipairs(member.arguments) do
    has_options = has_options or argument.name == "opts" or argument.name == "options"
  end
  for _, argument in ipairs(member.arguments) do
    argument.type = name_type(page, name, argument.name)
    local is_options = argument.name == "opts" or argument.name == "options" or not has_options
      and (argument.name == "spec" or argument.name == "fields" or argument.name == "request")
    if is_options and section.options[1] then
      argument.type = ("%s.%s.opts"):format(of.name, name)
      member.options = options_class(argument.type, section.options)
    elseif is_options and section.is_empty and last and last.opts then
      argument.type = last.opts
    end
    if is_options then member.opts = argument.type end
  end
  local returns = {}
  for _, names in ipairs(results and results_of(results) or {}) do
    for i, result in ipairs(names) do
      returns[i] = returns[i] or { types = {}, count = 0 }
      local kind = name_type(page, name, result)
      if result == "..." then returns[i].is_rest = true end
      if not returns[i].types[kind] then table.insert(returns[i].types, kind) end
      returns[i].types[kind], returns[i].count = true, returns[i].count + 1
      returns[i].name = returns[i].name or result:match "^%a[%w_]*$"
    end
  end
  local alternatives = results and #results_of(results) or 0
  for _, one in ipairs(returns) do
    if one.count < alternatives and not one.types["nil"] then table.insert(one.types, "nil") end
  end
  member.returns = returns
  add_member(of, member)
  return member
end

local function add_field(page, owner, name, row, about)
  local own = OWN_NAMES[page .. " " .. owner] or {}
  add_member(class(class_of(page, owner), page), { name = name, type = own[name] or type_of_words(row and row.type),
    about = about or { row and about_row(row):sub(2) or "" } })
end

local function read_page(page)
  local last
  for _, section in ipairs(sections_of(page)) do
    local signature = section.signature or ""
    local head, results = signature:match "^(.-) %-> (.*)$"
    head = head or signature
    local owner, mark, name, arguments = head:match "^([%w_.]-)([.:])([%w_]+)%((.*)%)$"
    if owner then
      last = add_function(page, section, owner, name, mark == ":", arguments, results, last)
    else
      owner, name = head:match "^([%w_.]+)%.([%w_]+)$"
      if owner then add_field(page, owner, name, nil, section.about) end
    end
    for _, row in ipairs(section.fields) do
      for code in row.names:gmatch "`([^`]+)`" do -- "about.size"
        local of, field = code:match "^([%w_.]+)%.([%w_]+)$"
        if of and of == owner and not row.has_type then -- another function like it
          local like = { about = { plain(row.about) }, options = {}, is_empty = true }
          add_function(page, like, owner, field, mark == ":", arguments, results, last)
        elseif of then
          add_field(page, of, field, row)
        end
      end
    end
  end
end

-- --- writing ---

local REQUIRED = { ["moonloop"] = "moonloop", ["moonloop.clock"] = "moonloop/clock" } -- what scripts require

local KEYWORDS = { ["end"] = true, ["repeat"] = true, ["function"] = true, ["local"] = true, ["in"] = true }

local function type_text(types)
  local list, is_nil = {}, false
  for _, one in ipairs(types) do
    if one == "nil" then is_nil = true else list[#list + 1] = one:find "^fun" and "(" .. one .. ")" or one end
  end
  if #list == 0 then return "nil" end
  return table.concat(list, "|") .. (is_nil and (list[2] and "|nil" or "?") or "")
end

local function parameter(argument) return KEYWORDS[argument.name] and argument.name .. "_" or argument.name end

--- May the argument be left out though others follow? "[, opts] [, f]" says so, and "[, from [, to]]" does not.
local function may_be_skipped(argument, following)
  return argument.leads or argument.is_optional and following ~= nil and following.name ~= "..."
    and following.is_optional and following.depth <= argument.depth
end

--- The same function without an optional argument in front of others.
local function overload_of(of, member, left_out)
  local texts = member.is_method and { "self: " .. of.name } or {}
  for _, argument in ipairs(member.arguments) do
    if argument ~= left_out then
      texts[#texts + 1] = ("%s%s: %s"):format(parameter(argument),
        argument.is_optional and argument.name ~= "..." and "?" or "", argument.type)
    end
  end
  local returns = {}
  for i, one in ipairs(member.returns) do returns[i] = one.is_rest and "..." or type_text(one.types) end
  return ("---@overload fun(%s)%s"):format(table.concat(texts, ", "),
    returns[1] and ": " .. table.concat(returns, ", ") or "")
end

local function write_function(lines, of, variable, member)
  if member.options then
    table.move(member.options, 1, #member.options, #lines + 1, lines)
    lines[#lines + 1] = ""
  end
  for _, text in ipairs(member.about) do lines[#lines + 1] = "---" .. text end
  local names, required = {}, false
  for i = #member.arguments, 1, -1 do
    local argument = member.arguments[i]
    argument.leads = argument.is_optional and required
    required = required or not argument.is_optional and argument.name ~= "..."
  end
  for i, argument in ipairs(member.arguments) do
    names[i] = parameter(argument)
    lines[#lines + 1] = ("---@param %s%s %s"):format(names[i],
      argument.is_optional and not argument.leads and argument.name ~= "..." and "?" or "",
      argument.type .. (argument.leads and "|nil" or ""))
  end
  for _, one in ipairs(member.returns) do
    lines[#lines + 1] = one.is_rest and "---@return any ..." or ("---@return %s%s"):format(type_text(one.types),
      one.name and not WORDS[one.name] and " " .. one.name or "")
  end
  for i, argument in ipairs(member.arguments) do
    if may_be_skipped(argument, member.arguments[i + 1]) then lines[#lines + 1] = overload_of(of, member, argument) end
  end
  lines[#lines + 1] = ("function %s%s%s(%s) end"):format(variable, member.is_method and ":" or ".", member.name,
    table.concat(names, ", "))
  lines[#lines + 1] = ""
end

local function write_class(lines, of)
  local parent = PARENTS[of.name]
  lines[#lines + 1] = ("---@class %s%s"):format(of.name, parent and ": " .. parent or "")
  for _, member in ipairs(of.members) do
    if not member.is_function then
      local about = table.concat(member.about, " ")
      lines[#lines + 1] = ("---@field %s %s%s"):format(member.name, member.type, about ~= "" and " " .. about or "")
    end
  end
  for _, other in ipairs(order) do -- the modules in it
    local name = other:match("^" .. of.name:gsub("%.", "%%.") .. "%.([%w_]+)$")
    if name and not of.has[name] and classes[other].is_module and not REQUIRED[other] then
      lines[#lines + 1] = ("---@field %s %s"):format(name, other)
    end
  end
  if OPEN[of.name] then lines[#lines + 1] = ("---@field [string] %s"):format(OPEN[of.name]) end
  local variable = of.name:match "[%w_]+$"
  if KEYWORDS[variable] then variable = variable .. "_" end
  lines[#lines + 1] = ("local %s = {}"):format(variable)
  lines[#lines + 1] = ""
  for _, member in ipairs(of.members) do
    if member.is_function then write_function(lines, of, variable, member) end
  end
  return variable
end

local function write(path, lines)
  local file = assert(io.open(TO .. "/" .. path, "w"))
  file:write((table.concat(lines, "\n"):gsub("%s+\n", function(s) return s:find "\n.*\n" and "\n\n" or "\n" end)
    :gsub("%s+$", "")), "\n")
  file:close()
end

local pages = {}
for name in lfs.dir(PAGES) do
  if name:find "%.md$" and not SKIPPED[name] then pages[#pages + 1] = name end
end
table.sort(pages)
for _, page in ipairs(pages) do
  owners[page] = {}
  for _, section in ipairs(sections_of(page)) do
    local signature = section.signature or ""
    local owner = signature:match "^([%w_.]-)[.:][%w_]+%(" or signature:match "^([%w_]+)%.[%w_]+$"
    if owner and not owner:find "^ml" then owners[page][owner] = class_of(page, owner) end
    for _, row in ipairs(section.fields) do
      local of = row.names:match "`([%w_]+)%.[%w_]+`"
      if of then owners[page][of] = class_of(page, of) end
    end
  end
end
for _, page in ipairs(pages) do read_page(page) end
for _, name in ipairs(order) do
  local of = classes[name]
  for _, member in ipairs(of.members) do of.is_module = of.is_module or member.is_function and not member.is_method end
end

local files = {} -- path -> lines
for _, name in ipairs(order) do
  local path = REQUIRED[name] or (name:match "^moonloop%.(%l+)" or "moonloop")
  if classes[name].page == "ml.md" and name ~= "moonloop" then path = "moonloop/tasks" end
  if path ~= "moonloop" and not path:find "/" then path = "moonloop/" .. path end
  if not files[path] then
    files[path] = { "---@meta " .. (REQUIRED[name] and name or "_"),
      "-- Types of moonloop for LuaLS, the language server; made from doc/reference by scripts/package/types.lua.", "" }
    files[#files + 1] = path
  end
  local variable = write_class(files[path], classes[name])
  if REQUIRED[name] then files[path][#files[path] + 1] = "return " .. variable end
end
lfs.mkdir(TO)
lfs.mkdir(TO .. "/moonloop")
for _, path in ipairs(files) do write(path .. ".lua", files[path]) end
