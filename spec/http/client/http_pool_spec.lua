-- ml.http: the connections of a client: limits, expiry, closing, Unix sockets.
local ml = require "moonloop"
local raw = require "spec.support.http"
local rawtcp = require("spec.support").rawtcp
local serve, answering, ok, header, serve_echo = raw.serve, raw.answering, raw.ok, raw.header, raw.serve_echo
local assert_error = raw.assert_error
local eventually = require("spec.support.tasks").eventually

-- A Unix socket that listens: its path, and what accepts there.
local function listen_on_path()
  local path = os.tmpname()
  os.remove(path)
  return path, assert(rawtcp.listen(8, path))
end

raw.on_both_ways(describe, "ml.http pools", function(http)
  after_each(raw.stop)

  -- A server that notes how many requests it has at once.
  local function serve_counting()
    local server
    server = serve(answering(function()
      server.now = server.now + 1
      server.most = math.max(server.most, server.now)
      ml.sleep(0.005)
      server.now = server.now - 1
      return ok("x")
    end))
    server.now, server.most = 0, 0
    return server
  end

  it("max_per_origin bounds the connections to one server, and leaves room for another", function()
    local a, b = serve_counting(), serve_counting()
    local client = http.client { max_per_origin = 2 }
    local items = {}
    for i = 1, 12 do items[i] = function() return assert(client:get((i % 2 == 0 and a or b).url)) end end
    ml.gather(items)
    assert.equal(2, a.most)
    assert.equal(2, b.most)
    assert.equal(2, a.connections)
  end)

  it("waiting requests get their turn in order", function()
    local asked = {}
    local server = serve(answering(function(head)
      asked[#asked + 1] = head:match("/(%d+)")
      return ok("x")
    end))
    local client = http.client { max_connections = 1 }
    local items = {}
    for i = 1, 8 do items[i] = function() return assert(client:get(server.url .. "/" .. i)) end end
    ml.gather(items)
    assert.equal("12345678", table.concat(asked))
  end)

  it("idle = 0 keeps no connection", function()
    local server = serve_echo()
    local client = http.client { idle = 0 }
    for n = 1, 3 do
      assert(client:get(server.url))
      assert.equal(n, server.connections)
    end
  end)

  it("a connection that was idle for too long is not used again", function()
    local server = serve_echo()
    local client = http.client { idle = 1 }
    for _ = 1, 2 do assert(client:get(server.url)) end
    assert.equal(1, server.connections)
    ml.sleep(2.1) -- longer than the idle time
    assert(client:get(server.url))
    assert.equal(2, server.connections)
  end)

  it("closing a client closes its connections, and a request after that raises", function()
    local closed = false
    local server = serve(function(conn)
      answering(ok("x"))(conn)
      closed = true
    end)
    local client = http.client()
    assert(client:get(server.url))
    client:close()
    client:close()
    eventually(function() return closed end)
    local good, err = pcall(client.get, client, server.url)
    assert.is_false(good)
    assert.equal("closed", err.kind)
  end)

  it("an exchange under way continues when its client is closed, and then closes its connection", function()
    local asked, closed, go = false, false, false
    local server = serve(function(conn)
      asked = raw.read_request(conn)
      eventually(function() return go end)
      conn:send(ok("whole"))
      conn:receive("*a")
      closed = true
    end)
    local task
    do
      local client <close> = http.client()
      task = ml.spawn(client.get, client, server.url)
      eventually(function() return asked end)
    end
    go = true
    assert.equal("whole", assert(task:await()).body)
    eventually(function() return closed end)
  end)

  it("a host that is not ASCII is converted to its DNS form", function()
    local path, listener = listen_on_path()
    finally(function()
      listener:close()
      os.remove(path)
    end)
    local server = ml.spawn(function()
      while true do
        local conn = listener:accept(60)
        if not conn then return end
        ml.spawn(function()
          local _ <close> = conn
          answering(function(head)
            if head:find "^GET /away" then
              return "HTTP/1.1 302 X\r\nLocation: //stra\u{DF}e.example:81/\u{DF}\r\nContent-Length: 0\r\n\r\n"
            end
            return ok(head)
          end)(conn)
        end)
      end
    end)
    local client <close> = http.client { unix_socket = path }
    for url, seen in pairs {
      ["http://b\u{FC}cher.example/\u{FC}?q"] = "http://xn--bcher-kva.example/%C3%BC?q",
      ["http://B\u{DC}CHER.example:8000"] = "http://xn--bcher-kva.example:8000/",
      ["http://b%C3%BCcher.example/"] = "http://xn--bcher-kva.example/",
      ["http://xn--bcher-kva.example/"] = "http://xn--bcher-kva.example/",
      ["http://u:p\u{FC}@\u{4F8B}\u{5B50}\u{3002}\u{6D4B}\u{8BD5}/"] = "http://xn--fsqu00a.xn--0zwm56d/",
      ["http://xn--bcher-kva.example/away"] = "http://xn--strae-oqa.example:81/%C3%9F",
    } do
      for _, res in ipairs { assert(client:get(url)), assert(client:get(url, {})) } do
        assert.equal(seen, res.url)
        assert.equal(seen:match "//([^/]*)", (header(res.body, "Host")))
      end
    end
    local based <close> = http.client { unix_socket = path, base_url = "http://b\u{FC}cher.example/v1", auth = "token" }
    local res = assert(based:get "/x")
    assert.equal("http://xn--bcher-kva.example/v1/x", res.url)
    assert.equal("Bearer token", (header(res.body, "Authorization")))
    server:cancel()
  end)

  it("a host that is not a domain name is an error that says so", function()
    for url, message in pairs {
      ["http://u:secret@\xff.example/"] = "GET http://\xff.example/: malformed URL: its host is not a domain name: ",
      ["https://u:secret@\xff.example/"] = "GET https://\xff.example/: malformed URL: its host is not a domain name: ",
      ["http://" .. ("\u{FC}"):rep(64) .. "/"] = "its host is not a domain name: ",
      ["http://a%ff.example/"] = "its host is not a domain name: ",
    } do
      local err = assert_error("http", "BAD_URL", http.get(url))
      assert.matches(message, err.message, 1, true)
      assert.not_matches("secret", err.message, 1, true)
    end
  end)

  it("unix_socket connects there, and asks for the URL's host", function()
    local path, listener = listen_on_path()
    finally(function()
      listener:close()
      os.remove(path)
    end)
    local connections = 0
    local server = ml.spawn(function()
      while true do
        local conn = listener:accept(60)
        if not conn then return end
        connections = connections + 1
        ml.spawn(function()
          local _ <close> = conn
          answering(function(head, body) return ok(head .. body) end)(conn)
        end)
      end
    end)
    local client = http.client { unix_socket = path, base_url = "http://docker/v1" }
    for _ = 1, 3 do
      local res = assert(client:get("/info"))
      assert.matches("^GET /v1/info HTTP/1.1", res.body)
      assert.equal("docker", header(res.body, "Host"))
    end
    local res = assert(client:post("/up", { body = ("x"):rep(1000) }))
    assert.equal(("x"):rep(1000), res.body:sub(-1000))
    local piece = "y"
    res = assert(client:post("/up", {
      stream = true,
      body = function()
        local now = piece
        piece = nil
        return now
      end,
    }))
    assert.equal("y", res.body:sub(-1))
    assert.equal(1, connections)
    server:cancel()
  end)

  it("a Unix socket that is not there is an error", function()
    local res, err = http.client { unix_socket = "/none/such" }:get("http://here/")
    assert.is_nil(res)
    assert.equal("network", err.kind)
  end)

  it("an invalid limit is named", function()
    for pattern, opts in pairs {
      ["max_connections: an integer"] = { max_connections = 0 },
      ["max_per_origin: an integer"] = { max_per_origin = 1.5 },
      ["idle: must not be negative"] = { idle = -1 }, ["unix_socket: string expected"] = { unix_socket = 5 },
      ["base_url: string expected"] = { base_url = 5 }, ["cookies: boolean expected"] = { cookies = "yes" },
    } do
      local good, message = pcall(ml.http.client, opts)
      assert.is_false(good)
      assert.matches(pattern, message)
    end
  end)
end, true)
