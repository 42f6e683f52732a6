-- Migrations on both databases: what runs, what is left after a failure, and many at the same time.
local ml = require "moonloop"
local databases = require "spec.support.sql"
local files = require "moonloop.sql.migrate_files"
local folders = require "spec.support.folder"
local migrate = require "moonloop.sql.migrate"
local postgres = require "spec.support.postgres"
local processes = require "spec.support.process"
local run = require "moonloop.sql.migrate_run"

-- --- a database and a folder of migrations for each spec ---

local App = {}
App.__index = App

function App:close()
  self.folder:close()
  if self.drop then self.drop() end
end

App.__close = App.close

--- Writes migrations, name to text.
function App:write(entries)
  for name, text in pairs(entries) do folders.write(self.folder.path .. "/migrations/" .. name, text) end
end

function App:remove(name) os.remove(self.folder.path .. "/migrations/" .. name) end

function App:words(command)
  return ("%s --url %s"):format(command, processes.quote(self.url))
end

local function ps(pid) return (processes.sh(processes.quote(require("spec.support").binary) .. " ps " .. pid)) end

--- Runs `moonloop COMMAND`, in the folder: what it printed on both channels without times, and its status.
function App:run(command)
  local output, status = processes.sh(("cd %s && timeout 120 %s %s"):format(self.folder.path,
    processes.quote(require("spec.support").binary), self:words(command)))
  return (output:gsub("%(%d+ ms%)", "(MS)"):gsub("%d+%-%d+%-%d+ %d+:%d+:%d+ UTC", "TIME")), status
end

--- Starts it, in the folder.
function App:start(command)
  return processes.start(self:words(command), "cd " .. self.folder.path .. ";")
end

--- Calls f(db) with the database.
function App:with(f)
  local db = ml.sql.open(self.url, { pool = 2 })
  local result = f(db)
  db:close()
  return result
end

function App:value(sql) return self:with(function(db) return assert(db:value(sql)) end) end

function App:has_table(name)
  return self:with(function(db)
    local rows, err = db:query(("select * from %s where 1 = 0"):format(name))
    assert(rows or err.message:find(name, 1, true), err and err.message)
    return rows ~= nil
  end)
end

--- Runs `moonloop migrate up` in `n` processes at the same time: how many migrations they say that they ran. A
-- busy machine may have them wait for long enough to say so.
function App:run_at_once(n)
  local list, ran = {}, 0
  for i = 1, n do list[i] = self:start "migrate up" end
  for _, process in ipairs(list) do
    local output, status, errors = process:wait()
    assert.equal("", (errors:gsub("moonloop: migrations wait for another process[^\n]*\n", "")))
    assert.equal(0, status)
    ran = ran + select(2, output:gsub("ran ", ""))
    process:close()
  end
  return ran
end

local function new_app(entries)
  return setmetatable({ folder = folders.new { migrations = entries } }, App)
end

-- --- what holds for both ---

