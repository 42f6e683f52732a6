-- The option trusted_proxies: whose word counts for who the client is.
local ml = require "moonloop"
local common = require "spec.support"
local folders = require "spec.support.folder"
local support = require "spec.support.web"
local web = ml.web

--- An app that says what it knows of the client. The test client's address is 127.0.0.1.
local function app_with(opts)
  local app = web.app(opts)
  app:get("/", function(req)
    return { client = req.client.host, port = req.client.port, scheme = req.scheme, host = req.host, url = req.url }
  end)
  return app
end

local function ask(opts, headers, target)
  local c <close> = web.test(app_with(opts))
  return assert(c:get(target or "/", { headers = headers }))
end

--- What an app with these proxies knows of a request with these headers.
local function seen(headers, proxies, target)
  local res = ask({ trusted_proxies = proxies or "127.0.0.1,10.0.0.0/8,2001:db8:1::/48" }, headers, target)
  assert.equal(200, res.status, res.body)
  return res:json()
end

local function client_of(...) return seen(...).client end

describe("a proxy that is not trusted", function()
  it("changes nothing", function()
    local headers = { ["X-Forwarded-For"] = "192.0.2.1", ["X-Forwarded-Proto"] = "https", ["X-Forwarded-Host"] = "evil",
      ["X-Forwarded-Port"] = "99" }
    for _, opts in ipairs { {}, { trusted_proxies = {} }, { trusted_proxies = "10.0.0.0/8,::1,unix" } } do
      local plain, forged = ask(opts):json(), ask(opts, headers):json()
      plain.port, forged.port = nil, nil
      assert.same(plain, forged)
      assert.equal("127.0.0.1", plain.client)
      assert.equal("http", plain.scheme)
    end
    assert.equal("127.0.0.1", ask({}, { Forwarded = 'for="' }):json().client)
  end)
end)

describe("X-Forwarded-For", function()
  local function by(text, proxies) return client_of({ ["X-Forwarded-For"] = text }, proxies) end

  it("gives the nearest address that is not trusted", function()
    assert.equal("192.0.2.1", by "192.0.2.1")
    assert.equal("192.0.2.1", by "192.0.2.1, 10.1.2.3")
    assert.equal("192.0.2.1", by "203.0.113.9, 192.0.2.1,10.1.2.3 , 2001:db8:1::5")
    assert.equal("192.0.2.1", by "garbage, 192.0.2.1")
    assert.equal("2001:db8::1", by "2001:db8::1")
  end)

  it("gives the farthest address if all are trusted", function()
    assert.equal("10.0.0.1", by "10.0.0.1, 10.0.0.2")
  end)

  it("may be empty", function() assert.equal("127.0.0.1", by " , ") end)

  it("may have ports, and brackets around IPv6 addresses", function()
    local one = seen { ["X-Forwarded-For"] = "192.0.2.1:4711" }
    assert.same({ "192.0.2.1", 4711 }, { one.client, one.port })
    one = seen { ["X-Forwarded-For"] = "[2001:db8::1]:4712" }
    assert.same({ "2001:db8::1", 4712 }, { one.client, one.port })
  end)

  it("knows IPv4 addresses that are written as IPv6", function()
    assert.equal("192.0.2.1", by("192.0.2.1, ::ffff:10.0.0.9"))
    assert.equal("192.0.2.1", by "::ffff:192.0.2.1")
  end)

  it("may hide the client", function() assert.equal("unknown", by "192.0.2.1, unknown") end)

  it("may stand in several lines", function()
    local res
    support.serving(app_with { trusted_proxies = "127.0.0.1,10.0.0.0/8" }, function(port)
      res = support.ask(port, support.request("GET", "/",
        "X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-For: 192.0.2.1\r\nX-Forwarded-For: 10.0.0.1\r\n"))
    end)
    assert.matches('"client":"192.0.2.1"', res.body, 1, true)
  end)

  it("refuses a request whose client would be no address", function()
    for _, text in ipairs { "garbage", "1.2.3", "192.0.2.1, 10.0.0.999", "[::1", "[1.2.3.4]", "1.2.3.4:port",
        "::1::" } do
      local res = ask({ trusted_proxies = "127.0.0.1" }, { ["X-Forwarded-For"] = text })
      assert.equal(400, res.status, text)
      assert.equal("malformed X-Forwarded-For header", res:json().detail)
    end
  end)

  it("does not go on for ever", function()
    assert.equal(400, ask({ trusted_proxies = "127.0.0.1" },
      { ["X-Forwarded-For"] = ("10.0.0.1,"):rep(100) }).status)
  end)
end)

