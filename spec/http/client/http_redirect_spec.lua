-- ml.http: redirects (RFC 9110 15.4), and what is not sent on to another origin.
local ml = require "moonloop"
local raw = require "spec.support.http"
local url = require "moonloop.http.url"
local serve, answering, ok, header, serve_echo = raw.serve, raw.answering, raw.ok, raw.header, raw.serve_echo
local assert_error = raw.assert_error

local function redirect(location, status, headers)
  return ("HTTP/1.1 %d X\r\nLocation: %s\r\n%sContent-Length: 0\r\n\r\n"):format(status or 302, location, headers or "")
end

raw.on_both_ways(describe, "ml.http redirects", function(http)
  after_each(raw.stop)

  -- A server that answers /NNN/rest with status NNN and the location /rest, and anything else with itself.
  local function serve_redirects()
    return serve(answering(function(head, body)
      local status, location = head:match("^%S+ /(3%d%d)(%S*)")
      if status then
        return ("HTTP/1.1 %s X\r\nLocation: %s\r\nX-From: redirect\r\nContent-Length: 3\r\n\r\nbye")
          :format(status, location)
      end
      return ok(head .. body)
    end))
  end

  it("are followed, and res is the last response", function()
    local server = serve_redirects()
    local res = assert(http.get(server.url .. "/302/301/307/end"))
    assert.equal("GET /end HTTP/1.1", res.body:match("^[^\r]+"))
    assert.equal(server.url .. "/end", res.url)
    assert.is_nil(res.headers["X-From"])
    assert.equal(1, server.connections)
  end)

  it("follow_redirects = false gives the redirect itself", function()
    local server = serve_redirects()
    local res = assert(http.get(server.url .. "/302/end", { follow_redirects = false }))
    assert.equal(302, res.status)
    assert.equal("/end", res.headers.location)
    assert.equal("bye", res.body)
  end)

  it("after 301, 302 and 303 a POST becomes a GET; after 307 and 308 it is sent again", function()
    local server = serve_redirects()
    for status, line in pairs { [301] = "GET", [302] = "GET", [303] = "GET", [307] = "POST", [308] = "POST" } do
      local res = assert(http.post(("%s/%d/end"):format(server.url, status), { body = "data" }))
      assert.equal(line .. " /end HTTP/1.1", res.body:match("^[^\r]+"))
      assert.equal(line == "POST", res.body:sub(-4) == "data")
    end
  end)

  it("after 303 every method becomes a GET without a body (RFC 9110 15.4.4)", function()
    local server = serve_redirects()
    for _, verb in ipairs { "put", "patch", "delete" } do
      local res = assert(http[verb](server.url .. "/303/end", { body = "data" }))
      assert.equal("GET /end HTTP/1.1", res.body:match("^[^\r]+"))
      assert.equal("\r\n\r\n", res.body:sub(-4))
      res = assert(http[verb](server.url .. "/307/end", { body = "data" }))
      assert.equal(verb:upper() .. " /end HTTP/1.1", res.body:match("^[^\r]+"))
      assert.equal("data", res.body:sub(-4))
    end
  end)

  it("ten are followed, and a cycle is an error", function()
    local server = serve_redirects()
    assert.equal(200, assert(http.get(server.url .. ("/302"):rep(10) .. "/end")).status)
    assert_error("http", "TOO_MANY_REDIRECTS", http.get(server.url .. ("/302"):rep(11) .. "/end"))
    local circle = serve(answering("HTTP/1.1 302 X\r\nLocation: /\r\nContent-Length: 0\r\n\r\n"))
    assert_error("http", "TOO_MANY_REDIRECTS", http.get(circle.url))
  end)

  it("credentials are not sent on to another host", function()
    local other = serve_echo()
    local server = serve(answering("HTTP/1.1 302 X\r\nLocation: " .. other.url:gsub("127.0.0.1", "localhost")
      .. "/\r\nContent-Length: 0\r\n\r\n"))
    local with_password = server.url:gsub("//", "//user:pass@")
    local res = assert(http.get(with_password, { headers = { Cookie = "session=1", ["X-Other"] = "stays" } }))
    assert.is_nil(header(res.body, "Authorization"))
    assert.is_nil(header(res.body, "Cookie"))
    assert.equal("stays", header(res.body, "X-Other"))
    res = assert(http.get(server.url, { headers = { Authorization = "Bearer secret" } }))
    assert.is_nil(header(res.body, "Authorization"))
  end)

  it("to other schemes are refused", function()
    for _, location in ipairs { "file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://127.0.0.1:1/" } do
      local server = serve(answering("HTTP/1.1 302 X\r\nLocation: " .. location .. "\r\nContent-Length: 0\r\n\r\n"))
      assert_error("http", "UNSUPPORTED_PROTOCOL", http.get(server.url))
    end
  end)

  it("a location is resolved against the URL it came from (RFC 3986 5.4)", function()
    local base = "http://a/b/c/d;p?q"
    for reference, target in pairs {
      g = "http://a/b/c/g", ["./g"] = "http://a/b/c/g", ["g/"] = "http://a/b/c/g/", ["/g"] = "http://a/g",
      ["//g"] = "http://g", ["?y"] = "http://a/b/c/d;p?y", ["g?y"] = "http://a/b/c/g?y", [""] = "http://a/b/c/d;p?q",
      ["#s"] = "http://a/b/c/d;p?q#s", ["g#s"] = "http://a/b/c/g#s", [";x"] = "http://a/b/c/;x",
      ["."] = "http://a/b/c/", ["./"] = "http://a/b/c/", [".."] = "http://a/b/", ["../g"] = "http://a/b/g",
      ["../.."] = "http://a/", ["../../g"] = "http://a/g", ["../../../../g"] = "http://a/g", ["/./g"] = "http://a/g",
      ["/../g"] = "http://a/g", ["g."] = "http://a/b/c/g.", ["..g"] = "http://a/b/c/..g",
      ["./g/."] = "http://a/b/c/g/", ["g/../h"] = "http://a/b/c/h", ["g;x=1/../y"] = "http://a/b/c/y",
      ["g?y/../x"] = "http://a/b/c/g?y/../x", ["g#s/../x"] = "http://a/b/c/g#s/../x",
      ["https://u:p@h/x/../y"] = "https://u:p@h/y",
    } do
      assert.equal(target, url.resolve(base, reference))
    end
    assert.equal("http://a/g", url.resolve("http://a", "g"))
    assert.equal("http://a/g#part", url.resolve("http://a/#part", "/g"))
  end)

  it("an origin is scheme, host and port", function()
    assert.equal(url.origin("http://host/x"), url.origin("HTTP://u:p@HOST:80"))
    assert.equal(url.origin("https://[::1]:443/"), url.origin("https://[::1]"))
    for _, other in ipairs { "https://host1/", "http://host:1/", "http://host/", "http://host1:81/", "http://1/" } do
      assert.not_equal(url.origin("http://host1/"), url.origin(other))
    end
  end)

  it("relative, absolute and odd locations are followed", function()
    local server
    server = serve(answering(function(head)
      local path = head:match("^%S+ (%S+)")
      if path == "/a/b" then return redirect("../c?x=1#frag") end
      if path == "/c?x=1" then return redirect(server.url .. "/d e\195\164") end
      return ok(path)
    end))
    assert.equal("/d%20e%C3%A4", assert(http.get(server.url .. "/a/b")).body)
  end)

  it("with several locations are an error, unless they are the same", function()
    local server = serve(answering(function(head)
      local path = head:match("^%S+ (%S+)")
      if path == "/two" then return redirect("/a", 302, "LOCATION: /b\r\n") end
      if path == "/same" then return redirect("/a,%20b", 302, "location: /a,%20b \r\n") end
      if path == "/comma" then return redirect("/a, b") end
      return ok(path)
    end))
    local err = assert_error("http", "ambiguous_location", http.get(server.url .. "/two"))
    assert.equal("GET " .. server.url .. "/two: the redirect has several Location headers", err.message)
    assert.equal("/a,%20b", assert(http.get(server.url .. "/same")).body)
    assert.equal("/a,%20b", assert(http.get(server.url .. "/comma")).body)
    local res = assert(http.get(server.url .. "/two", { follow_redirects = false }))
    assert.same({ 302, "/a, /b" }, { res.status, res.headers.location })
  end)

  it("history lists the responses on the way", function()
    local server = serve(answering(function(head)
      local n = tonumber(head:match("^%S+ /(%d+)"))
      return n < 3 and redirect("/" .. n + 1, 301) or ok("end")
    end))
    local res = assert(http.get(server.url .. "/1"))
    assert.equal(2, #res.history)
    assert.equal(301, res.history[1].status)
    assert.equal(server.url .. "/1", res.history[1].url)
    assert.equal("/3", res.history[2].headers.location)
    assert.same({}, assert(http.get(server.url .. "/3")).history)
  end)

  it("keep no more than max_body of those on the way, also if they are compressed", function()
    local page = ("x"):rep(100)
    local packed = ("1f8b0800000000000203aba8a03d00008f5d0e5e64000000"):gsub("%x%x", function(hex)
      return string.char(tonumber(hex, 16))
    end)
    local asked
    local server = serve(answering(function(head)
      local coded, n = head:match("^%S+ /(%a+)(%d+)")
      asked, n = asked + 1, tonumber(n)
      local body = coded == "gzip" and packed or page
      return ("HTTP/1.1 %d X\r\nLocation: /%s%d\r\n%sContent-Length: %d\r\n\r\n"):format(n > 0 and 302 or 200, coded,
        n - 1, coded == "gzip" and "Content-Encoding: gzip\r\n" or "", #body) .. body
    end))
    for _, path in ipairs { "/plain", "/gzip" } do
      asked = 0
      local err = assert_error("http", "too_large", http.get(server.url .. path .. 9, { max_body = 399 }))
      assert.equal(4, asked)
      assert.equal("GET " .. server.url .. path .. "6: the bodies of the redirects are over the limit of 399 bytes",
        err.message)
      local res = assert(http.get(server.url .. path .. 4, { max_body = 400 }))
      assert.same({ page, page }, { res.history[1].body, res.history[4].body })
      assert.equal(page, res.body)
      asked = 0
      local streamed <close> = assert(http.get(server.url .. path .. 9, { stream = true, max_body = 100 }))
      assert.same({ 9, 10, page }, { #streamed.history, asked, streamed.body })
    end
  end)

  it("a redirect without a location, and a status that does not redirect, are responses", function()
    local server = serve(answering(function(head)
      local status = head:match("^%S+ /(%d+)")
      local location = status == "302" and "" or "Location: /x\r\n"
      return ("HTTP/1.1 %s X\r\n%sContent-Length: 0\r\n\r\n"):format(status, location)
    end))
    assert.equal(302, assert(http.get(server.url .. "/302")).status)
    assert.equal(300, assert(http.get(server.url .. "/300")).status)
    assert.equal(201, assert(http.post(server.url .. "/201")).status)
  end)

  it("headers that describe a body are dropped with it", function()
    local server = serve(answering(function(head, body)
      return head:find("^POST") and redirect("/end", 303) or ok(head .. body)
    end))
    local headers = { ["Content-Language"] = "de", ["X-Other"] = 1 }
    local res = assert(http.post(server.url, { json = { 1 }, headers = headers }))
    assert.matches("^GET /end", res.body)
    assert.is_nil(header(res.body, "Content-Type"))
    assert.is_nil(header(res.body, "Content-Language"))
    assert.equal("1", header(res.body, "X-Other"))
  end)

  it("HEAD stays HEAD", function()
    local methods = {}
    local server = serve(answering(function(head)
      methods[#methods + 1] = head:match("^%S+")
      return #methods == 1 and redirect("/end", 303) or ok("")
    end))
    assert.equal(200, assert(http.head(server.url)).status)
    assert.same({ "HEAD", "HEAD" }, methods)
  end)

  describe("credentials", function()
    local secrets = {
      Authorization = "Bearer secret", Cookie = "session=1", ["Proxy-Authorization"] = "Basic eDp5",
      ["X-Other"] = "stays",
    }
    local names = { "Authorization", "Cookie", "Proxy-Authorization" }

    it("stay within the origin", function()
      local server = serve(answering(function(head)
        return head:find("^GET /end") and ok(head) or redirect("/end")
      end))
      local res = assert(http.get(server.url, { headers = secrets }))
      for _, name in ipairs(names) do assert.equal(secrets[name], header(res.body, name)) end
      res = assert(http.get((server.url:gsub("//", "//user:pass@"))))
      assert.equal("Basic dXNlcjpwYXNz", header(res.body, "Authorization"))
      assert.equal("Basic dXNlcjpwYXNz", header(assert(http.get(server.url, { auth = { "user", "pass" } })).body,
        "Authorization"))
    end)

    it("are dropped if the port differs", function()
      local other = serve_echo()
      local server = serve(answering(redirect(other.url .. "/")))
      local function check(target, opts)
        local res = assert(http.get(target, opts))
        assert.equal(other.url .. "/", res.url)
        for _, name in ipairs(names) do assert.is_nil(header(res.body, name)) end
        return res
      end
      assert.equal("stays", header(check(server.url, { headers = secrets }).body, "X-Other"))
      check((server.url:gsub("//", "//user:pass@")))
      check(server.url, { auth = { "user", "pass" } })
      check(server.url, { auth = "token" })
      local client = http.client { base_url = server.url, auth = "token" }
      assert.is_nil(header(assert(client:get("/")).body, "Authorization"))
      client = http.client { headers = secrets }
      assert.is_nil(header(assert(client:get(server.url)).body, "Cookie"))
    end)

    it("stay dropped when a third response leads back", function()
      local back
      local other = serve(answering(function() return redirect(back) end))
      local server = serve(answering(function(head)
        return head:find("^GET /back") and ok(head) or redirect(other.url)
      end))
      back = server.url .. "/back"
      assert.is_nil(header(assert(http.get(server.url, { auth = "token" })).body, "Authorization"))
    end)

    it("in a location are used, and not shown", function()
      local other = serve_echo()
      local server = serve(answering(redirect((other.url:gsub("//", "//a:b@")))))
      local res = assert(http.get(server.url))
      assert.equal("Basic YTpi", header(res.body, "Authorization"))
      assert.equal(other.url .. "/", res.url)
    end)
  end)

  it("a body that was streamed cannot be sent again", function()
    local server = serve(answering(function(head) return redirect("/end", tonumber(head:match("/(%d+)"))) end))
    local function pieces()
      local left = { "a", "b" }
      return function() return table.remove(left, 1) end
    end
    local err = assert_error("http", "body_not_repeatable", http.post(server.url .. "/307", { body = pieces() }))
    assert.matches("307", err.message)
  end)

  it("after 303 a streamed body is no longer needed", function()
    local server = serve(answering(function(head)
      return head:find("^POST") and redirect("/end", 303) or ok(head)
    end))
    local sent
    local res = assert(http.post(server.url, {
      body = function()
        if sent then return nil end
        sent = true
        return "x"
      end,
    }))
    assert.matches("^GET /end", res.body)
  end)

  it("the timeout is for all of them", function()
    local server = serve(answering(function()
      ml.sleep(0.02)
      return redirect("/again")
    end))
    assert_error("timeout", "TIMED_OUT", http.get(server.url, { timeout = 0.1 }))
  end)
end, true)
