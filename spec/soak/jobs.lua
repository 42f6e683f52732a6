-- Jobs while worker processes, and the database, are killed at random moments (kill -9). Afterwards each job that was
-- pushed has run to its end, none is left, those of transactions that were rolled back have not run, and each run
-- that came twice has its reason: the one before failed, or its worker or the database was killed meanwhile.
--   moonloop spec/soak/jobs.lua [JOBS [SEED [RUN]]]     RUN: SQLite or PostgreSQL
local folders = require "spec.support.folder"
local ml = require "moonloop"
local postgres = require "spec.support.postgres"
local process = require "spec.support.process"

local soak = {}

local random = math.random
local WORKERS = 3
local LIMIT = 300 -- seconds until all must have run

-- --- the book: what was pushed, and what should become of it ---

local function new_book() return { next = 1, wanted = {}, refused = {}, unknown = {}, poison = {} } end

local function new_job(book)
  local n, dice = book.next, random(100)
  book.next = n + 1
  if dice <= 10 then return { "fails", { n = n, times = random(0, 2) } } end
  if dice <= 20 then return { "alone", { n = n } } end
  local args = { n = n, sleep = random(4) == 1 and random() * 0.02 or nil }
  return { "plain", args, { priority = random(0, 1), delay = dice <= 30 and random() * 0.3 or nil } }
end

local function note(book, list, where)
  for _, job in ipairs(list) do book[where][job[2].n] = job[1] end
end

-- Pushes some jobs in one of several ways. Where the answer is lost nobody knows whether they are there.
local function push_some(book, db, jobs, most)
  local list = {}
  for i = 1, random(math.min(most, random(3) == 1 and 20 or 3)) do list[i] = new_job(book) end
  local rolled_back, ok, err = false
  if random(3) == 1 then
    rolled_back = random(3) == 1
    ok, err = db:tx(function(tx)
      for _, job in ipairs(list) do
        local options = { tx = tx }
        for name, value in pairs(job[3] or {}) do options[name] = value end
        local id, failure = jobs:push(job[1], job[2], options)
        if not id then return nil, failure end
      end
      if rolled_back then return nil, "rolled back" end
      return true
    end)
    if rolled_back and err == "rolled back" then return note(book, list, "refused") end
  else
    ok, err = jobs:push_all(list)
  end
  note(book, list, ok and "wanted" or rolled_back and "refused" or "unknown")
  if not ok and not ml.is_error(err) then error(err, 0) end
end

local function push_all(book, o)
  local db = ml.sql.open(o.url, { pool = 4, acquire = 60, slow = 100 })
  local jobs = ml.jobs.new(db)
  for _, name in ipairs { "plain", "fails" } do jobs:define(name, function() end) end
  jobs:define("poison", { attempts = 2 }, function() end)
  jobs:define("alone", { concurrency = 2 }, function() end)
  for i = 1, o.poisons do
    local n = book.next
    book.next = n + 1
    local id
    repeat id = jobs:push("poison", { n = n }, { delay = i * 0.2, unique = "poison " .. n }) until id
    book.poison[n] = true
  end
  while book.next <= o.jobs do
    push_some(book, db, jobs, o.jobs - book.next + 1)
    ml.sleep(random() * o.pause)
  end
  db:close()
end

-- --- those who die ---

local function start_worker(o)
  return process.start(("spec/soak/jobs_worker.lua %s %s %g"):format(process.quote(o.url), o.log, o.lost))
end

