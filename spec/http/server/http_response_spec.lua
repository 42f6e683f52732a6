-- What a response looks like on the wire: RFC 9110 and RFC 9112.
local web = require "moonloop.web"
local rawtcp = require("spec.support").rawtcp
local support = require "spec.support.web"
local keep_reports = require "reports".keep

local request = support.request

local function app_of(answers)
  local app = web.app()
  for path, answer in pairs(answers) do app:any(path, function() return table.unpack(answer, 1, 3) end) end
  return app
end

-- The head of the answer to `text`, and every byte that comes until the server closes.
local function raw(app, text)
  local all
  support.serving(app, function(port)
    local conn <close> = assert(rawtcp.connect(port))
    conn:send(text)
    all = assert(conn:receive "*a")
  end)
  local head, body = all:match "^(.-\r\n\r\n)(.*)$"
  return head, body
end

local function closing(method, target) return request(method, target, "Connection: close\r\n") end

local function count(head, name)
  return select(2, ("\r\n" .. head):lower():gsub("\r\n" .. name:lower():gsub("%-", "%%-") .. ":", ""))
end

describe("a response", function()
  it("of 204 or 304 has no body, no Content-Length and no Content-Type, whatever the handler returned", function()
    for _, status in ipairs { 204, 304 } do
      local head, body = raw(app_of { ["/"] = { { a = 1 }, status } }, closing("GET", "/"))
      assert.matches("^HTTP/1.1 " .. status .. " ", head)
      assert.equal("", body)
      assert.same({ 0, 0, 0 },
        { count(head, "Content-Length"), count(head, "Content-Type"), count(head, "Transfer-Encoding") })
    end
  end)
  it("of 205 is framed and empty", function()
    local head, body = raw(app_of { ["/"] = { "text", 205 } }, closing("GET", "/"))
    assert.matches("Content%-Length: 0\r\n", head)
    assert.equal("", body)
  end)
  it("without a body does not hide the next one", function()
    local app = app_of { ["/204"] = { nil, 204 }, ["/304"] = { "x", 304 }, ["/200"] = { "after" } }
    local _, rest = raw(app, request("GET", "/204") .. request("GET", "/304") .. request("HEAD", "/200")
      .. closing("GET", "/200"))
    assert.equal(3, select(2, rest:gsub("HTTP/1%.1 ", "")))
    assert.matches("\r\n\r\nafter$", rest)
  end)
  it("to HEAD has the head of the answer to GET, byte for byte, and no body", function()
    local answers = { ["/"] = { { a = 1 } }, ["/text"] = { ("x"):rep(1000) }, ["/empty"] = { "" } }
    local reports <close> = keep_reports()
    for _, target in ipairs { "/", "/text", "/empty", "/none", "/bad" } do
      local function head_of(method)
        local app = app_of(answers):any("/bad", function() web.abort(500) end)
        local head, body = raw(app, closing(method, target))
        return head:gsub("Date: [^\r]*", ""), body
      end
      local by_get, by_head = head_of "GET", { head_of "HEAD" }
      assert.equal(by_get, by_head[1])
      assert.equal("", by_head[#by_head])
    end
    assert.equal("moonloop: GET /bad failed: http: 500 Internal Server Error\n" ..
      "moonloop: HEAD /bad failed: http: 500 Internal Server Error\n", reports:text())
  end)
  it("has one Content-Length with the number of its bytes, even if that is 0", function()
    for _, text in ipairs { "", "x", ("\xc3\xa9"):rep(5000) } do
      local head, body = raw(app_of { ["/"] = { text } }, closing("GET", "/"))
      assert.equal(text, body)
      assert.equal(1, count(head, "Content-Length"))
      assert.equal(#text, tonumber(head:match "Content%-Length: (%d+)"))
    end
  end)
  it("has one Date, even for an error", function()
    for _, text in ipairs { closing("GET", "/"), closing("GET", "/none"), "GET / HTTP/1.1\r\n\r\n", "\1\r\n\r\n" } do
      local head = raw(app_of { ["/"] = { "x" } }, text)
      assert.equal(1, count(head, "Date"))
      assert.matches("Date: %a%a%a, %d%d %a%a%a %d%d%d%d %d%d:%d%d:%d%d GMT\r\n", head)
    end
  end)
  it("says Connection: close when the server will close, and only then", function()
    local app = app_of { ["/"] = { "x" } }
    assert.equal(0, count((raw(app, request("GET", "/") .. closing("GET", "/"))), "Connection"))
    for _, text in ipairs {
      closing("GET", "/"), "GET / HTTP/1.0\r\n\r\n", "GET / HTTP/1.1\r\n\r\n",
      request("GET", "/", "Connection: x, Close ,y\r\n"), request("GET", "/none", "Connection: close\r\n"),
      "GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n",
    } do
      assert.matches("\r\nConnection: close\r\n", (raw(app, text)))
    end
  end)
  it("to HTTP/1.0 is HTTP/1.1, says keep-alive if asked for, and is never in chunks", function()
    local app = app_of { ["/"] = { "x" } }
    app:get("/stream", function() return web.response { stream = function(out) out:write "abc" end } end)
    local head = raw(app, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET / HTTP/1.0\r\n\r\n")
    assert.matches("^HTTP/1.1 200 OK\r\n", head)
    assert.matches("\r\nConnection: keep%-alive\r\n", head)
    local streamed, body = raw(app, "GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert.equal(0, count(streamed, "Transfer-Encoding"))
    assert.matches("\r\nConnection: close\r\n", streamed)
    assert.equal("abc", body)
  end)
  it("of 405 says what is allowed, and 501, 505, 400 and 431 close", function()
    local app = web.app():get("/", function() end):post("/", function() end)
    local head = raw(app, closing("DELETE", "/"))
    assert.matches("^HTTP/1.1 405 Method Not Allowed\r\n", head)
    assert.matches("\r\nAllow: [^\r]*GET[^\r]*POST", head)
    for status, text in pairs {
      [501] = "FOO / HTTP/1.1\r\nHost: a\r\n\r\n", [505] = "GET / HTTP/3.0\r\nHost: a\r\n\r\n",
      [400] = "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", [431] = request("GET", "/", ("A: b\r\n"):rep(200)),
    } do
      local refusal = raw(app, text .. request("GET", "/"))
      assert.matches("^HTTP/1.1 " .. status .. " ", refusal)
      assert.matches("\r\nConnection: close\r\n", refusal)
    end
  end)
end)
