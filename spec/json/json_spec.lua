-- ml.json: what it writes, reads and refuses
local ml = require "moonloop"
local cjson = require "cjson"

local json = ml.json
local encode, decode, null = json.encode, json.decode, json.null

local function refuses(text, pattern, line, column)
  local value, err = decode(text)
  assert.is_nil(value, "accepted: " .. text)
  assert.is_true(ml.is_error(err))
  assert.equal("json", err.kind)
  assert.matches(pattern, err.message, 1, true)
  assert.matches(pattern, tostring(err), 1, true)
  if line then assert.same({line, column}, {err.line, err.column}) end
end

local function raises(value, message)
  local ok, err = pcall(encode, value)
  assert.is_false(ok)
  assert.matches(message, tostring(err), 1, true)
end

-- Equal values of equal subtypes; -0.0 and 0.0 differ.
local function identical(a, b)
  if type(a) ~= type(b) or math.type(a) ~= math.type(b) then return false end
  if math.type(a) == "float" then return string.pack("n", a) == string.pack("n", b) end
  if type(a) ~= "table" then return a == b end
  for k, v in pairs(a) do
    if not identical(v, b[k]) then return false end
  end
  for k in pairs(b) do
    if a[k] == nil then return false end
  end
  return true
end

local function same_after(value)
  local text = encode(value)
  local back = decode(text)
  assert.is_true(identical(value, back), text)
end

