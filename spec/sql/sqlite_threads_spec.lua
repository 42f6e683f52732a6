-- SQLite's threads: what is handed over together, leased connections, streams, and who is told what when a
-- wait ends early.
local ml = require "moonloop"
local sqlite = require "spec.support.sqlite"

local ENDLESS = sqlite.endless
local db, place

local function fails(kind, ...)
  local value, err = ...
  assert.is_nil(value)
  assert(ml.is_error(err), tostring(err))
  assert.equal(kind, err.kind, tostring(err))
  return err
end

--- Waits until f() is true.
local function eventually(what, f)
  assert(ml.timeout(100, function()
    while not f() do ml.sleep(0.002) end
    return true
  end), what)
end

--- What a task waits for, as ml.tasks() has it.
local function waits_for(task)
  for _, entry in ipairs(ml.tasks()) do
    if entry.id == task.id then return entry.waiting_for end
  end
end

--- Runs all functions at once: their first two results, in order.
local function together(list)
  local tasks, results = {}, {}
  for i, f in ipairs(list) do tasks[i] = ml.spawn(function() return table.pack(f()) end) end
  for i, task in ipairs(tasks) do results[i] = task:await() end
  return results
end

--- A lease that another task has taken: this one may wait for its end.
local function leased(pool, what)
  return assert(ml.spawn(function() return pool:lease(what) end):await())
end

local function setup(options)
  return function()
    db, place = sqlite.open(options)
    assert(db:exec "create table t(id integer primary key, name text unique, other integer references t(id)\z
      deferrable initially deferred)")
  end
end

local function teardown()
  db:close()
  place:close()
end

local function repeated(n, f)
  local list = {}
  for i = 1, n do list[i] = function() return f(i) end end
  return list
end

