-- ml.schema: builders and modifiers, parse, decode, encode, read.
local ml = require "moonloop"
local json = ml.json
local s = ml.schema

local null = json.null

--- The errors as "loc: type: msg", one each.
local function told(schema, value, method)
  local result, err = schema[method or "parse"](schema, value)
  assert.is_nil(result)
  assert.equal("validation", err.kind)
  local lines = {}
  for i, e in ipairs(err.errors) do
    lines[i] = ("%s: %s: %s"):format(table.concat(e.loc, "."), e.type, e.msg)
  end
  return lines, err.errors
end

local function raised(f, ...)
  local ok, err = pcall(f, ...)
  assert.is_false(ok)
  return tostring(err)
end

describe("schemas", function()
  it("say what is wrong with their options, with the nearest name and the script's line", function()
    local message = raised(s.string, { mim = 1 })
    assert.truthy(message:find("unknown option 'mim' of s.string (did you mean 'min'?)", 1, true), message)
    assert.truthy(raised(function() s.string { mim = 1 } end):find "^spec/schema/schema_spec%.lua:%d+: ")
    assert.truthy(raised(s.string, { min = -1 }):find("option 'min' of s.string is -1", 1, true))
    assert.truthy(raised(s.int, { min = 3, max = 2 }):find("'min' of s.int is above its 'max'", 1, true))
    assert.truthy(raised(s.int, { multiple_of = 0 }):find("number above 0", 1, true))
    assert.truthy(raised(s.list, "x"):find("s.list: its item is a string (expected a schema)", 1, true))
    assert.truthy(raised(s.list, s.string):find("call the function, as in s.string()", 1, true))
    assert.truthy(raised(s.object, { a = 1 }):find("field 'a' is a number", 1, true))
    assert.truthy(raised(s.object, { { "a", s.int() }, { "a", s.int() } }):find("two fields 'a'", 1, true))
    assert.truthy(raised(s.enum, {}):find("list of values is empty", 1, true))
    assert.truthy(raised(s.string, { format = "dat" }):find("date%-time"))
  end)

  it("do not change", function()
    local name = s.string()
    assert.is_not_equal(name, name:optional())
    assert.truthy(raised(function() name.x = 1 end):find "does not change")
    assert.is_nil(s.object({ a = name }):parse {})
    assert.same({}, s.object({ a = name:optional() }):parse {})
  end)

  it("tell absent, null and default apart", function()
    local schema = s.object {
      a = s.int():optional(), b = s.int():nullable(), c = s.int():default(7), d = s.int():optional():nullable(),
    }
    assert.same({ b = null, c = 7 }, schema:parse { b = null })
    assert.same({ a = 1, b = 2, c = 3, d = null }, schema:decode '{"a":1,"b":2,"c":3,"d":null}')
    assert.same({ "a: int_type: Input should be a valid integer", "b: missing: Field required",
      "c: int_type: Input should be a valid integer" }, (told(schema, { a = null, c = null })))
  end)

  it("copy defaults for each use, and mark their lists", function()
    local schema = s.object {
      tags = s.list(s.string()):default {}, of = s.object({ x = s.list(s.int()) }):default { x = {} },
    }
    local one, two = schema:parse {}, schema:decode "{}"
    assert.equal('[]', json.encode(one.tags))
    assert.equal('[]', json.encode(two.of.x))
    one.tags[1] = "changed"
    assert.same({}, schema:parse({}).tags)
    assert.is_not_equal(two.of, schema:decode("{}").of)
  end)

  it("refuse defaults that do not fit", function()
    local message = raised(s.list(s.int()).default, s.list(s.int()), { 1, "x" })
    assert.truthy(message:find("schema:default: the value does not fit: 1: Input should be a valid integer", 1, true))
    assert.truthy(raised(s.int().default, s.int()):find "a value expected")
  end)

  it("make others of objects", function()
    local Item = s.object("Item", { { "id", s.int() }, { "name", s.string() }, { "note", s.string():default "-" } })
    assert.same({ name = "x" }, Item:partial():parse { name = "x" })
    assert.same({ id = 1 }, Item:pick({ "id" }):parse { id = 1, name = 2 })
    assert.same({ id = 1, name = "x" }, Item:omit({ "note" }, "Short"):parse { id = 1, name = "x", note = "y" })
    assert.same({ "id: missing: Field required", "name: missing: Field required", "at: missing: Field required" },
      (told(Item:extend("More", { at = s.date() }), {})))
    assert.same({ "name: int_type: Input should be a valid integer" },
      (told(Item:extend { name = s.int() }, { id = 1, name = "x" })))
    assert.truthy(raised(Item.omit, Item, { "nane" }):find("unknown field 'nane' of schema:omit (did you mean 'name'?)",
      1, true))
    assert.truthy(raised(s.int().partial, s.int()):find "is for objects")
  end)

  it("take what they do not list as they are told", function()
    local fields = { a = s.int() }
    assert.same({ a = 1 }, s.object(fields):decode '{"a":1,"b":2}')
    local forbid = s.object(fields, { extra = "forbid" })
    for _, method in ipairs { "parse", "decode" } do
      local value = { b = 2, a = "x" }
      assert.same({ "a: int_type: Input should be a valid integer",
        "b: extra_forbidden: Extra inputs are not permitted" },
        (told(forbid, method == "decode" and json.encode(value) or value, method)))
    end
    local checked = s.object(fields, { extra = s.string() })
    assert.same({ a = 1, b = "x" }, checked:decode '{"b":"x","a":1}')
    assert.same({ "b: string_type: Input should be a valid string" }, (told(checked, '{"a":1,"b":2}', "decode")))
  end)

  it("contain themselves", function()
    local Node = s.object("SpecNode", { value = s.int(), next = s.ref("SpecNode"):nullable():optional() })
    assert.same({ value = 1, next = { value = 2, next = null } },
      Node:decode '{"value":1,"next":{"value":2,"next":null}}')
    assert.same({ "next.next.value: missing: Field required" },
      (told(Node, { value = 1, next = { value = 2, next = {} } })))
    local Tree = s.object("SpecTree", { children = s.list(s.ref "SpecTree"):default {} })
    assert.equal('{"children":[]}', json.encode(Tree:decode "{}"))
    local A, B
    A = s.object { b = s.ref(function() return B end):optional() }
    B = s.object { a = A }
    assert.same({ b = { a = {} } }, A:parse { b = { a = {} } })
    local Self
    Self = s.ref(function() return Self end)
    assert.same({ ": recursion_loop: Input is nested too deeply, or takes too long to check" },
      (told(Self, "1", "decode")))
    assert.truthy(raised(s.ref("NoSuchSpecName").parse, s.ref "NoSuchSpecName", 1):find "no object has that name")
  end)
end)

