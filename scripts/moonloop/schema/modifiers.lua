--- The methods that make other schemas of a schema: s.string():optional() and the like.
local core = require "moonloop.core"
local builders = require "moonloop.schema.builders"
local compile = require "moonloop.schema.compile"
local define = require "moonloop.schema.define"
local json = require "moonloop.json"
local schema_core = require "moonloop.schema.core"

local methods = define.methods

local function self_def(self, method)
  return define.of(self) or core.bad_self(self, "schema", method)
end

local function object_def(self, method)
  local def = self_def(self, method)
  if def.type ~= "object" then
    core.fail(("schema:%s is for objects (this is a schema of kind '%s')"):format(method, def.type))
  end
  return def
end

--- May be absent.
function methods:optional()
  self_def(self, "optional")
  return define.with(self, { optional = true })
end

--- May be null.
function methods:nullable()
  self_def(self, "nullable")
  return define.with(self, { nullable = true })
end

--- The default as a value of its own that fits. Where the schema cannot be compiled yet, since a ref in it
-- means one that is still to be made, it is only copied; an empty one for a list is marked as such.
local function fitting(schema, value)
  local ok, compiled = pcall(compile, schema)
  if not ok then
    local copy = json.decode(json.encode(value))
    local is_list = schema.def.type == "list" or schema.def.type == "tuple"
    return is_list and type(copy) == "table" and not getmetatable(copy) and json.array(copy) or copy
  end
  local result, errors = schema_core.parse(compiled.program, value)
  if errors then
    local loc = table.concat(errors[1].loc, ".")
    core.fail(("schema:default: the value does not fit: %s%s"):format(loc ~= "" and loc .. ": " or "", errors[1].msg))
  end
  return result
end

--- The value that is used where there is none; a copy of it each time.
function methods:default(value)
  self_def(self, "default")
  if value == nil then core.fail "schema:default: a value expected (ml.json.null for null; :optional() for none)" end
  if not pcall(json.encode, value) then core.fail "schema:default: the value is none that JSON has" end
  return define.with(self, { has_default = true, default = fitting(self, value) })
end

--- f(value) returns nil, or a message about what is wrong. It runs when all else fits, and may wait.
function methods:check(f)
  local def = self_def(self, "check")
  if not core.is_callable(f) then core.fail(("schema:check: a function expected, got a %s"):format(type(f))) end
  local checks = table.move(def.checks or {}, 1, #(def.checks or {}), 1, {})
  checks[#checks + 1] = f
  return define.with(self, { checks = checks })
end

local function with_option(self, method, name, text)
  local def = self_def(self, method)
  if type(text) ~= "string" then core.fail(("schema:%s: text expected, got a %s"):format(method, type(text))) end
  local opts = {}
  for key, value in pairs(def.opts) do opts[key] = value end
  opts[name] = text
  return define.with(self, { opts = opts })
end

function methods:title(text) return with_option(self, "title", "title", text) end
function methods:describe(text) return with_option(self, "describe", "description", text) end

--- A date-time becomes the number of seconds since 1970.
function methods:unix()
  local def = self_def(self, "unix")
  if def.format ~= "date-time" then core.fail "schema:unix is for s.datetime()" end
  return define.with(self, { unix = true })
end

-- --- objects of others ---

local function named(name, method)
  if name ~= nil then builders.name(name, "schema:" .. method) end
  return name
end

local function derived(self, fields, name)
  local def = {}
  for key, value in pairs(self.def) do def[key] = value end
  def.fields, def.name, def.base, def.checks = fields, name, nil, nil
  return define.new(def)
end

--- All fields may be absent, and none gets its default.
function methods:partial(name)
  local def, fields = object_def(self, "partial"), {}
  for i, field in ipairs(def.fields) do
    fields[i] = { field[1], define.with(field[2], { optional = true, has_default = false }) }
  end
  return derived(self, fields, named(name, "partial"))
end

--- The set of the names in the list; each has to be a field.
local function names_of(def, list, method)
  if type(list) ~= "table" then
    core.fail(("schema:%s: a list of names expected, got a %s"):format(method, type(list)))
  end
  local known, set, whose = {}, {}, "schema:" .. method
  for i, field in ipairs(def.fields) do known[i] = field[1] end
  for _, name in ipairs(list) do
    set[name] = false
    for _, own in ipairs(known) do
      if own == name then set[name] = true end
    end
    if not set[name] then core.fail(core.unknown("field", name, whose, known)) end
  end
  return set
end

local function filtered(self, list, name, method, wanted)
  local def = object_def(self, method)
  local set, fields = names_of(def, list, method), {}
  for _, field in ipairs(def.fields) do
    if (set[field[1]] or false) == wanted then fields[#fields + 1] = field end
  end
  return derived(self, fields, named(name, method))
end

function methods:pick(list, name) return filtered(self, list, name, "pick", true) end
function methods:omit(list, name) return filtered(self, list, name, "omit", false) end

--- With more fields; those of the same name are replaced.
function methods:extend(name, fields)
  local def = object_def(self, "extend")
  if type(name) ~= "string" then name, fields = nil, name end
  local list, place = {}, {}
  for i, field in ipairs(def.fields) do list[i], place[field[1]] = field, i end
  for _, field in ipairs(builders.fields(fields, "schema:extend")) do
    local i = place[field[1]] or #list + 1
    list[i] = field
  end
  if not def.fields[1] or fields[1] == nil then
    table.sort(list, function(a, b) return (place[a[1]] or math.huge) < (place[b[1]] or math.huge)
      or (place[a[1]] == place[b[1]] and a[1] < b[1]) end)
  end
  return derived(self, list, named(name, "extend"))
end
