-- Metrics of several worker processes, and `serve --metrics`.
local ml = require "moonloop"
local common = require "spec.support.servers"
local folders = require "spec.support.folder"
local support = require "spec.support"
local served = require "spec.support.served"
local web = require "spec.support.web"

local APP = [[
  local ml = require "moonloop"
  local app = ml.web.app()
  local counted = ml.metrics.counter("spec_counted", "Counted.", { labels = { "kind" } })
  local level = ml.metrics.gauge("spec_level", "A gauge.")
  local worst = ml.metrics.gauge("spec_worst", "Another one.", { across = "max" })
  level:set(1)
  worst:set(tonumber(os.getenv "MOONLOOP_WORKER" or 0))
  app:get("/count", function(req)
    counted:inc { kind = req.query.kind or "plain" }
    return { pid = io.open("/proc/self/stat"):read "n" }
  end)
  app:get("/block", function()
    io.stderr:write("it blocks\n")
    local from = os.time()
    while os.time() < from + 30 do end
  end)
  if spoil then app:get("/spoil", spoil) end
  app:metrics { hosts = { "here" } } -- as the requests of the specs have it
  return app
]]

-- Before the app: a route that does to the memory of the metrics what machine code could: cut it off, and write over
-- what those who are gone have counted.
local SPOILER = ([[
  package.cpath = "%s/spec/?.so;" .. package.cpath
  local HEADS = 4096 + 32 -- of the memory, and of its first region
  local function spoil()
    local ml, call = require "moonloop", require "system_call"
    for _, fd in ipairs(ml.fs.list "/proc/self/fd") do
      if (ml.fs.readlink("/proc/self/fd/" .. fd) or ""):find("memfd:moonloop metrics", 1, true) then
        fd = tonumber(fd)
        local cut, why = call("ftruncate", fd, 0)
        return { cut or why, call("pwrite64", fd, ("\255"):rep(65536), 65536, HEADS) }
      end
    end
  end
]]):format((support.binary:match "^(.*)/"))

