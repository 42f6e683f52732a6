--- Documents as JSON text, always the same for the same document: the fields of OpenAPI and JSON Schema
-- come in an order that people like to read, others by name.
local json = require "moonloop.json"

local ARRAY = getmetatable(json.array())

-- Names that are not here come behind these.
local FIRST = [[openapi $schema $ref info jsonSchemaDialect servers title version name in summary description
  termsOfService contact license url email identifier tags operationId parameters requestBody responses required
  deprecated security content schema headers type format contentMediaType nullable enum const pattern
  minimum exclusiveMinimum maximum exclusiveMaximum multipleOf minLength maxLength minItems maxItems uniqueItems
  items prefixItems properties additionalProperties minProperties maxProperties anyOf oneOf allOf discriminator
  propertyName mapping default readOnly writeOnly example examples value paths components]]

local rank, count = {}, 0
for name in FIRST:gmatch "%S+" do
  count = count + 1
  rank[name] = count
end

local function is_before(a, b)
  local x, y = rank[a], rank[b]
  if x and y then return x < y end
  if x or y then return x ~= nil end
  return a < b
end

--- The keys of a table in their order: few, so that they are put where they belong one by one.
local function keys_of(t)
  local keys, n = {}, 0
  for key in next, t do
    if type(key) ~= "string" then key = tostring(key) end
    n = n + 1
    local i = n
    while i > 1 and is_before(key, keys[i - 1]) do
      keys[i] = keys[i - 1]
      i = i - 1
    end
    keys[i] = key
  end
  return keys
end

--- write(document, order) -> JSON text. `order[t]` is the list of the keys of the table `t`, where it
-- matters; `order.shared` is the set of the tables that occur often.
return function(document, order)
  local out, n = {}, 0
  local shared, fragments = order.shared or {}, {}
  local texts, heads, tails, write = {}, {}, {}, nil -- texts as JSON, '{"key":' and ',"key":', each made once

  local function quoted(text)
    local found = texts[text]
    if not found then
      found = json.encode(text)
      texts[text] = found
    end
    return found
  end

  local function put(text)
    n = n + 1
    out[n] = text
  end

  local function write_list(list)
    put "["
    for i = 1, #list do
      if i > 1 then put "," end
      write(list[i])
    end
    put "]"
  end

  local function write_object(t)
    local starts, mark = heads, "{"
    local keys = order[t] or keys_of(t)
    for i = 1, #keys do
      local key = keys[i]
      local text = starts[key]
      if not text then
        text = mark .. quoted(key) .. ":"
        starts[key] = text
      end
      n = n + 1
      out[n] = text
      write(t[key])
      starts, mark = tails, ","
    end
    put(keys[1] and "}" or "{}")
  end

  --- What is written by `f`, as one text that is kept.
  local function write_once(f, t)
    local text, first = fragments[t], n + 1
    if not text then
      f(t)
      text = table.concat(out, "", first, n)
      fragments[t], n = text, first - 1
    end
    put(text)
  end

  function write(value)
    local kind = type(value)
    if kind == "string" then
      n = n + 1
      out[n] = texts[value] or quoted(value)
    elseif kind ~= "table" then
      put(json.encode(value))
    elseif value[1] ~= nil or getmetatable(value) == ARRAY then
      write_list(value)
    elseif shared[value] then
      write_once(write_object, value)
    else
      write_object(value)
    end
  end

  write(document)
  return table.concat(out, "", 1, n)
end
