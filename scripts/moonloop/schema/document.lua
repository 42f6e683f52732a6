--- Schemas as JSON Schema, draft 2020-12.
--
-- A run makes the documents of one place, which share components:
--   made         name -> definition of the components
--   components   name -> document
--   prefix       of the references to them
--   root, names  the schema that is being described, and what the refs in it mean, once one was met
--   is_output    describes what `encode` writes, not what `decode` takes
--   unnamed      definitions without a name that are components -> their names
--   refs         list of {table, key, name, owner}: where which component refers to which
--   order        names of the fields of a table `properties`, in their order
local core = require "moonloop.core"
local define = require "moonloop.schema.define"
local json = require "moonloop.json"
local names = require "moonloop.schema.names"

local DECIMAL = "^[+\\-]?([0-9]+\\.?[0-9]*|\\.[0-9]+)([eE][+\\-]?[0-9]+)?$"

local describe

local write = {}

local function limits(doc, opts, min, max)
  doc[min], doc[max] = opts.min, opts.max
end

function write.string(doc, def)
  doc.type = "string"
  limits(doc, def.opts, "minLength", "maxLength")
  doc.pattern = def.opts.pattern
  if def.format == "ip" then
    doc.anyOf = json.array { { format = "ipv4" }, { format = "ipv6" } }
  elseif def.format == "url" then
    doc.format = "uri"
    if not doc.pattern then doc.pattern = "^[hH][tT][tT][pP][sS]?://[^/?#]" end
  else
    doc.format = def.format
  end
end

function write.bytes(doc) doc.type = "string" end

function write.file(doc) doc.type, doc.contentMediaType = "string", "application/octet-stream" end

local function numbers(doc, opts)
  limits(doc, opts, "minimum", "maximum")
  doc.exclusiveMinimum, doc.exclusiveMaximum, doc.multipleOf = opts.gt, opts.lt, opts.multiple_of
end

function write.int(doc, def)
  doc.type = "integer"
  numbers(doc, def.opts)
end

function write.number(doc, def)
  doc.type = "number"
  numbers(doc, def.opts)
end

function write.decimal(doc) doc.type, doc.pattern = "string", DECIMAL end
function write.bool(doc) doc.type = "boolean" end
function write.any() end

local TYPE_OF = { string = "string", boolean = "boolean", userdata = "null" }

--- The one type that all the values have, or nil.
local function type_of(values)
  local common
  for _, value in ipairs(values) do
    local own = TYPE_OF[type(value)] or math.type(value) and (value % 1 == 0 and "integer" or "number")
    if not own or common and common ~= own then return nil end
    common = own
  end
  return common
end