describe("what one pass asks for", function()
  before_each(setup())
  after_each(teardown)

  it("is one state of the database for its reads, and one transaction for its changes", function()
    -- Another connection's changes are counted by data_version: each commit is one more.
    local other = sqlite.again(place)
    local conn = assert(other:lease "read")
    local function version() return assert(conn:value "pragma data_version") end
    assert(conn:query "select * from t")
    local before = version()
    local results = together(repeated(50, function(i) return db:exec("insert into t(id) values ($1)", i) end))
    for _, result in ipairs(results) do assert.equal(1, result[1]) end
    assert.equal(before + 1, version())
    assert.equal(50, conn:value "select count(*) from t")
    conn:release()
    other:close()
  end)

  it("gives each its own answer", function()
    local results = together(repeated(200, function(i)
      if i % 3 == 0 then return db:value("insert into t(id, name) values ($1, $2) returning name", i, "n" .. i) end
      return db:value("select 'n' || $1", i)
    end))
    for i, result in ipairs(results) do assert.equal("n" .. i, result[1]) end
  end)

  it("lets the others stand where one change fails", function()
    local results = together(repeated(40, function(i)
      return db:exec("insert into t(id, name) values ($1, $2)", i, "n" .. i % 30)
    end))
    for i, result in ipairs(results) do
      if i <= 30 then
        assert.equal(1, result[1])
      else
        assert.equal("unique", result[2].kind)
      end
    end
    assert.equal(30, db:value "select count(*) from t")
  end)

  it("runs the changes again one by one where their commit fails", function()
    local results = together {
      function() return db:exec "insert into t(id) values (1)" end,
      function() return db:exec "insert into t(id, other) values (2, 99)" end, -- seen at the commit
      function() return db:exec "insert into t(id, other) values (3, 1)" end,
    }
    assert.equal(1, results[1][1])
    assert.equal("foreign_key", results[2][2].kind)
    assert.equal(1, results[3][1])
    assert.same({ { id = 1 }, { id = 3, other = 1 } }, { table.unpack(db:query "select id, other from t order by id") })
  end)

  it("runs the changes again one by one where one of them rolls all back", function()
    assert(db:exec "create table u(id integer primary key on conflict rollback)")
    local results = together {
      function() return db:exec "insert into t(id) values (1)" end,
      function() return db:exec "insert into u values (5)" end,
      function() return db:exec "insert into u values (5)" end,
      function() return db:exec "insert into t(id) values (2)" end,
    }
    assert.same({ 1, 1, 1 }, { results[1][1], results[2][1], results[4][1] })
    assert.equal("unique", results[3][2].kind)
    assert.equal(2, db:value "select count(*) from t")
    assert.equal(1, db:value "select count(*) from u")
  end)

  it("does not wait for a read that takes long", function()
    local slow = ml.spawn(function() return db:query(ENDLESS) end)
    eventually("it does not run", function() return db:stats().busy > 0 end)
    local results = together(repeated(20, function(i) return db:value("select $1", i) end))
    for i, result in ipairs(results) do assert.equal(i, result[1]) end
    assert.equal("suspended", slow:status())
    slow:cancel()
    ml.wait { slow }
  end)

  it("does not wait for a read of the same pass that takes long", function()
    local slow
    local list = repeated(20, function(i) return db:value("select $1", i) end)
    table.insert(list, 1, function()
      slow = ml.current()
      return db:query(ENDLESS)
    end)
    table.insert(list, function() -- ends the slow one when the others have ended
      eventually("the others wait", function()
        local waiting = 0
        for _, entry in ipairs(ml.tasks()) do
          if (entry.waiting_for or ""):find("select $1", 1, true) then waiting = waiting + 1 end
        end
        return waiting == 0
      end)
      slow:cancel()
    end)
    pcall(together, list)
  end)

  it("shows in ml.tasks() as the statement", function()
    local task = ml.spawn(function() return db:query("with recursive c(x) as (select 1\n  union all select x + $1 \z
      from c) select count(*) from c", 1) end)
    ml.sleep(0)
    assert.equal("with recursive c(x) as (select 1 union all select x + $1 from c) select count(*) from c",
      waits_for(task))
    task:cancel()
    ml.wait { task }
    task = ml.spawn(function() return db:query("with recursive c(x) as (select 1\n  union all select x + :one \z
      from c) select count(*) from c", { one = 1 }) end)
    ml.sleep(0)
    assert.equal("with recursive c(x) as (select 1 union all select x + :one from c) select count(*) from c",
      waits_for(task))
    task:cancel()
    ml.wait { task }
  end)
end)

describe("a wait that ends early", function()
  before_each(setup { pool = 2 })
  after_each(teardown)

  it("is woken at once by a cancel, and the statement stops", function()
    local task = ml.spawn(function() return db:query(ENDLESS) end)
    eventually("it does not run", function() return db:stats().busy > 0 end)
    task:cancel()
    ml.wait { task }
    assert.equal("cancelled", task:status())
    eventually("the statement goes on", function() return db:stats().busy == 0 end)
    assert.equal(1, db:value "select 1")
  end)

  it("is no different for a statement whose rows take few instructions", function()
    local rows = {}
    for i = 1, 1000 do rows[i] = { i } end
    assert(db:batch("insert into t(id) values ($1)", rows))
    local columns = {}
    for i = 1, 8 do
      columns[i] = i % 2 == 0 and "a.id" or "1"
      local sql = ("select %s from t a, t b, t c, t d"):format(table.concat(columns, ", "))
      local conn = leased(db, "read")
      local tasks = { ml.spawn(function() return db:query(sql) end), ml.spawn(function() return conn:simple(sql) end) }
      eventually("they do not run", function() return db:stats().busy == 2 end)
      for _, task in ipairs(tasks) do task:cancel() end
      eventually("one goes on with " .. i .. " columns", function()
        return db:stats().busy == db:stats().leased
      end)
      assert.equal(1, conn:value "select 1")
      conn:release()
    end
  end)

  it("drops a statement that has not begun", function()
    local conn = assert(db:lease "write")
    local waiting = ml.spawn(function() return db:exec "insert into t(id) values (1)" end)
    ml.sleep(0)
    waiting:cancel()
    ml.wait { waiting }
    conn:release()
    local dropped = ml.spawn(function() return db:exec "insert into t(id) values (2)" end)
    local killer = ml.spawn(function() dropped:cancel() end) -- in the same pass
    ml.wait { dropped, killer }
    assert.equal(0, db:value "select count(*) from t")
  end)

  it("breaks off no other change of the same transaction", function()
    local endless
    local results = together {
      function() return db:exec "insert into t(id) values (1)" end,
      function()
        endless = ml.current()
        return ml.catch(db.exec, db, "insert into t(name) " .. ENDLESS)
      end,
      function() return db:exec "insert into t(id) values (2)" end,
      function()
        eventually("it does not run", function() return db:stats().busy > 0 end)
        endless:cancel()
        return 1
      end,
    }
    assert.equal(1, results[1][1])
    assert.equal(1, results[3][1])
    assert.same({ { id = 1 }, { id = 2 } }, { table.unpack(db:query "select id from t order by id") })
  end)

  it("ends at a deadline, which is raised", function()
    local ok, err = pcall(function()
      local _ <close> = ml.deadline(0.05)
      db:query(ENDLESS)
    end)
    assert.is_false(ok)
    assert.equal("timeout", err.kind)
    assert.equal(1, db:value "select 1")
  end)

  it("ends after `timeout`, which is returned", function()
    local limited = sqlite.again(place, { timeout = 1 })
    local err = fails("timeout", limited:query(ENDLESS))
    assert(err.message:find("1 s", 1, true), err.message)
    assert.equal(ENDLESS, err.sql)
    assert.equal(1, limited:value "select 1")
    limited:close()
  end)

  it("ends when the database is closed, which is told to all", function()
    local conn = leased(db, "write")
    local tasks = {}
    for i, f in ipairs {
      function() return db:query(ENDLESS) end,
      function() return db:exec "insert into t(id) values (1)" end,
      function() return db:lease "write" end,
      function() return conn:query(ENDLESS) end,
    } do tasks[i] = ml.spawn(f) end
    ml.sleep(0)
    db:close()
    for _, task in ipairs(tasks) do fails("closed", task:await()) end
    fails("closed", db:query "select 1")
    assert.equal("closed", conn:state())
    conn:release()
  end)
end)

describe("a leased connection", function()
  before_each(setup())
  after_each(teardown)

  it("has its own transaction, which others do not see before its commit", function()
    local conn <close> = assert(db:lease "write")
    assert.equal("idle", conn:state())
    assert(conn:simple "begin immediate")
    assert.equal("transaction", conn:state())
    assert.equal(1, conn:exec "insert into t(id) values (1)")
    assert.equal(0, db:value "select count(*) from t")
    assert.equal(1, conn:value "select count(*) from t")
    assert(conn:simple "commit")
    assert.equal("idle", conn:state())
    assert.equal(1, db:value "select count(*) from t")
  end)

  it("runs the statements of several tasks in order", function()
    local conn <close> = assert(db:lease "write")
    assert(conn:simple "begin immediate")
    local results = together(repeated(30, function(i)
      return conn:value("insert into t(id) values ($1) returning (select count(*) from t)", i)
    end))
    for i, result in ipairs(results) do assert.equal(i, result[1]) end
    assert(conn:simple "commit")
  end)

  it("is waited for in order, changes and leases alike", function()
    local conn = leased(db, "write")
    local function change() return ml.spawn(function() assert(db:exec "insert into t default values") end) end
    local tasks = { change(), ml.spawn(function()
      local own = assert(db:lease "write")
      assert.equal(1, own:value "select count(*) from t")
      own:release()
    end), change() }
    eventually("they do not wait", function() return db:stats().waiting == 3 end)
    conn:release()
    for _, task in ipairs(tasks) do task:await() end
    assert.equal(2, db:value "select count(*) from t")
  end)

  it("that is not had within `acquire` is an error that names who has it", function()
    local hasty = sqlite.again(place, { acquire = 1 })
    local conn = assert(hasty:lease "write")
    local err = fails("pool", ml.spawn(function() return hasty:exec "insert into t(id) values (1)" end):await())
    assert(err.message:find("1 s", 1, true) and err.message:find("sqlite_threads_spec.lua:%d+"), err.message)
    conn:release()
    assert.equal(1, hasty:exec "insert into t(id) values (1)")
    hasty:close()
  end)

  it("is had behind a pass that took longer than `acquire`, where its holder had finished meanwhile", function()
    local hasty = sqlite.again(place, { acquire = 1, timeout = 1 })
    local holder = ml.spawn(function()
      local conn <close> = assert(hasty:lease "write")
      ml.sleep(0)
      return conn:exec "insert into t(id) values (1)"
    end)
    ml.sleep(0) -- it has it
    local other = ml.spawn(function() return hasty:exec "insert into t(id) values (2)" end)
    for _ = 1, 3 do ml.sleep(0) end -- the statement is handed over at the end of a pass
    os.execute "sleep 1.3"
    assert.equal(1, holder:await())
    assert.same({ 1 }, { other:await() })
    hasty:close()
  end)

  it("that the task itself holds up is refused at once", function()
    local conn <close> = assert(db:lease "write")
    local err = fails("pool", db:lease "write")
    assert(err.message:find("wait for itself", 1, true), err.message)
    assert.equal("idle", conn:state())
    fails("pool", ml.spawn(function() return db:lease "write" end):await())
    local reader <close> = assert(db:lease "read")
    assert.equal(1, reader:value "select 1")
  end)

  it("is whole for the next one, whatever its holder has left", function()
    local holder = assert(db:lease "write")
    assert(holder:simple "begin immediate; insert into t(id) values (1)")
    local next, state = holder:rows "select 1 as one union all select 2"
    assert.equal(1, next(state).one)
    holder:release()
    local conn <close> = assert(db:lease "write")
    assert.equal("idle", conn:state())
    assert.equal(0, conn:value "select count(*) from t")
  end)

  it("is another one after discard", function()
    local conn = assert(db:lease "write")
    assert(conn:simple "create temp table mine(a); begin immediate")
    conn:discard()
    assert.has_error(function() conn:query "select 1" end)
    conn = assert(db:lease "write")
    assert.equal("idle", conn:state())
    fails("syntax", conn:query "select * from mine")
    conn:release()
  end)

  it("that only reads cannot change anything", function()
    local conn <close> = assert(db:lease "read")
    assert(conn:simple "begin")
    local err = fails("sql", conn:exec "insert into t(id) values (1)")
    assert.equal("SQLITE_READONLY", err.code)
  end)

  it("whose transaction SQLite has rolled back commits nothing until its holder has heard of it", function()
    local conn <close> = assert(db:lease "write")
    assert(db:value "select 1")
    assert(conn:simple "begin immediate")
    local results = together {
      function() return conn:exec "insert or rollback into t(id) values (1)" end,
      function() return conn:exec "insert or rollback into t(id) values (1)" end,
      function() return conn:exec "insert into t(id) values (2)" end,
    }
    assert.equal(1, results[1][1])
    assert.equal("unique", results[2][2].kind)
    assert(results[3][2].message:find("rolled back", 1, true), results[3][2].message)
    assert.equal("failed", conn:state())
    fails("sql", conn:simple "commit")
    assert(conn:simple "rollback")
    assert.equal("idle", conn:state())
    assert.equal(0, db:value "select count(*) from t")
    assert.equal(1, conn:exec "insert into t(id) values (3)")
  end)

  it("goes on after an error that ends no transaction", function()
    local conn <close> = assert(db:lease "write")
    assert(conn:simple "begin immediate")
    assert(conn:exec "insert into t(id) values (1)")
    fails("unique", conn:exec "insert into t(id) values (1)")
    assert(conn:simple "commit")
    assert.equal(1, db:value "select count(*) from t")
  end)

  it("runs a batch inside of its transaction as a part that fails by itself", function()
    local conn <close> = assert(db:lease "write")
    assert(conn:simple "begin immediate")
    assert(conn:exec "insert into t(id) values (1)")
    fails("unique", conn:batch("insert into t(id) values ($1)", { { 2 }, { 1 } }))
    assert.equal(2, conn:batch("insert into t(id) values ($1)", { { 3 }, { 4 } }))
    assert(conn:simple "commit")
    assert.equal("1,3,4", db:value "select group_concat(id) from t")
  end)

  it("runs several statements of a script, triggers too", function()
    local conn <close> = assert(db:lease "write")
    assert(conn:simple [[create table a(x); create table b(x);
      create trigger copy after insert on a begin insert into b values (new.x); insert into b values (0); end;
      insert into a values (7); -- the end]])
    assert.equal(2, db:value "select count(*) from b")
    fails("syntax", conn:simple "create table c(x); insert into nowhere values (1)")
  end)
end)

describe("a stream of rows", function()
  before_each(setup { pool = 3 })
  after_each(teardown)

  local MANY = [[with recursive c(x) as (select 1 union all select x + 1 from c where x < $1)
    select x, 'a text of some length' as text from c]]

  it("gives all rows in order", function()
    local n = 0
    for row in db:rows(MANY, 20000) do
      n = n + 1
      assert.equal(n, row.x)
    end
    assert.equal(20000, n)
    eventually("it keeps its connection", function() return db:stats().leased == 0 end)
  end)

  it("reads ahead of a slow loop by some rows only", function()
    local n = 0
    for row in db:rows(MANY, 1e9) do -- would never end, or fill the memory
      n = row.x
      if n == 5000 then break end
    end
    assert.equal(5000, n)
    eventually("it keeps its connection", function() return db:stats().leased == 0 and db:stats().busy == 0 end)
  end)

  it("raises an error, and closes itself", function()
    local ok, err = pcall(function() for _ in db:rows "select * from nowhere" do end end)
    assert.is_false(ok)
    assert.equal("syntax", err.kind)
    assert.equal("select * from nowhere", err.sql)
    eventually("it keeps its connection", function() return db:stats().leased == 0 end)
  end)

  it("may change what it gives", function()
    local ids = {}
    for row in db:rows("insert into t(name) values ($1), ($2) returning id", "a", "b") do ids[#ids + 1] = row.id end
    assert.same({ 1, 2 }, ids)
    for row in db:rows "with n(x) as (select 'c') insert into t(name) select x from n returning id" do
      ids[#ids + 1] = row.id
    end
    assert.same({ 1, 2, 3 }, ids)
    assert.equal(3, db:value "select count(*) from t")
  end)

  it("lets other statements of its transaction run meanwhile", function()
    assert(db:exec "insert into t(id) values (1), (2), (3)")
    local conn <close> = assert(db:lease "write")
    assert(conn:simple "begin immediate")
    for row in conn:rows "select id from t order by id" do
      assert(conn:exec("update t set name = $1 where id = $2", "n" .. row.id, row.id))
      assert.equal("n" .. row.id, conn:value("select name from t where id = $1", row.id))
    end
    assert(conn:simple "commit")
    assert.equal("n1,n2,n3", db:value "select group_concat(name) from (select name from t order by id)")
  end)

  it("that is cancelled breaks off no other statement of its connection", function()
    local conn <close> = assert(db:lease "write")
    assert(conn:simple "begin immediate")
    assert(conn:exec "insert into t(id) values (1)")
    for row in conn:rows(MANY, 5000) do
      if row.x == 2 then
        local other = ml.spawn(function() for _ in conn:rows(ENDLESS) do end end)
        eventually("it does not run", function() return db:stats().busy > 0 end)
        other:cancel()
        ml.wait { other }
        assert.equal(1, conn:value "select count(*) from t")
      end
    end
    assert(conn:simple "commit")
    assert.equal(1, db:value "select count(*) from t")
  end)

  it("leaves reads a connection where it has the only one that reads", function()
    local small = sqlite.again(place, { pool = 1, acquire = 60 })
    local seen = {}
    for a in small:rows(MANY, 1e6) do -- of which few are here at a time
      assert.equal(a.x, small:value("select $1", a.x))
      for b in small:rows(MANY, 1e6) do
        seen[#seen + 1] = a.x * b.x
        local next, state, _, closing = small:rows(MANY, 1e6)
        local ok, err = pcall(next, state) -- fails at once
        assert.is_false(ok)
        assert.equal("pool", err.kind)
        assert.equal(closing, state)
        if b.x == 2 then break end
      end
      if a.x == 2 then break end
    end
    assert.same({ 1, 2, 2, 4 }, seen)
    small:close()
  end)

  it("is open as long as somebody may ask for rows, and gone with the collector", function()
    local next, state = db:rows(MANY, 1e6)
    assert.equal(1, next(state).x)
    assert.equal(1, db:stats().leased)
    next, state = nil, nil
    collectgarbage()
    collectgarbage()
    eventually("it keeps its connection", function() return db:stats().leased == 0 end)
    assert.is_nil(next and state)
  end)
end)

describe("a database in memory", function()
  it("is one, whatever runs on it", function()
    local memory = require("moonloop.sql.sqlite").open { memory = true }
    assert(memory:exec "create table t(id integer primary key)")
    together(repeated(20, function(i) return memory:exec("insert into t values ($1)", i) end))
    assert.equal(20, memory:value "select count(*) from t")
    local n = 0
    for row in memory:rows "select id from t order by id" do n = n + row.id end
    assert.equal(210, n)
    local conn = assert(memory:lease "write")
    assert(conn:simple "begin immediate")
    conn:discard()
    assert.equal(20, memory:value "select count(*) from t")
    memory:close()
  end)
end)

describe("reads on the loop", function()
  it("give the same answers, and what takes long goes to a thread", function()
    local inline
    inline, place = sqlite.open { inline = true }
    assert(inline:exec "create table t(id integer primary key)")
    assert.equal(3, inline:exec "insert into t values (1), (2), (3)")
    assert.equal(0, inline:stats().connections - 1)
    assert.equal(3, inline:value "select count(*) from t")
    assert.equal(1, inline:stats().connections)
    assert.same({ id = 2 }, inline:one("select * from t where id = $1", 2))
    fails("syntax", inline:query "select * from nowhere")
    assert.equal(4, inline:value "with n(x) as (select 4) insert into t select x from n returning id")
    local ticks, ended = 0, false
    local ticker = ml.spawn(function()
      while not ended do
        ticks = ticks + 1
        ml.sleep(0.001)
      end
    end)
    local limited = sqlite.again(place, { inline = true, timeout = 1 })
    fails("timeout", limited:query(ENDLESS))
    ended = true
    ticker:await()
    assert(ticks > 3, "the loop was held up")
    limited:close()
    inline:close()
    place:close()
  end)
end)