describe("X-Forwarded-Proto, -Host and -Port", function()
  local function of(proto, host, port, nodes)
    local one = seen { ["X-Forwarded-Proto"] = proto, ["X-Forwarded-Host"] = host, ["X-Forwarded-Port"] = port,
      ["X-Forwarded-For"] = nodes }
    return one.scheme .. " " .. one.host, one.url
  end

  it("give scheme, host and port, and the URL that is made of them", function()
    local shown, url = of("https", "example.com")
    assert.equal("https example.com", shown)
    assert.equal("https://example.com/", url)
    assert.equal("https example.com:8443", (of("HTTPS", "example.com", "8443")))
    assert.equal("https [2001:db8::1]:8443", (of("https", "[2001:db8::1]", "8443")))
    assert.equal("https example.com:1", (of("https", "example.com:1", "8443")))
    assert.equal("https example.com", (of("https", "example.com", "443")))
    assert.equal("http localhost:8080", (of(nil, nil, "8080")))
    assert.equal("https localhost", (of "wss"))
  end)

  it("are of the proxy that the client has come to", function()
    assert.equal("https a.example", (of("https, http", "a.example, inner", nil, "192.0.2.1, 10.0.0.1")))
    assert.equal("http inner", (of("https, http", "a.example, inner", nil, "192.0.2.1")))
    assert.equal("https a.example", (of("https", "a.example", nil, "192.0.2.1, 10.0.0.1")))
  end)

  it("count for nothing where a list of several is shorter than the way", function()
    local nodes = "192.0.2.1, 10.0.0.1, 10.0.0.2"
    assert.equal("http localhost", (of("https, http", "forged, inner", nil, nodes)))
    assert.equal("http localhost:8080", (of("https, http", "forged, inner", "8080", nodes)))
    assert.equal("https a.example", (of("https, http, http", "a.example, b, c", nil, nodes)))
    assert.equal("https a.example", (of("wss, https, http, http", "x, a.example, b, c", nil, nodes)))
  end)

  it("leave the scheme as it is if they name none of HTTP's", function()
    assert.equal("http localhost", (of "gopher"))
  end)

  it("refuse what cannot be a host or a port", function()
    for name, values in pairs { ["X-Forwarded-Host"] = { "a b", "a/b", "user@host", ":80", "a\\b" },
        ["X-Forwarded-Port"] = { "0", "65536", "x", "123456", "-1" } } do
      for _, value in ipairs(values) do
        assert.equal(400, ask({ trusted_proxies = "127.0.0.1" }, { [name] = value }).status, value)
      end
    end
  end)
end)

