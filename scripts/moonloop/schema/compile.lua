--- Schemas to the descriptions that moonloop.schema.core makes nodes of. A description is a table with the
-- `type` of its node; others are referred to by their numbers in the list.
local define = require "moonloop.schema.define"
local json = require "moonloop.json"
local names = require "moonloop.schema.names"
local pattern = require "moonloop.schema.pattern"
local rules = require "moonloop.schema.rules"
local schema_core = require "moonloop.schema.core"

--- A value as Python writes it, which is what Pydantic's messages have.
local function python(value)
  if type(value) == "string" then
    return value:find("'", 1, true) and not value:find('"', 1, true) and '"' .. value .. '"'
      or "'" .. value:gsub("\\", "\\\\"):gsub("'", "\\'") .. "'"
  elseif value == true then return "True"
  elseif value == false then return "False"
  elseif value == json.null then return "None"
  elseif type(value) == "table" then return json.encode(value)
  end
  return tostring(value)
end

--- "'a', 'b' or 'c'"
local function any_of(values)
  local texts = {}
  for i, value in ipairs(values) do texts[i] = python(value) end
  local last = table.remove(texts)
  return texts[1] and table.concat(texts, ", ") .. " or " .. last or last
end

local LABELS = {
  int = "int", number = "float", bool = "bool", decimal = "decimal", any = "any", bytes = "bytes",
  ["date-time"] = "datetime", date = "date", time = "time", duration = "timedelta", uuid = "uuid", url = "url",
}

--- What a branch of a union is called in the locations of errors.
local function label(schema)
  local def = schema.def
  if def.name then return def.name end
  if def.type == "string" then
    local is_constrained = def.opts.min or def.opts.max or def.opts.pattern or def.opts.match
    return LABELS[def.format] or is_constrained and "constrained-str" or "str"
  elseif def.type == "int" or def.type == "number" then
    local opts = def.opts
    local is_constrained = opts.min or opts.max or opts.gt or opts.lt or opts.multiple_of
    return (is_constrained and "constrained-" or "") .. LABELS[def.type]
  elseif def.type == "list" then return ("list[%s]"):format(label(def.item))
  elseif def.type == "map" then return ("dict[str,%s]"):format(label(def.item))
  elseif def.type == "enum" or def.type == "const" then
    local texts = {}
    for i, value in ipairs(def.literals) do texts[i] = python(value) end
    return ("literal[%s]"):format(table.concat(texts, ","))
  elseif def.type == "ref" and type(def.target) == "string" then return def.target
  end
  return LABELS[def.type] or def.type
end

local fill = {}

function fill.string(node, def)
  node.size_min, node.size_max = def.opts.min, def.opts.max
  node.format, node.match, node.unix = def.format, def.opts.match, def.unix
  if def.opts.pattern then node.pattern, node.pattern_text = assert(pattern(def.opts.pattern)), def.opts.pattern end
end

function fill.bytes(node, def) node.size_min, node.size_max = def.opts.min, def.opts.max end

function fill.int(node, def)
  for _, name in ipairs { "min", "max", "gt", "lt", "multiple_of" } do node[name] = def.opts[name] end
end
fill.number, fill.decimal = fill.int, fill.int

function fill.enum(node, def)
  node.type, node.literals, node.expected = "literal", def.literals, any_of(def.literals)
end
fill.const = fill.enum

function fill.list(node, def, visit)
  node.size_min, node.size_max, node.unique = def.opts.min, def.opts.max, def.opts.unique
  node.item = visit(def.item)
end

function fill.map(node, def, visit)
  node.size_min, node.size_max, node.item = def.opts.min, def.opts.max, visit(def.item)
end

local function visit_all(list, visit)
  local numbers = {}
  for i, schema in ipairs(list) do numbers[i] = visit(schema) end
  return numbers
end

function fill.tuple(node, def, visit) node.nodes = visit_all(def.items, visit) end
function fill.union(node, def, visit) node.nodes = visit_all(def.items, visit) end

function fill.tagged(node, def, visit)
  local tags = {}
  node.tag, node.fields = def.tag, {}
  for i, branch in ipairs(def.branches) do
    node.fields[i] = { branch[1], visit(branch[2]) }
    tags[i] = python(branch[1])
  end
  node.expected = table.concat(tags, ", ")
end

function fill.object(node, def, visit, _, way)
  node.fields = {}
  for _, field in ipairs(def.fields) do
    local own = field[2].def
    way.differs = way.differs or own.opts.read_only
    if way.is_output or not own.opts.read_only then
      node.fields[#node.fields + 1] = {
        field[1], visit(field[2]), required = not own.optional and not own.has_default, hidden = own.opts.write_only,
      }
      if own.has_default then node.fields[#node.fields].default = own.default end
    end
  end
  if define.of(def.extra) then
    node.extra, node.item = "schema", visit(def.extra)
  else
    node.extra = def.extra
  end
end

--- The node takes anything: what a file is, check.lua knows.
function fill.file(node) node.type = "any" end

function fill.ref(node, def, visit, known) node.item = visit(names.resolve(def, known)) end

--- The descriptions of a schema, for reading or (`way.is_output`) for writing, and whether any part has a
-- :check. Sets way.differs where the other one is not the same.
local function build(schema, way)
  local known = names.of(schema)
  local nodes, numbers, has_checks = {}, {}, false
  local visit

  local function visit_document(document) -- of from_json_schema
    if numbers[document] then return numbers[document] end
    local number = #nodes + 1
    numbers[document], nodes[number] = number, {}
    rules.fill(nodes[number], document, visit_document)
    return number
  end

  function visit(part)
    local def = part.def
    if numbers[def] then return numbers[def] end
    local number, node = #nodes + 1, { type = def.type }
    numbers[def], nodes[number] = number, node
    if def.checks or def.type == "file" then has_checks = true end
    node.nullable, node.secret, node.lax = def.nullable, def.opts.secret, def.opts.coerce
    node.label = label(part)
    if def.type == "document" then
      node.type, node.item = "ref", visit_document(def.document)
    elseif fill[def.type] then
      fill[def.type](node, def, visit, known, way)
    end
    return number
  end

  visit(schema)
  return nodes, has_checks
end

--- compile(schema) -> { program =, writer = the same for encode, checks = has any part a :check?, and the
-- descriptions that these are made of: nodes =, writer_nodes = }
return function(schema)
  local way = {}
  local nodes, checks = build(schema, way)
  local program = schema_core.compile(nodes)
  if not way.differs then
    return { program = program, writer = program, checks = checks, nodes = nodes, writer_nodes = nodes }
  end
  local writer_nodes = build(schema, { is_output = true })
  return {
    program = program, writer = schema_core.compile(writer_nodes), checks = checks, nodes = nodes,
    writer_nodes = writer_nodes,
  }
end
