--- Routes with types: the options that say what comes in and what goes out, and the handler as they change
-- it. What comes in is checked by valid.lua, what goes out by respond.lua.
local core = require "moonloop.web.core"
local define = require "moonloop.schema.define"
local names = require "moonloop.schema.names"
local options = require "moonloop.core.options"
local respond = require "moonloop.web.respond"
local schema = require "moonloop.schema"
local tasks = require "moonloop.core"
local valid = require "moonloop.web.valid"

local fail = tasks.fail

local M = {}

--- The schema of what web.abort answers. It has no name, so that none of a user's can be the same.
M.detail = schema.object { detail = schema.string { description = "What was wrong" } }

-- --- the options ---

--- The parts that are fields, with the word for one of them.
local FIELDS = { params = "path parameter", query = "query parameter", headers = "header", cookies = "cookie",
  form = "form field" }

--- Kinds of schemas that texts cannot be read as.
local NESTED = { object = true, map = true, tagged = true, document = true }

--- Does the schema have a part of the kind "file"? `seen` has the definitions that were looked at.
local function has_file(part, seen)
  local def = define.of(part)
  if not def or seen[def] then return false end
  seen[def] = true
  if def.type == "file" then return true end
  for _, inner in ipairs(names.parts(def)) do
    if has_file(inner, seen) then return true end
  end
  return false
end

local function check_text_field(name, field, part)
  local def = field.def
  if def.type == "list" then def = def.item.def end
  if NESTED[def.type] and part ~= "form" then
    fail(("%s '%s' of a route is a schema of kind '%s' (a text, a number and the like expected, or a list of them)")
      :format(FIELDS[part], name, def.type))
  end
  if part ~= "form" and has_file(field, {}) then
    fail(("%s '%s' of a route has a file: those are in forms"):format(FIELDS[part], name))
  end
end

--- The option as an object: a table of fields becomes one.
local function object_of(part, value)
  local def = define.of(value)
  if not def then
    if type(value) ~= "table" then
      fail(options.wrong(part, value, "a table of fields or an object of ml.schema", "a route"))
    end
    local ok, made = pcall(schema.object, value)
    if not ok then fail((tostring(made):gsub("^.-s%.object", ("option '%s' of a route"):format(part)))) end
    value, def = made, made.def
  end
  if def.type ~= "object" then
    fail(("option '%s' of a route is a schema of kind '%s' (expected a table of fields or an object)"):format(part,
      def.type))
  end
  for _, field in ipairs(def.fields) do check_text_field(field[1], field[2], part) end
  if part == "headers" and def.extra ~= "ignore" then
    fail "option 'headers' of a route: every request has other headers, so its object cannot have the option 'extra'"
  end
  return value
end

local function whole(part, value)
  if not define.of(value) then
    local hint = type(value) == "table" and "a schema: ml.schema.object{...}" or "a schema"
    fail(options.wrong(part, value, hint, "a route"))
  end
  if has_file(value, {}) then fail(("option '%s' of a route has a file: those are in forms"):format(part)) end
  return value
end

--- The option `response` as a table of status -> schema. A sole schema is for 200 and 201.
local function responses(value)
  if define.of(value) then
    local sole = whole("response", value)
    return { [200] = sole, [201] = sole }
  end
  if type(value) ~= "table" or next(value) == nil then
    fail(options.wrong("response", value, "a schema, or a table {[status] = schema}", "a route"))
  end
  local list = {}
  for status, one in pairs(value) do
    if math.type(status) ~= "integer" or status < 200 or status > 599 then
      local given = type(status) == "string" and ("'%s'"):format(status) or tostring(status)
      fail(("option 'response' of a route: %s is no status from 200 to 599 (fields? call ml.schema.object{...})")
        :format(given))
    end
    if not define.of(one) then
      fail(("option 'response' of a route: for %d there is a %s (expected a schema)"):format(status, type(one)))
    end
    list[status] = whole("response", one)
  end
  return list
end

--- The schemas of a route's options, checked: {params =, query =, headers =, cookies =, form = objects,
-- body =, response = {[status] = schema}}; nil if there are none. Raises what is wrong.
function M.types(opts)
  local types = {}
  for part in pairs(FIELDS) do
    if opts[part] ~= nil then types[part] = object_of(part, opts[part]) end
  end
  if opts.body ~= nil then types.body = whole("body", opts.body) end
  if opts.body ~= nil and opts.form ~= nil then fail "a route cannot have both the options 'body' and 'form'" end
  if opts.response ~= nil then types.response = responses(opts.response) end
  return next(types) and types
end

-- --- the handler ---

--- The handler that gets what has been checked, and whose answer is checked.
local function plain(handler, check, answer)
  if check and answer then
    return function(req, deps)
      check(req)
      return answer(handler(req, deps))
    end
  elseif check then
    return function(req, deps)
      check(req)
      return handler(req, deps)
    end
  elseif answer then
    return function(req, deps) return answer(handler(req, deps)) end
  end
  return handler
end

--- The names of the parameters in a path.
local function params_of(path)
  local list = {}
  for name in path:gmatch "{([%a_][%w_]*)" do list[#list + 1] = name end
  return list
end

--- inner, begin: inner(req, deps, ends) checks what has not been checked, calls the handler of the route
-- and checks its answer. With `has_deps`, begin(req) has to be called before the dependencies, which may
-- read req.valid.
function M.inner(route, place, has_deps)
  local name = ("%s %s%s"):format(route.method, place.prefix, route.path)
  local plan = valid.plan(route.types, {
    params = params_of(place.prefix .. route.path), name = name, has_deps = has_deps,
    coerce = place.app.settings.coerce,
  })
  local responses_by = route.types.response
  if route.opts.offload then
    local offload = require "moonloop.web.offload"
    return offload.typed(route, plan, responses_by and respond.definitions(responses_by), name), plan.begin
  end
  return plain(route.handler, plan.check, responses_by and respond.encoder(responses_by, name)), plan.begin
end

--- Checks the options of app:validation_error and makes the function that the renderers of errors ask
-- last.
function M.validation_error(opts)
  local known = {
    schema = function(value) if not define.of(value) then return "schema" end end,
    make = function(value) if not tasks.is_callable(value) then return "function" end end,
  }
  options.check(opts, known, "app:validation_error")
  if not opts.make then fail "app:validation_error: the option 'make' is missing" end
  local make, encode = opts.make, nil
  local function answer(value, status, headers)
    if value == nil or getmetatable(value) == core.response then return value, status, headers end
    if not encode then
      encode = opts.schema and respond.encoder({ [422] = opts.schema }, "app:validation_error")
        or function(...) return ... end
    end
    return encode(value, status or 422, headers)
  end
  return function(err, req)
    if err.status ~= 422 or err.kind ~= "validation" then return nil end
    return answer(make(err, req))
  end
end

return M
