--- `moonloop jobs list|retry|cancel|stats`.
local counted = require "moonloop.core.counted"
local error_shown = require "moonloop.sql.error_shown"
local jobs_of = require "moonloop.jobs".new
local sorted_keys = require "moonloop.core.sorted_keys"
local sql = require "moonloop.sql"
local tables = require "moonloop.jobs.tables"
local table_text = require "moonloop.sql.table_text"
local time = require "moonloop.time"
local urls = require "moonloop.sql.url"

local function fail(status, message)
  io.stderr:write("moonloop: ", message, "\n")
  os.exit(status)
end

local function check(value, err)
  if value == nil then fail(1, error_shown(err)) end
  return value
end

-- Looking makes neither a file nor tables.
local function open(url)
  local good, driver, place = pcall(urls.parse, url)
  if not good then fail(1, tostring(driver)) end
  local file = driver == "sqlite" and place.path and io.open(place.path)
  if driver == "sqlite" and place.path and not file then
    fail(1, ("there is no database %s: --url or DATABASE_URL says which it is"):format(place.path))
  end
  if file then file:close() end
  local db = sql.open(url, { pool = 2 })
  if not check(tables.exist(db)) then fail(1, ("%s has no jobs yet"):format(urls.shown(url))) end
  return db, jobs_of(db)
end

local function moment(t) return t and time.format(math.floor(t)) or nil end

local states = { ready = true, scheduled = true, running = true, dead = true, done = true, cancelled = true }

-- What is most worth knowing of a job in its state.
local function remark(jobs, job)
  if job.state == "running" then return "since " .. moment(job.started_at) end
  if job.state == "done" or job.state == "cancelled" then return "at " .. moment(job.finished_at) end
  local due = job.state == "scheduled" and "due " .. moment(job.at) or nil
  local whole = job.attempt > 0 and jobs:get(job.id) or { errors = {} }
  local last = whole.errors[#whole.errors]
  local message = type(last) == "table" and tostring(last.message):match "^[^\n]*"
  if message and #message > 100 then message = message:sub(1, utf8.offset(message, 0, 97) - 1) .. "..." end
  if not message then return due end
  return due and due .. ": " .. message or message
end

local verbs = {}

function verbs.list(request)
  local limit = request.limit and math.tointeger(tonumber(request.limit)) or 100
  if request.limit and (not request.limit:find "^%d+$" or limit < 1 or limit > 10000) then
    fail(2, ("jobs list: --limit must be a number from 1 to 10000, not '%s'"):format(request.limit))
  end
  if request.state and not states[request.state] then
    fail(2, ("jobs list: --state must be ready, scheduled, running, dead, done or cancelled, not '%s'")
      :format(request.state))
  end
  local db, jobs = open(request.url)
  local list = check(jobs:list { state = request.state, name = request.name, queue = request.queue, limit = limit })
  if #list == 0 then
    print "no jobs"
    return db:close()
  end
  local rows = {}
  for i, job in ipairs(list) do
    rows[i] = { job.id, job.name, job.queue, job.cancelling and "cancelling" or job.state,
      ("%d/%d"):format(job.attempt, job.attempts), moment(job.pushed_at), remark(jobs, job) }
  end
  io.stdout:write(table_text({ "id", "name", "queue", "state", "attempt", "pushed", "details" }, rows))
  if #list == limit then print(("the first %d: --limit shows more"):format(limit)) end
  db:close()
end

local function ids_of(request)
  local ids = {}
  for i, word in ipairs(request) do
    ids[i] = word:find "^%d+$" and math.tointeger(tonumber(word))
    if not ids[i] then
      fail(2, ("jobs %s: the id of a job expected, a number, not '%s'"):format(request.verb, word))
    end
  end
  return ids
end

-- Does it to each of them; status 1 where there was one to which it could not be done.
local function each(request, done, why_not)
  local ids = ids_of(request)
  local db, jobs = open(request.url)
  local missed = false
  for _, id in ipairs(ids) do
    if check(jobs[request.verb](jobs, id)) then
      print(done:format(id))
    else
      io.stderr:write("moonloop: ", why_not:format(id), "\n")
      missed = true
    end
  end
  db:close()
  if missed then os.exit(1) end
end

function verbs.retry(request)
  each(request, "job %d runs at once", "job %d is neither dead nor scheduled")
end

function verbs.cancel(request)
  each(request, "job %d is cancelled", "job %d neither waits nor runs")
end

function verbs.stats(request)
  local db, jobs = open(request.url)
  local stats = check(jobs:stats())
  local rows = {}
  local function add(kind, counts)
    for _, name in ipairs(sorted_keys(counts)) do
      local n = counts[name]
      rows[#rows + 1] = { kind .. name, n.ready, n.scheduled, n.running, n.dead }
    end
  end
  rows[1] = { "all", stats.ready, stats.scheduled, stats.running, stats.dead }
  add("queue ", stats.queues)
  add("job ", stats.names)
  io.stdout:write(table_text({ "", "ready", "scheduled", "running", "dead" }, rows))
  print(counted(stats.workers, "worker"))
  db:close()
end

return function(request)
  request.url = request.url or os.getenv "DATABASE_URL" or "sqlite:app.db"
  return verbs[request.verb](request)
end
