--- s.from_json_schema: JSON Schema, draft 2020-12, to schemas. What is not known is refused, not ignored.
local core = require "moonloop.core"
local decode_percent = require "moonloop.core.percent"
local define = require "moonloop.schema.define"
local json = require "moonloop.json"
local options = require "moonloop.core.options"
local pattern = require "moonloop.schema.pattern"
local schema_core = require "moonloop.schema.core"
local sorted_keys = require "moonloop.core.sorted_keys"

local DRAFT = "https://json-schema.org/draft/2020-12/schema"
local TYPES = { null = 1, boolean = 2, object = 4, array = 8, number = 16, string = 32, integer = 64 }

-- What only explains.
local ANNOTATIONS = {}
for _, name in ipairs {
  "title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly", "$comment", "$schema",
  "contentEncoding", "contentMediaType", "contentSchema", "example", "discriminator", "externalDocs", "xml",
} do ANNOTATIONS[name] = true end

-- What has schemas in it.
local SCHEMA, LIST, MAP = {}, {}, {}
for _, name in ipairs {
  "additionalProperties", "items", "contains", "propertyNames", "not", "if", "then", "else",
} do SCHEMA[name] = true end
for _, name in ipairs { "allOf", "anyOf", "oneOf", "prefixItems" } do LIST[name] = true end
for _, name in ipairs { "properties", "patternProperties", "dependentSchemas", "$defs" } do MAP[name] = true end

local function reject(reader, what)
  local path = reader.path
  error({ message = ("s.from_json_schema: %s (at #%s)"):format(what, path) }, 0)
end

local read

--- Reads the schema that is a part of the current one.
local function part(reader, value, ...)
  local path = reader.path
  for _, step in ipairs { ... } do
    reader.path = reader.path .. "/" .. tostring(step):gsub("~", "~0"):gsub("/", "~1")
  end
  local rule = read(reader, value)
  reader.path = path
  return rule
end

local function need(reader, ok, keyword, expected)
  if not ok then reject(reader, ("'%s' is not %s"):format(keyword, expected)) end
end

