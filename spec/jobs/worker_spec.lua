-- Workers: what they take, how runs end, and how a worker ends itself.
local ml = require "moonloop"
local folders = require "spec.support.folder"
local jobs_support = require "spec.support.jobs"
local process = require "spec.support.process"
local support = require "spec.support"

local eventually, work = jobs_support.eventually, jobs_support.work
local keep_log, keep_reports = support.keep_log, support.keep_reports

jobs_support.on_each("a worker", function(fresh, kind, place)
  --- The same jobs through another pool, as another process would have them.
  local function again(opts) return ml.jobs.new(place():open { pool = 4 }, opts) end

  it("runs what was pushed before and what is pushed then, no more at once than it may", function()
    local jobs = fresh()
    local now, most, ran = 0, 0, {}
    jobs:define("x", function(args)
      now = now + 1
      most = math.max(most, now)
      ml.sleep(0.001)
      now = now - 1
      ran[args.n] = (ran[args.n] or 0) + 1
    end)
    local list = {}
    for i = 1, 30 do list[i] = { "x", { n = i } } end
    assert(jobs:push_all(list))
    local _ <close>, worker = work(jobs, { queues = { default = 7 } })
    eventually(function() return #ran == 30 end)
    for i = 31, 40 do assert(jobs:push("x", { n = i }, { delay = i % 2 * 0.02 })) end
    eventually(function() return worker.done == 40 end)
    for i = 1, 40 do assert.equal(1, ran[i]) end
    assert.is_true(most <= 7)
    assert.same({ 0, 0, 0 }, { jobs:stats().ready, jobs:stats().running, worker.late })
  end)

  it("takes only queues that it works for, and jobs whose names it knows", function()
    local jobs, ran = fresh(), {}
    jobs:define("x", function(args) ran[#ran + 1] = args end)
    local other = again()
    other:define("y", function() end)
    local unknown = assert(other:push "y")
    local elsewhere = assert(jobs:push("x", 1, { queue = "elsewhere" }))
    assert(jobs:push("x", 2))
    local _ <close> = work(jobs)
    eventually(function() return ran[1] end)
    assert(jobs:push("x", 3))
    eventually(function() return ran[2] end)
    assert.same({ 2, 3 }, ran)
    assert.same({ "ready", "ready" }, { jobs:get(unknown).state, jobs:get(elsewhere).state })
  end)

  it("shares the work with others, each job once", function()
    local first, second, runs = fresh(), again(), {}
    local function run(args) runs[args] = (runs[args] or 0) + 1 end
    first:define("x", run)
    second:define("x", run)
    local list = {}
    for i = 1, 200 do list[i] = { "x", i } end
    assert(first:push_all(list))
    local _ <close>, a = work(first)
    local _ <close>, b = work(second)
    eventually(function() return a.done + b.done == 200 end)
    for i = 1, 200 do assert.equal(1, runs[i]) end
  end)

  it("does not give back what it is just finishing", function()
    if kind.driver ~= "pg" then return end -- takes and finishes in one statement
    local jobs, runs, looks = fresh(), {}, 0
    jobs:define("x", function(args) runs[args] = (runs[args] or 0) + 1 end)
    local go, held = ml.event(), ml.event()
    local own = jobs.dialect
    jobs.dialect = setmetatable({
      round = function(db, values)
        if values.done and not held:is_set() then
          held:set()
          go:wait()
        end
        return own.round(db, values)
      end,
      put_back_others = function(db, values)
        looks = looks + 1
        return own.put_back_others(db, values)
      end,
    }, { __index = own })
    assert(jobs:push("x", 1))
    jobs_support.with_times({ poll = 0.02, sweep = 0 }, function()
      local _ <close>, worker = work(jobs)
      held:wait()
      assert(jobs:push("x", 2))
      eventually(function() return runs[2] end)
      local before = looks
      eventually(function() return looks > before + 2 end)
      go:set()
      eventually(function() return worker.done == 2 end)
      assert.same({ 1, 1, 0 }, { runs[1], runs[2], worker.late })
    end)
  end)

  it("gives jobs back when it stops, without counting the attempt", function()
    local jobs = fresh()
    local started, cleaned = ml.event(), 0
    jobs:define("x", function()
      local _ <close> = setmetatable({}, { __close = function() cleaned = cleaned + 1 end })
      started:set()
      ml.sleep(1000)
    end)
    local id = assert(jobs:push "x")
    local worker = jobs:work()
    started:wait()
    worker:stop()
    worker:wait()
    local job = assert(jobs:get(id))
    assert.same({ "ready", 0, 1, 0 }, { job.state, job.attempt, cleaned, jobs:stats().workers })
    assert.same({}, job.errors)
  end)

  it("gives back what a statement has taken whose answer it did not wait for", function()
    local jobs = fresh()
    jobs:define("x", function() end)
    local taken, never = ml.event(), ml.event()
    local own = jobs.dialect
    jobs.dialect = setmetatable({
      round = function(db, values)
        local finished, rows = own.round(db, values)
        if not finished or #rows == 0 then return finished, rows end
        taken:set()
        never:wait()
      end,
    }, { __index = own })
    local id = assert(jobs:push "x")
    local worker = jobs:work()
    taken:wait()
    assert.equal("running", jobs:get(id).state)
    worker:stop()
    local job = assert(jobs:get(id))
    assert.same({ "ready", 0, {}, 0 }, { job.state, job.attempt, job.errors, jobs:stats().workers })
  end)

  it("loads no module of the script a second time", function()
    local jobs = fresh()
    jobs:define("x", function() end)
    local folder <close> = folders.new {
      ["defined.lua"] = [[
        local ml = require "moonloop"
        io.open(os.getenv "LOADS", "a"):write("loaded\n"):close()
        local db = ml.sql.open(os.getenv "JOBS_DATABASE")
        assert(db:value "select 1")
        local jobs = ml.jobs.new(db)
        jobs:define("x", function() print "ran" io.stdout:flush() end)
        return jobs]],
      ["app.lua"] = [[
        require "moonloop.jobs.times".beat = 0.05
        require "defined"]],
    }
    local loads = folder.path .. "/loads"
    local program <close> = process.start("work --block-limit 0 app.lua", ("cd %s; export LOADS=%s JOBS_DATABASE=%s;")
      :format(folder.path, loads, process.quote(place().url)))
    assert.matches("working for app.lua", program:line(), 1, true)
    assert(jobs:push "x")
    assert.equal("ran", program:line())
    local db = place():open()
    local seen, changes
    eventually(function()
      local now = assert(db:value "select seen_at from moonloop_jobs_workers")
      if now ~= seen then seen, changes = now, (changes or -1) + 1 end
      return changes == 2
    end)
    program:kill "TERM"
    local _, status, errors = program:wait()
    assert.same({ 0, "", "loaded\n" }, { status, errors, folders.read(loads) })
  end)

  it("gives jobs back when the task that started it is cancelled", function()
    local jobs = fresh()
    local started = ml.event()
    jobs:define("x", function()
      started:set()
      ml.sleep(1000)
    end)
    local id = assert(jobs:push "x")
    local owner = ml.spawn(function() jobs:work():wait() end)
    started:wait()
    owner:cancel()
    eventually(function() return jobs:get(id).state == "ready" end)
    assert.equal(0, jobs:get(id).attempt)
    eventually(function() return jobs:stats().workers == 0 end)
  end)

  it("lets jobs end when it stops, for as long as is wanted", function()
    local jobs, ran = fresh(), false
    local started = ml.event()
    jobs:define("x", function()
      started:set()
      ml.sleep(0.05)
      ran = true
    end)
    local id = assert(jobs:push "x")
    local worker = jobs:work()
    started:wait()
    worker:stop(60)
    assert.is_true(ran)
    assert.is_nil(jobs:get(id))
  end)

  it("can be stopped before it has begun, and twice", function()
    local jobs = fresh()
    local worker = jobs:work()
    worker:stop()
    worker:stop(1)
    worker:wait()
    assert.equal(0, jobs:stats().workers)
  end)

  it("has the id, name and queue of a job in what is logged for its run", function()
    local log <close> = keep_log()
    local jobs, id = fresh(), nil
    jobs:define("x", { backoff = function() return 100 end }, function()
      ml.log.info "in the run"
      ml.spawn(function() ml.log.info "in a task of it" end):await()
      error("it fails", 0)
    end)
    local function check(messages)
      eventually(function() return #log.entries == #messages end)
      for i, message in ipairs(messages) do
        local entry = log.entries[i]
        assert.equal(message, entry.message:match(message))
        assert.same({ tostring(id), "x", "q" }, { entry.job_id, entry.job, entry.queue })
      end
      log.entries = {}
    end
    id = assert(jobs:push("x", nil, { queue = "q" }))
    assert.same({ 0, 1 }, { jobs:drain() })
    check { "in the run", "in a task of it" }
    ml.log.info "behind it"
    eventually(function() return log.entries[1] end)
    assert.is_nil(log.entries[1].job_id)
    log.entries = {}
    jobs:cancel(id)
    id = assert(jobs:push("x", nil, { queue = "q" }))
    local _ <close> = work(jobs, { queues = { q = 1 } })
    check { "in the run", "in a task of it", "has failed, attempt 1 of 25" }
  end)

  it("logs failed runs with the fields of their errors: as warnings, and dead jobs as errors", function()
    local log <close> = keep_log()
    local jobs, entries = fresh(), log.entries
    local new_error = require "moonloop.core".error
    jobs:define("x", { attempts = 2, backoff = { base = 0.01 } }, function()
      error(new_error { kind = "late", code = "E7", message = "it is late",
        cause = new_error { kind = "x", message = "rain" } })
    end)
    jobs:define("plain", { attempts = 1 }, function() return nil, "no" end)
    local id = assert(jobs:push "x")
    do
      local _ <close> = work(jobs)
      eventually(function() return #entries == 2 end)
    end
    for attempt, level in ipairs { "warn", "error" } do
      local entry = entries[attempt]
      assert.same({ level, attempt, "it is late", "late", "E7", "x: rain", tostring(id), "x" },
        { entry.level, entry.attempt, entry.error, entry.error_kind, entry.error_code, entry.cause, entry.job_id,
          entry.job })
      assert.matches("worker_spec.lua:%d+: in function", entry.traceback)
      assert.not_matches("traceback", entry.message)
    end
    assert(jobs:push "plain")
    local _ <close> = work(jobs)
    eventually(function() return #entries == 3 end)
    assert.same({ "error", "no", nil, nil }, { entries[3].level, entries[3].error, entries[3].error_kind,
      entries[3].traceback })
  end)

  it("counts runs as failed whatever they raise, also where its text is an error itself", function()
    local log <close> = keep_log()
    local new_error = require "moonloop.core".error
    local jobs = fresh()
    local mute = setmetatable({}, { __tostring = function() error "no text" end })
    local odd = new_error { kind = "x", message = "m" }
    odd.message, odd.kind, odd.code = mute, {}, mute
    local raised = { mute = mute, odd = odd, number = setmetatable({}, { __metatable = 5 }), none = false,
      bytes = ("\255\0"):rep(5000), self = setmetatable({}, { __tostring = function() return {} end }) }
    for name, value in pairs(raised) do
      jobs:define(name, { attempts = 2, backoff = function(attempt) return attempt == 1 and 0 or mute end },
        function() error(value, 0) end)
      assert(jobs:push(name))
    end
    jobs:define("returned", { attempts = 1 }, function() return nil, mute end)
    assert(jobs:push "returned")
    local _ <close> = work(jobs)
    eventually(function() return jobs:stats().dead == 7 end)
    local list = assert(jobs:list { state = "dead" })
    for _, job in ipairs(list) do assert.equal(job.name == "returned" and 1 or 2, job.attempt) end
    assert.equal(7, #list)
    assert.is_true(#log.entries >= 13)
  end)

  it("tries failed runs again, and says so", function()
    local reports <close> = keep_reports()
    local jobs, runs = fresh(), 0
    jobs:define("x", { backoff = { base = 0.01 } }, function()
      runs = runs + 1
      if runs < 3 then error("not yet " .. runs, 0) end
    end)
    local id = assert(jobs:push "x")
    local _ <close> = work(jobs)
    eventually(function() return not jobs:get(id) end)
    assert.equal(3, runs)
    assert.matches("the job 'x' %(id %d+%) has failed, attempt 1 of 25; again in 0.01%d* s: not yet 1", reports:text())
    assert.matches("attempt 2 of 25", reports:text(), 1, true)
  end)

  it("ends runs that take too long", function()
    local reports <close> = keep_reports()
    local jobs = fresh()
    jobs:define("slow", { timeout = 0.01, attempts = 1 }, function() ml.sleep(1000) end)
    jobs:define("busy", { cpu = 0.01, attempts = 1 }, function() while true do end end)
    local slow, busy = assert(jobs:push "slow"), assert(jobs:push "busy")
    local _ <close> = work(jobs)
    eventually(function() return jobs:get(slow).state == "dead" and jobs:get(busy).state == "dead" end)
    assert.equal("timeout", jobs:get(slow).errors[1].kind)
    assert.equal("cpu", jobs:get(busy).errors[1].kind)
    assert.matches("attempt 1 of 1; it is dead now", reports:text(), 1, true)
  end)

  -- Computes until `over()` is true, for a time that any machine has.
  local function compute_until(over)
    local stop = os.time() + 120
    repeat until over() or os.time() > stop
    assert(os.time() <= stop, "it was never over")
  end

  it("tells a job that computes that it is cancelled, and does not try it again", function()
    local jobs, db = fresh { keep = 60 }
    local seen, computing = nil, nil
    jobs:define("x", { backoff = { base = 0.01 } }, function(args, job)
      if args == "long" then
        local _ <close> = setmetatable({}, { __close = function() seen = seen or job:cancelled() end })
        ml.sleep(1000)
      end
      computing = job.id
      compute_until(function() return job:cancelled() end)
      return nil, "it was cancelled"
    end)
    local waiting = assert(jobs:push("x", "long"))
    local id = assert(jobs:push "x")
    -- On a thread of its own, since nothing else runs here meanwhile.
    local call = ml.executor.start(function(database, ids)
      local own = require "moonloop"
      local there = own.jobs.new(database)
      for _, one in ipairs(ids) do
        while assert(there:get(one)).state ~= "running" do own.sleep(0.005) end
      end
      for _, one in ipairs(ids) do assert(there:cancel(one)) end
    end, db, { waiting, id })
    eventually(function() return call:status() ~= "pending" end)
    jobs_support.with_times({ poll = 0.02 }, function()
      local _ <close> = work(jobs)
      eventually(function() return jobs:get(id).state == "cancelled" and jobs:get(waiting).state == "cancelled" end)
    end)
    call:await()
    assert.same({ id, true, {} }, { computing, seen, jobs:get(id).errors })
  end)

  it("tells a job that computes that its time is over, and fails a run that was late", function()
    local reports <close> = keep_reports()
    local jobs = fresh { keep = 60 }
    jobs:define("x", { timeout = 0.05, attempts = 1 }, function(_, job)
      compute_until(function() return job:cancelled() end)
      return "all done"
    end)
    jobs:define("quick", { timeout = 300 }, function(_, job) return job:cancelled() and error "it is not late" end)
    local quick, late = assert(jobs:push "quick"), assert(jobs:push "x")
    do
      local _ <close> = work(jobs)
      eventually(function() return jobs:get(late).state == "dead" and jobs:get(quick).state == "done" end)
    end
    local function check(job)
      assert.same({ "dead", "timeout", "not finished after 0.05 s" }, { job.state, job.errors[1].kind,
        job.errors[1].message })
    end
    check(jobs:get(late))
    local drained = assert(jobs:push "x")
    assert.same({ 0, 1 }, { jobs:drain() })
    check(jobs:get(drained))
    assert.matches("not finished after 0.05 s", reports:text(), 1, true)
  end)

  it("runs jobs on another core, with their progress", function()
    local jobs = fresh { keep = 100 }
    local folder <close> = folders.new {}
    local flag = folder.path .. "/go"
    jobs:define("x", { offload = true }, function(args, job)
      local own = require "moonloop"
      assert(own.executor.current())
      job:progress { at = args.n }
      while not io.open(args.flag) do own.sleep(0.005) end
    end)
    local id = assert(jobs:push("x", { n = 7, flag = flag }))
    jobs_support.with_times({ poll = 0.02 }, function()
      local _ <close> = work(jobs)
      eventually(function()
        local progress = jobs:get(id).progress
        return progress and progress.at == 7
      end)
      folders.write(flag, "")
      eventually(function() return jobs:get(id).state == "done" end)
    end)
  end)

  it("cancels runs, of its own process and of others", function()
    local jobs, other = fresh(), again()
    local started, cancelled = 0, 0
    jobs:define("x", { keep = 60 }, function(_, job)
      local _ <close> = setmetatable({}, { __close = function()
        if job:cancelled() then cancelled = cancelled + 1 end
      end })
      started = started + 1
      ml.sleep(1000)
    end)
    jobs_support.with_times({ poll = 0.02 }, function()
      local a, b = assert(jobs:push "x"), assert(jobs:push "x")
      local _ <close> = work(jobs)
      eventually(function() return started == 2 end)
      assert.is_true(jobs:cancel(a))
      eventually(function() return jobs:get(a).state == "cancelled" end)
      assert.is_true(other:cancel(b))
      eventually(function() return not other:get(b) or other:get(b).state == "cancelled" end)
      assert.equal(2, cancelled)
    end)
  end)

  it("runs no more of a name at once than its `concurrency`, in all processes, and others beside", function()
    local now, most, ran, others = 0, 0, 0, 0
    local function define(jobs)
      jobs:define("few", { concurrency = 2 }, function()
        now = now + 1
        most = math.max(most, now)
        ml.sleep(0.002)
        now = now - 1
        ran = ran + 1
      end)
      jobs:define("many", function() others = others + 1 end)
      return jobs
    end
    local first, second = define(fresh()), define(again())
    for _ = 1, 12 do assert(first:push "few") end
    for _ = 1, 12 do assert(first:push "many") end
    jobs_support.with_times({ poll = 0.02 }, function()
      local _ <close> = work(first)
      local _ <close> = work(second)
      eventually(function() return ran >= 12 and others >= 12 end)
    end)
    assert.is_true(most <= 2)
    assert.same({ 12, 12 }, { ran, others })
  end)

  it("counts what runs of a name with `concurrency` in all queues", function()
    local now, most, ran = 0, 0, 0
    local function define(jobs)
      jobs:define("few", { concurrency = 2 }, function()
        now = now + 1
        most = math.max(most, now)
        ml.sleep(0.002)
        now = now - 1
        ran = ran + 1
      end)
      return jobs
    end
    local first, second = define(fresh()), define(again())
    for i = 1, 24 do assert(first:push("few", nil, { queue = i % 2 == 0 and "a" or "b" })) end
    jobs_support.with_times({ poll = 0.02 }, function()
      local _ <close> = work(first, { queues = { a = 10, b = 10 } })
      local _ <close> = work(second, { queues = { a = 10, b = 10 } })
      eventually(function() return ran >= 24 end)
    end)
    assert.same({ 2, 24 }, { most, ran })
  end)

  it("begins the next job of a name with `concurrency` in another queue when one has ended", function()
    local jobs, ran = fresh(), {}
    jobs:define("one", { concurrency = 1 }, function(_, job) ran[#ran + 1] = job.queue end)
    for _ = 1, 3 do
      assert(jobs:push("one", nil, { queue = "a" }))
      assert(jobs:push("one", nil, { queue = "b" }))
    end
    jobs_support.with_times({ poll = 3600 }, function() -- no look but those for what has ended
      local _ <close> = work(jobs, { queues = { a = 10, b = 10 } })
      eventually(function() return #ran == 6 end)
    end)
  end)

  it("puts jobs into the lanes that they belong into now", function()
    local before, jobs, ran = fresh(), again(), 0
    before:define("x", function() end)
    jobs:define("x", { concurrency = 1 }, function() ran = ran + 1 end)
    assert(before:push "x")
    local _ <close> = work(jobs)
    eventually(function() return ran == 1 end)
  end)

  it("puts jobs back from lanes that are no more", function()
    local before, jobs, ran = fresh(), again(), 0
    before:define("x", { concurrency = 1 }, function() end)
    jobs:define("x", function() ran = ran + 1 end)
    assert(before:push "x")
    local _ <close> = work(jobs)
    eventually(function() return ran == 1 end)
  end)

  it("writes down what failed and was lost also where the errors of a row are no list", function()
    local log <close> = keep_log()
    local jobs = fresh()
    jobs:define("x", { attempts = 1 }, function() error "bad" end)
    jobs:define("lost", { attempts = 1 }, function() end)
    local id, lost = assert(jobs:push "x"), assert(jobs:push "lost")
    assert.equal(2, jobs.db:exec(kind.name == "SQLite" and "update moonloop_jobs set errors = 'no json'"
      or "update moonloop_jobs set errors = '{}'"))
    assert(jobs.db:exec("update moonloop_jobs set state = 'running', worker = 999, attempt = 1 where id = $1", lost))
    assert.same({}, jobs:get(id).errors)
    jobs_support.with_times({ beat = 0.1, poll = 0.02 }, function()
      local _ <close> = work(jobs)
      eventually(function() return jobs:stats().dead == 2 and #log.entries >= 2 end)
    end)
    for _, one in ipairs { id, lost } do assert.equal(1, #jobs:get(one).errors) end
    assert.matches("bad", jobs:get(id).errors[1].message)
  end)

  it("takes a job of one queue for no other, whatever their names are", function()
    local jobs, ran = fresh(), {}
    jobs:define("x", { concurrency = 1 }, function() ran[#ran + 1] = "x" end)
    jobs:define("y", function() ran[#ran + 1] = "y" end)
    assert(jobs:push("y", nil, { queue = "q/x" }))
    assert(jobs:push("x", nil, { queue = "q" }))
    local _ <close>, worker = work(jobs, { queues = { q = 1 } })
    eventually(function() return worker.done == 1 end)
    assert(jobs:push("x", nil, { queue = "q" }))
    eventually(function() return worker.done == 2 end)
    assert.same({ "x", "x" }, ran)
    assert.is_false((pcall(jobs.work, jobs, { queues = { ["q\31x"] = 1 } })))
  end)

  if kind.name == "SQLite" then -- PostgreSQL takes no such row
    it("fails a job whose arguments are not JSON, and does not run it without any", function()
      local reports <close> = keep_reports()
      local jobs, db = fresh()
      local ran = 0
      jobs:define("x", { attempts = 1 }, function() ran = ran + 1 end)
      local ids = {}
      for i = 1, 2 do ids[i] = assert(jobs:push("x", { n = i })) end
      assert(db:exec [[update moonloop_jobs set args = '{"n":']])
      assert.same({ 0, 2 }, { jobs:drain() })
      jobs:retry(ids[1])
      local _ <close> = work(jobs)
      eventually(function() return reports:text():find("has failed", 1, true) end)
      for _, id in ipairs(ids) do
        local job = assert(jobs:get(id))
        assert.equal("dead", job.state)
        assert.matches("the arguments in its row are not JSON: .*line 1, column 6", job.errors[1].message)
      end
      assert.equal(0, ran)
    end)
  end

  it("works on a database whose rows have nulls", function()
    local reports <close> = keep_reports()
    fresh()
    local db = place():open { pool = 4, nulls = true }
    local jobs, ran = ml.jobs.new(db, { keep = 60 }), {}
    jobs:define("x", { backoff = { base = 0.01 } }, function(args, job)
      ran[#ran + 1] = args == nil and "none" or args
      if args == "fails" and job.attempt == 1 then error "no" end
    end)
    jobs:every(3600, "x", "beat")
    local id, created = assert(jobs:push("x", nil, { unique = "k" }))
    assert.is_true(created)
    assert.same({ id, false }, { jobs:push("x", nil, { unique = "k" }) })
    assert.same({ id = id, name = "x", queue = "default", state = "ready", priority = 0, attempt = 0, attempts = 25,
      unique = "k", pushed_at = jobs:get(id).pushed_at, errors = {} }, jobs:get(id))
    assert(jobs:push_all { { "x", "plain" }, { "x", "late", { delay = 0.01 } }, { "x", "fails" } })
    assert.is_true(jobs:cancel(assert(jobs:push("x", "never"))))
    jobs_support.with_times({ poll = 0.02 }, function()
      local _ <close>, worker = work(jobs)
      eventually(function() return worker.done == 4 end)
    end)
    table.sort(ran)
    assert.same({ "fails", "fails", "late", "none", "plain" }, ran)
    local job = assert(jobs:get(id))
    assert.same({ "done", nil, {} }, { job.state, job.args, job.errors })
    assert.same({ 4, 0, 0 }, { #jobs:list { state = "done" }, jobs:drain() })
    assert.matches("the job 'x' %(id %d+%) has failed, attempt 1 of 25", reports:text())
  end)

  it("lets who waits for its end go on where giving its jobs back raises", function()
    local reports <close> = keep_reports()
    local jobs = fresh()
    jobs:define("x", function() end)
    jobs.dialect = setmetatable({ leave = function() error "the last step is wrong" end }, { __index = jobs.dialect })
    assert(jobs:push "x")
    do
      local worker = jobs:work()
      eventually(function() return worker.done == 1 end)
      worker:stop()
      worker:wait()
    end
    eventually(function()
      collectgarbage() -- its task has failed, and nobody has awaited it
      return reports:text():find("the last step is wrong", 1, true)
    end)
  end)

  it("ends when its database is closed", function()
    local reports <close> = keep_reports()
    local jobs, db = fresh()
    jobs:define("x", function() end)
    assert(jobs:push "x")
    local worker = jobs:work()
    eventually(function() return worker.done == 1 end)
    db:close()
    worker:wait()
    assert.matches("could not give its jobs back", reports:text(), 1, true)
  end)

  it("shows what runs have to show", function()
    local jobs = fresh()
    local go = ml.event()
    jobs:define("x", function(_, job)
      assert.is_false(pcall(job.progress, job, print))
      job:progress(0.5)
      go:wait()
    end)
    local id = assert(jobs:push "x")
    jobs_support.with_times({ poll = 0.02 }, function()
      local _ <close> = work(jobs)
      eventually(function() return jobs:get(id).progress == 0.5 end)
      assert.equal("running", jobs:get(id).state)
      go:set()
      eventually(function() return not jobs:get(id) end)
    end)
  end)

  it("gives the jobs of lost workers to others, and names the ones that are dead", function()
    local log <close> = keep_log()
    local entries = log.entries
    local jobs, db = fresh()
    local ran = 0
    jobs:define("x", { attempts = 3 }, function() ran = ran + 1 end)
    local a, b, c = assert(jobs:push "x"), assert(jobs:push("x", nil, { unique = "k" })), assert(jobs:push "x")
    local now = kind.driver == "pg" and "now() - interval '1 hour'" or "0"
    assert(db:script(([[
      insert into moonloop_jobs_workers (host, pid, started_at, seen_at) values ('gone', 1, %s, %s);
      update moonloop_jobs set state = 'running', attempt = 1, worker = (select max(id) from moonloop_jobs_workers)
        where id = %d;
      update moonloop_jobs set state = 'running', attempt = 3, worker = (select max(id) from moonloop_jobs_workers)
        where id = %d;
      update moonloop_jobs set state = 'running', attempt = 1, worker = 1000000 where id = %d]])
      :format(now, now, a, b, c)))
    jobs_support.with_times({ beat = 0.1, poll = 0.02 }, function()
      local _ <close> = work(jobs)
      eventually(function() return ran == 2 and #entries == 2 end)
    end)
    local job = assert(jobs:get(b))
    local why = "its worker was lost (process 1 on gone)"
    assert.same({ "dead", why }, { job.state, job.errors[1].message })
    assert.same({ "warn", "3 jobs of 1 lost worker were given back" }, { entries[1].level, entries[1].message })
    assert.same({ "error", ("the job 'x' (id %d) is dead after attempt 3 of 3: %s"):format(b, why), why, 3, tostring(b),
      "x", "default" }, { entries[2].level, entries[2].message, entries[2].error, entries[2].attempt,
      entries[2].job_id, entries[2].job, entries[2].queue })
    assert.is_true(select(2, jobs:push("x", nil, { unique = "k" })))
  end)

  it("that was taken for lost goes on as another one, and what it finishes late does not count", function()
    local reports <close> = keep_reports()
    local jobs, db = fresh()
    local started, go, runs = ml.event(), ml.event(), 0
    jobs:define("x", function(_, job)
      runs = runs + 1
      if runs > 1 then return end
      started:set()
      go:wait()
      assert(job.attempt == 1)
    end)
    local id = assert(jobs:push "x")
    jobs_support.with_times({ beat = 0.05, poll = 0.02 }, function()
      local _ <close>, worker = work(jobs)
      started:wait()
      assert.equal(1, db:exec "delete from moonloop_jobs_workers")
      eventually(function() return not jobs:get(id) end) -- the same process has run it again
      go:set()
      eventually(function() return worker.late == 1 end)
      assert.same({ 2, 1 }, { runs, worker.done })
    end)
    assert.matches("was taken for lost, and goes on as another one", reports:text(), 1, true)
  end)

  it("has heartbeats while the loop computes", function()
    local jobs, db = fresh()
    local folder <close> = folders.new {}
    local flag = folder.path .. "/seen"
    jobs:define("x", function() end)
    jobs_support.with_times({ beat = 0.02 }, function()
      local _ <close> = work(jobs)
      eventually(function() return jobs:stats().workers == 1 end)
      local call = ml.executor.start(function(database, path)
        local own = require "moonloop"
        local function seen()
          local value, err = database:value "select seen_at from moonloop_jobs_workers"
          return value or error(err)
        end
        local first, changes = seen(), 0
        while changes < 3 do
          own.sleep(0.01)
          local now = seen()
          if now ~= first then first, changes = now, changes + 1 end
        end
        io.open(path, "w"):close()
      end, db, flag)
      repeat ml.sleep(0.001) until call:status() ~= "pending"
      local stop = os.time() + 300
      local file
      repeat file = io.open(flag) until file or os.time() > stop
      assert(file, "there were no heartbeats"):close()
      call:await()
    end)
  end)

  it("finds what a slow transaction has pushed before others", function()
    if kind.driver ~= "pg" then return end
    local jobs, db = fresh()
    local ran = {}
    jobs:define("x", function(args) ran[args] = true end)
    assert(jobs:push("x", "first"))
    local _ <close> = work(jobs)
    eventually(function() return ran.first end)
    local other = again()
    other:define("x", function() end)
    db:tx(function(tx)
      assert(jobs:push("x", "slow", { tx = tx }))
      for i = 1, 20 do assert(other:push("x", i)) end
      eventually(function() return ran[20] end)
      return true
    end)
    eventually(function() return ran.slow end)
  end)
end)
