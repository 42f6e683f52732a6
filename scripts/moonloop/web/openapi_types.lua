--- The schemas of an app as types of LuaLS: classes of the objects with names, and of the request of each
-- route, which `req.valid` has in the handler.
local define = require "moonloop.schema.define"
local json = require "moonloop.json"
local names = require "moonloop.schema.names"
local openapi = require "moonloop.web.openapi"
local routes = require "moonloop.web.openapi_routes"
local sorted_keys = require "moonloop.core.sorted_keys"

local PARTS = { "query", "headers", "cookies", "form", "body" }

local type_of

--- A key of a table in a type: a name, or anything else in brackets.
local function key_of(name)
  return name:find "^[%a_][%w_]*$" and name or ("[%s]"):format(json.encode(name))
end

local function is_absent(def) return def.optional and not def.has_default end

--- "a?: string", without what is only in responses.
local function inline(run, fields)
  local parts = {}
  for _, field in ipairs(fields) do
    local def = field[2].def
    if not def.opts.read_only then
      parts[#parts + 1] = ("%s%s: %s"):format(key_of(field[1]), is_absent(def) and "?" or "", type_of(run, field[2]))
    end
  end
  return parts[1] and ("{ %s }"):format(table.concat(parts, ", ")) or "table"
end

local function alternatives(run, list)
  local seen, texts = {}, {}
  for _, schema in ipairs(list) do
    local text = type_of(run, schema)
    if not seen[text] then
      seen[text] = true
      texts[#texts + 1] = text
    end
  end
  return table.concat(texts, "|")
end

local function literals(_, def)
  local texts = {}
  for i, value in ipairs(def.literals) do
    local kind = type(value)
    texts[i] = kind == "string" and json.encode(value) or value == json.null and "moonloop.null"
      or kind == "number" and math.type(value) == "integer" and tostring(value) or kind
  end
  return table.concat(texts, "|")
end

local kinds = { int = "integer", number = "number", bool = "boolean", decimal = "string", bytes = "string", any = "any",
  document = "any", file = "table", enum = literals, const = literals }

function kinds.string(_, def) return def.unix and "number" or "string" end

--- The type of a part of others, in brackets where it has alternatives.
local function part(run, schema)
  local text = type_of(run, schema)
  return text:find("|", 1, true) and ("(%s)"):format(text) or text
end

function kinds.list(run, def) return part(run, def.item) .. "[]" end
function kinds.map(run, def) return ("table<string, %s>"):format(type_of(run, def.item)) end
function kinds.union(run, def) return alternatives(run, def.items) end

function kinds.tuple(run, def)
  local texts = {}
  for i, item in ipairs(def.items) do texts[i] = ("[%d]: %s"):format(i, type_of(run, item)) end
  return ("{ %s }"):format(table.concat(texts, ", "))
end

function kinds.tagged(run, def)
  local list = {}
  for i, branch in ipairs(def.branches) do list[i] = branch[2] end
  return alternatives(run, list)
end

function kinds.ref(run, def)
  local schema = names.resolve(def, run.names)
  return schema.def.name and type_of(run, schema) or "any" -- one without a name may be in itself
end

--- Writes the class of an object with a name, once, and returns its name.
local function class(run, def)
  if run.made[def.name] then return def.name end
  run.made[def.name] = true
  local at = #run.classes + 1
  run.classes[at] = "" -- its place, before those that it refers to
  local lines = {}
  for line in (def.base.def.opts.description or ""):gmatch "[^\n]+" do lines[#lines + 1] = "---" .. line end
  lines[#lines + 1] = "---@class " .. def.name
  for _, field in ipairs(def.fields) do
    local own = field[2].def
    local mark = (is_absent(own) or own.opts.read_only or own.opts.write_only) and "?" or ""
    local note = own.opts.description and " " .. own.opts.description:gsub("%s+", " ") or ""
    lines[#lines + 1] = ("---@field %s%s %s%s"):format(key_of(field[1]), mark, type_of(run, field[2]), note)
  end
  if define.of(def.extra) then lines[#lines + 1] = ("---@field [string] %s"):format(type_of(run, def.extra)) end
  run.classes[at] = table.concat(lines, "\n") .. "\n"
  return def.name
end

function type_of(run, schema)
  local def = schema.def
  local text
  if def.name then
    text = class(run, def)
  elseif def.type == "object" then
    text = #def.fields == 0 and define.of(def.extra) and ("table<string, %s>"):format(type_of(run, def.extra))
      or inline(run, def.fields)
  else
    local kind = kinds[def.type]
    text = type(kind) == "function" and kind(run, def) or kind
  end
  return def.nullable and text .. "|moonloop.null" or text
end

--- The type of a part of the request, or of a response.
local function part_type(run, schema)
  run.names = names.of(schema)
  return type_of(run, schema)
end

local PATH = { int = "integer", number = "number", path = "string", text = "string" }

--- The parameters of the path, and what is declared about them.
local function params_type(run, operation, declared)
  local own, texts = {}, {}
  for _, field in ipairs(declared and declared.def.fields or {}) do own[field[1]] = field[2] end
  for i, one in ipairs(operation.parameters) do
    local name = one.own or one.name
    texts[i] = ("%s: %s"):format(key_of(name), own[name] and type_of(run, own[name]) or PATH[one.kind])
  end
  return ("{ %s }"):format(table.concat(texts, ", "))
end

--- Appends the classes of a route's request; returns the overload for the method of the app that registers it.
local function request(run, operation, lines)
  local types, id = operation.route.types or {}, operation.id:gsub("[^%w_.]", "_")
  local fields = {}
  run.names = {}
  if operation.parameters[1] then
    fields[1] = "---@field params " .. params_type(run, operation, types.params)
  end
  for _, name in ipairs(PARTS) do
    if types[name] then fields[#fields + 1] = ("---@field %s %s"):format(name, part_type(run, types[name])) end
  end
  lines[#lines + 1] = ("---@class %s.valid\n%s"):format(id, fields[1] and table.concat(fields, "\n") .. "\n" or "")
  lines[#lines + 1] = ("---%s %s\n---@class %s.request: moonloop.web.request\n---@field valid %s.valid\n"):format(
    operation.route.method, operation.path, id, id)
  return ("---@overload fun(self: moonloop.web.app, path: %s, opts: table, "
    .. "handler: fun(req: %s.request, deps: table): any): moonloop.web.app"):format(
    json.encode(operation.route.path), id)
end

local HEAD = [[
---@meta
-- Types of the schemas and routes of %s, by `moonloop types`. With `---@type moonloop.web.app` before
-- `local app = ml.web.app {}`, what `req.valid` has is completed in the handlers of its routes.

---@alias moonloop.null lightuserdata ml.json.null

---@class moonloop.web.request
---@field [string] any
]]

--- types(app, name) -> the text of a file for LuaLS
return function(app, name)
  openapi.check(app)
  local list = routes.list(app)
  routes.identify(list, error)
  local run = { made = {}, classes = {}, names = {} }
  local requests, overloads, methods = {}, {}, {}
  for _, operation in ipairs(list) do
    local types, method = operation.route.types, operation.route.method:lower()
    local is_first = not overloads[operation.route]
    if is_first then
      overloads[operation.route] = true
      local overload = request(run, operation, requests)
      if not methods[method] then
        methods[method] = {}
        methods[#methods + 1] = method
      end
      table.insert(methods[method], overload)
    end
    for _, status in ipairs(sorted_keys(types and types.response or {})) do part_type(run, types.response[status]) end
  end
  local parts = { HEAD:format(name) }
  table.move(run.classes, 1, #run.classes, #parts + 1, parts)
  table.move(requests, 1, #requests, #parts + 1, parts)
  parts[#parts + 1] = "---@class moonloop.web.app\n---@field [string] any\nlocal app = {}\n"
  for _, method in ipairs(methods) do
    parts[#parts + 1] = ("%s\nfunction app:%s(path, opts, handler) end\n"):format(
      table.concat(methods[method], "\n"), method)
  end
  return table.concat(parts, "\n")
end
