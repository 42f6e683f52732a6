-- Statements mean the same on both databases: results, parameters, errors, streams, and what people see of them.
local ml = require "moonloop"
local process = require "spec.support.process"
local sql = require "spec.support.sql"

sql.on_each("a statement", function(place, kind)
  local db

  before_each(function()
    db = place():open { pool = 3 }
    assert(db:script [[drop table if exists t;
      create table t (id integer primary key, name text unique, amount integer check (amount >= 0),
        tag text not null)]])
    assert.equal(3, db:batch("insert into t values ($1, $2, $3, $4)",
      { { 1, "a", 10, "x" }, { 2, "b", 20, "x" }, { 3, nil, nil, "y" } }))
  end)

  local function message(f, ...)
    local ok, err = pcall(f, ...)
    assert.is_false(ok)
    return tostring(err)
  end

  it("gives rows that know their number and columns, and are a JSON list", function()
    local rows = assert(db:query "select id, name from t order by id")
    assert.equal(3, rows.n)
    assert.same({ "id", "name" }, rows.columns)
    assert.same({ id = 3 }, rows[3])
    local keys = 0
    for _ in pairs(rows) do keys = keys + 1 end
    assert.equal(3, keys)
    local none = assert(db:query "select id from t where id > 99")
    assert.same({ 0, { "id" }, "[]" }, { none.n, none.columns, ml.json.encode(none) })
    assert.same({ { id = 1 } }, ml.json.decode(ml.json.encode(assert(db:query "select id from t where id = 1"))))
  end)

  it("gives a row, a value, how many it changed", function()
    assert.same({ id = 1, name = "a" }, db:one "select id, name from t where id = 1")
    assert.same({ n = 2 }, table.pack(db:one "select id from t where id = 9"))
    local row, err = db:one "select id from t"
    assert.is_nil(row)
    assert.equal("too_many", err.kind)
    assert.equal(30, db:value "select sum(amount) from t")
    for _, id in ipairs { 3, 9 } do -- NULL, and none
      local value, none = db:value("select name from t where id = $1", id)
      assert.same({}, { value, none })
    end
    assert.equal(2, db:exec "update t set amount = amount + 1 where tag = 'x'")
    assert.equal(0, db:exec "update t set amount = 1 where id = 9")
    assert.equal(0, db:exec "create table if not exists u (a integer)")
  end)

  it("takes parameters by number and by name, and lists", function()
    assert.equal(2, db:value("select id from t where amount = $2 and name = $1", "b", 20))
    assert.equal(1, db:value("select id from t where name = $1 and $1 = $1", "a"))
    assert.equal(2, db:value("select id from t where amount = :amount and name = :name", { name = "b", amount = 20 }))
    assert.equal(3, db:value("select count(*) from t where id = any($1)", { 1, 2, 3, 9 }))
    assert.equal(1, db:value("select count(*) from t where id <> all(:list)", { list = { 1, 2 } }))
    assert.equal(0, db:value("select count(*) from t where id = any($1)", {}))
    assert.equal(2, db:value("select count(*) from t where name = any($1)", { "a", "b" }))
    assert.equal(8, db:value("select (7 + -- = any(\n $1)", 1))
    assert.equal(1, db:exec("insert into t values ($1, $2, $3, $4)", 4, nil, nil, ":name '$1'"))
    assert.equal(":name '$1'", db:value("select tag from t where id = 4 -- $7 :no"))
  end)

  it("with the wrong parameters is an error before anything is sent", function()
    for _, wrong in ipairs {
      { "select $1", },
      { "select id from t where id = $1", 1, 2 },
      { "select id from t where id = $2 and name = $1", "a" },
      { "select id from t where id = :id", { name = 1 } },
      { "select id from t where id = :id", 7 },
      { "select 1", 1 },
    } do
      local function sent() return db:stats().statements or db:stats().sends end
      local before = sent()
      assert.matches("parameter", message(db.query, db, table.unpack(wrong)), 1, true)
      assert.equal(before, sent())
    end
    assert.matches("function", message(db.query, db, "select id from t where id = $1", print), 1, true)
    assert.matches("expected, got nil", message(db.query, db, nil), 1, true)
  end)

  it("is one: several are for db:script", function()
    for _, name in ipairs { "query", "exec", "batch", "rows" } do
      assert.matches("several statements: db:script", message(db[name], db, "select 1; select 2", {}), 1, true)
    end
    assert.equal(1, db:value "select 1; -- and a comment")
  end)

  it("that no database could run is a mistake of the program, raised at its line", function()
    for text, why in pairs {
      ["select $0"] = "a parameter's number is from $1 to $65535 (at byte 8 of the statement)",
      ["select $1, :name"] = "parameters are all $1, $2, ... or all :name, not both (at byte 12 of the statement)",
      ["select 1\0"] = "the statement holds a NUL byte",
      ["begin"] = "'begin' needs a connection of its own: use db:tx",
      ["rollback"] = "'rollback' needs a connection of its own: use db:tx",
    } do
      local raised = message(function()
        db:query(text)
        return true
      end)
      assert.matches("statements_spec.lua:%d+: bad argument #1 to 'db:query' %(", raised)
      assert.matches(why, raised, 1, true)
    end
  end)

  it("that fails says what, where, and never the values", function()
    local function failure(...)
      local value, err = db:exec(...)
      assert.is_nil(value)
      assert.is_true(ml.is_error(err))
      assert.equal((...), err.sql)
      assert.not_matches("secret", tostring(err), 1, true)
      return err
    end
    local insert = "insert into t (id, name, amount, tag) values ($1, $2, $3, $4)"
    assert.equal("unique", failure(insert, 1, "secret", 1, "x").kind)
    assert.equal("not_null", failure(insert, 5, "secret", 1, nil).kind)
    assert.equal("check", failure(insert, 5, "secret", -1, "x").kind)
    assert.equal("syntax", failure "selec 1".kind)
    assert.truthy(failure "select * from nowhere".message:find("nowhere", 1, true))
    assert(db:script "drop table if exists c; create table c (of integer references t (id))")
    assert.equal("foreign_key", failure("insert into c values ($1)", 99).kind)
    assert(db:script "drop table c")
  end)

  it("of a batch that fails has done nothing", function()
    local n, err = db:batch("insert into t values ($1, $2, $3, $4)", { { 5, "e", 1, "x" }, { 1, "f", 1, "x" } })
    assert.is_nil(n)
    assert.equal("unique", err.kind)
    assert.equal(3, db:value "select count(*) from t")
    assert.equal(0, db:batch("insert into t values ($1, $2, $3, $4)", {}))
    assert.equal(2, db:batch("insert into t (id, tag) values (:id, :tag)",
      { { id = 6, tag = "a" }, { id = 7, tag = "b" } }))
  end)

  it("can be gone through row by row, and be left", function()
    local ids = {}
    for row in db:rows "select id from t order by id" do ids[#ids + 1] = row.id end
    assert.same({ 1, 2, 3 }, ids)
    local many = "with recursive c(x) as (select 1 union all select x + 1 from c where x < 1e6) select x from c"
    local one = place():open { pool = 1 }
    for _ = 1, 10 do
      for row in one:rows(many) do
        if row.x == 3 then break end
      end
    end
    local function go_nowhere()
      for _ in db:rows "select * from nowhere" do error "unreachable" end
    end
    assert.matches("nowhere", message(go_nowhere), 1, true)
    assert.equal(3, one:value "select count(*) from t")
    while one:stats().leased > 0 do ml.sleep(0) end -- a thread gives the last loop's connection back
  end)

  it("of many tasks gets its own answer", function()
    local list = {}
    for i = 1, 200 do
      list[i] = function() return db:value("select id * 1000 + $1 from t where id = $2", i, i % 3 + 1) end
    end
    for i, value in ipairs(ml.gather(list)) do assert.equal((i % 3 + 1) * 1000 + i, value) end
  end)

  it("is what a task waits for, to see", function()
    local text = kind.driver == "pg" and "select pg_sleep(1000), 'to be seen'"
      or "with recursive c(x) as (select 1 union all select x + 1 from c) select count(*), 'to be seen' from c"
    local task = ml.spawn(db.query, db, text)
    local seen
    while not seen do
      ml.sleep(0)
      for _, each in ipairs(ml.tasks()) do
        if each.id == task.id and (each.waiting_for or ""):find("to be seen", 1, true) then seen = true end
      end
    end
    task:cancel()
    ml.catch(task.await, task)
    assert.equal(3, db:value "select count(*) from t")
  end)

  it("that takes longer than its timeout is ended", function()
    local quick = place():open { timeout = 1, pool = 1 }
    local _, err = quick:query(kind.driver == "pg" and "select pg_sleep(1000)"
      or "with recursive c(x) as (select 1 union all select x + 1 from c) select count(*) from c")
    assert.equal("timeout", err.kind)
    assert.equal(3, quick:value "select count(*) from t")
  end)

  it("that takes longer than `slow` is reported, with its text and without its values", function()
    local long = kind.driver == "pg" and "select pg_sleep(0.05), $1::text"
      or "with recursive c(x) as (select 1 union all select x + 1 from c where x < 1e5) select count(*), $1 from c"
    local output, status = process.run(([[
      local db = require "moonloop".sql.open(%q, { slow = 0.001 })
      assert(db:query(%q, "secret"))
      db:close()
    ]]):format(place().url, long))
    assert.equal(0, status, output)
    assert.matches("slow query %(%d[%d.]* s%): " .. long:sub(1, 20):gsub("%p", "%%%0"), output)
    assert.not_matches("secret", output, 1, true)
  end)

  it("whose rows take longer than `slow` is reported for the loop that waits for them", function()
    local long = kind.driver == "pg" and "select pg_sleep(0.05), $1::text"
      or "with recursive c(x) as (select 1 union all select x + 1 from c where x < 1e5) select count(*), $1 from c"
    local output, status = process.run(([[
      local db = require "moonloop".sql.open(%q, { slow = 0.001 })
      for _ in db:rows(%q, "secret") do end
      db:close()
    ]]):format(place().url, long))
    assert.equal(0, status, output)
    assert.matches("slow query %(%d[%d.]* s%): " .. long:sub(1, 20):gsub("%p", "%%%0"), output)
    assert.not_matches("secret", output, 1, true)
  end)

  it("that fails behind thousands of its rows is an error with its text", function()
    local text = kind.driver == "pg" and "select 1 / (100000 - x) as y from generate_series(1, 100000) x"
      or [[with recursive c(x) as (select 1 union all select x + 1 from c where x < 100000)
        select case when x = 100000 then abs(-9223372036854775807 - 1) else x end as y from c]]
    local n = 0
    local ok, err = pcall(function()
      for _ in db:rows(text) do n = n + 1 end
    end)
    assert.is_false(ok)
    assert.is_true(n > 1000)
    assert.equal("sql", err.kind)
    assert.equal(text, err.sql)
  end)

  it("has no parameters but $1 and :name", function()
    for _, text in ipairs { "select ?", "select ?1", "select $name", "select @name" } do
      assert.matches("a parameter is written $1 or :name", message(db.query, db, text, 1), 1, true)
    end
  end)

  it("needs a database that is open", function()
    db:close()
    local value, err = db:value "select 1"
    assert.is_nil(value)
    assert.equal("closed", err.kind)
    assert.equal("closed", select(2, db:tx(function() error "unreachable" end)).kind)
    assert.is_true(db:stats().closed)
    db:close()
  end)

  it("says which colon is missing", function()
    assert.matches("db:query", message(db.query, "select 1"), 1, true)
  end)
end)
