-- Statements on PostgreSQL by its driver alone: results, parameters, errors, batches, rows.
local ml = require "moonloop"
local pg = require "moonloop.sql.pg"
local eventually = require("spec.support.tasks").eventually
local postgres = require "spec.support.postgres"

describe("a statement on PostgreSQL", function()
  local missing = postgres.missing()
  if missing then return it("is checked on a real server", function() pending(missing) end) end

  local server, db

  setup(function()
    server = postgres.start {}
    db = pg.open({ url = server.url, pool = 4 }, {})
  end)

  teardown(function()
    db:close()
    server:close()
  end)

  it("gives rows with names, their number and their columns, which are a JSON list", function()
    local rows = db:query("select i as id, 'n' || i as name from generate_series(1, 3) i")
    assert.same({ { id = 1, name = "n1" }, { id = 2, name = "n2" }, { id = 3, name = "n3" } }, { table.unpack(rows) })
    assert.equal(3, rows.n)
    assert.same({ "id", "name" }, rows.columns)
    local keys = 0
    for _ in pairs(rows) do keys = keys + 1 end
    assert.equal(3, keys)
    local none = db:query "select 1 as a where false"
    assert.equal(0, none.n)
    assert.equal("[]", ml.json.encode(none))
    assert.same({ "a" }, none.columns)
    assert.equal('[{"a":1}]', ml.json.encode(db:query "select 1 as a"))
  end)

  it("gives one row, none, or an error where there are several", function()
    assert.same({ a = 1 }, db:one "select 1 as a")
    local row, err = db:one "select 1 where false"
    assert.is_nil(row)
    assert.is_nil(err)
    row, err = db:one "select generate_series(1, 2)"
    assert.is_nil(row)
    assert.equal("too_many", err.kind)
    assert.equal("select generate_series(1, 2)", err.sql)
    assert.equal(7, db:value "select 7, 8")
    assert.equal(0, select("#", table.unpack { db:value "select null" }))
  end)

  it("takes parameters by number and by name", function()
    assert.equal(42, db:value("select $2::int - $1::int", 8, 50))
    assert.equal("x", db:value("select $1::text", "x"))
    assert.is_nil((db:value("select $1::text", nil)))
    assert.same({ a = 3, b = "t", c = 3 },
      db:one("select :n::int as a, :t::text as b, :n::int as c", { n = 3, t = "t" }))
    assert.same({ a = 5 }, db:one("select $1[1] as a from (select $1::int[]) x", { 5, 6 }))
  end)

  it("refuses a wrong number of parameters, or an unknown name, before anything is sent", function()
    local function fails(text, ...)
      local ok, err = pcall(db.query, db, ...)
      assert.is_false(ok)
      assert(tostring(err):find(text, 1, true), tostring(err))
    end
    fails("the statement has 2 parameters, got 1", "select $1::int + $2::int", 1)
    fails("the statement has 0 parameters, got 1; a parameter is written $1 or :name", "select 1", 1)
    fails("no parameter :idd", "select :id::int", { idd = 1 })
    fails("a table { name = value } expected", "select :id::int", 1)
    fails("parameter $1: a function cannot be sent", "select $1::int", print)
    fails("several statements", "select 1; select 2")
    fails("use db:tx", "begin")
  end)

  it("says how many rows it has changed", function()
    assert.equal(0, db:exec "create table changed(id int primary key, v text)")
    assert.equal(3, db:exec "insert into changed select i, 'x' from generate_series(1, 3) i")
    assert.equal(2, db:exec("update changed set v = $1 where id > $2", "y", 1))
    assert.equal(0, db:exec "select * from changed")
    assert.equal(3, db:exec "delete from changed")
  end)

  it("gives errors with what PostgreSQL says of them", function()
    db:exec "create table parent(id int primary key)"
    db:exec "create table child(id int primary key, p int references parent, n int not null, c int check (c > 0))"
    db:exec "insert into child(id, n) values (1, 1)"
    local function fails(kind, code, sql, ...)
      local result, err = db:exec(sql, ...)
      assert.is_nil(result)
      assert.equal(kind, err.kind)
      assert.equal(code, err.code)
      assert.equal(sql, err.sql)
      return err
    end
    local err = fails("unique", "23505", "insert into child(id, n) values ($1, 1)", 1)
    assert.equal("child_pkey", err.constraint)
    assert.equal("child", err.table)
    assert.equal("Key (id)=(1) already exists.", err.detail)
    fails("foreign_key", "23503", "insert into child(id, p, n) values (2, 5, 1)")
    assert.equal("n", fails("not_null", "23502", "insert into child(id) values (2)").column)
    assert.equal("child_c_check", fails("check", "23514", "insert into child(id, n, c) values (2, 1, 0)").constraint)
    assert.equal(8, fails("syntax", "42703", "select nosuch").position)
    fails("syntax", "42601", "selec 1")
    fails("sql", "22012", "select 1 / $1::int", 0)
    local _, named = db:value("select :first_name::text, 'é', :n::int, nosuch", { first_name = "x", n = 1 })
    assert.equal(41, named.position) -- in the statement as it was written
  end)

  it("gives errors whose message has no value of a parameter, which the log does not get", function()
    local log <close> = require("spec.support").keep_log()
    db:exec "create table people(email text unique, born date)"
    db:exec("insert into people values ($1, null)", "hunter2@x")
    local function fails(message, detail, ...)
      local _, err = db:exec(...)
      assert.equal(message, err.message)
      assert.equal(detail, err.detail)
      assert.equal(message:find("(hidden)", 1, true) and true, err.hidden)
      ml.log.error("as a message", err)
      ml.log.error("as a field", { err = err })
      ml.log.error(err)
    end
    fails('duplicate key value violates unique constraint "people_email_key"',
      "Key (email)=(hunter2@x) already exists.", "insert into people values ($1, null)", "hunter2@x")
    fails("invalid input syntax for type integer: (hidden)", 'invalid input syntax for type integer: "hunter2"',
      "select $1::text::int", "hunter2")
    fails("invalid input syntax for type integer: (hidden)", 'invalid input syntax for type integer: "a" hunter2 "b"',
      "select $1::text::int", 'a" hunter2 "b')
    fails("value (hidden) is out of range for type integer", 'value "99999999999" is out of range for type integer',
      "select $1::text::int", "99999999999")
    fails("malformed array literal: (hidden)",
      'malformed array literal: "hunter2": Array value must start with "{" or dimension information.',
      "select $1::text::int[]", "hunter2")
    eventually(function() return #log.entries == 15 end)
    local text = ml.json.encode(log.entries)
    assert.matches("people_email_key", text, 1, true)
    assert.not_matches("hunter2", text)
    assert.not_matches("99999999999", text)
  end)

  it("takes many lists of parameters as one, all or nothing", function()
    db:exec "create table batches(id int primary key, v text)"
    local sql = "insert into batches values ($1, $2)"
    assert.equal(3, db:batch(sql, { { 1, "a" }, { 2 }, { 3, "c" } }))
    local n, err = db:batch(sql, { { 4, "d" }, { 3, "e" }, { 5, "f" } })
    assert.is_nil(n)
    assert.equal("unique", err.kind)
    assert(err.message:find("list 2 of the batch", 1, true), err.message)
    assert.equal(3, db:value "select count(*) from batches")
    assert.equal(0, db:batch(sql, {}))
    assert.equal(2, db:batch("insert into batches values (:id, :v)", { { id = 7, v = "x" }, { id = 8 } }))
    local many = {}
    for i = 1, 5000 do many[i] = { 1000 + i, ("x"):rep(100) } end
    assert.equal(5000, db:batch(sql, many))
  end)

  it("gives rows as they are read, as many as are wanted", function()
    local n, sum = 0, 0
    for row in db:rows("select i from generate_series(1, $1::int) i", 20000) do
      n, sum = n + 1, sum + row.i
    end
    assert.equal(20000, n)
    assert.equal(20000 * 20001 // 2, sum)
    for row in db:rows "select generate_series(1, 1000000000) as i" do
      if row.i == 123 then break end
    end
    for _ in db:rows "select 1 where false" do error "a row" end
    local ok, err = pcall(function()
      for _ in db:rows "select 1 / (i - 3000) from generate_series(1, 5000) i" do n = n + 1 end
    end)
    assert.is_false(ok)
    assert.equal("22012", err.code)
    assert.equal(1, db:value "select 1")
  end)

  it("runs statements that give no rows, and those that are not prepared", function()
    assert.equal(0, db:exec "set application_name = 'x'")
    assert.equal("QUERY PLAN", db:query("explain select 1").columns[1])
    assert.same({}, { table.unpack(db:query "create temp table nothing()") })
    assert.equal(0, db:query("create temp table nothing2()").n)
    assert.equal("off", db:value "show ssl")
  end)
end)
