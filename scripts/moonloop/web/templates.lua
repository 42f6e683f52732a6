--- ml.web.templates: pages of HTML and other texts, made of templates in a folder.
local compile = require "moonloop.web.template.compile"
local core = require "moonloop.core"
local folder = require "moonloop.folder"
local html_response = require "moonloop.web.html".html
local options = require "moonloop.core.options"
local sorted_keys = require "moonloop.core.sorted_keys"
local supervised = require "moonloop.supervised"

local fail = core.fail

local M = {}

local OPTIONS = { globals = "table", reload = "boolean" }

--- The rules by which values are escaped, by the end of a file's name. Other files are not templates.
local KINDS = { html = "html", htm = "html", xml = "xml", svg = "xml", txt = "plain" }

local MOST = 256 -- pieces that a stream gathers before it writes them

-- What templates have of Lua. The rest comes from the page, or from opts.globals.
local LUA = { assert = assert, error = error, ipairs = ipairs, next = next, pairs = pairs, pcall = pcall,
  select = select, tonumber = tonumber, tostring = tostring, type = type, math = math, string = string,
  table = table, utf8 = utf8, os = {
    date = function(format, t) return os.date(format, t or core.time()) end,
    time = function(t) return t and os.time(t) or core.time() end,
  } }

-- --- reading ---

