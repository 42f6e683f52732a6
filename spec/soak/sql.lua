-- Statements that are broken off at random moments: moonloop spec/soak/sql.lua [CANCELS] [SEED] [RUN]
--
-- Plain and pipelined statements, transactions with savepoints and locks, sessions and streams of rows are broken off
-- by a cancel, a deadline or an HTTP client that goes away: on SQLite; on PostgreSQL directly, through a proxy that
-- delays, cuts, freezes and resets, by TLS while all backends are terminated and the server is stopped and restarted,
-- and behind pgbouncer. No statement may be hit by another's cancel, no answer may be given to the wrong task, and in
-- the end the pool has its full size, no transaction is open and no lock is held. RUN: a part of the name of a run.
local cancels = require "spec.soak.cancels"
local folders = require "spec.support.folder"
local ml = require "moonloop"
local postgres = require "spec.support.postgres"
local proxies = require "spec.support.proxy"
local tls = require "spec.support.tls"

local soak = {}

local random = math.random

local POOL = 6

-- --- operations ---

-- All take (db, text, n) and return the text, or nil and an error.
local common = {}

function common.plain(db, text) return db:value("select cast($1 as text)", text) end

-- Several at once, from one task: pipelined where the pool is smaller.
function common.together(db, text, n)
  local ok, values = pcall(ml.gather, {
    { db.value, db, "select cast($1 as text)", "first" .. n },
    { db.value, db, "select cast($1 as text)", text },
    { db.one, db, "select cast($1 as text) as text", "last" .. n },
  }, {})
  if not ok then
    if ml.is_error(values) and values.kind ~= "cancelled" and values.kind ~= "timeout" then return nil, values end
    error(values, 0)
  end
  if values[1] ~= "first" .. n or values[3].text ~= "last" .. n then return "the answers of others" end
  return values[2]
end

function common.batch(db, text, n)
  local count, err = db:batch("insert into notes (n, text) values ($1, $2)", { { n * 2, text }, { n * 2 + 1, text } })
  if not count then return nil, err end
  return db:value("select text from notes where n = $1", n * 2)
end

function common.transaction(db, text, n)
  return db:tx(function(tx)
    assert(tx:exec("insert into notes (n, text) values ($1, $2)", -n, text))
    local value = assert(tx:value("select text from notes where n = $1", -n))
    assert(tx:exec("delete from notes where n = $1", -n))
    return value
  end)
end

function common.savepoint(db, text, n)
  return db:tx(function(tx)
    assert(tx:exec("insert into notes (n, text) values ($1, $2)", -n, text))
    tx:tx(function(inner)
      assert(inner:exec("update notes set text = 'lost' where n = $1", -n))
      return nil, "rolled back"
    end)
    local value = assert(tx:value("select text from notes where n = $1", -n))
    assert(tx:exec("delete from notes where n = $1", -n))
    return value
  end)
end

-- Rolled back by an error in the middle.
function common.failing(db, text, n)
  local marker = {}
  local ok, err, failure = pcall(db.tx, db, function(tx)
    assert(tx:exec("insert into notes (n, text) values ($1, $2)", -n, text))
    error(marker, 0)
  end)
  if ok then return err, failure end -- it did not begin
  if err == marker then return text end
  if ml.is_error(err) and err.kind ~= "cancelled" and err.kind ~= "timeout" then return nil, err end
  error(err, 0)
end

-- The result of f(), or nil and the error that it raised; a cancel and a deadline go on.
local function caught(f)
  local ok, value, err = pcall(f)
  if ok then return value, err end
  if ml.is_error(value) and value.kind ~= "cancelled" and value.kind ~= "timeout" then return nil, value end
  error(value, 0)
end

local of_postgres = {}

function of_postgres.slow(db, text)
  return db:value("select $1::text from pg_sleep($2)", text, random() * 0.004)
end

-- All wait for one of three locks, which go with their transactions.
function of_postgres.locked(db, text, n)
  return db:tx(function(tx)
    assert(tx:query("select pg_advisory_xact_lock($1)", n % 3))
    return assert(tx:value("select $1::text", text))
  end)
end

function of_postgres.rows(db, text, n)
  local seen = 0
  local _, err = caught(function()
    for row in db:rows("select i, $1::text as text from generate_series(1, 3000) as i", text) do
      seen = seen + 1
      if row.i ~= seen or row.text ~= text then error(("row %d is %s, %s"):format(seen, row.i, row.text), 0) end
      if n % 3 == 0 and seen == 500 then break end
    end
  end)
  if err ~= nil then return nil, err end
  return seen == (n % 3 == 0 and 500 or 3000) and text or ("%d rows"):format(seen)
end

local COPIED = 20