describe("errors of schemas", function()
  it("are those of Pydantic, all at once", function()
    local cases = {
      { s.string { min = 2 }, "x", "string_too_short: String should have at least 2 characters" },
      { s.string { min = 1 }, "", "string_too_short: String should have at least 1 character" },
      { s.string { max = 2 }, "äöü", "string_too_long: String should have at most 2 characters" },
      { s.string { pattern = "^a$" }, "b", "string_pattern_mismatch: String should match pattern '^a$'" },
      { s.string(), 1, "string_type: Input should be a valid string" },
      { s.int(), "1", "int_type: Input should be a valid integer" },
      { s.int(), 1.5, "int_from_float: Input should be a valid integer, got a number with a fractional part" },
      { s.int { gt = 1 }, 1, "greater_than: Input should be greater than 1" },
      { s.int { min = 1 }, 0, "greater_than_equal: Input should be greater than or equal to 1" },
      { s.number { lt = 1.5 }, 2, "less_than: Input should be less than 1.5" },
      { s.number { max = 1 }, 2, "less_than_equal: Input should be less than or equal to 1" },
      { s.int { multiple_of = 5 }, 7, "multiple_of: Input should be a multiple of 5" },
      { s.number(), true, "float_type: Input should be a valid number" },
      { s.number(), 0 / 0, "finite_number: Input should be a finite number" },
      { s.bool(), 1, "bool_type: Input should be a valid boolean" },
      { s.list(s.int()), "x", "list_type: Input should be a valid list" },
      { s.list(s.int(), { min = 2 }), { 1 }, "too_short: List should have at least 2 items after validation, not 1" },
      { s.list(s.int(), { max = 1 }), { 1, 2 }, "too_long: List should have at most 1 item after validation, not 2" },
      { s.map(s.int()), { 1 }, "dict_type: Input should be a valid dictionary" },
      { s.map(s.int(), { max = 1 }), { a = 1, b = 2 },
        "too_long: Dictionary should have at most 1 item after validation, not 2" },
      { s.tuple { s.int() }, "x", "tuple_type: Input should be a valid tuple" },
      { s.enum { "a", "b", "c" }, "d", "literal_error: Input should be 'a', 'b' or 'c'" },
      { s.enum { 1, true, null }, "d", "literal_error: Input should be 1, True or None" },
      { s.const "it's", "d", "literal_error: Input should be \"it's\"" },
      { s.object { a = s.int() }, "x",
        "model_attributes_type: Input should be a valid dictionary or object to extract fields from" },
      { s.datetime(), "x", "datetime_from_date_parsing: Input should be a valid datetime or date, input is too short" },
      { s.datetime(), "2026-11-28T20:00:00", "timezone_aware: Input should have timezone info" },
      { s.date(), "2020-13-01",
        "date_from_datetime_parsing: Input should be a valid date or datetime, "
          .. "month value is outside expected range of 1-12" },
      { s.decimal(), "x", "decimal_parsing: Input should be a valid decimal" },
      { s.email(), "x",
        "value_error: value is not a valid email address: An email address must have an @-sign." },
      { s.ip(), "x", "ip_any_address: value is not a valid IPv4 or IPv6 address" },
      { s.url(), "x", "url_parsing: Input should be a valid URL, relative URL without a base" },
      { s.url(), "ftp://x", "url_scheme: URL scheme should be 'http' or 'https'" },
      { s.url(), "http://", "url_parsing: Input should be a valid URL, empty host" },
      { s.bytes { min = 3 }, "a", "bytes_too_short: Data should have at least 3 bytes" },
      { s.tuple { s.int() }, { 1, 2 }, "too_long: Tuple should have at most 1 item after validation, not 2" },
      { s.uuid(), 1, "uuid_type: UUID input should be a string, bytes or UUID object" },
    }
    for _, case in ipairs(cases) do
      local lines = told(case[1], case[2])
      assert.equal(": " .. case[3], lines[1])
    end
  end)

  it("are the recorded ones of FastAPI", function()
    local path = require "spec.support.cases".find "fastapi/oracle.json"
    if not path then return end
    local Item = s.object("OracleItem", {
      { "name", s.string { min = 1, max = 10 } }, { "price", s.number { gt = 0 } },
      { "qty", s.int { min = 1, max = 5 }:default(1) }, { "tags", s.list(s.string()):default {} },
      { "kind", s.enum { "a", "b" }:default "a" }, { "note", s.string():nullable():default(null) },
    }, { coerce = true })
    local f <close> = assert(io.open(path))
    local compared = 0
    for _, case in ipairs(assert(json.decode(f:read "a"))) do
      local is_json = (case.headers["content-type"] or ""):find "json"
      if case.path == "/items" and is_json and case.body ~= "" and case.body ~= "null" and json.decode(case.body) then
        compared = compared + 1
        local value, err = Item:decode(case.body)
        if case.status == 201 then
          assert(value, tostring(err))
        else
          local wanted = {}
          for i, e in ipairs(case.response.detail) do
            table.remove(e.loc, 1) -- "body"
            wanted[i] = e
          end
          assert.same(wanted, err.errors)
        end
      end
    end
    assert(compared >= 7)
  end)

  it("are at most 100, and their inputs at most 1 kB", function()
    local list = {}
    for i = 1, 300 do list[i] = "x" end
    assert.equal(100, #told(s.list(s.int()), list))
    assert.equal(100, #told(s.list(s.int()), json.encode(list), "decode"))
    local _, errors = told(s.int(), ("ä"):rep(2000))
    assert.equal(1024, #errors[1].input)
    assert.is_nil(select(2, told(s.int { secret = true }, "x"))[1].input)
    assert.equal("...", select(2, told(s.int(), list))[1].input)
  end)

  it("name the branch of a union, and the tag of a tagged one", function()
    local schema = s.list(s.union { s.int(), s.string { max = 1 }, s.list(s.int()) })
    assert.same({
      "0.int: int_type: Input should be a valid integer",
      "0.constrained-str: string_too_long: String should have at most 1 character",
      "0.list[int]: list_type: Input should be a valid list",
    }, (told(schema, { "xx" })))
    local Pet = s.tagged("kind", {
      cat = s.object { lives = s.int() }, dog = s.object { kind = s.const "dog", age = s.int() },
    })
    for _, method in ipairs { "parse", "decode" } do
      local function arg(v) return method == "decode" and json.encode(v) or v end
      assert.same({ kind = "cat", lives = 9 }, Pet[method](Pet, arg { kind = "cat", lives = 9 }))
      assert.same({ "dog.age: missing: Field required" }, (told(Pet, arg { kind = "dog" }, method)))
      assert.same({ ": union_tag_not_found: Unable to extract tag using discriminator 'kind'" },
        (told(Pet, arg { lives = 1 }, method)))
      assert.same({ ": union_tag_invalid: Input tag 'cow' found using 'kind' does not match any of the expected tags: "
        .. "'cat', 'dog'" }, (told(Pet, arg { kind = "cow" }, method)))
    end
  end)

  it("come in the order of the schema, whatever the order of the text", function()
    local schema = s.object { { "z", s.int() }, { "a", s.object { { "y", s.int() }, { "b", s.int() } } } }
    local wanted = { "z: missing: Field required", "a.y: int_type: Input should be a valid integer",
      "a.b: int_type: Input should be a valid integer" }
    assert.same(wanted, (told(schema, '{"a":{"b":"x","y":"x"}}', "decode")))
    assert.same(wanted, (told(schema, '{"a":{"y":"x","b":"x"}}', "decode")))
  end)

  it("come in that order from nested objects that are shuffled, by decoding and by walking", function()
    local Point = s.object { x = s.int { min = 0 }, y = s.int(), z = s.int():optional() }
    local Shape = s.object { a = s.int(), b = s.list(Point), c = Point, d = s.string { min = 2 } }
    local text = [[{"d":"", "c":{"y": "q", "z": 0.5, "x": -1}, "b": [{"y": 1, "x": 0}, {"y": "q", "x": -1}, {"z":1}]}]]
    local function of(err)
      local list = {}
      for i, e in ipairs(err.errors) do list[i] = table.concat(e.loc, ".") .. " " .. e.type end
      return list
    end
    local expected = {
      "a missing", "b.1.x greater_than_equal", "b.1.y int_type", "b.2.x missing", "b.2.y missing",
      "c.x greater_than_equal", "c.y int_type", "c.z int_from_float", "d string_too_short",
    }
    for _ = 1, 3 do -- the order of the text is learned
      assert.same(expected, of(select(2, Shape:decode(text))))
      assert.same(expected, of(select(2, Shape:parse(ml.json.decode(text)))))
    end
    text = text:gsub("^{", '{"a": "q", ')
    expected[1] = "a int_type"
    assert.same(expected, of(select(2, Shape:decode(text))))
  end)

  it("of text that is no JSON are one of their own, whatever came before it", function()
    local schema = s.object { a = s.int() }
    local lines, errors = told(schema, '{"a": "x", "b": ', "decode")
    assert.same({ "16: json_invalid: JSON decode error" }, lines)
    assert.truthy(errors[1].ctx.error:find "line 1, column 17")
    assert.same({ "2: json_invalid: JSON decode error" }, (told(s.int(), "1 2", "decode")))
  end)
end)

describe("decoding by a schema", function()
  it("gives what the last of equal members has", function()
    local schema = s.object { a = s.int(), b = s.int():optional() }
    assert.same({ a = 2 }, schema:decode '{"a":1,"a":2}')
    assert.same({ a = 2 }, schema:decode '{"a":"x","a":2}')
    assert.same({ "a: int_type: Input should be a valid integer" }, (told(schema, '{"a":1,"a":"x"}', "decode")))
    assert.same({ "a: int_type: Input should be a valid integer" }, (told(schema, '{"b":1,"a":"x"}', "decode")))
    local Pet = s.tagged("kind", { cat = s.object { n = s.int() }, dog = s.object { n = s.string() } })
    assert.same({ kind = "dog", n = "x" }, Pet:decode '{"kind":"cat","n":"x","kind":"dog"}')
  end)

  it("finds members with escapes in their names, and tags behind other members", function()
    local schema = s.object { ["a\"b"] = s.int(), ["ä"] = s.int() }
    assert.same({ ["a\"b"] = 1, ["ä"] = 2 }, schema:decode [[{"a\"b":1,"\u00e4":2}]])
    local Pet = s.tagged("kind", { cat = s.object { n = s.any() } })
    assert.same({ kind = "cat", n = { { ["}"] = "\"" } } }, Pet:decode [[{"n":[{"}":"\""}], "kind" : "cat"}]])
    assert.same({ kind = "cat", n = 1 }, Pet:decode [[{"n":1,"\u006bind":"c\u0061t"}]])
  end)

  it("takes no object for a list, nor a list for an object", function()
    assert.same({ ": list_type: Input should be a valid list" }, (told(s.list(s.int()), "{}", "decode")))
    assert.is_nil(s.object({}):decode "[]")
    assert.is_nil(s.union({ s.list(s.int()), s.int() }):decode "{}")
    assert.same({}, s.list(s.int()):parse {})
  end)

  it("takes whole floats as integers, and no others", function()
    assert.equal("integer", math.type(s.int():decode "2.0"))
    assert.equal(math.maxinteger, s.int():decode "9223372036854775807")
    assert.is_nil(s.int():decode "2.5")
    assert.is_nil(s.int():decode "1e300")
    assert.is_nil(s.int { max = 9007199254740992 }:decode "9007199254740993")
  end)

  it("stays quick for unions within unions, and for texts made to be slow", function()
    local U = s.object("SpecDeep", { a = s.union { s.ref "SpecDeep", s.object { a = s.ref "SpecDeep", b = s.int() } }
      :optional(), z = s.int():optional() })
    local text = ('{"a":'):rep(100) .. '{"z":"x"}' .. ("}"):rep(100)
    local value, err = U:decode(text)
    assert.is_nil(value)
    assert.equal("validation", err.kind)
    local P = s.object("SpecRequired", { a = s.any():optional(), p = s.ref("SpecRequired"):optional(), need = s.int() })
    local nested = ('{"p":'):rep(300) .. '{"a":"' .. ("x"):rep(200000) .. '"}' .. ("}"):rep(300)
    assert.equal(100, #select(2, P:decode(nested)).errors)
    assert.is_nil(s.string { pattern = "^(a+)+$" }:parse(("a"):rep(40) .. "b"))
    assert.is_nil(s.string { match = ".-.-.-.-.-.-.-.-b$" }:parse(("a"):rep(2000)))
  end)

  it("gives a pattern fewer steps for a short text", function()
    local P = s.string { pattern = "^((a+)+c|a*b)$" } -- the first half takes twice as long for each letter
    assert.truthy(P:parse(("a"):rep(6) .. "b"))
    assert.is_nil(P:parse(("a"):rep(17) .. "b"))
  end)

  it("gives up a pattern that takes the square of a text's length, from all of its starts together", function()
    for pattern, found in pairs {
      ["[a-z]+@[a-z]"] = " a@b", -- moves over all letters from each start, which is one call of the matcher
      ["(?:a|ab)*c"] = " ac", -- takes back one by one
      ["(a+)\\1!"] = " aa!", -- compares them
    } do
      local P = s.string { pattern = pattern }
      assert.truthy(P:parse(("a"):rep(50) .. found))
      assert.is_nil(P:parse(("a"):rep(50000) .. found)) -- it would be found, after minutes
      assert.truthy(P:parse(("b "):rep(50000) .. found))
    end
  end)

  it("finds the same in a short text, which is tried first, as in a long one, whose steps are counted", function()
    for _, pattern in ipairs {
      "a+b", "(a|b)+c", "(\\w)\\1", "b(?=c)", "(?<!a)b", "(?:ab|a)c", "[ab]*?cc", "\\bab\\b",
    } do
      local P = s.string { pattern = pattern }
      for i = 0, 3 ^ 6 - 1 do
        local text = ""
        for k = 0, 5 do text = text .. ("abc"):sub(i // 3 ^ k % 3 + 1 | 0, i // 3 ^ k % 3 + 1 | 0) end
        local short, long = P:parse(text), P:parse((" "):rep(100) .. text)
        assert.equal(short ~= nil, long ~= nil, pattern .. " in " .. text)
      end
    end
  end)

  it("tries no pattern for ever on texts that are slow one by one, where the errors do not count", function()
    local slow = ("a"):rep(25) .. "!"
    local texts = {}
    for i = 1, 2000 do texts[i] = slow end
    for _, opts in ipairs { { pattern = "^(a+)+$" }, { match = "^a*a*a*a*a*a*$" } } do
      local schema = s.list(s.union { s.string(opts), s.string() })
      local value, err = schema:decode(json.encode(texts))
      assert.is_nil(value)
      assert.equal("recursion_loop", err.errors[#err.errors].type)
      assert.truthy(schema:decode(json.encode { slow }))
    end
  end)

  it("tries patterns that are a little slow on many texts", function()
    local schema = s.list(s.string { pattern = "^.+@.+[.].+$", match = "^.+@.+%..+$" })
    local texts = {}
    for i = 1, 10000 do texts[i] = ("a"):rep(20) .. i .. "@b.c.d.e" end
    assert.truthy(schema:decode(json.encode(texts)))
  end)

  it("tries unions within unions fewer times for a short text than for a long one", function()
    local U
    local A = s.object { next = s.ref(function() return U end):optional() }
    local B = s.object { next = s.ref(function() return U end):optional(), b = s.int():optional() }
    U = s.union { A, B }
    local function kind(leaf) -- each of the 16 objects is tried as both, and is wrong only at its end
      local _, err = U:decode(('{"next":'):rep(16) .. leaf .. ("}"):rep(16))
      return err.errors[#err.errors].type
    end
    assert.equal("recursion_loop", kind "1")
    assert.not_equal("recursion_loop", kind(('"%s"'):format(("x"):rep(100000))))
  end)

  it("stays quick for lists within lists whose items have to differ", function()
    local schema = s.object("SpecUnique", { l = s.list(s.any(), { unique = true }):optional(),
      n = s.list(s.ref "SpecUnique", { unique = true }):optional() })
    local long = {}
    for i = 1, 20000 do long[i] = tostring(i) end
    local text = ('{"n":['):rep(200) .. json.encode { l = long } .. ("]}"):rep(200)
    local value, err = schema:decode(text)
    assert(value or err.errors[1].type == "recursion_loop") -- what matters is that it returns
  end)

  it("shows no large input again and again", function()
    local fields, long = {}, {}
    for i = 1, 100 do fields["f" .. i] = s.int() end
    for i = 1, 200000 do long[i] = "x" end
    local errors = select(2, told(s.object(fields), { long = long }))
    assert.equal(100, #errors)
    assert.equal("...", errors[100].input)
    assert.equal("function", select(2, told(s.int(), print))[1].input)
    assert(json.encode(select(2, told(s.number(), 1 / 0))))
  end)

  it("finds equal items of long lists", function()
    local schema = s.list(s.any(), { unique = true })
    local list = {}
    for i = 1, 5000 do list[i] = { i % 2 == 0 and "k" or "l", i } end
    assert(schema:parse(list))
    list[5001] = { "k", 4000.0 }
    assert.same({ ": unique_items: List items should be unique" }, (told(schema, list)))
    assert.is_nil(schema:decode '[1, 1.0]')
    assert(schema:decode '[1, "1", true, null, [], {}]')
  end)
end)

describe("texts that are read", function()
  it("become numbers, booleans and lists as in Pydantic", function()
    local schema = s.object { n = s.int():optional(), x = s.number():optional(), b = s.bool():optional(),
      l = s.list(s.int()):optional() }
    for text, value in pairs { ["5"] = 5, [" 5 "] = 5, ["+5"] = 5, ["-0"] = 0, ["1.0"] = 1, ["1_000"] = 1000 } do
      assert.equal(value, schema:read({ n = text }).n)
    end
    for _, text in ipairs { "", "abc", "1.5", "1e3", "1.", "0x10", "1__0", "--1" } do
      assert.same({ "n: int_parsing: Input should be a valid integer, unable to parse string as an integer" },
        (told(schema, { n = text }, "read")))
    end
    assert.same({ "n: int_parsing_size: Unable to parse input string as an integer, exceeded maximum size" },
      (told(schema, { n = "9223372036854775808" }, "read")))
    assert.equal(math.mininteger, schema:read({ n = "-9223372036854775808" }).n)
    assert.equal(1500.0, schema:read({ x = "+1.5e3" }).x)
    for _, text in ipairs { "nan", "inf", "0x1p4", "1e", "" } do
      assert.same({ "x: float_parsing: Input should be a valid number, unable to parse string as a number" },
        (told(schema, { x = text }, "read")))
    end
    for _, text in ipairs { "1", "on", "T", "true", "Y", "YES" } do assert.is_true(schema:read({ b = text }).b) end
    for _, text in ipairs { "0", "off", "f", "False", "n", "no" } do assert.is_false(schema:read({ b = text }).b) end
    assert.same({ "b: bool_parsing: Input should be a valid boolean, unable to interpret input" },
      (told(schema, { b = "maybe" }, "read")))
    assert.same({ 1 }, schema:read({ l = "1" }).l)
    assert.same({ 1, 2 }, schema:read({ l = { "1", "2" } }).l)
    assert.same({ "l.0: int_parsing: Input should be a valid integer, unable to parse string as an integer" },
      (told(schema, { l = { "x", "2" } }, "read")))
  end)

  it("are coerced in JSON, too, where that is asked for", function()
    local schema = s.object({ n = s.int(), x = s.number() }, { coerce = true })
    assert.same({ n = 2, x = 1.0 }, schema:decode '{"n":"2","x":true}')
    assert.is_nil(s.object { n = s.int() }:decode '{"n":"2"}')
    local u = s.union({ s.int(), s.string() }, { coerce = true })
    assert.equal("5", u:parse "5") -- what fits strictly wins
  end)
end)

describe("checks of schemas", function()
  it("run when all else fits, and may wait", function()
    local calls = 0
    local Item = s.object { a = s.int():check(function(v)
      calls = calls + 1
      ml.sleep(0)
      if v > 10 then return "too large for us" end
    end), b = s.int() }:check(function(v) return v.a > v.b and "a is above b" or nil end)
    assert.same({ "a: int_type: Input should be a valid integer" }, (told(Item, { a = "x", b = 1 })))
    assert.equal(0, calls)
    assert.same({ a = 1, b = 1 }, Item:decode '{"a":1,"b":1}')
    assert.same({ "a: value_error: Value error, too large for us" }, (told(Item, { a = 11, b = 1 })))
    local lines, errors = told(Item, { a = 2, b = 1 })
    assert.same({ ": value_error: Value error, a is above b" }, lines)
    assert.same({ error = "a is above b" }, errors[1].ctx)
  end)

  it("have U+FFFD in messages for what is not UTF-8", function()
    local schema = s.string():check(function(v) return v:sub(1, 1) .. " or " .. v:sub(2) end)
    local _, err = schema:parse "\u{e9}"
    local errors = err.errors
    assert.equal("Value error, \u{FFFD} or \u{FFFD}", errors[1].msg)
    assert.equal("\u{FFFD} or \u{FFFD}", errors[1].ctx.error)
  end)

  it("cannot return nil and a message, which would let all pass", function()
    local schema = s.int():check(function() return nil, "wrong" end)
    local ok, err = pcall(schema.parse, schema, 1)
    assert.is_false(ok)
    assert.matches("schema:check: its function returned nil and a string %(expected nil or a message%)", err)
  end)

  it("run in lists, maps, tuples, unions and behind refs", function()
    local odd = s.int():check(function(v) return v % 2 == 0 and "even" or nil end)
    local schema = s.object { l = s.list(odd), m = s.map(odd), t = s.tuple { odd }, u = s.union { s.string(), odd } }
    local lines = told(schema, { l = { 1, 2 }, m = { x = 4 }, t = { 6 }, u = 8 })
    assert.same({ "l.1: value_error: Value error, even", "m.x: value_error: Value error, even",
      "t.0: value_error: Value error, even", "u: value_error: Value error, even" }, lines)
  end)
end)

describe("encoding by a schema", function()
  local Out = s.object { { "id", s.int() }, { "name", s.string() }, { "note", s.string():nullable():optional() },
    { "password", s.string { write_only = true }:optional() }, { "tags", s.list(s.string()):default {} } }

  it("lets nothing out that the schema does not have", function()
    assert.equal('{"id":1,"name":"ä\\n","note":null,"tags":[]}',
      Out:encode { id = 1.0, name = "ä\n", password = "x", other = {} })
    local Pet = s.tagged("kind", { cat = s.object { n = s.list(s.object { a = s.int() }, { unique = true }) } })
    assert.same({ kind = "cat", n = { { a = 1 } } },
      json.decode(Pet:encode { kind = "cat", n = { { a = 1, b = 2 } }, c = 3 }))
    assert.equal('{"a":1}', s.union { s.string(), s.object { a = s.int() } }:encode { a = 1, b = 2 })
  end)

  it("says what does not fit", function()
    assert.same({ "id: missing: Field required", "name: string_type: Input should be a valid string" },
      (told(Out, { name = 1 }, "encode")))
    assert.same({ ": finite_number: Input should be a finite number" }, (told(s.number(), 0 / 0, "encode")))
    assert.same({ ": encode_error: cannot encode a string that is not valid UTF-8" },
      (told(s.string(), "\xff", "encode")))
    local cycle = {}
    cycle.x = cycle
    assert.truthy(told(s.any(), cycle, "encode")[1]:find "contains itself")
  end)

  it("writes times from numbers, and reads them as numbers where asked", function()
    assert.equal('"2001-09-09T01:46:40Z"', s.datetime():encode(1000000000))
    assert.equal('"1969-12-31T23:59:59.500000Z"', s.datetime():encode(-0.5))
    assert.equal(1000000000.25, s.datetime():unix():parse "2001-09-09T03:46:40.25+02:00")
    assert.equal("2001-09-09T03:46:40+02:00", s.datetime():decode '"2001-09-09T03:46:40+02:00"')
    assert.truthy(raised(s.date().unix, s.date()):find "is for s.datetime")
  end)

  it("keeps decimals as text", function()
    assert.equal("1.10", s.decimal():decode '"1.10"')
    assert.equal("5", s.decimal():decode "5")
    assert.equal("0.1", s.decimal():parse(0.1))
    assert.equal('"1.10"', s.decimal():encode "1.10")
    assert.is_nil(s.decimal { max = 1 }:parse "1.01")
  end)
end)

describe("documents of schemas", function()
  it("are JSON Schemas that mean the same", function()
    local Item = s.object("DocItem", {
      a = s.string { min = 1, max = 3, pattern = "^x" }, b = s.int { gt = 0, max = 5, multiple_of = 2 }:nullable(),
      c = s.list(s.enum { "p", "q" }, { unique = true, max = 3 }):default {}, d = s.map(s.bool()):optional(),
      e = s.tuple { s.int(), s.string() }:optional(), f = s.union { s.int(), s.const "all" }:nullable():optional(),
      g = s.tagged("k", { one = s.object("DocOne", { v = s.int() }), two = s.object { v = s.string() } }):optional(),
      h = s.ref("DocItem"):optional(), i = s.uuid():optional(),
    }, { extra = "forbid" })
    local doc = Item:json_schema()
    assert.same({ "integer", "null" }, doc["$defs"].DocItem.properties.b.type)
    local back = s.from_json_schema(json.encode(doc))
    local good = {
      a = "x", b = null, c = { "p" }, d = { t = true }, e = { 1, "x" }, f = "all", g = { k = "one", v = 1 },
      h = { a = "x", b = 2 }, i = "123e4567-e89b-12d3-a456-426614174000",
    }
    assert(Item:parse(good))
    assert(back:parse(good))
    for key, value in pairs { a = "y", b = 3, c = { "p", "p" }, d = { t = 1 }, e = { 1 }, f = "some",
      g = { k = "two", v = 1 }, h = {}, i = "x", j = 1 } do
      local bad = {}
      for k, v in pairs(good) do bad[k] = v end
      bad[key] = value
      assert.is_nil(Item:parse(bad), key)
      assert.is_nil(back:parse(bad), key)
    end
  end)

  it("refuse two schemas of one name, and tell where both are", function()
    local schema = s.list(s.tuple { s.object("Twice", { a = s.int() }), s.object("Twice", { b = s.int() }) })
    local message = raised(schema.json_schema, schema)
    local wanted = "two different schemas are called 'Twice': one made at spec/schema/schema_spec.lua:"
    assert.truthy(message:find(wanted, 1, true), message)
  end)

  it("refuse what is not supported by name, and where it is", function()
    for keyword, doc in pairs {
      ["$dynamicRef"] = { ["$dynamicRef"] = "#x" }, unevaluatedProperties = { unevaluatedProperties = false },
      frobnicate = { frobnicate = 1 },
    } do
      local message = raised(s.from_json_schema, { properties = { a = doc } })
      local wanted = ("keyword '%s' is not supported (at #/properties/a)"):format(keyword)
      assert.truthy(message:find(wanted, 1, true), message)
    end
    assert.truthy(raised(s.from_json_schema, { ["$ref"] = "http://example.com/x" }):find "is not supported: only those")
    assert.truthy(raised(s.from_json_schema, { ["$ref"] = "#/$defs/none" }):find "does not lead to a schema")
    assert.truthy(raised(s.from_json_schema, { type = "strin" }):find "did you mean 'string'")
    assert.truthy(raised(s.from_json_schema, { pattern = "(" }):find "pattern '%('")
  end)
end)

describe("patterns", function()
  it("are those of ECMA-262", function()
    local function matches(pattern, text) return s.string { pattern = pattern }:parse(text) ~= nil end
    assert.is_true(matches("^\\d{3}-\\d+$", "123-4"))
    assert.is_false(matches("^\\d+$", "১")) -- ASCII only
    assert.is_false(matches("^a$", "a\n"))
    assert.is_true(matches("^\\S+$", "äß"))
    assert.is_false(matches("^\\S+$", "a\u{a0}b"))
    assert.is_true(matches("^\\p{Letter}+$", "äß"))
    assert.is_true(matches("^[\\u00e4-\\u00f6]$", "ä"))
    assert.is_true(matches("^\\u{1F600}$", "😀"))
    assert.is_true(matches("^\\uD83D\\uDE00$", "😀"))
    assert.is_true(matches("^.$", "😀"))
    assert.is_true(matches("^(?<n>a)\\k<n>$", "aa"))
    assert.is_true(matches("(?<!b)a", "ca"))
    assert.is_false(matches("[]", "a"))
    assert.is_true(matches("^[^]$", "\n"))
    assert.is_true(matches("^\\v$", "\v"))
    for _, pattern in ipairs { "(?i)a", "a++", "(?>a)", "\\Aa", "\\Z", "(*UTF)", "[", "(", "\\Qa\\E", "(?#x)" } do
      assert.truthy(raised(s.string, { pattern = pattern }):find "no regular expression of ECMA%-262", pattern)
    end
  end)

  it("of Lua are matched as string.find does", function()
    local cases = {
      { "^%a+$", "abc", "ab1" }, { "%d%d", "a12", "a1b2" }, { "[^x-z]", "a", "xyz" }, { "a.-b", "aXb", "aX" },
      { "^x?y*$", "xyy", "xz" }, { "%bxy", "axby", "axb" }, { "%f[%w]t", "a t", "at" }, { "[]]", "]", "[" },
      { "%.", "a.b", "ab" }, { "^%$$", "$", "$$" },
    }
    for _, case in ipairs(cases) do
      assert.truthy(case[2]:find(case[1]), case[1])
      assert.is_nil(case[3]:find(case[1]), case[1])
      local schema = s.string { match = case[1] }
      assert.equal(case[2], (schema:parse(case[2])), case[1])
      assert.is_nil((schema:parse(case[3])), case[1])
    end
  end)
end)
