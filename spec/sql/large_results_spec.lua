-- Results that are larger than `max_result`.
local ml = require "moonloop"
local databases = require "spec.support.sql"

local MOST <const> = 100000
local NUMBERS <const> = "with recursive c(i) as (select 1 union all select i + 1 from c where i < $1) "
local ROWS <const> = NUMBERS .. "select i, 'name ' || i as name from c"

local function refused(what, ...)
  local value, err = ...
  assert.is_nil(value)
  assert(ml.is_error(err, "limit"), tostring(err))
  local rows = what == "a row" and "" or ", take its rows by db:rows"
  local message = "%s is larger than max_result (%d bytes): select less%s, or open the database with a larger one"
  assert.equal(message:format(what, MOST, rows), err.message)
end

databases.on_each("a result larger than max_result", function(place, kind)
  local db
  before_each(function() db = place():open { pool = 2, max_result = MOST } end)

  it("is an error that names the option, and the connection goes on", function()
    for count, size in pairs { [5000] = "comes in one piece", [300000] = "is broken off" } do
      refused("the result", db:query(ROWS, count))
      assert.same({ { i = 2, name = "name 2" } }, { db:query(ROWS, 2)[2] }, size)
    end
    assert.equal(0, db:stats().lost or 0)
    assert.equal(1000, db:query(ROWS, 1000).n)
  end)

  it("is refused by its bytes, of rows without values and of one value alike", function()
    refused("the result", db:query(NUMBERS .. "select null as x from c", 20000))
    local text = "select replace(cast($1 as text), '-', 'ten bytes.')"
    refused("the result", db:value(text, ("-"):rep(MOST // 10 + 1)))
    refused("the result", db:one(text, ("-"):rep(MOST // 10 + 1)))
    assert.equal(MOST // 10 * 9, #db:value(text, ("-"):rep(MOST * 9 // 100)))
  end)

  it("may come row by row, of which none is larger", function()
    local count = 0
    for row in db:rows(ROWS, 20000) do count = count + row.i - row.i + 1 end
    assert.equal(20000, count)
    local ok, err = pcall(function()
      for _ in db:rows("select replace(cast($1 as text), '-', 'ten bytes.') as x", ("-"):rep(MOST // 10 + 1)) do end
    end)
    assert.is_false(ok)
    refused("a row", nil, err)
    assert.equal(1, db:value "select 1")
  end)

  it("ends no more than its transaction", function()
    assert(db:exec "create table kept (i integer)")
    local ok, err = db:tx(function(tx)
      tx:exec "insert into kept values (1)"
      return tx:query(ROWS, 300000)
    end)
    refused("the result", ok, err)
    assert.equal(0, db:value "select count(*) from kept")
    assert(db:exec "drop table kept")
  end)

  it("is taken back with what the statement has changed", function()
    if kind.driver == "pg" then return end -- it may be over before it can be broken off
    assert(db:exec "create table kept (i integer, name text)")
    assert(db:exec "insert into kept values (0, 'before')")
    local changing = "insert into kept " .. ROWS .. " returning i, name"
    local one = ml.spawn(db.exec, db, "insert into kept values (1, 'committed with it')")
    local large = ml.spawn(function() return db:query(changing, 20000) end)
    local two = ml.spawn(db.exec, db, "insert into kept values (2, 'committed with it')")
    refused("the result", large:await())
    assert.equal(2, one:await() + two:await())
    assert.equal(3, db:value "select count(*) from kept")
    refused("the result", db:query(changing, 20000))
    refused("the result", db:session(function(conn) return conn:query(changing, 20000) end))
    assert.equal(3, db:value "select count(*) from kept")
    assert.equal(10, db:query(changing, 10).n)
  end)

  it("is none where a statement changes as many rows and gives none", function()
    assert(db:exec "create table many (i integer, name text)")
    assert.equal(20000, db:exec("insert into many " .. ROWS, 20000))
    assert(db:exec "drop table many")
  end)

  it("is not refused where there is no limit", function()
    assert.equal(20000, place():open({ max_result = math.huge }):query(ROWS, 20000).n)
  end)
end)

describe("max_result", function()
  it("is a number of bytes", function()
    for _, wrong in ipairs { 0, -1, 1.5, "1", 0 / 0 } do
      local ok, err = pcall(ml.sql.open, "sqlite::memory:", { max_result = wrong })
      assert.is_false(ok)
      assert(tostring(err):find("option 'max_result' of ml.sql.open", 1, true), tostring(err))
    end
  end)
end)
