--- ml.settings: what an app is told from outside, checked by a schema.
local builders = require "moonloop.schema.builders"
local core = require "moonloop.core"
local define = require "moonloop.schema.define"
local dotenv = require "moonloop.settings.dotenv"
local json = require "moonloop.json"
local log = require "moonloop.log.core"
local options = require "moonloop.core.options"
local show = require "moonloop.settings.show"
local sorted_keys = require "moonloop.core.sorted_keys"
local supervised = require "moonloop.supervised"

local fail = core.fail

local function texts(value)
  if type(value) == "string" then return nil end
  if type(value) == "table" and #value > 0 then
    for _, item in ipairs(value) do
      if type(item) ~= "string" then return "path, or a list of them" end
    end
    return nil
  end
  return "path, or a list of them"
end

local OPTIONS = { schema = true, env_prefix = "string", dotenv = texts, secrets_dir = texts }

local function as_list(value) return type(value) == "table" and value or { value } end

local function read(path)
  local file = io.open(path, "rb")
  if not file then return nil end
  local text = file:read "a" -- nil for a folder
  file:close()
  return text
end

-- --- where values come from ---

--- The values of all files: name -> {value, place}. Adds what is wrong with them to `problems`.
local function read_dotenv(paths, problems)
  local all = {}
  for _, path in ipairs(paths) do
    local text = read(path)
    if text and supervised.number() then supervised.loads(path) end -- `moonloop serve --reload` watches it
    local values, wrong = dotenv.parse(text or "")
    for name, found in pairs(values) do all[name] = { value = found.value, place = path .. ":" .. found.line } end
    for _, problem in ipairs(wrong) do
      problems[#problems + 1] = ("%s:%d: %s"):format(path, problem.line, problem.message)
    end
  end
  return all
end

--- The text for the variable `name`, and where it is from: the environment, .env files, secrets.
local function text_for(from, name)
  local value = os.getenv(name)
  if value then return value, "environment" end
  local found = from.dotenv[name]
  if found then
    return found.value, found.place
  end
  for _, dir in ipairs(from.secrets) do
    for _, file in ipairs { dir .. "/" .. name, dir .. "/" .. name:lower() } do
      local text = read(file)
      if text then return text:gsub("\r?\n$", ""), file end
    end
  end
end

local JSON = { list = true, tuple = true, map = true, tagged = true }
local PERHAPS_JSON = { union = true, ref = true }
local TEXT = { string = true, bytes = true, enum = true, const = true, any = true, union = true, ref = true }

--- The value of a field that is no object: its text, or what that is as JSON.
local function value_of(from, def, text, name)
  if not JSON[def.type] and not (PERHAPS_JSON[def.type] and text:find "^%s*[%[{]") then return text end
  local value, err = json.decode(text)
  if value == nil then
    from.problems[#from.problems + 1] = ("%s: a value of JSON expected, as %s: %s (%s)"):format(name,
      (def.type == "map" or def.type == "tagged") and '{"name": 1}' or '["a", "b"]', err.message, from.places[name])
    from.is_bad[name] = true
  end
  return value
end

local gather

--- What there is for a field, or nil.
local function find(from, def, name)
  local text, place = text_for(from, name)
  if text == "" and not TEXT[def.type] then text = nil end -- as if it were not there
  from.places[name] = place
  if text == "null" and def.nullable and not TEXT[def.type] then return json.null end
  if not def.fields then return text and value_of(from, def, text, name) end
  local value = {}
  if text then
    local decoded, err = json.decode(text)
    if type(decoded) == "table" then
      value = decoded
    else
      from.problems[#from.problems + 1] = ('%s: an object of JSON expected, as {"name": 1}%s (%s)'):format(name,
        err and ": " .. err.message or "", place)
      from.is_bad[name] = true
      return nil
    end
  end
  gather(from, def, name .. "__", value)
  -- What is required in it is told by its own name.
  if next(value) == nil and (def.optional or def.has_default) then return nil end
  return value
end

--- Adds to `values` what there is for the fields of an object.
function gather(from, def, prefix, values)
  for _, field in ipairs(def.fields) do
    local name = field[1]
    local found = find(from, define.of(field[2]), prefix .. name:upper())
    if found ~= nil then values[name] = found end
  end
end

-- --- errors ---

--- The variable, and what is meant inside its value, for the location of an error; and whether either of them, or an
-- object that they are in, is called like a secret.
local function name_of(def, prefix, loc)
  local parts, at = {}, 1
  while def and def.fields and type(loc[at]) == "string" do
    local inner
    for _, field in ipairs(def.fields) do
      if field[1] == loc[at] then inner = define.of(field[2]) end
    end
    parts[#parts + 1] = loc[at]:upper()
    def, at = inner, at + 1
  end
  local name = prefix .. table.concat(parts, "__")
  local is_secret = log.is_secret(name)
  for _, part in ipairs(loc) do is_secret = is_secret or type(part) == "string" and log.is_secret(part) end
  return name, name .. (loc[at] ~= nil and " (" .. table.concat(loc, ".", at) .. ")" or ""), is_secret
end

local function describe(from, def, err)
  local name, whole, is_secret = name_of(def, from.prefix, err.loc)
  if from.is_bad[name] then return nil end -- it has been told already
  if err.type == "missing" then return ("%s: is missing (%s)"):format(whole, from.looked) end
  local given = ""
  if type(err.input) == "string" and not is_secret then
    given = (', not "%s"'):format(log.hide_passwords(err.input))
  end
  local place = from.places[name]
  while not place and name:find "__" do -- inside of an object that is JSON
    name = name:match "^(.*)__"
    place = from.places[name]
  end
  return ("%s%s%s%s"):format(#err.loc > 0 and whole .. ": " or "", err.msg, given, place and " (" .. place .. ")" or "")
end

--- Names in .env files that begin as the settings do, and are none.
local function add_unknown(from)
  if from.prefix == "" then return end
  local known = sorted_keys(from.places_asked)
  for _, name in ipairs(sorted_keys(from.dotenv)) do
    if name:sub(1, #from.prefix) == from.prefix and not from.places_asked[name] then
      local near = core.nearest(name, known)
      table.insert(from.problems, ("%s: there is no such setting%s (%s)"):format(name,
        near and (" (did you mean '%s'?)"):format(near) or "", from.dotenv[name].place))
    end
  end
end

local function add_names(names, def, prefix)
  for _, field in ipairs(def.fields) do
    local name, inner = prefix .. field[1]:upper(), define.of(field[2])
    names[name] = true
    if inner.fields then add_names(names, inner, name .. "__") end
  end
  return names
end

--- ml.settings{schema, env_prefix =, dotenv =, secrets_dir =} -> settings: the values of an object schema, or of
-- a table of fields, from the environment, then files of the syntax of .env, then files of secrets, then
-- defaults. Raises an error of kind "settings" that lists all that is wrong.
--
-- @param opts the schema, and
--   env_prefix: what stands before the names of variables (none)
--   dotenv: a file, or a list of which the last counts most; those that do not exist are left out
--   secrets_dir: a folder with a file for each secret, or a list
return function(opts)
  if type(opts) ~= "table" then
    fail("bad argument #1 to 'ml.settings' (table expected, got " .. type(opts) .. ")")
  end
  if define.of(opts) then fail "the options of ml.settings are a schema (write ml.settings { schema })" end
  local named = {}
  for name, value in pairs(opts) do named[name ~= 1 and name or "schema"] = value end
  opts = options.check(named, OPTIONS, "ml.settings")
  local schema = opts.schema
  if type(schema) == "table" and not define.of(schema) then schema = builders.object(schema) end
  local def = define.of(schema)
  if not def or not def.fields then
    fail("ml.settings: an object schema or a table of fields expected, got "
      .. (def and "a schema of kind '" .. def.type .. "'" or type(schema)))
  end
  local problems, files, folders = {}, opts.dotenv and as_list(opts.dotenv) or {},
    opts.secrets_dir and as_list(opts.secrets_dir) or {}
  local looked = { "not in the environment" }
  for _, path in ipairs(files) do looked[#looked + 1] = read(path) and path or path .. ", which is no file here" end
  table.move(folders, 1, #folders, #looked + 1, looked)
  local from = { prefix = opts.env_prefix or "", dotenv = read_dotenv(files, problems), secrets = folders,
    places = {}, problems = problems, is_bad = {}, looked = table.concat(looked, ", ") }
  from.places_asked = add_names({}, def, from.prefix)
  local values = {}
  gather(from, def, from.prefix, values)
  add_unknown(from)
  local settings, err = schema:read(values)
  for _, problem in ipairs(err and err.errors or {}) do problems[#problems + 1] = describe(from, def, problem) end
  if problems[1] then
    error(core.error { kind = "settings",
      message = (#problems == 1 and "%s" or "%d are wrong:\n  %s"):format(table.unpack(#problems == 1 and problems
        or { #problems, table.concat(problems, "\n  ") })) }, 0)
  end
  return show.wrap(settings, def)
end
