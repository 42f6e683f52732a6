-- The limits of a server that count all that a client does, or all clients.
local common = require "spec.support"
local ml = require "moonloop"
local eventually = require("spec.support.tasks").eventually
local events = require "spec.support.events"
local peers = require "spec.support.ws_peer"
local support = require "spec.support.web"
local web = require "moonloop.web"

local rawtcp, request = common.rawtcp, support.request

local function hello_app() return web.app():get("/", function() return "hello" end) end

-- Asks on the connection, which stays open; nil: it was closed.
local function ask(conn, headers)
  conn:send(request("GET", "/", headers))
  local res = support.receive(conn)
  return res and res.status
end

describe("max_per_ip", function()
  it("closes the connections of an address that has so many", function()
    support.serving(hello_app(), function(port, server)
      local first <close> = assert(rawtcp.connect(port))
      local second <close> = assert(rawtcp.connect(port))
      assert.equal(200, ask(first))
      assert.equal(200, ask(second))
      local third <close> = assert(rawtcp.connect(port))
      assert.is_nil(ask(third))
      assert.equal(200, ask(first))
      second:close()
      eventually(function() return server.connections == 1 end)
      local fourth <close> = assert(rawtcp.connect(port))
      assert.equal(200, ask(fourth))
    end, { max_per_ip = 2 })
  end)

  it("counts the requests of the client that a trusted proxy names, not the proxy's connections", function()
    local go = ml.event()
    local app = web.app():get("/", function(req)
      if req.headers["x-wait"] then go:wait() end
      return "hello"
    end)
    local function from(client, more) return ("X-Forwarded-For: %s\r\n%s"):format(client, more or "") end
    support.serving(app, function(port, server)
      local waits <close> = assert(rawtcp.connect(port))
      local other <close> = assert(rawtcp.connect(port))
      waits:send(request("GET", "/", from("192.0.2.1", "X-Wait: 1\r\n")))
      eventually(function() return server.requests == 1 end)
      assert.equal(200, ask(other, from "192.0.2.2"))
      assert.equal(200, ask(other, from "192.0.2.3"))
      assert.equal(429, ask(other, from "192.0.2.1"))
      go:set()
      assert.equal(200, support.receive(waits).status)
      local again <close> = assert(rawtcp.connect(port))
      assert.equal(200, ask(again, from "192.0.2.1"))
    end, { max_per_ip = 1, trusted_proxies = { "127.0.0.1" } })
  end)

  it("counts the connections of the client that the PROXY protocol names", function()
    support.serving(hello_app(), function(port)
      local function connect(client)
        local conn = assert(rawtcp.connect(port))
        conn:send(("PROXY TCP4 %s 192.0.2.9 1 2\r\n"):format(client))
        return conn
      end
      local first <close> = connect "192.0.2.1"
      local other <close> = connect "192.0.2.2"
      assert.equal(200, ask(first))
      assert.equal(200, ask(other))
      local second <close> = connect "192.0.2.1"
      assert.is_nil(ask(second))
      assert.equal(200, ask(first))
    end, { max_per_ip = 1, proxy_protocol = true })
  end)

  it("counts the first 64 bits of an IPv6 address as one client", function()
    local go = ml.event()
    local app = web.app():get("/", function()
      go:wait()
      return "hello"
    end)
    support.serving(app, function(port, server)
      local waits <close> = assert(rawtcp.connect(port))
      local other <close> = assert(rawtcp.connect(port))
      waits:send(request("GET", "/", "X-Forwarded-For: 2001:db8::1\r\n"))
      eventually(function() return server.requests == 1 end)
      assert.equal(429, ask(other, "X-Forwarded-For: 2001:db8::2\r\n"))
      local third <close> = assert(rawtcp.connect(port))
      third:send(request("GET", "/", "X-Forwarded-For: 2001:db8:0:1::1\r\n"))
      eventually(function() return server.requests == 2 end)
      go:set()
      assert.equal(200, support.receive(waits).status)
      assert.equal(200, support.receive(third).status)
    end, { max_per_ip = 1, trusted_proxies = { "127.0.0.1" } })
  end)
end)

