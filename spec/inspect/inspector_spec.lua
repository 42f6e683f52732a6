-- `serve --inspect`: what the inspector answers, and to whom. Its page in a browser: inspector_page_spec.lua.
local ml = require "moonloop"
local binary = require("spec.support").binary
local inspect = require "moonloop.inspect"
local inspector = require "spec.support.inspector"
local processes = require "spec.support.process"
local web = require "spec.support.web"

local APP = [[
  local kept = {}
  app:get("/wait/{id}", function() ml.sleep(1000) end)
  app:get("/nap", function() return "ok" end)
  app:get("/spawn/{n:int}", function(req)
    local function nap() ml.sleep(1000) end
    for i = 1, req.params.n do kept[#kept + 1] = ml.spawn(nap) end
    ml.sleep(1000)
  end)
  app:get("/burn", function() -- until the file is there
    repeat
      local file = io.open "stop"
      if file then file:close() end
    until file
    return "burnt"
  end)
  app:get("/jobs", function()
    ml.http.get(ml.web.url or "http://127.0.0.1:1/there?secret=1")
    ml.http.client { base_url = "http://127.0.0.1:1/v1/" }:get "there?secret=1"
    ml.trace.span("price", { items = 2 }, function()
      ml.trace.span("tax", ml.sleep, 0)
      pcall(ml.trace.span, "broken", error, "no")
      ml.spawn(ml.trace.span, "of a task", ml.sleep, 0):await()
    end)
    return { ml.executor.run(function() return 7 end) }
  end)
  app:get("/fail", function() error "oops" end)]]

local begun = {}

-- A request that stays in flight until it is cancelled.
local function begin(served, path)
  local task = ml.spawn(ml.http.get, served.url .. path, { timeout = math.huge })
  begun[#begun + 1] = task
  return task
end

-- A response to GET with these header lines, which say what they like.
local function get(served, target, headers, host)
  local text = ("GET %s HTTP/1.1\r\nHost: %s\r\n%sConnection: close\r\n\r\n")
  return assert(web.ask(served.port, text:format(target, host or "localhost", headers or "")))
end

local function bearer(token) return ("Authorization: Bearer %s\r\n"):format(token) end

describe("the inspector", { timeout = 240 }, function()
  after_each(function()
    for _, task in ipairs(begun) do task:cancel() end
    begun = {}
  end)

  it("has a page with nothing from elsewhere, under a policy that allows its own script alone", function()
    local served <close> = inspector.start(APP)
    local res = get(served, "/")
    assert.equal(200, res.status)
    assert.equal("text/html; charset=utf-8", res.headers["content-type"])
    local policy = res.headers["content-security-policy"]
    assert.matches("^default%-src 'none'; script%-src 'sha256%-[%w+/]+='; style%-src 'sha256%-[%w+/]+='; ", policy)
    assert.matches("; connect%-src 'self'; img%-src data:; base%-uri 'none'; form%-action 'none'; ", policy)
    assert.matches("; frame%-ancestors 'none'; require%-trusted%-types%-for 'script'$", policy)
    assert.equal("no-store", res.headers["cache-control"])
    assert.equal("nosniff", res.headers["x-content-type-options"])
    assert.equal("DENY", res.headers["x-frame-options"])
    for _, pattern in ipairs { " src=", "https?://[^w]", " on%l+=\"", " style=\"", "@import", "url%(", served.token } do
      assert.is_nil(res.body:match(pattern), pattern)
    end
  end)

  it("answers only who knows the secret", function()
    local served <close> = inspector.start(APP)
    assert.equal(32, #served.token)
    for _, target in ipairs { "/stream", "/group?pid=1&key=1", "/task?pid=1&id=1", "/request?pid=1&n=1", "/nothing" } do
      for _, headers in ipairs { "", bearer "0", bearer(("0"):rep(32)), bearer(served.token .. "0"),
        ("Authorization: Basic %s\r\n"):format(served.token) } do
        assert.equal(401, get(served, target, headers).status, target .. headers)
      end
    end
    assert.equal(401, assert(ml.http.post(served.page .. "/cancel", { json = { pid = 1, id = 1 } })).status)
    assert.equal(401, get(served, "/stream?token=" .. served.token).status)
    assert.equal(404, get(served, "/nothing", bearer(served.token)).status)
  end)

  it("answers to its address and to localhost, not to names that lead there, and not to other sites' pages", function()
    local served <close> = inspector.start(APP)
    local function status(host, headers, target)
      return get(served, target or "/task?pid=1&id=1", bearer(served.token) .. (headers or ""), host).status
    end
    for _, host in ipairs { "127.0.0.1:" .. served.port, "localhost:1", "LOCALHOST", "[::1]:80", "10.0.0.1",
      "shop.localhost:80" } do
      assert.equal(404, status(host), host) -- there is no process 1
      assert.equal(404, status(host, ("Origin: http://%s\r\nSec-Fetch-Site: same-origin\r\n"):format(host)), host)
    end
    for _, host in ipairs { "evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", "1.2.3.4.5",
      "2130706433", web.machine_name() } do
      assert.equal(403, status(host), host)
      assert.equal(403, status(host, nil, "/"), host)
      assert.equal(403, status("localhost", nil, "http://" .. host .. "/"), host) -- which counts before Host
    end
    for _, headers in ipairs { "Origin: http://evil.example\r\n", "Origin: null\r\n", "Origin: http://localhost:2\r\n",
      "Origin: https://localhost:1\r\n", "Sec-Fetch-Site: cross-site\r\n", "Sec-Fetch-Site: same-site\r\n" } do
      assert.equal(403, status("localhost:1", headers), headers)
    end
    -- a link to the page, which knows nothing
    assert.equal(200, status("localhost:1", "Sec-Fetch-Site: cross-site\r\n", "/"))
  end)

  it("is not there unless it is asked for, and then no process is surveyed", function()
    local process <close> = processes.start "-e 'print(1) io.stdout:flush() require[[moonloop]].sleep(1000)'"
    process:line()
    local stream <close> = assert(inspect.connect(tonumber(process.pid)))
    assert(stream:write "qs 1000 0 0 10\n")
    assert.equal("", stream:read "a" or "")
  end)

  it("names what is wrong with where it should listen", function()
    for option, message in pairs {
      ["--inspect=x"] = "serve: %-%-inspect=x: ", ["--inspect=70000"] = "a port is a number from 0 to 65535",
      ["--inspect=unix:/x"] = "HOST:PORT or PORT is expected",
      ["--inspect=1.2.3.4:1,tls"] = "HOST:PORT or PORT is expected",
    } do
      local output, status = processes.sh(("%s serve app.lua %s"):format(processes.quote(binary), option))
      assert.equal(2, status)
      assert.matches(message, output)
    end
  end)

  it("shows tasks in groups, as a tree, and opens a group a hundred at a time", function()
    local served <close> = inspector.start(APP)
    for i = 1, 3 do begin(served, "/wait/" .. i) end
    begin(served, "/spawn/250")
    local handlers, parent = served:group("GET /wait/{id}", 3), served:group("GET /spawn/{n:int}", 1)
    assert.equal("waits", handlers.state)
    assert.equal("sleep", handlers.wait)
    assert.equal("app.lua:3", handlers.line)
    local naps = served:watch_data(function(data)
      for _, group in ipairs(data.groups) do
        if group.n == 250 then return data.tasks == 254 and data.rest == 0 and group end
      end
    end)
    assert.equal(parent.k, naps.p)
    assert.equal("app.lua:6", naps.line)
    assert.equal("app.lua:7", naps.site)
    local seen, after, sizes = {}, 0, {}
    repeat
      local page, status = served:ask(("/group?pid=%d&key=%s&after=%d"):format(served.pid, naps.k, after))
      assert.equal(200, status)
      sizes[#sizes + 1] = #page.rows
      for _, row in ipairs(page.rows) do
        assert.is_true(row.id > after)
        after, seen[row.id] = row.id, true
        assert.matches("^sleep for ", row.wait)
      end
      after = page.next
    until not after
    assert.same({ 100, 100, 50 }, sizes)
    local count = 0
    for _ in pairs(seen) do count = count + 1 end
    assert.equal(250, count)
  end)

  it("tells where a task is, and cancels it", function()
    local served <close> = inspector.start(APP)
    local request = begin(served, "/spawn/2")
    local group = served:group("GET /spawn/{n:int}", 1)
    local function about(id) return (served:ask(("/task?pid=%d&id=%d"):format(served.pid, id))) end
    local answer = about(group.id)
    assert.matches("^GET /spawn/{n:int} %(request %d+%)$", answer.task.name)
    assert.matches("'sleep'\n +app%.lua:8: in ", answer.traceback)
    assert.same({}, answer.parents)
    assert.equal(2, #answer.children)
    local child = about(answer.children[1].id)
    assert.equal(group.id, child.parents[1].id)
    assert.matches("app%.lua:6: in ", child.traceback)
    local done, status = served:ask("/cancel", { pid = served.pid, id = child.task.id })
    assert.equal(200, status)
    assert.same({ cancelled = true }, done)
    assert.same({ cancelled = false }, (served:ask("/cancel", { pid = served.pid, id = 999999 })))
    assert.same({ cancelled = true }, (served:ask("/cancel", { pid = served.pid, id = group.id })))
    assert.equal(500, request:await().status) -- what a handler that is cancelled answers
    assert.same({ gone = true }, about(group.id))
  end)

  it("refuses what makes no sense", function()
    local served <close> = inspector.start(APP)
    for _, path in ipairs { "/group?pid=x&key=1", "/group?pid=1&key=xyz", "/group?key=1", "/task?pid=" .. served.pid,
      "/request?n=1" } do
      assert.equal(400, select(2, served:ask(path)), path)
    end
    assert.equal(400, select(2, served:ask("/cancel", { pid = served.pid })))
    assert.equal(400, select(2, served:ask("/cancel", "x")))
    for _, pid in ipairs { 1, inspect.processes(), 0, 2 ^ 40 // 1 } do -- of others
      assert.equal(404, select(2, served:ask(("/task?pid=%d&id=1"):format(pid))), tostring(pid))
      assert.equal(404, select(2, served:ask("/cancel", { pid = pid, id = 1 })))
    end
  end)

  it("answers while a task computes without a pause, and says which line that is", function()
    local served <close> = inspector.start(APP, "--block-limit 50")
    local request = begin(served, "/burn")
    local function burning(group) return group.name == "GET /burn" and group.state == "runs" end
    local line = served:watch_data(function(data)
      local held = data.held[#data.held]
      for _, group in ipairs(data.groups) do
        if burning(group) and held and not held.over then return held.place end
      end
    end)
    assert.matches("^app%.lua:1[2-5]$", line)
    local file = assert(io.open(served.folder.path .. "/stop", "w"))
    file:close()
    assert.equal("burnt", request:await().body)
    local held = served:watch_data(function(data)
      local held = data.held[#data.held]
      return held and held.over and held
    end)
    assert.matches("^GET /burn %(request %d+%)$", held.label)
    assert.matches("app%.lua:1[2-5]: in function", held.traceback)
    assert.is_true(held.ms >= 50)
  end)

  it("shows requests in flight and those that are over, without what is secret, and figures by route", function()
    local served <close> = inspector.start(APP)
    begin(served, "/wait/7?token=secret")
    assert.equal(204, assert(ml.http.get(served.url .. "/nap?password=secret")).status == 200 and 204)
    ml.http.get(served.url .. "/fail")
    ml.http.get(served.url .. "/nothing/here")
    local requests = served:watch_data(function(data)
      assert.is_nil(ml.json.encode(data):find("secret", 1, true))
      return #data.requests.done == 3 and data
    end)
    local nap, fail, nothing = table.unpack(requests.requests.done)
    assert.same({ "GET", "/nap", "/nap", 200, 2 }, { nap.m, nap.path, nap.route, nap.status, nap.bytes })
    assert.same({ "/fail", 500 }, { fail.path, fail.status })
    assert.same({ "/nothing/here", 404 }, { nothing.path, nothing.status })
    assert.is_nil(nothing.route)
    assert.equal(1, requests.requests.flying)
    assert.equal("/wait/7", requests.requests.live[1].path)
    assert.equal("/wait/{id}", requests.requests.live[1].route)
    assert.same({ 3, 1 }, { requests.requests.total, requests.requests.errors })
    local counted = 0
    for _, place in ipairs(requests.requests.hist) do counted = counted + place[2] end
    assert.equal(3, counted)
    for _, route in ipairs(requests.routes) do
      if route.route == "/fail" then assert.same({ 1, 1 }, { route.n, route.errors }) end
    end
  end)

  it("lists the routes of the app with the places of their handlers, WebSockets too, and not its own pages'", function()
    local served <close> = inspector.start [[
      app:get("/one", function() end)
      local inner = ml.web.app()
      inner:websocket("/live", function() end)
      app:mount("/in", inner)
      app:health()]]
    local hello = served:watch(function(line) return line.hello end)
    local places = {}
    for _, route in ipairs(hello.routes) do places[route.method .. " " .. route.path] = route.place end
    assert.matches("^app%.lua:2$", places["GET /one"])
    assert.matches("^app%.lua:4$", places["GET /in/live"])
    places["GET /one"], places["GET /in/live"] = nil, nil
    assert.equal("GET /healthz", next(places))
    assert.is_nil(next(places, "GET /healthz"))
  end)

  it("tells what a request waited for, if a page was open", function()
    local served <close> = inspector.start(APP)
    ml.http.get(served.url .. "/jobs") -- nobody looks
    local number = served:watch_data(function(data)
      for _, one in ipairs(data.requests.done) do
        if one.path == "/jobs" and one.spans then return one.n end
      end
      ml.http.get(served.url .. "/jobs")
    end)
    assert.is_true(number > 1)
    local answer = served:ask(("/request?pid=%d&n=%d"):format(served.pid, number))
    assert.equal(7, #answer.spans)
    assert.same({ "HTTP", "GET http://127.0.0.1:1/there" }, { answer.spans[1].kind, answer.spans[1].text })
    assert.equal("GET http://127.0.0.1:1/v1/there", answer.spans[2].text)
    assert.equal("network", answer.spans[1].error)
    local price, tax, broken, child = table.unpack(answer.spans, 3, 6)
    assert.same({ "span", "price", "tax", "broken", "of a task" },
      { price.kind, price.text, tax.text, broken.text, child.text })
    assert.same({ nil, nil, "error", nil, n = 4 }, table.pack(price.error, tax.error, broken.error, child.error))
    assert.is_true(price.start <= tax.start and price.ms >= tax.ms)
    assert.equal("executor", answer.spans[7].kind)
    assert.is_true(answer.spans[2].start >= answer.spans[1].start)
    assert.same({ gone = true }, (served:ask(("/request?pid=%d&n=%d"):format(served.pid, 999))))
  end)

  it("counts the runs of jobs in each process", function()
    local served <close> = inspector.start [[
      local jobs, worker = ml.jobs.new(ml.sql.open "sqlite:jobs.db"), nil
      jobs:define("mail", function() return true end)
      jobs:define("broken", { attempts = 1 }, function() error "no" end)
      app:on_start(function() worker = jobs:work() end)
      app:on_stop(function() worker:stop() end)
      app:get("/push", function()
        assert(jobs:push("mail", {}))
        assert(jobs:push("mail", {}))
        assert(jobs:push("broken", {}))
        return "ok"
      end)]]
    assert.equal("ok", assert(ml.http.get(served.url .. "/push")).body)
    local found = served:watch_data(function(data)
      local found = {}
      for _, job in ipairs(data.jobs or {}) do found[job.name] = job end
      return found.mail and found.broken and found.mail.done == 2 and found.broken.dead == 1 and found
    end)
    assert.same({ 0, 0, 0 }, { found.mail.running, found.mail.failed, found.mail.dead })
    assert.same({ 0, 0, 0 }, { found.broken.running, found.broken.failed, found.broken.done })
    assert.is_true(found.mail.most >= 0 and found.mail.sum >= found.mail.most)
  end)

  it("shows how many jobs wait in the queues of the database, without making its tables", function()
    local served <close> = inspector.start [[
      local db = ml.sql.open "sqlite:jobs.db"
      local jobs, mails = ml.jobs.new(db), ml.jobs.new(db, { queue = "mails" })
      jobs:define("sweep", function() end)
      mails:define("mail", function() end)
      app:get("/tables", function() return { n = db:value "select count(*) from sqlite_schema" } end)
      app:get("/push", function()
        assert(jobs:push("sweep", {}))
        for i = 1, 3 do assert(mails:push("mail", { i })) end
        assert(mails:push("mail", {}, { delay = 1000 }))
        return "ok"
      end)]]
    served:watch_data(function(data) return data.queues end)
    assert.equal(0, assert(ml.http.get(served.url .. "/tables")):json().n)
    assert.equal("ok", assert(ml.http.get(served.url .. "/push")).body)
    assert.same({
      { name = "mails", ready = 3, scheduled = 1, running = 0, dead = 0 },
      { name = "default", ready = 1, scheduled = 0, running = 0, dead = 0 },
    }, served:watch_data(function(data) return data.queues and #data.queues == 2 and data.queues end))
  end)

  it("shows pools, but not its own", function()
    local served <close> = inspector.start [[
      local db = ml.sql.open("sqlite:shop.db", { pool = 3 })
      app:get("/", function()
        return { assert(db:query "select 1 as one")[1].one, ml.executor.run(function() return 7 end) }
      end)]]
    assert.same({ 1, 7 }, assert(ml.http.get(served.url)):json())
    local pools = served:watch_data(function(data) return data.pools and #data.pools == 2 and data.pools end)
    for _, pool in ipairs(pools) do
      assert.equal(0, pool.used)
      assert.equal(0, pool.waiting)
      assert.is_true(pool.most >= 1)
      if pool.system then assert.equal("sqlite", pool.system) end
    end
  end)

  it("shows all workers, whichever of them answers, and cancels in each", function()
    local served <close> = inspector.start(APP, "--workers 2 --block-limit 0")
    local pids = served:watch(function(line)
      if not line.processes or #line.processes < 2 then return end
      local found = {}
      for _, process in ipairs(line.processes) do
        if not process.data then return end
        found[process.worker] = process.pid
      end
      return found
    end)
    assert.equal(2, #pids)
    for _ = 1, 8 do begin(served, "/wait/1") end
    local groups = served:watch(function(line)
      local found, total = {}, 0
      for _, process in ipairs(line.processes or {}) do
        for _, group in ipairs(process.data and process.data.groups or {}) do
          if group.name then found[#found + 1], total = { pid = process.pid, id = group.id }, total + group.n end
        end
      end
      return total == 8 and found
    end)
    for _, group in ipairs(groups) do
      assert.same({ cancelled = true }, (served:ask("/cancel", group)))
    end
    assert.equal(404, select(2, served:ask(("/task?pid=%d&id=1"):format(served.pid)))) -- the supervisor has no tasks
  end)

  it("does not keep its server from a clean end, pages being open", function()
    for _, options in ipairs { "--block-limit 0", "--workers 2 --block-limit 0" } do
      local served <close> = inspector.start(APP, options)
      local watching = ml.spawn(function() pcall(served.watch, served, function() end) end)
      served:watch(function(line) return line.processes end)
      local _, status, errors = served.process:stop()
      assert.equal(0, status)
      assert.equal("", errors)
      watching:await()
    end
  end)
end)
