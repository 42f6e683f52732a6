-- Types of PostgreSQL: every one of the table as a literal, as a parameter and in arrays, against what psql
-- prints.
local ml = require "moonloop"
local postgres = require "spec.support.postgres"

local NULL = ml.json.null
local EXACT, TEXT = "exact", "text"

-- What a value looks like where psql prints it. Floats: the shortest text that reads back as the same.
local function shortest(v)
  if v ~= v then return "NaN" end
  if v == math.huge then return "Infinity" elseif v == -math.huge then return "-Infinity" end
  for digits = 1, 17 do
    local text = ("%." .. digits .. "g"):format(v)
    if tonumber(text) == v then return text end
  end
end

-- { type, how it is compared, literals ... }; a literal is what stands in '...'.
local types = {
  { "int2", EXACT, "0", "1", "-1", "32767", "-32768" },
  { "int4", EXACT, "0", "42", "-2147483648", "2147483647" },
  { "int8", EXACT, "0", "9007199254740993", "-9223372036854775808", "9223372036854775807" },
  { "oid", EXACT, "0", "4294967295" },
  { "float8", "float", "0", "-0", "1", "0.1", "1e300", "-1.5e-300", "5e-324", "1.7976931348623157e308", "NaN",
    "Infinity", "-Infinity", "123456789012345680" },
  { "bool", "bool", "t", "f" },
  { "text", TEXT, "", "a", "é€𝄞", "NULL", "{a,b}", 'q"u\\o', "new\nline", " ", "\t", ("x"):rep(70000) },
  { "varchar", TEXT, "", "abc" },
  { "bpchar(5)", TEXT, "abc" },
  { "name", TEXT, "n" },
  { "bytea", "bytes", "", "\\x00", "\\x00ff5c22", "\\xdeadbeef" },
  { "numeric", TEXT, "0", "-1.50", "123456789012345678901234567890.123456789", "NaN", "1e-20", "Infinity" },
  { "timestamptz", "time", "1970-01-01 00:00:00+00", "2024-02-29 12:34:56.789012+00", "1969-12-31 23:59:59.5+00",
    "2000-01-01 00:00:00+00", "infinity", "-infinity", "0001-01-01 00:00:00+00", "2200-12-31 23:59:59.999999+00" },
  { "timestamp", TEXT, "2024-02-29 12:34:56.789012", "infinity" },
  { "date", TEXT, "2024-02-29", "infinity", "0044-03-15 BC" },
  { "time", TEXT, "00:00:00", "23:59:59.999999", "24:00:00" },
  { "timetz", TEXT, "12:00:00+02" },
  { "interval", TEXT, "1 year 2 mons 3 days 04:05:06.7", "-00:00:01", "00:00:00" },
  { "uuid", TEXT, "00112233-4455-6677-8899-aabbccddeeff" },
  { "inet", TEXT, "127.0.0.1", "10.0.0.0/8", "::1" },
  { "cidr", TEXT, "10.0.0.0/8" },
  { "macaddr", TEXT, "08:00:2b:01:02:03" },
  { "json", "json", "1", '"s"', "null", '{"a": [1, 2.5, null, true]}', "[]", "{}" },
  { "jsonb", "json", "1", '"s"', "null", '{"a": [1, 2.5, null, true]}', "[]", "{}" },
  { "xml", TEXT, "<a>b</a>" },
  { "bit(3)", TEXT, "101" },
  { "varbit", TEXT, "10101" },
}

local function quoted(text) return "'" .. text:gsub("'", "''") .. "'" end

