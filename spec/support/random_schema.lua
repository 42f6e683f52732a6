--- Random schemas, and texts that fit them more or less, for the specs.
local json = require "moonloop.json"
local s = require "moonloop.schema"

local M = {}

--- Numbers that are the same in each run, whatever the platform's generator.
function M.generator(seed)
  local state = seed
  return function(n)
    state = (state * 6364136223846793005 + 1442695040888963407) & math.maxinteger
    return (state >> 33) % n + 1
  end
end

local KEYS = { "a", "b", "ä", "kind", "long_name", "q\"" }

--- A schema with parts of parts up to `depth`. `plain`: without what a document cannot say. `name()` gives the
-- next object a name, or nil.
function M.schema(random, depth, plain, name)
  local function option(value) return random(2) == 1 and value or nil end
  local types = {
    function() return s.string { min = option(random(3)), max = option(random(4) + 2) } end,
    function() return s.int { min = option(random(5)), max = option(random(9) + 4), secret = option(true) } end,
    function() return s.number { gt = option(random(3)), multiple_of = option(0.5) } end,
    function() return s.bool() end,
    function() return s.enum { "a", "kind", 1, json.null } end,
    function() return s.enum { "a", "b", "kind" } end,
    function() return s.any() end,
    function() return s.date() end,
    function() return plain and s.uuid() or s.decimal() end,
    function() return plain and s.string { pattern = "^[a-z]+$" } or s.string { match = "^%a+$" } end,
  }
  if depth > 0 then
    local function inner() return M.schema(random, depth - 1, plain, name) end
    local function object()
      local fields = {}
      for _, key in ipairs(KEYS) do
        if random(2) == 1 then
          local field = inner()
          if random(3) == 1 then field = field:optional() end
          local ok, with_default = pcall(field.default, field, random(3))
          if ok and random(4) == 1 then field = with_default end
          fields[#fields + 1] = { key, field }
        end
      end
      if not fields[1] then fields[1] = { "a", inner() } end
      local extra = ({ "ignore", "forbid", s.int(), s.any() })[random(4)]
      local own = name and name()
      if own then return s.object(own, fields, { extra = extra }) end
      return s.object(fields, { extra = extra, coerce = not plain and random(8) == 1 or nil })
    end
    local function kinded()
      local schema = object()
      return schema:extend { kind = s.const(random(2) == 1 and "a" or "b") }
    end
    for _ = 1, 2 do
      table.move({
        object, object, object,
        function() return s.list(inner(), { min = option(1), max = option(random(3)), unique = option(true) }) end,
        function() return s.map(inner(), { max = option(random(3)) }) end,
        function() return s.tuple { inner(), inner() } end,
        function() return s.union { inner(), inner() } end,
        function() return s.tagged("kind", { a = kinded():omit { "kind" }, b = s.object { a = inner() } }) end,
      }, 1, 8, #types + 1, types)
    end
  end
  local schema = types[random(#types)]()
  if random(4) == 1 then schema = schema:nullable() end
  return schema
end

local SCALARS = {
  '"a"', '"b"', '"kind"', '""', '"long text"', '"ä"', "1", "0", "2.0", "2.5", "-7", "1e300",
  "true", "false", "null", '"2020-01-02"', '"1.50"', '"5"', "[]", "{}", "99999999999999999999",
}

--- A text of JSON.
function M.text(random, depth)
  local kind = depth > 0 and random(4) or 1
  if kind == 1 then return SCALARS[random(#SCALARS)] end
  local parts = {}
  for i = 1, random(5) - 1 do
    local text = M.text(random, depth - 1)
    if kind == 2 then
      parts[i] = text
    else
      parts[i] = json.encode(KEYS[random(#KEYS)]) .. (random(5) == 1 and " : " or ":") .. text
    end
  end
  return kind == 2 and "[" .. table.concat(parts, ",") .. "]" or "{" .. table.concat(parts, ", ") .. "}"
end

--- A text that fits more often than a random one: of the values that the schema has.
function M.fitting(random, schema)
  local def = schema.def
  if def.nullable and random(4) == 1 then return "null" end
  if random(12) == 1 then return M.text(random, 2) end
  if def.type == "object" then
    local parts = {}
    for _, field in ipairs(def.fields) do
      if random(8) > 1 then parts[#parts + 1] = json.encode(field[1]) .. ":" .. M.fitting(random, field[2]) end
    end
    if random(6) == 1 then parts[#parts + 1] = '"other":1' end
    if random(4) == 1 and parts[2] then parts[1], parts[#parts] = parts[#parts], parts[1] end
    if random(6) == 1 and parts[1] then parts[#parts + 1] = parts[random(#parts)] end
    return "{" .. table.concat(parts, ",") .. "}"
  elseif def.type == "list" or def.type == "tuple" then
    local parts = {}
    for i = 1, def.items and #def.items or random(4) - 1 do
      parts[i] = M.fitting(random, def.items and def.items[i] or def.item)
    end
    return "[" .. table.concat(parts, ",") .. "]"
  elseif def.type == "map" then
    return '{"x":' .. M.fitting(random, def.item) .. "}"
  elseif def.type == "union" then
    return M.fitting(random, def.items[random(#def.items)])
  elseif def.type == "tagged" then
    return M.fitting(random, def.branches[random(#def.branches)][2])
  elseif def.literals then
    return json.encode(def.literals[random(#def.literals)])
  end
  return SCALARS[random(#SCALARS)]
end

return M
