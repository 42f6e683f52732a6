-- db:listen and db:notify.
local ml = require "moonloop"
local postgres = require "spec.support.postgres"

describe("notifications", function()
  local missing = postgres.missing()
  if missing then return it("are checked on a real server", function() pending(missing) end) end

  local server, db

  setup(function() server = postgres.start() end)
  teardown(function() server:close() end)
  before_each(function() db = ml.sql.open(server.url, { pool = 2 }) end)
  after_each(function() db:close() end)

  local function listeners()
    return tonumber(server:psql "select count(*) from pg_stat_activity where query like 'LISTEN%'")
  end

  --- Collects what comes until f(list) is true; the task, and an event that it has begun.
  local function collect(is_enough, ...)
    local list, begun = {}, ml.event()
    local channels = table.pack(...)
    local task = ml.spawn(function()
      local next_one, state, control, closing <close> = db:listen(table.unpack(channels, 1, channels.n))
      begun:set()
      for n in next_one, state, control do
        list[#list + 1] = n
        if is_enough(list) then break end
      end
      return list, closing and true
    end)
    begun:wait()
    return task, list
  end

  it("arrive in order, from all channels that were asked for", function()
    local task = collect(function(list) return #list == 3 end, "jobs", 'od"d Name')
    assert.is_true(db:notify("jobs", "one"))
    assert.is_true(db:notify('od"d Name', "two"))
    assert.is_true(db:notify("others", "no"))
    assert.is_true(db:notify "jobs")
    local list = task:await()
    local seen = {}
    for i, n in ipairs(list) do seen[i] = { n.channel, n.payload, n.gap } end
    assert.same({ { "jobs", "one" }, { 'od"d Name', "two" }, { "jobs", "" } }, seen)
  end)

  it("need the name of a channel", function()
    for _, wrong in ipairs { { "", "got ''" }, { 7, "got number" }, { nil, "the name of a channel expected" } } do
      local ok, err = pcall(db.listen, db, wrong[1])
      assert.is_false(ok)
      assert.matches(wrong[2], tostring(err), 1, true)
    end
    db:tx(function()
      local ok, err = pcall(db.notify, db, "jobs", "x")
      assert.is_false(ok)
      assert.matches("db:notify: this task holds a transaction .*: use tx:notify", tostring(err))
    end)
  end)

  it("of a transaction are sent when it is committed", function()
    local task = collect(function(list) return #list == 1 end, "jobs")
    db:tx(function(tx)
      assert(tx:notify("jobs", "lost"))
      return nil, "no"
    end)
    db:tx(function(tx) return tx:notify("jobs", "kept") end)
    assert.equal("kept", task:await()[1].payload)
  end)

  it("have a connection beside the pool, which is gone when the loop is left", function()
    local tasks = {}
    for i = 1, 4 do tasks[i] = collect(function() return true end, "jobs") end
    assert.equal(4, listeners())
    assert.equal(1, db:tx(function(tx) return tx:value "select 1" end))
    assert(db:notify "jobs")
    ml.wait(tasks)
    postgres.eventually("a listener is left", function() return listeners() == 0 end)
  end)

  it("do not outlive their task", function()
    local task = collect(function() return false end, "jobs")
    task:cancel()
    ml.catch(task.await, task)
    postgres.eventually("a listener is left", function() return listeners() == 0 end)
  end)

  it("tell of a gap when the connection was lost and made again", function()
    local gap = ml.event()
    local task = collect(function(list)
      if list[#list].gap then gap:set() end
      return list[#list].payload == "after"
    end, "jobs")
    assert(db:notify("jobs", "before"))
    server:psql "select pg_terminate_backend(pid) from pg_stat_activity where query like 'LISTEN%'"
    gap:wait()
    assert(db:notify("jobs", "after"))
    local seen = {}
    for i, n in ipairs(task:await()) do seen[i] = { n.gap, n.payload } end
    assert.same({ { nil, "before" }, { true, nil }, { nil, "after" } }, seen)
  end)

  it("tell of a gap after the server was away", function()
    local gap = ml.event()
    local task = collect(function(list)
      if list[#list].gap then gap:set() end
      return list[#list].payload == "after"
    end, "jobs")
    server:stop()
    server:start()
    gap:wait()
    assert.is_true(db:notify("jobs", "after"))
    local list = task:await()
    assert.equal("after", list[#list].payload)
  end)

  it("end with the database", function()
    local task = collect(function() return false end, "jobs")
    db:close()
    local ok, err = pcall(task.await, task)
    assert.is_false(ok)
    assert.equal("closed", err.kind)
  end)

  it("are raised as errors where there is no server", function()
    local away = ml.sql.open "postgres://nobody@127.0.0.1:1/none"
    local ok, err = pcall(function() for _ in away:listen "jobs" do error "unreachable" end end)
    assert.is_false(ok)
    assert.equal("network", err.kind)
    away:close()
  end)
end)