local function specs(make, slow)
  it("run in their order, each once", function()
    local app <close> = make {
      ["0001_users.up.sql"] = "create table users (id integer primary key, name text);\n" ..
        "insert into users values (1, 'a;b');",
      ["0002_more.sql"] = "insert into users values (2, 'c');\n-- down\ndelete from users where id = 2;",
    }
    assert.equal("ran 0001_users (MS)\nran 0002_more (MS)\n", (app:run "migrate up"))
    local output, status = app:run "migrate up"
    assert.equal("nothing to do: all migrations have run\n", output)
    assert.equal(0, status)
    app:write { ["0003_third.sql"] = "insert into users values (3, 'd')" }
    assert.equal("ran 0003_third (MS)\n", (app:run "migrate up"))
    assert.equal(3, app:value "select count(*) from users")
    assert.matches("0001_users | ran on TIME\n0002_more  | ran on TIME\n0003_third | ran on TIME\n",
      (app:run "migrate status"), 1, true)
  end)

  it("leave nothing of a file that fails, and what ran before it", function()
    local app <close> = make {
      ["0001_a.sql"] = "create table a (id integer primary key)",
      ["0002_b.sql"] = "create table b (id integer primary key);\n\ninsert into b values (1);\n" ..
        "select 1,\n  wrong from b;",
    }
    local output, status = app:run "migrate up"
    assert.equal(1, status)
    assert.matches("^ran 0001_a %(MS%)\n" ..
      "moonloop: migrations/0002_b.sql:[45]: .*wrong.*; nothing of the file is left in " ..
      "the database\n$", output)
    assert.is_true(app:has_table "a")
    assert.is_false(app:has_table "b")
    app:write { ["0002_b.sql"] = "create table b (id integer primary key)" }
    assert.equal("ran 0002_b (MS)\n", (app:run "migrate up"))
  end)

  for _, signal in ipairs { "KILL", "TERM" } do
    local how = signal == "KILL" and "killed" or "cancelled"
    it("leave nothing of a file that is " .. how .. " in the middle", function()
      local app <close> = make {
        ["0001_a.sql"] = "create table a (id integer primary key);\ninsert into a values (1);\n" .. slow,
      }
      local process <close> = app:start "migrate up"
      postgres.eventually("the migration has not come to its last statement", function()
        return ps(process.pid):find("slowly", 1, true)
      end)
      process:kill(signal)
      local status = select(2, process:wait())
      if signal == "TERM" then assert.equal(143, status) end
      assert.is_false(app:has_table "a")
      app:write { ["0001_a.sql"] = "create table a (id integer primary key)" }
      assert.equal("ran 0001_a (MS)\n", (app:run "migrate up"))
    end)
  end

  it("run once where many processes start at the same time", function()
    local entries = { ["0001_a.sql"] = "create table a (id integer primary key, n integer)" }
    for i = 2, 9 do
      entries[("%04d_add.sql"):format(i)] = ("insert into a (id, n) select coalesce(max(id), 0) + 1, %d from " ..
        "a"):format(i)
    end
    local app <close> = make(entries)
    assert.equal(9, app:run_at_once(5))
    assert.equal(8, app:value "select count(*) from a")
    assert.equal(8, app:value "select max(id) from a")
  end)

  it("are refused where a file that has run was changed, or is missing", function()
    local app <close> = make {
      ["0001_a.sql"] = "create table a (id integer)", ["0002_b.sql"] = "create table b (id integer)" }
    app:run "migrate up"
    app:write { ["0001_a.sql"] = "create table a (id text)", ["0003_c.sql"] = "create table c (id integer)" }
    local output, status = app:run "migrate up"
    assert.equal("moonloop: migrations/0001_a.sql has changed since it ran here (on TIME): take the change back, " ..
      "and put it into a new migration\n", output)
    assert.equal(1, status)
    app:write { ["0001_a.sql"] = "create table a (id integer)" }
    os.rename(app.folder.path .. "/migrations/0002_b.sql", app.folder.path .. "/migrations/0002_z.sql")
    output, status = app:run "migrate up"
    assert.matches("^moonloop: the migration 0002_b has run here %(on TIME%), but is not in migrations: bring its " ..
      "file back", output)
    assert.equal(1, status)
    output, status = app:run "migrate status"
    assert.matches("0002_b    | its file is missing; ran on TIME\n0002_z    | has not run\n", output, 1, true)
    assert.equal(1, status)
    assert.is_false(app:has_table "c")
  end)

  it("are refused where one comes before one that has run", function()
    local app <close> = make { ["0002_b.sql"] = "create table b (id integer)" }
    app:run "migrate up"
    app:write { ["0001_a.sql"] = "create table a (id integer)" }
    assert.equal("moonloop: migrations/0001_a.sql has not run here, and 0002_b, which follows it, has: give it a " ..
      "number behind that one\n", (app:run "migrate up"))
  end)

  it("are undone, the last one first", function()
    local app <close> = make {
      ["0001_a.up.sql"] = "create table a (id integer)", ["0001_a.down.sql"] = "drop table a",
      ["0002_b.sql"] = "create table b (id integer);\n-- down\ndrop table b;",
      ["0003_c.sql"] = "create table c (id integer);\n-- down\n",
    }
    app:run "migrate up"
    local output, status = app:run "migrate down"
    assert.equal("moonloop: migrations/0003_c.sql: there is no statement to undo 0003_c: write one (select 1; where " ..
      "nothing is to be done)\n", output)
    assert.equal(1, status)
    app:write { ["0003_c.sql"] = "create table c (id integer);" }
    assert.matches("has changed", (app:run "migrate down"))
    app:write { ["0003_c.sql"] = "create table c (id integer);\n-- down\ndrop table c;" }
    assert.equal("undid 0003_c (MS)\nundid 0002_b (MS)\n", (app:run "migrate down 2"))
    assert.is_false(app:has_table "b")
    assert.is_true(app:has_table "a")
    assert.equal("undid 0001_a (MS)\nno other migration has run\n", (app:run "migrate down 5"))
    assert.equal("nothing to undo: no migration has run\n", (app:run "migrate down"))
    assert.equal("ran 0001_a (MS)\nran 0002_b (MS)\nran 0003_c (MS)\n", (app:run "migrate up"))
  end)

  it("without a transaction keep what has run before a failure, and say so", function()
    local app <close> = make { ["0001_a.sql"] = "-- no-transaction\ncreate table a (id integer);\nselect wrong;" }
    local output = app:run "migrate up"
    assert.matches("migrations/0001_a.sql:3: .*wrong.*; the file is %-%- no%-transaction: the 1 statement%(s%) " ..
      "before it have run and stay", output)
    assert.is_true(app:has_table "a")
  end)

  it("do not end their transaction themselves", function()
    local app <close> = make { ["0001_a.sql"] = "create table a (id integer);\ncommit;" }
    assert.equal("moonloop: migrations/0001_a.sql:2: COMMIT: each file is a transaction of its own: take it out, or " ..
      "begin the file with -- no-transaction\n", (app:run "migrate up"))
    assert.is_false(app:has_table "a")
  end)

  it("are checked with the app's own statements, and leave nothing", function()
    local app <close> = make {
      ["0001_a.sql"] = "create table a (id integer primary key, name text);\n-- down\ndrop table a;",
    }
    folders.write(app.folder.path .. "/find.sql", "select name from a\nwhere id = :id and name = any(:names);\n" ..
      "insert into a (id) values ($1);")
    assert.equal("1 migration and 2 statements of 1 file are right\n", (app:run "migrate check"))
    assert.is_false(app:has_table "a")
    assert.is_false(app:has_table "moonloop_migrations")
    folders.write(app.folder.path .. "/find.sql", "select 1;\nselect\n  nam from a;")
    local output, status = app:run "migrate check"
    assert.matches("^moonloop: find.sql:[23]: .*nam", output)
    assert.equal(1, status)
    os.remove(app.folder.path .. "/find.sql")
    app:write { ["0002_b.sql"] = "alter table a add column b integer;\nselect c from a;" }
    assert.matches("^moonloop: migrations/0002_b.sql:2: .*; nothing of the file", (app:run "migrate check"))
    app:write { ["0002_b.sql"] = "alter table a add column b integer;\n-- down\ndrop table z;" }
    assert.matches("^moonloop: migrations/0002_b.sql:3: ", (app:run "migrate check"))
  end)

  it("say what is wrong with the URL of a database, without a traceback", function()
    local app <close> = make {}
    app.url = "mysql://somewhere"
    assert.same({ "moonloop: 'mysql://somewhere' is not the URL of a database: there is no driver for MySQL; there " ..
      "are postgres:// and sqlite:\n", 1 }, { app:run "migrate up" })
    app.url = "postgres://somewhere/a?pol=3"
    local text = app:run "migrate up"
    assert.matches("'postgres://somewhere/a?pol=3' is not the URL of a database: ", text, 1, true)
    assert.not_matches("traceback", text, 1, true)
  end)

  it("run from a script, which gets their names, or the error", function()
    local app <close> = make {
      ["0001_a.sql"] = "create table a (id integer)", ["0002_b.sql"] = "create table b (id integer)" }
    local dir = app.folder.path .. "/migrations"
    app:with(function(db)
      assert.same({ "0001_a", "0002_b" }, db:migrate(dir))
      assert.same({}, db:migrate(dir))
      app:write { ["0003_c.sql"] = "select wrong" }
      local names, err = db:migrate(dir)
      assert.is_nil(names)
      assert.equal("migration", err.kind)
      assert.equal(dir .. "/0003_c.sql", err.file)
      assert.equal(1, err.line)
      assert.equal("select wrong", err.cause.sql)
      assert.equal(0, assert(db:value "select count(*) from b"))
      assert.has_error(function() db:tx(function() db:migrate(dir) end) end)
    end)
  end)

  it("raise a deadline that passes, and leave nothing of the file", function()
    local app <close> = make { ["0001_a.sql"] = "create table a (id integer primary key);\n" .. slow }
    app:with(function(db)
      local ok, err = pcall(function()
        local _ <close> = ml.deadline(0.2)
        return db:migrate(app.folder.path .. "/migrations")
      end)
      assert.is_false(ok)
      assert.equal("timeout", err.kind)
    end)
    assert.is_false(app:has_table "a")
  end)

  it("say what is in the way of a connection", function()
    local app <close> = make { ["0001_a.sql"] = "create table a (id integer)" }
    local db = ml.sql.open(app.url:gsub("/app[%w.]*", "/nowhere/nothing"), { acquire = 1 })
    local names, err = db:migrate(app.folder.path .. "/migrations")
    assert.is_nil(names)
    assert.equal("migration", err.kind)
    assert.matches("nowhere", err.message)
    assert.is_true(ml.is_error(err.cause))
    db:close()
  end)

  it("run before a server has its first client", function()
    local app <close> = make { ["0001_a.sql"] = "create table a (n integer);\ninsert into a values (42);" }
    folders.write(app.folder.path .. "/app.lua", ([[
      local ml = require "moonloop"
      local db = ml.sql.open(%q)
      local app = ml.web.app()
      app:on_start(function() assert(db:migrate(%q)) end)
      app:get("/", function() return { n = assert(db:value "select n from a") } end)
      return app]]):format(app.url, app.folder.path .. "/migrations"))
    local server <close> = processes.serve(app.folder.path .. "/app.lua", "--workers 3 --block-limit 0")
    assert.same({ n = 42 }, assert(ml.http.get(server.url)):json())
    assert.equal("", server:errors())
  end)
