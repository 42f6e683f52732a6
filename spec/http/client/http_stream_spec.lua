-- ml.http: bodies in pieces, in both directions.
local ml = require "moonloop"
local raw = require "spec.support.http"
local serve, answering, ok, header = raw.serve, raw.answering, raw.ok, raw.header
local eventually = require("spec.support.tasks").eventually
local assert_error = raw.assert_error

local PIECE = require("spec.support").xs(65536)
local CHUNKED = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

local function chunk(text) return ("%x\r\n%s\r\n"):format(#text, text) end

-- A server that sends the head and each piece that is put into the queue it gives; false: the end.
local function serve_pieces(head)
  local queue = ml.queue()
  local server = serve(function(conn)
    if not raw.read_request(conn) then return end
    conn:send(head or CHUNKED)
    for piece in queue:items() do
      if not piece then
        conn:send("0\r\n\r\n")
        break
      end
      if not conn:send(chunk(piece)) then return end
    end
    conn:receive("*a")
  end)
  return server, queue
end

-- A body that gives the items of `list`.
local function pieces(list)
  local i = 0
  return function()
    i = i + 1
    return list[i]
  end
end

raw.on_both_ways(describe, "ml.http streams", function(http)
  after_each(raw.stop)

  describe("a streamed response", function()
    it("comes with its head, and its body piece by piece", function()
      local server, queue = serve_pieces()
      local res = assert(http.get(server.url, { stream = true }))
      assert.equal(200, res.status)
      assert.is_true(res.ok)
      assert.equal("chunked", res.headers["Transfer-Encoding"])
      assert.equal(server.url .. "/", res.url)
      local got = {}
      queue:put("one")
      for piece in res:chunks() do
        got[#got + 1] = piece
        queue:put(({ "two", "three", false })[#got])
      end
      assert.same({ "one", "two", "three" }, got)
    end)

    it("read gives nil at the end, again and again", function()
      local server = serve(answering(ok("hello")))
      local res = assert(http.get(server.url, { stream = true }))
      assert.equal("hello", res:read())
      assert.is_nil(res:read())
      assert.is_nil(res:read())
      res = assert(http.get(server.url, { stream = true }))
      assert.equal("hello", res.body)
      assert.equal("hello", res.body)
      assert.is_nil(assert(http.get(serve(answering(ok(""))).url, { stream = true })):read())
      assert.equal(1, server.connections)
    end)

    it("body, json and chunks read it whole", function()
      local server = serve(answering(ok('{"n":1}')))
      assert.same({ n = 1 }, assert(http.get(server.url, { stream = true })):json())
      assert.equal('{"n":1}', assert(http.get(server.url, { stream = true })).body)
      assert.equal(1, server.connections)
    end)

    it("is read once: the second time is an error", function()
      local server = serve(answering(ok("hello")))
      local res = assert(http.get(server.url, { stream = true }))
      for _ in res:chunks() do end
      for _, again in ipairs { function() return res.body end, function() return res:chunks() end,
        function() return res:json() end } do
        local good, message = pcall(again)
        assert.is_false(good)
        assert.matches("read already", message)
      end
    end)

    it("arrives whole if it is large, and is not held in memory meanwhile", function()
      local sent, size = 0, 0
      local server = serve(function(conn)
        raw.read_request(conn)
        conn:send("HTTP/1.1 200 OK\r\nContent-Length: 67108864\r\n\r\n")
        for _ = 1, 1024 do
          if not conn:send(PIECE) then return end
          sent = sent + 65536
        end
      end)
      local res = assert(http.get(server.url, { stream = true }))
      ml.sleep(0.05)
      assert.is_true(sent < 16 * 1024 * 1024) -- what the kernel takes; the rest is held back
      for piece in res:chunks() do
        assert.is_true(#piece <= 256 * 1024)
        size = size + #piece
      end
      assert.equal(67108864, size)
    end)

    it("has no limit of its own; max_body is one", function()
      local server = serve(answering(ok(("x"):rep(100000))))
      local res = assert(http.get(server.url, { stream = true, max_body = 50000 }))
      local err
      repeat
        local piece
        piece, err = res:read()
      until not piece
      assert_error("http", "too_large", nil, err)
    end)

    it("that is cut short raises in chunks and body, and read gives the error", function()
      local server = serve(function(conn)
        raw.read_request(conn)
        conn:send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this")
      end)
      local res = assert(http.get(server.url, { stream = true }))
      assert.equal("only this", res:read())
      assert_error("network", "INCOMPLETE", res:read())
      local got = {}
      local good, err = pcall(function()
        for piece in assert(http.get(server.url, { stream = true })):chunks() do got[#got + 1] = piece end
      end)
      assert.is_false(good)
      assert.equal("network", err.kind)
      assert.equal("only this", table.concat(got))
      res = assert(http.get(server.url, { stream = true }))
      assert.is_false(pcall(function() return res.body end))
    end)

    it("a failure before the head is nil and an error", function()
      local server = serve(function(conn) raw.read_request(conn) end)
      assert_error("network", "NO_RESPONSE", http.get(server.url, { stream = true }))
    end)

    -- Each way to leave a response unread closes its connection, and the next request opens another.
    local ways = {
      close = function(res) res:close() end,
      ["a block that is left"] = function(res) local _ <close> = res end,
      ["a loop that is left"] = function(res) for piece in res:chunks() do if piece then break end end end,
      ["an error in a loop"] = function(res) pcall(function() for piece in res:chunks() do error(piece) end end) end,
    }
    for name, leave in pairs(ways) do
      it("closes its connection: " .. name, function()
        local closed = 0
        local server = serve(function(conn)
          raw.read_request(conn)
          conn:send(CHUNKED .. chunk("first"))
          conn:receive("*a")
          closed = closed + 1
        end)
        for n = 1, 2 do
          leave(assert(http.get(server.url, { stream = true })))
          eventually(function() return closed == n end)
          assert.equal(n, server.connections)
        end
      end)
    end

    it("that is dropped unread closes its connection", function()
      local closed = false
      local server = serve(function(conn)
        raw.read_request(conn)
        conn:send(CHUNKED .. chunk("first"))
        conn:receive("*a")
        closed = true
      end)
      assert(http.get(server.url, { stream = true }))
      eventually(function()
        collectgarbage()
        return closed
      end)
    end)

    it("read after close is an error of kind closed", function()
      local server = serve_pieces()
      local res = assert(http.get(server.url, { stream = true }))
      res:close()
      res:close()
      local piece, err = res:read()
      assert.is_nil(piece)
      assert.equal("closed", err.kind)
    end)

    it("that ended returns its connection", function()
      local server = serve(answering(CHUNKED .. chunk("x") .. "0\r\n\r\n"))
      for _ = 1, 3 do
        for _ in assert(http.get(server.url, { stream = true })):chunks() do end
      end
      assert.equal(1, server.connections)
    end)

    it("the timeout is for each wait, not for the whole", function()
      local server, queue = serve_pieces()
      local res = assert(http.get(server.url, { stream = true, timeout = 1 }))
      for _ = 1, 10 do
        queue:put("x")
        assert.equal("x", res:read())
        ml.sleep(0.15)
      end
      assert_error("timeout", "TIMED_OUT", res:read())
    end)

    it("a redirect's body is not waited for", function()
      local server = serve(function(conn)
        local head = raw.read_request(conn)
        if head:find("^GET /end") then
          conn:send(ok("end"))
        else
          conn:send("HTTP/1.1 302 X\r\nLocation: /end\r\nTransfer-Encoding: chunked\r\n\r\n" .. chunk("never ends"))
        end
        conn:receive("*a")
      end)
      assert.equal("end", assert(http.get(server.url, { stream = true })).body)
    end)

    it("a whole response can be read like one", function()
      local server = serve(answering(ok("hello")))
      local res = assert(http.get(server.url))
      local got = {}
      for piece in res:chunks() do got[#got + 1] = piece end
      assert.same({ "hello" }, got)
      res = assert(http.get(server.url))
      assert.equal("hello", res:read())
      assert.is_nil(res:read())
      res:close()
    end)
  end)

  describe("a body in pieces", function()
    it("is sent in chunks", function()
      local got
      local server = serve(function(conn)
        for head, body in raw.read_request, conn do
          got = { head, body }
          conn:send(ok("thanks"))
        end
      end)
      for _ = 1, 2 do
        local res = assert(http.post(server.url, { body = pieces { "one", "", "two" } }))
        assert.equal("thanks", res.body)
        assert.equal("onetwo", got[2])
        assert.equal("chunked", header(got[1], "Transfer-Encoding"))
        assert.is_nil(header(got[1], "Content-Length"))
        assert.is_nil(header(got[1], "Expect"))
      end
      assert.equal(1, server.connections)
    end)

    it("of a known length is sent with that", function()
      local got
      local server = serve(function(conn)
        for head, body in raw.read_request, conn do
          got = { head, body }
          conn:send(ok("thanks"))
        end
      end)
      local res = http.put(server.url, { body = pieces { "one", "two" }, headers = { ["content-length"] = 6 } })
      assert.equal("thanks", assert(res).body)
      assert.equal("onetwo", got[2])
      assert.equal("6", header(got[1], "Content-Length"))
      assert.is_nil(header(got[1], "Transfer-Encoding"))
    end)

    it("of the wrong length is an error, and its connection is closed", function()
      local closed = 0
      local server = serve(function(conn)
        conn:receive("*a")
        closed = closed + 1
      end)
      for n, list in ipairs { { "one" }, { "one", "two" } } do
        local good, message = pcall(http.put, server.url, { body = pieces(list), headers = { ["Content-Length"] = 5 } })
        assert.is_false(good)
        assert.matches(n == 1 and "shorter" or "longer", message)
        collectgarbage()
        eventually(function() return closed == server.connections end)
      end
    end)

    it("is produced as fast as the server takes it", function()
      local given, go = 0, false
      local server = serve(function(conn)
        conn:receive("\r\n\r\n")
        while not go do ml.sleep(0.001) end
        conn:receive("0\r\n\r\n")
        conn:send(ok("thanks"))
      end)
      local task = ml.spawn(http.post, server.url, {
        body = function()
          given = given + 1
          return given <= 256 and PIECE or nil
        end,
      })
      ml.sleep(0.1)
      assert.is_true(given < 200) -- what the kernel takes; the rest is not asked for
      go = true
      assert.equal("thanks", task:await().body)
      assert.equal(257, given)
    end)

    it("may come from calls that wait", function()
      local server = serve(answering(function(_, body) return ok(body) end))
      local list = pieces { "a", "b", "c" }
      local res = assert(http.post(server.url, {
        body = function()
          ml.sleep(0.005)
          return list()
        end,
      }))
      assert.equal("abc", res.body)
    end)

    it("an error of its function comes out unchanged, and the connection is closed", function()
      local closed, reason = false, {}
      local server = serve(function(conn)
        conn:receive("*a")
        closed = true
      end)
      local good, err = pcall(http.post, server.url, { body = function() error(reason) end })
      assert.is_false(good)
      assert.equal(reason, err)
      eventually(function() return closed or server.connections == 0 end)
      good, err = pcall(http.post, server.url, { body = function() return 5 end })
      assert.is_false(good)
      assert.matches("returned a number %(expected a string", err)
    end)

    it("a server that refuses it gets no more, and its answer is the response", function()
      local server = serve(function(conn)
        conn:receive("\r\n\r\n")
        conn:send("HTTP/1.1 413 X\r\nContent-Length: 5\r\nConnection: close\r\n\r\nlarge")
        conn:receive("*a")
      end)
      local given = 0
      local res = assert(http.post(server.url, {
        body = function()
          given = given + 1
          ml.sleep(0.001)
          return "piece"
        end,
      }))
      assert.equal(413, res.status)
      assert.equal("large", res.body)
      assert.is_true(given > 0)
    end)

    it("the response can be streamed as well", function()
      local server = serve(answering(function(_, body) return ok(body) end))
      local res = assert(http.post(server.url, { body = pieces { "a", "b" }, stream = true }))
      assert.equal("ab", res.body)
    end)

    it("a connection that breaks meanwhile is an error", function()
      local server = serve(function(conn)
        conn:receive("\r\n\r\n")
        conn:reset()
      end)
      local res, err = http.post(server.url, {
        body = function()
          ml.sleep(0.001)
          return "piece"
        end,
      })
      assert.is_nil(res)
      assert.equal("network", err.kind)
    end)

    it("a server that stops reading is a timeout", function()
      local server = serve(function(conn)
        conn:receive("\r\n\r\n")
        ml.sleep(60)
      end)
      local res, err = http.post(server.url, { timeout = 0.1, body = function() return PIECE end })
      assert_error("timeout", "TIMED_OUT", res, err)
    end)
  end)

  describe("forms", function()
    it("form is sent urlencoded", function()
      local got
      local server = serve(answering(function(head, body)
        got = { header(head, "Content-Type"), body }
        return ok("")
      end))
      assert(http.post(server.url, { form = { b = "x &=", a = { 1, true } } }))
      assert.same({ "application/x-www-form-urlencoded", "a=1&a=true&b=x%20%26%3D" }, got)
    end)

    it("multipart is sent as multipart/form-data, its files in pieces", function()
      local got
      local server = serve(answering(function(head, body)
        got = { head, body }
        return ok("thanks")
      end))
      local path = os.tmpname()
      finally(function() os.remove(path) end)
      local file = assert(io.open(path, "w"))
      file:write(("0123456789"):rep(20000))
      file:close()
      local fields = { title = "Cat", photo = { path = path, filename = "cat.jpg" } }
      assert.equal("thanks", assert(http.post(server.url, { multipart = fields })).body)
      local boundary = header(got[1], "Content-Type"):match("^multipart/form%-data; boundary=(.+)$")
      assert.equal(#got[2], tonumber(header(got[1], "Content-Length")))
      assert.equal("--" .. boundary .. "--\r\n", got[2]:sub(-#boundary - 6))
      assert.is_truthy(got[2]:find('name="title"\r\n\r\nCat\r\n', 1, true))
      assert.is_truthy(got[2]:find(("0123456789"):rep(20000), 1, true))
    end)

    it("a multipart file that cannot be read is nil and an error", function()
      local res, err = http.post("http://127.0.0.1:1", { multipart = { a = { path = "/none/such" } } })
      assert.is_nil(res)
      assert.equal("file", err.kind)
    end)

    it("multipart is sent again after a redirect that asks for it", function()
      local bodies = {}
      local server = serve(answering(function(_, body)
        bodies[#bodies + 1] = body
        if #bodies == 1 then return "HTTP/1.1 307 X\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n" end
        return ok("thanks")
      end))
      assert.equal("thanks", assert(http.post(server.url, { multipart = { a = "1" } })).body)
      assert.equal(2, #bodies)
      assert.equal(bodies[1], bodies[2])
    end)

    it("body, json, form and multipart cannot be used together", function()
      for pattern, opts in pairs {
        ["body and json cannot be used together"] = { body = "x", json = 1 },
        ["json and form cannot be used together"] = { form = {}, json = 1 },
        ["form: table expected, got string"] = { form = "a=b" },
        ["form and multipart cannot be used together"] = { form = {}, multipart = {} },
        ["multipart: table expected, got number"] = { multipart = 5 },
        ["unknown key 'b' of the form's field 'a'"] = { multipart = { a = { b = 1 } } },
        ["form: the value of 'a' is a function"] = { form = { a = print } },
        ["body: string or function expected"] = { body = 5 },
      } do
        local good, message = pcall(function()
          local res = http.post("http://127.0.0.1:1", opts)
          return res
        end)
        assert.is_false(good)
        assert.matches(pattern, message)
        assert.matches("http_stream_spec%.lua:%d+:", message)
      end
    end)
  end)

  describe("cancelled", function()
    -- In each phase: the exchange ends at once, its connection is closed and never used again.
    local phases = {
      ["before the head"] = function(url) return http.get(url .. "/none") end,
      ["in the body"] = function(url) return http.get(url .. "/half") end,
      ["in a streamed body"] = function(url)
        for _ in assert(http.get(url .. "/half", { stream = true })):chunks() do end
      end,
      ["between two reads"] = function(url)
        for _ in assert(http.get(url .. "/half", { stream = true })):chunks() do ml.sleep(60) end
      end,
      ["while writing"] = function(url)
        return http.post(url .. "/none", { body = function() return PIECE end })
      end,
      ["between two writes"] = function(url)
        return http.post(url .. "/none", {
          body = function()
            ml.sleep(60)
            return "x"
          end,
        })
      end,
    }
    for phase, ask in pairs(phases) do
      it(phase .. ", by ml.timeout, ml.deadline and task:cancel", function()
        local third_asked, closed = false, 0
        local server = serve(function(conn)
          local head = conn:receive("\r\n\r\n", 60)
          third_asked = third_asked or head and head:find(" /third/", 1, true)
          if head and head:find("/half ", 1, true) then
            conn:send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
          elseif head and head:find(" /whole ", 1, true) then
            conn:send(ok("whole"))
          end
          if head and head:find("^POST") then ml.sleep(60) end
          conn:receive("*a")
          closed = closed + 1
        end)
        local res, err = ml.timeout(0.05, ask, server.url)
        assert.is_nil(res)
        assert.equal("timeout", err.kind)
        local good
        good, err = pcall(function()
          local _ <close> = ml.deadline(0.05)
          ask(server.url)
        end)
        assert.is_false(good)
        assert.equal("timeout", err.kind)
        local task = ml.spawn(ask, server.url .. "/third")
        eventually(function() return third_asked end)
        task:cancel()
        assert.is_false(pcall(task.await, task))
        assert.equal("cancelled", task:status())
        local before = server.connections
        assert.equal("whole", assert(http.get(server.url .. "/whole")).body)
        assert.equal(before + 1, server.connections)
        if not phase:find("writ") then eventually(function() return closed == before end) end
      end)
    end
  end)
end, true)
