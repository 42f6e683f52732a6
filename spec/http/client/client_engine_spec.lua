-- moonloop.http.core: the HTTP/1.1 engine below ml.http: requests, responses, connections and pools. What
-- ml.http makes of it is in the other http_*_spec.lua; bodies bit by bit are client_stream_spec.lua's.
local clock = require "moonloop.clock"
local ml = require "moonloop"
local core = require "moonloop.http.core"
local raw = require "spec.support.http"
local common = require "spec.support"
local serve, receive, answering, ok = raw.serve, raw.read_request, raw.answering, raw.ok
local task_support = require "spec.support.tasks"
local eventually = task_support.eventually
local assert_error = raw.assert_error

-- The request with what most specs do not care about filled in.
local function request(pool, method, url, opts)
  opts = opts or {}
  return core.request(pool, method, url, opts.lines or "", opts.body, opts.timeout or 30, opts.max_body or math.huge,
    opts.stream, opts.unix_path)
end

local function get(pool, url, opts) return request(pool, "GET", url, opts) end

describe("moonloop.http.core", function()
  local pool
  before_each(function() pool = core.pool {} end)
  after_each(function()
    pool:close()
    raw.stop()
  end)

  describe("request", function()
    it("gives status, body, head and URL", function()
      local server = serve(answering("HTTP/1.1 201 Made\r\nX-One: a\r\nCONTENT-Length: 2  \r\n\r\nhi"))
      local status, body, head, url = get(pool, server.url)
      assert.same({ 201, "hi", "x-one: a\r\ncontent-length: 2\r\n", server.url .. "/" }, { status, body, head, url })
    end)

    it("writes Host, its own fields, the caller's lines, and the length of a body", function()
      local seen
      local server = serve(answering(function(head, body)
        seen = head .. body
        return ok("")
      end))
      local host = "Host: 127.0.0.1:" .. server.listener.port .. "\r\n"
      assert.equal(200, (get(pool, server.url .. "/a?b=c#d")))
      local agent = seen:match("User%-Agent: moonloop/[^\r]+\r\n")
      assert.equal("GET /a?b=c HTTP/1.1\r\n" .. host .. agent
        .. "Accept: */*\r\nAccept-Encoding: gzip, br\r\n\r\n", seen)
      local lines = "X-A: 1\r\naccept: text/html\r\n"
      assert.equal(200, (request(pool, "POST", server.url .. "?q", { lines = lines, body = "ab" })))
      assert.equal("POST /?q HTTP/1.1\r\n" .. host .. agent .. "Accept-Encoding: gzip, br\r\nContent-Length: 2\r\n"
        .. "X-A: 1\r\naccept: text/html\r\n\r\nab", seen)
      lines = "host: else\r\nUser-agent: me\r\nAccept-encoding: x\r\n"
      assert.equal(200, (request(pool, "PUT", server.url, { lines = lines })))
      assert.equal("PUT / HTTP/1.1\r\nAccept: */*\r\nContent-Length: 0\r\nhost: else\r\nUser-agent: me\r\n"
        .. "Accept-encoding: x\r\n\r\n", seen)
    end)

    it("writes the lines of each request, even if others were used before", function()
      local seen
      local server = serve(answering(function(head)
        seen = head
        return ok("")
      end))
      local function sent(lines, method)
        assert.equal(200, (request(pool, method or "GET", server.url .. "/x", { lines = lines })))
        return seen:match("br\r\n(.*)") or seen
      end
      for _ = 1, 2 do
        assert.equal("\r\n", sent "")
        assert.equal("X-A: 1\r\n\r\n", sent "X-A: 1\r\n")
        assert.equal("X-A: 2\r\n\r\n", sent "X-A: 2\r\n")
        assert.equal("X-A: 1\r\nX-B: 1\r\n\r\n", sent "X-A: 1\r\nX-B: 1\r\n")
        assert.equal("Content-Length: 0\r\nX-A: 1\r\n\r\n", sent("X-A: 1\r\n", "POST"))
        assert.equal("X-A: 1\r\n\r\n", sent("X-A: 1\r\n", "HEAD"))
      end
      assert.equal(1, server.connections)
      sent "Connection: close\r\n"
      sent ""
      assert.equal(2, server.connections)
    end)

    it("ends each of many requests at its own time", function()
      local app = ml.web.app()
      app:get("/{seconds:int}", function(req)
        ml.sleep(req.params.seconds)
        return "here"
      end)
      local server = assert(ml.web.listen(app, { port = 0 }))
      local ends = {}
      local function ask(after, seconds, timeout)
        return function()
          ml.sleep(after)
          local start = ml.now()
          local status = get(pool, ("http://127.0.0.1:%d/%d"):format(server.port, seconds), { timeout = timeout })
          ends[#ends + 1] = ("%d+%.0f %s"):format(after, ml.now() - start, status or "late")
        end
      end
      clock.virtual()
      ml.gather(ask(0, 1, 30), ask(1, 500, 30), ask(2, 20, 30), ask(3, 500, 5), ask(4, 500, 30), ask(40, 500, 7),
        ask(41, 500, 7), ask(42, 500, 3))
      clock.real()
      server:stop(0)
      assert.equal("0+1 200, 3+5 late, 2+20 200, 1+30 late, 4+30 late, 42+3 late, 40+7 late, 41+7 late",
        table.concat(ends, ", "))
    end)

    it("takes URLs in any form: characters to be encoded, dot segments, credentials, fragments", function()
      local head
      local server = serve(answering(function(text)
        head = text
        return ok("")
      end))
      local function sent(url)
        local status, _, _, shown = get(pool, (url:gsub("PORT", server.listener.port)))
        assert.equal(200, status)
        return head:match("^GET (%S+) "), (shown:gsub(":%d+", "", 1)), head:match("Authorization: ([^\r]*)")
      end
      assert.same({ "/a/c?x=../y", "http://127.0.0.1/a/c?x=../y" }, { sent("http://127.0.0.1:PORT/a/b/../c?x=../y") })
      assert.same({ "/%C3%A4", "http://127.0.0.1/%C3%A4" }, { sent("http://127.0.0.1:PORT/ä") })
      assert.same({ "/p", "http://127.0.0.1/p", "Basic dTpwQHM=" }, { sent("HTTP://u:p%40s@127.0.0.1:PORT/p") })
      assert.same({ "/", "http://localhost/#x" }, { sent("http://localhost:PORT#x") })
      assert.matches("\r\nHost: localhost:", head)
      assert.equal("Basic YWI6", (select(3, sent("http://ab@127.0.0.1:PORT/"))))
      get(pool, server.url:gsub("//", "//a:b@") .. "/", { lines = "authorization: mine\r\n" })
      assert.matches("\r\nauthorization: mine\r\n", head)
      assert.not_matches("Basic", head)
    end)

    it("a malformed URL, or one of another scheme, is an error that does not show a password", function()
      for _, url in ipairs {
        "", "http://", "http://a b/", "http://u:secret@h:port/", "http://[::1/", "http://x\0/", "/p",
        "http://h\r\nX: 1/",
      } do
        local err = assert_error("http", "BAD_URL", get(pool, url))
        assert.matches("^GET .*malformed URL", err.message)
        assert.not_matches("secret", err.message)
      end
      assert_error("http", "UNSUPPORTED_PROTOCOL", get(pool, "ftp://127.0.0.1/"))
    end)

    it("goes to a Unix socket, asking for the URL's host", function()
      local path = os.tmpname()
      os.remove(path)
      finally(function() os.remove(path) end)
      local listener = assert(common.rawtcp.listen(8, path))
      local served = 0
      ml.spawn(function()
        local conn <close> = listener:accept()
        local _ <close> = listener
        for head in receive, conn do
          served = served + 1
          conn:send(ok(head:match("Host: ([^\r]*)")))
        end
      end)
      for _ = 1, 2 do
        assert.equal("here.example:8", select(2, get(pool, "http://here.example:8/", { unix_path = path })))
      end
      assert.equal(2, served)
      pool:close()
      assert_error("network", "ENOENT", get(core.pool {}, "http://here/", { unix_path = "/nowhere/socket" }))
      assert_error("network", "ENAMETOOLONG", get(core.pool {}, "http://here/", { unix_path = ("x"):rep(200) }))
    end)

    it("goes to an IPv6 address", function()
      local app = ml.web.app()
      app:get("/", function(req) return req.headers.host end)
      local server = ml.web.listen(app, { host = "::1", port = 0 })
      if not server then return pending("there is no IPv6 here") end
      local status, body = get(pool, ("http://[::1]:%d/"):format(server.port))
      assert.same({ 200, ("[::1]:%d"):format(server.port) }, { status, body })
      server:stop(0)
    end)
  end)

  describe("a response", function()
    -- What the client makes of `text`, after which the connection is closed, or kept open when `open`.
    local function answer(text, opts, open)
      local server = serve(function(conn)
        receive(conn)
        if type(text) == "string" then text = { text } end
        for i, part in ipairs(text) do
          if i > 1 then ml.sleep(0.002) end
          if not conn:send(part) then return end
        end
        if open then conn:receive("*a") end
      end)
      return request(pool, opts and opts.method or "GET", server.url, opts)
    end

    it("ends where its framing says: length, chunks, no body, or the connection's end", function()
      for text, body in pairs {
        ["HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"] = "abc",
        ["HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n2;x=\"y\"\r\nab\r\n1\r\nc\r\n0\r\nT: 1\r\n\r\n"] = "abc",
        ["HTTP/1.1 204 No\r\nContent-Length: 3\r\n\r\n"] = "",
        ["HTTP/1.1 304 Same\r\nContent-Length: 3\r\n\r\n"] = "",
        ["HTTP/1.1 304 Same\r\nTransfer-Encoding: chunked\r\n\r\n"] = "",
        ["HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n"] = "",
      } do
        local status, found = answer(text, nil, true)
        assert.is_number(status, text)
        assert.equal(body, found)
      end
      for text, body in pairs {
        ["HTTP/1.1 200 OK\r\n\r\nabc"] = "abc",
        ["HTTP/1.0 200 OK\r\n\r\n"] = "",
        ["HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nabc"] = "abc",
        ["HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc"] = "abc",
      } do
        assert.equal(body, select(2, answer(text)))
      end
      assert.equal(200, (answer("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", { method = "HEAD" }, true)))
      assert.equal(200, (answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", { method = "HEAD" }, true)))
    end)

    it("is the same however its bytes are split", function()
      local text = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\n"
        .. "HTTP/1.1 200 OK\r\nX-Folded: a \r\n\t b\r\nTransfer-Encoding: chunked\r\n"
        .. "Set-Cookie: a=b\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
      local parts = {}
      for i = 1, #text do parts[i] = text:sub(i, i) end
      local head = "x-folded: a b\r\ntransfer-encoding: chunked\r\nset-cookie: a=b\r\n"
      for _, form in ipairs { { text }, parts } do
        local status, body, found = answer(form, nil, true)
        assert.same({ 200, "abcde", head }, { status, body, (found:gsub("a%s+b", "a b")) })
      end
    end)

    it("is the same whether it is read in one pass or, in two parts, by llhttp", function()
      local twin = { "HTTP/1.1 200 OK\r\n", "" }
      for _, fields in ipairs {
        "Content-Length: 3\r\n",
        "CONTENT-LENGTH:3\r\nX-Empty:\r\nx-Blank:  \r\n",
        "A:b\r\nContent-Length:   03\r\n",
        "Content-Length: 3 \r\nX: \t1 \r\n",
        "Connection: Keep-Alive\r\nContent-Length: 3\r\nSet-Cookie: \195\164=1; b\r\n",
        "content-length: 3\r\nX: a\r\n b\r\n",
        "Upgrade: h2c\r\nContent-Length: 3\r\n",
        "Content-Length: 3\r\nServer: x\ty\r\n",
        "Connection: close\r\nContent-Length: 3\r\n",
        "X-A: 1\r\nX-A: 2\r\nContent-Length: 3\r\nConnection: x, keep-alive\r\n",
      } do
        local message = fields .. "\r\nabc"
        twin[2] = message
        local one = { answer(twin[1] .. message, nil, true) }
        local two = { answer(twin, nil, true) }
        assert.same({ 200, "abc" }, { one[1], one[2] }, fields)
        assert.same({ two[1], two[2], two[3] }, { one[1], one[2], one[3] }, fields)
      end
    end)

    it("whose framing is in doubt is an error", function()
      for _, text in ipairs {
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nContent-Length: 3, 4\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nContent-Length: -3\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\nabc\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nabc\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX : 1\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\n: 1\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX\0: 1\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/3.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
      } do
        local err = assert_error("http", "BAD_RESPONSE", answer(text, nil, true))
        assert.matches("^GET http://127", err.message)
      end
      assert_error("http", "UNSUPPORTED_PROTOCOL", answer("SSH-2.0-x\r\n", nil, true))
    end)

    it("that is cut short is an error of kind network", function()
      for _, text in ipairs {
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n",
        "HTTP/1.1 200 OK\r\nContent-Le",
        "HTTP/1.1 100 Continue\r\n\r\n",
      } do
        assert_error("network", "INCOMPLETE", answer(text))
      end
      assert_error("network", "NO_RESPONSE", answer {})
    end)

    it("has limits: bytes of the head, number of fields, bytes of extensions, interim responses", function()
      assert_error("http", "too_large", answer("HTTP/1.1 200 OK\r\nX: " .. ("x"):rep(300000), nil, true))
      assert_error("http", "too_large", answer("HTTP/1.1 200 " .. ("x"):rep(300000), nil, true))
      assert_error("http", "too_large", answer("HTTP/1.1 200 OK\r\n" .. ("a:\r\n"):rep(1001) .. "\r\n", nil, true))
      assert_error("http", "too_large", answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
        .. ("a:\r\n"):rep(1001), nil, true))
      assert_error("http", "BAD_RESPONSE", answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        .. "1;" .. ("x"):rep(300000), nil, true))
      assert_error("http", "BAD_RESPONSE", answer(("HTTP/1.1 100 Go\r\n\r\n"):rep(2000), nil, true))
      assert_error("http", "too_large", answer(("\r\n"):rep(200000), nil, true))
      assert_error("http", "too_large", answer("HTTP/1.1 100 Go\r\n\r\n" .. ("\n"):rep(400000), nil, true))
    end)

    it("is decoded by its Content-Encoding; an unknown one is left as it is, a wrong one is an error", function()
      local gzip = ("1f8b0800000000000203cb48cdc9c95748afca2c0000196ad2df0a000000"):gsub("%x%x", function(hex)
        return string.char(tonumber(hex, 16))
      end)
      assert.equal("hello gzip", select(2, answer(ok(gzip, "Content-Encoding: GZip\r\n"))))
      assert.equal("plain", select(2, answer(ok("plain", "Content-Encoding: zoo\r\n"))))
      assert.equal(gzip, select(2, answer(ok(gzip, "Content-Encoding: br, gzip\r\n"))))
      for _, bad in ipairs { "no gzip at all", gzip:sub(1, -9), gzip:sub(1, 5) } do
        assert_error("http", "BAD_CONTENT_ENCODING", answer(ok(bad, "Content-Encoding: gzip\r\n")))
      end
      assert_error("http", "too_large", answer(ok(gzip, "Content-Encoding: gzip\r\n"), { max_body = 9 }))
      assert.equal("hello gzip", select(2, answer(ok(gzip, "Content-Encoding: gzip\r\n"), { max_body = 10 })))
    end)

    it("lets others run while it is decoded, if a few bytes become many", function()
      local size <const>, step <const> = 20 << 20, 256 << 10
      local pipe = assert(io.popen(("head -c %d /dev/zero | gzip -9"):format(size)))
      local coded = pipe:read "a"
      pipe:close()
      local turns, over, sent = 0, false, nil
      local server = serve(function(conn)
        for _ in receive, conn do
          if not conn:send(ok(coded, "Content-Encoding: gzip\r\n")) then return end
          sent = turns
        end
      end)
      local other = task_support.started(function()
        while not over do
          turns = turns + 1
          ml.sleep(0)
        end
      end)
      for way, f in pairs {
        plain = function() return (select(2, get(pool, server.url))) end,
        bare = function() return assert(ml.http.get(server.url)).body end,
        upload = function()
          local upload = assert(core.begin(pool, "POST", server.url, "", 0, 30))
          return (select(2, upload:response(math.huge, false)))
        end,
      } do
        assert.equal(size, #f(), way)
        assert(turns - sent >= size // step - 1, way .. ": " .. turns - sent)
      end
      over = true
      other:await()
      assert_error("http", "too_large", get(pool, server.url, { max_body = size - 1 }))
    end)

    it("has no more time while it is decoded", function()
      local pipe = assert(io.popen "head -c 20000000 /dev/zero | gzip -9")
      local coded = pipe:read "a"
      pipe:close()
      local over, sent
      local server = serve(function(conn)
        receive(conn)
        sent = conn:send(ok(coded, "Content-Encoding: gzip\r\n"))
      end)
      local slow = task_support.started(function()
        while not over do
          local till = ml.now() + (sent and 0.01 or 0)
          repeat until ml.now() >= till
          ml.sleep(0)
        end
      end)
      assert_error("timeout", "TIMED_OUT", get(pool, server.url, { timeout = 0.25 }))
      over = true
      slow:await()
    end)

    it("can be cancelled at any time while it is decoded", function()
      local pipe = assert(io.popen "head -c 5000000 /dev/zero | gzip -9")
      local coded = pipe:read "a"
      pipe:close()
      local sent
      local server = serve(function(conn)
        receive(conn)
        conn:send(ok(coded, "Content-Encoding: gzip\r\n"))
        sent = true
      end)
      for passes = 0, 30 do
        sent = false
        local task = ml.spawn(function() return #select(2, get(pool, server.url)) end)
        while not sent do ml.sleep(0) end
        for _ = 1, passes do ml.sleep(0) end
        task:cancel()
        local ended, outcome = task_support.await(task)
        assert(ended and outcome == 5000000 or not ended and ml.is_error(outcome, "cancelled"))
      end
    end)
  end)

  describe("a connection", function()
    it("is reused after an exact response, most recently used first", function()
      local numbers, answered = {}, 0
      local server = serve(function(conn, n)
        for _ in receive, conn do
          numbers[#numbers + 1] = n
          while #numbers == 1 do ml.sleep(0.001) end -- two at a time, at first
          while n == 1 and answered == 0 do ml.sleep(0.001) end -- and this one is the last to end
          conn:send(ok("x"))
        end
      end)
      local function ask()
        get(pool, server.url)
        answered = answered + 1
      end
      ml.gather(ask, ask)
      for _ = 1, 3 do get(pool, server.url) end
      assert.equal(2, server.connections)
      assert.equal("111", table.concat(numbers, "", 3))
    end)

    it("is closed if anything is in doubt: close, HTTP/1.0, bytes after the end, an early response", function()
      for _, text in ipairs {
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx",
        "HTTP/1.1 200 OK\r\nConnection: Keep-Alive, Close\r\nContent-Length: 1\r\n\r\nx",
        "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx",
        "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxy",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
      } do
        local server = serve(answering(text))
        for n = 1, 2 do
          assert.equal("x", select(2, get(pool, server.url)), text)
          assert.equal(n, server.connections)
        end
        eventually(function() return server.open == 0 end)
      end
      local server = serve(function(conn)
        conn:receive("\r\n\r\n")
        conn:send(ok("x"))
        conn:receive("*a")
      end)
      local body = common.xs(20000000)
      assert.equal("x", select(2, request(pool, "POST", server.url, { body = body })))
      eventually(function() return server.open == 0 end)
    end)

    it("is closed after 204 with the length of a body, which may follow, and kept after 204 without", function()
      for fields, closes in pairs { ["Content-Length: 5\r\n"] = true, ["Transfer-Encoding: chunked\r\n"] = true,
        ["Content-Length: 0\r\n"] = false, [""] = false } do
        local server = serve(answering("HTTP/1.1 204 None\r\n" .. fields .. "\r\n"))
        for _ = 1, 2 do assert.equal(204, (get(pool, server.url))) end
        assert.equal(closes and 2 or 1, server.connections, fields)
      end
    end)

    it("is not used again if a body has come behind a response that has none", function()
      for _, first in ipairs { { "HEAD", "200 OK" }, { "GET", "304 Same" } } do
        local conn
        local server = serve(function(socket)
          receive(socket)
          conn = conn or socket
          socket:send(socket == conn and "HTTP/1.1 " .. first[2] .. "\r\nContent-Length: 50\r\n\r\n" or ok("ours"))
          socket:receive("*a")
        end)
        request(pool, first[1], server.url)
        ml.spawn(conn.send, conn, ok("forged")) -- both in one pass of the loop
        local asked = ml.spawn(get, pool, server.url)
        assert.equal("ours", select(2, asked:await()), first[1])
        assert.equal(2, server.connections)
      end
    end)

    it("is closed after a request that says so, and kept for HTTP/1.0 with keep-alive", function()
      local server = serve(answering("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n"))
      for _ = 1, 2 do get(pool, server.url) end
      assert.equal(1, server.connections)
      get(pool, server.url, { lines = "Connection: close\r\n" })
      eventually(function() return server.open == 0 end)
    end)

    it("is dropped at once if its server closes it, or sends data, while it is idle", function()
      local go
      for _, word in ipairs { "", "HTTP/1.1 408 Timeout\r\nContent-Length: 0\r\n\r\n" } do
        local server = serve(function(conn)
          receive(conn)
          conn:send(ok("x"))
          while not go do ml.sleep(0.001) end
          if word ~= "" then conn:send(word) end
          if word == "" then conn:shutdown() end
          assert.equal("", conn:receive("*a"))
        end)
        go = false
        get(pool, server.url)
        go = true
        eventually(function() return server.open == 0 end)
        assert.equal(200, (request(pool, "POST", server.url)))
        assert.equal(2, server.connections)
      end
    end)

    it("that dies during an idempotent request is replaced, once; other requests are not sent again", function()
      local function dying()
        return serve(function(conn, n)
          receive(conn)
          if n == 1 then conn:send(ok("x")) end
          if n == 1 then receive(conn) end -- and closed without a word
        end)
      end
      for _, method in ipairs { "GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", "POST", "PATCH" } do
        local server = dying()
        get(pool, server.url)
        assert_error("network", "NO_RESPONSE", request(pool, method, server.url))
        local sent_again = method ~= "POST" and method ~= "PATCH"
        assert.equal(sent_again and 2 or 1, server.connections, method)
      end
      local server = serve(function(conn, n) -- after the first byte it is a failure
        receive(conn)
        conn:send(ok("x"))
        receive(conn)
        if n == 1 then conn:send("H") end
      end)
      get(pool, server.url)
      assert_error("network", "INCOMPLETE", get(pool, server.url))
      assert.equal(1, server.connections)
    end)

    it("is closed after the pool's idle time", function()
      local server = serve(answering(ok("x")))
      local short = core.pool { idle = 0.02 }
      get(short, server.url)
      eventually(function() return server.open == 0 end)
      assert.equal(200, (get(short, server.url)))
      assert.equal(2, server.connections)
      local none = core.pool { idle = 0 }
      get(none, server.url)
      eventually(function() return server.open == 0 end)
    end)

    it("of a cancelled or late exchange is closed, never kept", function()
      local asked = 0
      local server = serve(function(conn)
        receive(conn)
        asked = asked + 1
        conn:receive("*a")
      end)
      local task = ml.spawn(get, pool, server.url)
      eventually(function() return asked == 1 end)
      task:cancel()
      assert.is_false(pcall(task.await, task))
      eventually(function() return server.open == 0 end)
      local err = assert_error("timeout", "TIMED_OUT", get(pool, server.url, { timeout = 0.02 }))
      assert.matches("not finished within 0.02 s", err.message)
      eventually(function() return server.open == 0 end)
      assert_error("timeout", "TIMED_OUT", get(pool, server.url, { timeout = 0 }))
    end)
  end)

  describe("a pool", function()
    -- A server that holds every request until `release` is called, and notes the paths in their order.
    local function holding()
      local server, held
      server = serve(answering(function(head)
        table.insert(server.paths, head:match(" /(%S*)"))
        while held do ml.sleep(0.001) end
        return ok("x")
      end))
      held, server.paths = true, {}
      function server.release() held = false end
      return server
    end

    it("has limits in total and per origin; waiting requests get their turn in order", function()
      local a, b = holding(), holding()
      local small = core.pool { max_connections = 3, max_per_origin = 2 }
      local tasks = {}
      local function ask(server, path)
        tasks[#tasks + 1] = ml.spawn(get, small, server.url .. "/" .. path)
        ml.sleep(0)
      end
      for i = 1, 6 do ask(a, "a" .. i) end
      ask(b, "b1") -- a's line is not b's
      ask(b, "b2")
      eventually(function() return #a.paths == 2 and #b.paths == 1 end)
      ml.sleep(0.005)
      assert.same({ 2, 1 }, { #a.paths, #b.paths })
      a.release()
      b.release()
      for _, task in ipairs(tasks) do assert.equal(200, (task:await())) end
      assert.equal("a3a4a5a6", table.concat(a.paths, "", 3))
      assert.same({ "b1", "b2" }, b.paths)
      assert.is_true(a.connections <= 2 and b.connections <= 2)
    end)

    it("closes the connection that was idle longest if another origin needs its place", function()
      local servers = {}
      for i = 1, 3 do servers[i] = serve(answering(ok("x"))) end
      local small = core.pool { max_connections = 2 }
      for _, server in ipairs(servers) do get(small, server.url) end
      eventually(function() return servers[1].open == 0 end)
      get(small, servers[2].url)
      get(small, servers[3].url)
      assert.same({ 1, 1 }, { servers[2].connections, servers[3].connections })
    end)

    it("removes cancelled and late requests from the line", function()
      local server = holding()
      local small = core.pool { max_connections = 1 }
      local first = ml.spawn(get, small, server.url .. "/first")
      ml.sleep(0)
      local second = ml.spawn(get, small, server.url .. "/second")
      local third = ml.spawn(get, small, server.url .. "/third", { timeout = 0.01 })
      local fourth = ml.spawn(get, small, server.url .. "/fourth")
      ml.sleep(0)
      second:cancel()
      assert_error("timeout", "TIMED_OUT", third:await())
      server.release()
      assert.equal(200, (first:await()))
      assert.equal(200, (fourth:await()))
      assert.is_false(pcall(second.await, second))
      assert.same({ "first", "fourth" }, server.paths)
    end)

    it("that is closed takes no requests, and lets those under way end", function()
      local server = holding()
      local task = ml.spawn(get, pool, server.url)
      eventually(function() return #server.paths == 1 end)
      pool:close()
      assert_error("closed", nil, get(pool, server.url))
      server.release()
      assert.equal(200, (task:await()))
      eventually(function() return server.open == 0 end)
    end)

    it("says which option is wrong", function()
      assert.error_matches(function() core.pool { max_connections = 0 } end, "max_connections")
      assert.error_matches(function() core.pool { max_per_origin = -1 } end, "max_per_origin")
      assert.error_matches(function() core.pool { idle = -1 } end, "idle")
    end)
  end)

  describe("dialing", function()
    it("tries the addresses of a name in turn", function()
      local server = serve(answering(ok("x"))) -- on 127.0.0.1 only; localhost may be ::1 first
      assert.equal(200, (get(pool, (server.url:gsub("127.0.0.1", "localhost")))))
    end)

    it("names what failed: no such host, connection refused", function()
      local err = assert_error("dns", "UNKNOWN_HOST", get(pool, "http://none.invalid/"))
      assert.matches("resolve", err.message)
      local listener = common.rawtcp.listen()
      local url = "http://127.0.0.1:" .. listener.port
      listener:close()
      assert_error("network", "ECONNREFUSED", get(pool, url))
      assert_error("network", "ECONNREFUSED", get(pool, (url:gsub("127.0.0.1", "localhost"))))
    end)

    it("is interrupted by a cancel while a name is looked up", function()
      for _ = 1, 10 do
        local task = ml.spawn(get, pool, "http://none.invalid/")
        ml.sleep(0)
        task:cancel()
        assert.is_false(pcall(task.await, task))
      end
    end)
  end)

  it("survives servers that hang up at any point", function()
    local text = "HTTP/1.1 200 OK\r\nX-A: 1\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n"
    local server = serve(function(conn, n)
      receive(conn)
      conn:send(text:sub(1, n % (#text + 1)))
      if n % 2 == 0 then conn:reset() end
    end)
    local results = {}
    local jobs = {}
    for i = 1, 200 do
      jobs[i] = function()
        local status, err = get(pool, server.url, { stream = i % 3 == 0 })
        if status and type(err) == "userdata" then
          local piece, why
          repeat piece, why = err:read() until not piece
          status, err = not why and 200 or nil, why
        end
        assert.is_true(status == 200 or ml.is_error(err))
        results[#results + 1] = status
      end
    end
    ml.map(jobs, function(job) job() end, { limit = 10 })
    assert.is_true(#results < 200)
    eventually(function() return server.open == 0 end)
  end)

  it("a request under way is named by method and host", function()
    local server = serve(function(conn) conn:receive("*a") end)
    local task = ml.spawn(get, pool, server.url:gsub("//", "//u:p@") .. "/secret?x")
    ml.sleep(0.005)
    local found
    for _, row in ipairs(ml.tasks()) do
      if row.id == task.id then found = row.waiting_for end
    end
    assert.equal("http request GET " .. server.url, found)
    task:cancel()
    assert.is_false(pcall(task.await, task))
  end)
end)
