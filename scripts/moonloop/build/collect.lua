--- What goes into the program: the app's file, the modules that it and they require, the folders and files that
-- they name, and what is asked for. Nothing of the app is run.
local folder = require "moonloop.folder"
local fs = require "moonloop.fs"
local sorted_keys = require "moonloop.core.sorted_keys"
local uses = require "moonloop.build.uses"

local M = {}

--- The name of a path below the working directory, or nil: "./views//a.html" is "views/a.html".
local function name_of(path) return (fs.safe_join("", path)) end

local function read(path)
  local file <close>, message = io.open(path, "rb")
  if not file then return nil, message end
  local text, wrong = file:read "a"
  return text, wrong and ("%s: %s"):format(path, wrong)
end

local exists = fs.exists

local function is_folder(path)
  local about = fs.stat(path)
  return about ~= nil and about.type == "directory"
end

local function problem(c, where, message, ...) c.problems[#c.problems + 1] = where .. ": " .. message:format(...) end
local function warning(c, where, message, ...) c.warnings[#c.warnings + 1] = where .. ": " .. message:format(...) end

--- Adds an entry, unless it is there.
local function add(c, name, data, path, source)
  if c.entries[name] then return end
  c.entries[name] = { name = name, data = data, source = source }
  c.paths[#c.paths + 1] = path
end

--- The name of what is to be inside, or nil: it is elsewhere, and that is noted.
local function name_inside(c, path, where)
  local name = name_of(path)
  if name then return name end
  problem(c, where, "%s is not below the working directory: what is inside has names from there on", path)
end

local function add_file(c, path, where)
  local name = name_inside(c, path, where)
  if not name then return end
  if c.left_out[name] or c.entries[name] then return end
  local data, message = read(path)
  if not data then return problem(c, where, "cannot read %s", message) end
  add(c, name, data, path)
  c.files = c.files + 1
end

--- Adds all in a folder but what begins with a dot. Returns how many files there are.
local function add_folder(c, path, where, each)
  if c.left_out[name_of(path)] then return end
  local files, folders = folder.list(path)
  if not files then return problem(c, where, "cannot read the folder %s: %s", path, folders) end
  table.sort(files)
  table.sort(folders)
  for _, entry in ipairs(files) do
    if not entry:find "^%." then
      add_file(c, path .. "/" .. entry, where)
      if each then each(path .. "/" .. entry) end
    end
  end
  for _, entry in ipairs(folders) do
    if not entry:find "^%." then add_folder(c, path .. "/" .. entry, where, each) end
  end
end

--- Adds a folder that is named, and notes it for the report.
local function note_folder(c, path, where, each)
  local name = name_inside(c, path, where)
  if not name then return end
  if not c.left_out[name] and not c.folders[name] then
    c.folders[name] = true
    c.folder_list[#c.folder_list + 1] = name
  end
  add_folder(c, path, where, each)
end

-- --- paths ---

--- Where a path that the code at `file` names may be: as it is, or behind the code's own folder, or one above it.
local function find_path(use, file)
  if use.is_whole then return (exists(use.path) or is_folder(use.path)) and use.path or nil end
  local rest = use.path:gsub("^/+", "")
  if rest == "" then return nil end
  local at = name_of(file)
  while at and at ~= "" do
    at = at:match "^(.*)/[^/]*$" or ""
    local path = at == "" and rest or at .. "/" .. rest
    if exists(path) or is_folder(path) then return path end
  end
end

local scan

local function add_path(c, use, file)
  local path = find_path(use, file)
  local where = ("%s:%d"):format(file, use.line)
  if not path or path:find "^/" then return end
  local name = name_of(path)
  if name == "" then
    return warning(c, where, "the whole working directory is named: --include what of it is to be inside")
  end
  if is_folder(path) then return note_folder(c, path, where) end
  local is_new = name and not c.entries[name]
  add_file(c, path, where)
  if use.is_code and is_new and c.entries[name] and name:find "%.lua$" then scan(c, path, c.entries[name].data) end
end

-- --- modules ---

local STANDARD = {}
for _, name in ipairs { "_G", "coroutine", "debug", "io", "math", "os", "package", "string", "table", "utf8" } do
  STANDARD[name] = true
end

local function is_own(name) return STANDARD[name] or package.preload[name] ~= nil end

--- A C module of that name: its own, or the one of the part before the first dot.
local function find_c_module(name)
  local root = name:match "^[^.]+"
  return package.searchpath(name, package.cpath) or (root ~= name and package.searchpath(root, package.cpath)) or nil
end

local function add_module(c, name, path)
  local key = "?" .. name
  if c.entries[key] then return end
  local data, message = read(path)
  if not data then return problem(c, name, "cannot read %s", message) end
  add(c, key, data, path, "@" .. path)
  c.module_list[#c.module_list + 1] = { name = name, path = path }
  local file = name_of(path)
  if file and not c.entries[file] then add(c, file, data, path) end
  scan(c, path, data)
end

local function require_module(c, use, file)
  local name, where = use.name, ("%s:%d"):format(file, use.line)
  if is_own(name) or c.left_out[name] then return end
  c.required[name] = c.required[name] or where
  local path, tried = package.searchpath(name, c.path)
  if path then return add_module(c, name, path) end
  c.required[name] = nil
  local library = find_c_module(name)
  if library and use.is_protected then
    warning(c, where, "the C module '%s' (%s) is not inside; pcall is asked for it when the program runs", name,
      library)
  elseif library then
    problem(c, where, "'%s' is a C module (%s), which cannot be inside: a shared library can only be loaded from a " ..
      "file. Install it where the program runs, and build with --leave-out %s", name, library, name)
  elseif use.is_protected then
    warning(c, where, "module '%s' was not found; pcall is asked for it when the program runs", name)
  else
    problem(c, where, "module '%s' was not found (or --leave-out %s):%s", name, name,
      tried and "\n\t" .. tried:gsub("^\n\t", "") or "")
  end
end

--- Reads what the code names. `path`: where it is, for messages.
function scan(c, path, text)
  local chunk, message = load(text:gsub("^#[^\n]*", ""), "@" .. path, "t")
  if not chunk then return problem(c, path, "it does not compile: %s", message) end
  local found = uses.read(text)
  for _, use in ipairs(found.modules) do require_module(c, use, path) end
  for _, use in ipairs(found.unknown) do
    warning(c, ("%s:%d"):format(path, use.line), "%s: which module that is shows when it runs: --include it", use.what)
  end
  if not name_of(path) then return end -- the module of somebody else: it has no files here
  for _, use in ipairs(found.paths) do add_path(c, use, path) end
  for _, use in ipairs(found.secrets) do
    local file = find_path(use, path)
    if file and name_of(file) then c.secrets[name_of(file)] = true end
  end
  for _, use in ipairs(found.unclear) do
    warning(c, ("%s:%d"):format(path, use.line), "%s: what that is shows when it runs: --include it", use.what)
  end
end

-- --- what is asked for ---

--- The module of a file below the app's folder: "shop/cart.lua" is "shop.cart".
local function module_of(c, path)
  local name = name_of(path)
  if not name or not name:find "%.lua$" then return nil end
  if c.folder ~= "" then
    if name:sub(1, #c.folder + 1) ~= c.folder .. "/" then return nil end
    name = name:sub(#c.folder + 2)
  end
  return (name:gsub("%.lua$", ""):gsub("/init$", ""):gsub("/", "."))
end

local function add_code(c, path)
  local name = module_of(c, path)
  if name then add_module(c, name, (c.folder == "" and "./" or "") .. name_of(path)) end
end

local function include(c, what)
  local where = "--include " .. what
  if is_folder(what) then
    if name_of(what) == "" then return problem(c, where, "all of the working directory is too much") end
    return note_folder(c, what, where, function(path) add_code(c, path) end)
  end
  if exists(what) then
    add_file(c, what, where)
    return add_code(c, what)
  end
  local path = package.searchpath(what, c.path)
  if not path then return problem(c, where, "there is no such file, folder or module") end
  add_module(c, what, path)
end

--- collect(request) -> collection: `entries`, a list for the archive; `main`; `module_list` (name, path),
-- `folder_list`, `files` (how many); `secrets`, files of settings that are not inside; `required` (module -> where);
-- `paths` of all that was read; `problems` and `warnings`, lists of lines. request: `app`, `include`, `leave_out`.
function M.collect(request)
  local c = { entries = {}, paths = {}, module_list = {}, folder_list = {}, folders = {}, files = 0, secrets = {},
    required = {}, problems = {}, warnings = {}, left_out = {} }
  for _, what in ipairs(request.leave_out) do
    c.left_out[what] = true
    local name = name_of(what)
    if name then c.left_out[name] = true end
  end
  local name = name_of(request.app)
  if not name then
    problem(c, request.app, "the app has to be below the working directory: names inside are those from there on")
    return c
  end
  local text, message = read(request.app)
  if not text then
    c.problems[1] = "cannot read " .. message
    return c
  end
  c.main, c.folder = name, name:match "^(.*)/[^/]*$" or ""
  local beside = c.folder == "" and "." or c.folder
  c.path = ("%s/?.lua;%s/?/init.lua;"):format(beside, beside) .. package.path
  add(c, name, text, request.app)
  scan(c, name, text)
  if is_folder "migrations" then note_folder(c, "migrations", "migrations") end
  for _, what in ipairs(request.include) do include(c, what) end
  for secret in pairs(c.secrets) do
    if c.entries[secret] then c.secrets[secret] = nil end -- it was asked for
  end
  c.secrets = sorted_keys(c.secrets)
  local list = {}
  for _, entry in pairs(c.entries) do list[#list + 1] = entry end
  c.entries = list
  table.sort(c.problems)
  return c
end

return M
