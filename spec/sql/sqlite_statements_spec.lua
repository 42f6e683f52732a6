-- SQLite's statements: parameters, values, counts, errors.
local ml = require "moonloop"
local processes = require "spec.support.process"
local sqlite = require "spec.support.sqlite"

local db, place

local function fails(kind, ...)
  local value, err = ...
  assert.is_nil(value)
  assert(ml.is_error(err), tostring(err))
  assert.equal(kind, err.kind, tostring(err))
  return err
end

describe("a statement of SQLite", function()
  before_each(function()
    db, place = sqlite.open()
    assert(db:exec [[create table t(id integer primary key, name text unique, active boolean,
      made timestamptz, about json, data blob, n integer not null default 0 check (n >= 0))]])
  end)

  after_each(function()
    db:close()
    place:close()
  end)

  it("gives rows that know their number and columns", function()
    assert.equal(2, db:exec "insert into t(id, name) values (1, 'a'), (2, 'b')")
    local rows = assert(db:query "select id, name from t order by id")
    assert.same({ { id = 1, name = "a" }, { id = 2, name = "b" } }, { table.unpack(rows) })
    assert.equal(2, rows.n)
    assert.same({ "id", "name" }, rows.columns)
    assert.equal('[{"x":1}]', ml.json.encode(db:query "select 1 as x"))
    assert.equal("[]", ml.json.encode(db:query "select 1 as x where false"))
    assert.same({ "x" }, db:query("select 1 as x where false").columns)
  end)

  it("reaches no address of memory, nor the schema behind SQLite's back", function()
    assert.is_nil((db:value "select fts3_tokenizer('simple')"))
    local _, err = db:exec("create virtual table f using fts3(tokenize = x)")
    assert.is_truthy(err)
    db:exec "pragma writable_schema = on"
    fails("syntax", db:exec "update sqlite_master set sql = 'broken'")
    fails("sql", db:value "select load_extension('x')")
  end)

  it("may be of a view or a trigger that uses FTS5 and JSON", function()
    assert(db:exec "create virtual table words using fts5(name)")
    assert(db:exec "create trigger found after insert on t begin insert into words values (new.name); end")
    assert(db:exec "create view hits as select highlight(words, 0, '<', '>') h from words where words match 'hello'")
    assert(db:exec [[create view parts as select json_extract('{"a":1}', '$.a') n, value from json_each('[2]')]])
    assert(db:exec "insert into t(name) values ('hello you')")
    assert.equal("<hello> you", db:value "select h from hits")
    assert.same({ n = 1, value = 2 }, db:one "select * from parts")
  end)

  it("gives one row, one value, or says that there are more", function()
    db:exec "insert into t(id, name) values (1, 'a'), (2, 'b')"
    assert.same({ name = "a" }, db:one("select name from t where id = $1", 1))
    assert.equal("b", db:value("select name from t where id = $1", 2))
    assert.same({ n = 2 }, table.pack(db:one("select name from t where id = $1", 3)))
    assert.same({ n = 2 }, table.pack(db:value("select name from t where id = $1", 3)))
    fails("too_many", db:one "select name from t")
    fails("too_many", db:value "select name from t")
  end)

  it("binds $n by its number, whatever the order of appearance", function()
    assert.same({ a = 2, b = 1, c = 2 }, db:one("select $2 as a, $1 as b, $2 as c", 1, 2))
    assert.equal("c", db:value("select $3 where $1 = 1", 1, "b", "c"))
  end)

  it("binds :name from a table", function()
    assert.equal(7, db:value("select :b - :a", { a = 3, b = 10 }))
    assert.is_nil(db:value("select :a", {}))
    assert.equal("it's :no name", db:value("select 'it''s :no name' -- :nor this\n where :a", { a = true }))
  end)

  it("takes a list in = any() and <> all()", function()
    db:exec "insert into t(id, name) values (1, 'a'), (2, 'b'), (3, 'c')"
    local function ids(sql, ...)
      local found = {}
      for _, row in ipairs(assert(db:query("select id from t where " .. sql .. " order by id", ...))) do
        found[#found + 1] = row.id
      end
      return found
    end
    assert.same({ 1, 3 }, ids("id = any($1)", { 3, 1, 9 }))
    assert.same({ 2 }, ids("name <> ALL (:names)", { names = { "a", "c" } }))
    assert.same({ 2 }, ids("name = any($1::text[]) and id = $2", { "a", "b" }, 2))
    assert.same({}, ids("id = any($1)", {}))
    assert.has_error(function() db:query("select $1", { 1 }) end)
    assert.has_error(function() db:query("select id = any($1)", 1) end)
  end)

  it("raises before anything is sent when the number of parameters is wrong", function()
    for _, call in ipairs {
      function() db:query("select $1", 1, 2) end,
      function() db:query "select $1" end,
      function() db:query("select :a", 1) end,
      function() db:query "select :a" end,
      function() db:exec("delete from t", 1) end,
      function() db:batch("insert into t(id) values ($1)", { { 1, 2 } }) end,
    } do
      local ok, err = pcall(call)
      assert.is_false(ok)
      assert(tostring(err):find("parameter", 1, true), tostring(err))
    end
    assert.equal(0, db:value "select count(*) from t")
  end)

  it("counts trailing nils as parameters", function()
    assert.equal(3, db:value("select $1 + (($2 is null) + ($3 is null))", 1, nil, nil))
  end)

  it("keeps integers exact to 64 bits, floats, texts with NULs and blobs", function()
    for _, value in ipairs { math.maxinteger, math.mininteger, 0, -1, 0.1, 1e300, -0.0, "", "a\0b", "ü" } do
      local back = db:value("select $1", value)
      assert.equal(value, back)
      assert.equal(math.type(value), math.type(back))
    end
    assert.equal("\0\xff", db:value "select x'00ff'")
    assert.equal(1 / 0, db:value("select $1", 1 / 0))
    assert.has_error(function() db:value("select $1", 0 / 0) end)
  end)

  it("takes bytes, JSON and null that say what they are", function()
    assert.equal("blob", db:value("select typeof($1)", ml.sql.bytes "a\0b"))
    assert.equal("a\0b", db:value("select $1", ml.sql.bytes "a\0b"))
    assert.equal('text {"a":[1]}', db:value("select typeof(:v) || ' ' || :v", { v = ml.sql.json { a = { 1 } } }))
    assert.equal("null", db:value("select typeof($1)", ml.sql.null))
    assert(db:exec("insert into t(id, about) values (1, $1)", ml.sql.json { { 1, 2 } }))
    assert.equal(2, db:value("select about from t")[1][2])
    assert.equal(1, db:batch("insert into t(id, data) values ($1, $2)", { { 2, ml.sql.bytes "x" } }))
    assert.has_error(function() db:query("select :v", ml.sql.json {}) end)
  end)

  it("converts what is declared as boolean, JSON and a point in time", function()
    assert(db:exec("insert into t(id, active, made, about) values (1, $1, $2, $3)", true, 1700000000.25,
      '{"a":[1,null]}'))
    assert(db:exec [[insert into t(id, active, made, about) values (2, 0, '2024-05-06T07:08:09.5+02:00', '7'),
      (3, null, '2024-05-06 07:08:09', '"text"')]])
    local rows = assert(db:query "select active, made, about from t order by id")
    assert.equal(true, rows[1].active)
    assert.equal(1700000000.25, rows[1].made)
    assert.equal(1, rows[1].about.a[1])
    assert.equal(ml.json.null, rows[1].about.a[2])
    assert.equal(false, rows[2].active)
    assert.equal(1714972089.5, rows[2].made)
    assert.equal(7, rows[2].about)
    assert.equal(1714979289.0, rows[3].made)
    assert.equal("float", math.type(rows[3].made))
    assert.equal("text", rows[3].about)
  end)

  it("leaves NULL columns out, or gives null where `nulls` is set", function()
    assert.same({ b = 1 }, db:one "select null as a, 1 as b")
    local with_nulls = sqlite.again(place, { nulls = true })
    assert.equal(ml.json.null, with_nulls:one("select null as a, 1 as b").a)
    with_nulls:close()
  end)

  it("gives points in time as text where `time` says so", function()
    local as_text = sqlite.again(place, { time = "text" })
    assert(as_text:exec [[insert into t(id, made) values (1, 1700000000.25), (2, '2024-05-06 07:08:09'), (3, 0),
      (4, 'noon'), (5, '2024-02-29T23:59:59.999999-01:30'), (6, -62167219201), (7, '0001-01-01')]])
    local made = {}
    for i, row in ipairs(as_text:query "select made from t order by id") do made[i] = row.made end
    assert.same({ "2023-11-14T22:13:20.25Z", "2024-05-06T07:08:09Z", "1970-01-01T00:00:00Z", "noon",
      "2024-03-01T01:29:59.999999Z", -62167219201.0, "0001-01-01T00:00:00Z" }, made)
    as_text:close()
  end)

  it("that takes longer than `slow` is reported with its text, and without its values", function()
    local output = processes.run(([[
      local db = require("moonloop.sql.sqlite").open { path = %q, slow = 1, timeout = 1.5 }
      db:value("select  1 where 'secret' = $1", "secret")
      db:query("with recursive c(x) as (select 1 union all\n select x + 1 from c) select count(*), $1 from c", "secret")
      db:close()
    ]]):format(place.database))
    local seconds, text = output:match "^moonloop: slow query %(([%d.]+) s%): ([^\n]*)\n$"
    assert(seconds, output)
    assert(tonumber(seconds) >= 1)
    assert.equal("with recursive c(x) as (select 1 union all select x + 1 from c) select count(*), $1 from c", text)
  end)

  it("is not slow because the loop was held up meanwhile", function()
    local reports <close> = require("spec.support").keep_reports()
    local own = sqlite.again(place, { slow = 1 })
    assert.equal(1, own:value "select 1")
    local asked = ml.spawn(function() return own:value "select 2" end)
    local rows = ml.spawn(function()
      local n
      for row in own:rows "select 3 as n" do n = row.n end
      return n
    end)
    ml.sleep(0) -- they have asked, and what they have asked for is handed over behind this pass
    local stop = ml.now() + 1.2
    repeat until ml.now() > stop
    assert.same({ 2, 3 }, { asked:await(), rows:await() })
    assert.not_matches("slow query", reports:text(), 1, true)
    own:close()
  end)

  it("counts the rows that it has changed, and gives 0 where there is no count", function()
    assert.equal(3, db:exec "insert into t(id) values (1), (2), (3)")
    assert.equal(2, db:exec "update t set n = 1 where id < 3")
    assert.equal(0, db:exec "update t set n = 1 where id > 3")
    assert.equal(0, db:exec "create table u(a)")
    assert.equal(0, db:exec "select 1")
    assert.equal(3, db:exec "delete from t")
  end)

  it("gives the rows of RETURNING, also of a statement that begins with WITH", function()
    assert.same({ id = 5 }, db:one "insert into t(id) values (5) returning id")
    assert.equal(2, db:query("with v(x) as (values (6), (7)) insert into t(id) select x from v returning id").n)
    assert.equal(3, db:value "select count(*) from t")
  end)

  it("says of which kind an error is, and what it is about", function()
    db:exec "insert into t(id, name) values (1, 'a')"
    local err = fails("unique", db:exec "insert into t(name) values ('a')")
    assert.equal("t", err.table)
    assert.equal("name", err.column)
    assert.equal("SQLITE_CONSTRAINT_UNIQUE", err.code)
    assert.equal("insert into t(name) values ('a')", err.sql)
    fails("unique", db:exec "insert into t(id) values (1)")
    err = fails("not_null", db:exec "insert into t(n) values (null)")
    assert.equal("n", err.column)
    fails("check", db:exec "insert into t(n) values (-1)")
    assert(db:exec "create table child(t integer references t(id))")
    fails("foreign_key", db:exec "insert into child values (99)")
    assert.equal(8, fails("syntax", db:query "select fron t").position or 8)
    fails("syntax", db:query "select * from nowhere")
  end)

  it("points at the place of a syntax error in the text as it was written", function()
    local err = fails("syntax", db:query("select 'ü', :long_name, :long_name fron t", { long_name = 1 }))
    assert.equal(("select 'ü', :long_name, :long_name fron t"):find("t", -1, true) - 1, err.position)
  end)

  it("cannot begin a transaction on a connection that others use", function()
    for _, sql in ipairs { "begin", "commit", "rollback", "savepoint s", "release s" } do
      local ok, err = pcall(db.exec, db, sql)
      assert.is_false(ok)
      assert(tostring(err):find("db:tx", 1, true), tostring(err))
    end
  end)

  it("sees a changed schema", function()
    db:exec "insert into t(id) values (1)"
    assert.is_nil(db:one("select * from t").added)
    assert(db:exec "alter table t add column added text default 'new'")
    assert.equal("new", db:one("select * from t").added)
    assert.same({ "id", "name", "active", "made", "about", "data", "n", "added" },
      db:query("select * from t").columns)
  end)
end)

describe("a batch of SQLite", function()
  before_each(function()
    db, place = sqlite.open()
    assert(db:exec "create table t(id integer primary key, name text)")
  end)

  after_each(function()
    db:close()
    place:close()
  end)

  it("runs a statement with each list, and gives the sum of what they changed", function()
    assert.equal(2, db:batch("insert into t values ($2, $1)", { { "a", 1 }, { "b", 2 } }))
    assert.equal(2, db:batch("update t set name = :name where id = :id", { { id = 1, name = "x" }, { id = 2 } }))
    assert.same({ { id = 1, name = "x" }, { id = 2 } }, { table.unpack(db:query "select * from t order by id") })
    assert.equal(0, db:batch("insert into t values ($1, $2)", {}))
  end)

  it("is all or nothing, and says which list was wrong", function()
    local err = fails("unique", db:batch("insert into t(id) values ($1)", { { 1 }, { 2 }, { 1 } }))
    assert(err.message:find("list 3", 1, true), err.message)
    assert.equal(0, db:value "select count(*) from t")
  end)
end)
