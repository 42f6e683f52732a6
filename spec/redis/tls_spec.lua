-- rediss://: TLS to a Redis server.
local ml = require "moonloop"
local process = require "spec.support.process"
local proxies = require "spec.support.proxy"
local redis = require "spec.support.redis"
local servers = require "spec.support.servers"
local tls = require "spec.support.tls"

local missing = redis.missing() or not tls.is_there() and "openssl is not installed"

describe("a Redis server with TLS", function()
  if missing then return pending(missing) end

  local certs, server, port, url

  setup(function()
    certs = tls.certificates { good = {}, client = { names = { "DNS:client" } } }
    os.execute(("chmod -R a+rX %s"):format(process.quote(certs.path)))
    port = servers.free_port()
    local words = "--tls-port %d --tls-cert-file %s --tls-key-file %s --tls-ca-cert-file %s --tls-auth-clients optional"
    server = redis.start(words:format(port, certs.good.cert, certs.good.key, certs.ca))
    url = "rediss://localhost:" .. port
  end)

  teardown(function()
    server:close()
    certs:close()
  end)

  it("is spoken to as any other", function()
    local r <close> = ml.redis.client(url, { tls = { ca = certs.ca }, timeout = 60, connect_timeout = 60 })
    assert.equal("PONG", r:ping())
    local long = ("x"):rep(1000000)
    assert.truthy(r:set("long", long))
    assert.equal(long, r:get "long")
    local results = ml.map({ 1, 2, 3, 4, 5, 6, 7, 8 }, function(i) return r:incrby("n", i) end)
    assert.equal(8, #results)
    assert.equal("36", r:get "n")
    local got
    ml.spawn(function()
      repeat ml.sleep(0.01) until got or r:publish("news", "hello") > 0
    end)
    local next_message, state, _, closing = r:subscribe "news"
    local _ <close> = closing
    got = next_message(state).payload
    assert.equal("hello", got)
  end)

  it("is one by the option tls, too, with a certificate of ours", function()
    local r <close> = ml.redis.client("redis://127.0.0.1:" .. port,
      { tls = { ca = certs.ca, cert = certs.client.cert, key = certs.client.key }, timeout = 60 })
    assert.equal("PONG", r:ping())
  end)

  it("is refused where its certificate is not trusted, and the error says why", function()
    local r <close> = ml.redis.client(url, { timeout = 60 })
    local reply, err = r:ping()
    assert.is_nil(reply)
    assert.equal("tls", err.kind)
    local other <close> = ml.redis.client(url, { tls = { ca = certs.ca, server_name = "other.example" }, timeout = 60 })
    reply, err = other:ping()
    assert.is_nil(reply)
    assert.equal("tls", err.kind)
    assert.matches("other.example", err.message, 1, true)
  end)

  it("is connected to again", function()
    local r <close> = ml.redis.client(url, { tls = { ca = certs.ca }, timeout = 60, connect_timeout = 60 })
    local plain <close> = server:client { timeout = 60 }
    assert.equal("PONG", r:ping())
    plain:command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    redis.eventually("no new connection", function() return r:ping() end)
  end)

  it("has options that are checked", function()
    for _, case in ipairs {
      { { tls = { foo = 1 } }, "unknown option 'foo' of the option 'tls' of ml.redis.client" },
      { { tls = 1 }, "option 'tls' of ml.redis.client is 1" },
      { { tls = false }, "option 'tls' is false, and the URL says rediss://" },
    } do
      local ok, err = pcall(ml.redis.client, url, case[1])
      assert.is_false(ok)
      assert.matches(case[2], tostring(err), 1, true)
    end
    local ok, err = pcall(ml.redis.client, url, { tls = { ca = "/no/such/file" } })
    assert.is_false(ok)
    assert.equal("tls", err.kind)
  end)

  it("is connected to again where it was cut off, and where it was in the middle of a handshake", function()
    local proxy <close> = proxies.start(port)
    local r <close> = ml.redis.client("rediss://localhost:" .. proxy.port,
      { tls = { ca = certs.ca }, timeout = 60, connect_timeout = 60 })
    local next_message, state, _, closing = r:subscribe "cut"
    local _ <close> = closing
    local whole, handshakes = proxy.pass, 0
    proxy.pass = function(bytes, upwards)
      if upwards then handshakes = handshakes + 1 end
      return { bytes:sub(1, 50), cut = true }
    end
    proxy:cut()
    local reader, pinger = ml.spawn(next_message, state), ml.spawn(function() return r:ping() end)
    servers.eventually(60, "the handshakes are few", function() return handshakes > 6 end)
    proxy.pass = whole
    assert.is_true(reader:await().gap)
    assert.equal("PONG", pinger:await())
    assert(r:publish("cut", "after") == 1)
    assert.equal("after", next_message(state).payload)
  end)
end)
