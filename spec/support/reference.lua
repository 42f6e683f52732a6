--- The pages of doc/reference/ as data, and what the code offers, for the spec that compares them.
local folders = require "spec.support.folder"
local lfs = require "lfs"

local M = {}

M.FOLDER = "doc/reference/"

-- --- pages ---

--- The texts between backticks in a line.
local function codes(text)
  local list = {}
  for code in text:gmatch "`([^`]+)`" do list[#list + 1] = code end
  return list
end

--- The anchor of a heading, as GitHub makes it.
local function anchor(title)
  return (title:lower():gsub("[^%w _-]", ""):gsub(" ", "-"))
end

--- The set of the anchors of the document at `path`.
function M.anchors(path)
  local set = {}
  local text = folders.read(path):gsub("\n```.-\n```", "")
  for title in ("\n" .. text):gmatch "\n#+ ([^\n]*)" do set[anchor(title)] = true end
  return set
end

--- Reads a page. Gives a table of
--   names     list of the names that have headings, "task:await" as "task.await", and of the fields in
--             tables whose first column is headed "field"
--   has       the same as a set
--   options   heading (its name, or its words) -> set of the names in its tables headed "option"
--   links     list of what links lead to
function M.page(file)
  local page = { file = file, names = {}, has = {}, options = {}, links = {} }
  local heading, column, is_code
  local function add(name)
    name = name:gsub(":", ".")
    if not page.has[name] then table.insert(page.names, name) end
    page.has[name] = true
  end
  for line in folders.read(M.FOLDER .. file):gmatch "([^\n]*)\n" do
    if line:find "^```" then is_code = not is_code end
    local title = not is_code and line:match "^#+ (.*)"
    local first = not is_code and line:match "^| (.-) |"
    for target in (is_code and "" or line):gmatch "%]%(([^)]+)%)" do table.insert(page.links, target) end
    if title then
      heading = title
      local code = title:match "^`(.*)`$"
      if code then
        heading = code:match "([%w_]+)%(" and code:match "^[%a_][%w_.:]*%f[(]" or code:match "([%w_]+)%("
          or code:match "^[%w_.:]+"
        add(heading)
      end
    elseif first == "option" or first == "field" then
      column = first
    elseif not line:find "^|" then
      column = nil
    elseif column and first then
      for _, code in ipairs(codes(first)) do
        local name = code:match "^[-%w_.]+"
        if column == "field" then
          if name:find(".", 1, true) then add(name) end
        else
          page.options[heading] = page.options[heading] or {}
          page.options[heading][name] = true
        end
      end
    end
  end
  return page
end

--- The names of the pages, README.md included.
function M.files()
  local files = {}
  for name in lfs.dir(M.FOLDER) do
    if name:find "%.md$" then files[#files + 1] = name end
  end
  table.sort(files)
  return files
end

-- --- the code ---

--- Calls f with the content of each file below `folder` whose name matches.
local function each_file(folder, pattern, f)
  for name in lfs.dir(folder) do
    local path = folder .. "/" .. name
    if lfs.attributes(path, "mode") == "directory" then
      if not name:find "^%." then each_file(path, pattern, f) end
    elseif name:find(pattern) then
      f(folders.read(path))
    end
  end
end

--- The contents of the files of the host, the bindings and the parts in Lua.
function M.sources()
  local list = {}
  local function add(text) list[#list + 1] = text end
  each_file("scripts/moonloop", "%.lua$", add)
  each_file("bindings", "%.c$", add)
  each_file("host", "%.[ch]$", add)
  return list
end

local words

--- Every word of the code that could be the name of a field or an option: what is in Lua, and what C has
-- as a string or a limit of the server. What an object or a function knows is found by asking for each.
function M.words()
  if words then return words end
  local set = {}
  local function add(...)
    local patterns = { ... }
    return function(text)
      for _, pattern in ipairs(patterns) do
        for word in text:gmatch(pattern) do set[word] = true end
      end
    end
  end
  each_file("scripts/moonloop", "%.lua$", add "%f[%w_]%a[%w_]*")
  each_file("bindings", "%.c$", add '"(%a[%w_]*)"')
  each_file("host/http", "%.c$", add "ROW%((%a[%w_]*),")
  words = {}
  for word in pairs(set) do words[#words + 1] = word end
  table.sort(words)
  return words
end

--- The set of names that `object` has: of a table what its metatable gives, but what lies in the table
-- itself only where `whole`.
function M.members(object, whole)
  local members = {}
  for _, word in ipairs(M.words()) do
    local is_own = type(object) == "table" and rawget(object, word) ~= nil
    if (whole or not is_own) and object[word] ~= nil then members[word] = true end
  end
  return members
end

--- The set of options that `call(options)` knows. It is asked with each word, and a value that is none
-- of an option.
function M.options(call)
  local known = {}
  for _, word in ipairs(M.words()) do
    local ok, err = pcall(call, { [word] = io.stdout })
    local is_unknown = not ok and tostring(err):find("unknown[^\n]-['\"]" .. word .. "['\"]")
    if not is_unknown then known[word] = true end
  end
  return known
end

return M