describe("Forwarded", function()
  local function by(text) return client_of { Forwarded = text } end

  it("gives the nearest address that is not trusted", function()
    assert.equal("192.0.2.1", by "for=192.0.2.1")
    assert.equal("192.0.2.1", by "For=192.0.2.1;by=10.0.0.1;proto=http, for=10.0.0.1")
    assert.equal("192.0.2.1", by "for=203.0.113.9, for=192.0.2.1, for=10.0.0.1,")
    assert.equal("192.0.2.1", by 'for="192.0.2.1:80" ; secret="a\\"b,c;d"')
  end)

  it("may have ports, and has brackets around IPv6 addresses", function()
    local one = seen { Forwarded = 'for="[2001:db8::1]:4711"' }
    assert.same({ "2001:db8::1", 4711 }, { one.client, one.port })
    one = seen { Forwarded = 'for="192.0.2.1:_hidden"' }
    assert.same({ "192.0.2.1", 0 }, { one.client, one.port })
    assert.equal("192.0.2.1", by 'for=192.0.2.1, for="[2001:db8:1::7]"')
  end)

  it("may hide the client", function()
    assert.equal("unknown", by "for=192.0.2.1, for=unknown")
    assert.equal("_SEVKISEK", by "for=_SEVKISEK")
    assert.equal("_" .. ("x"):rep(44), by("for=_" .. ("x"):rep(200)))
  end)

  it("gives scheme and host, those of the proxy that the client has come to", function()
    local one = seen {
      Forwarded = 'for=192.0.2.1;proto=https;host="a.example:8443", for=10.0.0.1;proto=http;host=inner',
    }
    assert.same({ "https", "a.example:8443" }, { one.scheme, one.host })
    one = seen { Forwarded = "for=192.0.2.1;host=a.example, for=10.0.0.1;proto=https;host=inner" }
    assert.same({ "https", "a.example" }, { one.scheme, one.host })
    one = seen { Forwarded = "for=203.0.113.9;proto=https;host=evil, for=192.0.2.1" }
    assert.same({ "http", "localhost" }, { one.scheme, one.host })
    one = seen { Forwarded = "for=203.0.113.9;host=evil, proto=https" }
    assert.same({ "127.0.0.1", "https", "localhost" }, { one.client, one.scheme, one.host })
  end)

  it("refuses a request whose header breaks the grammar, wherever", function()
    for _, text in ipairs { "for", "for=", 'for="', 'for="a', 'for="192.0.2.1", for="', "for=192.0.2.1;for=192.0.2.2",
        "for=a b", "for=::1", "for=[::1]", 'for=""', "for=192.0.2.1;=x", 'for="1\\92.0.2.1"',
        "for=192.0.2.1 proto=http", "for=nonsense", 'for="[::1]:99999"', 'for="\\' } do
      local res = ask({ trusted_proxies = "127.0.0.1" }, { Forwarded = text })
      assert.equal(400, res.status, text)
      assert.equal("malformed Forwarded header", res:json().detail)
    end
  end)

  it("and X-Forwarded-* have to agree", function()
    local one = seen { Forwarded = "for=192.0.2.1;proto=https", ["X-Forwarded-For"] = "192.0.2.1:99",
      ["X-Forwarded-Proto"] = "https", ["X-Forwarded-Port"] = "99" }
    assert.same({ "192.0.2.1", "https", "localhost" }, { one.client, one.scheme, one.host })
    for _, headers in ipairs {
      { Forwarded = "for=192.0.2.1", ["X-Forwarded-For"] = "192.0.2.2" },
      { Forwarded = "proto=https", ["X-Forwarded-For"] = "192.0.2.2" },
      { Forwarded = "for=192.0.2.2;proto=https", ["X-Forwarded-For"] = "192.0.2.2" },
      { Forwarded = "for=192.0.2.2;host=evil", ["X-Forwarded-For"] = "192.0.2.2" },
      { Forwarded = "for=192.0.2.2", ["X-Forwarded-Host"] = "evil" },
      { Forwarded = "for=192.0.2.2", ["X-Forwarded-Port"] = "99" },
      { Forwarded = "for=unknown", ["X-Forwarded-For"] = "192.0.2.2" },
    } do
      local res = ask({ trusted_proxies = "127.0.0.1" }, headers)
      assert.equal(400, res.status)
      assert.matches("disagree", res:json().detail)
    end
  end)
end)

