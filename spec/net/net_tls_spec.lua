-- TLS of ml.net: servers, clients, STARTTLS, and what goes wrong.
local ml = require "moonloop"
local folders = require "spec.support.folder"
local proxies = require "spec.support.proxy"
local support = require "spec.support"
local tls = require "spec.support.tls"

if not tls.is_there() then
  describe("TLS of ml.net", function()
    it("is tried against openssl", function() pending "openssl is not installed" end)
  end)
  return
end

local certs

--- What `f` raises.
local function raised(f, ...)
  local ok, err = ml.catch(f, ...)
  assert.is_false(ok)
  return tostring(err)
end

local function echo(conn)
  for line in conn:lines "L" do conn:write(line) end
end

--- Calls body(connect, port, server); connect(opts) connects with these options of TLS.
local function with_server(opts, f, body)
  local server <close> = assert(ml.net.listen("127.0.0.1", 0, { tls = opts, max_line = 1000000 }, f))
  local _, port = server:address()
  body(function(more, host)
    more = more or {}
    if more.verify ~= false then more.ca = more.ca or certs.ca end
    return ml.net.connect(host or "localhost", port, { tls = more, timeout = 60 })
  end, port, server)
end

describe("TLS of ml.net", function()
  setup(function()
    certs = tls.certificates { good = {}, other = { names = { "DNS:other.example" } }, late = { days = -1 },
      own = { signer = "self" }, client = { names = { "DNS:client.example" } } }
  end)

  teardown(function() certs:close() end)

  it("encrypts a stream, which is read and written as any other", function()
    with_server(certs.good, echo, function(connect)
      local conn <close> = assert(connect())
      conn:write "hello\n"
      assert.equal("hello", conn:read())
      local text = support.xs(300000) .. "\n"
      local writing = ml.spawn(function() return conn:write(text) == conn end)
      conn.max_line = #text
      assert.equal(text, conn:read "L")
      assert.is_true(writing:await())
      conn:shutdown()
      assert.is_nil(conn:read())
    end)
  end)

  it("tells both sides what was agreed on", function()
    local seen
    with_server({ cert = certs.good.cert, key = certs.good.key, ca = certs.ca, verify = "required",
      alpn = { "b", "a" } }, function(conn)
      seen = conn:tls()
      echo(conn)
    end, function(connect)
      local conn <close> = assert(connect { cert = certs.client.cert, key = certs.client.key, alpn = { "a", "b" } })
      conn:write "x\n"
      assert.equal("x", conn:read())
      local agreed = conn:tls()
      assert.same({ "1.3", "b" }, { agreed.version, agreed.alpn })
      assert.truthy(agreed.cipher)
      assert.same({ "localhost", "127.0.0.1" }, agreed.peer.names)
      assert.equal(64, #agreed.peer.fingerprint)
      assert.equal("b", seen.alpn)
      assert.same({ "client.example" }, seen.peer.names)
    end)
  end)

  it("is nothing on a connection in clear", function()
    with_server(certs.good, echo, function(_, port)
      local conn <close> = assert(ml.net.connect("127.0.0.1", port))
      assert.is_nil(conn:tls())
    end)
  end)

  it("refuses certificates, and says which and why", function()
    for name, expected in pairs { other = "other.example", late = "expired", own = "self%-signed" } do
      with_server(certs[name], echo, function(connect)
        local conn, err = connect()
        assert.is_nil(conn)
        assert.equal("tls", err.kind)
        assert.matches(expected, err.message)
      end)
    end
    with_server(certs.good, echo, function(connect)
      local conn, err = connect { ca = certs.own.cert }
      assert.is_nil(conn)
      assert.equal("tls", err.kind)
      local other <close> = assert(connect { verify = false })
      other:write "x\n"
      assert.equal("x", other:read())
    end)
    with_server(certs.other, echo, function(connect)
      local conn <close> = assert(connect { server_name = "other.example" })
      conn:write "x\n"
      assert.equal("x", conn:read())
    end)
  end)

  it("refuses clients without the certificate that is required", function()
    local began = 0
    with_server({ cert = certs.good.cert, key = certs.good.key, ca = certs.ca, verify = "required" }, function(conn)
      began = began + 1
      echo(conn)
    end, function(connect)
      local conn, err = connect() -- TLS 1.3 tells a client after its own handshake
      if conn then
        local _ <close> = conn
        err = select(2, conn:read())
      end
      assert.equal("tls", err.kind)
    end)
    assert.equal(0, began)
  end)

  it("takes an end without a goodbye for an error", function()
    with_server(certs.good, nil, function(connect, _, server)
      local task = ml.spawn(connect)
      local conn <close> = server:accept()
      conn:tls()
      local client <close> = assert(task:await())
      client:write "half"
      assert.equal("half", conn:read(4))
      local err = select(2, ml.timeout(0.05, function() return client:write(support.xs(32 * 1024 * 1024)) end))
      assert.equal("timeout", err.kind)
      err = select(2, conn:read "a")
      assert(err.kind == "tls" or err.kind == "network", err)
    end)
  end)

  it("costs a server nothing that others notice when clients speak no TLS", function()
    local began = 0
    with_server(certs.good, function(conn)
      began = began + 1
      echo(conn)
    end, function(connect, port)
      local plain <close> = assert(ml.net.connect("127.0.0.1", port))
      plain:write "GET / HTTP/1.1\r\n\r\n"
      plain:read "a"
      local silent <close> = assert(ml.net.connect("127.0.0.1", port))
      local conn <close> = assert(connect())
      conn:write "x\n"
      assert.equal("x", conn:read())
      assert.truthy(silent)
    end)
    assert.equal(1, began)
  end)

  it("is cancelled, and limited in time, while a peer says nothing", function()
    local server <close> = assert(ml.net.listen("127.0.0.1", 0))
    local host, port = server:address()
    local conn, err = ml.net.connect(host, port, { tls = true, timeout = 0.05 })
    assert.is_nil(conn)
    assert.equal("timeout", err.kind)
    assert.matches("no TLS for 0.05 s", err.message)
    local task = ml.spawn(ml.net.connect, host, port, { tls = true })
    local waits
    repeat
      ml.sleep(0)
      for _, entry in ipairs(ml.tasks()) do
        if entry.id == task.id then waits = entry.waiting_for end
      end
    until waits and waits:find "^the TLS handshake on the connection to 127"
    task:cancel()
    assert.equal("cancelled", select(2, ml.catch(task.await, task)).kind)
    server:accept():close()
    local accepted <close> = server:accept()
    accepted:read "a" -- what the client has said, and its end
  end)

  it("speaks with openssl, also in single bytes", function()
    with_server(certs.good, function(conn) conn:write("got ", conn:read(), "\n") end, function(_, port)
      local output = tls.client(port, "hello\n", "-CAfile", certs.ca, "-quiet", "-verify_return_error")
      assert.matches("got hello", output)
      local middle <close> = assert(ml.net.listen("127.0.0.1", 0, function(conn)
        local upstream <close> = assert(ml.net.connect("127.0.0.1", port))
        local function pump(from, to)
          while true do
            local byte = from:read(1)
            if not byte or not to:write(byte) then return to:shutdown() end
          end
        end
        ml.gather({ pump, conn, upstream }, { pump, upstream, conn })
      end))
      local _, between = middle:address()
      local conn <close> = assert(ml.net.connect("localhost", between, { tls = { ca = certs.ca }, timeout = 60 }))
      conn:write "slowly\n"
      assert.equal("got slowly", conn:read())
    end)
  end)

  describe("conn:starttls", function()
    --- A server that changes to TLS when it is told to.
    local function with_dialogue(body)
      local server <close> = assert(ml.net.listen("127.0.0.1", 0, function(conn)
        assert(conn:read() == "STARTTLS")
        conn:write "220 go ahead\n"
        if not conn:starttls(certs.good) then return end
        echo(conn)
      end))
      local host, port = server:address()
      local conn <close> = assert(ml.net.connect(host, port))
      body(conn)
    end

    it("changes to TLS in the middle of a dialogue", function()
      with_dialogue(function(conn)
        conn:write "STARTTLS\n"
        assert.equal("220 go ahead", conn:read())
        assert.equal(conn, conn:starttls { ca = certs.ca })
        conn:write "secret\n"
        assert.equal("secret", conn:read())
        assert.equal("1.3", conn:tls().version)
        assert.matches("it speaks TLS already", raised(conn.starttls, conn))
      end)
    end)

    it("takes nothing that came in clear for something said in TLS", function()
      with_dialogue(function(conn)
        conn:write "STARTTLS\nINJECTED\n"
        assert.equal("220 go ahead", conn:read())
        local ok, err = conn:starttls { ca = certs.ca }
        assert.is_nil(ok)
        assert(err.kind == "tls" or err.kind == "network", err)
        assert.equal("closed", select(2, conn:read()).kind)
      end)
    end)

    it("raises mistakes", function()
      with_dialogue(function(conn)
        assert.matches("unknown option 'certs' of conn:starttls", raised(conn.starttls, conn, { certs = {} }))
        local task = ml.spawn(function() return conn:read() end)
        ml.sleep(0)
        assert.matches("another task is reading", raised(conn.starttls, conn))
        task:cancel()
        ml.catch(task.await, task)
        conn:write "STARTTLS\n"
        conn:close()
        assert.equal("closed", select(2, conn:starttls()).kind)
      end)
    end)
  end)

  it("does not resume the session of a client whose authority is trusted no more", function()
    local made <close> = tls.certificates { good = {}, client = {}, second = { authority = true } }
    local trusted, kept = made.path .. "/trusted.crt", made.path .. "/session"
    local opts = { cert = made.good.cert, key = made.good.key, ca = trusted, verify = "required" }
    local function visit(...)
      local server <close> = assert(ml.net.listen("127.0.0.1", 0, { tls = opts }, function(conn)
        conn:write(("resumed %s\n"):format(conn:tls().resumed))
      end))
      local _, port = server:address()
      return tls.client(port, "", "-cert", made.client.cert, "-key", made.client.key, ...)
    end
    assert(ml.fs.copy(made.ca, trusted))
    assert.matches("resumed false", visit("-sess_out", kept), 1, true)
    assert.matches("resumed true", visit("-sess_in", kept, "-sess_out", kept), 1, true)
    assert(ml.fs.copy(made.second.cert, trusted))
    assert.not_matches("resumed", visit("-sess_in", kept), 1, true)
  end)

  it("forgets what waits to be written to a client that has said nothing", function()
    local server <close> = assert(ml.net.listen("127.0.0.1", 0, { tls = certs.good }))
    local _, port = server:address()
    local client <close> = assert(ml.net.connect("127.0.0.1", port))
    local conn <close> = assert(server:accept())
    local writer = ml.spawn(function() return conn:write "hello" end)
    ml.sleep(0)
    writer:cancel()
    assert.is_false((ml.catch(writer.await, writer)))
    assert.equal("closed", select(2, conn:read()).kind)
    client:close()
  end)

  it("tells a reader of a reset, not of a fault in the protocol, while another task writes", function()
    local told = ml.queue(1)
    with_server(certs.good, function(conn)
      local writer = ml.spawn(function() return conn:write(("x"):rep(16 << 20)) end)
      local _, err = conn:read()
      told:put(err or "an end in order")
      ml.catch(writer.await, writer)
    end, function(_, port)
      for _ = 1, 3 do
        local proxy <close> = proxies.start(port)
        local opts = { tls = { ca = certs.ca, server_name = "localhost" }, timeout = 60 }
        local client <close> = assert(ml.net.connect("127.0.0.1", proxy.port, opts))
        assert(client:read(1))
        proxy:cut(true)
        local err = told:get()
        assert.equal("network", err.kind, err)
        assert(err.code ~= "EPROTO", err)
      end
    end)
  end)

  it("closes the connection of a client whose cancel comes together with it", function()
    with_server(certs.good, function(conn) conn:read() end, function(connect)
      local function open() return #assert(ml.fs.list "/proc/self/fd") end
      assert(connect()):close()
      collectgarbage()
      local before = open()
      collectgarbage "stop" -- it would close what was forgotten
      local _ <close> = setmetatable({}, { __close = function() collectgarbage "restart" end })
      for turns = 0, 200 do
        local task = ml.spawn(function() local _ <close> = connect({ server_name = "localhost" }, "127.0.0.1") end)
        for _ = 1, turns // 10 do ml.sleep(0) end
        task:cancel()
        ml.catch(task.await, task)
      end
      while open() > before do ml.sleep(0.01) end
    end)
  end)

  it("checks its options before anything is connected", function()
    assert.matches("unknown option 'foo'.*ml.net.connect", raised(ml.net.connect, "x", 1, { tls = { foo = 1 } }))
    assert.matches("needs a certificate", raised(ml.net.listen, "localhost", 0, { tls = {} }))
    local folder <close> = folders.new { ["a.crt"] = "no certificate" }
    local server, err = ml.net.listen("127.0.0.1", 0, { tls = { cert = folder.path .. "/a.crt" } })
    assert.is_nil(server)
    assert.equal("tls", err.kind)
    assert.matches("a.crt", err.message, 1, true)
  end)
end)
