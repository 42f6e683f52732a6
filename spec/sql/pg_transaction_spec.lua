-- Transactions on PostgreSQL where the way to it breaks, and sessions of a server.
local ml = require "moonloop"
local postgres = require "spec.support.postgres"
local proxies = require "spec.support.proxy"

describe("a transaction on PostgreSQL", function()
  local missing = postgres.missing()
  if missing then return it("is checked on a real server", function() pending(missing) end) end

  local server, proxy, db, direct

  setup(function()
    server = postgres.start()
    direct = ml.sql.open(server.url, { pool = 2 })
  end)

  teardown(function()
    direct:close()
    server:close()
  end)

  before_each(function()
    assert(direct:script "drop table if exists t; create table t (id integer primary key)")
    proxy = proxies.start(server.port)
    db = ml.sql.open(("postgres://postgres@127.0.0.1:%d/postgres?sslmode=disable"):format(proxy.port), { pool = 2 })
  end)

  after_each(function()
    db:close()
    proxy:close()
  end)

  --- Cuts the connection at the COMMIT, `before` it arrives or behind; counts how many there are.
  local function cut_commit(before)
    local seen = { n = 0 }
    function proxy.pass(bytes, upwards)
      if upwards and bytes:find("COMMIT", 1, true) then
        seen.n = seen.n + 1
        if before then return { cut = "reset" } end
        return { bytes }
      end
      if not upwards and seen.n > 0 then return { cut = true } end
      return { bytes }
    end
    return seen
  end

  for _, before in ipairs { true, false } do
    it(("whose COMMIT got no answer, %s, is not known to have happened, and not run again")
      :format(before and "as it did not arrive" or "though it arrived"), function()
      local seen, runs = cut_commit(before), 0
      local value, err = db:tx({ retries = 3 }, function(tx)
        runs = runs + 1
        return assert(tx:exec "insert into t values (1)")
      end)
      assert.is_nil(value)
      assert.is_true(err.unknown)
      assert.same({ 1, 1 }, { runs, seen.n })
      local rows = before and 0 or 1
      postgres.eventually("the server has not noticed", function()
        return direct:value "select count(*) from t" == rows
      end)
      proxy.pass = function(bytes) return { bytes } end
      assert.equal(rows, db:value "select count(*) from t")
    end)
  end

  it("that is cancelled in a statement frees its locks, and no statement is hit afterwards", function()
    for _ = 1, 20 do
      local locked = ml.event()
      local task = ml.spawn(function()
        db:tx(function(tx)
          assert(tx:exec "lock table t in access exclusive mode")
          locked:set()
          return tx:query "select pg_sleep(1000)"
        end)
      end)
      locked:wait()
      task:cancel()
      ml.catch(task.await, task)
      assert.equal(0, db:value "select count(*) from t")
    end
    -- The locks go before the client hears that the statement has ended, and ends the transaction.
    postgres.eventually("a transaction is left", function()
      return direct:value [[select count(*) from pg_stat_activity where backend_type = 'client backend'
        and (state like '%in transaction%' or query = 'select pg_sleep(1000)')]] == 0
    end)
  end)

  it("says why the first statement failed when COMMIT became ROLLBACK", function()
    local first
    local value, err = db:tx(function(tx)
      local _
      _, first = tx:exec "insert into t values (null)"
      return "done"
    end)
    assert.is_nil(value)
    assert.equal("not_null", first.kind)
    assert.equal(first, err.cause)
    assert.equal("25P02", err.code)
    assert.matches("null value in column", err.message, 1, true)
  end)

  it("that failed in a loop over rows cannot be committed", function()
    local value, err = db:tx(function(tx)
      pcall(function()
        for _ in tx:rows "select 1 / (2 - x) from generate_series(1, 3) x" do assert(tx) end
      end)
      return "done"
    end)
    assert.is_nil(value)
    assert.equal("25P02", err.code)
    assert.matches("the transaction was rolled back, as one of its statements had failed", err.message, 1, true)
  end)

  it("that fails at COMMIT alone gives that error", function()
    assert(direct:script [[drop table if exists child; create table child (of integer references t (id)
      deferrable initially deferred)]])
    local value, err = db:tx(function(tx)
      assert(tx:exec "insert into child values (7)")
      return true
    end)
    assert.is_nil(value)
    assert.equal("foreign_key", err.kind)
    assert.is_nil(err.unknown)
    assert.equal(0, direct:value "select count(*) from child")
    assert(direct:script "drop table child")
  end)

  it("runs again where it was chosen to end a deadlock", function()
    assert(direct:script "insert into t values (1), (2)")
    local runs, held, both = 0, 0, ml.event()
    local function change(first, second)
      return function(tx)
        runs = runs + 1
        assert(tx:exec("update t set id = id where id = $1", first))
        held = held + 1
        if held == 2 then both:set() end
        if held <= 2 then both:wait() end
        return tx:exec("update t set id = id where id = $1", second)
      end
    end
    assert.same({ 1, 1 }, { ml.gather({ db.tx, db, { retries = 3 }, change(1, 2) },
      { db.tx, db, { retries = 3 }, change(2, 1) }) })
    assert.is_true(runs > 2)
  end)

  it("is of the level that was asked for", function()
    for _, level in ipairs { "read committed", "repeatable read", "serializable" } do
      assert.equal(level, db:tx({ isolation = level }, function(tx) return tx:value "show transaction_isolation" end))
    end
    assert.equal("on", db:tx({ readonly = true }, function(tx) return tx:value "show transaction_read_only" end))
  end)

  it("is ended by the server where nobody ends it", function()
    assert.equal("1min", db:value "show idle_in_transaction_session_timeout")
    db:session(function(conn) assert(conn:exec "set idle_in_transaction_session_timeout = 0") end)
    local list = {}
    for i = 1, 8 do list[i] = function() return db:value "show idle_in_transaction_session_timeout" end end
    for _, value in ipairs(ml.gather(list)) do assert.equal("1min", value) end
  end)

  it("is ended by the server without sessions of its own, too, and as the database has it", function()
    local show = "show idle_in_transaction_session_timeout"
    local function limit()
      local other <close> = setmetatable({ db = ml.sql.open(server.url, { prepare = false }) },
        { __close = function(self) self.db:close() end })
      local first = other.db:tx({ isolation = "serializable" }, function(tx)
        assert(tx:exec "set transaction deferrable") -- nothing has come before it
        return tx:value(show)
      end)
      assert.equal(first, other.db:session(function(conn)
        return conn:tx(function(tx) return tx:value(show) end)
      end))
      return first
    end
    assert.equal("1min", limit())
    assert(direct:exec "alter role postgres set idle_in_transaction_session_timeout = '5s'")
    local mine = limit()
    assert(direct:exec "alter role postgres reset idle_in_transaction_session_timeout")
    assert.equal("5s", mine)
  end)

  it("is refused a second connection at once where the pool has none", function()
    db:tx(function()
      db:tx({ separate = true }, function()
        local tx, err = db:begin { separate = true }
        assert.is_nil(tx)
        assert.equal("pool", err.kind)
      end)
    end)
  end)

  it("keeps others waiting no longer than `acquire`: the error says who has the connections", function()
    local one = ml.sql.open(server.url, { pool = 1, acquire = 1 })
    local other_begins = ml.event()
    local other = ml.spawn(function() -- has nothing to do with the transaction
      other_begins:wait()
      return one:value "select 1"
    end)
    local tx = assert(one:begin())
    other_begins:set()
    local value, err = other:await()
    assert.is_nil(value)
    assert.equal("pool", err.kind)
    assert.matches("pg_transaction_spec.lua:%d+", err.message)
    assert(tx:rollback())
    assert.equal(1, one:value "select 1")
    one:close()
  end)
end)
