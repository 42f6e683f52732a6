-- SQLite's files: what is wrong with one is said with its path; other processes use it, too, or are killed.
local lfs = require "lfs"
local ml = require "moonloop"
local folders = require "spec.support.folder"
local processes = require "spec.support.process"
local driver = require "moonloop.sql.sqlite"
local sqlite = require "spec.support.sqlite"

local function fails(kind, code, ...)
  local value, err = ...
  assert.is_nil(value)
  assert(ml.is_error(err), tostring(err))
  assert.equal(kind, err.kind, tostring(err))
  assert.equal(code, err.code, tostring(err))
  return err
end

local function says(err, ...)
  for _, words in ipairs { ... } do assert(err.message:find(words, 1, true), err.message) end
end

describe("a file that is no good", function()
  it("is an error that names it and its folder where that is missing", function()
    local place <close> = folders.new {}
    local path = place.path .. "/none/app.db"
    local db = driver.open { path = path }
    says(fails("sql", "SQLITE_CANTOPEN", db:query "select 1"), path, "there is no folder " .. place.path .. "/none")
    says(fails("sql", "SQLITE_CANTOPEN", db:exec "create table t(a)"), path)
    assert(lfs.mkdir(place.path .. "/none"))
    assert.equal(1, db:value "select 1") -- it is tried again
    db:close()
  end)

  it("is an error where it is a folder", function()
    local place <close> = folders.new {}
    local db = driver.open { path = place.path }
    local value, err = db:query "select 1"
    assert.is_nil(value)
    assert.equal("sql", err.kind)
    says(err, place.path, "it is a folder")
    db:close()
  end)

  it("is an error where it is no database", function()
    local file <close> = folders.file(("no database at all. "):rep(100))
    local db = driver.open { path = file.path }
    for _, sql in ipairs { "select 1", "create table t(a)" } do
      says(fails("sql", "SQLITE_NOTADB", db:query(sql)), file.path, "not a database")
    end
    db:close()
  end)

  it("is an error where it is corrupt, and does not harm what can be read", function()
    local db, place = sqlite.open()
    assert(db:exec "create table t(id integer primary key, text text)")
    assert(db:exec "create table u(a)")
    local rows = {}
    for i = 1, 2000 do rows[i] = { i, ("text "):rep(20) } end
    assert(db:batch("insert into t values ($1, $2)", rows))
    assert(db:query "pragma wal_checkpoint(truncate)")
    db:close()
    ml.timeout(100, function() while lfs.attributes(place.database .. "-wal") do ml.sleep(0.002) end end)
    local file = assert(io.open(place.database, "r+b"))
    local size = file:seek "end"
    for at = 4096 * 4, size - 4096, 4096 do
      file:seek("set", at)
      file:write(("\xff"):rep(64))
    end
    file:close()
    local again = sqlite.again(place)
    says(fails("sql", "SQLITE_CORRUPT", again:query "select * from t"), place.database, "malformed")
    assert.equal(0, again:value "select count(*) from u")
    again:close()
    place:close()
  end)

  it("is an error where it must not be written", function()
    local db, place = sqlite.open()
    assert(db:exec "create table t(a)")
    local reading = sqlite.again(place, { mode = "ro" })
    assert.equal(0, reading:value "select count(*) from t")
    says(fails("sql", "SQLITE_READONLY", reading:exec "insert into t values (1)"), place.database)
    reading:close()
    local missing = driver.open { path = place.path .. "/other.db", mode = "rw" }
    says(fails("sql", "SQLITE_CANTOPEN", missing:query "select 1"), place.path .. "/other.db")
    assert.is_nil(lfs.attributes(place.path .. "/other.db"))
    missing:close()
    db:close()
    place:close()
  end)

  it("is an error where it is full, and can be used afterwards", function()
    local db, place = sqlite.open()
    assert(db:exec "create table t(a)")
    assert(db:query "pragma max_page_count = 20")
    local data = ("x"):rep(200000)
    says(fails("sql", "SQLITE_FULL", db:exec("insert into t values ($1)", data)), place.database, "full")
    local tasks = {}
    for i = 1, 10 do
      tasks[i] = ml.spawn(function() return db:exec("insert into t values ($1)", i == 5 and data or i) end)
    end
    for i, task in ipairs(tasks) do
      if i == 5 then fails("sql", "SQLITE_FULL", task:await()) else assert.equal(1, task:await()) end
    end
    assert.equal(9, db:value "select count(*) from t")
    db:close()
    place:close()
  end)

end)

-- Another process, which runs this code with `db` open on the file.
local function another(place, code)
  local script = place.path .. "/other.lua"
  folders.write(script, ([[
    local ml = require "moonloop"
    local db = require("moonloop.sql.sqlite").open { path = %q, synchronous = "normal" }
    io.stdout:setvbuf "line"
    %s
  ]]):format(place.database, code))
  return processes.start("run --block-limit 0 " .. processes.quote(script))
