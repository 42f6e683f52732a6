-- A server all of whose connections are taken: who has to make room, and who waits.
local ml = require "moonloop"
local web = require "moonloop.web"
local common = require "spec.support"
local support = require "spec.support.web"
local keep_reports = require "reports".keep

local request = support.request

local function app_with(most)
  local app = web.app { max_connections = most }
  app:get("/", function() return "hi" end)
  app:get("/wait", function()
    app.entered:set()
    app.over:wait()
    return "waited"
  end)
  app.entered, app.over = ml.event(), ml.event()
  return app
end

--- A connection that has had an answer.
local function idle(port)
  local conn = assert(common.rawtcp.connect(port))
  assert(conn:send(request("GET", "/")))
  assert.equal("hi", support.receive(conn).body)
  return conn
end

local function answers(conn)
  local sent = conn:send(request("GET", "/"))
  local res = sent and support.receive(conn)
  return res and res.body
end

describe("a server that is full", function()
  it("closes the connection that has been idle for longest", function()
    local reports <close> = keep_reports()
    support.serving(app_with(3), function(port, server)
      local conns = {}
      for i = 1, 3 do conns[i] = idle(port) end
      ml.sleep(0.005)
      assert.equal("hi", answers(conns[1])) -- the second is idle for longest now
      conns[4] = idle(port)
      assert.is_nil(answers(conns[2]))
      for _, i in ipairs { 1, 3, 4 } do assert.equal("hi", answers(conns[i])) end
      assert.equal(3, server.connections)
      for _, conn in ipairs(conns) do conn:close() end
    end)
    assert.matches("all 3 connections are taken %(max_connections%)", reports:text())
  end)

  it("lets clients wait while none is idle, and ends a connection with its request then", function()
    local app = app_with(1)
    support.serving(app, function(port)
      local first <close> = assert(common.rawtcp.connect(port))
      assert(first:send(request("GET", "/wait")))
      app.entered:wait()
      local reports <close> = keep_reports()
      local second <close> = assert(common.rawtcp.connect(port))
      assert(second:send(request("GET", "/")))
      local answer = ml.spawn(function() return support.receive(second).body end)
      ml.sleep(0.02) -- it finds nobody idle
      app.over:set()
      assert.equal("waited", support.receive(first).body)
      assert.equal("hi", answer:await())
      assert.is_nil((first:receive(1)))
      assert.matches("all 1 connections are taken %(max_connections%): none is idle", reports:text())
    end)
  end)

  it("is counted, as is each limit that is in the way of a client", function()
    web.app():metrics "/metrics" -- from now on they are kept
    local function count(name)
      local text = ml.metrics.text()
      return tonumber(text:match('moonloop_http_server_limited_total{limit_name="' .. name .. '"} (%d+)') or 0)
    end
    local full, per_ip, buffered = count "max_connections", count "max_per_ip", count "max_buffered"
    local reports <close> = keep_reports()
    support.serving(app_with(1), function(port)
      local first <close> = idle(port)
      local second <close> = idle(port)
      assert.is_nil(answers(first))
      assert.equal("hi", answers(second))
    end)
    assert.equal(full + 1, count "max_connections")
    support.serving(app_with(2), function(port)
      local first <close> = idle(port)
      local second <close> = assert(common.rawtcp.connect(port))
      assert.is_nil(answers(second))
      assert.equal("hi", answers(first))
    end, { max_per_ip = 1 })
    assert.equal(per_ip + 1, count "max_per_ip")
    local app = app_with(2)
    app:post("/", function(req) return req.body end)
    support.serving(app, function(port)
      assert.equal(503, support.post(port, "/", ("x"):rep(200000)).status)
    end, { max_buffered = 1000 })
    assert.equal(buffered + 1, count "max_buffered")
    assert.matches("all 1 connections are taken", reports:text())
  end)

  it("reports it again when as many more had to go", function()
    local reports <close> = keep_reports()
    support.serving(app_with(1), function(port)
      local last
      for _ = 1, 10 do
        if last then last:close() end
        last = idle(port)
      end
      local kept = {}
      for i = 1, 9 do kept[i] = idle(port) end
      assert.equal("hi", answers(kept[9]))
      for _, conn in ipairs(kept) do conn:close() end
      last:close()
    end)
    local _, n = reports:text():gsub("all 1 connections", "")
    assert(n >= 1 and n <= 5, reports:text())
  end)
end)

describe("a new connection", function()
  it("that says nothing has the time of a head", function()
    local app = web.app { header_timeout = 0.05, keep_alive = 3600 }
    support.serving(app, function(port, server)
      local conn <close> = assert(common.rawtcp.connect(port))
      assert.is_nil((conn:receive(1)))
      assert.equal(0, server.connections)
    end)
  end)
end)
