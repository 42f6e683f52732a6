-- JSONTestSuite: y_ files are JSON, n_ files are not, i_ files may be either.
local json = require "moonloop.json"
local lfs = require "lfs"

local tests = require "spec.support.cases".find "json"

local function read(path)
  local f <close> = assert(io.open(path, "rb"))
  return f:read "a"
end

local function names(path)
  local list = {}
  for name in lfs.dir(path) do
    if name:find "%.json$" then list[#list + 1] = name end
  end
  table.sort(list)
  return list
end

describe("JSONTestSuite", function()
  if not tests then return end

  for _, name in ipairs(names(tests .. "/test_parsing")) do
    local text = read(tests .. "/test_parsing/" .. name)
    local rule = name:sub(1, 1)
    if rule == "y" then
      it("accepts " .. name, function()
        local value, err = json.decode(text)
        assert.is_nil(err and tostring(err))
        assert.is_not_nil(value)
        -- What was accepted can be written, and reads back as the same.
        local again = json.encode(value)
        assert.same(value, json.decode(again))
      end)
    elseif rule == "n" then
      it("refuses " .. name, function()
        local value, err = json.decode(text)
        assert.is_nil(value)
        assert.equal("json", err.kind)
        assert.is_true(err.line >= 1 and err.column >= 1)
      end)
    else
      it("decides on " .. name, function()
        local value, err = json.decode(text)
        assert.is_true((value == nil) == (err ~= nil))
      end)
    end
  end

  -- nil: refused.
  local transforms = {
    ["number_-9223372036854775808.json"] = {math.mininteger},
    ["number_-9223372036854775809.json"] = {-2.0 ^ 63},
    ["number_1.0.json"] = {1.0},
    ["number_1.000000000000000005.json"] = {1.0},
    ["number_1000000000000000.json"] = {1000000000000000},
    ["number_10000000000000000999.json"] = {1e19},
    ["number_1e-999.json"] = {0.0},
    ["number_1e6.json"] = {1e6},
    ["number_9223372036854775807.json"] = {math.maxinteger},
    ["number_9223372036854775808.json"] = {2.0 ^ 63},
    ["object_key_nfc_nfd.json"] = {["\u{e9}"] = "NFC", ["e\u{301}"] = "NFD"},
    ["object_key_nfd_nfc.json"] = {["e\u{301}"] = "NFD", ["\u{e9}"] = "NFC"},
    ["object_same_key_different_values.json"] = {a = 2},
    ["object_same_key_same_value.json"] = {a = 1},
    ["object_same_key_unclear_values.json"] = {a = 0},
    ["string_with_escaped_NULL.json"] = {"A\0B"},
  }

  for _, name in ipairs(names(tests .. "/test_transform")) do
    it("transforms " .. name, function()
      local expected = transforms[name]
      local value = json.decode(read(tests .. "/test_transform/" .. name))
      assert.same(expected, value)
      if expected then assert.equal(math.type(expected[1]), math.type(value[1])) end
    end)
  end
end)
