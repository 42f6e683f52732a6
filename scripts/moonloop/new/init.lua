--- `moonloop new NAME [--template TEMPLATE]`: makes a project.
local files = require "moonloop.core.embedded"
local fs = require "moonloop.fs"
local write = require "moonloop.new.write"

local TEMPLATES = { "api", "page", "worker", "library" } -- as messages name them

-- What to do next in a project of each: commands, and what they do.
local NEXT = {
  api = { { "moonloop dev app.lua", "serves it on http://127.0.0.1:8000, with /docs" } },
  page = { { "moonloop dev app.lua", "serves it on http://127.0.0.1:8000" } },
  worker = { { "moonloop dev app.lua", "serves it on http://127.0.0.1:8000, with /docs, and runs its jobs" } },
  library = {},
}

local function fail(status, ...)
  io.stderr:write("moonloop: new: ", string.format(...), "\n")
  os.exit(status)
end

local function check_template(template)
  if NEXT[template] then return end
  fail(2, "there is no template '%s': there are %s and %s", template, table.concat(TEMPLATES, ", ", 1, #TEMPLATES - 1),
    TEMPLATES[#TEMPLATES])
end

--- The project's name, the last part of the path.
local function name_of(path)
  local name = path:gsub("/+$", ""):match "[^/]*$"
  if #name <= 64 and name:find "^%l[%l%d_-]*$" then return name end
  fail(2, "'%s' is not a name for a project: up to 64 lowercase letters, digits, - and _, a letter first", name)
end

--- Refuses a folder in which something lies that a file could replace.
local function check_folder(path)
  local about = fs.stat(path)
  if not about then return end
  if about.type ~= "directory" then fail(1, "'%s' is there already, and no folder", path) end
  local list, err = fs.list(path)
  if not list then fail(1, "%s", err.message) end
  if #list > 0 then fail(1, "the folder '%s' is not empty", path) end
end

--- Writes the files of a template. Returns their names.
local function write_project(path, template, values)
  local names = {}
  local function fill(text) return (text:gsub("{{(%l+)}}", values)) end
  for _, prefix in ipairs { "common", template } do
    prefix = ("templates/%s/"):format(prefix)
    for _, name in ipairs(files.names(prefix)) do
      local to = name:gsub("^_([^_])", ".%1"):gsub("__module__", values.module)
      names[#names + 1] = to
      write.file(path .. "/" .. to, fill(files.read(prefix .. name)))
    end
  end
  table.sort(names)
  return names
end

local function say(path, name, template, names)
  local lines = { ("%s: a project from the template '%s'"):format(path, template), "" }
  for _, file in ipairs(names) do lines[#lines + 1] = "  " .. file end
  lines[#lines + 1] = "  .types/ (moonloop's types, for editors)"
  lines[#lines + 1] = ""
  lines[#lines + 1] = "What to do next:"
  lines[#lines + 1] = ""
  lines[#lines + 1] = "  cd " .. (path:find "^[%w_./+@-]+$" and path or "'" .. path:gsub("'", "'\\''") .. "'")
  for _, step in ipairs(NEXT[template]) do lines[#lines + 1] = ("  %-24s # %s"):format(step[1], step[2]) end
  lines[#lines + 1] = ("  %-24s # %s"):format("moonloop test", "runs its specs")
  lines[#lines + 1] = ""
  lines[#lines + 1] = ("README.md says more about %s."):format(name)
  io.stdout:write(table.concat(lines, "\n"), "\n")
end

--- @param path string where to; its last part is the name
--- @param template string|nil "api" by default
return function(path, template)
  template = template or "api"
  check_template(template)
  local name = name_of(path)
  path = path:gsub("/+$", "")
  check_folder(path)
  local ok, names = pcall(write_project, path, template, { name = name, module = name:gsub("-", "_") })
  if ok then ok, names = pcall(function() return write.types(path .. "/.types") and names end) end
  if not ok then fail(1, "%s", type(names) == "table" and names.message or tostring(names)) end
  say(path, name, template, names)
end
