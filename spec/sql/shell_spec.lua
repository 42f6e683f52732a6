-- `moonloop db shell`, from a pipe and on a terminal.
local databases = require "spec.support.sql"
local folders = require "spec.support.folder"
local postgres = require "spec.support.postgres"
local processes = require "spec.support.process"
local support = require "spec.support"
local Screen = require "spec.support.screen"

-- What the shell prints on standard output and on standard error for this input, and its exit status.
local function shell(url, input)
  local folder <close> = folders.new { input = input }
  local _, status = processes.sh(("(cd %s && timeout 120 %s db shell --url %s <input >out 2>err)"):format(folder.path,
    processes.quote(support.binary), processes.quote(url)))
  return folders.read(folder.path .. "/out"), folders.read(folder.path .. "/err"), status
end

local function specs(url_of)
  local function of(input) return shell(url_of(), input) end

  it("shows rows as a table, and what else has happened", function()
    local out, err, status = of [[
create table things (id integer primary key, name text);
insert into things values (1, 'tea'), (20, null), (3, 'a;
b');
select id, name from things
  order by id; select 1 as one where 1 = 0;
update things set name = 'x' where id > 2;
delete from things where id = 3 returning id;
drop table things]]
    assert.equal("", err)
    assert.equal([[
done
(3 rows)
id | name
---+------
 1 | tea
 3 | a;\nb
20 | NULL
(3 rows)
one
---
(0 rows)
(2 rows)
id
--
 3
(1 row)
done
]], out)
    assert.equal(0, status)
  end)

  it("shows nothing of a value or a message that a terminal obeys", function()
    local out = of "select 'a\27[31m\u{9b}31m\u{202e}b\tc' as \"x\27[0m\";"
    assert.equal("x\\x1b[0m\na\\x1b[31m\\xc2\\x9b31m\\xe2\\x80\\xaeb\\tc\n(1 row)\n", (out:gsub("\n%-+\n", "\n")))
    local _, err = of "select * from \"no\27[31m\u{9b}table\";"
    assert.matches("no\\x1b[31m\\xc2\\x9btable", err, 1, true)
    assert.not_matches("\27", err)
  end)

  it("shows a long value beside short ones", { timeout = 20 }, function() -- the blanks of its column took minutes
    local out = of(("select '%s' as a, 'x' as b union all select 'y', 'z' union all select 'y', 'z';"):format(
      ("l"):rep(100000)))
    assert.matches("\ny +| z\n", out)
  end)

  it("keeps its connection, for transactions", function()
    local out, err = of("create table t (n integer);\nbegin;\ninsert into t values (1);\nrollback;\n" ..
      "select count(*) as n from t;")
    assert.equal("", err)
    assert.matches("n\n%-\n0\n", out)
    of "drop table t;"
  end)

  it("goes on behind what is wrong, with the line, and fails", function()
    local out, err, status = of "select 1 as a;\nselect\n wrong;\nselect $1;\nselect 2 as b;\n\\x\n"
    assert.equal("a\n-\n1\n(1 row)\nb\n-\n2\n(1 row)\n", out)
    assert.matches("^line 2: .*wrong.*\nline 4: .*parameter.*\nthere is no \\x: \\%? shows what there is\n$", err)
    assert.equal(1, status)
  end)

  it("lists tables and columns", function()
    of "create table things (id integer primary key, name text not null default 'x');"
    local out, err = of "\\d\n\\d things\n"
    assert.equal("", err)
    assert.matches("things *| table\n", out)
    assert.matches("id +| %w+ +| not null | +| primary key\n", out)
    assert.matches("name | %w+ +| not null | 'x'[^|]*|", out)
    assert.equal("there is no table nothing\n", select(2, of "\\d nothing\n"))
    of "drop table things;"
  end)

  it("explains itself, and leaves", function()
    local out, _, status = of "\\?\n\\q\nselect wrong;\n"
    assert.matches("^A statement ends with a ';'", out)
    assert.equal(0, status)
  end)
end

describe("db shell on SQLite", function()
  local folder
  setup(function() folder = folders.new {} end)
  teardown(function() folder:close() end)
  specs(function() return "sqlite:" .. folder.path .. "/app.db?mode=rwc" end)

  it("has a prompt on a terminal, where Ctrl-C cancels a statement", function()
    local screen = Screen.open(70, support.binary, "db", "shell", "--url", "sqlite:" .. folder.path .. "/app.db")
    local _ <close> = setmetatable({}, { __close = function() screen:close() end })
    screen:expect "\nsqlite>"
    screen:type "select 1 as a,\r"
    screen:expect "\n->"
    screen:type "2 as b;\r"
    screen:expect "\n1 | 2\n(1 row)\nsqlite>"
    screen:type "begin;\r"
    screen:expect "done\nsqlite*>"
    screen:type "rollback;\r"
    screen:expect "done\nsqlite>"
    screen:type "select 1; with recursive t(n) as (select 1 union all select n + 1 from t) select * from t;\r"
    screen:expect "(1 row)"
    screen:type "\3"
    screen:expect "cancelled\nsqlite>"
    screen:type "select 6 * 7 as x;\r"
    screen:expect "\n42\n(1 row)\nsqlite>"
    screen:type "\4"
  end)

  it("says why it cannot begin", function()
    local out, err, status = shell("sqlite:/nowhere/app.db", "select 1;")
    assert.equal("", out)
    assert.matches("^moonloop: .*/nowhere/app.db", err)
    assert.equal(1, status)
  end)

  it("makes no file where there is none, unless it is told to", function()
    local out, err, status = shell("sqlite:other.db", "select 1;")
    assert.equal("", out)
    assert.equal("moonloop: there is no database other.db; sqlite:other.db?mode=rwc makes a new one\n", err)
    assert.equal(1, status)
    assert.equal(0, select(3, shell("sqlite:other.db?mode=rwc", "create table t (n integer);")))
  end)

  it("says where its URL belongs", function()
    local binary = processes.quote(support.binary)
    local output, status = processes.sh(binary .. " db shell sqlite:app.db 2>&1")
    assert.matches("db shell: a URL is given by --url URL", output, 1, true)
    assert.equal(2, status)
    assert.matches("db shell: no more words expected (1 given)",
      (processes.sh(binary .. " db shell app 2>&1")), 1, true)
  end)
end)

describe("db shell on PostgreSQL", function()
  local missing = databases.postgres.missing
  if missing then
    it("needs a server", function() pending(missing) end)
    return
  end
  local server
  setup(function() server = postgres.start() end)
  teardown(function() server:close() end)
  specs(function() return server.url end)

  it("shows what the server says, with the values that are not logged", function()
    local _, err = shell(server.url, [[
create table people (email text unique);
insert into people values ('ann@x'), ('ann@x');
select 'ten'::integer;
drop table people;]])
    assert.equal([[
line 2: duplicate key value violates unique constraint "people_email_key"
  detail: Key (email)=(ann@x) already exists.
line 3: invalid input syntax for type integer: "ten"
]], err)
  end)
end)