-- Calls f, which kills it.
local function kill(o, what, f)
  local entry = { what = what, from = ml.time.now() }
  o.kills[#o.kills + 1] = entry
  f()
  entry.at = ml.time.now()
end

local function is_dead(worker)
  local stat <close> = io.open(("/proc/%s/stat"):format(worker.pid))
  return not stat or stat:read "a":match "%) (%a)" == "Z"
end

-- Those that are dead are replaced: they were killed by us, or by poison.
local function replace_dead(o)
  for i, worker in ipairs(o.workers) do
    if is_dead(worker) then
      worker:close()
      o.workers[i] = start_worker(o)
    end
  end
end

local function kill_some(o, is_over)
  while not is_over() do
    ml.sleep(random() * o.between)
    if o.server and random(8) == 1 then
      kill(o, "database", function() o.server:stop(random(2) == 1 and "KILL" or "QUIT") end)
      ml.sleep(random() * 0.3)
      o.server:start()
    else
      local worker = o.workers[random(#o.workers)]
      kill(o, worker.pid, function() os.execute("kill -KILL " .. worker.pid .. " 2>/dev/null") end)
    end
    replace_dead(o)
  end
end

-- --- what has happened ---

local function read_log(path)
  local runs = {}
  for line in io.lines(path) do
    local what, n, pid, at = line:match "^(%l+) (%d+) (%d+) ([%d.]+)$"
    n, at = math.tointeger(tonumber(n)), tonumber(at)
    runs[n] = runs[n] or {}
    if what == "begin" then
      table.insert(runs[n], { pid = pid, begun = at })
    else
      for i = #runs[n], 1, -1 do
        local run = runs[n][i]
        if run.pid == pid and not run.over then
          run.over, run.how = at, what
          break
        end
      end
    end
  end
  for _, list in pairs(runs) do table.sort(list, function(a, b) return a.begun < b.begun end) end
  return runs
end

-- Why there was another run after this one, or nil.
local function reason(o, run, following, is_poison)
  if run.how == "fail" or is_poison then return "failed" end
  for _, death in ipairs(o.kills) do
    local before = death.from <= following.begun
    if before and death.at >= run.begun and death.what == run.pid then return "killed" end
    -- That a job was taken need not have reached the disk when the database dies: it may begin a moment later. So may
    -- what was finished.
    local is_near = death.at >= run.begun - 1 and (not run.over or death.from <= run.over + 5)
    if before and is_near and death.what == "database" then return "database" end
  end
  for pid, at in pairs(o.died) do -- by poison
    if pid == run.pid and at >= run.begun - 0.001 and at <= following.begun then return "poison" end
  end
end

local function check(book, o)
  local runs = read_log(o.log)
  o.died = {}
  for n in pairs(book.poison) do
    for _, run in ipairs(runs[n] or {}) do o.died[run.pid] = run.begun end
  end
  local found = { runs = 0, again = 0, failed = 0 }
  for n, list in pairs(runs) do
    assert(book.wanted[n] or book.unknown[n] or book.poison[n], ("job %d has run, and was not pushed"):format(n))
    for i, run in ipairs(list) do
      found.runs = found.runs + 1
      local following = list[i + 1]
      if following then
        local why = reason(o, run, following, book.poison[n])
        assert(why, ("job %d has run again without a reason: at %.3f by %s (%s), at %.3f by %s"):format(n, run.begun,
          run.pid, run.how or "no end", following.begun, following.pid))
        if why == "failed" then found.failed = found.failed + 1 else found.again = found.again + 1 end
      end
    end
  end
  for n, name in pairs(book.wanted) do
    local last = runs[n] and runs[n][#runs[n]]
    assert(last and last.how == "end", ("job %d (%s) has not run to its end: %s"):format(n, name,
      last and last.how or "it has never begun"))
  end
  return found
end

-- Waits until nothing is left but the poison, which is dead.
local function wait_until_done(book, o)
  local db = ml.sql.open(o.url, { pool = 1, acquire = 60, slow = 100 })
  local limit = ml.now() + LIMIT
  while true do
    local rows = assert(db:query [[
      select id, name, state, attempt, worker, lane from moonloop_jobs where state <> 'dead']])
    if #rows == 0 then break end
    if ml.now() > limit then
      error(("%d jobs are stuck, such as %s"):format(#rows, ml.json.encode(rows[1])), 0)
    end
    replace_dead(o)
    ml.sleep(0.1)
  end
  local dead = assert(db:query "select name, attempt from moonloop_jobs")
  for _, row in ipairs(dead) do
    assert(row.name == "poison" and row.attempt == 2, "a job is dead that is not poison")
  end
  local poisons = 0
  for _ in pairs(book.poison) do poisons = poisons + 1 end
  assert(#dead == poisons, ("%d jobs of poison are dead, of %d"):format(#dead, poisons))
  assert(db:value "select count(*) from moonloop_jobs_unique" == 0, "a key is taken for ever")
  db:close()
end

local function run(o)
  local folder <close> = folders.new {}
  os.execute("chmod 777 " .. folder.path)
  o.log = folder.path .. "/log"
  folders.write(o.log, "")
  o.url = o.server and o.server.url or ("sqlite:%s/app.db"):format(folder.path)
  o.kills, o.workers = {}, {}
  local book = new_book()
  local _ <close> = setmetatable({}, { __close = function()
    for _, worker in ipairs(o.workers) do worker:close() end
  end })
  for i = 1, WORKERS do o.workers[i] = start_worker(o) end
  local over = false
  local killer = ml.spawn(kill_some, o, function() return over end)
  push_all(book, o)
  over = true
  killer:await()
  wait_until_done(book, o)
  local found = check(book, o)
  return ("%d pushed, %d runs: %d failed as they should, %d came again for %d kills"):format(book.next - 1, found.runs,
    found.failed, found.again, #o.kills)
end

--- run(jobs, seed [, progress [, which]]): raises where anything is wrong. progress(text).
function soak.run(count, seed, progress, which)
  for _, name in ipairs { "SQLite", "PostgreSQL" } do
    if not which or which == name then
      math.randomseed(seed)
      local missing = name == "PostgreSQL" and postgres.missing()
      local is_short = count < 5000
      local o = { jobs = count, lost = is_short and 1.2 or 4, between = is_short and 0.4 or 1, pause = 0.02,
        poisons = is_short and 1 or 4 }
      local server <close> = name == "PostgreSQL" and not missing and postgres.start { max_connections = 200 } or nil
      o.server = server
      local text = missing or run(o)
      if progress then progress(name .. ": " .. text) end
    end
  end
end

if not (arg and arg[0] and arg[0]:find("soak/jobs%.lua$")) then return soak end

local wanted = math.tointeger(tonumber(arg[1] or 20000))
local seed = math.tointeger(tonumber(arg[2] or os.time()))
assert(wanted and seed, "usage: moonloop spec/soak/jobs.lua [JOBS] [SEED] [RUN]")
print(("jobs soak: seed %d"):format(seed))
soak.run(wanted, seed, function(text) print("jobs soak: " .. text) end, arg[3])