describe("a value of PostgreSQL", function()
  local missing = postgres.missing()
  if missing then return it("is checked on a real server", function() pending(missing) end) end

  local server, db

  setup(function()
    server = postgres.start {}
    db = ml.sql.open(server.url, { pool = 2 })
  end)

  teardown(function()
    db:close()
    server:close()
  end)

  -- Is the value what psql prints for it?
  local function check(how, value, printed, literal)
    if how == EXACT then
      assert.equal("integer", math.type(value))
      assert.equal(printed, tostring(value))
    elseif how == "float" then
      assert.equal("float", math.type(value))
      assert.equal(tostring(tonumber(printed) or printed), tostring(tonumber(shortest(value)) or shortest(value)))
      if literal == "-0" then assert.equal(-math.huge, 1 / value) end
    elseif how == "bool" then
      assert.equal(printed == "t", value)
    elseif how == "bytes" then
      assert.equal(printed, "\\x" .. value:gsub(".", function(c) return ("%02x"):format(c:byte()) end))
    elseif how == "time" then
      assert.equal("float", math.type(value))
      if printed:find "infinity" then
        assert.equal(printed == "infinity" and math.huge or -math.huge, value)
      else
        local epoch = server:psql(("select extract(epoch from timestamptz %s)"):format(quoted(literal)))
        assert.equal(tonumber(epoch), value)
      end
    elseif how == "json" then
      assert.same(ml.json.decode(printed), value)
    else
      assert.equal(printed, value)
    end
  end

  for _, entry in ipairs(types) do
    local type, how = entry[1], entry[2]
    it("of type " .. type .. " comes and goes as psql prints it", function()
      for i = 3, #entry do
        local literal = entry[i]
        local sql = ("select %s::%s"):format(quoted(literal), type)
        local printed = server:psql(sql)
        local value = db:value(sql)
        if how == "json" and literal == "null" then assert.equal(NULL, value) end
        check(how, value, printed, literal)
        -- as a parameter, and back
        local given = value
        if how == "json" then given = ml.sql.json(value) end
        local row = db:one(("select $1::%s as back, $1::%s::text as text"):format(type, type), given)
        local back, text = row.back, row.text
        if how == "json" then assert.same(value, back) else check(how, back, printed, literal) end
        if how ~= "json" and how ~= "bool" and how ~= "float" and type ~= "xml" then
          assert.equal(server:psql(sql .. "::text"), text)
        end
        -- in an array, with NULL
        local item = ("%s::%s"):format(quoted(literal), type)
        local array = db:value(("select array[%s, null, %s]"):format(item, item))
        assert.equal(3, #array)
        assert.equal(NULL, array[2])
        for _, k in ipairs { 1, 3 } do
          if how == "json" then assert.same(value, array[k]) else check(how, array[k], printed, literal) end
        end
        local list = { given, NULL, given }
        back = db:value(("select $1::%s[]"):format(type), list)
        assert.equal(3, #back)
        assert.equal(NULL, back[2])
        if how == "json" then assert.same(value, back[3]) else check(how, back[3], printed, literal) end
      end
      -- NULL
      local row = db:one(("select null::%s as a, $1::%s as b"):format(type, type), nil)
      assert.is_nil(row.a)
      assert.is_nil(row.b)
      assert.is_nil(db:value(("select $1::%s is null and null"):format(type), NULL))
    end)
  end

  it("that is a float4 is the number that it holds", function()
    assert.equal(0.5, db:value "select 0.5::float4")
    assert.equal(0.10000000149011612, db:value "select 0.1::float4")
    assert.equal("0.1", db:value("select $1::float4::text", 0.1))
    assert.same({ 0.5, NULL }, db:value "select array[0.5::float4, null]")
  end)

  it("that is an array keeps its dimensions", function()
    assert.same({ { 1, 2 }, { 3, NULL } }, db:value "select '{{1,2},{3,NULL}}'::int[]")
    assert.same({ { { "a" }, { 'b"c\\' } } }, db:value [[select '{{{a},{"b\"c\\"}}}'::text[] ]])
    assert.equal("{{1,2},{3,NULL}}", db:value("select $1::int[]::text", { { 1, 2 }, { 3, NULL } }))
    assert.same({ 5, 6 }, db:value "select '[0:1]={5,6}'::int[]")
    assert.equal("[]", ml.json.encode(db:value "select '{}'::text[]"))
    assert.equal("{}", db:value("select $1::text[]::text", {}))
    assert.equal('{"",NULL,"NULL"," a,b {}"}', db:value("select $1::text[]::text", { "", NULL, "NULL", " a,b {}" }))
    assert.equal(3, db:value("select count(*) from generate_series(1, 9) i where i = any($1)", { 2, 4, 6 }))
    assert.equal(2, db:value("select cardinality($1::int[])", ml.gather { function() return 1 end, function() end }))
  end)

  it("that is an enum, a composite or of a domain is text, or what the domain is of", function()
    db:script [[create type mood as enum ('sad', 'ok'); create type pair as (a int, b text);
      create domain positive as int check (value > 0)]]
    assert.equal("ok", db:value "select 'ok'::mood")
    assert.equal("sad", db:value("select $1::mood", "sad"))
    assert.equal("{sad,ok}", db:value "select array['sad', 'ok']::mood[]")
    assert.equal("{sad}", db:value("select $1::mood[]", { "sad" }))
    assert.equal('(1,"a b")', db:value "select row(1, 'a b')::pair")
    assert.equal(7, db:value "select 7::positive")
    assert.equal("check", select(2, db:value("select $1::positive", -1)).kind)
  end)

  it("that cannot be what the type wants is PostgreSQL's error", function()
    local function code(sql, ...) return select(2, db:value(sql, ...)).code end
    assert.equal("22003", code("select $1::int4", 1 << 40))
    assert.equal("22003", code("select $1::int2", 40000))
    assert.equal("22P02", code("select $1::int4", 1.5))
    assert.equal("22P02", code("select $1::int4", "x"))
    assert.equal("22021", code("select $1::text", "a\0b"))
    assert.equal("22021", code("select $1::text", "\xff"))
    assert.equal(3, db:value("select $1::int4", 3.0))
    assert.equal("3", db:value("select $1::text", 3))
    assert.equal("true", db:value("select $1::text", true))
    assert.equal("\0\1\2", db:value("select $1::bytea", ml.sql.bytes "\0\1\2"))
    assert.equal('{"a": 1}', db:value("select $1::jsonb::text", { a = 1 }))
    assert.equal("[1, 2]", db:value("select $1::jsonb::text", { 1, 2 }))
  end)

  it("is as the options of the database say", function()
    local other = ml.sql.open(server.url, { nulls = true, numeric = "number", time = "text" })
    local row = other:one [[select null::int as nothing, 1.50::numeric as n, 12345678901234567890::numeric as large,
      7::numeric as whole, 'NaN'::numeric as nan, array[1.5, null]::numeric[] as list,
      timestamptz '2024-02-29 12:34:56.5+00' as t, timestamptz '2024-02-29 00:00:00+02' as u,
      array[timestamptz '1960-01-01 00:00:00+00'] as ts, timestamptz 'infinity' as i]]
    assert.equal(NULL, row.nothing)
    assert.equal(1.5, row.n)
    assert.equal(12345678901234567890.0, row.large)
    assert.equal("integer", math.type(row.whole))
    assert(row.nan ~= row.nan)
    assert.same({ 1.5, NULL }, row.list)
    assert.equal("2024-02-29T12:34:56.5Z", row.t)
    assert.equal("2024-02-28T22:00:00Z", row.u)
    assert.same({ "1960-01-01T00:00:00Z" }, row.ts)
    assert.equal("infinity", row.i)
    assert.equal(NULL, other:value "select null")
    assert.equal(row.t, other:value("select $1::timestamptz", row.t))
    assert.equal(row.t, other:value("select $1::timestamptz", 1709210096.5))
    other:close()
  end)

  it("comes the same from connections without prepared statements", function()
    local other = ml.sql.open(server.url, { prepare = false })
    for _ = 1, 2 do
      assert.same({ a = 1, b = "x", c = true, d = 2.5, e = { 1, 2 } },
        other:one("select $1::int as a, $2::text as b, $3::bool as c, $4::float8 as d, $5::int[] as e",
          1, "x", true, 2.5, { 1, 2 }))
      assert.equal(1709210096.5, other:value("select $1::timestamptz", 1709210096.5))
    end
    other:close()
  end)
end)
