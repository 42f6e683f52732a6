--- One operation of a document: a route with a method.
local detail = require "moonloop.web.typed".detail
local define = require "moonloop.schema.define"
local json = require "moonloop.json"
local schemas = require "moonloop.web.openapi_schemas"
local security = require "moonloop.web.openapi_security"

local M = {}

-- --- parameters ---

local KINDS = {
  int = function() return { type = "integer" } end,
  number = function() return { type = "number" } end,
  path = function() return { type = "string" } end,
  text = function() return { type = "string", minLength = 1 } end,
}

local function is_required(schema) return not schema.def.optional and not schema.def.has_default end

--- Moves what explains a parameter from its schema to itself.
local function parameter(name, place, doc, required)
  local own = { name = name, ["in"] = place, required = required or nil, schema = doc }
  own.description, own.deprecated = doc.description, doc.deprecated
  doc.description, doc.deprecated = nil, nil
  return own
end

--- The fields of a part of the request: a list of {name, schema}.
local function fields_of(types, part)
  local schema = types and types[part]
  return schema and schema.def.fields or {}
end

local function path_parameters(run, operation, list)
  local own = {}
  for _, field in ipairs(fields_of(operation.route.types, "params")) do own[field[1]] = field[2] end
  for _, one in ipairs(operation.parameters) do
    local schema = own[one.own or one.name]
    local doc = schema and schemas.describe(run.schemas, schema, "input") or KINDS[one.kind]()
    list[#list + 1] = parameter(one.name, "path", doc, true)
  end
end

local PLACES = { { "query", "query" }, { "headers", "header" }, { "cookies", "cookie" } }

local function other_parameters(run, types, list)
  for _, place in ipairs(PLACES) do
    for _, field in ipairs(fields_of(types, place[1])) do
      local name = place[2] == "header" and field[1]:gsub("_", "-") or field[1]
      list[#list + 1] = parameter(name, place[2], schemas.describe(run.schemas, field[2], "input"),
        is_required(field[2]))
    end
  end
end

-- --- bodies ---

--- {name = {value = ...}} of a list of values, or of a table that has it already.
local function examples(list)
  if not list then return nil end
  if list[1] == nil then return next(list) and list or nil end
  local all = {}
  for i, value in ipairs(list) do all["example" .. i] = { value = value } end
  return all
end

-- Fields of these kinds are JSON in a form.
local JSON = { object = true, map = true, tagged = true, document = true }

--- How the field of a form is written, where it is not plain text.
local function encoding_of(field)
  local def = field.def
  if def.type == "list" then def = def.item.def end
  if def.type == "file" then return def.opts.types and { contentType = table.concat(def.opts.types, ", ") } end
  return JSON[def.type] and { contentType = "application/json" } or nil
end

local function form_content(run, form, shown)
  local encoding, has_files = {}, false
  for _, field in ipairs(form.def.fields) do
    local def = field[2].def
    has_files = has_files or def.type == "file" or def.type == "list" and def.item.def.type == "file"
    encoding[field[1]] = encoding_of(field[2])
  end
  local media = {
    schema = schemas.describe(run.schemas, form, "input"), encoding = next(encoding) and encoding or nil,
    examples = shown,
  }
  if has_files then return { ["multipart/form-data"] = media } end
  return { ["application/x-www-form-urlencoded"] = media, ["multipart/form-data"] = media }
end

local function request_body(run, types, shown)
  if types and types.form then
    local required = is_required(types.form)
    local has_required = false
    for _, field in ipairs(types.form.def.fields) do has_required = has_required or is_required(field[2]) end
    return { required = required and has_required or nil, content = form_content(run, types.form, shown) }
  elseif types and types.body then
    local media = { schema = schemas.describe(run.schemas, types.body, "input"), examples = shown }
    return { required = is_required(types.body) or nil, content = { ["application/json"] = media } }
  end
end

-- --- responses ---

local function answer(run, status, schema, shown)
  local doc = schema == detail and run.detail() or schemas.describe(run.schemas, schema, "output")
  return {
    description = run.reason(status), content = { ["application/json"] = { schema = doc, examples = shown } },
  }
end

--- The responses of the route itself: {[status as text] = response}.
local function own_responses(run, opts, types, shown)
  local response = opts.response
  if response == nil then return { ["200"] = { description = run.reason(200) } } end
  if define.of(response) then return { ["200"] = answer(run, 200, response, shown) } end
  local all = {}
  for status, schema in pairs(types.response) do
    all[tostring(status)] = answer(run, status, schema, status < 300 and shown or nil)
  end
  return all
end

--- The errors that the route can have by what it declares, beside those that it lists.
local function add_errors(run, all, operation, needs)
  local opts, types = operation.route.opts, operation.route.types or {}
  local function add(status)
    local key = tostring(status)
    all[key] = all[key] or run.errors(status, operation.apps)
  end
  if needs then
    add(401)
    if needs.has_scopes then add(403) end
  end
  if #operation.parameters > 0 then add(404) end
  local has_body = types.body or types.form
  if has_body then
    add(413)
    add(415)
  end
  if has_body or types.query or types.params or types.headers or types.cookies then add(422) end
  if opts.deadline or opts.offload then add(503) end
end

-- --- all together ---

--- The tags of a route: those of the apps that it is mounted with, and its own.
local function tags_of(operation)
  local list, seen = json.array(), {}
  local function add(tags)
    for _, tag in ipairs(tags or {}) do
      local name = type(tag) == "table" and tag.name or tag
      if type(name) == "string" and not seen[name] then
        seen[name] = true
        list[#list + 1] = name
      end
    end
  end
  for i = 2, #operation.apps do add(operation.apps[i].settings.tags) end
  add(operation.route.opts.tags)
  return list[1] and list or nil
end

--- describe(run, operation) -> the operation object. `run` has schemas, order, schemes (of security), version,
-- reason(status), errors(status, apps) -> response, detail().
function M.describe(run, operation)
  local opts, types = operation.route.opts, operation.route.types
  local parameters, lists = json.array(), {}
  path_parameters(run, operation, parameters)
  other_parameters(run, types, parameters)
  for _, app in ipairs(operation.apps) do
    for _, depends in ipairs(app.dependencies) do lists[#lists + 1] = depends end
  end
  lists[#lists + 1] = opts.depends
  local needs = security.of(lists, run.schemes, run.version)
  local shown = examples(opts.examples)
  local has_body = types and (types.body or types.form)
  local responses = own_responses(run, opts, types, not has_body and shown or nil)
  add_errors(run, responses, operation, needs)
  return {
    operationId = operation.id, summary = opts.summary, description = opts.description, tags = tags_of(operation),
    deprecated = opts.deprecated or nil, parameters = parameters[1] and parameters or nil,
    requestBody = request_body(run, types, shown), responses = responses, security = needs and needs.list,
  }
end

return M
