-- ml.http: how requests fail, and the time they may take.
local ml = require "moonloop"
local rawtcp = require("spec.support").rawtcp
local raw = require "spec.support.http"
local serve, answering, ok, serve_echo = raw.serve, raw.answering, raw.ok, raw.serve_echo
local read_request, assert_error = raw.read_request, raw.assert_error

raw.on_both_ways(describe, "ml.http", function(http)
  after_each(raw.stop)

  describe("failures", function()
    it("a refused connection is an error of kind network that names method and URL", function()
      local listener = rawtcp.listen()
      local port = listener.port
      listener:close()
      local err = assert_error("network", "ECONNREFUSED", http.post(("http://u:secret@127.0.0.1:%d/x"):format(port)))
      assert.matches(("POST http://127.0.0.1:%d/x: "):format(port), err.message, 1, true)
      assert.not_matches("secret", tostring(err))
    end)

    it("a name that does not exist is an error of kind dns", function()
      assert_error("dns", "UNKNOWN_HOST", http.get("http://nothing.invalid/"))
    end)

    it("the loop runs on while a name is looked up", function()
      local passes = 0
      local ticker = ml.spawn(function()
        while true do
          passes = passes + 1
          ml.sleep(0)
        end
      end)
      http.get("http://nobody.invalid/")
      ticker:cancel()
      assert.is_true(passes > 0)
    end)

    it("a body cut short, no response, a reset and nonsense are errors", function()
      local server = serve(function(conn)
        local path = read_request(conn):match("/(%a*)")
        if path == "short" then conn:send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this") end
        if path == "chunk" then conn:send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nonly this") end
        if path == "reset" then conn:reset() end
        if path == "nonsense" then conn:send("SSH-2.0-server\r\n") end
        if path == "zero" then conn:send("HTTP/2 000\r\nContent-Length: 0\r\n\r\n") end
      end)
      assert_error("network", "INCOMPLETE", http.get(server.url .. "/short"))
      assert_error("network", "INCOMPLETE", http.get(server.url .. "/chunk"))
      assert_error("network", "NO_RESPONSE", http.get(server.url .. "/nothing"))
      if not raw.is_https() then assert_error("network", "ECONNRESET", http.get(server.url .. "/reset")) end
      assert_error("http", "UNSUPPORTED_PROTOCOL", http.get(server.url .. "/nonsense"))
      assert_error("http", "BAD_RESPONSE", http.get(server.url .. "/zero"))
    end)

    it("a response that begins with a folded line is an error, and does not harm the next ones", function()
      local server = serve(answering(function(head)
        return head:find("/good", 1, true) and ok("good", "X-A: 1\r\n")
          or "HTTP/1.1 200 OK\r\n \tfold: 1\r\nX-A: 1\r\nContent-Length: 0\r\n\r\n"
      end))
      for _ = 1, 3 do
        local err = assert_error("http", "BAD_RESPONSE", http.get(server.url))
        assert.matches("malformed header", err.message)
        assert.equal("1", assert(http.get(server.url .. "/good")).headers["X-A"])
      end
    end)

    it("whatever a server sends, there is a response or an error", function()
      local whole = {
        ok("hello", "X-A: 1\r\nX-A: 2\r\nSet-Cookie: a=b\r\n folded\r\n"),
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
          .. "3;x=y\r\nabc\r\n0\r\nT: 1\r\n\r\n",
        "HTTP/1.0 301 Moved\r\nLocation: /x\r\nContent-Encoding: gzip, br\r\n\r\n\31\139\8\0\0",
      }
      local pieces = {
        "\r\n", "\n", ":", " ", "\0", "\t", "\255", "HTTP/1.1 ", "HTTP/2 200\r\n", "\r\n\r\n", "Set-Cookie:\r\n",
        "Content-Length: -1\r\n", "Content-Length: 99999999999999999999\r\n", "Transfer-Encoding: chunked\r\n",
      }
      local seed = 1 -- the same texts in every run
      local function random(n)
        seed = (seed * 1103515245 + 12345) % 2147483648
        return seed // 65536 % n + 1
      end
      local function mutated()
        local text = whole[random(#whole)]
        for _ = 1, random(4) do
          local at, kind = random(#text + 1), random(3)
          if kind == 1 then text = text:sub(1, at - 1) .. pieces[random(#pieces)] .. text:sub(at) end
          if kind == 2 then text = text:sub(1, at - 1) .. text:sub(at + random(8)) end
          if kind == 3 then text = text:sub(1, at - 1) .. string.char(random(256) - 1) .. text:sub(at + 1) end
        end
        return text
      end
      local server = serve(function(conn)
        if read_request(conn) then conn:send(mutated()) end
      end)
      local answered = 0
      for _ = 1, 300 do
        local res, err = http.get(server.url)
        if res then
          answered = answered + 1
          assert.equal("string", type(res.body))
          for name in pairs(res.headers) do assert.equal(name:lower(), name) end
        else
          assert.is_true(ml.is_error(err))
        end
      end
      assert.is_true(answered > 0 and answered < 300)
    end)

    it("a server that does not speak TLS is an error of kind tls", function()
      if raw.is_https() then return end
      local server = serve(function(conn)
        conn:receive()
        conn:send("HTTP/1.1 400 Bad Request\r\n\r\n")
      end)
      assert_error("tls", "HANDSHAKE", http.get((server.url:gsub("^http", "https"))))
    end)

    it("a certificate nobody has signed is refused, unless verify is false", function()
      if not os.execute("command -v openssl >/dev/null") then return pending("openssl is not installed") end
      local folder = os.tmpname()
      os.remove(folder)
      finally(function() os.execute(("kill $(cat %s/pid); rm -r %s"):format(folder, folder)) end)
      local port = require("spec.support.servers").free_port()
      assert(os.execute((([[mkdir D && cd D && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes
        -keyout key -out cert -days 2 -subj /CN=localhost 2>/dev/null && {
        openssl s_server -accept 127.0.0.1:P -key key -cert cert -www >/dev/null 2>&1 & echo $! >pid; }]])
        :gsub("%s+", " "):gsub("%f[%u]D%f[%U]", folder):gsub(":P ", ":" .. port .. " "))))
      local url = ("https://localhost:%d/"):format(port)
      local res, err = http.get(url)
      while err.code == "ECONNREFUSED" do -- it is still starting
        ml.sleep(0.01)
        res, err = http.get(url)
      end
      assert_error("tls", "BAD_CERTIFICATE", res, err)
      assert.equal(200, assert(http.get(url, { verify = false })).status)
      assert_error("tls", "BAD_CERTIFICATE", http.get(url)) -- nor on the connection just made
    end)
  end)

  it("show nothing of a URL that lets somebody in", function()
    local base = ("http://u:secret@127.0.0.1:%d"):format(require("spec.support.servers").free_port())
    local client <close> = http.client { base_url = base }
    local function shown(ask, ...) return (select(2, ask(...)).message:gsub("127.0.0.1:%d+", "HERE")) end
    local url = base .. "/?token=secret&x=1&sig=secret#access_token=secret"
    local message = "GET http://HERE/?token=REDACTED&x=1&sig=REDACTED: "
    assert.matches(message, shown(http.get, url), 1, true)
    assert.matches(message, shown(http.get, url, { timeout = 0 }), 1, true)
    assert.matches(message, shown(http.get, url, { allow_address = http.public_only }), 1, true)
    assert.matches("GET http://HERE/?code=REDACTED: ", shown(client.get, client, "/?code=secret"), 1, true)
    assert.matches("GET http://HERE:x/?token=REDACTED: ", shown(http.get, base .. ":x/?token=secret"), 1, true)
    local server = serve(function(conn)
      read_request(conn)
      conn:send "HTTP/1.1 302 Found\r\nLocation: ftp://x/\r\nContent-Length: 0\r\n\r\n"
    end)
    local err = assert_error("http", "UNSUPPORTED_PROTOCOL", http.get(server.url .. "/?token=secret"))
    assert.matches("/?token=REDACTED: ", err.message, 1, true)
  end)

  describe("timeout", function()
    it("ends a request that gets no response, and closes its connection", function()
      local closed
      local server = serve(function(conn)
        read_request(conn)
        closed = conn:receive("*a")
      end)
      local err = assert_error("timeout", "TIMED_OUT", http.get(server.url, { timeout = 0.5 }))
      assert.matches("^GET https?://127", err.message)
      ml.timeout(100, function() while not closed do ml.sleep(0.001) end end)
      assert.equal("", closed)
    end)

    it("applies to the whole request, not to each byte", function()
      local server = serve(function(conn)
        read_request(conn)
        conn:send("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while conn:send("x") do ml.sleep(0.01) end
      end)
      assert_error("timeout", "TIMED_OUT", http.get(server.url, { timeout = 0.1 }))
    end)

    it("is the client's if the request has none", function()
      local server = serve(function(conn) conn:receive("*a") end)
      local client = http.client { timeout = 0.05 }
      assert_error("timeout", "TIMED_OUT", client:get(server.url))
    end)

    it("0 ends at once, math.huge never", function()
      local server = serve(function(conn) conn:receive("*a") end)
      assert_error("timeout", "TIMED_OUT", http.get(server.url, { timeout = 0 }))
      local echo = serve_echo()
      assert.equal(200, assert(http.get(echo.url, { timeout = math.huge })).status)
    end)

    it("runs while a request waits for a connection", function()
      local server = serve(function(conn) conn:receive("*a") end)
      local client = http.client { max_connections = 1 }
      local first = ml.spawn(client.get, client, server.url)
      ml.sleep(0.005)
      local start = ml.now()
      assert_error("timeout", "TIMED_OUT", client:get(server.url, { timeout = 0.05 }))
      assert.is_true(ml.now() - start < 100)
      assert.equal("suspended", first:status())
      first:cancel()
      assert.is_false(pcall(first.await, first))
    end)

    it("ml.timeout cuts a request off, too", function()
      local closed
      local server = serve(function(conn)
        read_request(conn)
        closed = conn:receive("*a")
      end)
      local res, err = ml.timeout(0.5, http.get, server.url)
      assert.is_nil(res)
      assert.equal("timeout", err.kind)
      ml.timeout(100, function() while not closed do ml.sleep(0.001) end end)
      assert.equal("", closed)
    end)
  end)
end, true)
