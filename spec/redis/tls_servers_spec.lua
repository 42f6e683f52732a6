-- rediss:// to servers that belong together: the nodes of a cluster, sentinels and their master.
local ml = require "moonloop"
local process = require "spec.support.process"
local redis = require "spec.support.redis"
local tls = require "spec.support.tls"

local missing = redis.missing() or not tls.is_there() and "openssl is not installed"

describe("Redis servers with TLS", function()
  if missing then return pending(missing) end

  local certs

  setup(function()
    certs = tls.certificates { good = {}, own = { signer = "self" } }
    os.execute(("chmod -R a+rX %s"):format(process.quote(certs.path)))
  end)

  teardown(function() certs:close() end)

  local function options() return { tls = { ca = certs.ca }, timeout = 60, connect_timeout = 60 } end

  it("are a cluster, all nodes of which are spoken to by TLS", function()
    local nodes <close> = redis.start_cluster(3, 0, certs)
    local r <close> = ml.redis.client({ cluster = "rediss://localhost:" .. nodes[1].tls_port }, options())
    for i = 1, 30 do assert(r:set("key:" .. i, i)) end
    for i = 1, 30 do assert.equal(tostring(i), r:get("key:" .. i)) end
    local replies = r:pipeline(function(p)
      for i = 1, 30 do p:incr("key:" .. i) end
    end)
    for i = 1, 30 do assert.equal(i + 1, replies[i]) end
    for _, node in ipairs(nodes) do
      local client <close> = node:client()
      assert.is_true(client:dbsize() > 0)
      -- The name of a connection with TLS: only its port tells.
      local list = client:call("CLIENT", "LIST")
      assert.truthy(list:find("laddr=127.0.0.1:" .. node.tls_port, 1, true), list)
      assert.is_nil(list:find("laddr=127.0.0.1:" .. node.port .. " ", 1, true), list)
    end
    local stranger <close> = ml.redis.client({ cluster = "rediss://localhost:" .. nodes[1].tls_port },
      { tls = { ca = certs.own.cert }, timeout = 60 })
    assert.equal("tls", select(2, stranger:get "key:1").kind)
  end)

  it("are sentinels and the master that they name", function()
    local words, port = redis.tls_words(certs)
    local master <close> = redis.start(words)
    master.tls_port = port
    local sentinels <close> = redis.start_sentinels(1, master, certs)
    local r <close> = ml.redis.client({ sentinels = { "rediss://localhost:" .. sentinels[1].tls_port } }, options())
    assert.equal("PONG", r:ping())
    assert(r:set("a", "b"))
    assert.equal("b", r:get "a")
    local client <close> = master:client()
    assert.equal("b", client:get "a")
    assert.truthy(client:call("CLIENT", "LIST"):find("laddr=127.0.0.1:" .. port, 1, true))
    local stranger <close> = ml.redis.client({ sentinels = { "rediss://localhost:" .. sentinels[1].tls_port } },
      { tls = { ca = certs.own.cert }, timeout = 60 })
    assert.equal("tls", select(2, stranger:get "a").kind)
  end)
end)