end

describe("migrations of SQLite", function()
  it("that are only looked at make no file", function()
    local app <close> = new_app { ["0001_a.sql"] = "create table a (id integer primary key)\n-- down\ndrop table a" }
    app.url = "sqlite:app.db"
    local output, status = app:run "migrate status"
    assert.equal("sqlite:app.db\nmigration | state\n----------+------------\n0001_a    | has not run\n",
      (output:gsub("%-+%+%-+", "----------+------------")))
    assert.equal(0, status)
    assert.equal("nothing to undo: no migration has run\n", (app:run "migrate down"))
    assert.matches("^1 migration and ", (app:run "migrate check"))
    assert.is_nil(io.open(app.folder.path .. "/app.db"))
  end)

  local function make(entries)
    local app = new_app(entries)
    app.url = "sqlite:" .. app.folder.path .. "/app.db"
    return app
  end

  specs(make, "with recursive slowly(n) as (select 1 union all select n + 1 from slowly where n < 1e12) " ..
    "insert into a select n from slowly where n < 0;")

  it("make a table anew and keep the rows that refer to it", function()
    local app <close> = make {
      ["0001_a.sql"] = "create table a (id integer primary key);\ninsert into a values (1);\n" ..
        "create table b (a integer references a on delete cascade);\ninsert into b values (1);",
      ["0002_a.sql"] = "create table new (id integer primary key, name text);\n" ..
        "insert into new (id) select id from a;\n" ..
        "drop table a;\nalter table new rename to a;",
    }
    assert.equal("ran 0001_a (MS)\nran 0002_a (MS)\n", (app:run "migrate up"))
    assert.equal(1, app:value "select count(*) from b")
    app:write { ["0003_a.sql"] = "create table c (id integer);\ndrop table a;" }
    assert.equal("moonloop: migrations/0003_a.sql: after it a row of b refers to one of a that is not there " ..
      "(rowid 1; pragma foreign_key_check shows all); nothing of the file is left in the database\n",
      (app:run "migrate up"))
    assert.is_true(app:has_table "a")
    assert.is_false(app:has_table "c")
  end)

  it("have triggers with statements of their own", function()
    local app <close> = make {
      ["0001_a.sql"] = "create table a (n integer);\ncreate trigger t after insert on a when new.n < 5 begin\n" ..
        "  insert into a select case when 1 then new.n + 1 end;\n  update a set n = n + 10;\nend;\n" ..
          "insert into a values (4);",
    }
    assert.equal("ran 0001_a (MS)\n", (app:run "migrate up"))
    assert.equal("14,15", app:value "select group_concat(n) from (select n from a order by n)")
  end)

  it("run once where many processes start with a file that is outside of a transaction", function()
    local app <close> = make {
      ["0001_a.sql"] = "create table a (id integer)",
      ["0002_b.sql"] = "-- no-transaction\nalter table a add column b integer;\ninsert into a values (1, 1);\nvacuum;",
    }
    assert.equal(2, app:run_at_once(4))
    assert.equal(1, app:value "select count(*) from a")
  end)

  it("are written by 'new', with the next number", function()
    local app <close> = make {}
    local function new(words) return app:run("migrate new " .. words) end
    assert.equal("wrote migrations/0001_add-users.up.sql\nwrote migrations/0001_add-users.down.sql\n",
      (new "add-users"))
    assert.matches("wrote migrations/0002_b.up.sql", (new "b"))
    assert.matches("^moonloop: migrate new: a name of letters, digits, _ and %- expected, .*, not 'a b'\n$",
      (new "'a b'"))
    assert.equal("wrote db/x/0001_c.up.sql\nwrote db/x/0001_c.down.sql\n", (app:run "migrate new c --dir=db/x"))
    app:write { ["20261128101500_t.sql"] = "select 1" }
    assert.matches("^wrote migrations/%d%d%d%d%d%d%d%d%d%d%d%d%d%d_d.up.sql\n", (new "d"))
    assert.equal("", folders.read(app.folder.path .. "/migrations/0001_add-users.up.sql"))
    assert.equal("moonloop: migrations/0001_add-users.up.sql has no statement: write one, or take the file away\n",
      (app:run "migrate up"))
  end)

  it("are shown by status, and undone, while a new one has no statement yet", function()
    local app <close> = make { ["0001_a.up.sql"] = "create table a(x int)", ["0001_a.down.sql"] = "drop table a" }
    assert.equal("ran 0001_a (MS)\n", (app:run "migrate up"))
    assert.matches("wrote migrations/0002_b.up.sql", (app:run "migrate new b"))
    local output, status = app:run "migrate status"
    assert.equal(0, status, output)
    assert.matches("\n0001_a +| ran on TIME *\n0002_b +| has no statement yet *\n", output)
    assert.equal("undid 0001_a (MS)\n", (app:run "migrate down"))
    output, status = app:run "migrate up"
    assert.equal(1, status)
    assert.equal("moonloop: migrations/0002_b.up.sql has no statement: write one, or take the file away\n", output)
  end)

  it("are told of wrong words before anything is done", function()
    local app <close> = make {}
    local function wrong(words, message)
      local output, status = app:run(words)
      assert.matches("^moonloop: " .. message .. "\nTry 'moonloop %l+ %-%-help'.\n$", output)
      assert.equal(2, status)
    end
    wrong("migrate", "migrate: what to do is missing: up, down, status, new or check")
    wrong("migrate upp", "migrate: .* expected, not 'upp' %(did you mean 'up'%?%)")
    wrong("migrate up now", "migrate up: no more words expected %(1 given%)")
    wrong("migrate new", "migrate new: the name of the new migration expected %(0 given%)")
    wrong("migrate down 0", "migrate down: a number from 1 expected, not '0'")
    wrong("migrate up --dirr=x", "migrate: unknown option '%-%-dirr=x' %(did you mean '%-%-dir'%?%)")
    wrong("migrate up --dir=", "migrate: %-%-dir needs a value")
    wrong("db", "db: what to do is missing: copy or shell")
    wrong("db shell --dir x", "db: unknown option '%-%-dir'")
    wrong("db copy a", "db copy: FROM_URL and TO_URL expected %(1 given%)")
  end)

  it("run in a database in memory", function()
    local app <close> = make { ["0001_a.sql"] = "create table a (id integer)" }
    local db = ml.sql.open "sqlite::memory:"
    assert.same({ "0001_a" }, db:migrate(app.folder.path .. "/migrations"))
    app:write { ["0002_b.sql"] = "select wrong" }
    assert.is_nil((db:migrate(app.folder.path .. "/migrations")))
    assert.equal(0, assert(db:value "select count(*) from a"))
    db:close()
  end)
end)

