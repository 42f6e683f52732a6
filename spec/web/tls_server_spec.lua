--- Servers that speak TLS, seen by openssl's client.
local ml = require "moonloop"
local rawtcp = require("spec.support").rawtcp
local folders = require "spec.support.folder"
local tls = require "spec.support.tls"
local web = require "moonloop.web"
local serving = require("spec.support.web").serving

describe("a server with TLS", function()
  if not tls.is_there() then return pending "openssl is not installed" end
  local made = tls.certificates {
    one = {}, two = { names = { "DNS:two.example", "DNS:*.two.example" } }, alice = { names = { "DNS:alice" } },
    other = { signer = "self" },
  }
  teardown(function() made:close() end)

  local function app()
    local made_app = web.app { max_body = 64 << 20 }
    made_app:get("/", function() return "hello" end)
    made_app:get("/tls", function(req)
      local t, peer = req.tls, req.tls.peer
      local who = peer and ("%s %s %s %d %s"):format(peer.subject, peer.issuer, peer.names[1], #peer.fingerprint,
        peer.not_after > os.time()) or "nobody"
      return ("%s %s %s %s %s"):format(t.version, t.cipher, t.alpn or "-", t.resumed, who)
    end)
    made_app:get("/scheme", function(req) return req.scheme .. " " .. tostring(req.tls) end)
    made_app:get("/offloaded", { offload = true }, function(req) return req.tls.version .. " " .. req.scheme end)
    made_app:get("/big", function() return ("0123456789"):rep(300000) end)
    made_app:post("/count", function(req)
      local n = 0
      for chunk in req:chunks() do n = n + #chunk end
      return tostring(n)
    end)
    return made_app
  end

  local function with(options, f, more)
    local opts = more or {}
    opts.tls = options
    return serving(app(), f, opts)
  end

  local own = { cert = made.one.cert, key = made.one.key }

  it("answers over TLS 1.3 and TLS 1.2, and over nothing older", function()
    with(own, function(port)
      local text = tls.get(port, "/", "-CAfile", made.ca, "-verify_return_error")
      assert.matches("hello", text, 1, true)
      assert.matches("TLSv1.3", text, 1, true)
      assert.matches("Verify return code: 0 (ok)", text, 1, true)
      text = tls.get(port, "/", "-tls1_2")
      assert.matches("hello", text, 1, true)
      assert.matches("Compression: NONE", text, 1, true)
      text = tls.get(port, "/", "-tls1_1", "-cipher", "ALL:@SECLEVEL=0")
      assert.not_matches("hello", text, 1, true)
    end)
  end)

  it("has nothing below TLS 1.3 if min_version says so", function()
    with({ cert = made.one.cert, key = made.one.key, min_version = "1.3" }, function(port)
      assert.not_matches("hello", tls.get(port, "/", "-tls1_2"), 1, true)
      assert.matches("hello", tls.get(port, "/"), 1, true)
    end)
  end)

  it("refuses old ciphers and renegotiation", function()
    with(own, function(port)
      local old = tls.get(port, "/", "-tls1_2", "-cipher", "AES128-SHA:ECDHE-ECDSA-AES128-SHA")
      assert.not_matches("hello", old, 1, true)
      local text = tls.client(port, "R\n", "-tls1_2", "-no_ign_eof")
      assert.matches("no renegotiation", text, 1, true)
    end)
  end)

  it("exchanges keys on curves alone, which are quick", function()
    with(own, function(port)
      assert.not_matches("hello", tls.get(port, "/", "-groups", "ffdhe8192:ffdhe2048"), 1, true)
      assert.matches("hello", tls.get(port, "/", "-groups", "ffdhe8192:P-256"), 1, true)
    end)
  end)

  it("takes certificate and key as text", function()
    with({ cert = folders.read(made.one.cert), key = folders.read(made.one.key) }, function(port)
      assert.matches("hello", tls.get(port, "/"), 1, true)
    end)
  end)

  it("chooses the certificate by the name asked for, and the first for other names", function()
    with({ certs = { made.one, made.two } }, function(port)
      local function subject(name)
        return tls.get(port, "/", table.unpack(name and { "-servername", name } or { "-noservername" }))
          :match "subject=CN = (%w+)"
      end
      assert.equal("two", subject "two.example")
      assert.equal("two", subject "a.two.example")
      assert.equal("one", subject "localhost")
      assert.equal("one", subject "nobody.example")
      assert.equal("one", subject(nil))
    end)
  end)

  it("agrees on h2 or http/1.1, and refuses clients that want something else", function()
    with(own, function(port)
      assert.matches("ALPN protocol: h2", tls.get(port, "/", "-alpn", "http/1.1,h2"), 1, true)
      assert.matches("ALPN protocol: http/1.1", tls.get(port, "/", "-alpn", "http/1.1"), 1, true)
      assert.matches("hello", tls.get(port, "/"), 1, true)
      assert.matches("no application protocol", tls.get(port, "/", "-alpn", "spdy/1"), 1, true)
    end)
    with(own, function(port)
      assert.matches("ALPN protocol: http/1.1", tls.get(port, "/", "-alpn", "h2,http/1.1"), 1, true)
      assert.matches("no application protocol", tls.get(port, "/", "-alpn", "h2"), 1, true)
    end, { http2 = false })
  end)

  it("speaks HTTP/2 with the client, many requests at once", function()
    with(own, function(port)
      local client <close> = ml.http.client { ca = made.ca }
      local url = ("https://localhost:%d"):format(port)
      local tasks = {}
      for i = 1, 50 do
        tasks[i] = ml.spawn(client.get, client, url .. "/tls")
      end
      for i = 1, 50 do assert.matches("^1%.3 [%w_]+ h2 ", assert(tasks[i]:await()).body) end
      assert.equal(#("0123456789") * 300000, #assert(client:get(url .. "/big")).body)
      assert.equal("3000000", assert(client:post(url .. "/count", { body = ("x"):rep(3000000) })).body)
      assert.equal("1.3 https", assert(client:get(url .. "/offloaded")).body)
      assert.matches("^https table", assert(client:get(url .. "/scheme")).body)
    end)
  end)

  it("resumes a session by its ticket, also after the certificates were read again", function()
    with(own, function(port, server)
      for _, version in ipairs { "-tls1_2", "-tls1_3" } do
        local session <close> = folders.file ""
        assert.matches("\nNew, ", tls.get(port, "/", version, "-sess_out", session.path))
        assert.matches("\nReused, ", tls.get(port, "/", version, "-sess_in", session.path))
        if version == "-tls1_3" then -- with a new ticket each time
          local second <close> = folders.file ""
          tls.get(port, "/", version, "-sess_in", session.path, "-sess_out", second.path)
          assert.matches("\nReused, ", tls.get(port, "/", version, "-sess_in", second.path))
        end
        assert.is_true(server:read_certificates())
        assert.matches("\nReused, ", tls.get(port, "/", version, "-sess_in", session.path))
      end
    end)
  end)

  it("gives no tickets if they are off", function()
    with({ cert = made.one.cert, key = made.one.key, tickets = false }, function(port)
      local session <close> = folders.file ""
      tls.get(port, "/", "-sess_out", session.path)
      assert.equal("", folders.read(session.path))
    end)
  end)

  it("sends a long response, and takes a long body", function()
    with(own, function(port)
      local text = tls.get(port, "/big", "-quiet")
      assert.equal(("0123456789"):rep(300000), text:match "\r\n\r\n(.*)$")
      local body = ("x"):rep(3000000)
      text = tls.client(port, ("POST /count HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s")
        :format(#body, body), "-quiet")
      assert.matches("\r\n\r\n3000000$", text)
    end)
  end)

  it("says goodbye before it closes", function()
    with(own, function(port)
      local text = tls.get(port, "/", "-msg")
      assert.matches("<<< [^\n]*Alert [^\n]*warning close_notify", text)
    end)
  end)

  it("asks for certificates of clients, and lets in only good ones", function()
    local options = { cert = made.one.cert, key = made.one.key, ca = made.ca, verify = "required" }
    with(options, function(port)
      assert.not_matches("hello", tls.get(port, "/"), 1, true)
      assert.matches("hello", tls.get(port, "/", "-cert", made.alice.cert, "-key", made.alice.key), 1, true)
      assert.not_matches("hello", tls.get(port, "/", "-cert", made.other.cert, "-key", made.other.key), 1, true)
    end)
    options.verify = "optional"
    with(options, function(port)
      assert.matches("hello", tls.get(port, "/"), 1, true)
      assert.not_matches("hello", tls.get(port, "/", "-cert", made.other.cert, "-key", made.other.key), 1, true)
    end)
  end)

  it("tells handlers what was agreed on, and who the client is", function()
    with({ cert = made.one.cert, key = made.one.key, ca = made.ca, verify = "optional" }, function(port)
      local text = tls.get(port, "/tls", "-alpn", "http/1.1")
      assert.matches("1.3 TLS_AES_256_GCM_SHA384 http/1.1 false nobody", text, 1, true)
      assert.matches("1.2 ECDHE%-ECDSA%-[%w-]+ %- false CN=alice CN=Spec CA alice 64 true",
        tls.get(port, "/tls", "-tls1_2", "-cert", made.alice.cert, "-key", made.alice.key))
      assert.matches("\r\n\r\n1.3 https", tls.get(port, "/offloaded", "-quiet"), 1, true)
    end)
    local client <close> = web.test(app())
    assert.equal("http nil", client:get("/scheme").body)
  end)

  it("survives what is not TLS, and a client that goes in the middle of the handshake", function()
    with(own, function(port)
      local function send(bytes)
        local conn = assert(rawtcp.connect(port))
        assert(conn:send(bytes))
        local got = conn:receive "*a" or ""
        conn:close()
        return got
      end
      assert.equal("", send "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
      assert.equal("\21\3", send("\22\3\1\0\4\1\0\0\0"):sub(1, 2))
      assert.equal("\21\3", send("\23\3\3\0\4\1\0\0\0"):sub(1, 2))
      assert.equal("\21\3", send("\22\3\1\255\255" .. ("x"):rep(70000)):sub(1, 2))
      local conn = assert(rawtcp.connect(port))
      assert(conn:send "\22\3\1\2\0\1\0\1\252\3\3")
      conn:close()
      assert.matches("hello", tls.get(port, "/"), 1, true)
    end)
  end)

  it("closes a connection whose handshake takes too long", function()
    with(own, function(port)
      local silent, begun = assert(rawtcp.connect(port)), assert(rawtcp.connect(port))
      assert(begun:send "\22\3\1\2\0\1\0\1\252\3\3")
      assert.is_not_nil((silent:receive "*a"))
      assert.is_not_nil((begun:receive "*a"))
      silent:close()
      begun:close()
    end, { handshake_timeout = 0.1 })
  end)

  it("closes a connection whose ClientHello says that it will be long, before it has room for it", function()
    local function record(bytes) return string.pack(">BI2s2", 22, 0x301, bytes) end
    local long = "\1\1\xff\0"
    -- One that asks for TLS 1.3 with X25519, and has no key for it: the server wants a second one.
    local function extension(type, bytes) return string.pack(">I2s2", type, bytes) end
    local extensions = extension(43, "\2\3\4") .. extension(10, "\0\2\0\x1d") .. extension(51, "\0\0")
      .. extension(13, "\0\4\4\3\8\4")
    local hello = "\3\3" .. ("r"):rep(32) .. "\32" .. ("s"):rep(32) .. "\0\2\x13\1\1\0"
      .. string.pack(">s2", extensions)
    local first = record("\1" .. string.pack(">I3", #hello) .. hello)
    local change = "\20\3\3\0\1\1"
    with(own, function(port)
      for what, bytes in pairs {
        ["at once"] = record(long), ["in small records"] = long:gsub(".", record),
        ["in a second one"] = first .. record(long),
        ["in a second one, behind another record"] = first .. change .. record(long),
      } do
        local conn = assert(rawtcp.connect(port))
        assert(conn:send(bytes))
        local answer = conn:receive "*a"
        assert.is_not_nil(answer, what)
        local retried = answer:sub(1, 1) == "\22"
        assert.equal(what:find "second" ~= nil, retried, what)
        conn:close()
      end
    end, { handshake_timeout = 3600 })
  end)

  it("lets clients change their keys, but not without end", function()
    with(own, function(port)
      local p <close> = assert(ml.process.spawn { "openssl", "s_client", "-tls1_3", "-connect", "127.0.0.1:" .. port,
        stderr = "stdout" })
      assert(p.stdout:read_until "SSL handshake has read")
      local changes = 0
      while changes < 1000 do -- s_client takes this for a command, and says so
        if not p.stdin:write "k\n" then break end
        if not p.stdout:read_until "KEYUPDATE" then break end
        changes = changes + 1
      end
      assert(changes >= 50 and changes < 1000, changes)
    end)
  end)

  it("serves others beside a thousand half-open handshakes", function()
    with(own, function(port, server)
      local silent = {}
      for i = 1, 1000 do
        silent[i] = assert(rawtcp.connect(port))
        if i % 2 == 0 then assert(silent[i]:send "\22\3\1\2\0\1\0\1\252\3\3") end
      end
      assert.matches("hello", tls.get(port, "/"), 1, true)
      assert.is_true(server.connections >= 1000)
      for _, conn in ipairs(silent) do conn:close() end
    end, { handshake_timeout = 600 })
  end)

  it("serves many clients that arrive together", function()
    with(own, function(port)
      local tasks = {}
      for i = 1, 12 do tasks[i] = ml.spawn(tls.get, port, "/") end
      for i = 1, 12 do assert.matches("hello", tasks[i]:await(), 1, true) end
    end)
  end)

  it("reads certificates again without losing a connection, and keeps them if one is bad", function()
    local folder <close> = folders.new { crt = folders.read(made.one.cert), key = folders.read(made.one.key) }
    local cert, key = folder.path .. "/crt", folder.path .. "/key"
    with({ cert = cert, key = key }, function(port, server)
      local function subject() return tls.get(port, "/"):match "subject=CN = (%w+)" end
      assert.equal("one", subject())
      folders.write(cert, folders.read(made.two.cert))
      local ok, err = server:read_certificates()
      assert.is_nil(ok)
      assert.equal("tls", err.kind)
      assert.matches("does not belong to the certificate", err.message, 1, true)
      assert.equal("one", subject())
      folders.write(key, folders.read(made.two.key))
      assert.is_true(server:read_certificates())
      assert.equal("two", subject())
      os.remove(cert)
      err = select(2, server:read_certificates())
      assert.matches("No such file", err.message, 1, true)
      assert.equal("two", subject())
    end)
  end)

  describe("does not start", function()
    local function refused(options)
      local server, err = web.listen(app(), { port = 0, tls = options })
      assert.is_nil(server)
      assert.equal("tls", err.kind)
      return err.message
    end

    it("with a key of another certificate, and names both", function()
      local message = refused { cert = made.one.cert, key = made.two.key }
      assert.matches(made.one.cert, message, 1, true)
      assert.matches(made.two.key, message, 1, true)
    end)

    it("without its files, and with files that are something else", function()
      assert.matches("/nowhere.*No such file", refused { cert = "/nowhere", key = made.one.key })
      assert.matches("/nowhere.*No such file", refused { cert = made.one.cert, key = "/nowhere" })
      assert.matches("no certificate in PEM format", refused { cert = made.one.key, key = made.one.key }, 1, true)
      assert.matches("no private key in PEM format", refused { cert = made.one.cert, key = made.one.cert }, 1, true)
      local broken = folders.read(made.one.cert):gsub("MII", "AAA")
      assert.matches("cannot be read", refused { cert = broken, key = made.one.key }, 1, true)
    end)

    it("with a key that needs a passphrase", function()
      local folder <close> = folders.new {}
      assert(os.execute(("openssl ec -in %s -aes128 -passout pass:x -out %s/key 2>/dev/null")
        :format(made.one.key, folder.path)))
      assert.matches("passphrase", refused { cert = made.one.cert, key = folder.path .. "/key" }, 1, true)
    end)
  end)

  it("says what is wrong with its options", function()
    local function raises(pattern, options)
      local ok, err = pcall(web.listen, app(), { port = 0, tls = options })
      assert.is_false(ok)
      assert.matches(pattern, tostring(err))
    end
    raises("unknown option 'crt' of tls %(did you mean 'cert'%?%)", { crt = "x" })
    raises("needs a certificate", {})
    raises("'verify' of tls", { cert = "x", verify = "maybe" })
    for _, verify in ipairs { "required", "optional", true } do
      raises("option 'verify' of tls needs a ca", { cert = "x", verify = verify })
    end
    raises("'min_version' of tls", { cert = "x", min_version = "1.1" })
    raises("'alpn' of tls", { cert = "x", alpn = "h2" })
    raises("each needs a cert", { certs = { {} } })
    raises("list that is not empty expected", { certs = {} })
    raises("expected table", true)
  end)
end)
