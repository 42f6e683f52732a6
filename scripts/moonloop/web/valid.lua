--- req.valid: the parts of a request, checked by the schemas of its route. What does not fit is one error
-- of kind "validation" with the status 422, whose `detail` FastAPI's clients understand.
local core = require "moonloop.web.core"
local json = require "moonloop.json"
local parts = require "moonloop.web.valid_parts"
local run = require "moonloop.schema.run"
local schema = require "moonloop.schema"
local schema_core = require "moonloop.schema.core"
local tasks = require "moonloop.core"

local M = {}

local LARGEST = 100 -- errors in an answer

--- Every name that req.valid may have; the order in which errors are listed, which is FastAPI's.
local ORDER = { "params", "query", "headers", "cookies", "body", "form" }
local KNOWN = {}
for _, name in ipairs(ORDER) do KNOWN[name] = true end

-- Keys in req.valid while dependencies may read it: the request, and the event that the reading of the
-- body ends with.
local REQUEST, READING = {}, {}

--- Ends the request with a 422 and the list of errors.
function M.reject(errors)
  local list = json.array(table.move(errors, 1, math.min(#errors, LARGEST), 1, {}))
  error(tasks.error {
    kind = "validation", status = 422, message = run.describe(list), errors = list, detail = list,
  }, 0)
end

local function refuse_type() error(core.abort(415, core.reason(415)), 0) end

--- The error of a body that has not come.
local function missing() return { parts.missing { "body" } } end

--- What is wrong with a body by the errors of its schema, as FastAPI has it.
local function body_errors(errors)
  local first = errors[1]
  if first.type == "json_invalid" and #first.loc == 1 then
    first.ctx = { error = parts.as_python(first.ctx.error) }
  elseif not errors[2] and not first.loc[1] and first.input == json.null then
    return missing()
  end
  return parts.prefix(errors, "body")
end

--- reader(req) -> value | nil, errors: for the body. `missing` is a function for a body that has not come,
-- which has the same results.
local function body_reader(body, lax, when_missing)
  local compiled = run.compiled(body)
  local program, mode = compiled.program, lax and "lax" or "strict"

  --- For a request that a middleware has replaced, or whose body it has.
  local function otherwise(req)
    local text = req.body
    if text == nil or text == "" then return nil, "missing" end
    if not parts.is_json(req.headers["content-type"]) then return nil, "type" end
    return schema_core.decode(program, text, mode)
  end

  local read = core.body_reader(program, lax, otherwise)
  return function(req)
    local value, errors = read(req)
    if errors == "missing" then return when_missing() end
    if errors == "type" then refuse_type() end
    if errors or compiled.checks then value, errors = run.finish(body, value, errors) end
    if errors then return nil, body_errors(errors) end
    return value
  end
end

--- What a body that has not come is: its default, nothing, or an error.
local function absent_body(body)
  local def = body.def
  if not def.has_default and not def.optional then return function() return nil, missing() end end
  local holder = run.compiled(schema.object { body = body }).program
  return function() return schema_core.parse(holder, {}).body end
end

--- The metatable of req.valid: before the handler runs, a part is checked when it is read.
local function class_of(readers)
  local by_name = {}
  for _, reader in ipairs(readers) do by_name[reader.name] = reader.read end

  local function read(valid, name, req)
    local value, errors = by_name[name](req)
    if errors then M.reject(errors) end
    rawset(valid, name, value)
    return value
  end

  return { __name = "moonloop.web.valid", __index = function(valid, name)
    if not KNOWN[name] then
      if type(name) ~= "string" then return nil end
      tasks.fail(tasks.unknown("part", name, "req.valid", ORDER))
    end
    local req = rawget(valid, REQUEST)
    if not req or not by_name[name] then return nil end
    if name ~= "body" and name ~= "form" then return read(valid, name, req) end
    local reading = rawget(valid, READING)
    while reading do -- by another dependency: a body is read once
      reading:wait()
      local value = rawget(valid, name)
      if value ~= nil then return value end
      reading = rawget(valid, READING)
    end
    reading = tasks.event()
    rawset(valid, READING, reading)
    local _ <close> = setmetatable({}, { __close = function()
      rawset(valid, READING, nil)
      reading:set()
    end })
    return read(valid, name, req)
  end }
end

--- Sets req.valid, also of a table that took the request's place.
local function set_valid(req, valid)
  if type(req) == "userdata" then core.set_valid(req, valid) else req.valid = valid end
end

--- check(req, keeps_errors, in_body): checks what has not been checked. `readers` are all parts in order. Errors
-- are raised, or returned. `in_body` are those in the body, where they are known.
local function checker(readers, class, wanted)
  return function(req, keeps_errors, in_body)
    local valid, errors = req.valid, nil
    local is_begun = type(valid) == "table" and rawget(valid, REQUEST) ~= nil
    if not is_begun then
      valid = setmetatable({}, class)
      if wanted and not core.takes(req, wanted) then refuse_type() end
    end
    for i = 1, #readers do
      local reader = readers[i]
      local name = reader.name
      if rawget(valid, name) == nil then
        local value, wrong
        if in_body and name == "body" then wrong = body_errors(in_body) else value, wrong = reader.read(req) end
        if wrong then
          errors = errors and table.move(wrong, 1, #wrong, #errors + 1, errors) or wrong
        else
          rawset(valid, name, value)
        end
      end
    end
    if errors and not keeps_errors then M.reject(errors) end
    if is_begun then
      rawset(valid, REQUEST, nil)
      rawset(valid, READING, nil)
    else
      set_valid(req, valid)
    end
    return errors
  end
end

--- Can C alone check a route with these schemas? It reads no forms and runs no :check functions.
local function is_quick(types)
  for name, part in pairs(types) do
    if name == "form" or name ~= "response" and run.compiled(part).checks then return false end
  end
  return true
end

--- check(req) for such a route: one call of C, unless something is wrong; `slow` finds out what. `ways` are
-- those of its parts that are texts.
local function quick_checker(types, ways, lax, class, slow)
  local list = {}
  for _, name in ipairs(ORDER) do list[#list + 1] = ways[name] end
  local function otherwise() return nil, "replaced" end
  local check = core.checker(types.body and run.compiled(types.body).program, lax, otherwise, class, list)
  return function(req)
    local _, errors = check(req)
    if errors == nil then return end
    slow(req, false, type(errors) == "table" and errors or nil)
  end
end

--- The plan for the schemas `types` of a route (typed.lua):
--   check     check(req) sets req.valid, or raises; nil if there is nothing to check
--   begin     begin(req) sets a req.valid that checks what is read of it; with opts.has_deps
--   check_rest    the same for all but the body: returns the errors with `true`
--   merge, refuse_body    for a body that a worker decodes (offload.lua)
--   mode      how JSON is read
-- Options: `params`, the names in the path; `name` of the route; `coerce`; `has_deps`.
function M.plan(types, opts)
  local readers, ways, plan = {}, {}, { rest = {}, mode = opts.coerce and "lax" or "strict" }
  for _, name in ipairs(ORDER) do
    local read
    if name == "params" then
      if types.params or opts.params[1] then read, ways.params = parts.params(types.params, opts) end
    elseif name == "body" and types.body then
      read = body_reader(types.body, opts.coerce, absent_body(types.body))
    elseif name == "form" and types.form then
      read = parts.form(types.form, opts)
    elseif types[name] then
      read, ways[name] = parts.texts(name, types[name], opts)
    end
    if read then readers[#readers + 1] = { name = name, read = read } end
    if read and name ~= "body" then plan.rest[#plan.rest + 1] = readers[#readers] end
  end
  if not readers[1] then return plan end
  local class = class_of(readers)
  local wanted = types.body and "json" or types.form and "form"
  plan.check = checker(readers, class, wanted)
  plan.check_rest = checker(plan.rest, class, wanted)
  if not opts.has_deps and is_quick(types) then
    plan.check = quick_checker(types, ways, opts.coerce, class, plan.check)
  end
  if types.body then
    --- The body has been decoded elsewhere: raises the errors in it and those in other parts, or sets it.
    function plan.merge(req, errors, value, wrong)
      value, wrong = run.finish(types.body, value, wrong)
      if wrong then body_errors(wrong) end
      errors = errors or {}
      table.move(wrong or {}, 1, #(wrong or {}), #errors + 1, errors)
      if errors[1] then M.reject(errors) end
      rawset(req.valid, "body", value)
    end

    function plan.refuse_body(errors) M.reject(body_errors(errors)) end
  end
  function plan.begin(req)
    if wanted and not core.takes(req, wanted) then refuse_type() end
    set_valid(req, setmetatable({ [REQUEST] = req }, class))
  end
  return plan
end

return M