describe("migrations of PostgreSQL", function()
  local missing = databases.postgres.missing
  if missing then
    it("need a server", function() pending(missing) end)
    return
  end

  local server, made
  setup(function() server, made = postgres.start(), 0 end)
  teardown(function() server:close() end)

  local function make(entries)
    local app = new_app(entries)
    made = made + 1
    local name = "app" .. made
    server:psql("create database " .. name)
    app.url = server.url:gsub("/postgres%?", "/" .. name .. "?")
    return app
  end

  specs(make, "select pg_sleep(600) as slowly;")

  it("show what the server says, with the values that are not logged", function()
    local app <close> = make {
      ["0001_a.sql"] = "create table a (n text); insert into a values ('ten'), ('ten');",
      ["0002_b.sql"] = "alter table a alter n type integer using n::integer;",
    }
    local left = "; nothing of the file is left in the database\n"
    assert.equal('ran 0001_a (MS)\nmoonloop: migrations/0002_b.sql:1: invalid input syntax for type integer: "ten"'
      .. left, (app:run "migrate up"))
    app:write { ["0002_b.sql"] = "create unique index i on a (n);" }
    assert.equal('moonloop: migrations/0002_b.sql:1: could not create unique index "i"' .. left
      .. "  detail: Key (n)=(ten) is duplicated.\n", (app:run "migrate up"))
    app:with(function(db)
      app:write { ["0002_b.sql"] = "alter table a alter n type integer using n::integer;" }
      local _, err = db:migrate(app.folder.path .. "/migrations")
      assert.matches("invalid input syntax for type integer: (hidden); nothing of the file", err.message, 1, true)
    end)
  end)

  it("make indexes without a transaction where many processes start at the same time", function()
    local app <close> = make {
      ["0001_a.sql"] = "create table a (id integer)",
      ["0002_b.sql"] = "-- no-transaction\ncreate index concurrently i on a (id);",
      ["0003_c.sql"] = "-- no-transaction\ncreate index concurrently j on a (id);",
    }
    assert.equal(3, app:run_at_once(5))
  end)

  it("see what another process has run between their BEGIN and their lock", function()
    for _, isolation in ipairs { "read committed", "repeatable read", "serializable" } do
      local app <close> = make { ["0001_a.sql"] = "create table a (id integer)" }
      server:psql(("alter database app%d set default_transaction_isolation = '%s'"):format(made, isolation))
      local conn <close> = migrate.connect(app.url)
      local list = files.read(app.folder.path .. "/migrations", "postgres")
      -- The snapshot that the statement which takes the lock has, and then the other process.
      local late = setmetatable({ place = conn.place }, { __index = conn })
      function late.simple(_, sql)
        local done, err = conn:simple(sql)
        if sql:find "^begin" and not late.has_begun then
          late.has_begun = true
          assert(conn:query "select 1")
          assert.equal("ran 0001_a (MS)\n", (app:run "migrate up"))
        end
        return done, err
      end
      local ran = run.run(late, list, "migrations", "up", math.huge, function() end)
      assert.is_true(late.has_begun)
      assert.equal(0, ran)
    end
  end)

  it("find their table whatever search_path a file sets", function()
    local app <close> = make {
      ["0001_a.sql"] = "create schema other;\nset search_path to other;\ncreate table a (id integer);",
      ["0002_b.sql"] = "create table b (id integer)",
    }
    assert.equal("ran 0001_a (MS)\nran 0002_b (MS)\n", (app:run "migrate up"))
    assert.equal("nothing to do: all migrations have run\n", (app:run "migrate up"))
    assert.equal(2, app:value "select count(*) from moonloop_migrations")
    assert.is_true(app:has_table "public.b")
  end)

  it("have the line of what is wrong within a statement", function()
    local app <close> = make { ["0001_a.sql"] = "-- a\nselect 'ä',\n  1,\n  wrong;" }
    assert.matches("^moonloop: migrations/0001_a.sql:4: ", (app:run "migrate up"))
  end)

  it("run through pgbouncer in transaction mode", function()
    if postgres.missing_pgbouncer() then return pending(postgres.missing_pgbouncer()) end
    local bouncer = postgres.bouncer(server)
    local _ <close> = setmetatable({}, { __close = function() bouncer:close() end })
    local app <close> = make {
      ["0001_a.sql"] = "create table bounced (id integer)",
      ["0002_b.sql"] = "insert into bounced values (1)",
    }
    app.url = bouncer.url
    assert.equal(2, app:run_at_once(5))
    server:psql "drop table bounced; drop table moonloop_migrations"
  end)

  it("say that there is no input for COPY", function()
    local app <close> = make { ["0001_a.sql"] = "create table a (id integer);\ncopy a from stdin;\n1\n\\.\n" }
    assert.equal("moonloop: migrations/0001_a.sql:2: COPY FROM STDIN: there is no such input here: use INSERT\n",
      (app:run "migrate up"))
  end)
end)