local function failed(problems, dir)
  local first = problems[1]
  local message = first.message
  if #problems > 1 then
    local lines = {}
    for i, problem in ipairs(problems) do lines[i] = problem.message end
    message = ("%d errors in the templates of %s:\n  %s"):format(#problems, dir, table.concat(lines, "\n  "))
  end
  error(core.error { kind = "template", message = message, file = first.file, line = first.line }, 0)
end

local function read(path)
  local file, message = io.open(path, "rb")
  local text = file and file:read "a"
  if file then file:close() end
  if not text then
    error(core.error { kind = "template", message = "cannot read the template " .. (message or path), file = path }, 0)
  end
  return (text:gsub("^\239\187\191", ""))
end

--- Calls f(name, path) for each template below the folder.
local function each(dir, prefix, f)
  local files, folders = folder.list(dir)
  if not files then
    error(core.error { kind = "template",
      message = ("cannot read the folder of templates '%s': %s"):format(dir, folders) }, 0)
  end
  table.sort(files)
  table.sort(folders)
  for _, name in ipairs(files) do
    if KINDS[name:match "%.(%w+)$"] and not name:find "^%." then f(prefix .. name, dir .. "/" .. name) end
  end
  for _, name in ipairs(folders) do
    if not name:find "^%." then each(dir .. "/" .. name, prefix .. name .. "/", f) end
  end
end

-- "there is no template 'x' in views (did you mean 'y'?)"
local function missing(set, name)
  local names = sorted_keys(set.templates)
  local near = core.nearest(name, names)
  return ("there is no template '%s' in %s%s"):format(name, set.dir, near and (" (did you mean '%s'?)"):format(near)
    or #names == 0 and ", which has none: their names end in .html, .htm, .xml, .svg or .txt" or "")
end

--- What a page needs of the layouts above it: its blocks, and for each template with a layout what is the
-- content of the one above.
local function link(set, template, problems)
  template.pages, template.all_blocks, template.content = { template }, {}, {}
  local seen, at = {}, template
  while at do
    if seen[at] then
      problems[#problems + 1] = { message = ("%s: its layouts go round in a circle"):format(template.path),
        file = template.path }
      return
    end
    seen[at] = true
    for name, f in pairs(at.blocks) do
      if not template.all_blocks[name] then template.all_blocks[name] = { f = f, of = at } end
    end
    local above = at.layout and set.templates[at.layout]
    if above then
      template.content[above] = at
      table.insert(template.pages, above)
    end
    at = above
  end
  template.has_own = template.layout ~= nil or next(template.blocks) ~= nil
end

--- Reads and compiles all templates that are new or have changed.
local function load_all(set)
  local problems, old = {}, set.templates
  local templates = {}
  each(set.dir, "", function(name, path)
    if supervised.number() then supervised.loads(path) end -- `moonloop serve --reload` watches it
    local text, before = read(path), old[name]
    if before and before.text == text then
      templates[name] = before
      return
    end
    local template, problem = compile(text, KINDS[name:match "%.(%w+)$"], path)
    if template then
      template.text, template.name = text, name
      templates[name] = template
    else
      problems[#problems + 1] = { file = path, line = problem.line,
        message = ("%s:%d: %s"):format(path, problem.line, problem.message) }
    end
  end)
  if problems[1] then failed(problems, set.dir) end
  local new = { dir = set.dir, templates = templates }
  for _, template in pairs(templates) do
    for _, use in ipairs(template.uses) do
      if not templates[use.name] then
        problems[#problems + 1] = { file = template.path, line = use.line,
          message = ("%s:%d: %s: %s"):format(template.path, use.line, use.what, missing(new, use.name)) }
      end
    end
    link(new, template, problems)
  end
  table.sort(problems, function(a, b) return a.message < b.message end)
  if problems[1] then failed(problems, set.dir) end
  set.templates, set.imports = templates, {}
end

local function find(set, name)
  if set.reload then load_all(set) end
  local template = set.templates[name]
  if not template then fail(missing(set, name)) end
  return template
end

-- --- rendering ---

--- An environment with the values, and `below` for other names.
local function environment(values, below)
  local env = {}
  if getmetatable(values) then
    return setmetatable(env, { __index = function(_, name)
      local value = values[name]
      if value == nil then value = below.__index[name] end
      return value
    end })
  end
  for name, value in next, values do env[name] = value end
  return setmetatable(env, below)
end

local Rendering = {}
Rendering.__index = Rendering

--- Writes a page: its layout, with what the page has for it.
local function write_page(template, env, pieces, n, rendering)
  local pages = template.pages
  for i = 1, #pages - 1 do
    local values = pages[i].layout_values
    values = values and values(env)
    if values ~= nil and type(values) ~= "table" then
      fail(("%s: the values of its layout are a %s (expected a table)"):format(pages[i].path, type(values)))
    end
    for name, value in pairs(values or {}) do env[name] = value end
  end
  return pages[#pages].main(env, pieces, n, rendering)
end

--- For `block "name"` in the template `of`.
function Rendering.block(rendering, of, env, pieces, n, name)
  local page = rendering.page
  local content = name == "content" and page.content[of]
  if content then return content.main(env, pieces, n, rendering) end
  return page.all_blocks[name].f(env, pieces, n, rendering)
end

--- For `include(name, values)`: it is called with them afterwards, so that they can be any expression.
function Rendering.include(rendering, of, env, pieces, n)
  return function(name, values)
    local template = rendering.set.templates[name]
    if not template then
      fail(type(name) == "string" and missing(rendering.set, name)
        or ("include: the name of a template expected, got %s"):format(type(name)))
    end
    if values ~= nil and type(values) ~= "table" then
      fail(("include '%s': its values are a %s (expected a table)"):format(name, type(values)))
    end
    if template.kind ~= of.kind and of.kind ~= "plain" then
      fail(("include '%s': text of another kind cannot stand here"):format(name))
    end
    local inner = values and environment(values, { __index = env }) or env
    if not template.has_own then return template.main(inner, pieces, n, rendering) end
    local own = setmetatable({ page = template }, { __index = rendering })
    own.quiet = setmetatable({ page = template }, { __index = rendering.quiet })
    own.quiet.quiet = own.quiet
    return write_page(template, inner, pieces, n, own)
  end
end

function Rendering.flush(rendering, pieces, n)
  rendering.out:write(table.concat(pieces, "", 1, n))
  return 0
end

--- For `flush()`: what there is, if it is written at all.
function Rendering.send(rendering, pieces, n)
  if not rendering.out or n == 0 then return n end
  return rendering.flush(rendering, pieces, n)
end

local function new_rendering(set, page, out)
  local quiet = setmetatable({ set = set, page = page, most = math.huge }, Rendering)
  quiet.quiet = quiet
  if not out then return quiet end
  return setmetatable({ set = set, page = page, most = MOST, out = out, quiet = quiet }, Rendering)
end

local function misplaced(word, instead)
  return function() fail(("'%s' is no function: write %s"):format(word, instead)) end
end

--- The names that all templates of a set have, as a metatable for their environments.
local function names_of(set, globals)
  local names = {}
  for name, value in pairs(LUA) do names[name] = value end
  names.include = misplaced("include", '<% include "name.html" %>')
  names.block = misplaced("block", '<% block "name" %>')
  names.layout = misplaced("layout", '<% layout "name.html" %> as the first tag')
  for name, value in pairs(globals or {}) do names[name] = value end
  --- import(name): the functions and other globals of a template, which is run once.
  function names.import(name)
    local template = type(name) == "string" and set.templates[name]
    if not template then
      fail(type(name) == "string" and missing(set, name)
        or ("import: the name of a template expected, got %s"):format(type(name)))
    end
    local made = set.imports[name]
    if not made then
      made = environment({}, set.names)
      template.main(made, {}, 0, new_rendering(set, template))
      set.imports[name] = made
    end
    return made
  end
  return { __index = names }
end

-- --- the interface ---

local methods = {}
local class = { __name = "moonloop.web.templates", __index = methods }

local function check(t, method, name, values)
  if getmetatable(t) ~= class then core.bad_self(t, "templates", method) end
  if type(name) ~= "string" then
    fail(("bad argument #1 to 'templates:%s' (string expected, got %s)"):format(method, type(name)))
  end
  if values ~= nil and type(values) ~= "table" then
    fail(("bad argument #2 to 'templates:%s' (table expected, got %s)"):format(method, type(values)))
  end
  return find(t.set, name)
end

--- t:render(name [, values]) -> text.
function methods:render(name, values)
  local template = check(self, "render", name, values)
  local pieces = {}
  local n = write_page(template, environment(values or {}, self.set.names), pieces, 0,
    new_rendering(self.set, template))
  return table.concat(pieces, "", 1, n)
end

--- t:stream(name, values, out): writes the text to out:write(text) in pieces, as it is made.
function methods:stream(name, values, out)
  local template = check(self, "stream", name, values)
  local kind = type(out)
  if kind ~= "table" and kind ~= "userdata" or not out.write then
    fail(("bad argument #3 to 'templates:stream' (an object with a method write expected, got %s)"):format(kind))
  end
  local pieces, rendering = {}, new_rendering(self.set, template, out)
  local n = write_page(template, environment(values or {}, self.set.names), pieces, 0, rendering)
  if n > 0 then rendering:flush(pieces, n) end
end

--- web.templates(dir [, opts]) -> templates: reads and compiles all templates in the folder and those below it.
-- Raises an error of kind "template" that lists what is wrong with them.
--
-- @param opts globals: a table of names that all templates have; reload: read changed files again each time
-- (false)
function M.templates(dir, opts)
  if type(dir) ~= "string" then
    fail("bad argument #1 to 'ml.web.templates' (string expected, got " .. type(dir) .. ")")
  end
  opts = options.check(opts, OPTIONS, "ml.web.templates")
  local set = { dir = dir, reload = opts.reload, templates = {}, imports = {} }
  set.names = names_of(set, opts.globals)
  load_all(set)
  return setmetatable({ set = set }, class)
end

--- web.page(t, name [, values [, status]]) -> response: a page of HTML.
function M.page(t, name, values, status)
  if getmetatable(t) ~= class then
    fail("bad argument #1 to 'ml.web.page' (the result of ml.web.templates expected, got " .. type(t) .. ")")
  end
  if status ~= nil and (math.type(status) ~= "integer" or status < 200 or status > 599) then
    fail("bad argument #4 to 'ml.web.page' (a status from 200 to 599 expected)")
  end
  return html_response(methods.render(t, name, values), status)
end

return M
