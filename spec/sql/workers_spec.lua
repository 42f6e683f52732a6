-- Databases in jobs on other cores: each worker opens its own, and what cannot cross is said by name.
local ml = require "moonloop"
local folders = require "spec.support.folder"
local postgres = require "spec.support.postgres"
local processes = require "spec.support.process"
local sql = require "spec.support.sql"

local function message(f, ...)
  local ok, err = pcall(f, ...)
  assert.is_false(ok)
  return tostring(err)
end

sql.on_each("a database", function(place)
  it("is used by jobs of an executor, which open it once a worker", function()
    local db = place():open()
    assert(db:script "drop table if exists t; create table t (a integer); insert into t values (41)")
    local pool <close> = ml.executor.new { threads = 1 }
    local function job() return db:value "select a + 1 from t", tostring(db) end
    local value, first = pool:run(job)
    local _, second = pool:run(job)
    assert.equal(42, value)
    assert.equal(first, second)
  end)

  it("leaves its transactions and sessions where they are", function()
    local db = place():open()
    local tx <close> = assert(db:begin())
    assert.matches("cannot send upvalue 'tx'", message(ml.executor.run, function() return tx end), 1, true)
    assert(tx:rollback())
    db:session(function(conn)
      assert.matches("cannot send upvalue 'conn'", message(ml.executor.run, function() return conn end), 1, true)
    end)
  end)
end)

describe("a server with several workers", function()
  local missing = postgres.missing()
  if missing then return it("is checked with PostgreSQL", function() pending(missing) end) end

  local APP = [[
    local ml = require "moonloop"
    local db = ml.sql.open(os.getenv "DATABASE_URL", { pool = tonumber(os.getenv "POOL") })
    local app = ml.web.app()
    app:get("/", function() return { db:value "select 1" } end)
    app:get("/tx", function() return { db:tx(function(tx) return tx:value "select 2" end) } end)
    app:get("/offloaded", { offload = true }, function() return { db:value "select 3" } end)
    return app
  ]]
  local server, source

  setup(function()
    server = postgres.start { max_connections = 20 }
    source = folders.file(APP)
  end)

  teardown(function()
    server:close()
    source:close()
  end)

  local function serve(pool)
    return processes.serve(source.path, "--workers 2 --block-limit 0",
      ("export POOL=%d DATABASE_URL='%s';"):format(pool, server.url))
  end

  local function ask(served)
    for _ = 1, 30 do -- both workers get some, as a rule
      assert.same({ 1 }, assert(ml.http.request { url = served.url .. "/", headers = { connection = "close" } }):json())
    end
    assert.same({ 2 }, assert(ml.http.get(served.url .. "/tx")):json())
    assert.same({ 3 }, assert(ml.http.get(served.url .. "/offloaded")):json())
  end

  it("that may open more connections than there are is told so, once", function()
    local served <close> = serve(10)
    postgres.eventually("no warning", function() -- of the first worker, which asks when it uses the database
      ask(served)
      return served:errors() ~= ""
    end)
    local _, status, errors = served:stop()
    assert.equal(0, status)
    assert.matches("^[^\n]*moonloop: 2 workers with a pool of 10 may open 20 connections to postgres://[^\n]*, "
      .. "which takes 17: make `pool` smaller, or max_connections larger\n$", errors)
  end)

  it("of one process are counted, too", function()
    local script <close> = folders.file [[
      local ml = require "moonloop"
      local db = ml.sql.open(os.getenv "DATABASE_URL", { pool = 18 })
      print(db:value "select 1")
    ]]
    local output = processes.sh(("DATABASE_URL='%s' %s run %s 2>&1"):format(server.url,
      processes.quote(require("spec.support").binary), script.path))
    assert.matches("moonloop: a pool of 18 may open 18 connections to postgres://[^\n]*, which takes 17: make `pool` "
      .. "smaller", output)
  end)

  it("that may not is not", function()
    local served <close> = serve(2)
    ask(served)
    local _, status, errors = served:stop()
    assert.same({ 0, "" }, { status, errors })
  end)
end)

describe("a transaction", function()
  it("cannot be used by a job, nor can a session", function()
    local folder <close> = folders.new {}
    local db = ml.sql.open("sqlite:" .. folder.path .. "/app.db")
    db:tx(function(tx)
      assert.matches("cannot send upvalue 'tx' of function at .*: a transaction, which cannot leave its Lua state",
        message(ml.executor.run, function() return tx:value "select 1" end))
    end)
    db:session(function(conn)
      assert.matches("cannot send upvalue 'conn' of function at .*: a session, which cannot leave its Lua state",
        message(ml.executor.run, function() return conn:value "select 1" end))
    end)
    db:close()
  end)
end)

describe("a database in memory", function()
  it("cannot be used by a job", function()
    local db = ml.sql.open "sqlite::memory:"
    assert.matches("cannot send upvalue 'db' of function at spec/sql/workers_spec.lua:%d+: a database in memory "
      .. "%(sqlite::memory:%), which cannot leave its Lua state",
      message(ml.executor.run, function() return db:value "select 1" end))
    local next_row = db:rows "select 1"
    assert.matches("cannot send upvalue 'next_row'",
      message(ml.executor.run, function() return next_row() end), 1, true)
    db:close()
  end)
end)
