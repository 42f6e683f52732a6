--- s.string, s.object and the other functions that make schemas.
local core = require "moonloop.core"
local define = require "moonloop.schema.define"
local json = require "moonloop.json"
local options = require "moonloop.core.options"
local pattern = require "moonloop.schema.pattern"
local schema_core = require "moonloop.schema.core"

local M = {}

-- --- options ---

local function text_list(value)
  if type(value) ~= "table" then return "list" end
end

local COMMON = {
  title = "string", description = "string", example = true, examples = text_list, deprecated = "boolean",
  read_only = "boolean", write_only = "boolean", secret = "boolean", coerce = "boolean",
}

local function size(value)
  if math.type(value) ~= "integer" or value < 0 or value >= 1 << 32 then return "integer from 0" end
end

local function number(value)
  if type(value) ~= "number" or value ~= value or value == math.huge or value == -math.huge then
    return "finite number"
  end
end

local function positive(value)
  if number(value) or value <= 0 then return "number above 0" end
end

local NUMBERS = { min = number, max = number, gt = number, lt = number, multiple_of = positive }
local SIZES = { min = size, max = size }
local TEXTS = { min = size, max = size, pattern = "string", match = "string" }

local function with_common(known)
  local all = {}
  for name, types in pairs(COMMON) do all[name] = types end
  for name, types in pairs(known) do all[name] = types end
  return all
end

--- Raises a pattern that is none, or that PCRE2 does not take.
local function check_pattern(text, whose)
  local translated, err = pattern(text)
  err = err or schema_core.pattern_fault(translated)
  if err then core.fail(("option 'pattern' of %s is no regular expression of ECMA-262: %s"):format(whose, err)) end
end

local function check(opts, known, whose)
  if define.of(opts) then core.fail(("the options of %s are a schema (expected a table)"):format(whose)) end
  opts = options.check(opts, known, whose)
  local copy = {}
  for name, value in pairs(opts) do copy[name] = value end
  if copy.min and copy.max and copy.min > copy.max then
    core.fail(("option 'min' of %s is above its 'max'"):format(whose))
  end
  if copy.pattern then check_pattern(copy.pattern, whose) end
  if copy.match and not pcall(string.find, "", copy.match) then
    core.fail(("option 'match' of %s is no Lua pattern"):format(whose))
  end
  return copy
end

-- --- types without parts ---

local function simple(kind, known, format)
  known = with_common(known)
  return function(whose)
    return function(opts)
      return define.new { type = kind, format = format, opts = check(opts, known, whose) }
    end
  end
end

local SIMPLE = {
  int = simple("int", NUMBERS), number = simple("number", NUMBERS), decimal = simple("decimal", NUMBERS),
  bool = simple("bool", {}), any = simple("any", {}), bytes = simple("bytes", SIZES),
  datetime = simple("string", TEXTS, "date-time"), date = simple("string", TEXTS, "date"),
  time = simple("string", TEXTS, "time"), duration = simple("string", TEXTS, "duration"),
  uuid = simple("string", TEXTS, "uuid"), email = simple("string", TEXTS, "email"),
  url = simple("string", TEXTS, "url"), ip = simple("string", TEXTS, "ip"),
}
for name, make in pairs(SIMPLE) do M[name] = make("s." .. name) end

local STRING = with_common {
  min = size, max = size, pattern = "string", match = "string",
  format = function(value)
    if type(value) ~= "string" or not schema_core.format_exists(value) then
      return "date-time, date, time, duration, email, hostname, ipv4, ipv6, ip, uri, uri-reference, url, uuid or "
        .. "json-pointer"
    end
  end,
}

function M.string(opts)
  opts = check(opts, STRING, "s.string")
  return define.new { type = "string", opts = opts, format = opts.format }
end

local function media_types(value)
  if type(value) ~= "table" or #value == 0 then return "list of media types" end
  for _, name in ipairs(value) do
    if type(name) ~= "string" or not name:find "^[%w.+-]+/[%w.+*-]+$" then return 'list of media types ("image/*")' end
  end
end

local FILE = with_common { max = size, types = media_types }

--- A file of a form: {filename =, content_type =, body =}.
function M.file(opts)
  return define.new { type = "file", opts = check(opts, FILE, "s.file") }
end

-- --- literals ---

local PLAIN = with_common {}

