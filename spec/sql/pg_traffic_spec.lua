-- Many statements at once on PostgreSQL: what is sent together, cancels, leases, notifications, COPY, poolers,
-- statements that have changed.
local ml = require "moonloop"
local pg = require "moonloop.sql.pg"
local postgres = require "spec.support.postgres"

describe("statements on PostgreSQL", function()
  local missing = postgres.missing()
  if missing then return it("are checked on a real server", function() pending(missing) end) end

  local server, db

  setup(function() server = postgres.start {} end)
  teardown(function() server:close() end)

  local function open(opts)
    db = ml.sql.open(server.url, opts)
    return db
  end

  after_each(function()
    if db then db:close() end
    db = nil
  end)

  --- The states of the server's sessions but psql's: "idle idle".
  local function sessions()
    return (server:psql [[select string_agg(state, ' ') from pg_stat_activity
      where backend_type = 'client backend' and pid <> pg_backend_pid()]])
  end

  it("of many tasks are sent together", function()
    open { pool = 2 }
    local function run(n)
      local tasks = {}
      for i = 1, 64 do
        tasks[i] = function()
          for _ = 1, n do assert.equal(i, db:value("select $1::int", i)) end
        end
      end
      ml.gather(tasks)
    end
    run(2)
    local before = db:stats().sends
    run(1) -- all of one pass of the loop; what follows an answer depends on when the server sends that
    local sends = db:stats().sends - before
    assert(sends <= 16, sends .. " sends for 64 statements")
    postgres.eventually("there are not two connections", function() return db:stats().connections == 2 end)
  end)

  it("of a pool without pipelining go one at a time on a connection", function()
    open { pool = 2, pipeline = false }
    local tasks = {}
    for i = 1, 20 do tasks[i] = function() return db:value("select $1::int", i) end end
    local results = ml.gather(tasks)
    for i = 1, 20 do assert.equal(i, results[i]) end
  end)

  it("do not wait behind one that takes long, where another connection is free", function()
    open { pool = 3 }
    ml.gather { -- all three connections
      function() return db:value("select pg_sleep($1)", 0.05) end,
      function() return db:value("select pg_sleep($1)", 0.05) end,
      function() return db:value("select pg_sleep($1)", 0.05) end,
    }
    local long = ml.spawn(function() return db:value("select pg_sleep($1)", 60) end)
    postgres.eventually("it has not begun", function() return sessions():find "active" end)
    for i = 1, 100 do assert.equal(i, db:value("select $1::int", i)) end
    assert.equal("suspended", long:status())
    long:cancel()
  end)

  it("that fail do not harm those that were sent with them", function()
    open { pool = 1 }
    db:value "select 1"
    local tasks = {}
    for i = 1, 60 do
      tasks[i] = function()
        if i % 3 == 0 then
          local value, err = db:value("select 1 / $1::int", 0)
          assert.is_nil(value)
          assert.equal("22012", err.code)
        else
          assert.equal(i, db:value("select $1::int", i))
        end
      end
    end
    ml.gather(tasks)
  end)

  it("that are cancelled are ended by the server, and hit no other", function()
    open { pool = 1 }
    db:value("select pg_sleep($1)", 0)
    for round = 1, 10 do
      local long = ml.spawn(function() return db:value("select pg_sleep($1)", 60) end)
      local others = {}
      ml.sleep(0)
      for i = 1, 5 do others[i] = ml.spawn(function() return db:value("select $1::int from pg_sleep(0.001)", i) end) end
      if round % 2 == 0 then ml.sleep(0.01) else ml.sleep(0) end
      long:cancel()
      for i = 1, 5 do assert.equal(i, others[i]:await()) end
    end
    postgres.eventually("the connection is busy", function() return db:stats().idle == 1 end)
    assert.equal(0, db:stats().lost)
    assert(db:stats().cancels > 0) -- those that were not sent yet need none
    assert.equal("idle", sessions())
  end)

  it("that are cancelled before they are sent are not sent", function()
    open { pool = 1 }
    db:exec "create table if not exists never(i int)"
    local holder = ml.event()
    local tx = ml.spawn(function()
      local ok = db:tx(function() holder:wait() end)
      return ok
    end)
    postgres.eventually("it has no connection", function() return db:stats().leased == 1 end)
    local insert = ml.spawn(function() return db:exec "insert into never values (1)" end)
    ml.sleep(0)
    insert:cancel()
    holder:set()
    tx:await()
    assert.equal(0, db:value "select count(*) from never")
    assert.equal(0, db:stats().cancels)
  end)

  it("in a transaction that is cancelled leave no transaction and no lock", function()
    open { pool = 2 }
    db:exec "create table if not exists locked(id int primary key, n int)"
    db:exec "insert into locked values (1, 0)"
    for _ = 1, 5 do
      local task = ml.spawn(function()
        db:tx(function(tx)
          tx:exec "update locked set n = n + 1 where id = 1"
          tx:value("select pg_sleep($1)", 60)
        end)
      end)
      postgres.eventually("it does not sleep", function() return (sessions() or ""):find "active" end)
      task:cancel()
      ml.wait { task }
      assert.equal(1, db:exec "update locked set n = n + 0 where id = 1")
    end
    assert.equal(0, db:value "select n from locked")
    postgres.eventually("a connection is missing", function() return db:stats().idle == db:stats().connections end)
    assert.equal(0, tonumber(server:psql "select count(*) from pg_locks where mode = 'RowExclusiveLock'"))
  end)

  it("that take longer than `timeout` are an error, and ended", function()
    open { pool = 1, timeout = 1 }
    local value, err = db:value "select pg_sleep(60)"
    assert.is_nil(value)
    assert.equal("timeout", err.kind)
    assert(err.message:find("1 s", 1, true), err.message)
    assert.equal(1, db:value "select 1")
    assert.equal(0, db:stats().lost)
  end)

  it("that the server ends by its own limit are a timeout, too", function()
    db = ml.sql.open(server.url .. "&options=-c%20statement_timeout%3D1000")
    local _, err = db:value "select pg_sleep(60)"
    assert.equal("timeout", err.kind)
    assert.equal("57014", err.code)
  end)

  it("are prepared again where their result has changed", function()
    open { pool = 2 }
    db:exec "create table changing(a int)"
    db:exec "insert into changing values (1)"
    local function all()
      return ml.gather {
        function() return db:one "select * from changing" end, function() return db:one "select * from changing" end,
      }
    end
    all()
    db:exec "alter table changing add column b text default 'x'"
    local results = all()
    assert.same({ a = 1, b = "x" }, results[1])
    assert.same({ a = 1, b = "x" }, results[2])
    db:exec "alter table changing alter column a type text"
    assert.same({ a = "1", b = "x" }, db:one "select * from changing")
    db:exec "alter table changing drop column b"
    assert.same({ a = "1" }, db:one "select * from changing")
    for row in db:rows "select * from changing" do assert.same({ a = "1" }, row) end
    db:exec "alter table changing add column c int default 3"
    for row in db:rows "select * from changing" do assert.same({ a = "1", c = 3 }, row) end
    db:exec "deallocate all"
    assert.same({ a = "1", c = 3 }, db:one "select * from changing")
  end)

  it("are prepared again where a second connection finds fewer columns than the first was told of", function()
    open { pool = 2 }
    db:script [[drop table if exists narrowed; create table narrowed(a int, b text);
      insert into narrowed values (1, 'x')]]
    assert.same({ a = 1, b = "x" }, db:one "select * from narrowed")
    for row in db:rows "select a, b from narrowed" do assert.same({ a = 1, b = "x" }, row) end
    local other = ml.sql.open(server.url)
    other:exec "alter table narrowed drop column b"
    local over = ml.event()
    local holder = ml.spawn(function() -- has the first connection
      db:tx(function() over:wait() end)
    end)
    postgres.eventually("it has no connection", function() return db:stats().leased == 1 end)
    assert.same({ a = 1 }, db:one "select * from narrowed")
    other:exec "alter table narrowed add column b text default 'y', add column c int default 3"
    for row in db:rows "select * from narrowed" do assert.same({ a = 1, b = "y", c = 3 }, row) end
    over:set()
    holder:await()
    assert.same({ a = 1, b = "y", c = 3 }, db:one "select * from narrowed")
    other:close()
  end)

  it("of more kinds than are kept are forgotten, the oldest first", function()
    open { pool = 1 }
    for i = 1, 600 do assert.equal(i, db:value(("select %d + $1::int"):format(i), 0)) end
    assert(db:value "select count(*) from pg_prepared_statements" <= 257)
    for i = 1, 600, 7 do assert.equal(i, db:value(("select %d + $1::int"):format(i), 0)) end
  end)

  it("run while rows of another are read in the same transaction", function()
    open { pool = 1 }
    db:tx(function(tx)
      local n = 0
      for row in tx:rows "select i from generate_series(1, 300) i" do
        assert.equal(row.i, tx:value("select $1::int", row.i))
        n = n + 1
        for inner in tx:rows "select 1 as one" do assert.equal(1, inner.one) end
        if n == 250 then break end
      end
      assert.equal(250, n)
      assert.equal(5, tx:value "select 5")
    end)
    assert.equal(1, db:stats().idle)
  end)

  it("give their connection back where a loop over rows is cancelled, or its body fails", function()
    open { pool = 1 }
    for _ = 1, 3 do
      local task = ml.spawn(function()
        for _ in db:rows("select pg_sleep($1)", 60) do error "a row" end
      end)
      postgres.eventually("it has not begun", function() return (sessions() or ""):find "active" end)
      task:cancel()
      ml.wait { task }
      assert.equal(1, db:value "select 1")
      assert.is_false((pcall(function()
        for _ in db:rows "select generate_series(1, 100000)" do error "enough" end
      end)))
      assert.equal(2, db:value "select 2")
    end
    assert.equal(0, db:stats().lost)
  end)

  it("that find no connection because of a loop over rows are told where that is", function()
    open { pool = 1, acquire = 1 }
    db:value "select 1"
    for _ in db:rows "select generate_series(1, 1000)" do -- luacheck: ignore
      local value, err = db:value "select 1"
      assert.is_nil(value)
      assert.equal("pool", err.kind)
      assert(err.message:find "1 of 1 are in use: a loop over rows at .-pg_traffic_spec.lua:%d+ for", err.message)
      break
    end
    assert.equal(1, db:value "select 1")
  end)

  it("whose names a pooler has taken away are an error with a hint", function()
    open { pool = 1 }
    db:tx(function(tx)
      assert.equal(1, tx:value("select $1::int", 1))
      tx:exec "deallocate all"
      local value, err = tx:value("select $1::int", 1)
      assert.is_nil(value)
      assert.equal("26000", err.code)
      assert(err.hint:find("prepare = false", 1, true), err.hint)
      return nil, err
    end)
    assert.equal(1, db:value("select $1::int", 1))
  end)

  it("are refused on a connection whose rows are being read outside of a transaction", function()
    open { pool = 1 }
    db:session(function(conn)
      for row in conn:rows "select generate_series(1, 1000) as i" do
        local value, err = conn:value "select 1"
        assert.is_nil(value)
        assert.equal("busy", err.kind)
        if row.i == 3 then break end
      end
      assert.equal(1, conn:value "select 1")
    end)
  end)

  it("of 64 tasks with a pool of one are all answered, transactions among them", function()
    open { pool = 1, acquire = 60 }
    local tasks = {}
    for i = 1, 64 do
      tasks[i] = function()
        if i % 4 ~= 0 then return db:value("select $1::int", i) end
        return db:tx(function(tx) return tx:tx(function(inner) return inner:value("select $1::int", i) end) end)
      end
    end
    local results = ml.gather(tasks)
    for i = 1, 64 do assert.equal(i, results[i]) end
  end)

  it("come to those who listen, and a gap is told after a restart", function()
    open { pool = 1 }
    local got, ready = ml.queue(), ml.event()
    local listener = ml.spawn(function()
      for n in db:listen("jobs", 'odd "name"') do
        if n.gap then got:put "gap" else got:put(n.channel .. ":" .. n.payload) end
        ready:set()
      end
    end)
    postgres.eventually("it does not listen", function()
      return server:psql "select count(*) from pg_stat_activity where query ilike 'listen%odd%'" == "1"
    end)
    assert(db:notify("jobs", "one"))
    assert.equal("jobs:one", got:get())
    server:psql [[notify "odd ""name""", 'two']]
    assert.equal('odd "name":two', got:get())
    assert.equal(1, db:value "select 1") -- the pool of one is free
    server:stop()
    server:start()
    assert.equal("gap", got:get())
    assert(db:notify("jobs", "three"))
    assert.equal("jobs:three", got:get())
    listener:cancel()
  end)

  it("copy rows in and out", function()
    open { pool = 1 }
    db:exec "create table copied(id int, t text)"
    local i = 0
    assert.equal(20000, db:copy_in("copied", { "id", "t" }, function()
      i = i + 1
      if i <= 20000 then return { i, ("x"):rep(200) } end
    end))
    local bytes = 0
    for chunk in db:copy_out "copy copied to stdout" do bytes = bytes + #chunk end
    assert.equal(tonumber(server:psql "select sum(length(id::text) + length(t) + 2) from copied"), bytes)
    local ok, err = pcall(db.copy_in, db, "copied", { "id", "t" }, function() error "mine" end)
    assert.is_false(ok)
    assert(tostring(err):find("mine", 1, true))
    i = 0
    local n, why = db:copy_in("copied", { "id", "t" }, function()
      i = i + 1
      return { i < 100000 and i or "no number", "y" }
    end)
    assert.is_nil(n)
    assert.equal("22P02", why.code)
    assert.equal(20000, db:value "select count(*) from copied")
    db:tx(function(tx)
      assert.is_false((pcall(tx.copy_in, tx, "copied", { "id", "t" }, function() error "mine" end)))
      return nil, "rolled back"
    end)
    for _ in db:copy_out "copy (select generate_series(1, 10000000)) to stdout" do break end -- luacheck: ignore
    assert.equal(20000, db:value "select count(*) from copied")
    local _, refused = db:exec "copy copied from stdin"
    assert(refused.message:find("copy_in", 1, true), refused.message)
    assert.equal(20000, db:value "select count(*) from copied")
  end)

  it("that are a COPY may take longer than `timeout`, also until their first row", function()
    open { timeout = 0.5 }
    local text = ""
    for chunk in db:copy_out "copy (select 7 from pg_sleep(1.5)) to stdout" do text = text .. chunk end
    assert.equal("7\n", text)
    local none, err = db:value "select pg_sleep(60)"
    assert.is_nil(none)
    assert.equal("timeout", err.kind)
  end)

  it("of a cancelled COPY are not there", function()
    open { pool = 1 }
    db:exec "create table half(id int)"
    local never = ml.event()
    local task = ml.spawn(function()
      local i = 0
      return db:copy_in("half", { "id" }, function()
        i = i + 1
        if i == 5000 then never:wait() end
        return { i }
      end)
    end)
    postgres.eventually("it has not begun", function()
      return server:psql [[select count(*) from pg_stat_activity
        where query ilike 'copy%half%' and state = 'active']] == "1"
    end)
    task:cancel()
    ml.wait { task }
    assert.equal(0, db:value "select count(*) from half")
  end)

  it("go through pgbouncer in transaction mode, without prepared statements", function()
    local why = postgres.missing_pgbouncer()
    if why then return pending(why) end
    local bouncer <close> = postgres.bouncer(server)
    db = ml.sql.open(bouncer.url, { pool = 10, prepare = false })
    local show = "show idle_in_transaction_session_timeout"
    assert.equal("1min", db:tx(function(tx) return tx:value(show) end))
    assert.equal("0", db:value(show)) -- the sessions are others', too
    local tasks = {}
    for i = 1, 64 do
      tasks[i] = function()
        for k = 1, 5 do
          assert.equal(i * k, db:value("select $1::int * $2::int", i, k))
          assert.equal(i, db:tx(function(tx)
            tx:exec "set local application_name = 'x'"
            return tx:value("select $1::int", i)
          end))
        end
      end
    end
    ml.gather(tasks)
    assert.is_nil((ml.timeout(0.1, function() return db:value "select pg_sleep(60)" end)))
    local n = 0
    for _ in db:rows "select generate_series(1, 1000)" do n = n + 1 end
    assert.equal(1000, n)
    assert.equal(3, db:batch("insert into never values ($1)", { { 1 }, { 2 }, { 3 } }))
    postgres.eventually("the connections are busy", function() return db:stats().idle == db:stats().connections end)
    assert.equal("0", server:psql [[select count(*) from pg_stat_activity
      where query like '%pg_sleep(60)' and state = 'active' and pid <> pg_backend_pid()]])
  end)

  it("of a driver's lease that is forgotten is closed with it", function()
    local pool = pg.open({ url = server.url, pool = 1, acquire = 30 }, {})
    do
      local conn = pool:lease()
      assert.is_true((conn:simple "begin"))
      conn = nil -- luacheck: ignore
    end
    collectgarbage()
    collectgarbage()
    assert.equal(1, pool:value "select 1")
    pool:close()
  end)
end)
