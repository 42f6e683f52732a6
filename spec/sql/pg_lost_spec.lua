-- Connections to PostgreSQL that are lost while a task holds them.
local ml = require "moonloop"
local postgres = require "spec.support.postgres"

describe("a connection to PostgreSQL that is lost", function()
  if postgres.missing() then
    it("needs a server", function() pending(postgres.missing()) end)
    return
  end
  local server, db, admin

  setup(function()
    server = postgres.start()
    admin = ml.sql.open(server.url, { pool = 1 })
  end)
  teardown(function()
    admin:close()
    server:close()
  end)
  before_each(function() db = ml.sql.open(server.url, { pool = 2 }) end)
  after_each(function() db:close() end)

  --- Terminates all connections of `db`, and waits until it knows.
  local function terminate()
    local lost = db:stats().lost
    admin:query "select pg_terminate_backend(pid, 10000) from pg_stat_activity \z
      where backend_type = 'client backend' and pid <> pg_backend_pid()"
    postgres.eventually("it is not known to be lost", function() return db:stats().lost > lost end)
  end

  --- What f raises, within a time.
  local function raised(f)
    local task = ml.spawn(f)
    assert(ml.wait({ task }, { timeout = 100 })[1], "it hangs")
    return select(2, pcall(task.await, task))
  end

  it("ends a loop over rows between two of its rows with an error", function()
    local n = 0
    local err = raised(function()
      for _ in db:rows "select i from generate_series(1, 10000) as i" do
        n = n + 1
        if n == 1 then terminate() end
      end
    end)
    assert(ml.is_error(err) and err.kind == "closed", tostring(err))
    assert(n < 10000)
    assert.equal(1, db:value "select 1")
  end)

  it("raises what has happened where a COPY from it goes on, and loses no rows without a word", function()
    local n = 0
    local err = raised(function()
      local next_chunk, copy, control, closing = db:copy_out "copy (select generate_series(1, 10)) to stdout"
      local _ <close> = closing
      terminate()
      while next_chunk(copy, control) do n = n + 1 end
    end)
    assert(ml.is_error(err) and err.kind == "closed", tostring(err))
    assert.equal(0, n)
    assert.equal(1, db:value "select 1")
  end)

  it("fails a COPY into it", function()
    assert(db:exec "create table if not exists c (i int)")
    local value, failure
    local err = raised(function()
      local n = 0
      value, failure = db:copy_in("c", { "i" }, function()
        n = n + 1
        if n == 3 then terminate() end
        return n < 10 and { n } or nil
      end)
    end)
    err = failure or err
    assert.is_nil(value)
    assert(ml.is_error(err) and err.kind == "closed", tostring(err))
    assert.equal(0, db:value "select count(*) from c")
  end)

  it("fails the next statement of a transaction, and of a loop over rows in it", function()
    local err = raised(function()
      db:tx(function(tx)
        tx:exec "create temporary table t (i int)"
        terminate()
        local value, failure = tx:value "select 1"
        assert.is_nil(value)
        assert.equal("closed", failure.kind)
        for _ in tx:rows "select 1" do error "a row" end
      end)
    end)
    assert(ml.is_error(err) and err.kind == "closed", tostring(err))
    assert.equal(1, db:value "select 1")
  end)
end)
