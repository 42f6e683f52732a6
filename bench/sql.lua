-- What a statement costs: build/release/moonloop bench/sql.lua CASE N [TASKS [CONNECTIONS]]
--
-- N statements by TASKS tasks (1) on CONNECTIONS (10). Prints a line of JSON; closed_loop.lua says what is in it.
--
--   pk fortunes                       on the PostgreSQL at DATABASE_URL, which has the tables item and fortune
--   select range insert batch ains    on a SQLite file in a folder of its own
--
-- Of the latter, `insert` has 1,000 in a transaction, `batch` is a statement with 1,000 lists of parameters, and `ains`
-- are inserts that commit themselves. With SYNC=full commits wait for the disk.
local ml = require "moonloop"
local closed_loop = dofile((arg[0]:gsub("[^/]*$", "closed_loop.lua")))

local case, n = arg[1], math.tointeger(tonumber(arg[2]))
local tasks, connections = math.tointeger(tonumber(arg[3] or 1)), math.tointeger(tonumber(arg[4] or 10))
local depth = tonumber(os.getenv "DEPTH" or 32)

local BY_KEY = "select id, name, score, created, active from item where id = $1"
local RANGE = "select id, name, score, created, active from item where id >= $1 limit 20"
local INSERT = "insert into ins values ($1, $2, $3)"

local function key(i) return 1 + i * 7919 % 10000 end

local db
local run = {}

function run.pk(i) assert(db:query(BY_KEY, key(i))) end

function run.fortunes() assert(db:query "select id, message from fortune") end

function run.select(i) assert(db:query(BY_KEY, key(i))) end

function run.range(i) assert(db:query(RANGE, key(i))) end

function run.ains(i) assert(db:exec(INSERT, i, "a name of a row", 1.5)) end

function run.insert()
  assert(db:tx(function(tx)
    for i = 1, 1000 do assert(tx:exec(INSERT, i, "a name of a row", 1.5)) end
    return true
  end))
end

local lists = {}
for i = 1, 1000 do lists[i] = { i, "a name of a row", 1.5 } end

function run.batch() assert(db:batch(INSERT, lists)) end

assert(run[case], "usage: sql.lua pk|fortunes|select|range|insert|batch|ains N [TASKS [CONNECTIONS]]")

--- A SQLite file with the tables, in a folder that is removed at the end.
local function with_file(f)
  local pipe <close> = assert(io.popen "mktemp -d")
  local folder = pipe:read "l"
  db = ml.sql.open("sqlite:" .. folder .. "/bench.db", { pool = connections })
  if os.getenv "SYNC" then assert(db:exec("pragma synchronous = " .. os.getenv "SYNC")) end
  assert(db:script [[
    create table item (id integer primary key, name text not null, score real, created real, active int);
    create table ins (id int, name text, score real);
  ]])
  local rows = {}
  for i = 1, 10000 do rows[i] = { i, "item number " .. i, i * 1.5, 1704067200.0 + i * 60, i % 2 } end
  assert(db:batch("insert into item values ($1, $2, $3, $4, $5)", rows))
  f()
  db:close()
  os.execute("rm -r " .. folder)
end

local function measure() closed_loop(case, n, tasks, run[case], case == "insert" and 1000 or 1) end

if case == "pk" or case == "fortunes" then
  db = ml.sql.open(assert(os.getenv "DATABASE_URL", "DATABASE_URL is not set"),
    { pool = connections, pipeline = depth > 1 })
  measure()
  db:close()
else
  with_file(measure)
end
