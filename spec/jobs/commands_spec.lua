-- `moonloop work` and `moonloop jobs`.
local folders = require "spec.support.folder"
local ml = require "moonloop"
local common = require "spec.support.servers"
local inspector = require "spec.support.inspector"
local process = require "spec.support.process"
local served = require "spec.support.served"
local support = require "spec.support"
local web = require "spec.support.web"

local APP = [[
local ml = require "moonloop"
local db = ml.sql.open(assert(os.getenv "JOBS_DATABASE"))
local jobs = ml.jobs.new(db)
local other = ml.jobs.new(db, { queue = "other" })
jobs:define("note", function(args, job)
  print("note " .. args.n .. " in " .. job.queue)
  io.stdout:flush()
end)
jobs:define("long", function(args)
  print("long " .. args.n)
  io.stdout:flush()
  if args.n == 1 then ml.sleep(1000) end
  ml.sleep(0.2)
  print("long over " .. args.n)
end)
other:define("aside", function() print "aside" io.stdout:flush() end)
local app = ml.web.app()
app:on_start(function() print "start" end)
app:on_stop(function() print "stop" end)
return app
]]

describe("moonloop work", function()
  local folder, db, jobs, url

  before_each(function()
    folder = folders.new { ["app.lua"] = APP }
    url = "sqlite:" .. folder.path .. "/app.db"
    db = ml.sql.open(url)
    jobs = ml.jobs.new(db)
    for _, name in ipairs { "note", "long", "aside" } do jobs:define(name, function() end) end
  end)

  after_each(function()
    db:close()
    folder:close()
  end)

  local function work(options)
    local program = process.start(("work --block-limit 0 %s %s"):format(options or "", folder.path .. "/app.lua"),
      "export JOBS_DATABASE=" .. process.quote(url) .. ";")
    assert.equal("start", program:line())
    return program, program:line()
  end

  it("runs the jobs of an app, for each ml.jobs.new in it, until a signal comes", function()
    local id = assert(jobs:push("note", { n = 7 }, { priority = 1, delay = 0 }))
    assert(jobs:push("aside", nil, { queue = "other" }))
    local program <close>, line = work()
    assert.matches("^moonloop [%d.]+: working for .*/app.lua: default %(10%), other %(10%) %(Ctrl%-C stops%)$", line)
    local lines = { program:line(), program:line() }
    table.sort(lines)
    assert.same({ "aside", "note 7 in default" }, lines)
    program:kill "TERM"
    local rest, status, errors = program:wait()
    assert.same({ "stop\n", 0, "" }, { rest, status, errors })
    assert.is_nil(jobs:get(id))
    assert.equal(0, assert(jobs:stats()).workers)
  end)

  it("lets running jobs end, and gives back what does not", function()
    local first = assert(jobs:push("long", { n = 1 }))
    local second = assert(jobs:push("long", { n = 2 }))
    local third = assert(jobs:push("long", { n = 3 }))
    local program <close> = work "--queues default:2 --drain 2"
    local lines = { program:line(), program:line() }
    table.sort(lines)
    assert.same({ "long 1", "long 2" }, lines)
    program:kill "INT"
    local rest, status, errors = program:wait()
    assert.same({ "long over 2\nstop\n", 0 }, { rest, status })
    assert.equal("moonloop: stopping: 2 running jobs get 2 s; a second signal ends them at once\n", errors)
    for id, state in pairs { [first] = "ready", [third] = "ready" } do
      local job = assert(jobs:get(id))
      assert.same({ state, 0 }, { job.state, job.attempt })
    end
    assert.is_nil(jobs:get(second))
  end)

  it("gives back the jobs of all workers where one ends by itself", function()
    folders.write(folder.path .. "/app.lua", [[
local ml = require "moonloop"
local jobs = ml.jobs.new(ml.sql.open(os.getenv "JOBS_DATABASE"))
local doomed = ml.sql.open "sqlite::memory:"
ml.jobs.new(doomed)
jobs:define("long", function()
  doomed:close()
  ml.sleep(1000)
end)
print "start"]])
    local id = assert(jobs:push "long")
    local program <close> = work()
    local _, status, errors = program:wait()
    assert.equal(1, status)
    assert.matches("work: a worker has ended by itself", errors, 1, true)
    local job = assert(jobs:get(id))
    assert.same({ "ready", 0, 0 }, { job.state, job.attempt, jobs:stats().workers })
  end)

  it("shows its metrics, those of its jobs too, where --metrics says", function()
    assert(jobs:push("note", { n = 1 }))
    local port = common.free_port()
    local program <close> = work("--metrics " .. port)
    assert.matches("^moonloop [%d.]+: the metrics are at http://127%.0%.0%.1:" .. port .. "/metrics$", program:line())
    assert.equal("note 1 in default", program:line())
    local function metrics(host)
      return assert(web.ask(port, ("GET /metrics HTTP/1.1\r\nHost: %s\r\n\r\n"):format(host)))
    end
    -- The job is counted when it has ended, which is after its line.
    served.wait_until("the job was not counted", function()
      return metrics "localhost".body
        :find('\nmessaging_process_duration_seconds_count{[^\n]*moonloop_job_name="note"} 1\n')
    end)
    assert.is_truthy(metrics "localhost".body:find("\nmoonloop_loop_lag_seconds ", 1, true))
    assert.equal(421, metrics "evil.example".status)
    program:kill "TERM"
    assert.equal(0, (select(2, program:wait())))
  end)

  it("has an inspector, which shows its tasks and queues, and no routes", function()
    assert(jobs:push("long", { n = 1 }))
    local program <close>, line = work "--inspect"
    assert.matches("^moonloop [%d.]+: working for ", line)
    local page = inspector.of(program)
    assert.equal("long 1", program:line())
    assert.same({}, page:watch(function(said) return said.hello end).routes)
    assert.equal(1, page:group("job long", 1).n)
    local running = page:watch_data(function(data)
      for _, queue in ipairs(data.queues or {}) do
        if queue.running > 0 then return queue end
      end
    end)
    assert.equal("default", running.name)
  end)

  it("goes on as another user before the file is loaded, and says so where it stays root", function()
    if not process.sh "id -u":find "^0" then return end
    local who = [[
      local status = io.open "/proc/self/status":read "a"
      print("ids " .. status:match "Uid:%s+([^\n]+)" .. " groups " .. status:match "Groups:%s+([^\n]*)")
      io.stdout:flush()
    ]]
    folders.write(folder.path .. "/app.lua", who .. APP)
    local all = { [""] = { "0", true }, ["--user nobody --group 65533"] = { "65534", false, "65533" } }
    for options, expected in pairs(all) do
      process.sh(("chmod -R a+rwX '%s'"):format(folder.path)) -- also the database that root has made before
      local program <close> = process.start("work --block-limit 0 " .. options .. " app.lua",
        ("cd '%s'; export JOBS_DATABASE=%s;"):format(folder.path, process.quote(url)))
      local uid = expected[1]
      local line = assert(program:line(), program:errors())
      assert.equal(("ids %s\t%s\t%s\t%s"):format(uid, uid, uid, uid), (line:match "^(.*) groups"))
      if expected[3] then assert.equal(expected[3], line:match "groups (%d+)%s*$") end
      assert.equal("start", program:line())
      program:line() -- works now
      -- It leaves no core file: what the kernel shows of it is root's.
      assert.matches("^0", (process.sh(("stat -c %%u /proc/%d/environ"):format(program.pid))))
      assert.equal(expected[2], program:all_errors():find "running as root" ~= nil)
      program:kill "TERM"
      assert.same({ "stop\n", 0, "" }, { program:wait() })
    end
    assert.equal("moonloop: --user not-there: there is no such user\n",
      (process.sh(("timeout 60 '%s' work --user not-there '%s/app.lua'"):format(support.binary, folder.path))))
  end)

  it("runs in a sandbox", function()
    folders.write(folder.path .. "/app.lua", [[
      local ml = require "moonloop"
      local jobs = ml.jobs.new(ml.sql.open(assert(os.getenv "JOBS_DATABASE")))
      jobs:define("long", function() print((io.open("inside", "w") and "inside" or "no") .. " "
        .. tostring(select(2, io.open("/var/outside", "w")))) io.stdout:flush() end)
      return ml.web.app():on_start(function() print "start" io.stdout:flush() end)]])
    assert(jobs:push("long"))
    local program <close> = process.start("work --block-limit 0 --sandbox app.lua",
      ("cd '%s'; export JOBS_DATABASE=%s;"):format(folder.path, process.quote(url)))
    if not program:line() then -- it does not work unprotected
      assert.matches("^moonloop: %-%-sandbox: the kernel refuses it: ", program:errors())
      return
    end
    program:line()
    assert.equal("inside /var/outside: Permission denied", program:line())
  end)

  it("leaves jobs of other queues alone, unless --queues names theirs", function()
    assert(jobs:push("note", { n = 1 }, { queue = "elsewhere" }))
    assert(jobs:push("note", { n = 2 }))
    do
      local program <close> = work()
      assert.equal("note 2 in default", program:line())
      program:kill "TERM"
      assert.same({ "stop\n", 0, "" }, { program:wait() })
    end
    local program <close>, line = work "--queues elsewhere"
    assert.matches("app.lua: elsewhere %(10%) ", line)
    assert.equal("note 1 in elsewhere", program:line())
    program:kill "TERM"
    assert.same({ "stop\n", 0, "" }, { program:wait() })
  end)

  it("says once that a hub without Redis reaches no client from here", function()
    folders.write(folder.path .. "/app.lua", [[
      local ml = require "moonloop"
      local jobs, hub = ml.jobs.new(ml.sql.open(assert(os.getenv "JOBS_DATABASE"))), ml.web.hub { name = "news" }
      jobs:define("note", function(args)
        hub:publish("all", args)
        hub:publish("all", args)
        print "published"
        io.stdout:flush()
      end)
      print "start"]])
    assert(jobs:push("note", { n = 1 }))
    local program <close> = work()
    assert.equal("published", program:line())
    program:kill "TERM"
    local _, _, errors = program:wait()
    assert.equal("moonloop: hub: 'news' failed: hub:publish reaches nobody: clients are connected to the server, and "
      .. "`moonloop work` is another process. Give ml.web.hub the option 'redis', here and in the server\n", errors)
  end)

  it("says what is wrong with how it was called", function()
    local binary = process.quote(support.binary)
    folders.write(folder.path .. "/none.lua", "return 1")
    for words, expected in pairs {
      [""] = { 2, "moonloop: work: the app file is missing\nTry 'moonloop work --help'.\n" },
      ["--quues a app.lua"] = { 2, "moonloop: work: unknown option '--quues' (did you mean '--queues'?)\n"
        .. "Try 'moonloop work --help'.\n" },
      ["--queues a:b:1 app.lua"] = { 2, "moonloop: work: --queues must be a list such as emails:20,default:5, with "
        .. "numbers from 1 to 10000, not 'a:b:1'\n" },
      ["--queues a,b:2,a app.lua"] = { 2, "moonloop: work: --queues names the queue 'a' twice\n" },
      ["--metrics x app.lua"] = { 2, "moonloop: work: --metrics x: HOST:PORT or PORT is expected\n"
        .. "Try 'moonloop work --help'.\n" },
      ["--drain x app.lua"] = { 2, "moonloop: --drain must be a number of seconds, not 'x'\n"
        .. "Try 'moonloop work --help'.\n" },
      ["a.lua b.lua"] = { 2, "moonloop: work: only one app file is allowed, not also 'b.lua'\n"
        .. "Try 'moonloop work --help'.\n" },
      ["missing.lua"] = { 1, "moonloop: cannot open missing.lua: No such file or directory\n" },
      ["none.lua"] = { 1, "moonloop: work: none.lua makes no jobs: it has to call ml.jobs.new(db) while it is "
        .. "loaded\n" },
    } do
      local output, status = process.sh(("cd %s && %s work %s"):format(folder.path, binary, words))
      assert.same(expected, { status, output })
    end
  end)
end)

