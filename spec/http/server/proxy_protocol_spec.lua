-- The option proxy_protocol: connections that begin with a header of HAProxy's PROXY protocol.
local ml = require "moonloop"
local common = require "spec.support"
local http2 = require "spec.support.http2"
local keep_reports = require "reports".keep
local support = require "spec.support.web"
local web = ml.web

local REQUEST = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
local SIGNATURE = "\r\n\r\n\0\r\nQUIT\n"

local function crc32c(text)
  local crc = 0xffffffff
  for i = 1, #text do
    crc = crc ~ text:byte(i)
    for _ = 1, 8 do crc = crc >> 1 ~ (crc & 1 == 1 and 0x82f63b78 or 0) end
  end
  return crc ~ 0xffffffff
end

--- A header of version 2. `sum`: with a CRC32c, which is wrong by so much.
local function binary(command, family, body, sum)
  local size = #body + (sum and 7 or 0)
  local head = SIGNATURE .. string.char(0x20 | command, family) .. (">I2"):pack(size) .. body
  if not sum then return head end
  head = head .. "\3\0\4"
  return head .. (">I4"):pack(crc32c(head .. "\0\0\0\0") ~ sum)
end

local V4 = "\xc0\0\2\1\xc0\0\2\2" .. (">I2I2"):pack(4711, 443)
local V6 = "\x20\1\x0d\xb8" .. ("\0"):rep(11) .. "\1" .. "\x20\1\x0d\xb8" .. ("\0"):rep(11) .. "\2" ..
  (">I2I2"):pack(4712, 443)

local function app_with(opts)
  opts.proxy_protocol = true
  local app = web.app(opts)
  app:get("/", function(req) return tostring(req.client) end)
  return app
end

--- The client that the server sees on a connection that begins with the header; nil, what ended it.
local function client_of(header, opts, request)
  local body, why
  support.serving(app_with(opts or {}), function(port)
    local conn <close> = assert(common.rawtcp.connect(port))
    assert(conn:send(header .. (request or REQUEST)))
    local res, err = support.receive(conn)
    body, why = res and res.body, err
  end)
  return body, why
end

