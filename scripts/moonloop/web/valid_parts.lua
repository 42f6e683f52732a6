--- The parts of a request but its JSON body, as texts by the fields of an object schema: path parameters,
-- query, headers and cookies. Forms are in valid_form.lua.
local core = require "moonloop.web.core"
local forms = require "moonloop.forms"
local json = require "moonloop.json"
local media_type = require "moonloop.core.media_type"
local run = require "moonloop.schema.run"
local schema_core = require "moonloop.schema.core"
local schema_names = require "moonloop.schema.names"
local tasks = require "moonloop.core"

local M = {}

-- --- errors ---

--- The error of a field, or of a body, that has not come.
function M.missing(loc)
  return { type = "missing", loc = json.array(loc), msg = "Field required", input = json.null }
end

--- The errors with locations that begin with `where`. `spelled`: field -> its name for the client. In a
-- part that is text there is no input for a field that is missing.
function M.prefix(errors, where, spelled)
  for _, err in ipairs(errors) do
    local loc = err.loc
    if spelled then
      if err.type == "missing" and #loc == 1 then err.input = json.null end
      loc[1] = spelled[loc[1]] or loc[1]
    end
    table.insert(loc, 1, where)
  end
  return errors
end

--- What Python's decoder says, in FastAPI's answers, where ours says `text`.
local PYTHON = {
  { "a key in quotes", "Expecting property name enclosed in double quotes" },
  { "':' should", "Expecting ':' delimiter" },
  { "',' or", "Expecting ',' delimiter" },
  { "the end of the text should", "Extra data" },
  { "ends inside a string", "Unterminated string starting at" },
  { "control character 0x%x+ in a string", "Invalid control character at" },
  { "after a backslash should", "Invalid \\escape" },
  { "a hexadecimal digit should", "Invalid \\uXXXX escape" },
  { "a value should", "Expecting value" },
}

--- What Python's json says where moonloop.json says `text`: it is in the 422s that FastAPI's clients know.
function M.as_python(text)
  for _, pair in ipairs(PYTHON) do
    if text:find(pair[1]) then return pair[2] end
  end
  return (text:gsub("^invalid JSON at line %d+, column %d+: ", ""))
end

--- Is it the media type of JSON?
function M.is_json(content_type)
  local kind = media_type(content_type or "")
  return kind == "application/json" or kind:find "^application/.*%+json$" ~= nil
end

-- --- texts ---

--- Can the schema be a list? `known` are the names that refs mean, `seen` the definitions on the way here.
local function is_list(part, known, seen)
  local def = part.def
  if def.type == "list" or def.type == "tuple" then return true end
  if seen[def] then return false end
  seen[def] = true
  if def.type == "ref" then return is_list(schema_names.resolve(def, known), known, seen) end
  if def.type ~= "union" then return false end
  for _, branch in ipairs(def.items) do
    if is_list(branch, known, seen) then return true end
  end
  return false
end

--- The fields of an object that are lists, as keys.
function M.lists(object)
  local known, lists = schema_names.of(object), {}
  for _, field in ipairs(object.def.fields) do
    if is_list(field[2], known, {}) then lists[field[1]] = true end
  end
  return lists
end

--- What the part is called in locations.
local WHERE = { params = "path", query = "query", headers = "header", cookies = "cookie" }

--- A field's name for the client: in headers "_" means "-", as with FastAPI.
local function spelling(part, field) return part == "headers" and field:gsub("_", "-") or field end

--- How a part is read: {part, program, fields = {the client's name = field}, lists, others}, and
-- field -> its name in locations. Headers are in lower case. See web_texts.h.
local function layout(part, object, opts)
  local fields, spelled = {}, {}
  for _, field in ipairs(object.def.fields) do
    local name = spelling(part, field[1])
    local key = part == "headers" and name:lower() or name
    if fields[key] then
      error(("the route %s has two fields for the header '%s': '%s' and '%s'"):format(opts.name, name, fields[key],
        field[1]), 0)
    end
    fields[key], spelled[field[1]] = field[1], name
  end
  local others = object.def.extra ~= "ignore" and part ~= "params"
  return { part, run.compiled(object).program, fields, M.lists(object), others }, spelled
end

--- The client's name -> value, or a list of them, of a request that a middleware has replaced by a table.
local function given(part, req, fields)
  local all = req[part] or {}
  if part == "cookies" then all = forms.cookies((req.headers or {}).cookie or "") end
  local pairs_of = {}
  if part == "headers" then
    for name in pairs(fields) do pairs_of[name] = all[name] end
  else
    for name, value in pairs(all) do pairs_of[name] = part == "query" and all.all and all:all(name) or value end
  end
  return pairs_of
end

local function texts_of_table(req, part, fields, lists, others)
  local texts = {}
  for name, value in pairs(given(part, req, fields)) do
    local field = fields[name] or others and name
    local is_many = type(value) == "table"
    if field and lists[field] then
      texts[field] = is_many and value or { value }
    elseif field then
      local text = value
      if is_many then text = value[#value] end
      texts[field] = core.well_formed(tostring(text))
    end
  end
  return texts
end

--- reader(req) -> value | nil, errors: for a part that is texts. Also its layout.
function M.texts(part, object, opts)
  local compiled = run.compiled(object)
  local way, spelled = layout(part, object, opts)
  local _, program, fields, lists, others = table.unpack(way)
  return function(req)
    local gather = type(req) == "userdata" and core.texts or texts_of_table
    local value, errors = schema_core.parse(program, gather(req, part, fields, lists, others), "text")
    if errors or compiled.checks then value, errors = run.finish(object, value, errors) end
    if errors then return nil, M.prefix(errors, WHERE[part], spelled) end
    return value
  end, way
end

--- Fields that are no parameters of the path are an error: they would never be filled.
local function check_params(object, opts)
  local is_known = {}
  for _, name in ipairs(opts.params) do is_known[name] = true end
  for _, field in ipairs(object.def.fields) do
    if not is_known[field[1]] then
      error(tasks.unknown("path parameter", field[1], "the route " .. opts.name, opts.params), 0)
    end
  end
end

--- The same for the path's parameters, of which there are more than the object may have fields for.
function M.params(object, opts)
  if not object then return function(req) return req.params end end
  check_params(object, opts)
  local read, way = M.texts("params", object, opts)
  return function(req)
    local value, errors = read(req)
    if errors then return nil, errors end
    for name, text in pairs(req.params) do
      if value[name] == nil then value[name] = text end
    end
    return value
  end, way
end

--- Forms, loaded where a route has one.
function M.form(object, opts) return require "moonloop.web.valid_form"(object, opts) end

return M
