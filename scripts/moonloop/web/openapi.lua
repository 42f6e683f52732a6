--- The OpenAPI document of an app.
local core = require "moonloop.web.core"
local fail = require "moonloop.core".fail
local detail = require "moonloop.web.typed".detail
local json = require "moonloop.json"
local operation = require "moonloop.web.openapi_operation"
local route_list = require "moonloop.web.route_list"
local routes = require "moonloop.web.openapi_routes"
local schema_document = require "moonloop.schema.document"
local schemas = require "moonloop.web.openapi_schemas"
local sorted_keys = require "moonloop.core.sorted_keys"
local write = require "moonloop.web.openapi_write"

local M = {}

local VERSIONS = { ["3.1"] = "3.1.1", ["3.0"] = "3.0.4" }

-- --- errors that routes have without saying so ---

--- What web.abort and the server answer: ml.web.detail, as a component.
local function detail_document()
  local doc = schema_document.describe(schema_document.run "", detail)
  doc.title = "Detail"
  return doc
end

local INVALID = {
  title = "ValidationError", type = "object", required = json.array { "loc", "msg", "type" },
  properties = {
    loc = { type = "array", items = { anyOf = json.array { { type = "string" }, { type = "integer" } } } },
    msg = { type = "string" }, type = { type = "string" }, input = json.object(), ctx = { type = "object" },
  },
}

local function list_of_invalid(ref)
  return {
    title = "HTTPValidationError", type = "object",
    properties = { detail = { type = "array", items = ref } },
  }
end

