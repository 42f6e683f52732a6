-- Many rows become Lua's values in steps between which other tasks run.
local ml = require "moonloop"
local databases = require "spec.support.sql"
local tasks = require "spec.support.tasks"

local COUNT <const> = 40000
local NUMBERS <const> = "with recursive c(i) as (select 1 union all select i + 1 from c where i < $1) "

databases.on_each("a query with many rows", function(place)
  local db
  before_each(function() db = place():open { pool = 2 } end)

  local function query(on, count)
    return on:query(NUMBERS .. "select i, 'name ' || i as name, 'value of the row' as v from c order by i", count)
  end

  it("lets others run while they are made", function()
    for _ = 1, 2 do -- prepared, and prepared before
      local rows = tasks.in_steps(query, db, COUNT)
      assert.same({ COUNT, { "i", "name", "v" } }, { rows.n, rows.columns })
      assert.same({ { i = 1, name = "name 1", v = "value of the row" },
        { i = COUNT, name = "name " .. COUNT, v = "value of the row" } }, { rows[1], rows[COUNT] })
    end
  end)

  it("lets others run in a transaction, too, which goes on behind them", function()
    local count = db:tx(function(tx)
      local rows = tasks.in_steps(query, tx, COUNT)
      return rows.n + tx:value "select 1"
    end)
    assert.equal(COUNT + 1, count)
  end)

  it("is dropped when its task is cancelled, and its connection goes on", function()
    local long = tasks.half_made(query, db, COUNT)
    long:cancel()
    local ok, err = tasks.await(long)
    assert(not ok and ml.is_error(err, "cancelled"))
    assert.equal(COUNT, query(db, COUNT).n)
  end)

  it("has all rows where the database is closed while they are made", function()
    local other = place():open()
    local long = tasks.half_made(query, other, COUNT)
    other:close()
    assert.equal(COUNT, long:await().n)
  end)
end)
