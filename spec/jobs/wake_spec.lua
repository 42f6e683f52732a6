-- Wake-ups of workers.
local ml = require "moonloop"
local process = require "spec.support.process"
local sql = require "spec.support.sql"
local transaction = require "moonloop.sql.transaction"
local wake = require "moonloop.jobs.wake"

-- A listener that keeps what it was called with; calls.wait(f) waits until f(calls) is true.
local function listen(db)
  local calls, changed = {}, ml.event()
  local stop = wake.subscribe(db, function(lanes)
    for lane in pairs(lanes or { any = 0 }) do calls[#calls + 1] = lane end
    changed:set()
  end)
  local listener = setmetatable({}, { __close = stop })
  function calls.wait(f)
    while not f(calls) do
      changed:wait()
      changed:clear()
    end
  end
  return listener, calls, stop
end

-- Pushes until one has been heard of.
local function push_until_heard(db, lane, calls)
  local before = #calls
  while #calls == before do
    wake.pushed(db, { [lane] = 0 })
    ml.sleep(0.01)
  end
end

local function has(lane)
  return function(calls)
    for _, call in ipairs(calls) do if call == lane then return true end end
  end
end

sql.on_each("a wake-up", function(place, kind)
  it("comes at once to those who listen in this Lua state", function()
    local db = place():open { pool = 2 }
    local listener <close>, calls = listen(db)
    wake.pushed(db, { ["mails"] = 0 })
    assert.equal("mails", calls[1])
    assert.is_true(listener ~= nil)
  end)

  it("comes after the commit, and not after a rollback", function()
    local db = place():open { pool = 3 }
    assert(db:script "create table if not exists t (i integer)")
    local calls = {}
    local listener <close> = setmetatable({}, { __close = wake.subscribe(db, function(lanes)
      for lane in pairs(lanes or {}) do calls[#calls + 1] = lane end
    end) })
    local function push(lane, tx)
      transaction.after_commit(tx, function() wake.pushed(db, { [lane] = 0 }) end)
    end
    db:tx(function(tx)
      push("one", tx)
      tx:tx(function(inner)
        push("two", inner)
        return nil, "no"
      end)
      tx:tx(function(inner)
        push("three", inner)
        return true
      end)
      assert.same({}, calls)
      return true
    end)
    assert.same({ "one", "three" }, { calls[1], calls[2] })
    db:tx(function(tx)
      push("four", tx)
      return nil, "no"
    end)
    local tx = assert(db:begin())
    push("five", tx)
    assert(tx:commit())
    wake.pushed(db, { ["six"] = 0 })
    local seen = {}
    for _, lane in ipairs(calls) do seen[lane] = true end
    assert.same({ one = true, three = true, five = true, six = true }, seen)
    assert.is_true(listener ~= nil)
  end)

  it("is not for who has closed", function()
    local db = place():open { pool = 2 }
    local _, calls, listener = listen(db)
    listener()
    listener()
    wake.pushed(db, { ["mails"] = 0 })
    assert.equal(0, #calls)
  end)

  if kind.driver == "sqlite" then
    it("comes when another process has changed the file", function()
      local db = place():open { pool = 2 }
      assert(db:script "create table if not exists t (i integer)")
      local listener <close>, calls = listen(db)
      while #calls == 0 do -- until the file is watched
        process.run(([[
          local db = ml.sql.open(%q)
          assert(db:exec "insert into t values (1)")
          db:close()
        ]]):format(place().url))
        ml.sleep(0.01)
      end
      calls.wait(has "any")
      assert.is_true(listener ~= nil)
    end)

    it("of a database in memory comes from the same database alone", function()
      local db, other = ml.sql.open "sqlite::memory:", ml.sql.open "sqlite::memory:"
      local listener <close>, calls = listen(db)
      wake.pushed(other, { ["others"] = 0 })
      wake.pushed(db, { ["own"] = 0 })
      assert.same({ "own" }, { calls[1], calls[2] })
      assert.is_true(listener ~= nil)
      db:close()
      other:close()
    end)
    return
  end

  -- A database by another URL hears of it by the server alone.
  local function apart()
    return place():open { pool = 2 }, ml.sql.open(place().server.tcp_url, { pool = 1 })
  end

  it("comes to other processes", function()
    local db, other = apart()
    local listener <close>, calls = listen(other)
    push_until_heard(db, "mails", calls)
    assert.equal("mails", calls[1])
    assert.is_true(listener ~= nil)
    other:close()
  end)

  it("of many pushes is one a lane and 10 ms", function()
    local db, other = apart()
    local seen = { a = 0, b = 0, last = 0 }
    local listening, over = ml.event(), ml.event()
    local task = ml.spawn(function()
      local next_one, state, control, closing <close> = other:listen "moonloop_jobs"
      listening:set()
      for note in next_one, state, control do
        seen[note.payload] = seen[note.payload] + 1
        if note.payload == "last" then break end
      end
      over:set()
      return closing
    end)
    listening:wait()
    local began = ml.now()
    for i = 1, 2000 do
      wake.pushed(db, { [i % 2 == 0 and "a" or "b"] = 0 })
      if i % 20 == 0 then ml.sleep(0) end
    end
    ml.sleep(0.05)
    wake.pushed(db, { ["last"] = 0 })
    over:wait()
    task:await()
    local most = (ml.now() - began) * 100 + 2
    assert.is_true(seen.a >= 1 and seen.a <= most)
    assert.is_true(seen.b >= 1 and seen.b <= most)
    other:close()
  end)

  it("is sent although the task that pushed was cancelled", function()
    local db, other = apart()
    local listener <close>, calls = listen(other)
    push_until_heard(db, "first", calls)
    local pushed = ml.event()
    local task = ml.spawn(function()
      wake.pushed(db, { ["second"] = 0 })
      wake.pushed(db, { ["third"] = 0 })
      pushed:set()
      ml.sleep(100)
    end)
    pushed:wait()
    task:cancel()
    calls.wait(has "second")
    calls.wait(has "third")
    assert.is_true(listener ~= nil)
    other:close()
  end)

  it("may be lost with the connection of the listener, which then looks everywhere", function()
    local db, other = apart()
    local listener <close>, calls = listen(other)
    push_until_heard(db, "first", calls)
    place().server:psql [[select pg_terminate_backend(pid) from pg_stat_activity
      where query ilike 'listen%' and pid <> pg_backend_pid()]]
    calls.wait(has "any")
    repeat push_until_heard(db, "again", calls) until has "again" (calls)
    assert.is_true(listener ~= nil)
    other:close()
  end)
end)
