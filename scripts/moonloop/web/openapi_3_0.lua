--- Documents of OpenAPI 3.1 as 3.0 has them, for older tools: its schemas are a dialect of their own.
local json = require "moonloop.json"

local SCHEMA = { "items", "additionalProperties", "not" } -- keys with one schema
local SCHEMAS = { "anyOf", "oneOf", "allOf" } -- with a list of them

-- What 3.0 has in a schema, as it is.
local KEPT = {}
for name in ([[title description type format enum default pattern minimum maximum minLength maxLength minItems maxItems
    uniqueItems minProperties maxProperties multipleOf required discriminator readOnly writeOnly deprecated
    externalDocs xml]]):gmatch "%S+" do KEPT[name] = true end

local convert

--- Takes null out of the types. A list of several types becomes alternatives.
local function convert_type(own, types)
  local rest = {}
  for _, one in ipairs(types) do
    if one == "null" then own.nullable = true else rest[#rest + 1] = one end
  end
  if #rest == 1 then
    own.type = rest[1]
  elseif #rest > 1 then
    own.anyOf = json.array()
    for i, one in ipairs(rest) do own.anyOf[i] = { type = one } end
  end
end

local function is_null(schema) return type(schema) == "table" and schema.type == "null" end

--- anyOf with a null: the others, nullable.
local function without_null(own, list, order)
  local rest = json.array()
  for _, one in ipairs(list) do
    if is_null(one) then own.nullable = true else rest[#rest + 1] = convert(one, order) end
  end
  return rest
end

--- A limit that the value may not reach.
local function convert_exclusive(own, schema)
  if type(schema.exclusiveMinimum) == "number" then
    own.minimum, own.exclusiveMinimum = schema.exclusiveMinimum, true
  end
  if type(schema.exclusiveMaximum) == "number" then
    own.maximum, own.exclusiveMaximum = schema.exclusiveMaximum, true
  end
end

--- Tuples are lists whose items may be what any of its places has.
local function convert_tuple(own, schema, order)
  own.items = { anyOf = json.array() }
  for i, item in ipairs(schema.prefixItems) do own.items.anyOf[i] = convert(item, order) end
end

--- The schema in 3.0's dialect. What it has no word for is left out: it allows more then.
function convert(schema, order)
  if type(schema) ~= "table" then return schema and json.object() or { ["not"] = json.object() } end
  local own = setmetatable({}, getmetatable(schema))
  for key, value in next, schema do
    if KEPT[key] then own[key] = value end
  end
  if type(schema.type) == "table" then
    own.type = nil
    convert_type(own, schema.type)
  elseif schema.type == "null" then
    own.type, own.nullable, own.enum = nil, true, json.array { json.null }
  end
  if schema.const ~= nil then own.enum = json.array { schema.const } end
  convert_exclusive(own, schema)
  for _, key in ipairs(SCHEMA) do
    local value = schema[key]
    local is_closed = key == "additionalProperties" and value == false
    if is_closed then own[key] = false elseif value ~= nil then own[key] = convert(value, order) end
  end
  for _, key in ipairs(SCHEMAS) do
    if schema[key] then own[key] = without_null(own, schema[key], order) end
  end
  if own.nullable and own.anyOf and #own.anyOf == 1 then own.allOf, own.anyOf = own.anyOf, nil end
  if schema.prefixItems then convert_tuple(own, schema, order) end
  if own.type == "array" and not own.items then own.items = json.object() end
  if schema.properties then
    own.properties = json.object()
    order[own.properties] = order[schema.properties]
    for name, value in next, schema.properties do own.properties[name] = convert(value, order) end
  end
  if schema.examples then own.example = schema.examples[1] end
  if schema.contentMediaType then own.format = "binary" end
  if schema["$ref"] then
    local ref = { ["$ref"] = schema["$ref"] }
    if next(own) == nil then return ref end
    own.allOf = own.allOf or json.array()
    table.insert(own.allOf, 1, ref)
  end
  return own
end

--- A copy of what is not a schema, with the schemas in it converted.
local function walk(value, order)
  if type(value) ~= "table" then return value end
  local copy = setmetatable({}, getmetatable(value))
  order[copy] = order[value]
  for key, item in next, value do
    if key == "schema" then
      copy[key] = convert(item, order)
    elseif key == "examples" or key == "example" then
      copy[key] = item
    else
      copy[key] = walk(item, order)
    end
  end
  return copy
end

--- convert(document, order) -> the document of version 3.0, and the order of its keys
return function(document, order)
  local components = document.components or {}
  local copy = walk(document, order)
  copy.info.summary = nil
  if type(copy.info.license) == "table" then copy.info.license.identifier = nil end
  if components.schemas then
    copy.components.schemas = {}
    for name, schema in pairs(components.schemas) do copy.components.schemas[name] = convert(schema, order) end
  end
  return copy, order
end
