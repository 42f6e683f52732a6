--- The schemas of a document: components in the two directions, and which of them differ.
local core = require "moonloop.core"
local define = require "moonloop.schema.define"
local document = require "moonloop.schema.document"
local names = require "moonloop.schema.names"

local PREFIX = "#/components/schemas/"

local M = {}

--- Makes the schemas of one document: `input` is what requests have, `output` what responses have.
function M.new()
  local input, output = document.run(PREFIX, false), document.run(PREFIX, true)
  output.unnamed = input.unnamed -- they are the same
  return { input = input, output = output, sources = {} }
end

--- A copy of a JSON Schema of others, whose references lead into the component that it becomes.
local function copied(value, prefix)
  if type(value) ~= "table" then return value end
  local copy = setmetatable({}, getmetatable(value))
  for key, item in next, value do
    if key == "$ref" and type(item) == "string" and item:sub(1, 1) == "#" then
      copy[key] = prefix .. item:sub(2)
    elseif key ~= "$schema" and key ~= "$id" then
      copy[key] = copied(item, prefix)
    end
  end
  return copy
end

--- A schema of s.from_json_schema with definitions of its own is a component, so that its references
-- have something to lead to. It gets its name last.
local function source_component(self, source)
  local ref = {}
  self.sources[source] = self.sources[source] or {}
  if not self.sources[source][1] then self.sources[#self.sources + 1] = source end
  table.insert(self.sources[source], ref)
  return ref
end

local function add_sources(self, components)
  for _, source in ipairs(self.sources) do
    local base = type(source.title) == "string" and source.title:gsub("[^%w._-]+", "_") or "Schema"
    local name, n = base, 1
    while components[name] do
      n = n + 1
      name = base .. n
    end
    components[name] = copied(source, PREFIX .. name)
    for _, ref in ipairs(self.sources[source]) do ref["$ref"] = PREFIX .. name end
  end
end

--- The document of a schema where it is used; `way` is "input" or "output".
function M.describe(self, schema, way)
  local def = define.of(schema)
  if def.type == "document" and not def.nullable and type(def.source) == "table" and def.source["$defs"] then
    return source_component(self, def.source)
  end
  return document.describe(self[way], schema)
end

--- Are two values of JSON equal?
local function is_equal(a, b)
  if type(a) ~= "table" or type(b) ~= "table" then return a == b end
  for key, value in next, a do
    if not is_equal(value, b[key]) then return false end
  end
  for key in next, b do
    if a[key] == nil then return false end
  end
  return true
end

--- The names of components that requests and responses have, and which are not the same there: in
-- themselves, or in what they refer to.
local function find_split(input, output)
  local split, users, work = {}, {}, {}
  local function mark(name)
    if not split[name] and input.components[name] and output.components[name] then
      split[name] = true
      work[#work + 1] = name
    end
  end
  for _, run in ipairs { input, output } do
    for _, ref in ipairs(run.refs) do
      local name, owner = ref[3], ref[4]
      users[name] = users[name] or {}
      if owner then table.insert(users[name], owner) end
    end
  end
  for name, doc in pairs(input.components) do
    if output.components[name] and not is_equal(doc, output.components[name]) then mark(name) end
  end
  while #work > 0 do
    for _, owner in ipairs(users[table.remove(work)] or {}) do mark(owner) end
  end
  return split
end

--- Ends the run: the table of all components. What differs becomes NAME-Input and NAME-Output.
function M.finish(self)
  local split, components = find_split(self.input, self.output), {}
  for way, suffix in pairs { input = "-Input", output = "-Output" } do
    local run = self[way]
    for name, doc in pairs(run.components) do components[split[name] and name .. suffix or name] = doc end
    for _, ref in ipairs(run.refs) do
      if split[ref[3]] then ref[1][ref[2]] = PREFIX .. ref[3] .. suffix end
    end
  end
  add_sources(self, components)
  return components
end

--- The order of the properties of all components.
function M.order(self)
  local order = setmetatable({}, { __mode = "k" })
  for _, run in ipairs { self.input, self.output } do
    for properties, keys in pairs(run.order) do order[properties] = keys end
  end
  return order
end

--- Raises unless all schemas in the list that have the same name are the same.
function M.check(list)
  local made, seen, work = {}, {}, table.move(list, 1, #list, 1, {})
  local known
  local at = 0
  while at < #work do
    at = at + 1
    local schema = work[at]
    local def = define.of(schema)
    if not seen[def] then
      seen[def] = true
      local other = def.name and made[def.name]
      if other and (other.fields ~= def.fields or other.extra ~= def.extra) then
        core.fail(("two different schemas of this app are called '%s': one made at %s, one at %s"):format(def.name,
          other.place, def.place))
      end
      if def.name then made[def.name] = def end
      for _, part in ipairs(names.parts(def)) do work[#work + 1] = part end
      if def.type == "ref" then
        known = known or M.names(list)
        work[#work + 1] = names.resolve(def, known)
      end
    end
  end
end

--- The named schemas that those in the list reach: name -> schema.
function M.names(list)
  local all = {}
  for _, schema in ipairs(list) do
    for name, one in pairs(names.of(schema)) do all[name] = all[name] or one end
  end
  return all
end

M.is_equal = is_equal

return M
