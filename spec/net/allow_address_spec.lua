-- Which addresses ml.net.connect, ml.ws.connect and ml.net.udp may be led to.
local ml = require "moonloop"
local net = require "moonloop.net.core"
local peers = require "spec.support.ws_peer"
local tls = require "spec.support.tls"

local public_only = ml.http.public_only

local function anywhere() return true end

local function assert_refused(why, value, err)
  assert.is_nil(value)
  assert.same({ "network", "REFUSED" }, { err.kind, err.code })
  assert.matches(why, err.message, 1, true)
end

describe("allow_address", function()
  local resolve = net.resolve

  --- From now on names are looked up in this table of lists.
  local function names(known)
    net.resolve = function(whose, name, family) -- luacheck: ignore
      return known[name] and table.move(known[name], 1, #known[name], 1, {}) or resolve(whose, name, family)
    end
  end

  after_each(function()
    net.resolve = resolve -- luacheck: ignore
  end)

  --- Calls f(port, server) with a server that counts the connections that have come.
  local function with_server(f)
    local came = { n = 0 }
    local server <close> = assert(ml.net.listen("127.0.0.1", 0, function(conn)
      came.n = came.n + 1
      conn:write "hello"
    end))
    f(select(2, server:address()), came)
  end

  it("of ml.net.connect is asked for the address and the port before anything is connected to", function()
    with_server(function(port, came)
      local asked = {}
      local function allow(...)
        asked[#asked + 1] = { ... }
        return false
      end
      assert_refused(("connecting to localhost:%d: "):format(port),
        ml.net.connect("localhost", port, { allow_address = allow }))
      assert.same({ "127.0.0.1", port }, asked[#asked])
      assert_refused(("connecting to 127.0.0.1:%d: the address 127.0.0.1 is refused by allow_address"):format(port),
        ml.net.connect("127.0.0.1", port, { allow_address = allow }))
      local conn <close> = assert(ml.net.connect("127.0.0.1", port, { allow_address = anywhere }))
      assert.equal("hello", conn:read(5))
      assert.equal(1, came.n)
    end)
  end)

  it("of ml.net.connect decides where a name leads: no second look-up follows", function()
    with_server(function(port, came)
      names { ["rebound.invalid"] = { "10.0.0.1", "::1", "127.0.0.1" } }
      local conn <close> = assert(ml.net.connect("rebound.invalid", port, { timeout = 60,
        allow_address = function(ip) return ip == "127.0.0.1" end }))
      assert.equal("hello", conn:read(5))
      assert.equal("127.0.0.1", (conn:peer()))
      assert_refused("all addresses of 'rebound.invalid' are refused by allow_address: 10.0.0.1, ::1, 127.0.0.1",
        ml.net.connect("rebound.invalid", port, { allow_address = public_only }))
      assert.equal(1, came.n)
    end)
  end)

  it("of ml.net.connect sees through every way to write an address", function()
    with_server(function(port, came)
      for _, host in ipairs { "localhost", "127.1", "2130706433", "0x7f.1", "0177.0.0.1", "::ffff:127.0.0.1", "[::1]",
        "::ffff:7f00:1", "0.0.0.0", "::" } do
        local conn, err = ml.net.connect(host, port, { allow_address = public_only })
        assert.is_nil(conn)
        assert.same({ host, "REFUSED" }, { host, err.code == "REFUSED" and "REFUSED" or tostring(err) })
      end
      assert.equal(0, came.n)
    end)
  end)

  it("of ml.net.connect says why a name is not known", function()
    local conn, err = ml.net.connect("no-such-host.invalid", 80, { allow_address = anywhere })
    local _, plain = ml.net.connect("no-such-host.invalid", 80)
    assert.is_nil(conn)
    assert.same({ plain.kind, plain.code, plain.message }, { err.kind, err.code, err.message })
  end)

  it("of ml.net.connect counts the look-up in the timeout", function()
    net.resolve = function() return ml.event():wait() end -- luacheck: ignore
    local conn, err = ml.net.connect("slow.invalid", 80, { timeout = 0.01, allow_address = anywhere })
    assert.is_nil(conn)
    assert.same({ "timeout", "connecting to slow.invalid:80: the host is still looked up after 0.01 s (its timeout)" },
      { err.kind, err.message })
  end)

  it("of ml.net.connect keeps the name for TLS", function()
    if not tls.is_there() then return end
    local certs <close> = tls.certificates { named = { names = { "DNS:tls.invalid" } } }
    local server <close> = assert(ml.net.listen("127.0.0.1", 0, { tls = certs.named }, function(conn)
      conn:write "hello"
    end))
    names { ["tls.invalid"] = { "127.0.0.1" }, ["other.invalid"] = { "127.0.0.1" } }
    local _, port = server:address()
    local opts = { allow_address = anywhere, tls = { ca = certs.ca }, timeout = 60 }
    local conn <close> = assert(ml.net.connect("tls.invalid", port, opts))
    assert.equal("hello", conn:read(5))
    local other, err = ml.net.connect("other.invalid", port, opts)
    assert.same({ nil, "tls" }, { other, err.kind })
  end)

  it("of ml.ws.connect is asked, too", function()
    local _ <close>, url = peers.listen(function(peer) peer:over() end)
    assert_refused("the address 127.0.0.1 is refused by allow_address",
      ml.ws.connect(url, { allow_address = public_only }))
    local asked
    local _ <close> = assert(ml.ws.connect(url, { allow_address = function(ip, port)
      asked = ("ws://%s:%d"):format(ip, port)
      return true
    end }))
    assert.equal(url:match "^ws://[^/]+", asked)
  end)

  it("of ml.net.udp is asked at each send and connect", function()
    local b <close> = assert(ml.net.udp { host = "127.0.0.1" })
    local _, port = b:address()
    local a <close> = assert(ml.net.udp { allow_address = public_only })
    assert_refused("udp:send: the address 127.0.0.1 is refused", a:send("x", "127.0.0.1", port))
    assert_refused("udp:connect: ", a:connect("localhost", port))
    names { ["some.invalid"] = { "10.0.0.1", "127.0.0.1" } }
    local c <close> = assert(ml.net.udp { allow_address = function(ip) return ip == "127.0.0.1" end })
    assert(c:send("to the second", "some.invalid", port))
    assert.equal("to the second", (b:receive()))
    assert(c:connect("some.invalid", port))
    assert(c:send "again")
    assert.equal("again", (b:receive()))
  end)

  it("does not go with Unix sockets, and is a function", function()
    for expected, call in pairs {
      ["the option 'allow_address' is for TCP"] = function()
        ml.net.connect("unix:/x", { allow_address = anywhere })
      end,
      ["option 'allow_address' of ml.net.connect is a boolean (expected a function)"] = function()
        ml.net.connect("a", 1, { allow_address = true })
      end,
      ["option 'allow_address' of ml.ws.connect is a string (expected a function)"] = function()
        ml.ws.connect("ws://a", { allow_address = "public" })
      end,
      ["option 'allow_address' of ml.net.udp is a table (expected a function)"] = function()
        ml.net.udp { allow_address = {} }
      end,
    } do
      local ok, err = pcall(call)
      assert.is_false(ok)
      assert.matches(expected, tostring(err), 1, true)
    end
  end)
end)