--- Makes errors(status, apps) -> the response of a status that the route in `apps` does not list. What its
-- references lead to is noted in `used`, a list of {reference, name, document}: their names are chosen last.
-- The responses are put into the set `shared`. Sets run.detail() -> the reference for ml.web.detail.
local function error_responses(run, used, shared)
  local made = {}
  local function component(name, doc)
    local ref = {}
    used[#used + 1] = { ref, name, doc }
    return ref
  end
  local default
  function run.detail()
    default = default or component("Detail", detail_document())
    return default
  end
  local invalid
  local function standard()
    invalid = invalid or component("HTTPValidationError", list_of_invalid(component("ValidationError", INVALID)))
    return invalid
  end
  --- The schema of app:validation_error, which the innermost app with one has.
  local function declared(apps)
    for i = #apps, 1, -1 do
      local validation = apps[i].validation
      if validation then return validation.schema end
    end
  end
  return function(status, apps)
    local own = status == 422 and declared(apps)
    local key = own or status
    local response = made[key]
    if not response then
      local schema = own and schemas.describe(run.schemas, own, "output")
        or status == 422 and standard() or run.detail()
      response = { description = core.reason(status), content = { ["application/json"] = { schema = schema } } }
      made[key], shared[response] = response, true
    end
    return response
  end
end

--- Adds the components of the errors, under names that the app does not use.
local function add_errors(components, used)
  for _, one in ipairs(used) do
    local name = one[2]
    while components[name] and not schemas.is_equal(components[name], one[3]) do name = name .. "_" end
    components[name], one[1]["$ref"] = one[3], "#/components/schemas/" .. name
  end
end

-- --- the document ---

local function info_of(app)
  local settings = app.settings
  return {
    title = settings.title or "API", version = settings.version or "0.1.0", description = settings.description,
    contact = settings.contact, license = settings.license,
  }
end

--- A list of {name =, description =}: those that the apps declare.
local function tag_list(app)
  local list, seen = json.array(), {}
  local function walk(one)
    for _, tag in ipairs(one.settings.tags or {}) do
      local entry = type(tag) == "table" and tag or { name = tag }
      if not seen[entry.name] then
        seen[entry.name] = true
        list[#list + 1] = entry
      end
    end
    for _, mount in ipairs(one.mounts) do walk(mount.app) end
  end
  walk(app)
  return list[1] and list or nil
end

local function copied(value)
  if type(value) ~= "table" then return value end
  local copy = setmetatable({}, getmetatable(value))
  for key, item in next, value do copy[key] = copied(item) end
  return copy
end

--- Puts what is in `extra` into the document: tables are merged, all else replaces what is there. New keys come
-- behind those that have an order.
local function merge(target, extra, order)
  for _, name in ipairs(sorted_keys(extra)) do
    local own, value = target[name], extra[name]
    if own == nil and order[target] then table.insert(order[target], name) end
    if type(own) == "table" and type(value) == "table" and own[1] == nil and value[1] == nil then
      if order.shared[own] then
        own = copied(own)
        target[name] = own
      end
      merge(own, value, order)
    else
      target[name] = value
    end
  end
end

--- The servers of the document: those of the app, after the one at its root path, if a proxy shows it there.
local function servers_of(app, root)
  local servers = app.settings.servers
  if root == "" or root == "/" then return servers end
  for _, server in ipairs(servers or {}) do
    if server.url == root then return servers end
  end
  return table.move(servers or {}, 1, #(servers or {}), 2, json.array { { url = root } })
end

--- document(app [, root path]) -> the document as a table, the order of keys in it (see openapi_write.lua), and a
-- list of messages about routes that OpenAPI has no place for.
function M.document(app, root)
  root = root or app.settings.root_path or ""
  local version = app.settings.openapi or "3.1"
  local run = { schemas = schemas.new(), schemes = {}, version = version, reason = core.reason }
  local used, shared = {}, {}
  run.errors = error_responses(run, used, shared)
  local list, left_out = routes.list(app)
  routes.identify(list, fail)
  local paths, order = json.object(), {}
  for _, one in ipairs(list) do
    if not paths[one.path] then
      paths[one.path] = {}
      order[#order + 1] = one.path
    end
    paths[one.path][one.method] = operation.describe(run, one)
  end
  local components = schemas.finish(run.schemas)
  add_errors(components, used)
  local doc = {
    openapi = VERSIONS[version], info = info_of(app), servers = servers_of(app, root), tags = tag_list(app),
    paths = paths,
  }
  if next(components) or next(run.schemes) then
    doc.components = {
      schemas = next(components) and components or nil, securitySchemes = next(run.schemes) and run.schemes or nil,
    }
  end
  local keys = schemas.order(run.schemas)
  keys[paths], keys.shared = order, shared
  if version == "3.0" then doc, keys = require "moonloop.web.openapi_3_0"(doc, keys) end
  if app.settings.openapi_extra then
    merge(doc, app.settings.openapi_extra, keys)
  end
  return doc, keys, left_out
end

--- How many routes there are: they are all that may be added to an app that is served.
local function count(app)
  local n = 0
  route_list.each(app, function() n = n + 1 end)
  return n
end

local texts = setmetatable({}, { __mode = "k" }) -- app -> { text =, count =, root = }

--- text(app [, root path]) -> the document as JSON, which is made once, and the messages.
function M.text(app, root)
  local known, n = texts[app], count(app)
  if not known or known.count ~= n or known.root ~= root then
    local doc, order, left_out = M.document(app, root)
    known = { text = write(doc, order), count = n, left_out = left_out, root = root }
    texts[app] = known
  end
  return known.text, known.left_out
end

-- --- checks ---

--- Appends all schemas of a route to the list.
local function add_schemas(types, list)
  for name, schema in pairs(types or {}) do
    if name ~= "response" then list[#list + 1] = schema end
  end
  for _, schema in pairs(types and types.response or {}) do list[#list + 1] = schema end
end

--- Raises where two schemas of the app that are not the same have one name, or two routes one operation_id.
function M.check(app)
  local list, ids = {}, false
  route_list.each(app, function(route)
    add_schemas(route.types, list)
    ids = ids or route.opts.operation_id ~= nil
  end)
  schemas.check(list)
  if ids then routes.identify(routes.list(app), fail) end
end

return M
