-- jobs:every: schedules.
local clock = require "moonloop.clock"
local folders = require "spec.support.folder"
local ml = require "moonloop"
local process = require "spec.support.process"
local jobs_support = require "spec.support.jobs"

local function message(f, ...)
  local ok, err = pcall(f, ...)
  assert.is_false(ok)
  return (tostring(err):gsub("^[^:]*:%d+: ", ""))
end

local function plain()
  local db = ml.sql.open "sqlite::memory:"
  local jobs = ml.jobs.new(db)
  jobs:define("report", function() end)
  return jobs, db
end

describe("jobs:every", function()
  it("refuses what is no schedule", function()
    local jobs, db = plain()
    assert.equal("cron expression '61 * * * *': minute: 61 is not in 0-59",
      message(jobs.every, jobs, "61 * * * *", "report"))
    for given, shown in pairs { [0] = "0", [0.5] = "0.5", [math.huge] = "inf", [true] = "boolean" } do
      assert.equal("jobs:every: a cron expression such as '0 3 * * *' or a number of seconds, at least 1, "
        .. "expected, got " .. shown, message(jobs.every, jobs, given, "report"))
    end
    assert.equal("jobs:every: unknown job 'repot' of jobs (did you mean 'report'?)",
      message(jobs.every, jobs, "@daily", "repot"))
    assert.equal("jobs:every: there is no time zone 'Europe/Nowhere' in /usr/share/zoneinfo/ (package tzdata)",
      message(jobs.every, jobs, "@daily", "report", nil, { timezone = "Europe/Nowhere" }))
    assert.equal("jobs:every: seconds have no 'timezone': it belongs to cron expressions",
      message(jobs.every, jobs, 60, "report", nil, { timezone = "UTC" }))
    assert.matches("unknown option 'zone' of jobs:every",
      message(jobs.every, jobs, 60, "report", nil, { zone = "UTC" }))
    assert.matches("jobs:every: the arguments of 'report' are no JSON", message(jobs.every, jobs, 60, "report", print))
    jobs:every(60, "report")
    assert.matches("jobs:every: 'report' has a schedule already, from .*: give this one a name of its own, {key = }",
      message(jobs.every, jobs, "@daily", "report"))
    jobs:every("@daily", "report", nil, { key = "report daily" })
    db:close()
  end)
end)

jobs_support.on_each("a schedule", function(fresh, kind, place)
  local function new(seen)
    local jobs, db = fresh()
    jobs:define("report", function(args) seen[#seen + 1] = args and args.n or 0 end)
    return jobs, db
  end

  it("is due at its times, each once, on the virtual clock", function()
    clock.virtual()
    local seen = {}
    local jobs = new(seen)
    jobs:every("@daily", "report", { n = 1 })
    jobs:every(3600, "report", { n = 2 }, { key = "hourly" })
    local began = ml.time.now()
    assert.equal(0, jobs:drain())
    for _ = 1, 48 do
      ml.sleep(1801) -- a little more: no beat falls on the very moment of a look
      jobs:drain()
      assert.equal(0, jobs:drain())
    end
    local counts = { 0, 0 }
    for _, n in ipairs(seen) do counts[n] = counts[n] + 1 end
    assert.same({ math.tointeger(ml.time.now() // 86400 - began // 86400), 24 }, counts)
  end)

  it("that was missed is made up for once", function()
    clock.virtual()
    local seen = {}
    local jobs = new(seen)
    jobs:every(60, "report")
    jobs:every("*/5 * * * *", "report", nil, { key = "cron" })
    jobs:drain()
    ml.sleep(7 * 86400)
    assert.equal(2, jobs:drain())
    assert.equal(0, jobs:drain())
    ml.sleep(61)
    assert.is_true(jobs:drain() >= 1)
  end)

  it("stays where it is in other programs, and begins anew where its times have changed", function()
    clock.virtual()
    local seen = {}
    local first = new(seen)
    first:every(1000, "report", { n = 1 })
    first:drain()
    ml.sleep(900)
    local same = new(seen)
    same:every(1000, "report", { n = 2 })
    same:drain()
    ml.sleep(101)
    assert.equal(1, same:drain())
    assert.same({ 2 }, seen)
    local changed = new(seen)
    changed:every(10, "report", { n = 3 })
    changed:drain()
    ml.sleep(11)
    assert.equal(1, changed:drain())
    ml.sleep(11)
    assert.equal(1, changed:drain())
    assert.same({ 2, 3, 3 }, seen)
  end)

  if kind.driver == "sqlite" then return end

  it("is pushed once by five processes whose clocks differ by seconds", function()
    local _, db = fresh()
    assert(db:script "drop table if exists runs; create table runs (id integer, pushed double precision)")
    local file <close> = folders.file [[
      local url, shift = ...
      local core = require "moonloop.core"
      local day_time, os_time = core.day_time, os.time
      core.day_time = function() return day_time() + tonumber(shift) end
      os.time = function(t) return t and os_time(t) or os_time() + math.tointeger(tonumber(shift)) end
      local ml = require "moonloop"
      local db = ml.sql.open(url, { pool = 4 })
      local jobs = ml.jobs.new(db)
      jobs:define("beat", function(_, job)
        assert(db:exec("insert into runs select id, extract(epoch from pushed_at) from moonloop_jobs where id = $1",
          job.id))
      end)
      jobs:every(1, "beat")
      jobs:work():wait()
    ]]
    local workers = {}
    local _ <close> = setmetatable({}, { __close = function()
      for _, worker in ipairs(workers) do worker:close() end
    end })
    for i = 1, 5 do
      workers[i] = process.start(("run --block-limit 0 %s %s %d"):format(file.path, process.quote(place().url),
        2 * i - 6))
    end
    repeat ml.sleep(0.1) until db:value "select count(*) from runs" >= 3
    for _, worker in ipairs(workers) do worker:kill "STOP" end
    -- Beats are a second apart. Each push belongs to the last one before it, and none has two.
    local next_at = db:value "select next_at from moonloop_jobs_schedules"
    local rows = assert(db:query "select id, pushed from runs order by id")
    local beats, ids = {}, {}
    for _, row in ipairs(rows) do
      local beat = math.floor(row.pushed - next_at)
      assert.is_nil(beats[beat])
      assert.is_nil(ids[row.id])
      beats[beat], ids[row.id] = true, true
    end
    for _, worker in ipairs(workers) do assert.equal("", worker:errors()) end
    for _, worker in ipairs(workers) do worker:kill "CONT" end
  end)
end)
