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

describe("notifications that nobody takes", function()
  if postgres.missing() then return end -- libpq may be, too

  local function message(type, body) return type .. (">I4"):pack(#body + 4) .. body end

  local ready = message("C", "LISTEN\0") .. message("Z", "I")
  local greeting = message("R", (">I4"):pack(0)) .. message("S", "DateStyle\0ISO, MDY\0")
    .. message("K", (">I4I4"):pack(1, 2)) .. message("Z", "I")
  local NOTES, SIZE = 8192, 8000 -- 64 MB

  --- A server that sends so many notifications to who says LISTEN, and to who asks for anything else; `server.sent`
  -- counts them.
  --- A server that sends `notes` notifications with payloads of `size` bytes, `at_once` of them in one piece.
  local function flooding(notes, size, at_once)
    local server = { sent = 0 }
    local note = message("A", (">I4"):pack(1) .. "news\0" .. ("x"):rep(size) .. "\0"):rep(at_once)
    server.net = assert(ml.net.listen("127.0.0.1", 0, function(conn)
      conn:read((">I4"):unpack(conn:read(4)) - 4)
      conn:write(greeting)
      while true do
        local head = conn:read(5)
        if not head or #head < 5 then return end
        local text = conn:read((">I4"):unpack(head, 2) - 4) or ""
        if head:sub(1, 1) == "Q" then conn:write(ready) end
        while text:find "LISTEN" and server.sent < notes do
          if not conn:write(note) then return end
          server.sent = server.sent + at_once
        end
      end
    end))
    server.url = ("postgres://me@127.0.0.1:%d/db?sslmode=disable"):format(select(2, server.net:address()))
    return server
  end

  it("wait at the server, where a listener does not keep up", function()
    local server = flooding(NOTES, SIZE, 1)
    local database = ml.sql.open(server.url)
    local got, go = 0, ml.event()
    local listener = ml.spawn(function()
      for note in database:listen "news" do
        assert.equal(SIZE, #note.payload)
        got = got + 1
        go:wait()
        if got == NOTES then return end
      end
    end)
    local last, quiet = -1, 0
    while quiet < 20 and server.sent < NOTES do -- what the system's buffers take may take a while
      quiet = server.sent == last and server.sent > 0 and quiet + 1 or 0
      last = server.sent
      ml.sleep(0.01)
    end
    assert.is_true(server.sent < NOTES // 2, server.sent)
    go:set()
    listener:await()
    assert.equal(NOTES, got)
    database:close()
    server.net:stop(0)
  end)

  it("let others have their turn, however many have come", function()
    local server = flooding(100000, 1, 20000)
    local database = ml.sql.open(server.url)
    local taken, before, most = 0, 0, 0
    local other = ml.spawn(function()
      while true do
        ml.sleep(0)
        most, before = math.max(most, taken - before), taken
      end
    end)
    for _ in database:listen "news" do -- luacheck: ignore
      taken = taken + 1
      if taken == 100000 then break end
    end
    other:cancel()
    assert.is_true(most <= 2000, most .. " in a pass")
    database:close()
    server.net:stop(0)
  end)
end)
