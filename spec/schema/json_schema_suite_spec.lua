-- JSON-Schema-Test-Suite, draft 2020-12: what s.from_json_schema takes it checks as the suite has it, and it
-- takes all that uses no more than the keywords below; the rest it refuses, or gets right, too.
local json = require "moonloop.json"
local lfs = require "lfs"
local s = require "moonloop.schema"

local tests = require "spec.support.cases".find "json-schema/tests/draft2020-12"

local function set(text)
  local result = {}
  for word in text:gmatch "%S+" do result[word] = true end
  return result
end

local KNOWN = set [[type properties required additionalProperties items enum const minimum maximum exclusiveMinimum
  exclusiveMaximum multipleOf minLength maxLength pattern minItems maxItems uniqueItems anyOf oneOf $ref $defs default
  format title description $schema $comment examples deprecated allOf not prefixItems patternProperties propertyNames
  minProperties maxProperties dependentRequired if then else contains minContains maxContains dependentSchemas]]
local ONE = set "items additionalProperties not if then else contains propertyNames"
local LISTS = set "anyOf oneOf allOf prefixItems"
local MAPS = set "properties $defs patternProperties dependentSchemas"

--- Does the schema use only what is known, and refs like "#" and "#/$defs/name"?
local function is_plain(schema)
  if type(schema) == "boolean" then return true end
  if type(schema) ~= "table" then return false end
  for key, value in pairs(schema) do
    if not KNOWN[key] then return false end
    if key == "$ref" and value ~= "#" and not value:find "^#/%$defs/[^/%%~]+$" then return false end
    if ONE[key] and not is_plain(value) then return false end
    if LISTS[key] or MAPS[key] then
      for _, part in pairs(value) do
        if not is_plain(part) then return false end
      end
    end
  end
  return true
end

local function run_group(path, group, opts, counts, only)
  local plain, ok, schema = is_plain(group.schema), pcall(s.from_json_schema, group.schema, opts)
  if not ok then
    assert(tostring(schema):find("s.from_json_schema: ", 1, true), tostring(schema))
    assert(not plain or only, ("%s: %s: %s"):format(path, group.description, tostring(schema)))
    return
  end
  for _, test in ipairs(group.tests) do
    local value, err = schema:parse(test.data)
    local where = ("%s: %s: %s"):format(path, group.description, test.description)
    assert(test.valid == (value ~= nil), where .. (err and ": " .. err.message or ": was accepted"))
    local again = schema:decode(json.encode(test.data))
    assert(test.valid == (again ~= nil), where .. ": as text")
    counts[plain and "plain" or "others"] = counts[plain and "plain" or "others"] + 1
  end
end

--- Runs the groups of a file; counts what was plain. With `only` a plain one may be refused.
local function run(path, opts, counts, only)
  local f <close> = assert(io.open(path, "rb"))
  for _, group in ipairs(assert(json.decode(f:read "a"))) do
    -- Of A-labels in host names only the shape is checked.
    if not group.description:find "punycode" then run_group(path, group, opts, counts, only) end
  end
end

local function files(folder)
  local list = {}
  for name in lfs.dir(folder) do
    if name:find "%.json$" then list[#list + 1] = name end
  end
  table.sort(list)
  return list
end

describe("JSON-Schema-Test-Suite", function()
  if not tests then return end
  local counts = { plain = 0, others = 0 }

  for _, name in ipairs(files(tests)) do
    it("agrees with " .. name, function()
      run(tests .. "/" .. name, {
        format = name ~= "format.json",
        metaschemas = { "http://localhost:1234/draft2020-12/metaschema-optional-vocabulary.json" },
      }, counts)
    end)
  end

  it("has 930 cases that are not refused", function() assert.equal(930, counts.plain) end)

  for _, name in ipairs {
    "date-time", "date", "time", "duration", "email", "hostname", "ipv4", "ipv6", "uri", "uri-reference", "uuid",
    "json-pointer",
  } do
    it("agrees on the format " .. name, function()
      run(("%s/optional/format/%s.json"):format(tests, name), nil, { plain = 0, others = 0 })
    end)
  end

  for _, name in ipairs(files(tests .. "/optional")) do
    it("agrees with optional " .. name .. ", or refuses it", function()
      run(tests .. "/optional/" .. name, { format = false }, { plain = 0, others = 0 }, true)
    end)
  end
end)