describe("moonloop jobs", function()
  local folder, db, jobs, url
  local binary = process.quote(support.binary)

  before_each(function()
    folder = folders.new {}
    url = "sqlite:" .. folder.path .. "/app.db"
    db = ml.sql.open(url)
    jobs = ml.jobs.new(db)
    jobs:define("bad", { attempts = 1 }, function() error("the server said no\nand more", 0) end)
    jobs:define("mail", function() end)
  end)

  after_each(function()
    db:close()
    folder:close()
  end)

  local function run(words)
    local output, status = process.sh(("%s jobs %s --url %s"):format(binary, words, process.quote(url)))
    return output, status
  end

  it("lists jobs, with what is worth knowing of each", function()
    assert(jobs:push("bad"))
    jobs:drain()
    assert(jobs:push("mail", { n = 1 }, { at = 4000000000 }))
    assert(jobs:push("mail", { n = 2 }, { queue = "slow" }))
    local output, status = run "list"
    assert.equal(0, status)
    local lines = {}
    for line in output:gmatch "[^\n]+" do lines[#lines + 1] = line:gsub("%d+%-%d+%-%d+T%d+:%d+:%d+Z", "TIME") end
    assert.same({
      " 1 | bad  | default | dead      | 1/1     | TIME | the server said no",
      " 2 | mail | default | scheduled | 0/25    | TIME | due TIME",
      " 3 | mail | slow    | ready     | 0/25    | TIME |",
    }, { table.unpack(lines, 3) })
    assert.matches("^id %| name %| queue .* %| details$", lines[1])
    assert.matches("slow", (run "list --queue slow"))
    assert.not_matches("bad", (run "list --name mail"))
    assert.not_matches("mail", (run "list --state dead"))
    assert.matches("the first 1: %-%-limit shows more\n$", (run "list --limit 1"))
    assert.equal("no jobs\n", (run "list --state running"))
  end)

  it("retries and cancels jobs", function()
    local id = assert(jobs:push("bad"))
    jobs:drain()
    assert.same({ "job 1 runs at once\n", 0 }, { run("retry " .. id) })
    assert.equal("ready", jobs:get(id).state)
    assert.same({ "job 1 is cancelled\nmoonloop: job 77 neither waits nor runs\n", 1 },
      { run("cancel " .. id .. " 77") })
    assert.is_nil(jobs:get(id))
    assert.same({ "moonloop: job 1 is neither dead nor scheduled\n", 1 }, { run("retry " .. id) })
  end)

  it("counts them", function()
    assert(jobs:push_all { { "mail" }, { "mail", nil, { queue = "slow" } }, { "bad", nil, { delay = 100 } } })
    local output, status = run "stats"
    assert.equal(0, status)
    assert.equal([[
              | ready | scheduled | running | dead
--------------+-------+-----------+---------+-----
all           |     2 |         1 |       0 |    0
queue default |     1 |         1 |       0 |    0
queue slow    |     1 |         0 |       0 |    0
job bad       |     0 |         1 |       0 |    0
job mail      |     2 |         0 |       0 |    0
0 workers
]], output)
  end)

  it("says what is wrong, and makes neither a file nor tables", function()
    for words, expected in pairs {
      ["retry x"] = { 2, "moonloop: jobs retry: the id of a job expected, a number, not 'x'\n" },
      ["retry"] = { 2, "moonloop: jobs retry: the ids of jobs expected (0 given)\nTry 'moonloop jobs --help'.\n" },
      ["list 5"] = { 2, "moonloop: jobs list: no more words expected (1 given)\nTry 'moonloop jobs --help'.\n" },
      ["lst"] = { 2, "moonloop: jobs: list, retry, cancel or stats expected, not 'lst' (did you mean 'list'?)\n"
        .. "Try 'moonloop jobs --help'.\n" },
      ["stats --state dead"] = { 2, "moonloop: jobs stats: --state is an option of list\n"
        .. "Try 'moonloop jobs --help'.\n" },
      ["list --stat dead"] = { 2, "moonloop: jobs: unknown option '--stat' (did you mean '--state'?)\n"
        .. "Try 'moonloop jobs --help'.\n" },
      ["list --dir x"] = { 2, "moonloop: jobs: unknown option '--dir'\nTry 'moonloop jobs --help'.\n" },
      ["list --state late"] = { 2, "moonloop: jobs list: --state must be ready, scheduled, running, dead, done or "
        .. "cancelled, not 'late'\n" },
      ["list --limit 0"] = { 2, "moonloop: jobs list: --limit must be a number from 1 to 10000, not '0'\n" },
      ["stats"] = { 1, ("moonloop: there is no database %s: --url or DATABASE_URL says which it is\n")
        :format(folder.path .. "/app.db") },
    } do
      local output, status = run(words)
      assert.same(expected, { status, output })
    end
    assert(db:exec "create table t (i integer)")
    assert.same({ ("moonloop: %s has no jobs yet\n"):format(url), 1 }, { run "list" })
  end)
end)
