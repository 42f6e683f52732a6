-- The export of spans: batches, a queue with an end, what is tried again, and the end of a process.
local collectors = require "spec.support.collector"
local folders = require "spec.support.folder"
local http = require "spec.support.http"
local keep_reports = require("spec.support").keep_reports
local ml = require "moonloop"
local process = require "spec.support.process"
local servers = require "spec.support.servers"
local support = require "spec.support"

local trace = ml.trace

local function status(code, more)
  return ("HTTP/1.1 %d What\r\n%sContent-Length: 5\r\n\r\nwhy.\n"):format(code, more or "")
end

local function spans(n, name)
  for _ = 1, n do trace.span(name or "work", function() end) end
end

--- What the counts have grown by since `before`.
local function since(before)
  local grown = {}
  for name, count in pairs(trace.stats()) do grown[name] = count - before[name] end
  return grown
end

describe("spans", function()
  after_each(function()
    trace.stop()
    http.stop()
  end)

  it("go out in batches of 512 as soon as there are so many", function()
    local collector, before = collectors.start(), trace.stats()
    trace.start { endpoint = collector.url .. "/", delay = 3600, headers = { ["X-Key"] = "secret" } }
    spans(1100)
    collector:wait_until(function() return #collector.spans == 1024 end)
    assert(trace.flush())
    assert.same({ 512, 512, 76 }, collector.sizes)
    assert.same({ recorded = 1100, exported = 1100, refused = 0, dropped = 0, queued = 0 }, since(before))
    assert.matches("^POST /v1/traces HTTP/1.1\r\n", collector.heads[1])
    assert.matches("\r\nContent%-Type: application/json\r\n", collector.heads[1])
    assert.matches("\r\nX%-Key: secret\r\n", collector.heads[1])
  end)

  it("go out after the delay where there are fewer", function()
    local collector = collectors.start()
    trace.start { endpoint = collector.url, delay = 0.01 }
    spans(3)
    collector:wait_until(function() return #collector.spans == 3 end)
  end)

  it("are dropped and counted when 2,048 wait, and no memory is used for them", function()
    local held = ml.event()
    local collector = collectors.start(function() held:wait() end)
    local before = trace.stats()
    trace.start { endpoint = collector.url, delay = 3600 }
    local kept = collectgarbage "count"
    spans(512)
    ml.sleep(0) -- the exporter takes a batch, and the collector has it
    collector:wait_until(function() return #collector.heads == 1 end)
    spans(20000)
    assert.same({ recorded = 20512, exported = 0, refused = 0, dropped = 20000 - 2048, queued = 512 + 2048 },
      since(before))
    collectgarbage()
    assert.is_true(collectgarbage "count" - kept < 4000)
    held:set()
    assert(trace.flush())
    assert.same({ 512, 512, 512, 512, 512 }, collector.sizes)
  end)

  it("are tried again until the collector is there, which is said once", function()
    local reports <close> = keep_reports()
    local port, before = servers.free_port(), trace.stats()
    trace.start { endpoint = "http://127.0.0.1:" .. port, delay = 3600 }
    spans(1)
    for _ = 1, 3 do
      local ok, err = trace.flush()
      assert.is_nil(ok)
      assert.equal("network", err.kind)
    end
    assert.same({ recorded = 1, exported = 0, refused = 0, dropped = 0, queued = 1 }, since(before))
    assert.equal(("moonloop: traces: http://127.0.0.1:%d/v1/traces: connection refused; it is tried again until it "
      .. "works\n"):format(port), reports:text())
  end)

  it("are sent again after 429, 502, 503 and 504, by themselves or by a flush", function()
    local codes = { 503, 429, 502, 504 }
    local reports <close> = keep_reports()
    local collector = collectors.start(function(_, n) return codes[n] and status(codes[n]) end)
    trace.start { endpoint = collector.url, delay = 0.01 }
    spans(5)
    collector:wait_until(function() return #collector.heads == 2 end)
    local ok, err
    repeat
      ok, err = trace.flush()
      assert(ok or err.kind == "network")
    until ok
    local said = reports:text()
    assert.matches("has answered 503; it is tried again.*takes spans again; 0 were dropped", said)
    assert.equal(5, #collector.heads)
    assert.equal(5, #collector.spans)
    assert.equal(collector.bodies[1], collector.bodies[5])
  end)

  it("wait as long as the collector asks", function()
    local reports <close> = keep_reports()
    for _, asked in ipairs { "3000", os.date("!%a, %d %b %Y %H:%M:%S GMT", ml.time.now() // 1 + 3000) } do
      local collector = collectors.start(function(_, n)
        return n == 1 and status(503, ("Retry-After: %s\r\n"):format(asked)) or nil
      end)
      trace.start { endpoint = collector.url, delay = 0.001 }
      spans(1)
      collector:wait_until(function() return #collector.heads == 1 end)
      local pause
      repeat -- until the exporter has the response
        ml.sleep(0)
        pause = require "moonloop.trace.core".pauses()
      until pause
      assert.is_true(pause > 2000 and pause <= 3000, tostring(pause))
      assert(trace.flush()) -- does not wait
      assert.equal(1, #collector.spans)
      trace.stop()
    end
    assert.matches("has answered 503", reports:text())
  end)

  it("that the collector does not want are counted, and reported with its reason", function()
    local reports <close> = keep_reports()
    local before, collector = trace.stats(), collectors.start(function(_, n)
      if n == 1 then return status(400) end
      return http.ok '{"partialSuccess":{"rejectedSpans":"2","errorMessage":"too old"}}'
    end)
    trace.start { endpoint = collector.url, delay = 3600 }
    spans(3)
    assert(trace.flush())
    spans(5)
    assert(trace.flush())
    assert.same({ recorded = 8, exported = 3, refused = 5, dropped = 0, queued = 0 }, since(before))
    assert.matches("has refused 3 spans: 400 why%. \n.*has refused 2 of 5 spans: too old\n", reports:text())
  end)

  it("are counted as sent or refused whatever the collector says of them", function()
    local reports <close> = keep_reports()
    local answers = { "1.5", '"nan"', "-3", "1e300", '{"a":1}', "99" }
    local before, collector = trace.stats(), collectors.start(function(_, n)
      return http.ok(('{"partialSuccess":{"rejectedSpans":%s}}'):format(answers[n]))
    end)
    trace.start { endpoint = collector.url, delay = 3600 }
    for _ in ipairs(answers) do
      spans(3)
      assert(trace.flush())
    end
    assert.same({ recorded = 18, exported = 10, refused = 8, dropped = 0, queued = 0 }, since(before))
    assert.matches("has refused 2 of 3 spans", reports:text())
  end)

  it("go to another collector after another start", function()
    local first, second = collectors.start(), collectors.start()
    trace.start { endpoint = first.url, delay = 3600 }
    spans(1, "a")
    assert(trace.flush())
    trace.start { endpoint = second.url, delay = 3600, service = "other" }
    spans(1, "b")
    assert(trace.flush())
    assert.equal(1, first:count "a")
    assert.equal(1, second:count "b")
    assert.equal("other", second.resource["service.name"])
    assert.equal(0, second:count "a" + first:count "b")
  end)

  it("are not sent when it was stopped", function()
    local collector = collectors.start()
    trace.start { endpoint = collector.url, delay = 3600 }
    assert(trace.stop())
    spans(5)
    assert(trace.flush())
    assert.equal(0, #collector.heads)
  end)
end)

describe("a process", function()
  after_each(http.stop)

  --- Runs a script with these variables of the environment: what it wrote to its standard error and output, and its
  -- exit status, -1 for a signal.
  local function run(env, code)
    local file <close> = folders.file('local ml = require "moonloop"\n' .. code)
    local result = assert(ml.process.run {
      support.binary, "run", "--block-limit", "0", file.path, env = env, stderr = "stdout", timeout = 300,
    })
    return result.stdout, result.code or -1
  end

  it("exports as the environment says, and what is left at its end", function()
    local collector = collectors.start()
    local output, code = run({
      OTEL_EXPORTER_OTLP_ENDPOINT = collector.url,
      OTEL_SERVICE_NAME = "shop",
      OTEL_RESOURCE_ATTRIBUTES = "deployment.environment.name=a%20b,service.name=x",
      OTEL_EXPORTER_OTLP_HEADERS = "x-key=a%3Db",
    }, [[
      ml.trace.span("work", ml.sleep, 0)
      ml.spawn(ml.trace.span, "late", ml.sleep, 0.01)
    ]])
    assert.equal("", output)
    assert.equal(0, code)
    assert.equal(1, collector:count "work")
    assert.equal(1, collector:count "late")
    assert.equal("shop", collector.resource["service.name"])
    assert.equal("a b", collector.resource["deployment.environment.name"])
    assert.equal("moonloop", collector.resource["telemetry.sdk.name"])
    assert.is_true(collector.resource["process.pid"] > 1)
    assert.matches("\r\nx%-key: a=b\r\n", collector.heads[1])
  end)

  it("exports its last spans also after an error, os.exit and a signal", function()
    for _, ending in ipairs { 'error "x"', "os.exit(1)", 'os.execute("kill -TERM $PPID") ml.sleep(3600)' } do
      local collector = collectors.start()
      local _, code = run({ OTEL_EXPORTER_OTLP_ENDPOINT = collector.url },
        ('ml.trace.span("work", ml.sleep, 0) ml.trace.span("last", function() %s end)'):format(ending))
      assert.not_equal(0, code)
      assert.equal(1, collector:count "work", ending)
      assert.equal(1, collector:count "last", ending)
    end
  end)

  it("does not wait for a collector that does not answer, and says what is lost", function()
    local never = ml.event()
    local collector = collectors.start(function() never:wait() end)
    local output, code = run({ OTEL_EXPORTER_OTLP_ENDPOINT = collector.url }, 'ml.trace.span("work", ml.sleep, 0)')
    assert.equal("moonloop: 1 span(s) could not be exported before the end\n", output)
    assert.equal(0, code)
    assert.equal(1, #collector.heads)
    never:set()
  end)

  it("does not trace if it is told not to, or nobody asks", function()
    local collector = collectors.start()
    for name, value in pairs { OTEL_SDK_DISABLED = "true", OTEL_TRACES_EXPORTER = "none", OTEL_NO_VARIABLE = "" } do
      local env = { OTEL_EXPORTER_OTLP_ENDPOINT = name ~= "OTEL_NO_VARIABLE" and collector.url or "", [name] = value }
      local output = run(env, [[
        ml.trace.span("work", ml.sleep, 0)
        print(ml.trace.stats().recorded)
      ]])
      assert.equal("0\n", output)
    end
    assert.equal(0, #collector.heads)
  end)

  it("says which values of the environment it ignores", function()
    local collector = collectors.start()
    local output = run({
      OTEL_EXPORTER_OTLP_ENDPOINT = collector.url, OTEL_TRACES_SAMPLER = "some", OTEL_BSP_SCHEDULE_DELAY = "soon",
    }, 'ml.trace.span("work", ml.sleep, 0)')
    assert.matches('moonloop: OTEL_TRACES_SAMPLER is "some" %(.* expected%); it is ignored\n', output)
    assert.matches('moonloop: OTEL_BSP_SCHEDULE_DELAY is "soon" %(milliseconds above 0 expected%)', output)
    assert.equal(1, collector:count "work")
  end)
end)

it("memory does not grow while the collector is away", function()
  if support.sanitized then return end -- what these builds keep says nothing
  local output = process.run([[
    local function resident() return tonumber(io.open "/proc/self/statm":read "a":match "^%d+ (%d+)") * 4 end
    local function work(n)
      for i = 1, n do
        ml.trace.span("work", { number = i, text = "some text" }, function() ml.trace.current():event "x" end)
        if i % 100 == 0 then ml.sleep(0) end
      end
    end
    work(40000)
    local least = math.huge -- what is lost is lost each time
    for _ = 1, 3 do
      collectgarbage()
      local before = resident()
      work(20000)
      collectgarbage()
      least = math.min(least, resident() - before)
    end
    print(least < 2048, ml.trace.stats().dropped > 70000, ml.trace.stats().queued <= 2048 + 512)
    os.exit(0)
  ]], nil, "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:9")
  assert.matches("^moonloop: traces: [^\n]*\ntrue\ttrue\ttrue\nmoonloop: %d+ span", output)
end)