describe("json.encode", function()
  it("writes the simple values", function()
    assert.equal("null", encode(nil))
    assert.equal("null", encode(null))
    assert.equal("true", encode(true))
    assert.equal("false", encode(false))
    assert.equal('"text"', encode("text"))
    assert.equal("-12", encode(-12))
  end)

  it("writes a table with the keys 1 to n as an array", function()
    assert.equal('[1,"a",[true],{"k":2}]', encode {1, "a", {true}, {k = 2}})
  end)

  it("writes an array whose elements were not set in order", function()
    local t = {}
    for i = 20, 1, -1 do t[i] = {i} end
    assert.equal("[[1],[2],[3],", encode(t):sub(1, 13))
    assert.equal(20, #decode(encode(t)))
    t = {1, 2}
    t[4] = 4
    t[3] = 3
    assert.equal("[1,2,3,4]", encode(t))
  end)

  it("writes lists of integers with anything among them", function()
    for n = 1, 20 do
      for place = 1, n do
        for _, other in ipairs { -7, 1 << 62, 0.5, "text", true, json.null, { 1, 2, 3 } } do
          local list, texts = {}, {}
          for i = 1, n do
            list[i] = i == place and other or i * 1000
            texts[i] = encode(list[i])
          end
          assert.equal("[" .. table.concat(texts, ",") .. "]", encode(list))
          assert.equal("[\n  " .. table.concat(texts, ",\n  ") .. "\n]",
            (encode(list, { pretty = true }):gsub("%[\n    1,\n    2,\n    3\n  %]", "[1,2,3]")))
        end
        local holes = {}
        for i = 1, n do holes[i] = i end
        holes[place] = nil
        if place < n then raises(holes, "cannot encode a sparse array") end
        holes[place], holes.name = place, true
        raises(holes, "cannot encode a table with both array elements and other keys")
      end
    end
  end)

  it("writes a bare {} as an object", function()
    assert.equal("{}", encode {})
    assert.equal('{"a":{}}', encode {a = {}})
  end)

  it("writes integers on both sides of one more digit", function()
    for digits = 1, 18 do
      local power = "1" .. ("0"):rep(digits)
      assert.equal(power, encode(math.tointeger(power)))
      assert.equal(("9"):rep(digits), encode(math.tointeger(power) - 1))
      assert.equal("-" .. power, encode(-math.tointeger(power)))
    end
  end)

  it("writes integers across all 64 bits", function()
    assert.equal("9223372036854775807", encode(math.maxinteger))
    assert.equal("-9223372036854775808", encode(math.mininteger))
    local text = "1"
    for _ = 1, 18 do
      assert.equal(text, encode(math.tointeger(text)))
      assert.equal("-" .. text, encode(math.tointeger("-" .. text)))
      text = text .. text:byte(-1) % 10
    end
  end)

  it("writes floats as the shortest text that reads back, and as floats", function()
    local cases = {
      {1.0, "1.0"}, {0.1, "0.1"}, {-0.5, "-0.5"}, {1e100, "1e100"}, {5e-324, "5e-324"}, {1e23, "1e23"},
      {1 / 3, "0.3333333333333333"}, {2 ^ 53, "9007199254740992.0"}, {1e-7, "1e-7"}, {0.00001, "0.00001"},
      {1.7976931348623157e308, "1.7976931348623157e308"}, {2.2250738585072014e-308, "2.2250738585072014e-308"},
      {123456.789, "123456.789"}, {1e16, "10000000000000000.0"}, {1e17, "1e17"}, {4.35, "4.35"},
      {9007199254740993.5, "9007199254740994.0"}, {0.30000000000000004, "0.30000000000000004"},
      {2 ^ 63, "9.223372036854776e18"}, {5e-5, "0.00005"}, {12345678.9e-20, "1.23456789e-13"},
    }
    for _, case in ipairs(cases) do assert.equal(case[2], encode(case[1])) end
    assert.equal("0.0", encode(0.0))
    assert.equal("-0.0", encode(-0.0))
  end)

  it("escapes quotes, backslashes and control characters, and nothing else", function()
    assert.equal([["\"\\\b\f\n\r\t\u0000\u001f/]] .. "\127é€😀\"", encode("\"\\\b\f\n\r\t\0\31/\127é€😀"))
    for size = 0, 40 do -- at every offset of the eight-byte steps
      local plain = ("x"):rep(size)
      assert.equal('"' .. plain .. '\\n' .. plain .. '"', encode(plain .. "\n" .. plain))
      assert.equal('"' .. plain .. 'é' .. plain .. '"', encode(plain .. "é" .. plain))
    end
  end)

  it("does not call metamethods", function()
    local boom = function() error("called") end
    local t = setmetatable({a = 1}, {__index = boom, __pairs = boom, __len = boom})
    assert.equal('{"a":1}', encode(t))
  end)

  it("writes a table that occurs in two places twice", function()
    local shared = {1}
    assert.equal("[[1],[1]]", encode {shared, shared})
  end)

  it("names what cannot be encoded, and its path", function()
    raises({items = {1, 2, {name = print}}}, "cannot encode a function (at items[3].name)")
    raises({a = {0 / 0}}, "cannot encode NaN (at a[1])")
    raises({["two words"] = {x = -math.huge}}, 'cannot encode infinity (at ["two words"].x)')
    raises(coroutine.create(print), "cannot encode a coroutine")
    raises({f = io.stdout}, "cannot encode a userdata (at f)")
    raises({a = "\xff"}, "cannot encode a string that is not valid UTF-8 (at a)")
    raises({a = {["\xff"] = 1}}, 'cannot encode a key that is not valid UTF-8 (at a["?"])')
    raises({a = {1, nil, 3}}, "cannot encode a sparse array, with nil among its elements (at a)")
    raises({a = {[2] = 1}}, "cannot encode a sparse array")
    raises({a = {1, 2, b = 3}}, "cannot encode a table with both array elements and other keys (at a)")
    raises({[true] = 1}, "cannot encode a table with keys that are not strings")
    raises({[1.5] = 1}, "cannot encode a table with keys that are not strings")
    raises({[0] = 1}, "cannot encode a table with keys that are not strings")
    raises({a = 1, [1] = 2}, "cannot encode a table with")
  end)

  it("refuses cycles", function()
    local t = {}
    t.x = {y = {t}}
    raises(t, "cannot encode a table that contains itself (at x.y[1])")
  end)

  it("refuses strings that are not UTF-8", function()
    for _, s in ipairs {"\x80", "\xc3", "\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80", "\xf0\x80\x80\x80",
                        "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "12345678\xe2\x82", "é\xbf"} do
      raises(s, "not valid UTF-8")
    end
  end)

  it("nests to 512 levels and no deeper", function()
    local t = 1
    for _ = 1, 512 do t = {t} end
    assert.equal(("["):rep(512) .. "1" .. ("]"):rep(512), encode(t))
    raises({t}, "nested deeper than 512")
    raises({a = t}, "nested deeper than 512")
  end)

  it("is usable again after an error", function()
    raises({1, 2, {print}}, "function")
    assert.equal("[1]", encode {1})
  end)

  it("encodes a large value", function()
    local t = {}
    for i = 1, 100000 do t[i] = "element " .. i end
    same_after(t)
  end)

  it("raises without an argument and for options that are not a table", function()
    assert.has_error(function() encode() end)
    assert.has_error(function() encode({}, 1) end)
  end)

  describe("with pretty", function()
    it("sorts keys and indents", function()
      local text = encode({b = {1, {}}, a = {y = json.array(), x = "1"}, aa = 2, B = null}, {pretty = true})
      assert.equal([[
{
  "B": null,
  "a": {
    "x": "1",
    "y": []
  },
  "aa": 2,
  "b": [
    1,
    {}
  ]
}]], text)
    end)

    it("reads back as the same value", function()
      local t = {}
      for i = 1, 500 do t["key" .. i] = {i, {sub = i / 3}} end
      assert.is_true(identical(t, decode(encode(t, {pretty = true}))))
    end)

    it("still refuses what cannot be encoded", function()
      assert.has_error(function() encode({a = {b = print}}, {pretty = true}) end,
        "cannot encode a function (at a.b)")
      assert.has_error(function() encode({a = 1, [1] = 2}, {pretty = true}) end)
    end)
  end)
end)

describe("json.decode", function()
  it("reads the simple values", function()
    assert.equal(null, decode "null")
    assert.equal(true, decode " true ")
    assert.equal(false, decode "\t\r\nfalse")
    assert.equal("", decode '""')
    assert.same({a = {1, {b = "c"}}}, decode '{ "a" : [ 1 , { "b" : "c" } ] }')
  end)

  it("keeps integers integers and floats floats", function()
    for text, value in pairs {
      ["1"] = 1, ["-0"] = 0, ["0"] = 0, ["1.0"] = 1.0, ["1e2"] = 100.0, ["1E+2"] = 100.0, ["25e-1"] = 2.5,
      ["-0.0"] = -0.0, ["0e9"] = 0.0, ["9223372036854775807"] = math.maxinteger,
      ["-9223372036854775808"] = math.mininteger, ["9223372036854775808"] = 2.0 ^ 63,
      ["-9223372036854775809"] = -2.0 ^ 63, ["123456789012345678901234567890"] = 1.2345678901234568e29,
    } do
      assert.is_true(identical(value, decode(text)), text)
    end
  end)

  it("reads integers of any length, sign and place in a list", function()
    local numbers, n = {}, 0
    for digits = 1, 18 do
      for _, first in ipairs { "1", "5", "9" } do
        numbers[#numbers + 1] = first .. ("7"):rep(digits - 2) .. (digits > 1 and "0" or "")
        numbers[#numbers + 1] = "-" .. numbers[#numbers]
      end
    end
    numbers[#numbers + 1] = "0"
    for _, comma in ipairs { ",", ", ", " ,\n ", ",\t\t" } do
      for shift = 1, #numbers do -- each stands in each place
        table.insert(numbers, table.remove(numbers, 1))
        local list = json.decode("[" .. table.concat(numbers, comma) .. "]")
        assert.equal(#numbers, #list)
        for i, text in ipairs(numbers) do
          if list[i] ~= math.tointeger(tonumber(text)) or math.type(list[i]) ~= "integer" then
            error(("%s was read as %s, shifted by %d"):format(text, list[i], shift))
          end
          n = n + 1
        end
      end
    end
    assert.equal(4 * #numbers * #numbers, n)
  end)

  it("refuses a list with a malformed number at any place", function()
    for _, wrong in ipairs { "01", "-", "--1", "-01", "1a", "+1", "1.", "1-2", "", " ", "0x1" } do
      for place = 1, 20 do
        local list = {}
        for i = 1, 20 do list[i] = i == place and wrong or tostring(i * 37) end
        local value, err = json.decode("[" .. table.concat(list, ",") .. "]")
        assert.is_nil(value)
        assert.equal("json", err.kind)
      end
    end
  end)

  it("reads doubles to the last bit", function()
    for _, text in ipairs {
      "0.1", "1e23", "9007199254740993.0", "2.2250738585072011e-308", "4.9e-324", "2.4703282292062328e-324",
      "1.7976931348623158e308", "179769313486231580793e288", "0.000000000000000000000000000000000000000000000001",
      "123456789.123456789123456789", "1.00000000000000011102230246251565404236316680908203125",
      "1.00000000000000011102230246251565404236316680908203126", "6.02214076e23", "8.5e-17", "5e-324",
      "0." .. ("0"):rep(400) .. "1e401", "1" .. ("0"):rep(400) .. ".5e-400",
      "2.225073858507201136057409796709131975934819546351645648023426109724822222021076945516529523908135087914149" ..
      "1589130396211068700864386945946455276572074078206217433799881410632673292535522868813721490129811224514518" ..
      "898490572223072852551331557550159143974763979834118019993239625482890171070818506906306666559949382757725720" ..
      "15763062690663332647565300009245888316433037779791869612049497390377829704905051080609940730262937128958950" ..
      "0036e-308",
    } do
      assert.is_true(identical(tonumber(text), decode(text)), text)
    end
  end)

  it("refuses numbers beyond the range of a double", function()
    refuses("[1e309]", "beyond the range", 1, 2)
    refuses("-1e999999999999999999999", "beyond the range")
    assert.is_true(identical(0.0, decode "1e-999999999999999999999"))
  end)

  it("reads every escape", function()
    assert.equal("\"\\/\b\f\n\r\t", decode [["\"\\\/\b\f\n\r\t"]])
    assert.equal("A\0é€😀\u{10FFFF}", decode [["\u0041\u0000\u00e9\u20AC\ud83d\uDE00\udbff\udfff"]])
    local long = ("x"):rep(2000)
    assert.equal(long .. "\n" .. long .. "\u{e9}", decode('"' .. long .. "\\n" .. long .. '\\u00e9"'))
  end)

  it("refuses lone surrogates", function()
    for _, s in ipairs {[[\ud800]], [[\udc00]], [[\ud800\ud800]], [[\ud800x]], [[\ud800\n]], [[\udc00\ud800]]} do
      refuses('"' .. s .. '"', "surrogate pair", 1, 2)
    end
  end)

  it("refuses invalid UTF-8", function()
    for _, s in ipairs {"\x80", "\xc3", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xff"} do
      refuses('["' .. s .. '"]', "not valid UTF-8", 1, 3)
      refuses('["\\n' .. s .. '"]', "not valid UTF-8", 1, 5)
    end
    refuses("\xff", "byte 0xFF is not valid UTF-8", 1, 1)
  end)

  it("refuses control characters in strings", function()
    refuses('"a\nb"', "control character 0x0A in a string must be written as an escape", 1, 3)
    refuses('"\0"', "control character 0x00", 1, 2)
  end)

  it("keeps the last of equal keys", function()
    assert.same({a = 3, b = 2}, decode '{"a":1,"b":2,"a":3}')
    local parts = {}
    for i = 1, 1000 do parts[i] = ('"k%d":%d'):format(i % 300, i) end
    local t = decode("{" .. table.concat(parts, ",") .. "}")
    for i = 701, 1000 do assert.equal(i, t["k" .. i % 300]) end
  end)

  it("says what is wrong, and where: columns count characters", function()
    refuses("", "line 1, column 1: the text ends where a value should be", 1, 1)
    refuses("  ", "the text ends where a value should be", 1, 3)
    refuses("[1,]", "unexpected ']', a value should be here", 1, 4)
    refuses("[1 2]", "unexpected '2', ',' or ']' should be here", 1, 4)
    refuses("[1", "the text ends where ',' or ']' should be", 1, 3)
    refuses('{"a":1,}', "unexpected '}', a key in quotes should be here", 1, 8)
    refuses('{"a" 1}', "unexpected '1', ':' should be here", 1, 6)
    refuses("{1:1}", "unexpected '1', a key in quotes or '}' should be here", 1, 2)
    refuses('{"a":1]', "unexpected ']', ',' or '}' should be here", 1, 7)
    refuses("[\n  {\"a\":\n    tru}]", "unexpected 't', a value should be here", 3, 5)
    refuses('["é€😀", x]', "unexpected 'x'", 1, 9)
    refuses("[é]", "unexpected 'é', a value should be here", 1, 2)
    refuses('"abc', "the text ends inside a string", 1, 5)
    refuses('"abc\\', "the text ends where one of", 1, 6)
    refuses([["\x"]], "after a backslash", 1, 3)
    refuses([["\u12g4"]], "unexpected 'g', a hexadecimal digit should be here", 1, 6)
    refuses("01", "a number must not start with a superfluous 0", 1, 1)
    refuses("-", "the text ends where a digit should be", 1, 2)
    refuses("1.", "a digit should be", 1, 3)
    refuses("1e+", "a digit should be", 1, 4)
    refuses("\xEF\xBB\xBF1", "byte order mark", 1, 1)
    refuses("1 2", "unexpected '2', the end of the text should be here", 1, 3)
    refuses("1\0", "unexpected control character 0x00", 1, 2)
    for _, text in ipairs {"NaN", "Infinity", "-Infinity", "+1", ".5", "0x10", "'a'", "nul", "TRUE", "//", "[1,,2]"} do
      refuses(text, "unexpected")
    end
  end)

  it("refuses every beginning of a document", function()
    local text = '{"a":[1,-2.5e+3,true,false,null,"x\\u00e9\\ud83d\\ude00é"],"b":{}}'
    assert.is_table(decode(text))
    for i = 0, #text - 1 do refuses(text:sub(1, i), "") end
  end)

  it("nests to 512 levels and no deeper", function()
    assert.is_table(decode(("["):rep(512) .. ("]"):rep(512)))
    refuses(("["):rep(513) .. ("]"):rep(513), "nested deeper than 512 levels", 1, 513)
    refuses(('{"a":'):rep(513) .. "1" .. ("}"):rep(513), "nested deeper than 512 levels")
    refuses(("["):rep(1000000), "nested deeper than 512 levels")
    assert.is_table(decode("[" .. ("[[]],"):rep(1000) .. "1]")) -- the depth goes down again
  end)

  it("reads arrays and objects of any size", function()
    for _, n in ipairs {0, 1, 2, 127, 128, 129, 255, 256, 257, 1000} do
      local array, object = json.array(), {}
      for i = 1, n do array[i], object["key" .. i] = {i}, {i} end
      same_after(array)
      same_after(object)
    end
  end)

  it("reads lists of any length, whatever their elements", function()
    for n = 0, 40 do
      for _, length in ipairs {n, 256 - 20 + n, 512 - 20 + n} do
        local numbers, mixed = json.array(), json.array()
        for i = 1, length do numbers[i], mixed[i] = i * 37, i % 7 == 0 and "text" or i end
        same_after(numbers)
        same_after(mixed)
        assert.equal(length, #decode(encode(numbers)))
      end
    end
  end)

  it("reads a list when the stack has hardly any room", function()
    local function with_arguments(n, f)
      local function call(...) -- luacheck: ignore (they are on the stack)
        local result = f()
        return result
      end
      return pcall(function() return (call(table.unpack({}, 1, n))) end)
    end
    local fits, too_many = 0, 1000000
    while too_many - fits > 1 do
      local middle = (fits + too_many) // 2
      if with_arguments(middle, function() end) then fits = middle else too_many = middle end
    end
    local text = "[" .. ("true,"):rep(99) .. "true]"
    local ok, list = with_arguments(fits - 170, function() return decode(text) end)
    assert.is_true(ok)
    assert.equal(100, #list)
  end)

  it("works on a stack that is nearly full, and in a coroutine", function()
    local text = ("["):rep(500) .. ("]"):rep(500)
    assert.equal(text, coroutine.wrap(function() return encode(decode(text)) end)())
  end)

  it("raises for a value that is not a string", function()
    for _, v in ipairs {1, {}, true} do assert.has_error(function() decode(v) end) end
    assert.has_error(function() decode() end)
  end)

  it("reads and writes the same in a locale with a decimal comma", function()
    local old = os.setlocale(nil, "numeric")
    local found
    for _, name in ipairs {"de_DE.UTF-8", "de_DE", "fr_FR.UTF-8", "fr_FR", "pt_BR.UTF-8", "ru_RU.UTF-8"} do
      found = found or os.setlocale(name, "numeric")
    end
    if not found then return pending "no locale with a decimal comma is installed" end
    local text = encode {math.pi, 1e-300}
    local short, long = decode "1.5", decode "1234567890.1234567890123456789"
    os.setlocale(old, "numeric")
    assert.equal("[3.141592653589793,1e-300]", text)
    assert.same({1.5, 1234567890.1234567}, {short, long})
  end)
end)

describe("json marks", function()
  it("write an empty table as an array or an object", function()
    assert.equal("[]", encode(json.array {}))
    assert.equal("[]", encode(json.array()))
    assert.equal("{}", encode(json.object {}))
  end)

  it("return the table they were given", function()
    local t = {1}
    assert.equal(t, json.array(t))
    assert.equal(t, json.object(t)) -- and one takes the other's place
    raises(t, "keys that are not strings")
  end)

  it("keep decoded [] and {} distinct", function()
    local text = '[[],{},{"a":[[]]}]'
    assert.equal(text, encode(decode(text)))
  end)

  it("keep a decoded array that was emptied an array", function()
    local t = decode "[1,2]"
    t[1], t[2] = nil, nil
    assert.equal("[]", encode(t))
    t = decode '{"a":1}'
    t.a = nil
    assert.equal("{}", encode(t))
  end)

  it("are checked when the table is encoded", function()
    local t = json.array()
    t.x = 1
    raises(t, "keys that are not strings")
  end)

  it("refuse a table with its own metatable, and a value that is not a table", function()
    assert.has_error(function() json.array(setmetatable({}, {})) end)
    assert.has_error(function() json.array(1) end)
  end)

  it("null is one value that reads as null", function()
    assert.equal("null", tostring(null))
    assert.equal(null, decode "[null]"[1])
    assert.equal('{"a":null}', encode {a = null})
  end)
end)

describe("json against cjson", function()
  local seed = math.tointeger(os.getenv "MOONLOOP_SEED") or os.time()
  print("json_spec.lua: MOONLOOP_SEED=" .. seed)

  local alphabet = {"a", "Z", " ", "/", '"', "\\", "\n", "\0", "\127", "é", "€", "😀", "0", "long plain text "}

  local function random_string()
    local parts = {}
    for i = 1, math.random(0, 12) do parts[i] = alphabet[math.random(#alphabet)] end
    return table.concat(parts)
  end

  -- Numbers within what cjson's 14 digits hold.
  local function random_value(depth)
    local kind = math.random(depth > 0 and 8 or 5)
    if kind == 1 then return math.random(-99999999999999, 99999999999999) end
    if kind == 2 then return math.random(-1000000, 1000000) / 2 ^ math.random(0, 6) end
    if kind == 3 then return math.random() < 0.5 end
    if kind == 4 then return cjson.null end
    if kind == 5 then return random_string() end
    local t = {}
    if kind == 6 then
      for _ = 1, math.random(0, 6) do t[random_string()] = random_value(depth - 1) end
    else
      for i = 1, math.random(1, 6) do t[i] = random_value(depth - 1) end
    end
    return t
  end

  local function equal(ours, theirs)
    if ours == null then return theirs == cjson.null end
    if type(ours) ~= "table" or type(theirs) ~= "table" then return ours == theirs end
    for k, v in pairs(ours) do
      if theirs[k] == nil or not equal(v, theirs[k]) then return false end
    end
    for k in pairs(theirs) do
      if ours[k] == nil then return false end
    end
    return true
  end

  it("decodes what cjson encoded to the same value", function()
    math.randomseed(seed)
    for _ = 1, 2000 do
      local value = random_value(5)
      local text = cjson.encode(value)
      local ours = assert(decode("[" .. text .. "]"))[1]
      assert.is_true(equal(ours, value), text)
    end
  end)

  it("encodes what cjson decodes to the same value", function()
    math.randomseed(seed + 1)
    for _ = 1, 2000 do
      local text = cjson.encode {random_value(5)}
      local ours = assert(decode(text))
      for _, options in ipairs {{}, {pretty = true}} do
        assert.is_true(equal(ours, cjson.decode(encode(ours, options))), text)
      end
    end
  end)

  it("decodes with space and escapes anywhere as cjson does", function()
    math.randomseed(seed + 2)
    local space = {"", "", " ", "\n", "\t", "\r\n  "}
    for _ = 1, 500 do
      local text = cjson.encode {random_value(4)}
      local in_string, escaped, parts = false, false, {}
      for c in text:gmatch "." do
        if not in_string and c:find "[%[%]{},:]" then
          c = space[math.random(#space)] .. c .. space[math.random(#space)]
        elseif in_string and not escaped and c:find "[aZ ]" and math.random() < 0.3 then
          c = ("\\u%04X"):format(c:byte())
        end
        parts[#parts + 1] = c
        if escaped then
          escaped = false
        elseif in_string and c == "\\" then
          escaped = true
        elseif c == '"' then
          in_string = not in_string
        end
      end
      text = table.concat(parts)
      assert.is_true(equal(assert(decode(text)), cjson.decode(text)), text)
    end
  end)

  it("reads back any integer and any double it wrote", function()
    math.randomseed(seed + 3)
    for _ = 1, 15000 do
      local bits = math.random(0)
      same_after(bits >> math.random(0, 63))
      local double = string.unpack("n", string.pack("j", bits))
      if double == double and math.abs(double) ~= math.huge then
        local text = encode(double)
        assert.is_true(identical(double, decode(text)), text)
        assert.equal(double, tonumber(text))
        assert.is_true(#text <= #("%.17g"):format(double) + 2, text)
      end
    end
  end)
end)
