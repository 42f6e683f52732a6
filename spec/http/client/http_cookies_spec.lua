-- ml.http: a client that keeps cookies.
local ml = require "moonloop"
local raw = require "spec.support.http"
local serve, answering, ok, header = raw.serve, raw.answering, raw.ok, raw.header

-- A server that sets what the query says, and answers with the cookies it got.
local function serve_cookies()
  return serve(answering(function(head)
    local set = head:match("^%S+ [^ ?]*%?(%S*)")
    local line = set and "Set-Cookie: " .. set:gsub("%%20", " ") .. "\r\n" or ""
    return ok(header(head, "Cookie") or "none", line)
  end))
end

local function specs(http)
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
    assert.equal("a=1; b=2", assert(client:get(server.url)).body)
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
    assert.equal("none", assert(client:get((server.url:gsub("127.0.0.1", "LOCALHOST")) .. "/in/?b=2")).body)
    assert.equal("b=2", assert(client:get((server.url:gsub("127.0.0.1", "localhost")) .. "/in/")).body)
  end)

  it("of each redirect are kept, and sent to the hosts they are for", function()
    local other = serve_cookies()
    local elsewhere = other.url:gsub("127.0.0.1", "localhost")
    local server = serve(answering(function(head)
      local path = head:match "^%S+ (%S+)"
      local to = ({ ["/1"] = "/2", ["/2"] = elsewhere .. "/?c=3" })[path]
      if not to then return ok(header(head, "Cookie") or "none") end
      return ("HTTP/1.1 302 X\r\nLocation: %s\r\nSet-Cookie: n%s=1\r\nSet-Cookie: x=%s\r\nContent-Length: 0\r\n\r\n")
        :format(to, path:sub(2), path:sub(2))
    end))
    local client = http.client { cookies = true }
    local res = assert(client:get(server.url .. "/1", { headers = { Cookie = "own=1" } }))
    assert.equal("none", res.body)
    assert.equal(2, #res.history)
    assert.equal("n1=1; x=2; n2=1", assert(client:get(server.url .. "/")).body)
    assert.equal("c=3", assert(client:get(elsewhere)).body)
  end)

  it("are taken from responses of any status, and from heads of streamed ones", function()
    local server = serve(answering(function(head)
      local status = head:match "^%S+ /(%d+)"
      if not status then return ok(header(head, "Cookie") or "none") end
      return ("HTTP/1.1 %s X\r\nset-cookie: s%s=1; path=/\r\nContent-Length: 0\r\n\r\n"):format(status, status)
    end))
    local client = http.client { cookies = true, base_url = server.url }
    for _, status in ipairs { "404", "500" } do assert(client:get("/" .. status)) end
    assert(client:get("/201", { stream = true })):close()
    assert.equal("s404=1; s500=1; s201=1", assert(client:post("/", { body = "x" })).body)
  end)

  it("are taken from 50 headers of a response", function()
    local lines = {}
    for i = 1, 60 do lines[i] = ("Set-Cookie: c%d=1\r\n"):format(i) end
    local server = serve(answering(function(head) return ok(header(head, "Cookie") or "none", table.concat(lines)) end))
    local client = http.client { cookies = true, base_url = server.url }
    assert(client:get("/"))
    local text = assert(client:get("/")).body
    assert.truthy(text:find("c50=1", 1, true))
    assert.is_nil(text:find("c51=1", 1, true))
  end)

  it("are sent with the request that a retry, and a hook, makes of it", function()
    local n = 0
    local server = serve(answering(function(head)
      n = n + 1
      if n > 1 then return ok(header(head, "Cookie") or "none") end
      return "HTTP/1.1 503 X\r\nSet-Cookie: t=1\r\nContent-Length: 0\r\n\r\n"
    end))
    local client = http.client { cookies = true, retries = { base = 0 }, hooks = { request = function(request)
      request.headers.cookie = "h=2"
    end } }
    assert.equal("t=1; h=2", assert(client:get(server.url)).body)
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
    assert.equal("a=5; mine=2", assert(client:get(server.url, { headers = { Cookie = "a=5; mine=2" } })).body)
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
end

describe("ml.http cookies", function() specs(ml.http) end)
raw.over_https(describe, "ml.http cookies", specs)

describe("ml.http cookies", function()
  after_each(raw.stop)

  it("go by the clock of ml.time.now", function()
    local server = serve_cookies()
    local client = ml.http.client { cookies = true, timeout = math.huge }
    assert(client:get(server.url .. "/?a=1;%20Max-Age=3600"))
    assert.equal("a=1", assert(client:get(server.url)).body)
    require "moonloop.clock".virtual()
    ml.sleep(3601)
    assert.equal("none", assert(client:get(server.url)).body)
  end)

  it("go with allow_address", function()
    local server = serve_cookies()
    local client = ml.http.client { cookies = true, allow_address = function() return true end, proxy = false }
    assert(client:get(server.url .. "/?a=1"))
    assert.equal("a=1", assert(client:get(server.url)).body)
  end)
end)