describe("max_buffered", function()
  it("refuses bodies beyond it, while those that are there are read", function()
    local go, refused, taken = ml.event(), 0, 0
    local app = web.app():post("/", function(req)
      local ok, body = pcall(function() return req.body end)
      if ok then return tostring(#body) end
      refused = refused + 1
      return web.response { status = body.status, body = body.detail }
    end)
    support.serving(app, function(port)
      local tasks = {}
      for i = 1, 20 do
        tasks[i] = ml.spawn(function()
          local conn <close> = assert(rawtcp.connect(port))
          conn:send(request("POST", "/", "Content-Length: 200000\r\n", common.xs(60000)))
          go:wait()
          conn:send(common.xs(140000))
          local res = support.receive(conn)
          if res and res.status == 200 then taken = taken + 1 end
        end)
      end
      eventually(function() return refused > 0 end)
      go:set()
      ml.wait(tasks)
      assert.is_true(taken > 0)
      assert.equal("200000", support.post(port, "/", common.xs(200000)).body)
    end, { max_buffered = 600000, body_timeout = 60 })
  end)

  it("counts the responses that clients have not taken", function()
    local app = web.app():get("/", function() return common.xs(20000000) end)
    app:post("/", function(req) return tostring(#req.body) end)
    support.serving(app, function(port, server)
      local slow <close> = assert(rawtcp.connect(port))
      slow:send(request("GET", "/"))
      assert(slow:receive "\r\n\r\n") -- its first bytes: the rest waits
      local second <close> = assert(rawtcp.connect(port))
      second:send(request("POST", "/", "Content-Length: 2\r\n", "x"))
      assert.equal(503, support.receive(second).status)
      slow:close()
      eventually(function() return server.connections <= 1 end)
      local third <close> = assert(rawtcp.connect(port))
      third:send(request("POST", "/", "Content-Length: 2\r\n", "x"))
      eventually(function() return server.requests == 2 end)
      third:send "x"
      assert.equal("2", support.receive(third).body)
    end, { max_buffered = 1000000, write_timeout = 60, body_timeout = 60 })
  end)
end)

describe("max_buffered", function()
  --- Is a body refused that is not there at once, since the server keeps too much?
  local function is_full(port)
    local conn <close> = assert(rawtcp.connect(port))
    conn:send(request("POST", "/body", "Content-Length: 2\r\n", "x"))
    ml.sleep(0.001)
    conn:send "y"
    local res = support.receive(conn)
    return res and res.status == 503
  end

  local function with(app, max, f)
    app:post("/body", function(req) return req.body end)
    support.serving(app, f, { max_buffered = max, body_timeout = 60, write_timeout = 60 })
  end

  for what, json in pairs {
    ["a body of JSON"] = "[" .. ("[],"):rep(20000) .. "0]",
    ["a long body of JSON"] = "[" .. ("[],"):rep(100000) .. "0]",
  } do
    for how, options in pairs {
      ["decoded by the handler"] = {},
      ["checked by a schema"] = { body = ml.schema.list(ml.schema.any()) },
      ["in a field of a form"] = { form = ml.schema.object { v = ml.schema.map(ml.schema.any()) } },
    } do
      it(("counts the values of %s, %s"):format(what, how), function()
        local app, go, waiting = web.app(), ml.event(), 0
        app:post("/", options, function(req)
          local value = options.form and req.valid.form.v.v or options.body and req.valid.body or req:json()
          waiting = waiting + 1
          go:wait()
          return tostring(#value)
        end)
        local body = options.form and 'v={"v":' .. json .. "}" or json
        local header = ("Content-Type: application/%s\r\n"):format(options.form and "x-www-form-urlencoded" or "json")
        support.serving(app, function(port)
          local first = ml.spawn(support.post, port, "/", body, header)
          eventually(function() return waiting == 1 end)
          assert.equal(503, support.post(port, "/", body, header).status)
          assert.equal(1, waiting)
          go:set()
          assert.equal(200, first:await().status)
          assert.equal(200, support.post(port, "/", body, header).status)
        end, { max_buffered = 90 * #json // 3 })
      end)
    end
  end

  it("counts requests that wait for one before them", function()
    local app, go = web.app(), ml.event()
    app:get("/wait", function()
      go:wait()
      return "waited"
    end)
    app:get("/", function() return "hello" end)
    with(app, 40000, function(port)
      local conn <close> = assert(rawtcp.connect(port))
      local one = request("GET", "/")
      conn:send(request("GET", "/wait") .. one:rep(50000 // #one))
      eventually(function() return is_full(port) end)
      go:set()
      assert.equal("waited", support.receive(conn).body)
      for _ = 1, 50000 // #one do assert.equal("hello", support.receive(conn).body) end
      assert.is_false(is_full(port))
    end)
  end)

  it("counts long heads, and refuses more of them", function()
    with(web.app(), 50000, function(port)
      local half = "GET / HTTP/1.1\r\nHost: a\r\nX: " .. common.xs(30000)
      local first <close> = assert(rawtcp.connect(port))
      local second <close> = assert(rawtcp.connect(port))
      first:send(half)
      eventually(function() return not is_full(port) end)
      second:send(half)
      local refused = assert(support.receive(second))
      assert.equal(503, refused.status)
      first:send "\r\n\r\n"
      assert.equal(404, support.receive(first).status)
      assert.is_false(is_full(port))
    end)
  end)

  it("counts bodies that handlers have read until they answer", function()
    local app, go, entered = web.app(), ml.event(), 0
    app:post("/wait", function(req)
      local body = req.body
      entered = entered + 1
      go:wait()
      return tostring(#body)
    end)
    with(app, 400000, function(port)
      local conns, refused = {}, nil
      while not refused and #conns < 20 do
        local conn = assert(rawtcp.connect(port))
        local n = #conns + 1
        conns[n] = conn
        conn:send(request("POST", "/wait", "Content-Length: 50000\r\n", common.xs(10000)))
        ml.sleep(0.001)
        conn:send(common.xs(40000))
        ml.spawn(function()
          local res = support.receive(conn)
          if res and res.status == 503 then refused = n end
        end)
        eventually(function() return refused or entered == n end)
      end
      assert(refused and refused > 2)
      go:set()
      eventually(function() return not is_full(port) end)
      for _, conn in ipairs(conns) do conn:close() end
    end)
  end)

  it("counts forms that are read whole while they come", function()
    local app, files = web.app(), {}
    app:post("/form", function(req)
      files[#files + 1] = req:form().f.body
      return tostring(#files[#files])
    end)
    with(app, 300000, function(port)
      local head = '--B\r\nContent-Disposition: form-data; name="f"; filename="x"\r\n\r\n'
      local function begin(n)
        local conn = assert(rawtcp.connect(port))
        local lines = "Content-Type: multipart/form-data; boundary=B\r\nContent-Length: %d\r\n"
        conn:send(request("POST", "/form", lines:format(#head + n + #"\r\n--B--\r\n"), head))
        return conn
      end
      local large <close> = begin(400000)
      local sender = ml.spawn(function()
        for _ = 1, 40 do large:send(common.xs(10000)) end
      end)
      assert.equal(503, support.receive(large).status)
      sender:cancel()
      large:close()
      local small <close> = begin(200000)
      small:send(common.xs(200000) .. "\r\n--B--\r\n")
      assert.equal("200000", support.receive(small).body)
      assert.is_false(is_full(port)) -- it is answered, and what the script keeps is its own
    end)
  end)

  it("counts messages of WebSockets that are not complete", function()
    local app = web.app()
    app:websocket("/", function(ws) for message in ws:messages() do ws:send(tostring(#message)) end end)
    with(app, 150000, function(port)
      local held = {}
      local function open()
        local peer = peers.connect(port, "/")
        held[#held + 1] = peer.conn
        return peer
      end
      local first, second, third = open(), open(), open()
      first:send(0x02, common.xs(100000))
      first:send(0x89, "there") -- all of that has come
      assert.equal(0x8A, (first:frame()))
      second:send(0x02, common.xs(100000))
      assert.same({ 1013, "the server has too much to keep" }, { second:closed() })
      third:send(0x82, "little")
      assert.same({ 0x81, "6" }, { third:frame() })
      first:send(0x80, "end")
      assert.same({ 0x81, "100003" }, { first:frame() })
      third:send(0x82, common.xs(100000))
      assert.same({ 0x81, "100000" }, { third:frame() })
      for _, conn in ipairs(held) do conn:close() end
      eventually(function() return not is_full(port) end)
    end)
  end)

  it("is given back by WebSockets that do not read what they get", function()
    local app, n = web.app(), 0
    app:post("/body", function(req) return req.body end)
    app:websocket("/", function(ws)
      n = n + 1
      while ws:send(common.xs(100000)) do ml.sleep(0) end
      n = n - 1
    end)
    support.serving(app, function(port)
      local held = {}
      repeat
        held[#held + 1] = peers.connect(port, "/").conn
        assert(#held < 100)
      until is_full(port)
      eventually(function() return n == 0 end)
      assert.is_false(is_full(port))
      for _, conn in ipairs(held) do conn:close() end
    end, { max_buffered = 1000000, body_timeout = 60, write_timeout = 0.3 })
  end)

  it("is given back by bodies that come too slowly for what they hold", function()
    local app = web.app():post("/", function(req)
      local ok, body = pcall(function() return req.body end)
      return ok and tostring(#body) or web.response { status = body.status, body = body.detail }
    end)
    support.serving(app, function(port)
      local held = {}
      local function hold()
        local conn = assert(rawtcp.connect(port))
        conn:send(request("POST", "/", "Content-Length: 20000\r\n", common.xs(10000)))
        return conn
      end
      local function status()
        local conn <close> = hold()
        ml.sleep(0.001)
        conn:send(common.xs(10000))
        return support.receive(conn).status
      end
      while status() == 200 do held[#held + 1] = hold() end
      local trickle = ml.spawn(function()
        while true do
          for _, conn in ipairs(held) do conn:send(common.xs(20)) end -- more than body_rate
          ml.sleep(0.02)
        end
      end)
      for _, conn in ipairs(held) do assert.equal(503, support.receive(conn).status) end
      trickle:cancel()
      for _, conn in ipairs(held) do conn:close() end
      assert.equal(200, status())
    end, { max_buffered = 500000, body_timeout = 0.8 })
  end)

  it("counts heads of WebSockets no longer when these are open", function()
    local app = web.app():websocket("/", function(ws) ws:receive() end)
    with(app, 50000, function(port)
      local held = {}
      for i = 1, 3 do
        local peer, head = peers.connect(port, "/", "X: " .. common.xs(30000) .. "\r\n")
        assert.matches("^HTTP/1.1 101 ", head)
        held[i] = peer.conn
      end
      assert.is_false(is_full(port))
      for _, conn in ipairs(held) do conn:close() end
    end)
  end)

  it("cuts off the responses that have waited for longest, where all have too much", function()
    local app = web.app()
    app:get("/", function() return "hello" end)
    app:get("/big", function() return common.xs(3000000) end)
    with(app, 20000000, function(port, server)
      local conns = {}
      for i = 1, 20 do
        conns[i] = assert(rawtcp.connect(port))
        conns[i]:send(request("GET", "/big"))
        assert(conns[i]:receive "\r\n\r\n")
      end
      eventually(function() return server.connections < 10 end)
      local body = conns[20]:receive(3000000)
      assert.equal(3000000, #body)
      assert.is_nil((conns[1]:receive(3000000)))
      assert.equal(200, support.get(port, "/").status)
      for _, conn in ipairs(conns) do conn:close() end
    end)
  end)

  for _, how in ipairs { "WebSockets", "streams of events" } do
    it("counts what members of a hub have not taken, who then are sooner too far behind: " .. how, function()
      local app, hub = web.app(), web.hub { name = "limited " .. how, max_backlog = 1 << 30 }
      app:websocket("/ws", function(ws)
        hub:join(ws, "a")
        ws:receive()
      end)
      app:get("/events", function()
        return web.events(function(send)
          hub:join(send, "a")
          send "joined"
          ml.sleep(math.huge)
        end)
      end)
      with(app, 2000000, function(port)
        local slow
        if how == "WebSockets" then
          slow = peers.connect(port, "/ws").conn
        else
          slow = events.open(port, "/events")
          slow:next()
        end
        eventually(function() return hub:count "a" == 1 end)
        local sent = 0
        while hub:count "a" == 1 and sent < 1000 do
          hub:publish("a", common.xs(100000))
          sent = sent + 1
          ml.sleep(0)
        end
        assert(sent < 1000)
        slow:close()
        eventually(function() return not is_full(port) end)
      end)
    end)
  end
end)

describe("body_total", function()
  local app = web.app():post("/", function(req) return req.body end)

  it("ends a body that never pauses, and does not come to its end", function()
    support.serving(app, function(port)
      local conn <close> = assert(rawtcp.connect(port))
      conn:send(request("POST", "/", "Content-Length: 1000000\r\n"))
      local drips = ml.spawn(function()
        while conn:send "x" do ml.sleep(0.01) end
      end)
      assert.equal(408, support.receive(conn).status)
      drips:cancel()
    end, { body_total = 0.3, body_timeout = 60, body_rate = 0 })
  end)
end)

describe("max_values", function()
  local app = web.app()
  app:post("/json", function(req) return tostring(#req:json()) end)
  app:post("/typed", { body = ml.schema.list(ml.schema.any()) }, function(req) return tostring(#req.valid.body) end)
  app:post("/form", { form = ml.schema.object { v = ml.schema.map(ml.schema.any()) } },
    function(req) return tostring(#req.valid.form.v.v) end)
  app:post("/offloaded", { offload = true, body = ml.schema.list(ml.schema.any()) },
    function(req) return tostring(#req.valid.body) end)

  local function post(port, target, body)
    return support.post(port, target, body, "Content-Type: application/json\r\n")
  end

  it("limits the values in a body of JSON, with and without a schema", function()
    support.serving(app, function(port)
      local most, more = "[1,[],{},\"a,[b\",{\"k\":1}]", "[1,[],{},\"a,[b\",{\"k\":1},2]"
      assert.equal("5", post(port, "/json", most).body)
      assert.equal("5", post(port, "/typed", most).body)
      local res = post(port, "/json", more)
      assert.equal(400, res.status)
      assert.matches("more than 7 values", res.body)
      res = post(port, "/typed", more)
      assert.equal(422, res.status)
      assert.same({ "body.23 json_invalid" }, support.faults(res))
    end, { max_values = 7 })
  end)

  it("limits them in a field of a form, and in a long body that is decoded on another core", function()
    support.serving(app, function(port)
      local form = "Content-Type: application/x-www-form-urlencoded\r\n"
      assert.equal("5", support.post(port, "/form", 'v={"v":[1,2,3,4,5]}', form).body)
      local res = support.post(port, "/form", 'v={"v":[1,2,3,4,5,6]}', form)
      assert.equal(422, res.status)
      assert.same({ "body.v json_invalid" }, support.faults(res))
      assert.matches("more than 7 values", res.body)
      local blanks = (" "):rep(300000)
      assert.equal("6", post(port, "/offloaded", "[1,2,3,4,5,6]" .. blanks).body)
      res = post(port, "/offloaded", "[1,2,3,4,5,6,7]" .. blanks)
      assert.same({ "body.12 json_invalid" }, support.faults(res))
    end, { max_values = 7 })
  end)
end)
