-- Transactions: who they belong to, how they end, and what becomes of their connection.
local ml = require "moonloop"
local postgres = require "spec.support.postgres"
local sql = require "spec.support.sql"

sql.on_each("a transaction", function(place, kind)
  local db

  before_each(function()
    db = place():open { pool = 4 }
    assert(db:script "drop table if exists t; create table t (id integer primary key, name varchar(20) unique)")
  end)

  local function count() return assert(db:value "select count(*) from t") end

  local function message(f, ...)
    local ok, err = pcall(f, ...)
    assert.is_false(ok)
    return tostring(err)
  end

  it("is committed when its function returns, with what that returns", function()
    local a, b, c = db:tx(function(tx)
      assert(tx:exec("insert into t values ($1, $2)", 1, "a"))
      return "one", nil, 3
    end)
    assert.same({ "one", nil, 3 }, { a, b, c })
    assert.equal(1, count())
    assert.is_false(db:tx(function(tx) assert(tx:exec("insert into t values (2, 'b')")) return false end))
    assert.is_nil(db:tx(function(tx) assert(tx:exec("insert into t values (3, 'c')")) return nil end))
    assert.equal(3, count())
  end)

  it("whose function returns nothing is true, so that assert tells of a commit that has failed", function()
    assert(db:script [[create table u (id integer primary key,
      t_id integer references t (id) deferrable initially deferred)]])
    local function add(t_id)
      return db:tx(function(tx) assert(tx:insert("u", { id = 1, t_id = t_id })) end)
    end
    local ok, err = add(7)
    assert.is_nil(ok)
    assert.equal("foreign_key", err.kind)
    assert(db:insert("t", { id = 7, name = "g" }))
    assert.is_true(add(7))
    assert.is_true(db:tx(function(tx) assert(tx:tx(function() end)) end))
    assert(db:script "drop table u")
  end)

  it("is rolled back when its function raises, and the error is the function's", function()
    local failure = {}
    local ok, err = pcall(db.tx, db, function(tx)
      assert(tx:exec("insert into t values (1, 'a')"))
      error(failure)
    end)
    assert.is_false(ok)
    assert.equal(failure, err)
    assert.equal(0, count())
  end)

  it("is rolled back when its function returns nil and an error", function()
    local value, err = db:tx(function(tx)
      assert(tx:exec("insert into t values (1, 'a')"))
      return nil, "no"
    end)
    assert.is_nil(value)
    assert.equal("no", err)
    assert.equal(0, count())
  end)

  it("begun in a block is rolled back at its end, unless it was committed", function()
    do
      local tx <close> = assert(db:begin())
      assert(tx:exec("insert into t values (1, 'a')"))
    end
    assert.equal(0, count())
    do
      local tx <close> = assert(db:begin())
      assert(tx:exec("insert into t values (1, 'a')"))
      assert.is_true(tx:commit())
    end
    assert.equal(1, count())
    do
      local tx <close> = assert(db:begin())
      assert(tx:exec("insert into t values (2, 'b')"))
      assert.is_true(tx:rollback())
    end
    assert.equal(1, count())
  end)

  it("keeps its task from using the database beside it, and says what to use", function()
    db:tx(function(tx)
      for _, name in ipairs { "query", "one", "value", "exec" } do
        local text = message(db[name], db, "select 1")
        assert.matches("this task holds a transaction of this database", text, 1, true)
        assert.matches("use tx:" .. name, text, 1, true)
        assert.matches("transaction_spec.lua:%d+", text)
      end
      assert.matches("use tx:tx", message(db.tx, db, function() end), 1, true)
      assert.matches("db:begin: this task holds a transaction", message(db.begin, db), 1, true)
      assert.matches("use tx:tx", message(db.begin, db), 1, true)
      local copying = message(db.copy_in, db, "t", { "id" }, { { 1 } })
      assert.matches("db:copy_in: this task holds a transaction", copying, 1, true)
      assert.matches("use tx:copy_in", copying, 1, true)
      for _, text in ipairs { message(db.session, db, print), message(db.migrate, db, "nowhere") } do
        assert.matches("end that first", text, 1, true) -- a tx has neither
      end
      assert.matches("use tx:batch", message(db.batch, db, "insert into t values ($1, $2)", { { 1, "a" } }), 1, true)
      for name, arguments in pairs {
        insert = { { id = 1 } }, update = { { name = "b" }, { id = 1 } }, delete = { { id = 1 } },
      } do
        local text = message(db[name], db, "t", table.unpack(arguments))
        assert.matches(("db:%s: this task holds a transaction"):format(name), text, 1, true)
        assert.matches("use tx:" .. name, text, 1, true)
      end
      assert.matches("holds a transaction", message(function()
        for _ in db:rows "select 1" do error "unreachable" end
      end), 1, true)
      assert.equal(1, tx:value "select 1")
    end)
    assert.equal(1, db:value "select 1")
  end)

  it("leaves other tasks the database", function()
    local other = ml.spawn(function() return db:value "select 41" end)
    db:tx(function() assert.equal(41, other:await()) end)
  end)

  it("belongs to the tasks that its own has started since, too", function()
    db:tx(function(tx)
      local list = {}
      for i = 1, 10 do
        list[i] = function() return assert(tx:exec("insert into t values ($1, $2)", i, "n" .. i)) end
      end
      ml.gather(list)
      assert.equal(10, tx:value "select count(*) from t")
      assert.matches("holds a transaction", message(ml.gather, function() db:query "select 1" end), 1, true)
    end)
    assert.equal(10, count())
  end)

  it("is refused to a task that has nothing to do with it", function()
    local shared, done = ml.future(), ml.event()
    local other = ml.spawn(function()
      local tx = shared:await()
      local text = message(tx.query, tx, "select 1")
      done:set()
      return text
    end)
    db:tx(function(tx)
      shared:resolve(tx)
      done:wait()
    end)
    assert.matches("belongs to the task that began it, at [^ ]*transaction_spec.lua:%d+", other:await())
  end)

  it("raises after its end", function()
    local kept
    db:tx(function(tx) kept = tx end)
    local text = message(kept.query, kept, "select 1")
    assert.matches("tx:query: the transaction is over: it was committed at", text, 1, true)
    assert.matches("it was committed", message(kept.commit, kept), 1, true)
    assert.matches("it was committed", message(kept.tx, kept, function() end), 1, true)
  end)

  it("says which colon is missing", function()
    db:tx(function(tx) assert.matches("tx:query was called without its tx", message(tx.query, "select 1"), 1, true) end)
    assert.matches("without its db", message(db.tx, function() end), 1, true)
  end)

  describe("inside of another", function()
    it("is rolled back by itself", function()
      db:tx(function(tx)
        assert(tx:exec("insert into t values (1, 'a')"))
        local value, err = tx:tx(function(inner)
          assert(inner:exec("insert into t values (2, 'b')"))
          return nil, "no"
        end)
        assert.is_nil(value)
        assert.equal("no", err)
        assert.equal("yes", tx:tx(function(inner)
          assert(inner:exec("insert into t values (3, 'c')"))
          return "yes"
        end))
      end)
      assert.same({ { id = 1 }, { id = 3 } }, table.move(assert(db:query "select id from t order by id"), 1, 2, 1, {}))
    end)

    it("is what saves the outer one from a failed statement", function()
      db:tx(function(tx)
        assert(tx:exec("insert into t values (1, 'a')"))
        local _, err = tx:tx(function(inner)
          assert(inner:exec("insert into t values (2, 'b')"))
          return inner:exec("insert into t values (1, 'again')")
        end)
        assert.equal("unique", err.kind)
        assert.equal(1, tx:value "select count(*) from t")
      end)
      assert.equal(1, count())
    end)

    it("goes as deep as one likes", function()
      local function deeper(tx, depth)
        return tx:tx(function(inner)
          assert(inner:exec("insert into t values ($1, $2)", depth, "d" .. depth))
          if depth < 6 then deeper(inner, depth + 1) end
          if depth == 3 then return nil, "back" end
          return true
        end)
      end
      db:tx(function(tx) return deeper(tx, 1) end)
      assert.equal(2, count())
    end)

    it("has the outer one to itself: that raises for its own task, and makes others wait", function()
      db:tx(function(tx)
        local go, order = ml.event(), {}
        local waiting = ml.spawn(function()
          go:wait()
          assert(tx:exec("insert into t values (9, 'last')"))
          order[#order + 1] = "outer"
        end)
        tx:tx(function(inner)
          assert.matches("a transaction inside of this one was begun at", message(tx.exec, tx, "select 1"), 1, true)
          go:set()
          assert(inner:exec("insert into t values (1, 'a')"))
          ml.sleep(0)
          order[#order + 1] = "inner"
          return nil, "back"
        end)
        waiting:await()
        assert.same({ "inner", "outer" }, order)
      end)
      assert.equal(9, db:value "select id from t")
    end)

    it("is ended with the outer one", function()
      local tx = assert(db:begin())
      ml.catch(function()
        tx:tx(function(inner)
          assert(inner:exec("insert into t values (1, 'a')"))
          tx:rollback()
          inner:exec "select 1"
        end)
      end)
      assert.equal(0, count())
      postgres.eventually("a connection is not given back", function()
        return db:stats().idle == db:stats().connections
      end)
    end)
  end)

  it("that is cancelled is rolled back, and its connection is whole", function()
    for _ = 1, 20 do
      local begun = ml.event()
      local task = ml.spawn(function()
        db:tx(function(tx)
          assert(tx:exec("insert into t values (1, 'a')"))
          begun:set()
          ml.sleep(1000)
        end)
      end)
      begun:wait()
      task:cancel()
      ml.catch(task.await, task)
      assert.equal(0, count())
    end
    assert.equal(1, db:tx(function(tx) return tx:value "select 1" end))
  end)

  it("goes on behind a savepoint whose beginning was cancelled", function()
    db:tx(function(tx)
      local task = ml.spawn(function() return tx:tx(function() error "unreachable" end) end)
      ml.sleep(0) -- it has asked for the savepoint
      task:cancel()
      local _, err = ml.catch(task.await, task)
      assert.equal("cancelled", err.kind)
      local ok, failure = ml.timeout(60, function() return tx:exec("insert into t values (1, 'a')") end)
      -- PostgreSQL has ended the statement, and with it the transaction; or it came too late for that.
      if not ok then assert.equal("25P02", failure.code) end
    end)
    assert.equal(1, db:tx(function(tx) return tx:tx(function(inner) return inner:value "select 1" end) end))
  end)

  it("whose deadline passes in a statement's wait is rolled back", function()
    local go = ml.event()
    local other = ml.spawn(function()
      go:wait()
      return ml.timeout(0.05, function()
        return db:tx(function(second)
          assert(second:exec("insert into t values (1, 'b')"))
          ml.sleep(1000)
        end)
      end)
    end)
    local tx = assert(db:begin())
    assert(tx:exec("insert into t values (1, 'a')"))
    go:set()
    local _, err = other:await()
    assert.equal("timeout", err.kind)
    assert(tx:rollback())
    assert.equal(0, count())
  end)

  it("of 64 tasks on one connection, nested: each is answered", function()
    local one = place():open { pool = 1, acquire = 60 }
    local list = {}
    for i = 1, 64 do
      list[i] = function()
        return one:tx(function(tx)
          assert(tx:exec("insert into t values ($1, $2)", i, "n" .. i))
          return tx:tx(function(inner) return inner:value("select id from t where id = $1", i) end)
        end)
      end
    end
    local results = table.pack(ml.gather(list))
    assert.equal(64, count())
    assert.equal(64, #(type(results[1]) == "table" and results[1] or results))
  end)

  it("holds nobody up for longer than `acquire`: others are answered or refused", function()
    local one = place():open { pool = 1, acquire = 1 }
    local begun, list = ml.event(), {}
    for i = 1, 64 do
      list[i] = ml.spawn(function()
        begun:wait()
        if i % 3 == 0 then return one:exec("insert into t values ($1, 'x')", i) end
        return one:tx(function(tx)
          return tx:tx(function(inner) return inner:exec("insert into t values ($1, $2)", i, "n" .. i) end)
        end)
      end)
    end
    local tx = assert(one:begin())
    begun:set()
    local place_of_tx = "transaction_spec.lua:%d+"
    for i = 1, 64 do
      local value, err = list[i]:await()
      assert.is_nil(value)
      assert.equal("pool", err.kind)
      assert.matches(place_of_tx, err.message)
    end
    assert(tx:exec "insert into t values (100, 'y')")
    assert(tx:commit())
    assert.equal(1, one:value "select count(*) from t")
  end)

  it("beside another of the same task is one that asks for it, where no wait would be needed", function()
    local one = place():open { pool = 1 }
    one:tx(function()
      local tx, err = one:begin { separate = true }
      assert.is_nil(tx)
      assert.equal("pool", err.kind)
    end)
    if kind.driver == "pg" then
      db:tx(function(tx)
        assert(tx:exec("insert into t values (1, 'a')"))
        assert.equal(0, db:tx({ separate = true }, function(other) return other:value "select count(*) from t" end))
      end)
    end
  end)

  it("can be gone through row by row while it changes rows, and be left", function()
    db:tx(function(tx)
      for i = 1, 200 do assert(tx:exec("insert into t values ($1, $2)", i, "n" .. i)) end
      for row in tx:rows "select id from t order by id" do
        assert(tx:exec("update t set name = $1 where id = $2", "m" .. row.id, row.id))
      end
      for row in tx:rows "select id from t order by id" do
        if row.id == 70 then break end
      end
      local next_row, state = tx:rows "select id from t order by id" -- and is left open
      assert.equal(1, next_row(state).id)
    end)
    assert.equal(200, db:value "select count(*) from t where name like 'm%'")
    local ok = pcall(db.tx, db, function(tx)
      for _ in tx:rows "select id from t" do
        assert(tx:exec "delete from t")
        error "no"
      end
    end)
    assert.is_false(ok)
    assert.equal(200, count())
  end)

  it("that only reads can do nothing else", function()
    local _, err = db:tx({ readonly = true }, function(tx) return tx:exec("insert into t values (1, 'a')") end)
    assert.truthy(err)
    assert.equal(0, count())
    assert.equal(0, db:tx({ readonly = true }, function(tx) return tx:value "select count(*) from t" end))
  end)

  it("that one of its own statements has ended is an error, which says so", function()
    for _, statement in ipairs { "rollback", "commit" } do
      local value, err = db:tx(function(tx)
        assert(tx:exec("insert into t values ($1, 'a')", #statement))
        assert(tx:exec(statement))
        return "done"
      end)
      assert.is_nil(value)
      assert.matches("one of its own statements has ended the transaction", err.message, 1, true)
      assert.equal(1, db:tx(function(tx) return tx:value "select 1" end))
    end
    assert.equal(6, db:value "select id from t") -- as it was committed, but not by db:tx
  end)

  it("has options, and says which it has not", function()
    assert.matches("unknown option 'isolaton' of db:tx (did you mean 'isolation'?)",
      message(db.tx, db, { isolaton = "serializable" }, function() end), 1, true)
    assert.matches("option 'isolation' of db:begin", message(db.begin, db, { isolation = "high" }), 1, true)
    assert.matches("a function expected, got nil", message(db.tx, db), 1, true)
  end)

  if kind.driver ~= "pg" then return end

  it("refuses what follows a failed statement, with the first error as the cause", function()
    local first
    local value, err = db:tx(function(tx)
      assert(tx:exec("insert into t values (1, 'a')"))
      local _
      _, first = tx:exec("insert into t values (1, 'b')")
      assert.equal("unique", first.kind)
      local _, second = tx:exec("insert into t values (2, 'b')")
      assert.equal("25P02", second.code)
      assert.equal(first, second.cause)
      return true
    end)
    assert.is_nil(value)
    assert.equal("25P02", err.code)
    assert.equal(first, err.cause)
    assert.equal(0, count())
  end)

  it("runs again where it met another's, and only then", function()
    assert(db:exec("insert into t values (1, 'a')"))
    local tries, met = 0, ml.event()
    local function change(name)
      return function(tx)
        tries = tries + 1
        tx:value "select name from t where id = 1"
        if tries == 1 then
          met:wait()
        elseif tries == 2 then
          met:set()
        end
        return tx:exec("update t set name = $1 where id = 1", name)
      end
    end
    local opts = { isolation = "serializable", retries = 5 }
    local a, b = ml.gather({ db.tx, db, opts, change "b" }, { db.tx, db, opts, change "c" })
    assert.same({ 1, 1 }, { a, b })
    assert(tries > 2, tries)
    tries = 10
    local _, err = db:tx({ retries = 5 }, function(tx)
      tries = tries + 1
      return tx:exec("insert into t values (1, 'x')")
    end)
    assert.equal("unique", err.kind)
    assert.equal(11, tries)
  end)

  it("whose connection was ended by the server is an error, and the next one is well", function()
    local _, err = db:tx(function(tx)
      local pid = tx:value "select pg_backend_pid()"
      place().server:psql(("select pg_terminate_backend(%d)"):format(pid))
      return tx:exec "insert into t values (1, 'a')"
    end)
    assert.truthy(err.kind == "closed" or err.kind == "network", tostring(err)) -- as the server was heard or not
    assert.equal(1, db:tx(function(tx) return tx:exec "insert into t values (1, 'a')" end))
  end)
end)
