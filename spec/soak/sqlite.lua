-- SQLite statements that are broken off at random moments (cancels.lua): plain ones, in transactions, batches
-- and streams. Nothing may be given to the wrong task, committed by halves, or left locked.
--   moonloop spec/soak/sqlite.lua [CANCELS [SEED]]
local cancels = require "spec.soak.cancels"
local sqlite = require "spec.support.sqlite"

local M = {}

local random = math.random

-- Takes about as long as the operations are left alone.
local SLOW = [[with recursive c(x) as (select 1 union all select x + 1 from c where x < $2)
  select $1 as text, count(*) as n from c]]

local function operations(db)
  local list = {}

  function list.read(text)
    local row, err = db:one(SLOW, text, random(1, 20000))
    return row and row.text, err
  end

  function list.change(text)
    return db:value("insert into plain(text) values ($1) returning text", text)
  end

  function list.batch(text)
    local rows = {}
    for i = 1, random(2, 300) do rows[i] = { text, i } end
    local n, err = db:batch("insert into batch(text, i, of) values ($1, $2, " .. #rows .. ")", rows)
    return n and text, err
  end

  function list.stream(text)
    local wanted, n = random(1, 3000), 0
    for row in db:rows([[with recursive c(x) as (select 1 union all select x + 1 from c where x < 5000)
      select $1 as text, x from c]], text) do
      n = n + 1
      if row.text ~= text or row.x ~= n then return row.text end
      if n == wanted then break end
    end
    return text
  end

  -- Both rows are committed, or neither.
  function list.transaction(text)
    local conn <close>, err = db:lease "write"
    if not conn then return nil, err end
    assert(conn:simple "begin immediate")
    assert(conn:exec("insert into pair(text, which) values ($1, 1)", text))
    local row = assert(conn:one(SLOW, text, random(1, 5000)))
    assert(conn:exec("insert into pair(text, which) values ($1, 2)", text))
    local count = assert(conn:value("select count(*) from pair where text = $1", text))
    if count ~= 2 then return ("%d rows"):format(count) end
    assert(conn:simple(random(4) == 1 and "rollback" or "commit"))
    return row.text
  end

  function list.reading(text)
    local conn <close>, err = db:lease "read"
    if not conn then return nil, err end
    assert(conn:simple "begin")
    local before = assert(conn:value "select count(*) from plain")
    local row = assert(conn:one(SLOW, text, random(1, 5000)))
    local after = assert(conn:value "select count(*) from plain")
    if before ~= after then return "another snapshot" end
    return row.text
  end

  return list
end

local function check(db, place)
  cancels.wait_until("a connection is still leased or busy", function()
    local stats = db:stats()
    return stats.leased == 0 and stats.busy == 0 and stats.waiting == 0
  end)
  -- No lock is held: another connection can write at once.
  local other = sqlite.again(place, { timeout = 60 })
  assert(other:exec "insert into plain(text) values ('other')")
  local function none(what, sql) assert(assert(other:value(sql)) == 0, what) end
  none("a transaction was committed by halves",
    "select count(*) from (select 1 from pair group by text having count(*) <> 2)")
  none("a batch was committed by halves",
    "select count(*) from (select 1 from batch group by text having count(*) <> max(of))")
  none("a statement ran twice", "select count(*) from (select 1 from plain group by text having count(*) > 1)")
  assert(other:value "pragma integrity_check" == "ok")
  other:close()
end

local runs = { { pool = 4 }, { pool = 1 }, { pool = 4, inline = true } }

--- run(cancels, seed [, progress]): breaks so many operations off with each sort of pool; raises where anything
-- is wrong. progress(text).
function M.run(count, seed, progress)
  math.randomseed(seed)
  for i, options in ipairs(runs) do
    options.acquire = 60
    local db, place = sqlite.open(options)
    local _ <close> = place
    assert(db:exec "create table plain(text text not null)")
    assert(db:exec "create table pair(text text not null, which integer)")
    assert(db:exec "create table batch(text text not null, i integer, of integer)")
    local books = cancels.run { cancels = count, operations = operations(db) }
    check(db, place)
    db:close()
    if progress then
      progress(("run %d: %d broken off, %d done, %d failed"):format(i, books.cancelled, books.done, books.failed))
    end
  end
end

if not (arg and arg[0] and arg[0]:find("soak/sqlite%.lua$")) then return M end

local wanted = math.tointeger(tonumber(arg[1] or 10000))
local seed = math.tointeger(tonumber(arg[2] or os.time()))
assert(wanted and seed, "usage: moonloop spec/soak/sqlite.lua [CANCELS] [SEED]")
print(("sqlite soak: seed %d"):format(seed))
M.run(wanted, seed, function(text) print("sqlite soak: " .. text) end)
