-- db:insert, update and delete, sessions, scripts, and copies of many rows.
local ml = require "moonloop"
local sql = require "spec.support.sql"

describe("the builders", function()
  it("quote names", function()
    assert.equal('"a"', ml.sql.ident "a")
    assert.equal('"a""; drop table t; --"', ml.sql.ident 'a"; drop table t; --')
    assert.has_error(function() ml.sql.ident "" end)
    assert.has_error(function() ml.sql.ident "a\0b" end)
  end)
end)

sql.on_each("a table", function(place, kind)
  local db

  before_each(function()
    db = place():open()
    assert(db:script [[drop table if exists t;
      create table t (id integer primary key, name varchar(40) unique, age integer default 7)]])
  end)

  local function message(f, ...)
    local ok, err = pcall(f, ...)
    assert.is_false(ok)
    return tostring(err)
  end

  local function plain(rows)
    local list = {}
    for i, row in ipairs(rows) do list[i] = row end
    return list
  end

  local function all() return plain(assert(db:query "select * from t order by id")) end

  it("gets rows, one or many", function()
    assert.equal(1, db:insert("t", { id = 1, name = "a" }))
    assert.equal(2, db:insert("t", { { id = 2, name = "b", age = 1 }, { id = 3, name = "c" } }))
    assert.same({ { id = 1, name = "a", age = 7 }, { id = 2, name = "b", age = 1 }, { id = 3, name = "c" } }, all())
    assert.equal(0, db:insert("t", ml.json.decode "[]"))
  end)

  it("gives back what was inserted", function()
    local rows = assert(db:insert("t", { { id = 1, name = "a" }, { id = 2 } }, { returning = "*" }))
    assert.same({ { id = 1, name = "a", age = 7 }, { id = 2, age = 7 } }, plain(rows))
    rows = assert(db:insert("t", { id = 3 }, { returning = { "id", "age" } }))
    assert.same({ { id = 3, age = 7 } }, plain(rows))
  end)

  it("keeps or changes a row that is there already", function()
    assert(db:insert("t", { id = 1, name = "a" }))
    assert.equal("unique", select(2, db:insert("t", { id = 1, name = "b" })).kind)
    assert.equal(0, db:insert("t", { id = 1, name = "b" }, { on_conflict = "nothing" }))
    assert.equal(0, db:insert("t", { id = 1, name = "b" }, { on_conflict = { "id" } }))
    assert.equal(1, db:insert("t", { id = 1, name = "b", age = 2 }, { on_conflict = { "id", update = { "name" } } }))
    assert.same({ { id = 1, name = "b", age = 7 } }, all())
    assert.equal(1, db:insert("t", { id = 1, name = "c", age = 2 }, { on_conflict = { "id", update = true } }))
    assert.same({ { id = 1, name = "c", age = 2 } }, all())
  end)

  it("is changed where a condition holds", function()
    assert(db:insert("t", { { id = 1, name = "a" }, { id = 2, name = "b" }, { id = 3, name = ml.sql.null } }))
    assert.equal(1, db:update("t", { age = 1 }, { id = 1 }))
    assert.equal(2, db:update("t", { age = 2 }, { id = { 2, 3 } }))
    assert.equal(1, db:update("t", { age = 3 }, { name = ml.sql.null }))
    assert.equal(0, db:update("t", { age = 9 }, { id = 1, name = "b" }))
    local rows = assert(db:update("t", { age = ml.sql.null }, { id = 2 }, { returning = "*" }))
    assert.same({ { id = 2, name = "b" } }, plain(rows))
    assert.same({ { id = 1, name = "a", age = 1 }, { id = 2, name = "b" }, { id = 3, age = 3 } }, all())
    assert.equal(2, db:delete("t", { id = { 1, 2 } }))
    assert.same({ { id = 3 } }, plain(assert(db:delete("t", { id = 3 }, { returning = "id" }))))
  end)

  it("is not changed as a whole by mistake", function()
    assert.matches("where is empty", message(db.update, db, "t", { age = 1 }, {}), 1, true)
    assert.matches("where is empty", message(db.delete, db, "t", {}), 1, true)
    assert.matches("where: a table of columns and values expected", message(db.delete, db, "t"), 1, true)
    assert.matches("there is no column to set", message(db.update, db, "t", {}, { id = 1 }), 1, true)
    assert.matches("unknown option 'returnin' of insert (did you mean 'returning'?)",
      message(db.insert, db, "t", { id = 1 }, { returnin = "*" }), 1, true)
    assert.matches("row 2 is a number", message(db.insert, db, "t", { { id = 1 }, 2 }), 1, true)
  end)

  it("is used in a transaction the same way", function()
    db:tx(function(tx)
      assert.equal(1, tx:insert("t", { id = 1, name = "a" }))
      assert.equal(1, tx:update("t", { name = "b" }, { id = 1 }))
      assert.equal(1, tx:delete("t", { id = 1 }))
    end)
  end)

  it("gets many rows from an iterator, all or none", function()
    local i = 0
    assert.equal(1200, db:copy_in("t", { "id", "name" }, function()
      i = i + 1
      if i <= 1200 then return { i, "tab\tline\nback\\slash " .. i } end
    end))
    assert.equal(1200, db:value "select count(*) from t")
    assert.equal("tab\tline\nback\\slash 1200", db:value "select name from t where id = 1200")
    local _, err = db:copy_in("t", { "id" }, { { 2000 }, { 1 } })
    assert.equal("unique", err.kind)
    assert.equal(1200, db:value "select count(*) from t")
    assert.equal(2, db:copy_in("t", { "id", "name" }, { { 3000, nil }, { 3001, ml.sql.null } }))
    assert.equal(2, db:value "select count(*) from t where id >= 3000 and name is null")
    assert.matches("row 2 is a number", message(db.copy_in, db, "t", { "id" }, { { 4000 }, 4001 }), 1, true)
    assert.equal(1202, db:value "select count(*) from t")
  end)

  it("gets rows that are made of others while they are copied", function()
    assert(db:insert("t", { { id = 1, name = "a" }, { id = 2, name = "b" } }))
    local i = 0
    assert.equal(2, db:copy_in("t", { "id", "name" }, function()
      i = i + 1
      if i > 2 then return nil end
      return { i + 10, assert(db:value("select name || '2' from t where id = $1", i)) }
    end))
    assert.equal("b2", db:value "select name from t where id = 12")
  end)

  it("is made by a script of several statements", function()
    assert.is_true(db:script "delete from t; insert into t (id) values (1); insert into t (id) values (2)")
    assert.equal(2, db:value "select count(*) from t")
    local ok, err = db:script "insert into t (id) values (3); insert into nowhere values (1)"
    assert.is_nil(ok)
    assert.matches("nowhere", err.message, 1, true)
    assert.is_true(db:script "begin; insert into t (id) values (4)") -- and is left open
    assert.equal(0, db:value "select count(*) from t where id = 4")
  end)

  it("that is temporary lives as long as a session", function()
    assert.equal(2, db:session(function(conn)
      assert(conn:exec "create temporary table own (a integer)")
      assert(conn:exec "insert into own values (1), (2)")
      return conn:value "select count(*) from own"
    end))
    local value, err = db:value "select count(*) from own"
    assert.is_nil(value)
    assert.matches("own", err.message, 1, true)
    assert.equal(2, db:session(function(conn)
      assert.is_nil(conn:tx(function(tx)
        assert(tx:insert("t", { id = 1 }))
        return nil, "no"
      end))
      conn:tx(function(tx) return tx:insert("t", { id = 2 }) end)
      if kind.driver == "pg" then
        assert.equal("serializable", conn:tx({ isolation = "serializable" }, function(tx)
          return tx:value "show transaction_isolation"
        end))
      end
      assert.matches("unknown option 'retries' of conn:tx", message(conn.tx, conn, { retries = 1 }, print), 1, true)
      assert.equal(1, conn:copy_in("t", { "id" }, { { 3 } }))
      return conn:value "select count(*) from t"
    end))
    local kept
    db:session(function(conn) kept = conn end)
    assert.matches("conn:query: the session is over", message(kept.query, kept, "select 1"), 1, true)
  end)

  if kind.driver == "sqlite" then
    it("has no COPY and no notifications in SQLite, which is said", function()
      assert.matches("SQLite has no COPY", message(db.copy_out, db, "copy t to stdout"), 1, true)
      assert.matches("SQLite has no notifications", message(db.listen, db, "a"), 1, true)
      assert.matches("SQLite has no notifications", message(db.notify, db, "a"), 1, true)
    end)
    return
  end

  it("is copied out as text", function()
    assert(db:insert("t", { { id = 1, name = "a" }, { id = 2, name = "tab\t" } }))
    local text = ""
    for chunk in db:copy_out "copy (select * from t order by id) to stdout" do text = text .. chunk end
    assert.equal("1\ta\t7\n2\ttab\\t\t7\n", text)
    for _ in db:copy_out "copy (select generate_series(1, 100000)) to stdout" do break end -- luacheck: ignore
    assert.equal(2, db:value "select count(*) from t")
  end)

  it("loses what a session has set", function()
    db:session(function(conn)
      assert(conn:exec "set statement_timeout = '5s'")
      assert.equal("5s", conn:value "show statement_timeout")
      assert(conn:value "select pg_advisory_lock(7)" ~= false)
    end)
    assert.equal("0", db:value "show statement_timeout")
    assert.equal(0, db:value "select count(*) from pg_locks where locktype = 'advisory'")
  end)
end)
