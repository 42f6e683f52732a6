-- ml.http: what it sends and what it gives back. The servers are plain TCP, so that each spec decides on
-- every byte.
local ml = require "moonloop"
local raw = require "spec.support.http"
local serve, answering, ok, header, serve_echo = raw.serve, raw.answering, raw.ok, raw.header, raw.serve_echo
local read_request, assert_error = raw.read_request, raw.assert_error

raw.on_both_ways(describe, "ml.http", function(http)
  after_each(raw.stop)

  describe("request", function()
    it("get sends a GET and gives back status, headers, body and URL", function()
      local server = serve_echo()
      local res = assert(http.get(server.url .. "/path?x=1"))
      assert.equal(200, res.status)
      assert.is_true(res.ok)
      assert.equal(server.url .. "/path?x=1", res.url)
      assert.equal("GET /path?x=1 HTTP/1.1", res.body:match("^[^\r]+"))
      assert.equal("127.0.0.1:" .. server.listener.port, header(res.body, "Host"))
      assert.equal(#res.body, tonumber(res.headers["content-length"]))
      assert.matches("^moonloop/", header(res.body, "User-Agent"))
    end)

    it("each verb sends its method", function()
      local server = serve_echo()
      for _, verb in ipairs { "get", "post", "put", "patch", "delete", "options" } do
        local res = assert(http[verb](server.url))
        assert.equal(verb:upper() .. " / HTTP/1.1", res.body:match("^[^\r]+"))
      end
    end)

    it("head gives the headers and no body", function()
      local head
      local server = serve(answering(function(text)
        head = text
        return "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nX-Here: yes\r\n\r\n"
      end))
      local res = assert(http.head(server.url))
      assert.equal("HEAD / HTTP/1.1", head:match("^[^\r]+"))
      assert.equal("yes", res.headers["X-Here"])
      assert.equal("1000", res.headers["Content-Length"])
      assert.equal("", res.body)
      assert.equal(200, assert(http.head(server.url)).status)
      assert.equal(1, server.connections)
    end)

    it("request takes the method and the URL in its table", function()
      local server = serve_echo()
      assert.equal("GET /a HTTP/1.1", assert(http.request { url = server.url .. "/a" }).body:match("^[^\r]+"))
      local res = assert(http.request { method = "report", url = server.url, body = "abc" })
      assert.equal("REPORT / HTTP/1.1", res.body:match("^[^\r]+"))
      assert.equal("abc", res.body:sub(-3))
    end)

    it("a body is sent byte for byte, with its length and without a type", function()
      local server = serve_echo()
      local body = "a\0b\r\n\r\nc\255"
      for _, verb in ipairs { "post", "put", "patch", "delete" } do
        local res = assert(http[verb](server.url, { body = body }))
        assert.equal(body, res.body:sub(-#body))
        assert.equal(tostring(#body), header(res.body, "Content-Length"))
        assert.is_nil(header(res.body, "Content-Type"))
      end
    end)

    it("post, put and patch without a body say that its length is 0; get and delete say nothing", function()
      local server = serve_echo()
      for _, verb in ipairs { "post", "put", "patch" } do
        assert.equal("0", header(assert(http[verb](server.url)).body, "Content-Length"))
      end
      for _, verb in ipairs { "get", "delete" } do
        assert.is_nil(header(assert(http[verb](server.url)).body, "Content-Length"))
      end
    end)

    it("a large body is sent without waiting for 100-continue", function()
      local got
      local server = serve(answering(function(head, body)
        got = #body
        return ok(header(head, "Expect") or "nothing")
      end))
      assert.equal("nothing", assert(http.post(server.url, { body = ("x"):rep(3000000) })).body)
      assert.equal(3000000, got)
    end)

    it("json is encoded, with its content type", function()
      local server = serve(answering(function(head, body) return ok(header(head, "Content-Type") .. " " .. body) end))
      assert.equal('application/json {"n":1}', assert(http.post(server.url, { json = { n = 1 } })).body)
      assert.equal("application/json false", assert(http.put(server.url, { json = false })).body)
      local res = assert(http.post(server.url, { json = {}, headers = { ["content-type"] = "application/x" } }))
      assert.equal("application/x {}", res.body)
    end)

    it("query is encoded, sorted, and added to the URL's own", function()
      local server = serve_echo()
      local function target(url, query)
        return assert(http.get(server.url .. url, { query = query })).body:match("^GET (%S+)")
      end
      assert.equal("/?a=1&b=x%20%26%3D%2F&c=true", target("/", { b = "x &=/", a = 1, c = true }))
      assert.equal("/?k=1&k=2", target("", { k = { 1, 2 } }))
      assert.equal("/?x=0&%C3%A4=%C3%B6", target("/?x=0", { ["ä"] = "ö" }))
      assert.equal("/?q=1", target("/?#part", { q = 1 }))
      assert.equal("/?raw+text", target("/", "raw+text"))
      assert.equal("/p", target("/p", {}))
    end)

    it("headers are sent as given, lists as several, and replace the client's own", function()
      local server = serve_echo()
      local res = assert(http.get(server.url, {
        headers = {
          ["X-One"] = "a: b;",
          ["X-Many"] = { "1", "2" },
          ["X-Empty"] = "",
          ["X-N"] = 5,
          ["user-agent"] = "me",
        },
      }))
      assert.equal("a: b;", header(res.body, "X-One"))
      assert.same({ "1", "2" }, { header(res.body, "X-Many") })
      assert.equal("", header(res.body, "X-Empty"))
      assert.equal("5", header(res.body, "X-N"))
      assert.same({ "me" }, { header(res.body, "User-Agent") })
    end)

    it("a user and password in the URL are sent as Basic credentials, and not shown in res.url", function()
      local server = serve_echo()
      local res = assert(http.get((server.url:gsub("//", "//Aladdin:open%%20sesame@"))))
      assert.equal("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", header(res.body, "Authorization"))
      assert.equal(server.url .. "/", res.url)
    end)
  end)

  describe("arguments", function()
    local function refused(pattern, f, ...)
      local good, message = pcall(f, ...)
      assert.is_false(good)
      assert.matches(pattern, tostring(message))
    end

    it("a header with CR, LF or NUL is an error, never sent", function()
      local server = serve_echo()
      for _, bad in ipairs { "a\rb", "a\nb", "a\0b", "x\r\nEvil: 1", "\n" } do
        refused("X%-Bad", http.get, server.url, { headers = { ["X-Bad"] = bad } })
        refused("X%-Bad", http.get, server.url, { headers = { ["X-Bad"] = { "good", bad } } })
        refused("not a valid header name", http.get, server.url, { headers = { [bad] = "x" } })
        refused("X%-Bad", http.client, { headers = { ["X-Bad"] = bad } })
      end
      refused("not a valid header name", http.get, server.url, { headers = { ["X Y"] = "x" } })
      refused("not a valid header name", http.get, server.url, { headers = { ["X:"] = "x" } })
      refused("not a valid header name", http.get, server.url, { headers = { "x" } })
      refused("the value of 'X' is a boolean", http.get, server.url, { headers = { X = true } })
      assert.equal(0, server.connections)
    end)

    it("a method that is not a token is an error, never sent", function()
      for _, bad in ipairs { "GET / HTTP/1.1\r\nX: 1\r\n\r\n", "G T", "", "A\0" } do
        refused("method", http.request, { method = bad, url = "http://127.0.0.1:1" })
      end
      refused("CONNECT", http.request, { method = "connect", url = "http://127.0.0.1:1" })
    end)

    it("Content-Length and Transfer-Encoding are the client's own", function()
      for _, name in ipairs { "Content-Length", "transfer-encoding" } do
        refused(name:gsub("-", "%%-"), http.post, "http://127.0.0.1:1", { headers = { [name] = "5" }, body = "x" })
      end
    end)

    it("unknown options are named", function()
      refused("unknown option 'timout' of a request %(did you mean 'timeout'%?%)", http.get, "http://127.0.0.1:1",
        { timout = 1 })
      refused("unknown option 'method'", http.get, "http://127.0.0.1:1", { method = "POST" })
      refused("unknown option 'ca' of a request %(it is one of ml.http.client%)", http.get, "http://127.0.0.1:1",
        { ca = "ca.pem" })
      refused("unknown option 'stream'", http.client, { stream = true })
      refused("unknown option 'retry' of retries %(known: ", http.get, "http://127.0.0.1:1",
        { retries = { retry = 1 } })
    end)

    it("a URL that is not a string, a negative or NaN limit and wrong types are errors", function()
      refused("bad URL: string expected, got nil", http.get)
      refused("bad URL: string expected, got table", http.get, {})
      refused("timeout: must not be negative or NaN", http.get, "http://127.0.0.1:1", { timeout = -1 })
      refused("timeout: must not be negative or NaN", http.get, "http://127.0.0.1:1", { timeout = 0 / 0 })
      refused("timeout: must not be negative or NaN", http.client, { timeout = -1 })
      refused("timeout: number expected", http.get, "http://127.0.0.1:1", { timeout = "5" })
      refused("max_body: must not be negative", http.get, "http://127.0.0.1:1", { max_body = -1 })
      refused("verify: boolean expected", http.get, "http://127.0.0.1:1", { verify = 0 })
      refused("body: string or function expected", http.post, "http://127.0.0.1:1", { body = {} })
      refused("cannot be used together", http.post, "http://127.0.0.1:1", { body = "x", json = 1 })
      refused("HEAD", http.head, "http://127.0.0.1:1", { body = "x" })
      refused("query: the value of 'a' is a function", http.get, "http://127.0.0.1:1", { query = { a = print } })
      refused("max_connections", http.client, { max_connections = 0 })
      refused("with a colon", http.client().get, "http://127.0.0.1:1")
      refused("the options of a request are a number %(expected a table%)", http.get, "http://127.0.0.1:1", 5)
    end)

    it("such an error has the line of the script's call", function()
      local line
      local good, message = pcall(function()
        line = debug.getinfo(1, "l").currentline + 1
        local res = http.get("http://127.0.0.1:1", { headers = { A = "\n" } })
        return res
      end)
      assert.is_false(good)
      assert.matches("http_client_spec%.lua:" .. line .. ":", message)
    end)

    it("a malformed URL is an error of kind http that does not show the password", function()
      for _, url in ipairs { "", "http://", "no-scheme.example/x", "/path", "http://a b/", "http://u:secret@h:port/",
        "http://u:se/cret@ho st/", "http://127.0.0.1:99999/", "http://x\0y/", "http://[::1/", "http://x/\r\nX: 1" } do
        local err = assert_error("http", "BAD_URL", http.get(url))
        assert.matches("^GET ", err.message)
        assert.matches("malformed URL", err.message)
        assert.not_matches("cret", err.message)
      end
    end)

    it("only http and https are supported", function()
      for _, url in ipairs { "ftp://127.0.0.1/x", "file:///etc/passwd", "gopher://h/x", "ws://127.0.0.1/" } do
        local err = assert_error("http", "UNSUPPORTED_PROTOCOL", http.get(url))
        assert.matches("neither http nor https", err.message)
      end
    end)
  end)

  describe("response", function()
    it("headers are found in any case; repeated ones are joined, set-cookie is a list", function()
      local server = serve(answering(ok("", "X-Thing: a\r\nx-thing:b \r\nSet-Cookie: c=1, d\r\nset-cookie: e=2\r\n"
        .. "X-Folded: one\r\n  two\r\nEmpty:\r\n")))
      local headers = assert(http.get(server.url)).headers
      assert.equal("a, b", headers["X-THING"])
      assert.equal("a, b", headers["x-thing"])
      assert.same({ "c=1, d", "e=2" }, headers["Set-Cookie"])
      assert.equal("", headers.Empty)
      assert.matches("^one%s+two$", headers["X-Folded"])
      assert.is_nil(headers["X-Missing"])
      assert.is_nil(headers[1])
    end)

    it("json decodes the body, and gives nil and an error for a body that is not JSON", function()
      local server = serve(answering(function(head)
        return ok(head:find("/bad", 1, true) and "{" or '{"n":[1,2.5]}')
      end))
      assert.same({ n = { 1, 2.5 } }, assert(http.get(server.url)):json())
      local value, err = assert(http.get(server.url .. "/bad")):json()
      assert.is_nil(value)
      assert.equal("json", err.kind)
    end)

    it("a status of 404 or 500 is a response that is not ok", function()
      local server = serve(answering(function(head)
        return ("HTTP/1.1 %s Word\r\nContent-Length: 4\r\n\r\nbody"):format(head:match("/(%d+)"))
      end))
      for status, good in pairs { [200] = true, [201] = true, [299] = true, [400] = false, [500] = false } do
        local res = assert(http.get(server.url .. "/" .. status))
        assert.equal(status, res.status)
        assert.equal(good, res.ok)
        assert.equal("body", res.body)
      end
    end)

    it("responses without a body end at once", function()
      local server = serve(answering(function(head) return ("HTTP/1.1 %s X\r\n\r\n"):format(head:match("/(%d+)")) end))
      assert.equal("", assert(http.get(server.url .. "/204")).body)
      assert.equal("", assert(http.get(server.url .. "/304")).body)
      assert.equal(1, server.connections)
    end)

    it("a chunked body is put together, and its trailers are not headers", function()
      local server = serve(answering("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        .. "5\r\nhello\r\n7;ext=1\r\n chunks\r\n0\r\nX-Trailer: 1\r\n\r\n"))
      for _ = 1, 2 do
        local res = assert(http.get(server.url))
        assert.equal("hello chunks", res.body)
        assert.is_nil(res.headers["X-Trailer"])
      end
      assert.equal(1, server.connections)
    end)

    it("the headers of interim responses are dropped", function()
      local server = serve(answering("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" .. ok("done")))
      local res = assert(http.get(server.url))
      assert.equal("done", res.body)
      assert.equal(200, res.status)
      assert.is_nil(res.headers.link)
    end)

    it("gzip and brotli are asked for and decoded", function()
      local gzip = ("1f8b0800000000000203cb48cdc9c95748afca2c0000196ad2df0a000000"):gsub("%x%x", function(hex)
        return string.char(tonumber(hex, 16))
      end)
      -- RFC 7932 9: a window of 16 bits, an uncompressed block of 12 bytes, the empty last block
      local brotli = "\xB0\x00\x10hello brotli\x03"
      local accept
      local server = serve(answering(function(head)
        accept = header(head, "Accept-Encoding")
        if head:find("/gzip", 1, true) then return ok(gzip, "Content-Encoding: gzip\r\n") end
        return ok(brotli, "Content-Encoding: br\r\n")
      end))
      assert.equal("hello gzip", assert(http.get(server.url .. "/gzip")).body)
      assert.equal("hello brotli", assert(http.get(server.url .. "/br")).body)
      assert.matches("gzip", accept)
      assert.matches("br", accept)
    end)

    it("a body that ends with the connection is whole", function()
      local server = serve(function(conn)
        read_request(conn)
        conn:send("HTTP/1.0 200 OK\r\n\r\nuntil the end")
      end)
      assert.equal("until the end", assert(http.get(server.url)).body)
    end)

    it("a large body comes whole", function()
      local body = ("0123456789abcdef"):rep(300000)
      local server = serve(answering(ok(body)))
      assert.is_true(assert(http.get(server.url)).body == body)
    end)
  end)

  describe("limits", function()
    it("a body over max_body is an error, announced or not", function()
      local server = serve(answering(function(head)
        if head:find("/length", 1, true) then return ok(("x"):rep(1001)) end
        return "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3E9\r\n" .. ("x"):rep(1001) .. "\r\n0\r\n\r\n"
      end))
      for _, path in ipairs { "/length", "/chunked" } do
        local err = assert_error("http", "too_large", http.get(server.url .. path, { max_body = 1000 }))
        assert.matches("over the limit of 1000 bytes", err.message)
        assert.equal(1001, #assert(http.get(server.url .. path, { max_body = 1001 })).body)
        assert.equal(1001, #assert(http.get(server.url .. path, { max_body = math.huge })).body)
      end
    end)

    it("max_body counts decoded bytes", function()
      local pipe = assert(io.popen("head -c 2000000 /dev/zero | gzip -9"))
      local bomb = pipe:read("a")
      pipe:close()
      assert.is_true(#bomb < 10000)
      local server = serve(answering(ok(bomb, "Content-Encoding: gzip\r\n")))
      assert_error("http", "too_large", http.get(server.url, { max_body = 100000 }))
      assert.equal(2000000, #assert(http.get(server.url)).body)
    end)

    it("endless headers are an error", function()
      local server = serve(function(conn)
        read_request(conn)
        conn:send("HTTP/1.1 200 OK\r\n")
        for i = 1, 100000 do
          if not conn:send(("X-%d: %s\r\n"):format(i, ("y"):rep(1000))) then return end
        end
      end)
      assert_error("http", "too_large", http.get(server.url))
    end)
  end)

  describe("client", function()
    it("base_url is put before every relative URL", function()
      local server = serve_echo()
      local client = http.client { base_url = server.url .. "/v1/" }
      local function target(url) return assert(client:get(url)).url:sub(#server.url + 1) end
      assert.equal("/v1/users", target("users"))
      assert.equal("/v1/users", target("/users"))
      assert.equal("/v1/", target(""))
      assert.equal("/users", target(server.url .. "/users"))
      assert.equal("/v1/?page=2", target("?page=2"))
    end)

    it("base_url is refused if no path can follow it, and its password is not shown", function()
      for base, message in pairs {
        ["http://here.example/v1?k=1"] = '"http://here.example/v1?k=1" has a query, so no path can follow it',
        ["https://u:secret@here.example/#top"] = '"https://here.example/" has a fragment',
        ["https://u:sec?ret@here.example/"] = '"https://here.example/" has a query',
        ["here.example"] = '"here.example" does not begin with http:// or https:// and a host',
        ["ftp://u:secret@here.example"] = '"ftp://here.example" does not begin with',
        ["http:///v1"] = '"http:///v1" does not begin', ["http://"] = "does not begin", [""] = "does not begin",
      } do
        local good, err = pcall(function() http.client { base_url = base } end)
        assert.is_false(good, base)
        assert.matches("http_client_spec.lua:%d+: base_url: ", err)
        assert.matches(message, err, 1, true)
        assert.not_matches("secret", err, 1, true)
      end
    end)

    it("headers go with every request, below its own", function()
      local server = serve_echo()
      local headers = { ["X-Key"] = "k", Accept = "text/plain" }
      local client = http.client { headers = headers }
      headers["X-Key"] = "changed later"
      for _ = 1, 2 do assert.equal("k", header(assert(client:get(server.url)).body, "X-Key")) end
      local res = assert(client:post(server.url, { headers = { accept = "text/html" }, json = 1 }))
      assert.equal("k", header(res.body, "X-Key"))
      assert.same({ "text/html" }, { header(res.body, "Accept") })
      assert.equal("application/json", header(res.body, "Content-Type"))
    end)

    it("has all verbs and request", function()
      local server = serve_echo()
      local client = http.client { base_url = server.url }
      for _, verb in ipairs { "get", "post", "put", "patch", "delete", "options" } do
        assert.equal(verb:upper() .. " /x HTTP/1.1", assert(client[verb](client, "/x")).body:match("^[^\r]+"))
      end
      assert.equal(200, assert(client:head("/x")).status)
      local res = assert(client:request { method = "PUT", url = "/y", json = { 1 } })
      assert.equal("PUT /y HTTP/1.1", res.body:match("^[^\r]+"))
      assert.equal("[1]", res.body:sub(-3))
    end)
  end)

  describe("and ml.web", function()
    local app, server, client
    local started, ended = ml.event(), {}

    setup(function()
      app = ml.web.app()
      app:any("/method", function(req) return { method = req.method, body = req.body, query = req.query } end)
      app:post("/json", function(req) return req:json() end)
      app:get("/wait", function()
        local _ <close> = setmetatable({}, { __close = function() ended[#ended + 1] = true end })
        started:set()
        ml.sleep(1000)
      end)
      app:get("/large", function() return ("0123456789"):rep(500000) end)
    end)

    before_each(function()
      server = assert(ml.web.listen(app, { host = "127.0.0.1", port = 0 }))
      client = http.client { base_url = "http://127.0.0.1:" .. server.port }
    end)
    after_each(function()
      server:stop(0)
      client = nil
    end)

    it("understand each other", function()
      for _, verb in ipairs { "get", "post", "put", "patch", "delete", "options" } do
        local body = verb == "get" and "" or ("b\r\n"):rep(1000)
        local res = assert(client[verb](client, "/method", { query = { q = "a &+ä" }, body = body }))
        assert.same({ method = verb:upper(), query = { q = "a &+ä" }, body = body }, res:json())
      end
      assert.same({ 1, 2.5, { x = "y" } }, assert(client:post("/json", { json = { 1, 2.5, { x = "y" } } })):json())
      assert.equal(404, assert(client:get("/none")).status)
      assert.equal(405, assert(client:get("/json")).status)
      assert.equal(5000000, #assert(client:get("/large")).body)
      assert.equal("5000000", assert(client:head("/large")).headers["Content-Length"])
    end)

    it("a hundred requests are gathered", function()
      local items = {}
      for i = 1, 100 do items[i] = function() return assert(client:post("/json", { json = { i } })):json()[1] end end
      local results = ml.gather(items)
      for i = 1, 100 do assert.equal(i, results[i]) end
    end)

    it("cancelling a request cancels its handler", function()
      local task = ml.spawn(client.get, client, "/wait")
      started:wait()
      task:cancel()
      assert.is_false(pcall(task.await, task))
      ml.timeout(100, function() while #ended == 0 do ml.sleep(0.001) end end)
      assert.equal(1, #ended)
    end)

    it("a worker of the executor has its own client", function()
      local pool = ml.executor.new { threads = 2 }
      local url = client.base_url .. "/method"
      local function job() return require("moonloop").http.get(url):json().method end
      local items = {}
      for i = 1, 4 do items[i] = function() return pool:run(job) end end
      assert.same({ n = 4, "GET", "GET", "GET", "GET" }, ml.gather(items))
      pool:close()
    end)
  end)
end, true)