--- Splits a table into its list and its options.
local function split(values, opts, known, whose)
  if type(values) ~= "table" then core.fail(("%s: a list expected, got a %s"):format(whose, type(values))) end
  local list, named = {}, {}
  for i, value in ipairs(values) do list[i] = value end
  for key, value in pairs(values) do
    if math.type(key) ~= "integer" then named[key] = value end
    if math.type(key) == "integer" and (key < 1 or key > #list) then
      core.fail(("%s: the list has a hole before %d"):format(whose, key))
    end
  end
  for key, value in pairs(opts or {}) do named[key] = value end
  return list, check(named, known, whose)
end

local function is_literal(value)
  return type(value) == "string" or type(value) == "number" or type(value) == "boolean" or value == json.null
end

function M.enum(values, opts)
  local list, named = split(values, opts, PLAIN, "s.enum")
  if #list == 0 then core.fail "s.enum: the list of values is empty" end
  for i, value in ipairs(list) do
    if not is_literal(value) then
      core.fail(("s.enum: value %d is a %s (expected text, a number, a boolean or ml.json.null)"):format(i,
        type(value)))
    end
  end
  return define.new { type = "enum", literals = list, opts = named }
end

function M.const(value, opts)
  if not is_literal(value) and type(value) ~= "table" then
    core.fail(("s.const: a %s is no value of JSON"):format(type(value)))
  end
  return define.new { type = "const", literals = { value }, opts = check(opts, PLAIN, "s.const") }
end

-- --- types with parts ---

local LIST = with_common { min = size, max = size, unique = "boolean" }
local MAP = with_common(SIZES)
local OBJECT = with_common {
  extra = function(value)
    if value ~= "ignore" and value ~= "forbid" and not define.of(value) then return '"ignore", "forbid" or a schema' end
  end,
}

function M.list(item, opts)
  define.check(item, "s.list", "its item")
  return define.new { type = "list", item = item, opts = check(opts, LIST, "s.list") }
end

function M.map(value, opts)
  define.check(value, "s.map", "its value")
  return define.new { type = "map", item = value, opts = check(opts, MAP, "s.map") }
end

local function schemas(values, opts, whose)
  local list, named = split(values, opts, PLAIN, whose)
  for i, schema in ipairs(list) do define.check(schema, whose, "item " .. i) end
  return list, named
end

function M.tuple(items, opts)
  local list, named = schemas(items, opts, "s.tuple")
  return define.new { type = "tuple", items = list, opts = named }
end

function M.union(branches, opts)
  local list, named = schemas(branches, opts, "s.union")
  if #list == 0 then core.fail "s.union: the list of schemas is empty" end
  return define.new { type = "union", items = list, opts = named }
end

--- The fields as a list of {name, schema}: in the order given, or by name. Raises what is wrong.
function M.fields(fields, whose)
  if type(fields) ~= "table" or define.of(fields) then
    local given = define.of(fields) and "schema" or type(fields)
    core.fail(("%s: its fields are a %s (expected a table)"):format(whose, given))
  end
  local list, seen = {}, {}
  local function add(name, schema)
    if type(name) ~= "string" or not utf8.len(name) then
      core.fail(("%s: the name of a field is a %s (expected text)"):format(whose, type(name)))
    end
    if seen[name] then core.fail(("%s: there are two fields '%s'"):format(whose, name)) end
    seen[name] = true
    list[#list + 1] = { name, define.check(schema, whose, ("field '%s'"):format(name)) }
  end
  if fields[1] ~= nil then
    for i, field in ipairs(fields) do
      if type(field) ~= "table" or define.of(field) then
        core.fail(("%s: item %d of its fields is no pair {name, schema}"):format(whose, i))
      end
      add(field[1], field[2])
    end
    for key in pairs(fields) do
      if math.type(key) ~= "integer" then core.fail(("%s: '%s' stands beside a list of fields"):format(whose, key)) end
    end
  else
    for name, schema in pairs(fields) do add(name, schema) end
    table.sort(list, function(a, b) return a[1] < b[1] end)
  end
  if #list > 1000 then core.fail(("%s: more than 1000 fields"):format(whose)) end
  return list
end

--- Checks the name of a component.
function M.name(name, whose)
  if type(name) ~= "string" or not name:find "^[%w._-]+$" then
    core.fail(("%s: a name consists of letters, digits, '.', '_' and '-'"):format(whose))
  end
  return name
end

function M.object(name, fields, opts)
  if type(name) ~= "string" then name, fields, opts = nil, name, fields end
  local whose = name and ("s.object '%s'"):format(name) or "s.object"
  if name then M.name(name, whose) end
  local list = M.fields(fields, whose)
  opts = check(opts, OBJECT, "s.object")
  local extra = opts.extra or "ignore"
  opts.extra = nil
  return define.new { type = "object", name = name, fields = list, extra = extra, opts = opts }
end

--- The object with its tag: a field that says which branch it is, if it has none.
local function with_tag(schema, key, tag, whose)
  local def = define.of(schema)
  if def.type == "ref" then return schema end
  if def.type ~= "object" then core.fail(("%s: branch '%s' is no object"):format(whose, tag)) end
  for _, field in ipairs(def.fields) do
    if field[1] == key then return schema end
  end
  local fields = { { key, M.const(tag) } }
  table.move(def.fields, 1, #def.fields, 2, fields)
  return define.with(schema, { fields = fields })
end

function M.tagged(key, branches, opts)
  if type(key) ~= "string" or key == "" then core.fail "s.tagged: the key that has the tag is no text" end
  if type(branches) ~= "table" or define.of(branches) or not next(branches) then
    core.fail "s.tagged: a table {tag = schema} expected"
  end
  local list = {}
  for tag, schema in pairs(branches) do
    if type(tag) ~= "string" then core.fail(("s.tagged: a tag is a %s (expected text)"):format(type(tag))) end
    define.check(schema, "s.tagged", ("branch '%s'"):format(tag))
    list[#list + 1] = { tag, with_tag(schema, key, tag, "s.tagged") }
  end
  table.sort(list, function(a, b) return a[1] < b[1] end)
  return define.new { type = "tagged", tag = key, branches = list, opts = check(opts, PLAIN, "s.tagged") }
end

function M.ref(target)
  if type(target) ~= "string" and type(target) ~= "function" then
    core.fail(("s.ref: the name of an object or a function expected, got a %s"):format(type(target)))
  end
  return define.new { type = "ref", target = target, opts = {} }
end

return M