local function sample(text, line)
  local at = ("\n" .. text):find("\n" .. line .. " ", 1, true)
  return at and tonumber(text:match("^(%S+)", at + #line + 1))
end

-- Starts it with `--metrics` on a free port, which is `server.metrics`.
local function start(options, app)
  local port = common.free_port()
  local server = served.start({ ["app.lua"] = app or APP }, ("--metrics 127.0.0.1:%d %s"):format(port, options or ""))
  server.metrics = port
  return server
end

local function metrics_of(server, headers)
  local head = "GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n" .. (headers or "")
  local res = assert(web.ask(server.metrics, head .. "\r\n"))
  return res.body, res
end

-- How often each process has counted, by its number.
local function count(server, n)
  local pids = {}
  for _ = 1, n do
    local pid = ml.json.decode(server:get("/count").body).pid
    pids[pid] = (pids[pid] or 0) + 1
  end
  return pids
end

local COUNTED = 'spec_counted_total{kind="plain"}'
local REQUESTS = 'http_server_request_duration_seconds_count{http_request_method="GET",http_route="/count",' ..
  'http_response_status_code="200",url_scheme="http",network_protocol_version="1.1"}'

local function eventually(server, what, f)
  served.wait_until(what, function() return f((metrics_of(server))) end)
end

describe("serve --metrics", function()
  it("shows the metrics of one process, and says where", function()
    local server <close> = start()
    assert.matches("^moonloop [%d.]+: serving app.lua on ", server.line)
    assert.matches("^moonloop [%d.]+: the metrics are at http://127%.0%.0%.1:" .. server.metrics .. "/metrics$",
      server.process:line())
    count(server, 3)
    local text, res = metrics_of(server)
    assert.equal(3, sample(text, COUNTED))
    assert.equal(3, sample(text, REQUESTS))
    assert.is_number(sample(text, "moonloop_loop_lag_seconds"))
    assert.equal("text/plain; version=0.0.4; charset=utf-8", res.headers["content-type"])
    assert.equal("# EOF\n", (metrics_of(server, "Accept: application/openmetrics-text\r\n")):sub(-6))
  end)

  it("answers those who shut their side once they have asked, whole", function()
    -- More than a socket takes at once.
    local server <close> = start("", [[
      local ml = require "moonloop"
      local buckets = {}
      for i = 1, 60 do buckets[i] = i end
      local h = ml.metrics.histogram("spec_large", "Large.", { labels = { "of" }, buckets = buckets })
      for i = 1, 1000 do h:observe(i % 60, { of = i .. ("x"):rep(200) }) end
      return ml.web.app()]])
    local conn <close> = assert(support.rawtcp.connect(server.metrics))
    assert(conn:send "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
    conn:shutdown()
    local res = assert(web.receive(conn))
    assert.equal(200, res.status)
    local _, lines = res.body:gsub("\nspec_large_count{", "")
    assert.equal(1000, lines)
    local half <close> = assert(support.rawtcp.connect(server.metrics))
    assert(half:send "GET /metrics HTTP/1.1\r\nHost: localhost\r\n")
    half:shutdown()
    assert.equal("", half:receive "*a") -- no more of it comes
  end)

  it("has 64 clients at most, and 16 kB of a head", function()
    local server <close> = start()
    local conns = {}
    local _ <close> = setmetatable({}, { __close = function()
      for _, conn in ipairs(conns) do conn:close() end
    end })
    for i = 1, 64 do
      conns[i] = assert(support.rawtcp.connect(server.metrics))
      assert(conns[i]:send "GET /metrics HTTP/1.1\r\n")
    end
    local another <close> = assert(support.rawtcp.connect(server.metrics))
    another:send "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"
    assert.is_nil((web.receive(another)))
    assert(conns[1]:send "Host: localhost\r\n\r\n")
    assert.equal(200, web.receive(conns[1]).status)
    assert(conns[2]:send("X: " .. ("x"):rep(16 * 1024) .. "\r\n"))
    assert.equal(400, web.receive(conns[2]).status)
    conns[3]:close() -- makes room
    eventually(server, "there is room", function(text) return text end)
  end)

  it("answers nobody who was led here", function()
    local server <close> = start()
    local function status(head) return web.ask(server.metrics, head .. "\r\n\r\n").status end
    assert.equal(421, status "GET /metrics HTTP/1.1\r\nHost: evil.example")
    assert.equal(421, status "GET /metrics HTTP/1.1\r\nHost: 127.0.0.1.evil.example:80")
    assert.equal(421, status "GET /metrics HTTP/1.1")
    assert.equal(403, status "GET /metrics HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.example")
    -- A line that begins with a carriage return does not end the head.
    assert.equal(403, status "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\rX: 1\r\nOrigin: http://evil.example")
    assert.equal(405, status "POST /metrics HTTP/1.1\r\nHost: localhost")
    assert.equal(404, status "GET / HTTP/1.1\r\nHost: localhost")
    assert.equal(200, status "GET /metrics HTTP/1.1\r\nHost: localhost:9100")
    assert.equal(200, status "GET /metrics?x HTTP/1.0\r\nHost: [::1]:9100")
    assert.equal(400, status(("x"):rep(20000)))
    local _ <close> = assert(support.rawtcp.connect(server.metrics)) -- says nothing, and holds nobody up
    assert.equal(200, status "GET /metrics HTTP/1.1\r\nHost: localhost")
  end)
end)

describe("the metrics of workers", function()
  it("are one sum, for whoever asks, and gauges as they say", function()
    local server <close> = start "--workers 2"
    assert.matches("^moonloop [%d.]+: the metrics are at http://127%.0%.0%.1:" .. server.metrics .. "/metrics$",
      server.process:line())
    local pids = count(server, 40)
    local text = metrics_of(server)
    assert.equal(40, sample(text, COUNTED))
    assert.equal(40, sample(text, REQUESTS))
    assert.equal(2, sample(text, "spec_level"))
    assert.equal(2, sample(text, "spec_worst"))
    assert.is_true(next(pids) ~= nil)
    local own = server:get("/metrics").body
    assert.equal(40, sample(own, COUNTED))
    assert.equal(2, sample(own, "spec_level"))
  end)

  -- The supervisor reads them, and no sandbox holds it.
  it("are not believed: a worker that writes over what all share, or takes it away, ends nobody", function()
    local server <close> = start("--workers 1", SPOILER .. APP)
    local function replace()
      os.execute("kill -KILL " .. next(count(server, 1)))
      served.wait_until("the worker is not replaced", function()
        return sample(metrics_of(server), "spec_level") == 1
      end)
    end
    replace()
    assert.equal(1, sample(metrics_of(server), COUNTED))
    assert.same({ "EPERM", 65536 }, ml.json.decode(server:get("/spoil").body))
    assert.equal(1, sample(metrics_of(server), COUNTED))
    replace()
    assert.equal(2, sample(metrics_of(server), COUNTED))
    assert.equal(2, sample(server:get("/metrics").body, COUNTED))
  end)

  it("lose nothing when one is killed, but its gauges", function()
    local server <close> = start "--workers 2"
    local pids, all = count(server, 20), 20
    for pid in pairs(pids) do
      os.execute("kill -KILL " .. pid)
      served.wait_until("the worker is not replaced", function()
        local text = metrics_of(server)
        assert.equal(all, sample(text, COUNTED))
        assert.equal(all, sample(text, REQUESTS))
        local levels = sample(text, "spec_level")
        assert.is_true(levels == 1 or levels == 2 or levels == nil)
        return levels == 2
      end)
    end
    count(server, 5)
    eventually(server, "what came later is not counted", function(text) return sample(text, COUNTED) == 25 end)
  end)

  it("lose nothing when others take their place", function()
    local server <close> = start "--workers 2"
    count(server, 10)
    os.execute("kill -HUP " .. server.pid)
    served.wait_until("it has not reloaded", function() return server:errors():find "reloaded" end)
    count(server, 10)
    eventually(server, "the old ones are there, or not all is counted", function(text)
      assert.is_true(sample(text, COUNTED) >= 10)
      return sample(text, COUNTED) == 20 and sample(text, "spec_level") == 2
    end)
  end)

  it("are read while one computes, whose lag grows", function()
    local server <close> = start "--workers 1"
    count(server, 3)
    local conn <close> = assert(support.rawtcp.connect(server.port))
    conn:send(web.request("GET", "/block"))
    eventually(server, "no lag is seen", function(text)
      assert.equal(3, sample(text, COUNTED))
      return sample(text, "moonloop_loop_lag_seconds") > 1
    end)
  end)

  it("are what Prometheus itself collects, with its targets up", function()
    if not os.execute "prometheus --version >/dev/null 2>&1" then
      return pending "prometheus is not installed"
    end
    local server <close> = start "--workers 2"
    count(server, 7)
    local port = common.free_port()
    local folder <close> = folders.new { ["prometheus.yml"] = ([[
global: { scrape_interval: 200ms }
scrape_configs:
  - job_name: app
    static_configs: [ { targets: ["127.0.0.1:%d"] } ]
]]):format(server.metrics) }
    local command = "cd %s && echo $$ && exec prometheus --config.file=prometheus.yml " ..
      "--web.listen-address=127.0.0.1:%d --storage.tsdb.path=data --log.level=error >log 2>&1"
    local pipe = assert(io.popen(command:format(folder.path, port)))
    local pid = pipe:read "l"
    local client <close> = ml.http.client { base_url = "http://127.0.0.1:" .. port }
    local ok, err = pcall(served.wait_until, "Prometheus has not collected", function()
      local res = client:get("/api/v1/query", { query = { query = "spec_counted_total" } })
      local data = res and res.status == 200 and ml.json.decode(res.body).data
      return data and data.result[1] and data.result[1].value[2] == "7"
    end)
    os.execute("kill " .. pid)
    pipe:close()
    if not ok then error(err, 0) end
  end)
end)
