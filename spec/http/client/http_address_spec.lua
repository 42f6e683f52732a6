-- ml.http: which addresses a request may connect to.
local ml = require "moonloop"
local net = require "moonloop.net.core"
local raw = require "spec.support.http"
local tls = require "spec.support.tls"
local http = ml.http

local function anywhere() return true end

local function nowhere() return false end

local function assert_refused(address, res, err)
  assert.is_nil(res)
  assert.equal("network", err.kind)
  assert.equal("REFUSED", err.code)
  assert.matches(address, err.message, 1, true)
  return err
end

describe("ml.http allow_address", function()
  local resolve, getenv = net.resolve, os.getenv

  --- From now on names are looked up in this table of lists.
  local function names(known)
    net.resolve = function(whose, name, family) -- luacheck: ignore
      return known[name] and table.move(known[name], 1, #known[name], 1, {}) or resolve(whose, name, family)
    end
  end

  after_each(function()
    net.resolve = resolve -- luacheck: ignore
    os.getenv = getenv -- luacheck: ignore
    raw.stop()
  end)

  it("is asked for the address and the port before anything is connected to", function()
    local server = raw.serve_echo()
    local asked = {}
    local function allow(...)
      asked[#asked + 1] = { ... }
      return false
    end
    local err = assert_refused("127.0.0.1", http.get(server.url .. "/x", { allow_address = allow }))
    assert.equal(("GET %s/x: the address 127.0.0.1 is refused by allow_address"):format(server.url), err.message)
    assert.same({ { "127.0.0.1", server.listener.port } }, asked)
    assert.equal(0, server.connections)
    assert.equal(200, assert(http.get(server.url, { allow_address = anywhere })).status)
    assert.equal(1, server.connections)
  end)

  it("works for a client and for one request, whose own function replaces the client's", function()
    local server = raw.serve_echo()
    local client <close> = http.client { allow_address = nowhere, base_url = server.url }
    assert_refused("127.0.0.1", client:get("/"))
    assert_refused("127.0.0.1", client:post("/", { body = "x" }))
    assert.equal(200, assert(client:get("/", { allow_address = anywhere })).status)
    assert_refused("127.0.0.1", client:get("/"))
  end)

  it("is asked for kept connections, too, which others have made", function()
    local server = raw.serve_echo()
    local client <close> = http.client { base_url = server.url }
    assert(client:get("/"))
    assert_refused("127.0.0.1", client:get("/", { allow_address = nowhere }))
    for _ = 1, 3 do assert(client:get("/", { allow_address = anywhere })) end
    assert.equal(2, server.connections) -- one without, one with
    assert_refused("127.0.0.1", client:get("/", { allow_address = nowhere }))
    assert(client:get("/"))
    assert.equal(2, server.connections)
  end)

  it("decides where a name leads: no second look-up follows", function()
    local server = raw.serve_echo()
    local port = server.listener.port
    names { ["rebound.invalid"] = { "127.0.0.1" } }
    local url = ("http://rebound.invalid:%d/"):format(port)
    local res = assert(http.get(url, { allow_address = anywhere, timeout = 60 }))
    assert.equal("rebound.invalid:" .. port, raw.header(res.body, "Host"))
    local err = assert_refused("127.0.0.1", http.get(url, { allow_address = http.public_only }))
    assert.matches("the address of 'rebound.invalid' is refused", err.message, 1, true)
  end)

  it("does not reuse a connection when the name leads elsewhere", function()
    local server = raw.serve_echo()
    local client <close> = http.client { base_url = "http://moved.invalid:" .. server.listener.port, timeout = 60,
      allow_address = function(ip) return ip:find("^127%.") end }
    names { ["moved.invalid"] = { "127.0.0.1" } }
    assert(client:get("/"))
    names { ["moved.invalid"] = { "10.0.0.1" } }
    assert_refused("10.0.0.1", client:get("/"))
    names { ["moved.invalid"] = { "127.0.0.2" } }
    client:get("/")
    names { ["moved.invalid"] = { "127.0.0.1" } }
    assert(client:get("/"))
    assert.equal(1, server.connections)
  end)

  it("leaves out the addresses that are refused and connects to the others", function()
    local server = raw.serve_echo()
    local client <close> = http.client { base_url = "http://many.invalid:" .. server.listener.port, timeout = 60,
      allow_address = function(ip) return ip == "127.0.0.1" end }
    for _, list in ipairs { { "10.1.2.3", "::1", "127.0.0.1" }, { "127.0.0.1", "fd00::1" }, { "::ffff:127.0.0.1" } } do
      names { ["many.invalid"] = list }
      assert(client:get("/"))
    end
    assert.equal(1, server.connections)
    names { ["many.invalid"] = { "10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5" } }
    assert_refused("refused by allow_address: 10.0.0.1, 10.0.0.2, 10.0.0.3, 10.0.0.4, ...", client:get("/"))
  end)

  it("keeps a connection though answers come in another order", function()
    local server = raw.serve_echo()
    local client <close> = http.client { base_url = "http://turning.invalid:" .. server.listener.port, timeout = 60,
      allow_address = anywhere }
    for _, list in ipairs { { "127.0.0.1", "127.0.0.3" }, { "127.0.0.3", "127.0.0.1" } } do
      names { ["turning.invalid"] = list }
      assert(client:get("/"))
    end
    assert.equal(1, server.connections)
  end)

  it("sees through other ways to write an address", function()
    for _, host in ipairs { "127.1", "2130706433", "0x7f.0.0.1", "0177.0.0.1", "localhost", "[::1]",
      "[::ffff:127.0.0.1]", "0", "[::]", "[fe80::1%25lo]", "169.254.169.254" } do
      local res, err = http.get(("http://%s:1/"):format(host), { allow_address = http.public_only, timeout = 60 })
      assert.is_nil(res)
      assert.equal("REFUSED", err.code, host)
    end
    assert_refused("127.0.0.1", http.get("http://[::ffff:127.0.0.1]:1/", { allow_address = function(ip)
      return ip:find(":", 1, true) ~= nil
    end }))
  end)

  it("is asked after redirects, and is not asked again by retries", function()
    local inner = raw.serve_echo()
    local server = raw.serve(raw.answering(function()
      return "HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " .. inner.url .. "/secret\r\n\r\n"
    end))
    local asked = 0
    local res, err = http.get(server.url, { retries = 3, timeout = 60, allow_address = function(_, port)
      asked = asked + 1
      return port == server.listener.port
    end })
    assert.matches("/secret", assert_refused("127.0.0.1", res, err).message, 1, true)
    assert.equal(2, asked)
    assert.equal(0, inner.connections)
  end)

  it("is asked for streamed responses and bodies in pieces", function()
    local server = raw.serve_echo()
    local function pieces()
      local n = 0
      return function()
        n = n + 1
        return n < 4 and "piece" or nil
      end
    end
    for _, opts in ipairs { { stream = true }, { body = true }, { body = true, stream = true } } do
      for _, allow in ipairs { anywhere, nowhere } do
        local with = { allow_address = allow, timeout = 60, stream = opts.stream, body = opts.body and pieces() }
        local res, err = http.post(server.url, with)
        if allow == nowhere then
          assert_refused("127.0.0.1", res, err)
        else
          assert.equal(200, assert(res, err).status)
          assert.equal(opts.body ~= nil, res.body:find("piecepiecepiece", 1, true) ~= nil)
        end
      end
    end
  end)

  it("may wait, as it runs in the task of the request; what it raises the request raises", function()
    local server = raw.serve_echo()
    local task
    assert(http.get(server.url, { timeout = 60, allow_address = function()
      task = ml.current()
      ml.sleep(0.001)
      return true
    end }))
    assert.equal(ml.current(), task)
    local ok, err = pcall(http.get, server.url, { allow_address = function() error("mine", 0) end })
    assert.is_false(ok)
    assert.equal("mine", err)
  end)

  it("counts the look-up and the function in the request's time", function()
    local server = raw.serve_echo()
    net.resolve = function() ml.sleep(1000) end -- luacheck: ignore
    local res, err = http.get("http://slow.invalid/", { allow_address = anywhere, timeout = 0.02 })
    raw.assert_error("timeout", "TIMED_OUT", res, err)
    net.resolve = resolve -- luacheck: ignore
    raw.assert_error("timeout", "TIMED_OUT", http.get(server.url, { timeout = 0.02,
      allow_address = function()
        ml.sleep(0.03)
        return true
      end }))
    raw.assert_error("timeout", "TIMED_OUT",
      http.get(server.url, { timeout = 0, allow_address = anywhere }))
    assert.equal(0, server.connections)
  end)

  it("leaves the errors of URLs and names as they are", function()
    raw.assert_error("dns", "UNKNOWN_HOST",
      http.get("http://nobody.invalid/", { allow_address = anywhere, timeout = 60 }))
    raw.assert_error("http", "BAD_URL", http.get("http://a b/", { allow_address = anywhere }))
    raw.assert_error("http", "UNSUPPORTED_PROTOCOL", http.get("ftp://a/", { allow_address = anywhere }))
  end)

  it("works in jobs of an executor", function()
    local server = raw.serve_echo()
    local pool <close> = ml.executor.new { threads = 1 }
    local code = pool:run(function(url)
      local http_there = require "moonloop".http
      local _, err = http_there.get(url, { allow_address = http_there.public_only })
      return err.code
    end, server.url)
    assert.equal("REFUSED", code)
  end)

  it("shows the look-up, which can be cancelled", function()
    local started = ml.event()
    net.resolve = function() -- luacheck: ignore
      started:set()
      ml.sleep(1000)
    end
    local task = ml.spawn(http.get, "http://slow.invalid/", { allow_address = anywhere })
    started:wait()
    task:cancel()
    ml.wait { task }
    assert.equal("cancelled", task:status())
  end)

  it("goes with no option whose connections cannot be checked", function()
    local function refuses(what, f, ...)
      local ok, err = pcall(f, ...)
      assert.is_false(ok)
      assert.matches(what, tostring(err), 1, true)
    end
    refuses("allow_address: function expected, got boolean", http.get, "http://a/", { allow_address = true })
    refuses("allow_address: function expected, got table", http.client, { allow_address = {} })
    for name, value in pairs { proxy = "http://127.0.0.1:1", unix_socket = "/nowhere" } do
      refuses(name, http.client, { allow_address = anywhere, [name] = value })
      local client <close> = http.client { [name] = value }
      refuses(name, client.get, client, "http://a/", { allow_address = anywhere })
    end
    os.getenv = function(name) return name == "http_proxy" and "http://127.0.0.1:1" or nil end -- luacheck: ignore
    local client <close> = http.client { allow_address = anywhere }
    assert_refused("give `proxy = false`", client:get("http://u:secret@a/"))
    local direct <close> = http.client { allow_address = nowhere, proxy = false }
    assert_refused("127.0.0.1", direct:get("http://127.0.0.1:1/"))
  end)

  it("leaves TLS to check the name", function()
    if not tls.is_there() then return pending "openssl is not installed" end
    local certs <close> = tls.certificates { server = { names = { "DNS:secure.invalid" } } }
    local app = ml.web.app()
    app:get("/", function() return "here" end)
    local server = assert(ml.web.listen(app, { port = 0, tls = { cert = certs.server.cert, key = certs.server.key } }))
    names { ["secure.invalid"] = { "127.0.0.1" }, ["other.invalid"] = { "127.0.0.1" } }
    local client <close> = http.client { ca = certs.ca, allow_address = anywhere, timeout = 60 }
    assert.equal("here", assert(client:get("https://secure.invalid:" .. server.port)).body)
    raw.assert_error("tls", "BAD_CERTIFICATE", client:get("https://other.invalid:" .. server.port))
    server:stop(0)
  end)
end)

describe("ml.http.public_only", function()
  it("lets the internet's addresses pass", function()
    for _, address in ipairs { "1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0",
      "126.255.255.255", "128.0.0.0", "172.15.255.255", "172.32.0.0", "192.0.1.0", "192.167.255.255", "192.169.0.0",
      "198.17.255.255", "198.20.0.0", "223.255.255.255", "2000::", "2001:200::", "2606:4700::1111", "2a00::1",
      "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1", "168.63.129.17", "2606:4700::5efe:808:808",
      "2606:4700::5eff:7f00:1" } do
      assert.is_true(http.public_only(address, 80), address)
    end
  end)

  it("refuses those of this machine, of private networks, and of nobody", function()
    for _, address in ipairs { "0.0.0.0", "0.1.2.3", "10.0.0.0", "10.255.255.255", "100.64.0.0", "100.127.255.255",
      "127.0.0.1", "127.255.255.255", "168.63.129.16",
      "169.254.169.254", "172.16.0.0", "172.31.255.255", "192.0.0.1", "192.0.0.192",
      "192.0.2.1", "192.88.99.1", "192.168.0.0", "192.168.255.255", "198.18.0.0", "198.19.255.255", "198.51.100.7",
      "203.0.113.9", "224.0.0.1", "239.255.255.255", "240.0.0.0", "255.255.255.255",
      "::", "::1", "::7f00:1", "100::1", "2001::1", "2001:10::1", "2001:20::1", "2001:db8::1", "3fff::1", "5f00::1",
      "4000::1", "fc00::1", "fd12:3456::1", "fe80::1", "fe80::1%lo", "2606:4700::1111%lo", "fec0::1", "ff02::1",
      "64:ff9b:1::808:808" } do
      assert.is_false(http.public_only(address, 80), address)
    end
  end)

  it("refuses addresses of IPv6 that lead to such ones of IPv4", function()
    for _, inside in ipairs { "127.0.0.1", "10.0.0.1", "169.254.169.254", "192.168.1.1", "100.64.0.1", "0.0.0.0",
      "224.0.0.1", "255.255.255.255" } do
      local a, b, c, d = inside:match("(%d+).(%d+).(%d+).(%d+)")
      local hex = ("%02x%02x:%02x%02x"):format(a, b, c, d)
      for _, address in ipairs { "::ffff:" .. inside, "::ffff:" .. hex, "::" .. inside, "64:ff9b::" .. inside,
        "64:ff9b::" .. hex, "2002:" .. hex .. "::1", "2606:4700::5efe:" .. hex, "2606:4700::200:5efe:" .. hex } do
        assert.is_false(http.public_only(address, 443), address)
      end
    end
  end)

  it("refuses what is not an address", function()
    for _, text in ipairs { "", "localhost", "8.8.8", "8.8.8.8 ", "8.8.8.8\0", "08.8.8.8", "[2606:4700::1111]",
      "8.8.8.8/32", ("1"):rep(100) } do
      assert.is_false(http.public_only(text, 80), text)
    end
  end)
end)
