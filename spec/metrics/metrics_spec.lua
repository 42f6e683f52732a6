-- ml.metrics: what is counted, and the text that Prometheus and its like read.
local ml = require "moonloop"
local folders = require "spec.support.folder"
local process = require "spec.support.process"
local support = require "spec.support.web"

local has_promtool = os.execute "promtool --version >/dev/null 2>&1"
local OPEN = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"

-- The value of a sample, found by the start of its line; nil where there is none.
local function sample(text, line)
  local at = ("\n" .. text):find("\n" .. line .. " ", 1, true)
  return at and tonumber(text:match("^(%S+)", at + #line + 1))
end

local function message(f, ...)
  local ok, err = pcall(f, ...)
  assert.is_false(ok)
  return tostring(err)
end

-- The families of this file, and those built in: the metrics of a process outlive the spec that made them.
local function own(text)
  local lines = {}
  for line in text:gmatch "[^\n]+" do
    local name = line:match "^# %u+ (%S+)" or line:match "^[%w_:]+"
    local prefix = name and name:match "^%a+_"
    if ("spec_ http_ db_ messaging_ process_ moonloop_ "):find((prefix or "-") .. " ", 1, true) then
      lines[#lines + 1] = line .. "\n"
    end
  end
  return table.concat(lines)
end

-- Gauges that end as the parts of histograms do: OpenTelemetry's names, which promtool finds unusual.
local UNUSUAL = '%f[%w](%g+) non%-histogram and non%-summary metrics should not have "_count" suffix\n'
local NAMED_SO = { process_unix_file_descriptor_count = "", db_client_connection_count = "" }

-- What promtool says of the text; "" if it accepts it.
local function judged(text)
  local folder <close> = folders.new { ["metrics.prom"] = own(text) }
  local pipe <close> = assert(io.popen(("promtool check metrics < %s/metrics.prom 2>&1"):format(folder.path)))
  return (pipe:read "a":gsub(UNUSUAL, NAMED_SO))
end

describe("ml.metrics", function()
  it("counts, by labels and without", function()
    local plain = ml.metrics.counter("spec.plain", "Plain.")
    local c = ml.metrics.counter("spec.counted", "Counted.", { labels = { "shop", "paid" } })
    plain:inc()
    plain:inc(2.5)
    c:inc { shop = "a", paid = true }
    c:inc(3, { shop = "a", paid = true })
    local b = c:with { shop = 7, paid = false }
    b:inc()
    b:inc(9)
    local text = ml.metrics.text()
    assert.equal(3.5, sample(text, "spec_plain_total"))
    assert.equal(4, sample(text, 'spec_counted_total{shop="a",paid="true"}'))
    assert.equal(10, sample(text, 'spec_counted_total{shop="7",paid="false"}'))
    assert.truthy(text:find "# HELP spec_plain_total Plain.\n# TYPE spec_plain_total counter\n")
  end)

  it("has gauges that go up and down, and may be anything", function()
    local g = ml.metrics.gauge("spec_level", "A gauge.", { labels = { "of" } })
    g:set(5, { of = "x" })
    g:inc { of = "x" }
    g:dec(3, { of = "x" })
    g:with({ of = "y" }):set(-math.huge)
    g:set(0 / 0, { of = "z" })
    local text = ml.metrics.text()
    assert.equal(3, sample(text, 'spec_level{of="x"}'))
    assert.truthy(text:find('spec_level{of="y"} -Inf\n', 1, true))
    assert.truthy(text:find('spec_level{of="z"} NaN\n', 1, true))
  end)

  it("has histograms, whose buckets add up, and which time calls", function()
    local h = ml.metrics.histogram("spec_seconds", "Times.", { buckets = { 0.5, 1, 2 } })
    for _, v in ipairs { 0.5, 0.75, 2.5, 1 } do h:observe(v) end
    local text = ml.metrics.text()
    assert.equal(1, sample(text, 'spec_seconds_bucket{le="0.5"}'))
    assert.equal(3, sample(text, 'spec_seconds_bucket{le="1"}'))
    assert.equal(3, sample(text, 'spec_seconds_bucket{le="2"}'))
    assert.equal(4, sample(text, 'spec_seconds_bucket{le="+Inf"}'))
    assert.equal(4, sample(text, "spec_seconds_count"))
    assert.equal(4.75, sample(text, "spec_seconds_sum"))
    assert.same({ 7, nil, 8, n = 3 }, table.pack(h:time(function(...)
      ml.sleep(0.001)
      return ...
    end, 7, nil, 8)))
    assert.truthy(message(h.time, h, error, "no"):find "no")
    assert.equal(6, sample(ml.metrics.text(), "spec_seconds_count"))
  end)

  it("gives the same metric for the same definition, and refuses another one by its name", function()
    local one = ml.metrics.counter("spec_same", "One.", { labels = { "a" } })
    ml.metrics.counter("spec_same", "One.", { labels = { "a" } }):inc { a = 1 }
    one:inc { a = 1 }
    assert.equal(2, sample(ml.metrics.text(), 'spec_same_total{a="1"}'))
    assert.truthy(message(ml.metrics.counter, "spec_same", "One."):find "called spec_same_total, a counter")
    assert.truthy(message(ml.metrics.gauge, "spec_same_total", "One."):find "another metric called spec_same_total")
  end)

  it("says what is wrong with a name, an option, a label, a value", function()
    local c = ml.metrics.counter("spec_wrong", "Wrong.", { labels = { "shop" } })
    local cases = {
      { ml.metrics.counter, "1st", "x", says = "'1st' is no name of a metric" },
      { ml.metrics.counter, "ok", says = "a text of UTF-8 that explains the metric" },
      { ml.metrics.counter, "ok", "caf\xe9", says = "a text of UTF-8 that explains the metric" },
      { ml.metrics.counter, "ok", "x", { lables = {} }, says = "did you mean 'labels'" },
      { ml.metrics.counter, "ok", "x", { labels = { "a-b" } }, says = "names of letters" },
      { ml.metrics.histogram, "ok", "x", { labels = { "le" } }, says = "other names than le" },
      { ml.metrics.histogram, "ok", "x", { buckets = { 2, 1 } }, says = "ascending numbers" },
      { ml.metrics.gauge, "ok", "x", { across = "avg" }, says = '"sum", "max" or "min"' },
      { c.inc, c, -1, { shop = 1 }, says = "a counter only grows" },
      { c.inc, c, says = "a table with the values of its labels expected" },
      { c.inc, c, { shpo = 1 }, says = "did you mean 'shop'" },
      { c.inc, c, {}, says = "the label 'shop' has no value" },
      { c.inc, c, { shop = {} }, says = "the label 'shop' is a table" },
      { c.inc, 1, says = "counter" },
      { ml.metrics.text, 1, says = "string or nil expected" },
    }
    for _, case in ipairs(cases) do
      local text = message(case[1], table.unpack(case, 2, 4))
      assert.truthy(text:find(case.says, 1, true), text)
    end
  end)

  it("keeps 1000 series of a metric, and counts the rest as other", function()
    local c = ml.metrics.counter("spec_many", "Many.", { labels = { "user", "kind" } })
    for i = 1, 1500 do c:inc { user = i, kind = "k" } end
    c:inc { user = 1, kind = "k" }
    c:with({ user = "late", kind = "k" }):inc(10)
    local text = ml.metrics.text()
    local _, lines = text:gsub("\nspec_many_total{", "")
    assert.equal(1001, lines)
    assert.equal(2, sample(text, 'spec_many_total{user="1",kind="k"}'))
    assert.equal(1, sample(text, 'spec_many_total{user="1000",kind="k"}'))
    assert.equal(510, sample(text, 'spec_many_total{user="other",kind="other"}'))
  end)

  it("escapes whatever a label has, so that promtool accepts it", function()
    local c = ml.metrics.counter("spec_escaped", "Back\\slash,\nline \"quotes\".", { labels = { "v" } })
    c:inc { v = 'a"b\\c\nd' }
    c:inc { v = "\xff\0\xc3\xa9" }
    c:inc { v = ("\xe2\x82\xac"):rep(100) }
    math.randomseed(20261129)
    for _ = 1, 300 do
      local bytes = {}
      for i = 1, math.random(0, 30) do bytes[i] = string.char(math.random(0, 255)) end
      c:inc { v = table.concat(bytes) }
    end
    local text = ml.metrics.text()
    assert.equal(1, sample(text, [[spec_escaped_total{v="a\"b\\c\nd"}]]))
    assert.equal(1, sample(text, 'spec_escaped_total{v="\xef\xbf\xbd\xef\xbf\xbd\xc3\xa9"}'))
    assert.equal(1, sample(text, 'spec_escaped_total{v="' .. ("\xe2\x82\xac"):rep(66) .. '"}'))
    assert.truthy(text:find('# HELP spec_escaped_total Back\\\\slash,\\nline "quotes".\n', 1, true))
    assert.truthy(utf8.len(text))
    if not has_promtool then return pending "promtool is not installed (package prometheus)" end
    assert.equal("", judged(text))
  end)

  it("gives OpenMetrics to those who prefer it", function()
    ml.metrics.counter("spec_open", "Open."):inc(2)
    local text, kind = ml.metrics.text(OPEN)
    assert.equal("application/openmetrics-text; version=1.0.0; charset=utf-8", kind)
    assert.truthy(text:find("# TYPE spec_open counter\nspec_open_total 2\n", 1, true))
    assert.equal("# EOF\n", text:sub(-6))
    for accept, open in pairs {
      ["text/plain"] = false, ["*/*"] = false, [""] = false, ["application/openmetrics-text"] = true,
      ["application/openmetrics-text;q=0.1, text/plain;q=0.5"] = false,
      ["text/plain;q=0.5, Application/OpenMetrics-Text ; version=1.0.0"] = true,
      ["application/openmetrics-text;q=0"] = false,
      ["application/openmetrics-text;q=0.501, text/plain;q=0.5"] = true,
      ["application/openmetrics-text;q=nan, text/plain;q=0.1"] = false,
    } do
      assert.equal(open, (select(2, ml.metrics.text(accept))):find "openmetrics" ~= nil, accept)
    end
  end)
end)

describe("app:metrics", function()
  local function app_with_metrics()
    local app = ml.web.app()
    app:get("/metered/{id}", function(req) return { id = req.params.id } end)
    app:get("/broken", function() return { why = "it is down" }, 503 end)
    app:metrics { hosts = { "here" } } -- as the requests of the specs have it
    return app
  end

  it("counts requests by the route's template, method and status", function()
    support.serving(app_with_metrics(), function(port)
      local before = ml.metrics.text()
      for i = 1, 3 do support.get(port, "/metered/" .. i) end
      support.get(port, "/broken")
      support.get(port, "/no/such/path")
      support.ask(port, support.request("PROPFIND", "/metered/1"))
      ml.sleep(0)
      local res = support.get(port, "/metrics")
      assert.equal("text/plain; version=0.0.4; charset=utf-8", res.headers["content-type"])
      local text = res.body
      local count = "http_server_request_duration_seconds_count"
      local rest = 'url_scheme="http",network_protocol_version="1.1"}'
      local function risen(line) return sample(text, line) - (sample(before, line) or 0) end
      assert.equal(3, sample(text, count ..
        '{http_request_method="GET",http_route="/metered/{id}",http_response_status_code="200",' .. rest))
      assert.equal(1, sample(text, count ..
        '{http_request_method="GET",http_route="/broken",http_response_status_code="503",error_type="503",' .. rest))
      assert.equal(1, risen(count .. '{http_request_method="GET",http_response_status_code="404",' .. rest))
      assert.equal(1, risen(count .. '{http_request_method="_OTHER",http_response_status_code="405",' .. rest))
      assert.equal(1, sample(text, 'http_server_active_requests{http_request_method="GET",url_scheme="http"}'))
      assert.is_true(sample(text, 'moonloop_tasks{task_state="waiting"}') >= 1)
      for _, name in ipairs { "process_memory_usage_bytes", "process_unix_file_descriptor_count",
        "moonloop_lua_memory_bytes" } do
        assert.is_true(sample(text, name) > 0, name)
      end
      if has_promtool then assert.equal("", judged(text)) end
    end)
  end)

  it("shows that no request is under way where there was one", function()
    local text = process.run [[
      local app = ml.web.app()
      app:get("/", function() return "hi" end)
      app:metrics()
      local server <close> = ml.web.listen(app, { port = 0 })
      assert(ml.http.get(("http://127.0.0.1:%d/"):format(server.port)).body == "hi")
      print(ml.metrics.text())]]
    assert.equal(0, sample(text, 'http_server_active_requests{http_request_method="GET",url_scheme="http"}'), text)
  end)

  it("counts calls of clients by host, statements, and jobs of the executor", function()
    -- A process of its own: here other specs may have called a thousand hosts.
    local text = process.run [[
      local app = ml.web.app()
      app:get("/", function() return "hi" end)
      app:metrics()
      local server <close> = ml.web.listen(app, { port = 0 })
      ml.http.get(("http://127.0.0.1:%d/"):format(server.port))
      ml.executor.run(function() return 1 end)
      local db = ml.sql.open "sqlite::memory:"
      assert(db:query "select 1")
      print((ml.metrics.text():gsub('server_port="' .. server.port .. '"', 'server_port="PORT"')))
      db:close()]]
    assert.equal(1, sample(text, 'http_client_request_duration_seconds_count{http_request_method="GET",' ..
      'server_address="127.0.0.1",server_port="PORT",http_response_status_code="200"}'), text)
    assert.equal(1, sample(text, "moonloop_executor_job_duration_seconds_count"))
    assert.equal(1, sample(text, "moonloop_executor_wait_duration_seconds_count"))
    assert.equal(1, sample(text,
      'db_client_operation_duration_seconds_count{db_system_name="sqlite",db_operation_name="SELECT"}'))
  end)

  it("counts jobs by the names that messaging has: those pushed, and their runs", function()
    local text = process.run [[
      ml.web.app():metrics()
      local db = ml.sql.open "sqlite::memory:"
      local jobs = ml.jobs.new(db)
      jobs:define("mail", function() end)
      jobs:define("bad", { attempts = 2, backoff = function() return 0 end }, function() error "no" end)
      jobs:push("mail")
      jobs:push("mail", nil, { unique = "key" })
      jobs:push("mail", nil, { unique = "key" }) -- the same
      jobs:push_all { { "mail" }, { "mail", nil, { unique = "key" } }, { "bad" } }
      pcall(db.tx, db, function(tx)
        jobs:push("mail", nil, { tx = tx })
        error "rolled back"
      end)
      db:tx(function(tx) jobs:push("mail", nil, { tx = tx, queue = "slow" }) end)
      ml.log.to(function() end)
      while jobs:drain() > 0 do end
      db:exec "drop table moonloop_jobs"
      jobs:push("mail")
      print(ml.metrics.text())]]
    local function labels(operation, queue, name, kind)
      return ('{messaging_system="moonloop",messaging_operation_name="%s",messaging_destination_name="%s",' ..
        'moonloop_job_name="%s"%s}'):format(operation, queue, name, kind and (',error_type="%s"'):format(kind) or "")
    end
    local sent, consumed = "messaging_client_sent_messages_total", "messaging_client_consumed_messages_total"
    local duration = "messaging_process_duration_seconds_count"
    assert.equal(3, sample(text, sent .. labels("push", "default", "mail")), text)
    assert.equal(1, sample(text, sent .. labels("push", "slow", "mail")))
    assert.equal(1, sample(text, sent .. labels("push", "default", "bad")))
    assert.equal(1, sample(text, sent .. labels("push", "default", "mail", "sql")))
    assert.equal(3, sample(text, consumed .. labels("process", "default", "mail")))
    assert.equal(2, sample(text, consumed .. labels("process", "default", "bad")))
    assert.equal(3, sample(text, duration .. labels("process", "default", "mail")))
    assert.equal(1, sample(text, duration .. labels("process", "default", "bad", "failed")))
    assert.equal(1, sample(text, duration .. labels("process", "default", "bad", "dead")))
    assert.equal(3, sample(text, "moonloop_job_wait_duration_seconds_count" ..
      '{messaging_destination_name="default",moonloop_job_name="mail"}'))
    if has_promtool then assert.equal("", judged(text)) end
  end)

  it("shows nothing of a pool that was closed, also where another one has come since", function()
    local text = process.run [[
      local app = ml.web.app()
      app:metrics()
      local function show(what) print(what .. "\n" .. ml.metrics.text()) end
      local pool <close> = ml.executor.new { threads = 3 }
      pool:run(function() end)
      local one, two = ml.sql.open "sqlite::memory:", ml.sql.open "sqlite::memory:"
      assert(one:query "select 1" and two:query "select 1")
      show "-- two"
      one:close()
      show "-- one"
      two:close()
      local other <close> = ml.redis.client "redis://127.0.0.1:1"
      pool:close()
      show "-- another"]]
    local of = '{db_system_name="sqlite",db_client_connection_pool_name=":memory:"'
    local function most(which)
      local shown = assert(text:match("%-%- " .. which .. "\n(.-\n)%f[-\0]"))
      local sum = 0
      for _, state in ipairs { "idle", "used" } do
        local line = '%s,db_client_connection_state="%s"}'
        sum = sum + sample(shown, "db_client_connection_count" .. line:format(of, state))
      end
      return sample(shown, "db_client_connection_limit" .. of .. "}"), sum
    end
    local max, connections = most "two"
    assert(max >= 2 and connections >= 2, text)
    assert.same({ max / 2, connections / 2 }, { most "one" })
    assert.same({ 0, 0 }, { most "another" })
    assert.truthy(text:find "%-%- two.*\nmoonloop_executor_threads 3\n.*%-%- another.*\nmoonloop_executor_threads 0\n")
  end)

  it("counts the open descriptors", function()
    local text = process.run [[
      local app = ml.web.app()
      app:metrics()
      local function count() return tonumber(ml.metrics.text():match "\nprocess_unix_file_descriptor_count (%d+)") end
      local before, files = count(), {}
      for i = 1, 10 do files[i] = assert(io.open "/dev/null") end
      print(count() - before)
      for i = 1, 10 do files[i]:close() end
      print(count() - before)]]
    assert.equal("10\n0\n", text)
  end)

  it("answers nobody who was led here by another name", function()
    local app = ml.web.app()
    app:metrics { hosts = { "metrics.example" } }
    app:metrics "/plain"
    support.serving(app, function(port)
      local function status(host, path, headers)
        return support.ask(port, ("GET %s HTTP/1.1\r\nHost: %s\r\n%sConnection: close\r\n\r\n")
          :format(path or "/metrics", host, headers or "")).status
      end
      local machine = io.open "/proc/sys/kernel/hostname":read "l"
      for _, host in ipairs { "127.0.0.1:" .. port, "localhost", "LOCALHOST:80", "[::1]:9100", "10.0.0.7", machine,
        "shop.localhost",
        "metrics.example", "Metrics.Example:443" } do
        assert.equal(200, status(host), host)
      end
      for _, host in ipairs { "evil.example", "127.0.0.1.evil.example:80", "x.metrics.example",
        "metrics.example.evil:80", "2130706433" } do
        assert.equal(421, status(host), host)
      end
      assert.equal(421, status("metrics.example", "/plain"))
      assert.equal(403, status("localhost", nil, "Origin: http://evil.example\r\n"))
    end)
    for _, hosts in ipairs { "metrics.example", { 1 }, { "metrics.example:80" }, { "http://metrics.example" } } do
      assert.matches("option 'hosts' of app:metrics", message(app.metrics, app, { hosts = hosts }), 1, true)
    end
  end)

  it("is for any path, and not part of the OpenAPI document", function()
    local app = ml.web.app()
    app:metrics("/internal/metrics", { hosts = { "here" } })
    support.serving(app, function(port)
      assert.equal(200, support.get(port, "/internal/metrics").status)
      assert.equal("# EOF\n", support.get(port, "/internal/metrics", "Accept: " .. OPEN .. "\r\n").body:sub(-6))
      assert.is_nil(support.get(port, "/openapi.json").body:find("internal", 1, true))
    end, { docs = true })
  end)
end)
