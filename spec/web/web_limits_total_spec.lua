-- The limits of a server that count all that a client does, or all clients.
local common = require "spec.support"
local ml = require "moonloop"
local eventually = require("spec.support.tasks").eventually
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
end)
