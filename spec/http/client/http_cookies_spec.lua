-- ml.http: a client that keeps cookies.
local ml = require "moonloop"
local raw = require "spec.support.http"
local serve, answering, ok, header = raw.serve, raw.answering, raw.ok, raw.header
local http = ml.http

-- A server that sets what the query says, and answers with the cookies it got.
local function serve_cookies()
  return serve(answering(function(head)
    local set = head:match("^%S+ [^ ?]*%?(%S*)")
    local line = set and "Set-Cookie: " .. set:gsub("%%20", " ") .. "\r\n" or ""
    return ok(header(head, "Cookie") or "none", line)
  end))
end

describe("ml.http cookies", function()
  after_each(raw.stop)

  it("are not kept unless they are asked for", function()
    local server = serve_cookies()
    local client = http.client()
    assert(client:get(server.url .. "/?a=1"))
    assert.equal("none", assert(client:get(server.url)).body)
  end)

  it("are sent back, changed, and removed", function()
    local server = serve_cookies()
    local client = http.client { cookies = true }
    assert.equal("none", assert(client:get(server.url .. "/?a=1")).body)
    assert.equal("a=1", assert(client:get(server.url .. "/?b=2")).body)
    local both = assert(client:get(server.url)).body
    assert.is_true(both == "a=1; b=2" or both == "b=2; a=1")
    assert(client:get(server.url .. "/?a=3"))
    assert(client:get(server.url .. "/?b=x;%20Max-Age=0"))
    assert.equal("a=3", assert(client:get(server.url)).body)
  end)

  it("keep to their path and their host", function()
    local server = serve_cookies()
    local client = http.client { cookies = true }
    assert(client:get(server.url .. "/?a=1;%20Path=/in"))
    assert.equal("none", assert(client:get(server.url .. "/out")).body)
    assert.equal("a=1", assert(client:get(server.url .. "/in/x")).body)
    assert.equal("none", assert(client:get((server.url:gsub("127.0.0.1", "localhost")) .. "/in")).body)
  end)

  it("of a redirect are kept, and sent to where it leads", function()
    local server = serve(answering(function(head)
      if head:find("^GET /login") then
        return "HTTP/1.1 302 X\r\nLocation: /home\r\nSet-Cookie: session=s\r\nContent-Length: 0\r\n\r\n"
      end
      return ok(header(head, "Cookie") or "none")
    end))
    assert.equal("session=s", assert(http.client { cookies = true }:get(server.url .. "/login")).body)
  end)

  it("those of a request go with them, in one header", function()
    local server = serve_cookies()
    local client = http.client { cookies = true }
    assert(client:get(server.url .. "/?a=1"))
    assert.equal("a=1; mine=2", assert(client:get(server.url, { headers = { Cookie = "mine=2" } })).body)
    assert.equal("a=1", assert(client:get(server.url)).body)
  end)

  it("each client has its own", function()
    local server = serve_cookies()
    local a, b = http.client { cookies = true }, http.client { cookies = true }
    assert(a:get(server.url .. "/?a=1"))
    assert.equal("none", assert(b:get(server.url)).body)
    assert.equal("a=1", assert(a:get(server.url)).body)
  end)

  it("stay when the client is closed over a request", function()
    local server = serve_cookies()
    local client = http.client { cookies = true }
    local task = ml.spawn(client.get, client, server.url .. "/?a=1")
    ml.sleep(0)
    client:close()
    assert.equal(200, assert(task:await()).status)
  end)
end)
