--- Makes the site of the documentation: moonloop scripts/package/site.lua [FOLDER]   (build/site)
-- Gathers the pages, with links that fit their places there, and the examples as pages of their own, and has mkdocs
-- build it. A link to a file that is no page ends it.
local ml = require "moonloop"
local fs = ml.fs

local folder = arg[1] or "build/site"
local pages = folder .. "/pages"

-- Where files of the project are on the site.
local PLACES = {
  ["README.md"] = "index.md",
  ["CONTRIBUTING.md"] = "project/contributing.md",
  ["CHANGELOG.md"] = "project/changelog.md",
  ["SECURITY.md"] = "project/security.md",
  ["LICENSE"] = "project/license.md",
  ["bench/results.md"] = "project/results.md",
  ["bench/results.svg"] = "project/results.svg",
  ["bench/README.md"] = "project/benchmarks.md",
  ["scripts/examples"] = "examples/index.md",
}

-- Guides in the order of the menu; those that are not here follow by name.
local GUIDES = { "concurrency", "streams", "files", "processes", "executor", "limits", "sql", "migrations", "redis",
  "schema", "dependencies", "openapi", "templates", "security", "tls", "websocket", "http2", "workers", "seeing-inside",
  "embedding", "building", "releasing", "architecture" }

local function read(path) return assert(fs.read(path)) end

local function write(path, text)
  assert(fs.mkdir((path:gsub("/[^/]*$", "")), { parents = true }))
  assert(fs.write(path, text))
end

--- Every file below the folder, sorted.
local function files(path)
  local found = {}
  for entry in fs.walk(path) do
    if entry.type == "file" then found[#found + 1] = entry.path end
  end
  table.sort(found)
  return found
end

local function place_of(path)
  if PLACES[path] then return PLACES[path] end
  local page = path:match "^doc/(.*%.md)$"
  if page then return (page:gsub("README%.md$", "index.md")) end
  local example = path:match "^scripts/examples/(.*)$"
  if not example then return nil end
  if example:find "%.md$" then return "examples/" .. example:gsub("README%.md$", "index.md") end
  return example:find "%.%w+$" and "examples/" .. example .. ".md" or "examples/index.md" -- that of a folder
end

-- "a/b/../c" -> "a/c"
local function plain(path)
  local parts = {}
  for part in path:gmatch "[^/]+" do
    if part == ".." then parts[#parts] = nil elseif part ~= "." then parts[#parts + 1] = part end
  end
  return table.concat(parts, "/")
end

local function relative(from, to)
  local _, depth = from:gsub("/", "")
  return ("../"):rep(depth) .. to
end

local there, missing = {}, {}
for _, top in ipairs { "doc", "scripts/examples" } do
  for entry in fs.walk(top) do there[entry.path] = true end
end
for path in pairs(PLACES) do there[path] = there[path] or fs.exists(path) end

local function relink(text, source, place)
  local base = source:match "^(.*/)" or ""
  return (text:gsub("%]%(([^)#%s]+)([^)]*)%)", function(target, rest)
    if target:find "^%a+:" then return nil end
    local to = place_of(plain(base .. target))
    if not to or not there[plain(base .. target)] then
      missing[#missing + 1] = source .. " links to " .. target
      return nil
    end
    return "](" .. relative(place, to) .. rest .. ")"
  end))
end

local titles, menu = {}, {}

local function add(source, text)
  local place = place_of(source)
  text = relink(text, source, place)
  titles[place] = text:match "^# ([^\n]+)" or place
  write(pages .. "/" .. place, text)
  return place
end

local function item(depth, title, place)
  local name = ml.json.encode((title:gsub("`", "")))
  menu[#menu + 1] = ("%s- %s:%s"):format(("  "):rep(depth), name, place and " " .. place or "")
end

-- A section whose first page lists the others: in the order of its list.
local function section(title, source)
  local index = add(source .. "/README.md", read(source .. "/README.md"))
  local left = {}
  for _, path in ipairs(files(source)) do
    if path:find "%.md$" and path ~= source .. "/README.md" then left[path] = add(path, read(path)) end
  end
  item(1, title)
  item(2, titles[index], index)
  for target in read(source .. "/README.md"):gmatch "%]%(([%w-]+%.md)" do
    local path = source .. "/" .. target
    if left[path] then item(2, titles[left[path]], left[path]) end
    left[path] = nil
  end
  local rest = next(left)
  assert(not rest, rest and rest .. " is not in the list of its section")
end

local LANGUAGES = { lua = "lua", sql = "sql", html = "html", css = "css", js = "js", ts = "ts", c = "c" }

local function examples()
  local lines = { "# Examples", "", "Each one is run by a spec.", "" }
  for _, path in ipairs(files "scripts/examples") do
    local name, kind = path:match "^scripts/examples/(.-%.(%w+))$"
    if kind == "md" then
      local place = add(path, read(path))
      lines[#lines + 1] = ("- [%s](%s)"):format(titles[place], place:match "^examples/(.*)$")
    elseif LANGUAGES[kind] then
      local text = read(path)
      local fence = ("`"):rep(4)
      local page = ("# %s\n\n%s%s\n%s\n%s\n"):format(name, fence, LANGUAGES[kind], (text:gsub("\n$", "")), fence)
      write(pages .. "/" .. place_of(path), page)
      local about = text:match "^%-%- ([^\n]*)"
      lines[#lines + 1] = ("- [%s](%s.md)%s"):format(name, name, about and ": " .. about or "")
    end
  end
  write(pages .. "/examples/index.md", table.concat(lines, "\n") .. "\n")
end

if fs.exists(folder) then assert(fs.remove(folder, { recursive = true })) end
item(1, "moonloop", add("README.md", read "README.md"))
section("Tutorial", "doc/tutorial")
section("How to", "doc/how-to")

item(1, "Guides")
local order = {}
for i, name in ipairs(GUIDES) do order["doc/" .. name .. ".md"] = i end
local guides = {}
for path in fs.walk "doc" do
  if path.path:find "^doc/[^/]+%.md$" then guides[#guides + 1] = path.path end
end
table.sort(guides, function(a, b)
  local x, y = order[a] or math.huge, order[b] or math.huge
  if x ~= y then return x < y end
  return a < b
end)
for _, path in ipairs(guides) do
  local place = add(path, read(path))
  item(2, titles[place], place)
end

section("Reference", "doc/reference")
examples()
item(1, "Examples", "examples/index.md")
item(1, "Project")
for _, path in ipairs { "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "bench/README.md", "bench/results.md" } do
  local place = add(path, read(path))
  item(2, titles[place], place)
end
write(pages .. "/project/results.svg", read "bench/results.svg")
write(pages .. "/project/license.md", "# Licence\n\n```text\n" .. read "LICENSE" .. "```\n")
item(2, "Licence", "project/license.md")

if missing[1] then
  io.stderr:write("links to what is no page:\n  ", table.concat(missing, "\n  "), "\n")
  os.exit(1)
end

write(folder .. "/mkdocs.yml", table.concat({ read "scripts/package/mkdocs.yml", "docs_dir: pages", "site_dir: html",
  "nav:", table.concat(menu, "\n") }, "\n") .. "\n")
local built, err = ml.process.run { "mkdocs", "build", "--quiet", "--strict", "--config-file", folder .. "/mkdocs.yml",
  stdout = "inherit", stderr = "inherit", check = true }
if not built then
  io.stderr:write(err.message, "\n")
  os.exit(1)
end
print(folder .. "/html/index.html")