describe("what a trusted proxy says", function()
  it("counts for each request of its connection by itself", function()
    support.serving(app_with { trusted_proxies = { "127.0.0.1" } }, function(port)
      local conn <close> = assert(common.rawtcp.connect(port))
      for _, header in ipairs { "X-Forwarded-For: 192.0.2.1", "X-Other: 1", "X-Forwarded-For: 192.0.2.2" } do
        assert(conn:send("GET / HTTP/1.1\r\nHost: x\r\n" .. header .. "\r\n\r\n"))
        local client = header:match "192.*" or "127.0.0.1"
        assert.matches('"client":"' .. client .. '"', support.receive(conn).body, 1, true)
      end
    end)
  end)

  it("counts for requests with bodies, and for an absolute target", function()
    local app = app_with { trusted_proxies = "127.0.0.1" }
    app:post("/", function(req) return req.client.host .. " " .. req.url .. " " .. req.body end)
    support.serving(app, function(port)
      local conn <close> = assert(common.rawtcp.connect(port))
      assert(conn:send("POST http://inner/?a=b HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n" ..
        "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Host: a.example\r\n\r\n"))
      assert(conn:send "body")
      assert.equal("192.0.2.1 http://a.example/?a=b body", support.receive(conn).body)
      assert(conn:send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nX-Forwarded-For: nobody\r\n\r\n"))
      assert.equal(400, support.receive(conn).status)
    end)
  end)

  it("is in the access log, also for requests without a route", function()
    local entries = {}
    local app = app_with { trusted_proxies = "127.0.0.1", access_log = function(entry)
      entries[#entries + 1] = entry.target .. " " .. entry.client
    end }
    do
      local c <close> = web.test(app)
      c:get("/", { headers = { ["X-Forwarded-For"] = "192.0.2.1" } })
      c:get("/none", { headers = { Forwarded = "for=_hidden" } })
      c:get("/bad", { headers = { Forwarded = "for=" } })
    end
    assert.same({ "/ 192.0.2.1", "/none _hidden", "/bad 127.0.0.1" }, entries)
  end)

  it("decides about secure cookies and about the origins of a site", function()
    local app = web.app { trusted_proxies = "127.0.0.1" }
    app:use(web.sessions())
    app:use(web.csrf())
    app:post("/", function(req)
      req.session.user = 1
      return "done"
    end)
    local c <close> = web.test(app)
    local function post(proto, origin)
      return c:post("/", {
        headers = { ["X-Forwarded-Proto"] = proto, ["X-Forwarded-Host"] = "a.example", Origin = origin },
      })
    end
    local res = post("https", "https://a.example")
    assert.equal(200, res.status)
    assert.matches("^__Host%-session=.*Secure", res.headers["set-cookie"][1])
    assert.equal(200, post("http", "https://a.example").status)
    assert.equal(403, post("https", "http://a.example").status)
    assert.equal(403, post("https", "https://localhost").status)
  end)

  it("goes to another core with the request", function()
    local app = web.app { trusted_proxies = "127.0.0.1" }
    app:get("/", { offload = true }, function(req)
      return req.scheme .. " " .. tostring(req.client) .. " " .. req.url .. " " .. req.root_path
    end)
    local c <close> = web.test(app)
    assert.equal("https 192.0.2.1:0 https://localhost/ ", c:get("/", { headers = { ["X-Forwarded-For"] = "192.0.2.1",
      ["X-Forwarded-Proto"] = "https" } }).body)
  end)
end)

describe("whoever comes over a Unix socket", function()
  it("is called unix, and is trusted by that name", function()
    local folder <close> = folders.new {}
    local path = folder.path .. "/app.sock"
    for trusted, client in pairs { [""] = "unix", unix = "192.0.2.1" } do
      local server = assert(web.listen(app_with { trusted_proxies = trusted ~= "" and trusted or nil },
        { listen = { "unix:" .. path } }))
      local conn <close> = assert(common.rawtcp.connect(path))
      assert(conn:send(support.request("GET", "/", "X-Forwarded-For: 192.0.2.1\r\n")))
      assert.matches('"client":"' .. client .. '"', support.receive(conn).body, 1, true)
      server:stop(0)
    end
  end)
end)

describe("the option trusted_proxies", function()
  it("is refused if it names no proxies", function()
    for _, value in ipairs { "", "localhost", "10.0.0.0/33", "10.0.0/8", "::1/129", "10.0.0.1/", "10.0.0.1/08", { 1 },
        "unix,", { "10.0.0.1,10.0.0.2" }, { proxy = "10.0.0.1" }, 1, true } do
      assert.error_matches(function() web.app { trusted_proxies = value } end, "trusted_proxies")
    end
  end)

  it("of a server goes before that of the app", function()
    local app, body = app_with { trusted_proxies = "10.0.0.1" }, nil
    support.serving(app, function(port)
      body = support.ask(port, support.request("GET", "/", "X-Forwarded-For: 192.0.2.1\r\n")).body
    end, { trusted_proxies = "127.0.0.0/8" })
    assert.matches('"client":"192.0.2.1"', body, 1, true)
  end)
end)