end

describe("a file that is opened", function()
  it("is in WAL mode, with foreign keys on and synchronous = normal, whoever reads or writes it", function()
    local place <close> = folders.new {}
    local db = ml.sql.open("sqlite:" .. place.path .. "/app.db", { pool = 2 })
    local settings = [[select (select journal_mode from pragma_journal_mode) as journal,
      (select foreign_keys from pragma_foreign_keys) as keys, (select synchronous from pragma_synchronous) as sync]]
    local wanted = { journal = "wal", keys = 1, sync = 1 }
    assert.same(wanted, db:one(settings))
    assert.same(wanted, db:tx(function(tx) return tx:one(settings) end))
    assert.same(wanted, db:session(function(conn) return conn:one(settings) end))
    db:close()
  end)
end)

describe("another process", function()
  local db, place

  before_each(function()
    db, place = sqlite.open()
    assert(db:exec "create table t(id integer primary key, who text)")
  end)

  after_each(function()
    db:close()
    place:close()
  end)

  it("that holds the lock is waited for, for as long as `timeout`, and named as the cause", function()
    local other <close> = another(place, [[
      local conn = assert(db:lease "write")
      assert(conn:simple "begin immediate")
      print "locked"
      ml.sleep(60)
    ]])
    assert.equal("locked", other:line())
    local hasty = sqlite.again(place, { timeout = 1 })
    local err = fails("busy", "SQLITE_BUSY", hasty:exec "insert into t(who) values ('hasty')")
    says(err, place.database, "locked", "another process")
    local conn = assert(hasty:lease "write")
    fails("busy", "SQLITE_BUSY", conn:simple "begin immediate")
    assert.equal("idle", conn:state())
    conn:release()
    assert.equal(0, hasty:value "select count(*) from t") -- readers do not wait
    hasty:close()
    local cancelled = ml.spawn(function() return db:exec "insert into t(who) values ('cancelled')" end)
    local waiting = ml.spawn(function() return db:exec "insert into t(who) values ('patient')" end)
    ml.sleep(0)
    ml.sleep(0)
    cancelled:cancel()
    ml.wait { cancelled } -- at once
    other:kill "KILL"
    assert.equal(1, waiting:await())
    assert.equal("patient", db:value "select group_concat(who) from t")
  end)

  it("that writes all the time, too, loses no change of either", function()
    local COUNT = 300
    local other <close> = another(place, ([[
      local tasks = {}
      for t = 1, 4 do
        tasks[t] = function()
          for i = 1, %d do assert(db:exec "insert into t(who) values ('other')") end
        end
      end
      ml.gather(tasks)
      print "done"
    ]]):format(COUNT // 4))
    local tasks = {}
    for t = 1, 4 do
      tasks[t] = function()
        for i = 1, COUNT // 4 do
          if i % 5 == 0 then
            local conn <close> = assert(db:lease "write")
            assert(conn:simple "begin immediate")
            local n = assert(conn:value "select count(*) from t")
            assert(conn:exec "insert into t(who) values ('own')")
            assert.equal(n + 1, conn:value "select count(*) from t")
            assert(conn:simple "commit")
          else
            assert(db:exec "insert into t(who) values ('own')")
          end
        end
      end
    end
    ml.gather(tasks)
    assert.equal("done", other:line())
    assert.equal(COUNT, db:value "select count(*) from t where who = 'own'")
    assert.equal(COUNT, db:value "select count(*) from t where who = 'other'")
  end)

  it("that reads in a long transaction holds up no writer, and sees one state", function()
    assert(db:exec "insert into t(who) values ('before')")
    local other <close> = another(place, [[
      local conn = assert(db:lease "read")
      assert(conn:simple "begin")
      print(conn:value "select count(*) from t")
      while not db:one "select 1 from t where who = 'last'" do ml.sleep(0.01) end
      print(conn:value "select count(*) from t", db:value "select count(*) from t")
    ]])
    assert.equal("1", other:line())
    for _ = 1, 50 do assert(db:exec "insert into t(who) values ('during')") end
    assert(db:exec "insert into t(who) values ('last')")
    assert.equal("1\t52", other:line())
  end)

  it("that is killed in the middle of commits has lost nothing that was answered, and left nothing half", function()
    for _ = 1, 5 do
      local other <close> = another(place, [[
        local function run(t)
          for i = 1, 1e9 do
            local id
            if t == 1 then
              local conn <close> = assert(db:lease "write")
              assert(conn:simple "begin immediate")
              id = assert(conn:value "insert into t(who) values ('pair') returning id")
              assert(conn:exec "insert into t(who) values ('pair')")
              assert(conn:simple "commit")
            elseif t == 2 then
              assert(db:batch("insert into t(who) values ($1)", { { "ten" }, { "ten" }, { "ten" }, { "ten" }, { "ten" },
                { "ten" }, { "ten" }, { "ten" }, { "ten" }, { "ten" } }))
            else
              id = assert(db:value "insert into t(who) values ('one') returning id")
            end
            if id then print(id) end
          end
        end
        local tasks = {}
        for t = 1, 8 do tasks[t] = function() run(t) end end
        ml.gather(tasks)
      ]])
      local answered = {}
      for i = 1, 200 do answered[i] = assert(math.tointeger(tonumber(other:line())), other:errors()) end
      other:kill "KILL"
      for line in function() return other:line() end do -- what it had printed by then; the last may be cut
        local id = math.tointeger(tonumber(line))
        if id then answered[#answered + 1] = id end
      end
      answered[#answered] = nil
      local missing = assert(db:value("select count(*) from json_each($1) where value not in (select id from t)",
        ml.json.encode(answered)))
      assert.equal(0, missing)
      assert.equal(0, db:value "select count(*) % 2 from t where who = 'pair'")
      assert.equal(0, db:value "select count(*) % 10 from t where who = 'ten'")
      assert.equal("ok", db:value "pragma integrity_check")
    end
  end)

  it("whose disk takes no more is told so, and has lost nothing that was answered", function()
    local script = place.path .. "/other.lua"
    folders.write(script, ([[
      local db = require("moonloop.sql.sqlite").open { path = %q }
      local n = 0
      while true do
        local _, err = db:exec("insert into t(who) values ($1)", ("x"):rep(10000))
        if err then
          print(n, err.kind, err.code:match "^SQLITE_%%u+", err.message:find(%q, 1, true) ~= nil)
          return db:close()
        end
        n = n + 1
      end
    ]]):format(place.database, place.database))
    -- A file that reaches the limit of its size cannot be written, as on a full disk.
    local other <close> = processes.start("run " .. processes.quote(script), "trap '' XFSZ; ulimit -f 400;")
    local n, rest = other:line():match "^(%d+)\t(.*)$"
    assert.equal("sql\tSQLITE_IOERR\ttrue", rest)
    assert(tonumber(n) > 0)
    assert.equal(tonumber(n), db:value "select count(*) from t")
    assert.equal("ok", db:value "pragma integrity_check")
  end)

  it("opens a new database at the same time", function()
    for _ = 1, 5 do
      local fresh <close> = folders.new {}
      fresh.database = fresh.path .. "/new.db"
      local code = [[
        assert(db:exec "create table if not exists t(a)")
        assert(db:exec "insert into t values (1)")
        print "done"
      ]]
      local first <close> = another(fresh, code)
      local second <close> = another(fresh, code)
      local own = sqlite.again(fresh)
      assert(own:exec "create table if not exists t(a)")
      assert(own:exec "insert into t values (1)")
      assert.equal("done", first:line(), first:errors())
      assert.equal("done", second:line(), second:errors())
      assert.equal(3, own:value "select count(*) from t")
      own:close()
    end
  end)
end)

describe("a statement that SQLite cannot break off", function()
  it("is given up some seconds after its time, and holds up neither others nor the end", function()
    local place <close> = folders.new {}
    local script = place.path .. "/script.lua"
    folders.write(script, ([[
      local ml = require "moonloop"
      local db = require("moonloop.sql.sqlite").open { path = %q, timeout = 1 }
      -- One instruction of SQLite's that takes for ever.
      local _, err = db:query("select instr($1, $2)", ("a"):rep(10000000), ("a"):rep(5000000) .. "b")
      print(err.kind, err.unknown, db:value "select 1", db:exec "create table t(a)")
      os.exit(7)
    ]]):format(place.path .. "/app.db"))
    local process <close> = processes.start("run --block-limit 0 " .. processes.quote(script))
    local output, status = process:wait()
    assert.equal("timeout\ttrue\t1\t0\n", output)
    assert.equal(7, status)
  end)
end)

describe("a script that uses SQLite", function()
  it("ends when it is at its end, with connections open, streams begun and statements under way", function()
    local place <close> = folders.new {}
    local output, status = processes.run(([[
      local db = require("moonloop.sql.sqlite").open { path = %q }
      assert(db:exec "create table t(a)")
      kept = db:lease "read"
      next_row, state = db:rows "select 1 union all select 2"
      print(next_row(state)["1"])
      ml.spawn(function() return db:query %q end)
      ml.spawn(function() return kept:query %q end)
      ml.sleep(0.01)
      print "end"
      os.exit(0)
    ]]):format(place.path .. "/app.db", sqlite.endless, sqlite.endless))
    assert.equal("1\nend\n", output)
    assert.equal(0, status)
    output, status = processes.run(([[
      local db = require("moonloop.sql.sqlite").open { path = %q }
      print(db:value "select 1")
    ]]):format(place.path .. "/app.db"))
    assert.equal("1\n", output)
    assert.equal(0, status)
  end)
end)