function write.enum(doc, def)
  doc.enum, doc.type = json.array(table.move(def.literals, 1, #def.literals, 1, {})), type_of(def.literals)
end

function write.const(doc, def) doc.const, doc.type = def.literals[1], type_of(def.literals) end

function write.list(doc, def, run)
  doc.type, doc.items = "array", describe(run, def.item)
  limits(doc, def.opts, "minItems", "maxItems")
  doc.uniqueItems = def.opts.unique or nil
end

function write.map(doc, def, run)
  doc.type, doc.additionalProperties = "object", describe(run, def.item)
  limits(doc, def.opts, "minProperties", "maxProperties")
end

function write.tuple(doc, def, run)
  doc.type, doc.minItems, doc.maxItems = "array", #def.items, #def.items
  if #def.items == 0 then return end
  doc.prefixItems = json.array()
  for i, item in ipairs(def.items) do doc.prefixItems[i] = describe(run, item) end
end

function write.union(doc, def, run)
  doc.anyOf = json.array()
  for i, item in ipairs(def.items) do doc.anyOf[i] = describe(run, item) end
end

function write.tagged(doc, def, run)
  doc.oneOf, doc.discriminator = json.array(), { propertyName = def.tag }
  local mapping = {}
  for i, branch in ipairs(def.branches) do
    doc.oneOf[i] = describe(run, branch[2])
    local ref = doc.oneOf[i]["$ref"]
    mapping[branch[1]] = ref
    if ref then run.refs[#run.refs + 1] = { mapping, branch[1], ref:sub(#run.prefix + 1), run.owner } end
  end
  if next(mapping) then doc.discriminator.mapping = mapping end
end

--- Is the field there, in what goes this way? And always?
local function presence(run, own)
  if run.is_output then
    -- Absent fields get their default, or null.
    return not own.opts.write_only, not own.optional or own.has_default or own.nullable
  end
  return not own.opts.read_only, not own.optional and not own.has_default
end

function write.object(doc, def, run)
  doc.type, doc.properties = "object", json.object()
  local required, order = json.array(), {}
  run.order[doc.properties] = order
  for _, field in ipairs(def.fields) do
    local is_there, is_required = presence(run, field[2].def)
    if is_there then
      order[#order + 1] = field[1]
      doc.properties[field[1]] = describe(run, field[2])
    end
    if is_there and is_required then required[#required + 1] = field[1] end
  end
  if required[1] then doc.required = required end
  if def.extra == "forbid" then
    doc.additionalProperties = false
  elseif define.of(def.extra) then
    doc.additionalProperties = describe(run, def.extra)
  end
end

local function names_of(run)
  run.names = run.names or names.of(run.root)
  return run.names
end

--- A schema without a name that a ref means may be in itself, so it is a component with a name of ours.
local function unnamed_component(run, schema)
  local name = run.unnamed[schema.def]
  if not name then
    local n = 0
    repeat
      n = n + 1
      name = "Schema" .. n
    until not run.unnamed[name] and not define.named[name]
    run.unnamed[schema.def], run.unnamed[name] = name, true
  end
  if not run.components[name] then
    local owner, doc = run.owner, {}
    run.components[name], run.owner = doc, name
    for key, value in pairs(describe(run, schema)) do doc[key] = value end
    run.owner = owner
  end
  return { ["$ref"] = run.prefix .. name }
end

function write.ref(doc, def, run)
  local schema = names.resolve(def, names_of(run))
  local target = schema.def.name and describe(run, schema) or unnamed_component(run, schema)
  for key, value in pairs(target) do doc[key] = value end
  local ref = doc["$ref"]
  if ref then run.refs[#run.refs + 1] = { doc, "$ref", ref:sub(#run.prefix + 1), run.owner } end
end

--- Adds null to what the document allows.
local function with_null(doc)
  if type(doc.type) == "string" and not doc.anyOf then
    doc.type = json.array { doc.type, "null" }
    if doc.enum then doc.enum[#doc.enum + 1] = json.null end
    if doc.const ~= nil then doc.enum, doc.const = json.array { doc.const, json.null }, nil end
    return doc
  end
  if next(doc) == nil then return doc end
  return { anyOf = json.array { doc, { type = "null" } } }
end

local EXPLAINED = {
  title = "title", description = "description", deprecated = "deprecated", read_only = "readOnly",
  write_only = "writeOnly",
}

local function explain(doc, def)
  for own, theirs in pairs(EXPLAINED) do
    if def.opts[own] ~= nil and not (own == "title" and def.name and doc["$ref"]) then doc[theirs] = def.opts[own] end
  end
  local examples = def.opts.examples or def.opts.example ~= nil and { def.opts.example } or nil
  if examples then doc.examples = json.array(table.move(examples, 1, #examples, 1, {})) end
  if def.has_default then doc.default = def.default end
end

--- The document of a component, which is made once; its reference.
local function component(run, def)
  local made = run.made[def.name]
  if made and (made.fields ~= def.fields or made.extra ~= def.extra) then
    core.fail(("two different schemas are called '%s': one made at %s, one at %s"):format(def.name, made.place,
      def.place))
  end
  if not made then
    run.made[def.name] = def
    local doc, owner = {}, run.owner
    run.components[def.name] = doc
    run.owner = def.name
    write.object(doc, def, run)
    explain(doc, def.base.def)
    doc.title, doc.default = doc.title or def.name, nil
    run.owner = owner
  end
  local doc = { ["$ref"] = run.prefix .. def.name }
  run.refs[#run.refs + 1] = { doc, "$ref", def.name, run.owner }
  return doc
end

function describe(run, schema)
  local def = schema.def
  local doc = {}
  if def.type == "document" then
    doc = { allOf = json.array { def.source } }
    if type(def.source) == "table" and def.source["$defs"] then
      core.fail "json_schema: a schema of s.from_json_schema with $defs cannot be a part of another document"
    end
  elseif def.name then
    doc = component(run, def)
  else
    write[def.type](doc, def, run)
  end
  if def.nullable then doc = with_null(doc) end
  if def.name and def.base.def ~= def or not def.name then explain(doc, def) end
  return doc
end

local M = {}

--- A new run; `prefix` stands before the names of components in references.
function M.run(prefix, is_output)
  return { made = {}, components = {}, unnamed = {}, prefix = prefix, is_output = is_output, refs = {}, order = {} }
end

--- The document of `schema` in a run.
function M.describe(run, schema)
  run.root, run.names = schema, nil
  return describe(run, schema)
end

--- schema:json_schema() -> a table that is a JSON Schema; components are in its $defs.
function M.json_schema(schema)
  local def = define.of(schema) or core.bad_self(schema, "schema", "json_schema")
  if def.type == "document" and not def.nullable then return def.source end
  local run = M.run("#/$defs/")
  local doc = M.describe(run, schema)
  doc["$schema"] = "https://json-schema.org/draft/2020-12/schema"
  if next(run.components) then doc["$defs"] = run.components end
  return doc
end

return M
