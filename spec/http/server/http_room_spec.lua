-- A server all of whose connections are taken: who has to make room, and who waits.
local ml = require "moonloop"
local web = require "moonloop.web"
local common = require "spec.support"
local support = require "spec.support.web"
local eventually = require("spec.support.tasks").eventually
local http2 = require "spec.support.http2"
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
  it("closes the connection whose client has said nothing for longest", function()
    local reports <close> = keep_reports()
    support.serving(app_with(3), function(port, server)
      local conns = {}
      for i = 1, 3 do conns[i] = idle(port) end
      ml.sleep(0.005)
      assert.equal("hi", answers(conns[1])) -- the second has been silent for longest now
      conns[4] = idle(port)
      assert.is_nil(answers(conns[2]))
      for _, i in ipairs { 1, 3, 4 } do assert.equal("hi", answers(conns[i])) end
      assert.equal(3, server.connections)
      for _, conn in ipairs(conns) do conn:close() end
    end)
    assert.matches("all 3 connections are taken %(max_connections%)", reports:text())
  end)

  --- How a client holds a connection without asking for anything: each gets the port, and returns what is to be closed.
  local function begun(bytes)
    return function(port)
      local conn = assert(common.rawtcp.connect(port))
      assert(conn:send(bytes))
      return conn
    end
  end
  local function speaking_http2(type, flags, fields, opts)
    return function(port)
      local client = http2.connect(port, opts)
      if type then client:send(type, flags, 1, http2.fields(fields)) end
      return client.conn
    end
  end
  local holders = {
    ["say nothing"] = begun "",
    ["have sent a byte of a head"] = begun "G",
    ["owe a body"] = begun(request("POST", "/body", "Content-Length: 10\r\n", "x")),
    ["owe a body that is thrown away"] = begun(request("POST", "/nowhere", "Content-Length: 10\r\n", "x")),
    ["speak HTTP/2 and ask for nothing"] = speaking_http2(),
    ["have begun a head of HTTP/2"] = speaking_http2(http2.HEADERS, 0, http2.request("GET", "/")),
    ["do not take a response"] = begun(request("GET", "/large")),
    ["do not take a stream"] = begun(request("GET", "/endless")),
    ["do not take a response of HTTP/2"] = speaking_http2(http2.HEADERS, http2.END_HEADERS | http2.END_STREAM,
      http2.request("GET", "/large"), { window = 0 }),
    ["owe a body of HTTP/2"] = speaking_http2(http2.HEADERS, http2.END_HEADERS, http2.request("POST", "/body")),
  }
  local large = common.xs(20000000)
  for what, hold in pairs(holders) do
    it("closes those that " .. what .. ", and do not leave when they are asked to", function()
      local reports <close> = keep_reports()
      local app = app_with(3)
      app:post("/body", function(req) return req.body end)
      app:get("/large", function() return large end)
      app:get("/endless", function()
        return web.response { stream = function(out) while true do out:write(large) end end }
      end)
      support.serving(app, function(port, server)
        local held = {}
        for i = 1, 3 do held[i] = hold(port) end
        eventually(function() return server.connections == 3 end)
        for _ = 1, 3 do
          local conn = idle(port)
          conn:close()
        end
        for _, conn in ipairs(held) do conn:close() end
      end, { http2 = "clear" })
      assert.matches("all 3 connections are taken", reports:text())
    end)
  end

  it("closes those of which not even the header of a proxy has come", function()
    local reports <close> = keep_reports()
    support.serving(app_with(3), function(port, server)
      local held = {}
      for i = 1, 3 do held[i] = assert(common.rawtcp.connect(port)) end
      eventually(function() return server.connections == 3 end)
      for _ = 1, 3 do
        local conn <close> = assert(common.rawtcp.connect(port))
        assert(conn:send("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n" .. request("GET", "/")))
        assert.equal("hi", support.receive(conn).body)
      end
      for _, conn in ipairs(held) do conn:close() end
    end, { proxy_protocol = true, header_timeout = 3600 })
    assert.matches("all 3 connections are taken", reports:text())
  end)

  it("lets a client with a short limit stay while others have said nothing for longer", function()
    local reports <close> = keep_reports()
    local app = app_with(2)
    support.serving(app, function(port, server)
      local first <close> = idle(port) -- may be idle for an hour
      ml.sleep(0.005)
      local new <close> = assert(common.rawtcp.connect(port)) -- has half an hour for its request
      eventually(function() return server.connections == 2 end)
      local third <close> = idle(port)
      assert.is_nil(answers(first))
      assert.equal("hi", answers(new))
      assert.equal("hi", answers(third))
    end, { keep_alive = 3600, header_timeout = 1800 })
    assert.matches("all 2 connections are taken", reports:text())
  end)

  it("keeps a connection of HTTP/2 whose request is being handled", function()
    local reports <close> = keep_reports()
    local app = app_with(2)
    support.serving(app, function(port)
      local client <close> = http2.connect(port)
      local stream = client:ask("GET", "/wait")
      app.entered:wait()
      local second <close> = idle(port)
      local third <close> = idle(port)
      assert.is_nil(answers(second))
      assert.equal("hi", answers(third))
      app.over:set()
      assert.same({ 200, "waited" }, { client:response(stream) })
    end, { http2 = "clear" })
    assert.matches("all 2 connections are taken", reports:text())
  end)

  it("keeps a connection of HTTP/2 with a request, though a second one is only begun", function()
    local reports <close> = keep_reports()
    local app = app_with(2)
    support.serving(app, function(port)
      local client = http2.connect(port)
      local conn <close> = client.conn
      local stream = client:ask("GET", "/wait")
      app.entered:wait()
      client:send(http2.HEADERS, 0, stream + 2, http2.fields(http2.request("GET", "/")))
      for _ = 1, 3 do idle(port):close() end
      local second <close> = idle(port)
      local third <close> = idle(port)
      assert.is_nil(answers(second))
      assert.equal("hi", answers(third))
      client:send(http2.CONTINUATION, http2.END_HEADERS, stream + 2, http2.fields { { "x", "1" } })
      app.over:set()
      assert.same({ 200, "waited" }, { client:response(stream) })
      assert.same({ 200, "hi" }, { client:response(stream + 2) })
      assert.equal(conn, client.conn)
    end, { http2 = "clear" })
    assert.matches("all 2 connections are taken", reports:text())
  end)

  it("lets clients wait while none waits for its client, and ends a connection with its request then", function()
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
      assert.matches("all 1 connections are taken %(max_connections%): none waits for its client", reports:text())
    end)
  end)

  it("keeps WebSockets and handlers at work, and says how many of them hold it", function()
    local reports <close> = keep_reports()
    local app = app_with(3)
    app:websocket("/ws", function(ws) ws:receive() end)
    support.serving(app, function(port)
      local url = ("ws://127.0.0.1:%d/ws"):format(port)
      local sockets = { assert(ml.ws.connect(url)), assert(ml.ws.connect(url)) }
      local slow <close> = assert(common.rawtcp.connect(port))
      assert(slow:send(request("GET", "/wait")))
      app.entered:wait()
      local new <close> = assert(common.rawtcp.connect(port))
      assert(new:send(request("GET", "/")))
      eventually(function() return reports:text():find "all 3 connections are taken" ~= nil end)
      sockets[1]:close()
      assert.equal("hi", support.receive(new).body)
      app.over:set()
      assert.equal("waited", support.receive(slow).body)
      assert(sockets[2]:send "still there")
      sockets[2]:close()
    end)
    assert.matches("none waits for its client, 2 are WebSockets and 1 have handlers at work %(moonloop ps shows them%)",
      reports:text())
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
  for what, how in pairs {
    ["says nothing"] = { "" },
    ["sends empty lines"] = { "\r\n" },
    ["sends empty lines, where it could be HTTP/2"] = { "\r\n", { http2 = "clear" } },
  } do
    it("that " .. what .. " has the time of a head", function()
      local app = web.app { header_timeout = 0.05, keep_alive = 3600 }
      support.serving(app, function(port, server)
        local conn <close> = assert(common.rawtcp.connect(port))
        assert(conn:send(how[1]))
        assert.is_nil((conn:receive(1)))
        assert.equal(0, server.connections)
      end, how[2])
    end)
  end
end)