local function is_list(value)
  return type(value) == "table" and (#value > 0 or next(value) == nil)
end

local function is_map(value) return type(value) == "table" and #value == 0 end

local function parts(reader, list, keyword)
  need(reader, is_list(list) and #list > 0, keyword, "a list of schemas")
  local rules = {}
  for i, value in ipairs(list) do rules[i] = part(reader, value, keyword, i - 1) end
  return rules
end

local function texts(reader, list, keyword)
  need(reader, is_list(list), keyword, "a list of texts")
  for _, text in ipairs(list) do need(reader, type(text) == "string", keyword, "a list of texts") end
  return table.move(list, 1, #list, 1, {})
end

local function regex(reader, text, keyword)
  need(reader, type(text) == "string", keyword, "text")
  local translated, err = pattern(text)
  err = err or schema_core.pattern_fault(translated)
  if err then reject(reader, ("pattern '%s': %s"):format(text, err)) end
  return translated
end

-- --- keywords ---

local keywords = {}

function keywords.type(reader, rule, value)
  local list = type(value) == "string" and { value } or value
  need(reader, is_list(list) and #list > 0, "type", "a type or a list of them")
  rule.types = 0
  for _, name in ipairs(list) do
    if not TYPES[name] then reject(reader, core.unknown("type", name, "JSON Schema", sorted_keys(TYPES))) end
    rule.types = rule.types | TYPES[name]
  end
  rule.type_names = table.concat(list, " or ")
end

local function number(field, check_it, expected)
  return function(reader, rule, value, keyword)
    need(reader, math.type(value) and (not check_it or check_it(value)), keyword, expected or "a number")
    rule[field] = value
  end
end

local function count(field)
  return number(field, function(value) return value >= 0 and value == math.floor(value) end, "an integer from 0")
end

keywords.minimum, keywords.maximum = number "min", number "max"
keywords.exclusiveMinimum, keywords.exclusiveMaximum = number "gt", number "lt"
keywords.multipleOf = number("multiple_of", function(value) return value > 0 end, "a number above 0")
keywords.minLength, keywords.maxLength = count "length_min", count "length_max"
keywords.minItems, keywords.maxItems = count "items_min", count "items_max"
keywords.minProperties, keywords.maxProperties = count "members_min", count "members_max"
keywords.minContains, keywords.maxContains = count "contains_min", count "contains_max"

function keywords.pattern(reader, rule, value)
  rule.pattern, rule.pattern_text = regex(reader, value, "pattern"), value
end

local FORMATS = { "date-time", "date", "time", "duration", "email", "hostname", "ipv4", "ipv6", "uri", "uri-reference",
  "uuid", "json-pointer" }

function keywords.format(reader, rule, value)
  need(reader, type(value) == "string", "format", "text")
  if not reader.format then return end
  for _, name in ipairs(FORMATS) do
    if name == value then rule.format = value end
  end
  if not rule.format then reject(reader, core.unknown("format", value, "s.from_json_schema", FORMATS)) end
end

function keywords.enum(reader, rule, value)
  need(reader, is_list(value), "enum", "a list")
  rule.literals = table.move(value, 1, #value, 1, {})
  rule.expected = json.encode(json.array(table.move(value, 1, #value, 1, {})))
end

function keywords.const(_, rule, value)
  if rule.literals then -- both have to hold
    rule.all_of = rule.all_of or {}
    table.insert(rule.all_of, { type = "rules", literals = { value }, expected = json.encode(value) })
  else
    rule.literals, rule.expected = { value }, json.encode(value)
  end
end

function keywords.uniqueItems(reader, rule, value)
  need(reader, type(value) == "boolean", "uniqueItems", "a boolean")
  rule.unique = value
end

local function schema(field)
  return function(reader, rule, value, keyword) rule[field] = part(reader, value, keyword) end
end

keywords.items, keywords.contains, keywords.propertyNames = schema "items", schema "contains", schema "names"
keywords.additionalProperties, keywords["not"] = schema "additional", schema "negated"
keywords["if"], keywords["then"], keywords["else"] = schema "condition", schema "then_node", schema "otherwise"

local function schemas(field)
  return function(reader, rule, value, keyword)
    rule[field] = rule[field] or {}
    for _, other in ipairs(parts(reader, value, keyword)) do table.insert(rule[field], other) end
  end
end

keywords.allOf, keywords.anyOf, keywords.oneOf = schemas "all_of", schemas "any_of", schemas "one_of"
keywords.prefixItems = schemas "prefix"

function keywords.properties(reader, rule, value)
  need(reader, is_map(value), "properties", "an object")
  local keys = sorted_keys(value)
  if #keys > 60000 then reject(reader, "more than 60000 properties") end
  rule.fields = {}
  for i, key in ipairs(keys) do rule.fields[i] = { key, part(reader, value[key], "properties", key) } end
end

function keywords.patternProperties(reader, rule, value)
  need(reader, is_map(value), "patternProperties", "an object")
  rule.patterns = {}
  for i, key in ipairs(sorted_keys(value)) do
    rule.patterns[i] = {
      pattern = regex(reader, key, "patternProperties"), node = part(reader, value[key], "patternProperties", key),
    }
  end
end

function keywords.required(reader, rule, value) rule.required = texts(reader, value, "required") end

local function dependent(rule, key, field, value)
  rule.dependents = rule.dependents or {}
  table.insert(rule.dependents, { key, [field] = value })
end

function keywords.dependentRequired(reader, rule, value)
  need(reader, is_map(value), "dependentRequired", "an object")
  for _, key in ipairs(sorted_keys(value)) do
    dependent(rule, key, "others", texts(reader, value[key], "dependentRequired"))
  end
end

function keywords.dependentSchemas(reader, rule, value)
  need(reader, is_map(value), "dependentSchemas", "an object")
  for _, key in ipairs(sorted_keys(value)) do
    dependent(rule, key, "node", part(reader, value[key], "dependentSchemas", key))
  end
end

keywords["$defs"] = function(reader, _, value) -- read even where nothing refers to it: it may be wrong
  need(reader, is_map(value), "$defs", "an object")
  for _, key in ipairs(sorted_keys(value)) do part(reader, value[key], "$defs", key) end
end

--- Follows a JSON pointer from schema to schema. Gives the schema and its path.
local function follow(reader, pointer)
  local at, kind = reader.root, "schema"
  for step in pointer:gmatch "/([^/]*)" do
    step = decode_percent(step):gsub("~1", "/"):gsub("~0", "~")
    if type(at) ~= "table" then at = nil
    elseif kind == "list" then at, kind = step:find "^%d+$" and at[tonumber(step) + 1] or nil, "schema"
    elseif kind == "map" then at, kind = at[step], "schema"
    else
      kind = SCHEMA[step] and "schema" or LIST[step] and "list" or MAP[step] and "map"
      at = kind and at[step] or nil
    end
    if at == nil then break end
  end
  if at == nil or kind ~= "schema" then
    reject(reader, ("$ref '#%s' does not lead to a schema"):format(pointer))
  end
  return at
end

keywords["$ref"] = function(reader, rule, value)
  need(reader, type(value) == "string", "$ref", "text")
  local pointer = value:match "^#(.*)$"
  if not pointer or (pointer ~= "" and not pointer:find "^/") then
    reject(reader, ("$ref '%s' is not supported: only those within the document, as '#/$defs/name'"):format(value))
  end
  local target, path = follow(reader, pointer), reader.path
  reader.path = pointer
  rule.all_of = rule.all_of or {}
  table.insert(rule.all_of, 1, read(reader, target))
  reader.path = path
end

keywords["$id"] = function(reader)
  if reader.path ~= "" then reject(reader, "$id is supported only at the root of the document") end
end

--- The rule of the schema `value`, which is at reader.path.
function read(reader, value)
  if value == true then return { type = "any" } end
  if value == false then return { type = "rules", never = true } end
  if not is_map(value) then reject(reader, "a schema is an object or a boolean") end
  if reader.rules[value] then return reader.rules[value] end
  local rule = { type = "rules" }
  reader.rules[value] = rule -- before its parts, which may refer to it
  for _, keyword in ipairs(sorted_keys(value)) do
    if keywords[keyword] then
      keywords[keyword](reader, rule, value[keyword], keyword)
    elseif keyword == "$schema" then
      local uri = value[keyword]
      if uri ~= DRAFT and uri ~= DRAFT .. "#" and not reader.metaschemas[uri] then
        reject(reader, ("$schema '%s' is not draft 2020-12; option 'metaschemas' names others that mean the same")
          :format(tostring(uri)))
      end
    elseif not ANNOTATIONS[keyword] and not keyword:find "^x%-" then
      reject(reader, ("keyword '%s' is not supported"):format(keyword))
    end
  end
  if not rule.contains then rule.contains_min, rule.contains_max = nil, nil end
  if rule.condition == nil then rule.then_node, rule.otherwise = nil, nil end
  return rule
end

--- from_json_schema(doc [, { format =, metaschemas = }]) -> schema. `doc` is a table, or JSON text.
return function(doc, opts)
  opts = options.check(opts, { format = "boolean", metaschemas = "table" }, "s.from_json_schema")
  if type(doc) == "string" then
    local text = doc
    local err
    doc, err = json.decode(text)
    if doc == nil then core.fail("s.from_json_schema: " .. err.message) end
  end
  if type(doc) ~= "table" and type(doc) ~= "boolean" then
    core.fail(("s.from_json_schema: a table, a boolean or JSON text expected, got a %s"):format(type(doc)))
  end
  local reader = { root = doc, path = "", rules = {}, format = opts.format ~= false, metaschemas = {} }
  for _, uri in ipairs(opts.metaschemas or {}) do reader.metaschemas[uri] = true end
  local ok, rule = pcall(read, reader, doc)
  if not ok then
    if type(rule) == "table" and rule.message and not core.is_error(rule) then core.fail(rule.message) end
    error(rule, 0)
  end
  return define.new { type = "document", document = rule, source = doc, opts = {} }
end
