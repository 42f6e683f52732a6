-- ml.http: requests through a proxy.
local ml = require "moonloop"
local raw = require "spec.support.http"
local rawtcp = require("spec.support").rawtcp
local tls = require "spec.support.tls"
local serve, ok, header, serve_echo = raw.serve, raw.ok, raw.header, raw.serve_echo
local http = ml.http

-- A proxy that answers for every host itself, with the request it got; `asked` counts. It makes tunnels
-- to ports of this machine.
local function serve_proxy()
  local proxy
  proxy = serve(function(conn)
    for head, body in raw.read_request, conn do
      proxy.asked = proxy.asked + 1
      proxy.head = head
      proxy.hosts[#proxy.hosts + 1] = head:match("^CONNECT ([^ ]+) ") or raw.header(head, "Host")
      local port = head:match("^CONNECT [^ :]+:(%d+) ")
      if not port then
        conn:send(ok(head .. body, "Via: 1.1 spec\r\n"))
      else
        local target <close> = assert(rawtcp.connect(tonumber(port)))
        conn:send("HTTP/1.1 200 Connected\r\nX-Proxy: 1\r\n\r\n")
        local there <close> = ml.group()
        there:spawn(function()
          for text in function() return conn:receive(nil, 60) end do target:send(text) end
          target:shutdown()
        end)
        for text in function() return target:receive(nil, 60) end do conn:send(text) end
        return
      end
    end
  end)
  proxy.asked, proxy.hosts = 0, {}
  return proxy
end

describe("ml.http proxies", function()
  local getenv = os.getenv
  local function environment(variables)
    os.getenv = function(name) return variables[name] end -- luacheck: ignore
  end

  after_each(function()
    os.getenv = getenv -- luacheck: ignore
    raw.stop()
  end)

  it("http requests are sent to the client's proxy, with the whole URL", function()
    local proxy = serve_proxy()
    local client = http.client { proxy = proxy.url }
    local res = assert(client:get("http://nowhere.invalid/x?y=1"))
    assert.matches("^GET http://nowhere.invalid/x%?y=1 HTTP/1.1", res.body)
    assert.equal("1.1 spec", res.headers.via)
    assert.equal("http://nowhere.invalid/x?y=1", res.url)
    assert(client:post("http://elsewhere.invalid/", { body = "b" }))
    assert.equal(2, proxy.asked)
    assert.equal(1, proxy.connections)
  end)

  it("a response that comes behind that of one server is not taken for that of another", function()
    local conn
    local proxy = serve(function(socket)
      raw.read_request(socket)
      conn = conn or socket
      socket:send(ok(socket == conn and "first" or "ours"))
      socket:receive("*a")
    end)
    local client <close> = http.client { proxy = proxy.url }
    assert.equal("first", assert(client:get("http://one.invalid/")).body)
    ml.spawn(conn.send, conn, ok("forged")) -- both in one pass of the loop
    local asked = ml.spawn(client.get, client, "http://two.invalid/")
    assert.equal("ours", assert(asked:await()).body)
    assert.equal(2, proxy.connections)
  end)

  it("its user and password go only to the proxy", function()
    local proxy = serve_proxy()
    local res = assert(http.client { proxy = proxy.url:gsub("//", "//u:p@") }:get("http://nowhere.invalid/"))
    assert.equal("Basic dTpw", header(res.body, "Proxy-Authorization"))
    assert.is_nil(header(res.body, "Authorization"))
  end)

  it("https goes through a tunnel", function()
    local proxy = serve_proxy()
    local target = serve(function(conn)
      conn:receive()
      conn:send("no TLS here\r\n\r\n")
    end)
    local url = target.url:gsub("^http", "https")
    local res, err = http.client { proxy = proxy.url }:get(url .. "/secret")
    raw.assert_error("tls", "HANDSHAKE", res, err)
    assert.matches("^CONNECT 127.0.0.1:%d+ HTTP/1.1", proxy.head)
    assert.not_matches("secret", proxy.head)
    assert.equal(1, target.connections)
  end)

  it("a tunnel that is refused is an error", function()
    local proxy = serve(raw.answering("HTTP/1.1 407 X\r\nContent-Length: 0\r\n\r\n"))
    local res, err = http.client { proxy = proxy.url }:get("https://nowhere.invalid/")
    assert.is_nil(res)
    assert.equal("network", err.kind)
    assert.matches("407", err.message)
  end)

  it("a missing proxy is an error of its kind", function()
    local listener = rawtcp.listen()
    local port = listener.port
    listener:close()
    raw.assert_error("network", "ECONNREFUSED",
      http.client { proxy = "http://127.0.0.1:" .. port }:get("http://nowhere.invalid/"))
    raw.assert_error("dns", "UNKNOWN_PROXY",
      http.client { proxy = "http://nobody.invalid:1" }:get("http://127.0.0.1/"))
  end)

  it("of other kinds are refused: raised as an option, an error of requests from the environment", function()
    for url, why in pairs {
      ["socks5://u:secret@127.0.0.1:1"] = '"socks5://127.0.0.1:1" is a proxy of another kind than',
      ["https://127.0.0.1:1"] = "another kind", ["127.0.0.1:99999"] = "is not a URL",
      ["http://u:secret@"] = "is not a URL", ["http://[1.2.3.4]:1"] = "is not a URL", ["[12]"] = "is not a URL",
      ["http://[::1::]:1"] = "is not a URL",
    } do
      local made, err = pcall(http.client, { proxy = url })
      assert.is_false(made)
      assert.truthy(tostring(err):find(why, 1, true), tostring(err))
      assert.truthy(tostring(err):find "http_proxy_spec.lua:%d+: proxy: ", tostring(err))
      environment { http_proxy = url, no_proxy = "127.0.0.1" }
      local client = http.client()
      local failure = raw.assert_error("http", "UNSUPPORTED_PROTOCOL",
        client:get("http://a:hidden@nowhere.invalid/"))
      assert.truthy(failure.message:find(why, 1, true), failure.message)
      assert.is_nil((tostring(err) .. failure.message):find("secret", 1, true))
      assert.is_nil(failure.message:find("hidden", 1, true))
      assert(client:get(serve_echo().url))
    end
  end)

  it("those of the environment are used, except for no_proxy", function()
    local proxy, server = serve_proxy(), serve_echo()
    environment { http_proxy = proxy.url, no_proxy = "other.invalid,127.0.0.1" }
    local client = http.client()
    assert.equal("1.1 spec", assert(client:get("http://nowhere.invalid/")).headers.via)
    assert.is_nil(assert(client:get(server.url)).headers.via)
    assert.equal(1, proxy.asked)
    environment { all_proxy = proxy.url }
    assert.equal("1.1 spec", assert(http.client():get(server.url)).headers.via)
    environment { ALL_PROXY = proxy.url, http_proxy = "" }
    assert.equal("1.1 spec", assert(http.client():get(server.url)).headers.via)
  end)

  it("are looked up with the first request of a client, and then no more", function()
    local proxy, server = serve_proxy(), serve_echo()
    local client = http.client()
    environment { http_proxy = proxy.url }
    assert(client:get(server.url))
    assert.equal(1, proxy.asked)
    environment {}
    assert(client:get(server.url))
    assert.equal(2, proxy.asked)
  end)

  it("HTTP_PROXY in capitals is not read", function()
    local proxy, server = serve_proxy(), serve_echo()
    environment { HTTP_PROXY = proxy.url }
    assert(http.client():get(server.url))
    assert.equal(0, proxy.asked)
  end)

  it("proxy = false connects directly, whatever the environment says", function()
    local proxy, server = serve_proxy(), serve_echo()
    environment { http_proxy = proxy.url, all_proxy = proxy.url }
    assert(http.client { proxy = false }:get(server.url))
    assert.equal(0, proxy.asked)
  end)

  it("http requests name the host, whatever else they have", function()
    local proxy = serve_proxy()
    local client <close> = http.client { proxy = proxy.url:gsub("//", "//u%%40x:p%%3A@"), timeout = 60 }
    local function line(res) return res.body:match("^[^\r]*") end
    local res = assert(client:get("http://u:s@Nowhere.invalid:8080?a=b#c"))
    assert.equal("GET http://Nowhere.invalid:8080/?a=b HTTP/1.1", line(res))
    assert.equal("Nowhere.invalid:8080", header(res.body, "Host"))
    assert.equal("Basic dTpz", header(res.body, "Authorization"))
    assert.equal("Basic dUB4OnA6", header(res.body, "Proxy-Authorization"))
    res = assert(client:get("http://[2001:DB8::1]/x", {
      headers = { Host = "mine", ["User-Agent"] = "a", ["Proxy-Authorization"] = "Mine x" } }))
    assert.equal("GET http://[2001:db8::1]/x HTTP/1.1", line(res):lower():gsub("^get", "GET"):gsub("http/", "HTTP/"))
    assert.equal("mine", header(res.body, "Host"))
    assert.equal("a", header(res.body, "User-Agent"))
    assert.equal("Mine x", header(res.body, "Proxy-Authorization"))
    local n = 0
    res = assert(client:post("http://nowhere.invalid/up", { stream = true, body = function()
      n = n + 1
      return n < 4 and "piece" or nil
    end }))
    assert.matches("piecepiecepiece$", res.body)
    assert(client:head("http://nowhere.invalid/"))
    assert.equal(1, proxy.connections)
  end)

  it("what a proxy answers to an http request is the response", function()
    local answer = "HTTP/1.1 407 X\r\nProxy-Authenticate: Basic\r\nContent-Length: 2\r\n\r\nno"
    local proxy = serve(raw.answering(answer))
    local res = assert(http.client { proxy = proxy.url }:get("http://nowhere.invalid/"))
    assert.equal(407, res.status)
    assert.equal("no", res.body)
  end)

  it("the names of hosts are left to the proxy, and the proxy is asked for each host of http", function()
    local proxy = serve_proxy()
    local client <close> = http.client { timeout = 60,
      proxy = "HTTP://LOCALHOST:" .. proxy.listener.port .. "/ignored" }
    for _, host in ipairs { "a.invalid", "b.invalid", "a.invalid" } do assert(client:get("http://" .. host)) end
    assert.same({ "a.invalid", "b.invalid", "a.invalid" }, proxy.hosts)
    assert.equal(1, proxy.connections)
  end)

  it("a tunnel is kept, and shows the proxy nothing but the host", function()
    if not tls.is_there() then return pending "openssl is not installed" end
    local certs <close> = tls.certificates { server = { names = { "DNS:localhost" } } }
    local app = ml.web.app()
    app:post("/secret", function(req)
      return { auth = req.headers["proxy-authorization"], length = #(req.body or "") }
    end)
    local server = assert(ml.web.listen(app, { port = 0, tls = { cert = certs.server.cert, key = certs.server.key } }))
    local proxy = serve_proxy()
    local client <close> = http.client { proxy = proxy.url:gsub("//", "//u:p@"), ca = certs.ca, timeout = 60 }
    local url = "https://localhost:" .. server.port
    local body = ("x"):rep(300000)
    for _ = 1, 3 do
      local seen = assert(client:post(url .. "/secret", { body = body })):json()
      assert.is_nil(seen.auth)
      assert.equal(#body, seen.length)
    end
    assert.same({ "localhost:" .. server.port }, proxy.hosts)
    assert.equal("Basic dTpw", header(proxy.head, "Proxy-Authorization"))
    assert.equal("localhost:" .. server.port, header(proxy.head, "Host"))
    assert.not_matches("secret", proxy.head)
    raw.assert_error("tls", "BAD_CERTIFICATE", client:get("https://127.0.0.1:" .. server.port))
    client:close()
    server:stop(0)
  end)

  it("what does not open a tunnel is an error that says why", function()
    local url = "https://nowhere.invalid/secret"
    local long = ("y"):rep(20000)
    for answer, why in pairs {
      ["HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 4\r\n\r\nbody"]
        = "refuses the tunnel with status 407: Proxy Authentication Required",
      ["HTTP/1.0 502 \27[31mBad\r\n\r\n" .. long] = "refuses the tunnel with status 502",
      ["HTTP/1.1 503\r\n\r\n"] = "refuses the tunnel with status 503",
      ["HTTP/1.1 101 Switching\r\n\r\n"] = "refuses the tunnel with status 101: Switching",
      ["HTTP/1.1 302 Found\r\nLocation: https://evil.invalid/\r\n\r\n"] = "refuses the tunnel with status 302: Found",
      ["HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody"] = "sends something before the server can have spoken",
      ["HTTP/1.1 200 OK\r\nX: " .. long] = "answers with a head that is too large",
      [("HTTP/1.1 100 Wait\r\n\r\n"):rep(2000)] = "answers with a head that is too large",
      ["HTTP/2 200 OK\r\n\r\n"] = "answers with something that is not HTTP",
      ["HTTP/1.1\r\n\r\n"] = "answers with something that is not HTTP",
      ["HTTP/1.1 2000 OK\r\n\r\n"] = "answers with something that is not HTTP",
      ["SSH-2.0-x\r\n"] = "answers with something that is not HTTP",
      ["\0\1\2"] = "answers with something that is not HTTP",
      ["HTTP/1.1 200 OK\r\nX: 1\r\n"] = "ends the connection instead of opening a tunnel",
      [""] = "ends the connection instead of opening a tunnel",
    } do
      local proxy = serve(function(conn)
        if not raw.read_request(conn) then return end
        conn:send(answer)
        conn:shutdown()
        conn:receive("*a", 60)
      end)
      local place = proxy.url:gsub("//", "//u:hidden@")
      local res, err = http.client { proxy = place, timeout = 60 }:get(url)
      assert.is_nil(res)
      assert.equal("network", err.kind, err.message)
      assert.equal("PROXY", err.code, err.message)
      assert.equal(("GET %s: the proxy 127.0.0.1, port %d, %s"):format(url, proxy.listener.port, why), err.message)
    end
  end)

  it("a tunnel may be announced by other answers, and a byte at a time", function()
    local proxy = serve(function(conn)
      if not raw.read_request(conn) then return end
      local answer = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nX: 1\r\n\r\n"
        .. "HTTP/1.0 200\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
      for byte in answer:gmatch(".") do
        conn:send(byte)
        ml.sleep(0)
      end
      conn:receive(1, 60)
      conn:send("no TLS here\r\n\r\n")
    end)
    raw.assert_error("tls", "HANDSHAKE",
      http.client { proxy = proxy.url, timeout = 60 }:get("https://nowhere.invalid/"))
  end)

  it("a silent proxy is given up in time, and when the task is cancelled", function()
    local asked, gone = ml.event(), ml.event()
    local silent = serve(function(conn) conn:receive("*a", 60) end)
    local proxy = serve(function(conn)
      if not raw.read_request(conn) then return end
      asked:set()
      conn:receive(1, 60)
      gone:set()
    end)
    raw.assert_error("timeout", "TIMED_OUT",
      http.client { proxy = silent.url }:get("https://nowhere.invalid/", { timeout = 0.05 }))
    local client <close> = http.client { proxy = proxy.url }
    local task = ml.spawn(client.get, client, "https://nowhere.invalid/", { timeout = 60 })
    asked:wait()
    task:cancel()
    gone:wait()
    ml.wait { task }
    assert.equal("cancelled", task:status())
  end)

  it("no_proxy has names, ports, addresses and networks", function()
    local function is_direct(except, host)
      local proxy = require "moonloop.http.proxy"
      local proxies = proxy.of "http://127.0.0.1:1"
      proxies.except = except
      return proxy.choose(proxies, "http://" .. host .. "/") == nil
    end
    for _, case in ipairs {
      { "*", "a.invalid" }, { " x , * ", "a.invalid" },
      { "a.invalid", "a.invalid" }, { "A.Invalid", "a.INVALID" }, { "a.invalid", "b.a.invalid" },
      { ".a.invalid", "b.a.invalid" }, { ".a.invalid", "a.invalid" }, { "*.a.invalid", "c.b.a.invalid" },
      { "a.invalid.", "a.invalid" }, { "a.invalid", "a.invalid." }, { "x,a.invalid:81", "a.invalid:81" },
      { "a.invalid:80", "a.invalid" }, { "127.0.0.1", "127.0.0.1:1" }, { "127.0.0.0/8", "127.1.2.3:1" },
      { "127.0.0.1:1", "127.0.0.1:1" }, { "127.0.0.0/8:1", "127.0.0.1:1" }, { "::1", "[::1]:1" },
      { "[::1]", "[::1]:1" }, { "[::1]:1", "[::1]:1" }, { "::/64", "[::1]:1" }, { "[::]/64", "[::1]:1" },
      { "0:0::1", "[::1]:1" },
    } do
      assert.is_true(is_direct(case[1], case[2]), case[1] .. " has " .. case[2])
    end
    for _, case in ipairs {
      { "", "a.invalid" }, { "b.invalid", "a.invalid" }, { "a.invalid", "ba.invalid" }, { "b.a.invalid", "a.invalid" },
      { "a.invalid:81", "a.invalid" }, { "a.invalid:81", "a.invalid:82" }, { "invalid.", "a.example" },
      { ".", "a.invalid" }, { "*.", "a.invalid" }, { "10.0.0.0/8", "11.0.0.1" }, { "10.0.0.0/33", "10.0.0.1" },
      { "0.1", "10.0.0.1" },
      { "10.0.0.1:81", "10.0.0.1" }, { "fd00::/8", "[fe00::1]" }, { "[fd00::1]:81", "[fd00::1]" },
      { "::/0", "10.0.0.1" }, { "a*.invalid", "ab.invalid" },
    } do
      assert.is_false(is_direct(case[1], case[2]), case[1] .. " has not " .. case[2])
    end
  end)

  it("allow_address refuses what a proxy would connect to, but not what no_proxy names", function()
    local proxy, server = serve_proxy(), serve_echo()
    environment { http_proxy = proxy.url, no_proxy = "127.0.0.0/8" }
    local client <close> = http.client { timeout = 60, allow_address = function() return true end }
    assert(client:get(server.url))
    local res, err = client:get("http://nowhere.invalid/")
    assert.is_nil(res)
    assert.equal("REFUSED", err.code)
    assert.equal(0, proxy.asked)
  end)

  it("an invalid proxy is named", function()
    for _, proxy in ipairs { 5, true, "", "http://a b" } do
      local good, message = pcall(http.client, { proxy = proxy })
      assert.is_false(good)
      assert.matches("proxy: ", message)
    end
  end)
end)
