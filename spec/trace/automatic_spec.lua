-- Spans that are made by themselves: of requests, calls of ml.http, statements, jobs of executors.
local collectors = require "spec.support.collector"
local folders = require "spec.support.folder"
local http = require "spec.support.http"
local jobs_support = require "spec.support.jobs"
local ml = require "moonloop"
local process = require "spec.support.process"
local rawtcp = require("spec.support").rawtcp
local redis = require "spec.support.redis"
local web = require "spec.support.web"

local trace = ml.trace

local PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

describe("a span of", function()
  local collector

  before_each(function()
    collector = collectors.start()
    trace.start { endpoint = collector.url, delay = 3600 }
  end)

  after_each(function()
    assert(trace.stop())
    http.stop()
  end)

  --- Serves an app while f(port) runs; then all spans are with the collector.
  local function serving(app, f)
    web.serving(app, f)
    assert(trace.flush())
  end

  local function get(port, target, lines)
    return web.ask(port, ("GET %s HTTP/1.1\r\nHost: shop.example:81\r\n%sConnection: close\r\n\r\n"):format(target,
      lines or ""))
  end

  it("a request has the names of OpenTelemetry, and the route's template", function()
    local app = ml.web.app()
    app:get("/users/{id}", function() return { ok = true } end)
    serving(app, function(port)
      assert.equal(200, get(port, "/users/7?page=2&access_token=abc&sig=", "User-Agent: me\r\n").status)
    end)
    local span = collector:span "GET /users/{id}"
    assert.same({
      ["http.request.method"] = "GET", ["http.route"] = "/users/{id}", ["http.response.status_code"] = 200,
      ["url.path"] = "/users/7", ["url.query"] = "page=2&access_token=REDACTED&sig=REDACTED", ["url.scheme"] = "http",
      ["server.address"] = "shop.example", ["server.port"] = 81, ["network.protocol.version"] = "1.1",
      ["user_agent.original"] = "me",
    }, span.set)
    assert.equal(2, span.kind)
    assert.is_nil(span.parentSpanId)
    assert.is_nil(span.status)
  end)

  it("a request that no route fits has no route, and one that fails is an error", function()
    local reports <close> = require("spec.support").keep_reports()
    local app = ml.web.app()
    app:get("/fails", function() error "the problem" end)
    serving(app, function(port)
      assert.equal(404, get(port, "/nothing").status)
      assert.equal(500, get(port, "/fails").status)
    end)
    local missing, failed = collector:span "GET", collector:span "GET /fails"
    assert.equal(404, missing.set["http.response.status_code"])
    assert.is_nil(missing.set["http.route"])
    assert.is_nil(missing.status)
    assert.equal("500", failed.set["error.type"])
    assert.equal(2, failed.status.code)
    assert.matches("the problem", reports:text())
  end)

  it("a request goes on the caller's trace, which is one header that is well-formed", function()
    local app = ml.web.app()
    app:get("/{name}", function(req) return { id = trace.current():ids(), name = req.params.name } end)
    serving(app, function(port)
      get(port, "/a", "TraceParent: " .. PARENT .. "\r\nTracestate: a=1\r\ntracestate: b=2\r\n")
      get(port, "/b", "traceparent: " .. PARENT .. "\r\ntraceparent: " .. PARENT .. "\r\n")
      get(port, "/c", "traceparent: x" .. PARENT .. "\r\n")
      get(port, "/d", "traceparent: " .. PARENT:gsub("01$", "00") .. "\r\n")
    end)
    local by = {}
    for _, span in ipairs(collector.spans) do by[span.set["url.path"]] = span end
    assert.equal("0af7651916cd43dd8448eb211c80319c", by["/a"].traceId)
    assert.equal("b7ad6b7169203331", by["/a"].parentSpanId)
    assert.equal("a=1,b=2", by["/a"].traceState)
    assert.equal(0x301, by["/a"].flags)
    for _, path in ipairs { "/b", "/c" } do
      assert.not_equal("0af7651916cd43dd8448eb211c80319c", by[path].traceId)
      assert.is_nil(by[path].parentSpanId)
    end
    assert.is_nil(by["/d"])
  end)

  it("a request that is not sampled is none, but it has a context for its tasks and for others", function()
    trace.start { endpoint = collector.url, delay = 3600, sample = 0 }
    local app, seen = ml.web.app(), {}
    app:get("/there", function(req) return { parent = req.headers.traceparent } end)
    app:get("/{port}", function(req)
      local span = trace.current()
      seen.recorded, seen.id = span:recorded(), span:ids()
      ml.spawn(function() seen.child = trace.current():ids() end):await()
      trace.span("hidden", function()
        seen.sent = ml.http.get(("http://127.0.0.1:%s/there"):format(req.params.port)):json().parent
      end)
      return {}
    end)
    serving(app, function(port) assert.equal(200, get(port, "/" .. port).status) end)
    assert.is_false(seen.recorded)
    assert.matches("^" .. ("%x"):rep(32) .. "$", seen.id)
    assert.equal(seen.id, seen.child)
    assert.matches("^00%-" .. seen.id .. "%-%x+%-02$", seen.sent)
    assert.equal(0, #collector.spans)
  end)

  it("a request is the parent of what its handler does", function()
    local app = ml.web.app()
    app:get("/", function()
      trace.span("inner", ml.sleep, 0)
      ml.spawn(trace.span, "beside", ml.sleep, 0):await()
      return {}
    end)
    serving(app, function(port) get(port, "/") end)
    local request = collector:span "GET /"
    assert.equal(request.spanId, collector:span("inner").parentSpanId)
    assert.equal(request.spanId, collector:span("beside").parentSpanId)
  end)

  it("a call of ml.http is sent on, and is the parent of the request there", function()
    local app = ml.web.app()
    app:get("/there", function(req) return { parent = req.headers.traceparent, state = req.headers.tracestate } end)
    local sent
    serving(app, function(port)
      trace.continue(PARENT, "a=1", trace.span, "work", function()
        local url = ("http://127.0.0.1:%d/there?key=1&a=b"):format(port)
        sent = assert(ml.http.get(url)):json()
        assert(ml.http.get(url, { headers = { X = "1" } }))
      end)
    end)
    local calls, requests = {}, {}
    for _, span in ipairs(collector.spans) do
      if span.kind == 3 then calls[#calls + 1] = span end
      if span.kind == 2 then requests[span.parentSpanId] = span end
    end
    assert.equal(2, #calls)
    for _, call in ipairs(calls) do
      assert.equal("GET", call.name)
      assert.equal(collector:span("work").spanId, call.parentSpanId)
      assert.equal(call.traceId, requests[call.spanId].traceId)
      local port = call.set["server.port"]
      assert.same({
        ["http.request.method"] = "GET", ["http.response.status_code"] = 200, ["server.address"] = "127.0.0.1",
        ["server.port"] = port, ["url.full"] = ("http://127.0.0.1:%d/there?key=REDACTED&a=b"):format(port),
        ["network.protocol.version"] = "1.1",
      }, call.set)
    end
    assert.equal(("00-%s-%s-01"):format(calls[1].traceId, calls[1].spanId), sent.parent)
    assert.equal("a=1", sent.state)
  end)

  it("a call that is not sampled is sent on all the same, and one with a traceparent is let be", function()
    local app = ml.web.app()
    app:get("/", function(req) return { parent = req.headers.traceparent } end)
    serving(app, function(port)
      local url = ("http://127.0.0.1:%d/"):format(port)
      trace.continue(PARENT:gsub("01$", "00"), nil, trace.span, "hidden", function()
        assert.matches("^00%-0af7651916cd43dd8448eb211c80319c%-.*%-00$", ml.http.get(url):json().parent)
      end)
      assert.equal(PARENT, ml.http.get(url, { headers = { Traceparent = PARENT } }):json().parent)
    end)
    for _, span in ipairs(collector.spans) do assert.not_equal("hidden", span.name) end
  end)

  it("a call that fails says how", function()
    local closing = http.serve(function(conn)
      http.read_request(conn)
      conn:send "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n"
    end)
    assert.equal(404, ml.http.get(closing.url .. "/a").status)
    local listener = rawtcp.listen()
    local port = listener.port
    listener:close()
    assert.is_nil(ml.http.post(("http://127.0.0.1:%d/"):format(port)))
    assert(trace.flush())
    local got, failed = collector:span "GET", collector:span "POST"
    assert.equal("404", got.set["error.type"])
    assert.equal(2, got.status.code)
    assert.equal("network", failed.set["error.type"])
    assert.equal(2, failed.status.code)
  end)

  it("a statement has its text, never its values, and only within a trace", function()
    local db = assert(ml.sql.open "sqlite::memory:")
    trace.span("work", function()
      assert(db:exec "create table t (a)")
      assert(db:exec("insert into t values ($1)", "the value"))
      db:exec "select nothing"
    end)
    assert(db:exec "delete from t")
    db:close()
    assert(trace.flush())
    local insert = collector:span "INSERT"
    assert.equal(collector:span("work").spanId, insert.parentSpanId)
    assert.equal(3, insert.kind)
    assert.equal("sqlite", insert.set["db.system.name"])
    assert.equal("INSERT", insert.set["db.operation.name"])
    assert.equal("insert into t values ($1)", insert.set["db.query.text"])
    assert.is_nil(table.concat(collector.bodies):find("the value", 1, true))
    assert.equal(2, collector:span("SELECT").status.code)
    assert.is_string(collector:span("SELECT").set["error.type"])
    assert.equal(0, collector:count "DELETE")
  end)

  it("a command of Redis has its name, and several have their number", function()
    if redis.missing() then pending(redis.missing()) end
    local server = redis.start()
    local r = server:client()
    trace.span("work", function()
      assert.equal("OK", r:set("the key", "the value"))
      r:pipeline(function(p)
        p:get "the key"
        p:get "the key"
      end)
      pcall(r.incr, r, "the key")
    end)
    r:close()
    server:close()
    assert(trace.flush())
    local set, failed = collector:span "SET", collector:span "INCR"
    assert.equal(collector:span("work").spanId, set.parentSpanId)
    assert.equal(3, set.kind)
    assert.equal("redis", set.set["db.system.name"])
    assert.equal("SET", set.set["db.operation.name"])
    assert.is_nil(set.set["db.operation.batch.size"])
    assert.equal(2, failed.status.code)
    local batches = 0
    for _, span in ipairs(collector.spans) do
      if span.set["db.operation.batch.size"] == 2 then batches = batches + 1 end
    end
    assert.equal(1, batches)
    assert.is_nil(table.concat(collector.bodies):find("the [kv]")) -- neither keys nor values
  end)

  it("a job of an executor has the time that it waited", function()
    local pool <close> = ml.executor.new { threads = 1 }
    trace.span("work", function() assert.equal(3, pool:run(function(a) return a + 1 end, 2)) end)
    pool:run(function() end)
    assert(trace.flush())
    local span = collector:span "executor"
    assert.equal(collector:span("work").spanId, span.parentSpanId)
    assert.is_number(span.set["moonloop.executor.wait"])
  end)

  it("a job of an executor is the parent of what the job does in its worker", function()
    local app, pool <close> = ml.web.app(), ml.executor.new { threads = 1 }
    app:get("/", function(req) return { parent = req.headers.traceparent, state = req.headers.tracestate } end)
    local got
    serving(app, function(port)
      trace.continue(PARENT, "a=1", trace.span, "work", function()
        got = pool:run(function(to)
          local w = require "moonloop"
          return w.trace.span("inside", { where = "worker" }, function()
            local db = assert(w.sql.open "sqlite::memory:")
            assert(db:query "select 1")
            db:close()
            local beside = w.spawn(w.trace.span, "beside", error, "the problem")
            pcall(beside.await, beside)
            local res = assert(w.http.get(to)):json()
            return { parent = res.parent, state = res.state, ids = table.pack(w.trace.current():ids()) }
          end)
        end, ("http://127.0.0.1:%d/"):format(port))
      end)
    end)
    local job, inside, select = collector:span "executor", collector:span "inside", collector:span "SELECT"
    assert.equal("0af7651916cd43dd8448eb211c80319c", inside.traceId)
    assert.same({ inside.traceId, inside.spanId, n = 2 }, got.ids)
    assert.equal(job.spanId, inside.parentSpanId)
    assert.equal(inside.spanId, select.parentSpanId)
    assert.equal("a=1", select.traceState)
    assert.equal(0x101, inside.flags) -- its parent is of this program
    assert.same({ where = "worker" }, inside.set)
    assert.equal("the problem", collector:span("beside").status.message)
    local call = collector:span "GET"
    assert.equal(inside.spanId, call.parentSpanId)
    assert.equal(("00-%s-%s-01"):format(call.traceId, call.spanId), got.parent)
    assert.equal("a=1", got.state)
    assert.is_true(tonumber(inside.startTimeUnixNano) >= tonumber(job.startTimeUnixNano))
  end)

  it("a job of an executor in a trace that is not sampled is none, nor is what it does; its ids are known", function()
    local pool <close> = ml.executor.new { threads = 1 }
    trace.start { endpoint = collector.url, delay = 3600, sample = 0 }
    trace.span("work", function()
      local id = trace.current():ids()
      local there, recorded = pool:run(function()
        local current = require "moonloop".trace.current()
        return current:ids(), require "moonloop".trace.span("inside", function() return current:recorded() end)
      end)
      assert.same({ id, false }, { there, recorded })
    end)
    assert(trace.flush())
    assert.equal(0, #collector.spans)
  end)

  it("a worker's own trace is sampled as the others are, and none where nothing is exported any more", function()
    local pool <close> = ml.executor.new { threads = 1 }
    local function work(name)
      return pool:run(function(called)
        local w = require "moonloop"
        return w.trace.span(called, function() return w.trace.current():ids() end)
      end, name)
    end
    local id = work "first"
    trace.start { endpoint = collector.url, delay = 3600, sample = 0 }
    assert.is_string(work "second")
    assert(trace.stop())
    assert.is_nil(work "third")
    assert.equal(1, #collector.spans)
    assert.equal(id, collector:span("first").traceId)
    assert.is_nil(collector:span("first").parentSpanId)
  end)

  it("a worker is dropped and counted where the queue is full", function()
    local pool <close>, is_away = ml.executor.new { threads = 1 }, true
    local refusing = collectors.start(function() return is_away and "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n" end)
    local before, _ <close> = trace.stats(), require("spec.support").keep_reports()
    trace.start { endpoint = refusing.url, delay = 3600, queue = 3 }
    pool:run(function()
      local w = require "moonloop"
      for i = 1, 10 do w.trace.span("inside", function() return i end) end
    end)
    local now = trace.stats()
    assert.equal(10, now.recorded - before.recorded)
    assert.is_true(now.dropped - before.dropped >= 4) -- three wait, and three may be on their way
    is_away = false
    repeat until trace.flush()
    assert.equal(10 - (now.dropped - before.dropped), #refusing.spans)
  end)

  it("the exporter's own requests is none", function()
    trace.span("work", function() end)
    for _ = 1, 3 do
      assert(trace.flush())
      ml.sleep(0)
    end
    assert.equal(1, #collector.spans)
    for _, head in ipairs(collector.heads) do assert.is_nil(head:lower():find "traceparent") end
  end)

  it("the run of a job goes on the trace of its push", function()
    local jobs = require "moonloop.observed_job"
    trace.span("around", function()
      local token = jobs.began {
        name = "mail", queue = "default", attempt = 2, id = "7", parent = PARENT, waited = 0.5,
      }
      trace.span("inner", function() end)
      token:ended "failed"
      trace.span("after", function() end)
    end)
    assert(trace.flush())
    local span = collector:span "process mail"
    assert.equal("b7ad6b7169203331", span.parentSpanId)
    assert.equal(5, span.kind)
    assert.equal(2, span.status.code)
    assert.same({
      ["messaging.system"] = "moonloop", ["messaging.operation.name"] = "process", ["error.type"] = "failed",
      ["messaging.operation.type"] = "process", ["messaging.destination.name"] = "default",
      ["messaging.message.id"] = "7", ["moonloop.job.name"] = "mail", ["moonloop.job.attempt"] = 2,
      ["moonloop.job.wait"] = 0.5, ["moonloop.job.outcome"] = "failed",
    }, span.set)
    assert.equal(span.spanId, collector:span("inner").parentSpanId)
    assert.equal(collector:span("around").spanId, collector:span("after").parentSpanId)
  end)

  it("a push of jobs is a span, of which their runs are parts", function()
    local jobs = ml.jobs.new(ml.sql.open "sqlite::memory:")
    for _, name in ipairs { "mail", "note", "other" } do jobs:define(name, function() end) end
    local id
    trace.span("around", function()
      id = assert(jobs:push "mail")
      assert(jobs:push_all { { "note" }, { "other" } })
    end)
    assert(jobs:push "mail")
    assert.same({ 4, 0 }, { jobs:drain() })
    assert(trace.flush())
    local one, both, run = collector:span "send mail", collector:span "send", collector:span "process note"
    assert.same({ 4, 4 }, { one.kind, both.kind })
    local around = collector:span("around").spanId
    assert.same({ around, around }, { one.parentSpanId, both.parentSpanId })
    assert.same({
      ["messaging.system"] = "moonloop", ["messaging.operation.name"] = "send", ["messaging.operation.type"] = "send",
      ["messaging.destination.name"] = "default", ["messaging.message.id"] = tostring(id),
      ["moonloop.job.name"] = "mail",
    }, one.set)
    assert.equal(2, both.set["messaging.batch.message_count"])
    assert.equal(both.spanId, run.parentSpanId)
    assert.equal(one.traceId, run.traceId)
  end)

  it("the run of a job that has failed has its error", function()
    local reports <close> = require("spec.support").keep_reports()
    local jobs = ml.jobs.new(ml.sql.open "sqlite::memory:")
    jobs:define("raises", { attempts = 1 }, function() error("the problem", 0) end)
    jobs:define("returns", { backoff = { base = 1000 } }, function()
      return nil, require "moonloop.core".error { kind = "late", message = "too late" }
    end)
    assert(jobs:push "raises")
    assert.same({ 0, 1 }, { jobs:drain() })
    local id = assert(jobs:push "returns")
    local worker = jobs:work()
    jobs_support.eventually(function() return jobs:get(id).state == "scheduled" end)
    worker:stop()
    assert.matches("too late", reports:text(), 1, true)
    assert(trace.flush())
    local function check(name, kind, message, outcome)
      local span = collector:span("process " .. name)
      assert.same({ { code = 2, message = message }, kind, outcome },
        { span.status, span.set["error.type"], span.set["moonloop.job.outcome"] })
      local event = collectors.attributes(span.events[1].attributes)
      assert.same({ "exception", kind, message }, { span.events[1].name, event["exception.type"],
        event["exception.message"] })
      return event["exception.stacktrace"]
    end
    assert.matches("automatic_spec.lua:%d+: in function", check("raises", "error", "the problem", "dead"))
    assert.is_nil(check("returns", "late", "too late", "failed"))
  end)
end)

it("the workers of a server export for themselves", function()
  local collector = collectors.start()
  local folder <close> = folders.new {
    ["app.lua"] = [[
      local ml = require "moonloop"
      local app = ml.web.app()
      app:get("/pid", function() return { pid = ml.fs.read "/proc/self/stat":match "^%d+" } end)
      return app
    ]],
  }
  local server <close> = process.serve(folder.path .. "/app.lua", "--workers 2",
    ("export OTEL_BSP_SCHEDULE_DELAY=1 OTEL_EXPORTER_OTLP_ENDPOINT=%s;"):format(collector.url))
  local res = web.ask(tonumber(server.port), "GET /pid HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
  collector:wait_until(function() return #collector.spans > 0 end)
  assert.equal("GET /pid", collector.spans[1].name)
  assert.equal(tonumber(res.body:match "%d+"), collector.resource["process.pid"])
  http.stop()
end)
