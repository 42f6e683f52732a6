-- `moonloop db copy`: rows of SQLite in the tables of PostgreSQL.
local ml = require "moonloop"
local databases = require "spec.support.sql"
local folders = require "spec.support.folder"
local postgres = require "spec.support.postgres"
local processes = require "spec.support.process"
local support = require "spec.support"

describe("db copy", function()
  if databases.postgres.missing then
    it("needs a server", function() pending(databases.postgres.missing) end)
    return
  end

  local server, made
  setup(function() server, made = postgres.start(), 0 end)
  teardown(function() server:close() end)

  local Pair = {}
  Pair.__index = Pair

  function Pair:close() self.folder:close() end
  Pair.__close = Pair.close

  -- An SQLite database and a PostgreSQL one, each made by its script.
  local function pair(from, to)
    made = made + 1
    local name = "copy" .. made
    server:psql("create database " .. name)
    local folder = folders.new {}
    local this = setmetatable({ folder = folder, from = "sqlite:" .. folder.path .. "/app.db",
      to = server.url:gsub("/postgres%?", "/" .. name .. "?") }, Pair)
    for url, script in pairs { [this.from] = from, [this.to] = to } do
      local db = ml.sql.open(url)
      assert(db:script(script))
      db:close()
    end
    return this
  end

  function Pair:copy()
    local output, status = processes.sh(("timeout 120 %s db copy %s %s"):format(processes.quote(support.binary),
      processes.quote(self.from), processes.quote(self.to)))
    return (output:gsub("in %d+%.%d s", "in TIME")), status
  end

  function Pair:rows(sql)
    local db = ml.sql.open(self.to, { time = "text" })
    local rows = assert(db:query(sql))
    db:close()
    return rows
  end

  it("copies the values of each type as they are", function()
    local it <close> = pair([[
      create table Things (id integer primary key, t text, n text, f real, b boolean, z blob, j json, a text, u text,
        s timestamptz, d date, c integer);
      insert into Things values
        (1, 'tea' || char(9) || '\ ' || char(10) || 'ä', '12.50', 0.1, 1, x'00ff5c', '{"a": [1, 12345678901234567890]}',
          '["x", null, "q\"y"]', '6f1f4bd4-4b5b-4b8a-9b0e-3a5d2f7f0c11', 1.5, '2026-11-28', 3.0),
        (2, null, null, null, null, null, null, null, null, null, null, null),
        (9223372036854775807, '\N', 1e300, 1e300, 0, x'', 'null', '[]', null, '2026-11-28T10:00:00Z', 86400, -1);
    ]], [[
      create table things (id bigint primary key, t text, n numeric, f double precision, b boolean, z bytea, j jsonb,
        a text[], u uuid, s timestamptz, d date, c integer, more text default 'x');
    ]])
    local output, status = it:copy()
    assert.equal("table  | rows\n-------+-----\nthings |    3\ncopied 3 rows of 1 tables in TIME\n", output)
    assert.equal(0, status)
    local rows = it:rows [[select id, t, n::text as n, f, b, encode(z, 'hex') as z, j::text as j, a::text as a,
      u::text as u, extract(epoch from s)::float8 as s, d::text as d, c, more from things order by id]]
    assert.equal("tea\t\\ \nä", rows[1].t)
    assert.same({ "12.50", 0.1, true, "00ff5c" }, { rows[1].n, rows[1].f, rows[1].b, rows[1].z })
    assert.equal('{"a": [1, 12345678901234567890]}', rows[1].j)
    assert.equal('{x,NULL,"q\\"y"}', rows[1].a)
    assert.same({ "6f1f4bd4-4b5b-4b8a-9b0e-3a5d2f7f0c11", 1.5, "2026-11-28", 3 },
      { rows[1].u, rows[1].s, rows[1].d, rows[1].c })
    local count = 0
    for _ in pairs(rows[2]) do count = count + 1 end
    assert.equal(2, count) -- id, and the column that the source has not
    assert.equal(math.maxinteger, rows[3].id)
    assert.same({ "\\N", 1e300, false, "", "null", "{}" },
      { rows[3].t, rows[3].f, rows[3].b, rows[3].z, rows[3].j, rows[3].a })
    assert.same({ 1795860000.0, "1970-01-02" }, { rows[3].s, rows[3].d })
  end)

  it("copies many rows, and lets sequences go on behind them", function()
    local it <close> = pair([[
      create table a (id integer primary key, text text);
      create table moonloop_migrations (name text);
      insert into moonloop_migrations values ('x');
      with recursive n(i) as (select 1 union all select i + 1 from n where i < 20000)
        insert into a select i, 'row ' || i || printf('%.100c', 'x') from n;
    ]], "create table a (id integer generated always as identity primary key, text text)")
    assert.matches("copied 20000 rows of 1 tables", (it:copy()))
    assert.equal(20000, it:rows("select count(*) as n from a where text like 'row ' || id || 'x%'")[1].n)
    assert.equal(20001, it:rows("insert into a (text) values ('next') returning id")[1].id)
  end)

  it("fills tables that refer to each other, without their triggers", function()
    local it <close> = pair([[
      create table a (id integer primary key, b integer references c deferrable initially deferred,
        a integer references a);
      create table b (id integer primary key, a integer references a);
      create table c (id integer primary key, a integer references a);
      insert into b values (1, null); insert into c values (1, null);
      insert into a values (1, 1, 2), (2, null, null);
      update b set a = 1; update c set a = 1;
    ]], [[
      create table b (id integer primary key, a integer);
      create table a (id integer primary key, b integer, a integer references a);
      create table c (id integer primary key, a integer references a);
      alter table a add foreign key (b) references c;
      alter table b add foreign key (a) references a;
      create function no() returns trigger language plpgsql as $$ begin raise 'no'; end $$;
      create trigger no before insert on a for each row execute function no();
    ]])
    local output, status = it:copy()
    assert.equal(0, status, output)
    assert.equal(2, it:rows("select count(*) as n from a")[1].n)
    assert.equal(0, it:rows("select count(*) as n from pg_constraint where condeferrable")[1].n)
    assert.equal("O", it:rows("select tgenabled::text as e from pg_trigger where tgname = 'no'")[1].e)
  end)

  it("copies all or nothing", function()
    local it <close> = pair("create table a (n integer); create table b (n text); insert into a values (1);" ..
      "insert into b values ('1'), ('two');", "create table a (n integer); create table b (n integer);")
    local output, status = it:copy()
    assert.equal('moonloop: b: invalid input syntax for type integer: "two"; nothing was copied\n', output)
    assert.equal(1, status)
    assert.equal(0, it:rows("select count(*) as n from a")[1].n)
  end)

  it("says what does not fit before it begins", function()
    local it <close> = pair("create table a (n integer, m integer); create table b (n integer);",
      "create table a (n integer)")
    assert.equal("moonloop: db copy: the target has no a.m, b: run 'moonloop migrate up' for it first\n", (it:copy()))
    local other <close> = pair("create table a (n integer);", "create table a (n integer); insert into a values (1)")
    assert.equal("moonloop: db copy: the table a of the target has rows: empty it first (truncate \"a\" cascade); " ..
      "those of the source are copied whole\n", (other:copy()))
    other.from, other.to = other.to, other.from
    assert.equal("moonloop: db copy: it goes from SQLite to PostgreSQL: moonloop db copy sqlite:app.db " ..
      "postgres://...\n", (other:copy()))
    other.from, other.to = "sqlite:/nowhere/app.db", other.from
    assert.equal("moonloop: db copy: /nowhere/app.db: No such file or directory\n", (other:copy()))
  end)
end)
