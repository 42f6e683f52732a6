-- ml.http over https, on its own engine: certificates, how connections begin and end, what it costs.
local ml = require "moonloop"
local raw = require "spec.support.http"
local tls = require "spec.support.tls"
local web = ml.web
local assert_error = raw.assert_error

describe("ml.http over https", function()
  if not tls.is_there() then return pending "openssl is not installed" end

  local certs

  setup(function()
    certs = tls.certificates {
      server = {}, other = { names = { "DNS:other.example" } }, old = { days = -1 }, own = { signer = "self" },
      client = { names = { "DNS:client" } },
    }
  end)

  teardown(function() certs:close() end)

  --- Calls f(url, server) with an app that has the certificate `name`.
  local function serving(name, f, opts)
    local app = web.app { max_body = 32 << 20 }
    app:get("/", function() return "here" end)
    app:get("/long", function() return ("z"):rep(4 << 20) end)
    app:post("/", function(req) return web.response { body = req.body } end)
    app:get("/resumed", function(req) return tostring(req.tls.resumed) end)
    local pair = { cert = certs[name].cert, key = certs[name].key }
    for key, value in pairs(opts or {}) do pair[key] = value end
    local server = assert(web.listen(app, { port = 0, tls = pair }))
    local ok, err = pcall(f, "https://localhost:" .. server.port, server)
    server:stop(0)
    if not ok then error(err, 0) end
  end

  local function client(opts)
    local with = { ca = certs.ca, timeout = 60 }
    for key, value in pairs(opts or {}) do with[key] = value end
    return ml.http.client(with)
  end

  it("keeps connections, for requests one after the other and with bodies", function()
    serving("server", function(url, server)
      local c <close> = client { base_url = url }
      local body = ("x"):rep(5 << 20)
      for _ = 1, 3 do
        assert.equal("here", assert(c:get("/")).body)
        assert.equal(body, assert(c:post("/", { body = body })).body)
      end
      assert.equal(1, server.connections)
      assert.equal(url .. "/", c:get(url .. "/").url)
      assert.equal("here", c:get(url:gsub("localhost", "127.0.0.1") .. "/").body)
    end)
  end)

  it("streams bodies in both directions", function()
    serving("server", function(url)
      local c <close> = client { base_url = url }
      local n, size = 0, 0
      local res = assert(c:post("/", { stream = true, body = function()
        n = n + 1
        return n <= 64 and ("y"):rep(65536) or nil
      end }))
      for piece in res:chunks() do size = size + #piece end
      assert.equal(64 * 65536, size)
    end)
  end)

  it("goes on with what has come already after a pause of its reader", function()
    serving("server", function(url)
      local c <close> = client { base_url = url }
      local res, size = assert(c:get("/long", { stream = true })), 0
      for piece in res:chunks() do
        size = size + #piece
        ml.sleep(0.001)
      end
      assert.equal(4 << 20, size)
    end)
  end)

  it("refuses certificates, says which and why, and takes them with verify = false", function()
    for name, why in pairs { other = "other.example", old = "expired", own = "self" } do
      serving(name, function(url)
        local c <close> = client()
        local err = assert_error("tls", "BAD_CERTIFICATE", c:get(url))
        assert.matches("^GET https://localhost:%d+/: ", err.message)
        assert.matches(why, err.message)
        assert.equal("here", assert(c:get(url, { verify = false })).body)
        assert_error("tls", "BAD_CERTIFICATE", c:get(url)) -- nor on the connection just made
        assert.equal("here", assert(client({ verify = false }):get(url)).body)
      end)
    end
    serving("server", function(url)
      assert_error("tls", "BAD_CERTIFICATE", ml.http.get(url)) -- the system does not know the authority
    end)
  end)

  it("shows a certificate of its own to a server that wants one", function()
    serving("server", function(url)
      local without <close> = client()
      local with <close> = client { cert = certs.client.cert, key = certs.client.key }
      assert.equal("tls", select(2, without:get(url)).kind)
      assert.equal("here", assert(with:get(url)).body)
    end, { ca = certs.ca, verify = "required" })
  end)

  it("shows it to the origin of its base_url alone, whatever redirects and whole URLs lead to", function()
    local app = web.app()
    app:get("/", function(req) return req.tls.peer and "shown" or "hidden" end)
    app:get("/to", function(req) return web.redirect(req.query.url) end)
    local pair = { cert = certs.server.cert, key = certs.server.key, ca = certs.ca, verify = "optional" }
    local asks = { port = 0, tls = pair }
    local own, other = assert(web.listen(app, asks)), assert(web.listen(app, asks))
    local function url(server) return ("https://localhost:%d/"):format(server.port) end
    for _, opts in ipairs { {}, { verify = false } } do
      local c <close> = client { base_url = url(own):upper():gsub("HTTPS", "https"), cert = certs.client.cert,
        key = certs.client.key, verify = opts.verify }
      assert.equal("shown", assert(c:get "/").body)
      assert.equal("shown", assert(c:get(url(own))).body)
      assert.equal("hidden", assert(c:get(url(other))).body)
      assert.equal("hidden", assert(c:get("/to", { query = { url = url(other) } })).body)
      assert.equal("shown", assert(c:get("/to", { query = { url = url(own) } })).body)
    end
    local c <close> = client { cert = certs.client.cert, key = certs.client.key }
    assert.equal("shown", assert(c:get(url(other))).body)
    own:stop(0)
    other:stop(0)
  end)

  it("says which file cannot be read", function()
    local c <close> = ml.http.client { ca = "/nowhere/ca.pem" }
    local err = assert_error("tls", "OWN_CERTIFICATE", c:get "https://localhost:1/")
    assert.matches("/nowhere/ca.pem", err.message, 1, true)
    for _, name in ipairs { "ca", "cert", "key" } do
      assert.error_matches(function() ml.http.client { [name] = 1 } end, name)
    end
  end)

  it("takes a connection that is cut for an error, not for the end of a body", function()
    local plain = raw.serve(function(conn)
      conn:receive(5)
      conn:close()
    end)
    local err = assert_error("tls", "HANDSHAKE", ml.http.get((plain.url:gsub("^http", "https"))))
    assert.matches("during the handshake", err.message)
    raw.stop()
  end)

  it("ends a handshake that gets no answer with the request", function()
    local silent = raw.serve(function(conn) conn:receive("*a") end)
    local _, err = ml.http.get(silent.url:gsub("^http", "https"), { timeout = 0.05 })
    assert.equal("timeout", err.kind)
    local task = ml.spawn(ml.http.get, (silent.url:gsub("^http", "https")))
    while silent.connections < 2 do ml.sleep(0.001) end
    task:cancel()
    while silent.open > 0 do ml.sleep(0.001) end
    raw.stop()
  end)

  it("serves many requests at once", function()
    serving("server", function(url)
      local c <close> = client { base_url = url, max_connections = 8 }
      local asks = {}
      for i = 1, 64 do asks[i] = function() return assert(c:get("/")).body end end
      assert.equal(("here"):rep(64), table.concat { ml.gather(table.unpack(asks)) })
    end)
  end)

  describe("resumes the session of a connection that is gone", function()
    local function is_resumed(c, url) return assert(c:get(url .. "/resumed")).body end

    it("where its origin is the same, one of TLS 1.3 and its tickets once", function()
      serving("server", function(url)
        local c <close> = client { idle = 0 }
        assert.equal("false", is_resumed(c, url))
        for _ = 1, 3 do assert.equal("true", is_resumed(c, url)) end
        assert.equal("false", is_resumed(c, url:gsub("localhost", "127.0.0.1")))
        assert.equal("true", is_resumed(c, url:gsub("localhost", "127.0.0.1")))
        assert.equal("false", assert(c:get(url .. "/resumed", { verify = false })).body)
        assert.equal("true", is_resumed(c, url))
        local other <close> = client { idle = 0 }
        assert.equal("false", is_resumed(other, url))
      end)
    end)

    it("and many at a time, as far as there are sessions", function()
      serving("server", function(url)
        local c <close> = client { idle = 0 }
        local function round()
          local list = {}
          for i = 1, 12 do list[i] = function() return is_resumed(c, url) end end
          local n = 0
          for _, text in ipairs(ml.gather(list)) do n = n + (text == "true" and 1 or 0) end
          return n
        end
        round()
        assert.is_true(round() >= 1) -- one that is cut cannot be resumed
      end)
    end)

    it("for an hour after the certificate was checked", function()
      serving("server", function(url)
        local clock = require "moonloop.clock"
        local c <close> = client { idle = 0, timeout = math.huge }
        assert.equal("false", is_resumed(c, url))
        clock.virtual()
        ml.sleep(3000)
        assert.equal("true", is_resumed(c, url))
        ml.sleep(3000)
        assert.equal("false", is_resumed(c, url))
        assert.equal("true", is_resumed(c, url))
        clock.real()
      end)
    end)

    it("of 64 in all", function()
      local app = web.app()
      app:get("/resumed", function(req) return tostring(req.tls.resumed) end)
      local servers, c <close> = {}, client { idle = 0 }
      for i = 1, 65 do
        servers[i] = assert(web.listen(app, { port = 0, tls = { cert = certs.server.cert, key = certs.server.key } }))
        assert.equal("false", is_resumed(c, "https://localhost:" .. servers[i].port))
      end
      assert.equal("true", is_resumed(c, "https://localhost:" .. servers[65].port))
      assert.equal("true", is_resumed(c, "https://localhost:" .. servers[2].port))
      assert.equal("false", is_resumed(c, "https://localhost:" .. servers[1].port))
      for _, server in ipairs(servers) do server:stop(0) end
    end)

    it("also of TLS 1.2, any number of times", function()
      local function serve()
        local p = assert(ml.process.spawn { "openssl", "s_server", "-accept", "127.0.0.1:0", "-www", "-tls1_2",
          "-cert", certs.server.cert, "-key", certs.server.key, stderr = "stdout" })
        local port
        for line in p.stdout:lines() do
          port = line:match "^ACCEPT .*:(%d+)$"
          if port then return p, port end
        end
        error "openssl s_server did not start"
      end
      local p <close>, port = serve() -- luacheck: ignore
      local c <close> = client { idle = 0 }
      local function kind()
        return assert(c:get("https://localhost:" .. port .. "/")).body:match "(%a+), TLSv1.2, Cipher"
      end
      assert.equal("New", kind())
      for _ = 1, 3 do assert.equal("Reused", kind()) end
    end)
  end)
end)
