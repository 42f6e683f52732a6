-- SQL taken apart into its statements.
local splitting = require "moonloop.sql.split"

local function texts(text, dialect)
  local list = {}
  for i, statement in ipairs((splitting.split(text, dialect))) do list[i] = statement.text end
  return list
end

describe("a text of SQL", function()
  it("is split at each ; that is no part of something else", function()
    assert.same({ "select 1", "select ';', \";\"", "select 2" },
      texts("select 1;\nselect ';', \";\" ;; -- x;\nselect 2"))
    assert.same({ "select /* ; */ 1", "select 2" }, texts("select /* ; */ 1; -- ;\n select 2;"))
    assert.same({ "(select 1)" }, texts " ; (select 1);")
    assert.same({}, texts "-- only a comment;\n/* ; */ ;")
  end)

  it("is split as PostgreSQL reads it", function()
    assert.same({ "select $$a;b$$", "select $a$ $$;$b$; $a$", "select $1", "x" },
      texts("select $$a;b$$; select $a$ $$;$b$; $a$; select $1; x", "postgres"))
    assert.same({ "select /* a /* ; */ ; */ 1", "x" }, texts("select /* a /* ; */ ; */ 1; x", "postgres"))
    assert.same({ "select E'a\\';b'", "x" }, texts("select E'a\\';b'; x", "postgres"))
    local routine = "create or replace function f() returns int begin atomic; " ..
      "select case when true then 1 end; end"
    assert.same({ routine, "x" }, texts(routine .. "; x", "postgres"))
    assert.same({ "begin", "select 1", "end" }, texts("begin; select 1; end;", "postgres"))
  end)

  it("is split as SQLite reads it", function()
    local trigger = "create temp trigger t after insert on a begin update b set c = case when 1 then 2 end; end"
    assert.same({ trigger, "x" }, texts(trigger .. "; x", "sqlite"))
    assert.same({ "select [a;b], `c;d`", "x" }, texts("select [a;b], `c;d`; x", "sqlite"))
  end)

  it("has the line, the first words and the end of each statement", function()
    local list, rest = splitting.split("-- a\n\nDROP Table t;\n  /* b\n */ select\n1", "sqlite", 10)
    assert.same({
      { text = "DROP Table t", line = 12, keyword = "drop", second = "table" },
      { text = "select\n1", line = 14, keyword = "select", second = "1", unfinished = true },
    }, list)
    assert.equal(32, rest)
    assert.is_nil(select(2, splitting.split("select 1; -- x", "sqlite")))
    assert.is_truthy(select(2, splitting.split("select 'x;", "sqlite")))
  end)

  it("has its names numbered as the drivers number them", function()
    local text = "select :a::int, ':b', x[1:2], y[a:b], z[:c], :a, :d_e from t where u := 1 -- :z"
    local numbered = "select $1::int, ':b', x[1:2], y[a:b], z[$2], $1, $3 from t where u := 1 -- :z"
    assert.same({ numbered, 3 }, { splitting.number(text, "postgres") })
    assert.same({ "select $2, $1", 2 }, { splitting.number("select $2, $1", "sqlite") })
    assert.same({ "select 1 limit $1 offset $2", 2 }, { splitting.number("select 1 limit:n offset:m", "sqlite") })
    assert.same({ "select $99999999999999999999", 65535 },
      { splitting.number("select $99999999999999999999", "sqlite") })
    assert.same({ "select $1$$ :b $$, $2", 2 }, { splitting.number("select :a$$ :b $$, :c", "postgres") })
  end)
end)
