-- What jobs cost: build/release/moonloop bench/jobs.lua [MEASURE...], on PostgreSQL at DATABASE_URL, or else on an
-- SQLite file of its own in TMPDIR. It empties the tables of ml.jobs there.
--
-- Jobs that do nothing, one worker process. `common` prints what bench/run compares; without a measure, all but
-- the long ones (rows, churn) are printed.
local ml = require "moonloop"
local wake = require "moonloop.jobs.wake"

local SLOTS = 100
local url = os.getenv "DATABASE_URL"
local file
if not url then
  file = os.tmpname()
  url = "sqlite:" .. file
end
local is_pg = url:find "^postgres" ~= nil
local db = ml.sql.open(url, { pool = 10, slow = 100, timeout = 600 })
local jobs = ml.jobs.new(db)

local count, wanted, over = 0, 0, ml.event()
local function tick()
  count = count + 1
  if count == wanted then over:set() end
end
jobs:define("noop", tick)
jobs:define("kept", { keep = 3600 }, tick)
local starts = {}
jobs:define("timed", function(args) starts[#starts + 1] = ml.now() - args.time end)
jobs:define("far", function() end)

local function empty()
  for _, name in ipairs { "", "_done", "_unique" } do assert(db:exec((is_pg and "truncate " or "delete from ") ..
    "moonloop_jobs" .. name)) end
end

local function push(name, n)
  local list = {}
  for i = 1, n do
    list[#list + 1] = { name, { to = "user@example.org", i = i } }
    if #list == 5000 or i == n then
      assert(jobs:push_all(list))
      list = {}
    end
  end
end

-- Waits until all that has ended is written down, too.
local function until_empty()
  while db:value "select count(*) from moonloop_jobs where state = 'running'" > 0 do ml.sleep(0.005) end
end

-- Runs f while a worker works.
local function working(slots, f)
  local worker = jobs:work { queues = { default = slots } }
  local result = f()
  worker:stop()
  return result
end

local function jobs_per_second(name, n, slots)
  empty()
  push(name, n)
  if is_pg then assert(db:exec "analyze moonloop_jobs") end
  count, wanted = 0, n
  over:clear()
  local began = ml.now()
  return working(slots, function()
    over:wait()
    until_empty()
    return n / (ml.now() - began)
  end)
end

local function quantile(list, share)
  table.sort(list)
  return list[math.min(#list, math.floor(#list * share) + 1)]
end

-- Pushes one after the other to a worker that is idle; seconds from the push's begin, and from its end, to the start.
local function latency(n, gap)
  empty()
  starts = {}
  return working(SLOTS, function()
    ml.sleep(1.5)
    local took = {}
    for i = 1, n do
      local began = ml.now()
      assert(jobs:push("timed", { time = began }))
      took[i] = ml.now() - began
      while #starts < i do ml.sleep(0.0005) end
      took[i] = starts[i] - took[i]
      ml.sleep(gap)
    end
    return { p50 = quantile(starts, 0.5), p99 = quantile(starts, 0.99), beyond50 = quantile(took, 0.5),
      beyond99 = quantile(took, 0.99) }
  end)
end

local function pushes_per_second(clients, seconds)
  empty()
  local n, stop = 0, ml.now() + seconds
  local tasks = {}
  for i = 1, clients do
    tasks[i] = function()
      while ml.now() < stop do
        assert(jobs:push("far", { to = "user@example.org" }))
        n = n + 1
      end
    end
  end
  ml.gather(tasks)
  return n / seconds
end

local measures = {}

function measures.deleted() print(("no-op, deleted, %d at once: %.0f jobs/s"):format(SLOTS,
  jobs_per_second("noop", is_pg and 40000 or 60000, SLOTS))) end
function measures.kept() print(("no-op, kept, %d at once: %.0f jobs/s"):format(SLOTS,
  jobs_per_second("kept", is_pg and 30000 or 40000, SLOTS))) end
function measures.single() print(("no-op, deleted, one at a time: %.0f jobs/s"):format(
  jobs_per_second("noop", 6000, 1))) end
function measures.latency()
  local found = latency(200, 0.025)
  print(("push to start, idle: p50 %.2f ms, p99 %.2f ms; beyond the push: p50 %.2f ms, p99 %.2f ms"):format(
    found.p50 * 1e3, found.p99 * 1e3, found.beyond50 * 1e3, found.beyond99 * 1e3))
end
function measures.push()
  local pushed = wake.pushed
  local with, without = {}, {}
  for i = 1, 3 do
    with[i] = pushes_per_second(32, 2)
    wake.pushed = function() end
    without[i] = pushes_per_second(32, 2)
    wake.pushed = pushed
  end
  print(("push, 32 tasks: %.0f/s with wake-ups, %.0f/s without"):format(quantile(with, 0.5), quantile(without, 0.5)))
end

-- The first jobs of a long queue, against those of a short one.
function measures.rows()
  local function rate(rows, n)
    empty()
    push("noop", rows)
    if is_pg then assert(db:exec "vacuum analyze moonloop_jobs") end
    count, wanted = 0, n
    over:clear()
    local began = ml.now()
    return working(SLOTS, function()
      over:wait()
      return n / (ml.now() - began)
    end)
  end
  local short = {}
  for i = 1, 3 do short[i] = rate(10000, 10000) end
  local long = rate(1000000, 40000)
  print(("ten thousand rows: %.0f jobs/s; a million: %.0f jobs/s"):format(quantile(short, 0.5), long))
  empty()
end

-- Pushed and worked at once, for a minute; then the same while a transaction elsewhere keeps an old snapshot.
function measures.churn()
  local seconds = tonumber(os.getenv "CHURN" or 60)
  local function rate()
    empty()
    if is_pg then assert(db:exec "vacuum analyze moonloop_jobs") end
    count, wanted = 0, -1
    return working(SLOTS, function()
      local stop = ml.now() + seconds
      local pushed = 0
      while ml.now() < stop do
        if pushed - count > 3000 then ml.sleep(0.002) else
          push("noop", 500)
          pushed = pushed + 500
        end
      end
      return count / seconds
    end)
  end
  local free = rate()
  if not is_pg then return print(("churn: %.0f jobs/s"):format(free)) end
  local other = ml.sql.open(url, { pool = 1, slow = 1000 })
  local held
  other:tx({ isolation = "repeatable read" }, function(tx)
    assert(tx:value "select count(*) from moonloop_jobs")
    held = rate()
    return true
  end)
  other:close()
  print(("churn: %.0f jobs/s; beside an old snapshot %.0f (%.2f)"):format(free, held, held / free))
end

function measures.common()
  print(("rate\t%.0f\t/s"):format(jobs_per_second("noop", 20000, SLOTS)))
  local found = latency(100, 0.02)
  print(("p50\t%.3f\tms"):format(found.p50 * 1e3))
  print(("p99\t%.3f\tms"):format(found.p99 * 1e3))
end

assert(jobs:push("noop")) -- makes the tables
for _, name in ipairs(#arg > 0 and arg or { "deleted", "kept", "single", "latency", "push" }) do
  if not measures[name] then error(("there is no measure '%s'"):format(name), 0) end
  measures[name]()
end
db:close()
if file then for _, suffix in ipairs { "", "-wal", "-shm" } do os.remove(file .. suffix) end end
