-- Databases where a program ends, or a task while its connection is being made.
local ml = require "moonloop"
local folders = require "spec.support.folder"
local postgres = require "spec.support.postgres"
local processes = require "spec.support.process"
local redis = require "spec.support.redis"
local rawtcp = require("spec.support").rawtcp

-- Everything that a database can be in the middle of. The arguments: how it ends, a URL of PostgreSQL, one of a server
-- that says nothing, one of Redis.
local PROGRAM = [[
  local how, postgres_url, silent_url, redis_url = "%s", "%s", "%s", "%s"
  local endless = "with recursive c(x) as (select 1 union all select x + 1 from c) select count(*) from c"
  local function begin(f, ...)
    ml.spawn(f, ...)
    ml.sleep(0)
  end
  local busy = {}

  local file = ml.sql.open("sqlite:%s/app.db")
  assert(file:script "create table t (n integer)")
  begin(file.value, file, endless)
  begin(function() file:tx(function(tx) tx:exec "insert into t values (1)" tx:value(endless) end) end)
  begin(function() for _ in file:rows(endless) do end end)
  busy[1] = function() return file:stats().busy == 3 end

  if postgres_url ~= "" then
    local db = ml.sql.open(postgres_url, { pool = 6 })
    begin(db.value, db, "select pg_sleep(600)")
    begin(function()
      db:tx(function(tx) tx:exec "create table left_open (n int)" tx:value "select pg_sleep(600)" end)
    end)
    begin(function() for _ in db:rows "select generate_series(1, 1000000)" do ml.sleep(600) end end)
    begin(function()
      for _ in db:copy_out "copy (select generate_series(1, 1000000)) to stdout" do ml.sleep(600) end
    end)
    begin(function() for _ in db:listen "jobs" do end end)
    local silent = ml.sql.open(silent_url, { acquire = 600 })
    begin(silent.value, silent, "select 1")
    busy[2] = function()
      return db:stats().leased >= 3 and silent:stats().connecting == 1
        and db:value "select count(*) from pg_stat_activity where wait_event = 'PgSleep'" == 2
    end
  end

  if redis_url ~= "" then
    local r = ml.redis.client(redis_url)
    begin(r.blpop, r, "queue", 0)
    begin(function() for _ in r:subscribe "jobs" do end end)
    busy[3] = function() return r:info "clients":find "blocked_clients:1" end
  end

  for _, is_busy in pairs(busy) do while not is_busy() do ml.sleep(0.01) end end
  io.stderr:write "all is busy\n"
  if how == "os.exit" then os.exit(3) end
  if how == "error" then error "on purpose" end
  ml.sleep(600)
]]

describe("a program that ends while its databases are busy", function()
  local server, store, silent, folder

  setup(function()
    folder = folders.new {}
    if not postgres.missing() then server = postgres.start() end
    if not redis.missing() then store = redis.start() end
    silent = assert(rawtcp.listen())
  end)

  teardown(function()
    silent:close()
    if server then server:close() end
    if store then store:close() end
    folder:close()
  end)

  local function program(how)
    return PROGRAM:format(how, server and server.url or "",
      ("postgres://postgres@127.0.0.1:%d/postgres?sslmode=disable&connect_timeout=600"):format(silent.port),
      store and store.url or "",
      folder.path)
  end

  -- Nothing of it is left at the servers, nor in the file.
  local function check()
    local db = ml.sql.open(("sqlite:%s/app.db"):format(folder.path))
    assert.equal(0, db:value "select count(*) from t")
    assert(db:exec "drop table t")
    db:close()
    if not server then return end
    postgres.eventually("sessions are left", function()
      local left = server:psql "select state, query from pg_stat_activity where backend_type = 'client backend' \z
        and pid <> pg_backend_pid()"
      return left == ""
    end)
  end

  for how, expected in pairs { ["os.exit"] = { 3, "^all is busy\n$" }, error = { 1, "SCRIPT:%d+: on purpose" } } do
    it("by " .. how .. " leaves nothing", function()
      local output, status = processes.run(program(how))
      assert.matches(expected[2], output)
      assert.not_matches("left", output)
      assert.equal(expected[1], status)
      check()
    end)
  end

  it("by a signal leaves nothing", function()
    local script <close> = folders.file('local ml = require "moonloop"\n' .. program "signal")
    local process <close> = processes.start("run --block-limit 0 " .. script.path)
    postgres.eventually("it is not busy", function() return process:errors():find "all is busy" end)
    local _, status, errors = process:stop()
    assert.same({ 143, "all is busy\n" }, { status, errors })
    check()
  end)
end)

describe("a connection to PostgreSQL that is being made", function()
  if postgres.missing() then
    it("needs a server", function() pending(postgres.missing()) end)
    return
  end

  it("is whole for others when the task that wanted it is cancelled", function()
    local server = postgres.start()
    local _ <close> = setmetatable({}, { __close = function() server:close() end })
    for passes = 0, 24, 2 do
      local db = ml.sql.open(server.url, { pool = 2 })
      local tasks = {
        ml.spawn(function() return db:value "select 1" end),
        ml.spawn(function() return db:tx(function(tx) return tx:value "select 2" end) end),
        ml.spawn(function() for _ in db:listen "jobs" do end end),
      }
      for _ = 1, passes do ml.sleep(passes < 12 and 0 or 0.001) end
      for _, task in ipairs(tasks) do task:cancel() end
      ml.wait(tasks)
      assert.equal(3, db:value "select 3")
      assert.equal(4, db:tx(function(tx) return tx:value "select 4" end))
      db:close()
    end
    postgres.eventually("sessions are left", function()
      return server:psql "select count(*) from pg_stat_activity where backend_type = 'client backend'" == "1"
    end)
  end)
end)