function of_postgres.copied_in(db, text, n)
  local i = 0
  local count, err = db:copy_in("copies", { "n", "text" }, function()
    i = i + 1
    if i % 8 == 0 then ml.sleep(0) end
    return i <= COPIED and { n, text } or nil
  end)
  if not count then return nil, err end
  if count ~= COPIED then return ("%d rows"):format(count) end
  local row
  row, err = db:one("select count(*) as count, min(text) as first, max(text) as last from copies where n = $1", n)
  if not row then return nil, err end
  return row.count == COPIED and row.first == row.last and row.first or ("%d rows"):format(row.count)
end

function of_postgres.copied_out(db, text)
  return caught(function()
    local chunks = {}
    for chunk in db:copy_out(("copy (select '%s' from generate_series(1, 2000)) to stdout"):format(text)) do
      chunks[#chunks + 1] = chunk
    end
    return table.concat(chunks) == (text .. "\n"):rep(2000) and text or "the rows of others"
  end)
end

local of_listeners = {}

-- A notification, or that one may have been lost.
function of_listeners.listened(db, text, n)
  return caught(function()
    local next_note, state, control, closing = db:listen("c" .. n)
    local _ <close> = closing
    local ok, err = db:notify("c" .. n, text)
    if not ok then return nil, err end
    local note = next_note(state, control)
    return note.gap and text or note.payload
  end)
end

local of_sessions = {}

function of_sessions.session(db, text)
  return db:session(function(conn)
    assert(conn:exec "set application_name = 'in a session'")
    assert(conn:query "select pg_advisory_lock(7)")
    return assert(conn:value("select $1::text", text))
  end)
end

local function list_of(db, ...)
  local list = {}
  for _, set in ipairs { ... } do
    for name, f in pairs(set) do
      list[name] = function(text, n)
        local ok, value, err = pcall(f, db, text, n)
        if ok then return value, err end
        -- what `assert` has raised; a cancel and a deadline go on
        if ml.is_error(value) and value.kind ~= "cancelled" and value.kind ~= "timeout" then return nil, value end
        error(type(value) == "string" and name .. ": " .. value or value, 0)
      end
    end
  end
  return list
end

-- --- what is left in the end ---

local function check_pool(db)
  assert(cancels.wait_until("the database does not answer", function() return db:value "select 1" == 1 end) == nil)
  local all = {}
  for i = 1, POOL * 3 do all[i] = { db.tx, db, function(tx) return tx:value "select 1" end } end
  local values = assert(ml.timeout(60, ml.gather, all, {}))
  for i = 1, POOL * 3 do assert(values[i] == 1) end
end

local function check_postgres(db, server)
  check_pool(db)
  local function count(sql) return tonumber(server:psql(sql)) end
  local others = "from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()"
  cancels.wait_until("transactions are open", function()
    return count("select count(*) " .. others .. " and state <> 'idle'") == 0
  end, function() return server:psql("select state, wait_event, query " .. others) end)
  cancels.wait_until("locks are held", function()
    return count "select count(*) from pg_locks where locktype in ('advisory', 'relation', 'transactionid') \z
      and pid <> pg_backend_pid()" == 0
  end)
  cancels.wait_until("there are more connections than the pool has", function()
    return count("select count(*) " .. others) <= POOL
  end)
  assert(count("select count(*) from (select n from copies group by n having count(*) <> " .. COPIED .. ") as p") == 0,
    "a part of a COPY is left")
  assert(count "select count(*) from notes where n < 0" == 0, "a part of a transaction is left")
end

local passing = { network = true, timeout = true, closed = true, pool = true, busy = true, lock_timeout = true }

-- Errors that a cut or a restart explains: those of connections, and of a server that starts or ends.
local function is_passing(err)
  if not ml.is_error(err) then return false end
  local code = err.code or ""
  return passing[err.kind] or code:find "^57P" ~= nil or code:find "^08" ~= nil or code == "40001" or code == "25P02"
    or err.unknown == true
end

-- --- the runs ---

local TABLE = "drop table if exists notes, copies; create table notes (n bigint, text text); \z
  create table copies (n bigint, text text); create index on copies (n)"

local function open(url, opts)
  opts = opts or {}
  opts.pool, opts.acquire = opts.pool or POOL, 50
  return ml.sql.open(url, opts)
end

local function troubles(server)
  return function(over)
    local admin = ml.sql.open(server.url, { pool = 1, timeout = 60, acquire = 60 })
    while not over() do
      ml.sleep(random() * 0.15)
      local dice = random(20)
      if dice == 1 then
        server:stop(random(2) == 1 and "QUIT" or "INT")
        server:start()
      elseif dice <= 5 then
        server:kill "STOP"
        ml.sleep(random() * 0.1)
        server:kill "CONT"
      else
        admin:query "select pg_terminate_backend(pid) from pg_stat_activity \z
          where backend_type = 'client backend' and pid <> pg_backend_pid()"
      end
    end
    admin:close()
  end
end

local runs = {
  { "SQLite", function(o)
    local folder <close> = folders.new {}
    local db = open("sqlite:" .. folder.path .. "/soak.db")
    assert(db:exec "create table notes (n integer, text text)")
    o.operations = list_of(db, common)
    local books = cancels.run(o)
    check_pool(db)
    assert(db:value "select count(*) from notes where n < 0" == 0, "a part of a transaction is left")
    db:close()
    return books
  end },
  { "PostgreSQL, directly", function(o, server)
    local db = open(server.url)
    o.operations = list_of(db, common, of_postgres, of_sessions)
    local books = cancels.run(o)
    check_postgres(db, server)
    db:close()
    return books
  end },
  { "PostgreSQL, two connections, deep pipelines", function(o, server)
    local db = open(server.url, { pool = 2 })
    o.operations = list_of(db, { plain = common.plain, together = common.together, slow = of_postgres.slow })
    local books = cancels.run(o)
    check_postgres(db, server)
    db:close()
    return books
  end },
  { "PostgreSQL, through a proxy that makes faults", function(o, server)
    local proxy <close> = proxies.start(server.port)
    local db = open(("postgres://postgres@127.0.0.1:%d/postgres?sslmode=disable"):format(proxy.port))
    o.operations, o.may_fail = list_of(db, common, of_postgres, of_sessions), is_passing
    o.disturb = cancels.harass(proxy)
    local books = cancels.run(o)
    proxy:harass(nil)
    check_postgres(db, server)
    db:close()
    return books
  end },
  { "PostgreSQL, by TLS, while backends are terminated and the server is stopped and restarted", function(o, server)
    local db = open(server:at("postgres", nil, tls.is_there() and "sslmode=require" or "sslmode=disable"))
    o.operations, o.may_fail = list_of(db, common, of_postgres, of_sessions), is_passing
    o.disturb = troubles(server)
    local books = cancels.run(o)
    check_postgres(db, server)
    db:close()
    return books
  end },
  { "PostgreSQL, LISTEN while backends are terminated", long = true, function(o, server)
    local db = open(server.tcp_url)
    o.operations, o.may_fail = list_of(db, of_listeners, { plain = common.plain }), is_passing
    o.disturb = troubles(server)
    local books = cancels.run(o)
    check_postgres(db, server)
    db:close()
    return books
  end },
  { "PostgreSQL, behind pgbouncer", function(o, server)
    if postgres.missing_pgbouncer() then return { skipped = postgres.missing_pgbouncer() } end
    local bouncer <close> = postgres.bouncer(server)
    local db = open(bouncer.url, { prepare = false, pipeline = false })
    o.operations = list_of(db, common, of_postgres)
    local books = cancels.run(o)
    check_pool(db)
    db:close()
    return books
  end },
}

--- run(cancels, seed [, progress [, which]]): raises where anything is wrong. progress(text). A short one leaves out
-- what takes long.
function soak.run(wanted, seed, progress, which)
  local is_short = wanted < 1000
  local server
  local _ <close> = setmetatable({}, { __close = function()
    if server then server:close() end
  end })
  for _, run in ipairs(runs) do
    local name, f = run[1], run[2]
    if not which and not (run.long and is_short) or which and name:find(which, 1, true) then
      math.randomseed(seed)
      local skipped = name:find "PostgreSQL" and postgres.missing()
      if name:find "PostgreSQL" and not server and not skipped then
        server = postgres.start { max_connections = 200, ssl = tls.is_there() }
      end
      if server then server:psql(TABLE) end
      local o = { cancels = wanted, longest = name:find "SQLite" and 0.004 or 0.02 }
      local books = skipped and { skipped = skipped } or f(o, server)
      if progress then
        progress(("%s: %s"):format(name, books.skipped or ("%d broken off, %d done, %d failed"):format(books.cancelled,
          books.done, books.failed)))
      end
    end
  end
end

if not (arg and arg[0] and arg[0]:find("soak/sql%.lua$")) then return soak end

local wanted = math.tointeger(tonumber(arg[1] or 10000))
local seed = math.tointeger(tonumber(arg[2] or os.time()))
assert(wanted and seed, "usage: moonloop spec/soak/sql.lua [CANCELS] [SEED] [RUN]")
print(("sql soak: seed %d"):format(seed))
soak.run(wanted, seed, function(text) print("sql soak: " .. text) end, arg[3])
