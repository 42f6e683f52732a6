-- ml.http: requests through a proxy.
local ml = require "moonloop"
local raw = require "spec.support.http"
local rawtcp = require("spec.support").rawtcp
local serve, ok, header, serve_echo = raw.serve, raw.ok, raw.header, raw.serve_echo
local http = ml.http

-- A proxy that answers for every host itself, with the request it got; `asked` counts. It makes tunnels
-- to ports of this machine.
local function serve_proxy()
  local proxy
  proxy = serve(function(conn)
    for head, body in raw.read_request, conn do
      proxy.asked = proxy.asked + 1
      proxy.head = head
      local port = head:match("^CONNECT [^ :]+:(%d+) ")
      if not port then
        conn:send(ok(head .. body, "Via: 1.1 spec\r\n"))
      else
        local target <close> = assert(rawtcp.connect(tonumber(port)))
        conn:send("HTTP/1.1 200 Connected\r\nX-Proxy: 1\r\n\r\n")
        local there <close> = ml.group()
        there:spawn(function()
          for text in function() return conn:receive(nil, 60) end do target:send(text) end
          target:shutdown()
        end)
        for text in function() return target:receive(nil, 60) end do conn:send(text) end
        return
      end
    end
  end)
  proxy.asked = 0
  return proxy
end

describe("ml.http proxies", function()
  local getenv = os.getenv
  local function environment(variables)
    os.getenv = function(name) return variables[name] end -- luacheck: ignore
  end

  after_each(function()
    os.getenv = getenv -- luacheck: ignore
    raw.stop()
  end)

  it("http requests are sent to the client's proxy, with the whole URL", function()
    local proxy = serve_proxy()
    local client = http.client { proxy = proxy.url }
    local res = assert(client:get("http://nowhere.invalid/x?y=1"))
    assert.matches("^GET http://nowhere.invalid/x%?y=1 HTTP/1.1", res.body)
    assert.equal("1.1 spec", res.headers.via)
    assert.equal("http://nowhere.invalid/x?y=1", res.url)
    assert(client:post("http://elsewhere.invalid/", { body = "b" }))
    assert.equal(2, proxy.asked)
    assert.equal(1, proxy.connections)
  end)

  it("its user and password go only to the proxy", function()
    local proxy = serve_proxy()
    local res = assert(http.client { proxy = proxy.url:gsub("//", "//u:p@") }:get("http://nowhere.invalid/"))
    assert.equal("Basic dTpw", header(res.body, "Proxy-Authorization"))
    assert.is_nil(header(res.body, "Authorization"))
  end)

  it("https goes through a tunnel", function()
    local proxy = serve_proxy()
    local target = serve(function(conn)
      conn:receive()
      conn:send("no TLS here\r\n\r\n")
    end)
    local url = target.url:gsub("^http", "https")
    local res, err = http.client { proxy = proxy.url }:get(url .. "/secret")
    raw.assert_error("tls", "CURLE_SSL_CONNECT_ERROR", res, err)
    assert.matches("^CONNECT 127.0.0.1:%d+ HTTP/1.1", proxy.head)
    assert.not_matches("secret", proxy.head)
    assert.equal(1, target.connections)
  end)

  it("a tunnel that is refused is an error", function()
    local proxy = serve(raw.answering("HTTP/1.1 407 X\r\nContent-Length: 0\r\n\r\n"))
    local res, err = http.client { proxy = proxy.url }:get("https://nowhere.invalid/")
    assert.is_nil(res)
    assert.equal("network", err.kind)
    assert.matches("407", err.message)
  end)

  it("a missing proxy is an error of its kind", function()
    local listener = rawtcp.listen()
    local port = listener.port
    listener:close()
    raw.assert_error("network", "ECONNREFUSED",
      http.client { proxy = "http://127.0.0.1:" .. port }:get("http://nowhere.invalid/"))
    raw.assert_error("dns", "CURLE_COULDNT_RESOLVE_PROXY",
      http.client { proxy = "http://nobody.invalid:1" }:get("http://127.0.0.1/"))
  end)

  it("those of the environment are used, except for no_proxy", function()
    local proxy, server = serve_proxy(), serve_echo()
    environment { http_proxy = proxy.url, no_proxy = "other.invalid,127.0.0.1" }
    local client = http.client()
    assert.equal("1.1 spec", assert(client:get("http://nowhere.invalid/")).headers.via)
    assert.is_nil(assert(client:get(server.url)).headers.via)
    assert.equal(1, proxy.asked)
    environment { all_proxy = proxy.url }
    assert.equal("1.1 spec", assert(http.client():get(server.url)).headers.via)
    environment { ALL_PROXY = proxy.url, http_proxy = "" }
    assert.equal("1.1 spec", assert(http.client():get(server.url)).headers.via)
  end)

  it("are looked up with the first request of a client, and then no more", function()
    local proxy, server = serve_proxy(), serve_echo()
    local client = http.client()
    environment { http_proxy = proxy.url }
    assert(client:get(server.url))
    assert.equal(1, proxy.asked)
    environment {}
    assert(client:get(server.url))
    assert.equal(2, proxy.asked)
  end)

  it("HTTP_PROXY in capitals is not read", function()
    local proxy, server = serve_proxy(), serve_echo()
    environment { HTTP_PROXY = proxy.url }
    assert(http.client():get(server.url))
    assert.equal(0, proxy.asked)
  end)

  it("proxy = false connects directly, whatever the environment says", function()
    local proxy, server = serve_proxy(), serve_echo()
    environment { http_proxy = proxy.url, all_proxy = proxy.url }
    assert(http.client { proxy = false }:get(server.url))
    assert.equal(0, proxy.asked)
  end)

  it("an invalid proxy is named", function()
    for _, proxy in ipairs { 5, true, "", "http://a b" } do
      local good, message = pcall(http.client, { proxy = proxy })
      assert.is_false(good)
      assert.matches("proxy: ", message)
    end
  end)
end)
