--- Forms by an object schema: texts, files, and fields whose text is JSON, since their schema is an object,
-- a map or a tagged union.
local core = require "moonloop.web.core"
local check = require "moonloop.schema.check"
local define = require "moonloop.schema.define"
local form = require "moonloop.web.form"
local json = require "moonloop.json"
local parts = require "moonloop.web.valid_parts"
local run = require "moonloop.schema.run"
local schema_core = require "moonloop.schema.core"
local schema_names = require "moonloop.schema.names"

local LARGEST = 100 -- errors in an answer

local JSON = { object = true, map = true, tagged = true, document = true }

--- What a field's values are: "json", "file" or "text". A list of itself, in `seen`, is JSON.
local function kind_of(schema, known, seen)
  local def = schema.def
  if seen[def] then return "json" end
  seen[def] = true
  if def.type == "ref" then return kind_of(schema_names.resolve(def, known), known, seen) end
  if def.type == "list" then return kind_of(def.item, known, seen) end
  return JSON[def.type] and "json" or def.type == "file" and "file" or "text"
end

--- The limits of the form: a file may be as large as the largest one that fits.
local function limits_of(fields)
  local largest
  for _, field in ipairs(fields) do
    local def = field.schema.def
    if def.type == "list" then def = def.item.def end
    if def.type == "file" and def.opts.max then largest = math.max(largest or 0, def.opts.max) end
  end
  -- One byte more shows that it is too large; beyond that the form is refused as a whole.
  return { raise = false, max_file = largest and math.max(largest + 1, 10 * 1024 * 1024) or nil }
end

--- Values of the form by name: a text, a file, or a list of them where the field is a list. A field that was
-- left empty has not come.
local function gather(list, known, lists, others)
  local values = {}
  for _, field in ipairs(list) do
    local name, value = field.name, field.value
    local is_empty = value == "" or type(value) == "table" and value.filename == "" and value.body == ""
    if not is_empty and known[name] and lists[name] then
      values[name] = values[name] or {}
      table.insert(values[name], value)
    elseif not is_empty and known[name] then
      values[name] = value
    elseif not is_empty and others then
      values[core.well_formed(name)] = value
    end
  end
  return values
end

--- Decodes the JSON in a field, or in a file: clients that say a part's type send a Blob, which has a file
-- name. Returns the value, or nil and the errors, with locations in the field.
local function decode(req, schema, text, mode)
  if type(text) ~= "string" then text = text.body end
  local value, errors = nil, core.admit_json(req, text)
  if not errors then value, errors = schema_core.decode(run.compiled(schema).program, text, mode) end
  if errors and errors[1].type == "json_invalid" then
    local err = errors[1]
    local why = parts.as_python(err.ctx.error)
    err.loc, err.input, err.msg, err.ctx = json.array {}, #text <= 1024 and text or "...", "Invalid JSON: " .. why,
      { error = why }
  end
  return value, errors
end

local function decode_all(req, schema, values, mode)
  if schema.def.type ~= "list" or type(values) ~= "table" then return decode(req, schema, values, mode) end
  local list, all = json.array {}, nil
  for i, text in ipairs(values) do
    local value, errors = decode(req, schema.def.item, text, mode)
    list[i] = value
    for _, err in ipairs(errors or {}) do
      table.insert(err.loc, 1, i - 1)
      all = all or {}
      table.insert(all, err)
    end
    if all and #all >= LARGEST then break end -- the rest is not worth its time
  end
  if all then return nil, all end
  return schema_core.parse(run.compiled(schema).program, list, mode) -- its own limits
end

--- reader(req) -> value | nil, errors
return function(object, opts)
  local mode = opts.coerce and "lax" or "strict"
  local def, known = object.def, schema_names.of(object)
  local compiled = run.compiled(object)
  local lists, others, special, texts = parts.lists(object), def.extra ~= "ignore", {}, {}
  local fields, place = {}, {}
  for i, field in ipairs(def.fields) do
    local kind = kind_of(field[2], known, {})
    fields[i] = { name = field[1], schema = field[2] }
    place[field[1]] = i
    if kind == "json" or kind == "file" then
      special[#special + 1] = { name = field[1], schema = field[2], kind = kind }
      texts[i] = { field[1], define.with(require "moonloop.schema".any(), {
        optional = field[2].def.optional, has_default = field[2].def.has_default, default = field[2].def.default,
      }) }
    else
      texts[i] = field
    end
  end
  local limits = limits_of(fields)
  -- The object with anything for what is decoded or checked before.
  local text_program = special[1]
    and run.compiled(define.with(object, { fields = texts, name = false, checks = false }))
  local program = (text_program or compiled).program

  --- Replaces the texts of JSON by their values; returns the errors in them and in files.
  local function read_special(req, values)
    local errors = {}
    for _, field in ipairs(special) do
      local value, wrong = values[field.name]
      if value ~= nil then
        if field.kind == "json" then
          value, wrong = decode_all(req, field.schema, value, mode)
        else
          wrong = select(2, schema_core.parse(run.compiled(field.schema).program, value, "text"))
            or check(field.schema, value)
        end
        for _, err in ipairs(wrong or {}) do
          table.insert(err.loc, 1, field.name)
          errors[#errors + 1] = err
        end
        values[field.name] = value or json.null
      end
    end
    return errors
  end

  return function(req)
    local values, list = form.form(req, limits)
    if not values then
      if list.status ~= 415 or req.body ~= "" then error(list, 0) end
      list = {} -- nothing has come
    end
    values = gather(list, place, lists, others)
    local errors = read_special(req, values)
    local value, wrong = schema_core.parse(program, values, "text")
    for _, err in ipairs(wrong or {}) do errors[#errors + 1] = err end
    if wrong and #wrong < #errors then
      for i, err in ipairs(errors) do err.order = i end
      table.sort(errors, function(a, b)
        local i, j = place[a.loc[1]] or math.huge, place[b.loc[1]] or math.huge
        return i < j or i == j and a.order < b.order
      end)
      for _, err in ipairs(errors) do err.order = nil end
    end
    if not errors[1] and compiled.checks then
      value, errors = run.finish(object, value)
      errors = errors or {}
    end
    if errors[1] then return nil, parts.prefix(errors, "body", {}) end
    return value
  end
end
