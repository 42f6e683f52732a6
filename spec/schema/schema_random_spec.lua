-- Random schemas and texts: decoding by a schema gives what walking the decoded table gives, values and errors.
local json = require "moonloop.json"
local random_schema = require "spec.support.random_schema"
local s = require "moonloop.schema"

local generator, make_schema = random_schema.generator, random_schema.schema
local make_text, make_fitting = random_schema.text, random_schema.fitting

local ROUNDS, TEXTS = 150, 30

--- Marks the empty objects of a decoded value, which a table given by hand could mean as lists, too.
local function mark(value)
  if type(value) ~= "table" then return value end
  if next(value) == nil and not getmetatable(value) then return json.object(value) end
  for _, item in pairs(value) do mark(item) end
  return value
end

local function text_of(value) return value ~= nil and json.encode(value, { pretty = true }) or nil end

describe("decoding by random schemas", function()
  it("gives what decoding and walking gives, and encodes it again", function()
    local fitting, failing = 0, 0
    for round = 1, ROUNDS do
      local random = generator(round)
      local schema = make_schema(random, 3)
      for _ = 1, TEXTS do
        local text = random(4) == 1 and make_text(random, 3) or make_fitting(random, schema)
        local table_of_it = mark(json.decode(text))
        local value, err = schema:decode(text)
        local walked, walked_err = schema:parse(table_of_it)
        local where = ("round %d: %s"):format(round, text)
        assert.equal(text_of(walked), text_of(value), where)
        assert.equal(walked_err and text_of(walked_err.errors), err and text_of(err.errors), where)
        assert.is_nil((schema:decode(text .. "]")), where)
        if value ~= nil then
          fitting = fitting + 1
          local again = schema:encode(value)
          assert(again, where)
          assert(json.decode(again) ~= nil, where)
        else
          failing = failing + 1
        end
      end
    end
    assert(fitting > 1000 and failing > 1000, fitting .. " " .. failing)
  end)

  it("means what its document means", function()
    local fitting, failing = 0, 0
    for round = 1, ROUNDS do
      local random = generator(round + 1000)
      local schema = make_schema(random, 3, true)
      local back = s.from_json_schema(json.encode(schema:json_schema()))
      for _ = 1, TEXTS do
        -- JSON Schema has no limit to what an integer is.
        local text = make_fitting(random, schema):gsub("1e300", "1"):gsub("9999+", "2")
        local value, err = schema:decode(text)
        local same, why = back:decode(text)
        assert.equal(value ~= nil, same ~= nil,
          ("round %d: %s: %s"):format(round, text, tostring(err or why)))
        if value ~= nil then fitting = fitting + 1 else failing = failing + 1 end
      end
    end
    assert(fitting > 1000 and failing > 1000, fitting .. " " .. failing)
  end)
end)