describe("the PROXY protocol", function()
  it("says whose the connection is", function()
    for header, client in pairs {
      ["PROXY TCP4 192.0.2.1 192.0.2.2 4711 443\r\n"] = "192.0.2.1:4711",
      ["PROXY TCP6 2001:db8::1 2001:db8::2 65535 0\r\n"] = "2001:db8::1:65535",
      [binary(1, 0x11, V4)] = "192.0.2.1:4711",
      [binary(1, 0x12, V4)] = "192.0.2.1:4711",
      [binary(1, 0x21, V6)] = "2001:db8::1:4712",
      [binary(1, 0x31, ("\0"):rep(216))] = "unix:0",
      [binary(1, 0x11, V4 .. "\4\0\3abc\5\0\0")] = "192.0.2.1:4711",
      [binary(1, 0x11, V4 .. "\4\x40\0" .. ("x"):rep(0x4000), 0)] = "192.0.2.1:4711",
      [binary(1, 0x11, V4, 0)] = "192.0.2.1:4711",
    } do
      assert.equal(client, (client_of(header)))
    end
  end)

  it("stands in front of HTTP/2, all of whose streams are that client's", function()
    support.serving(app_with { http2 = "clear" }, function(port)
      for header, name in pairs {
        ["PROXY TCP4 192.0.2.1 192.0.2.2 4711 443\r\n"] = "192.0.2.1:4711",
        [binary(1, 0x21, V6)] = "2001:db8::1:4712",
      } do
        local client <close> = http2.connect(port, { prefix = header })
        local first, second = client:ask("GET", "/"), client:ask("GET", "/")
        assert.same({ 200, name }, { client:response(first) })
        assert.same({ 200, name }, { client:response(second) })
      end
    end)
  end)

  it("may say nothing: then it is the proxy's", function()
    for _, header in ipairs { "PROXY UNKNOWN\r\n", "PROXY UNKNOWN what ever\r\n", binary(0, 0, ""), binary(0, 0x11, V4),
        binary(1, 0, ""), binary(1, 0, "\1\2\3") } do
      assert.matches("^127.0.0.1:%d+$", (client_of(header)))
    end
  end)

  it("demands a header that is right, and says once what is wrong", function()
    local line = "PROXY TCP4 192.0.2.1 192.0.2.2 4711 443\r\n"
    for _, header in ipairs { "", "\r\n", "PROXY", "proxy TCP4 192.0.2.1 192.0.2.2 4711 443\r\n", "PROXY TCP4\r\n",
        line:gsub("1 192", "1  192"), line:gsub("443\r", "443 \r"), line:gsub("443\r", "65536\r"),
        line:gsub("443\r", "043\r"),
        line:gsub("4711", "-1"), line:gsub("192.0.2.2", "x"), line:gsub("TCP4", "TCP6"), line:gsub("TCP4", "UDP4"),
        line:gsub("443", "443 1"), "PROXY UNKNOWNS\r\n", "PROXY UNKNOWN " .. ("x"):rep(100) .. "\r\n",
        line:gsub("\r", ""),
        SIGNATURE:gsub("QUIT", "QUIET"), binary(2, 0x11, V4), (binary(1, 0x11, V4):gsub("\n\x21", "\n\x31")),
        binary(1, 0x41, V4), binary(1, 0x13, V4), binary(1, 0x11, V4:sub(1, 11)), binary(1, 0x21, V4),
        binary(1, 0x11, V4, 1), binary(1, 0x11, V4 .. "\4\0"), binary(1, 0x11, V4 .. "\4\0\4abc"),
        binary(1, 0x11, V4 .. "\3\0\3abc") } do
      local reports <close> = keep_reports()
      local client, why = client_of(header)
      assert.is_nil(client, header)
      assert.is_string(why)
      assert.matches("a connection from 127.0.0.1 was closed: it does not begin with a header of the PROXY protocol",
        reports:text(), 1, true)
    end
  end)

  it("is read in whatever pieces it comes", function()
    support.serving(app_with {}, function(port)
      local line = "PROXY TCP4 192.0.2.1 192.0.2.2 4711 443\r\n"
      for _, header in ipairs { line, binary(1, 0x11, V4 .. "\4\0\3abc", 0) } do
        local conn <close> = assert(common.rawtcp.connect(port))
        for byte in (header .. REQUEST):gmatch "." do
          assert(conn:send(byte))
          ml.sleep(0)
        end
        assert.equal("192.0.2.1:4711", support.receive(conn).body)
        assert(conn:send(REQUEST))
        assert.equal("192.0.2.1:4711", support.receive(conn).body)
      end
    end)
  end)

  it("has a limit of time", function()
    support.serving(app_with { header_timeout = 0.05 }, function(port)
      local conn <close> = assert(common.rawtcp.connect(port))
      assert(conn:send "PROXY TCP4")
      assert.is_nil((conn:receive(1)))
    end)
  end)

  it("does not hold up the end of a server", function()
    support.serving(app_with {}, function(port, server)
      local conn <close> = assert(common.rawtcp.connect(port))
      assert(conn:send "PROXY TCP4")
      while server.connections == 0 do ml.sleep(0.001) end
      server:stop(60)
      assert.equal(0, server.connections)
      assert.is_nil((conn:receive(1)))
    end)
  end)

  it("counts as a connection until it is over", function()
    support.serving(app_with { max_connections = 1 }, function(port, server)
      local first = assert(common.rawtcp.connect(port))
      while server.connections == 0 do ml.sleep(0.001) end
      local second <close> = assert(common.rawtcp.connect(port))
      assert(second:send("PROXY TCP4 192.0.2.1 192.0.2.2 4711 443\r\n" .. REQUEST))
      first:close()
      assert.equal("192.0.2.1:4711", support.receive(second).body)
      assert.equal(1, server.connections)
    end)
  end)

  it("is taken from trusted proxies alone, if there is a list of them", function()
    local header = "PROXY TCP4 192.0.2.1 192.0.2.2 4711 443\r\n"
    assert.equal("192.0.2.1:4711", (client_of(header, { trusted_proxies = "127.0.0.1" })))
    local reports <close> = keep_reports()
    assert.is_nil((client_of(header, { trusted_proxies = "10.0.0.1" })))
    assert.matches("trusted", reports:text())
  end)

  it("may name a proxy that is trusted, whose headers count then", function()
    local function client(source)
      local request = REQUEST:gsub("Host", "X-Forwarded-For: 203.0.113.7\r\nHost")
      return (client_of(("PROXY TCP4 %s 192.0.2.2 4711 443\r\n"):format(source),
        { trusted_proxies = "127.0.0.1,10.0.0.0/8" }, request))
    end
    assert.equal("203.0.113.7:0", client "10.0.0.1")
    assert.equal("192.0.2.1:4711", client "192.0.2.1")
  end)
end)
