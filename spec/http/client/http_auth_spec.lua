-- ml.http: credentials.
local ml = require "moonloop"
local raw = require "spec.support.http"
local header, serve_echo = raw.header, raw.serve_echo
local http = ml.http

local function authorization(client, ...)
  return header(assert(client.get(...)).body, "Authorization")
end

describe("ml.http auth", function()
  after_each(raw.stop)

  it("{user, password} is sent as Basic credentials (RFC 7617)", function()
    local server = serve_echo()
    for text, auth in pairs {
      ["QWxhZGRpbjpvcGVuIHNlc2FtZQ=="] = { "Aladdin", "open sesame" }, ["Og=="] = { "", "" }, ["YTo="] = { "a", "" },
      ["dGVzdDoxMjPCow=="] = { "test", "123\194\163" },
    } do
      assert.equal("Basic " .. text, authorization(http, server.url, { auth = auth }))
    end
  end)

  it("a text is sent as a bearer token (RFC 6750)", function()
    assert.equal("Bearer mF_9.B5f-4.1JqM", authorization(http, serve_echo().url, { auth = "mF_9.B5f-4.1JqM" }))
  end)

  it("a client's is for all its requests, below the request's own", function()
    local server = serve_echo()
    local client = http.client { auth = "token" }
    assert.equal("Bearer token", authorization(client, client, server.url))
    assert.equal("Bearer other", authorization(client, client, server.url, { auth = "other" }))
    assert.equal("mine", authorization(client, client, server.url, { headers = { authorization = "mine" } }))
    assert.is_nil(authorization(client, client, server.url, { auth = false }))
  end)

  it("a client's is for the origin of its base_url only", function()
    local server, other = serve_echo(), serve_echo()
    local client = http.client { base_url = server.url .. "/v1", auth = { "a", "b" } }
    assert.equal("Basic YTpi", authorization(client, client, "/x"))
    assert.equal("Basic YTpi", authorization(client, client, server.url .. "/v2"))
    assert.is_nil(authorization(client, client, other.url))
  end)

  it("a client's headers are for the origin of its base_url only, also after a redirect", function()
    local other = serve_echo()
    local server = raw.serve(raw.answering(function(head, body)
      if not head:find("^GET /away ") then return raw.ok(head .. body) end
      return "HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " .. other.url .. "\r\n\r\n"
    end))
    local client = http.client { base_url = server.url, headers = { ["X-Key"] = "secret" } }
    local function key(...) return header(assert(client:get(...)).body, "X-Key") end
    assert.equal("secret", key "/x")
    assert.equal("secret", key(server.url .. "/y"))
    assert.is_nil(key(other.url))
    assert.is_nil(key "/away")
    assert.equal("mine", key(other.url, { headers = { ["X-Key"] = "mine" } }))
    local free = http.client { headers = { ["X-Key"] = "secret" } }
    assert.equal("secret", header(assert(free:get(other.url)).body, "X-Key"))
  end)

  it("a value that cannot be sent is an argument error", function()
    for pattern, auth in pairs {
      ["not a valid bearer token"] = "a b", ["{user, password} or a token"] = 5, ["must be strings"] = { "a" },
      ["colon"] = { "a:b", "c" }, ["control character"] = { "a", "b\n" },
    } do
      local good, message = pcall(http.get, "http://127.0.0.1:1", { auth = auth })
      assert.is_false(good)
      assert.matches(pattern, message)
      assert.is_false(pcall(http.client, { auth = auth }))
    end
    local good, message = pcall(http.get, "http://127.0.0.1:1", { auth = "t", headers = { AUTHORIZATION = "x" } })
    assert.is_false(good)
    assert.matches("cannot be used together", message)
  end)
end)
