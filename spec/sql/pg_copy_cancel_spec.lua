-- COPY into PostgreSQL that is cancelled.
local ml = require "moonloop"
local postgres = require "spec.support.postgres"

describe("a cancelled COPY into PostgreSQL", function()
  if postgres.missing() then
    it("needs a server", function() pending(postgres.missing()) end)
    return
  end
  local server, db

  setup(function()
    server = postgres.start()
    db = ml.sql.open(server.url, { pool = 1 })
    assert(db:exec "create table t (i int)")
  end)
  teardown(function()
    db:close()
    server:close()
  end)

  --- The pool of one connection answers, and nothing was copied.
  local function check()
    local value, err = ml.timeout(100, db.value, db, "select count(*) from t")
    assert.equal(0, value, tostring(err))
  end

  it("frees its connection while its rows are being made", function()
    local asked = ml.event()
    local task = ml.spawn(db.copy_in, db, "t", { "i" }, function()
      asked:set()
      ml.sleep(1000)
    end)
    asked:wait()
    task:cancel()
    ml.wait { task }
    check()
  end)

  it("frees its connection while it begins", function()
    for passes = 0, 12 do
      local task = ml.spawn(db.copy_in, db, "t", { "i" }, function() ml.sleep(1000) end)
      for _ = 1, passes do ml.sleep(0) end
      task:cancel()
      ml.wait { task }
      check()
    end
    for _, wait in ipairs { 0.0005, 0.001, 0.002, 0.004 } do
      local task = ml.spawn(db.copy_in, db, "t", { "i" }, function() ml.sleep(1000) end)
      ml.sleep(wait)
      task:cancel()
      ml.wait { task }
      check()
    end
  end)
end)
