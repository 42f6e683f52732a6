-- ml.http: the connections that a client keeps, and requests that are cancelled.
local ml = require "moonloop"
local raw = require "spec.support.http"
local serve, answering, ok, serve_echo = raw.serve, raw.answering, raw.ok, raw.serve_echo
local read_request = raw.read_request

raw.on_both_ways(describe, "ml.http", function(http)
  after_each(raw.stop)

  describe("connections", function()
    it("are kept alive and used again", function()
      local server = serve_echo()
      for _ = 1, 10 do assert(http.get(server.url)) end
      assert.equal(1, server.connections)
    end)

    it("a new one is made when the server has closed the old one", function()
      local server = serve(function(conn)
        read_request(conn)
        conn:send(ok("hello"))
      end)
      for n = 1, 3 do
        assert.equal("hello", assert(http.post(server.url, { body = "x" })).body)
        assert.equal(n, server.connections)
      end
    end)

    it("a request whose connection dies is sent again on a new one", function()
      local server = serve(function(conn, n)
        read_request(conn)
        conn:send(ok("first"))
        if n == 1 then
          read_request(conn)
          return -- closed without a word
        end
        answering(ok("again"))(conn)
      end)
      assert(http.get(server.url))
      assert.equal("first", assert(http.get(server.url)).body)
      assert.equal(2, server.connections)
    end)

    it("requests that are gathered run at the same time", function()
      local here = 0
      local server = serve(answering(function()
        here = here + 1
        while here < 20 do ml.sleep(0.001) end -- nobody is answered before all are there
        return ok("all here")
      end))
      local items = {}
      for i = 1, 20 do items[i] = { http.get, server.url } end
      for _, res in ipairs(ml.gather(items)) do assert.equal("all here", res.body) end
    end)

    it("max_connections bounds them; the others wait their turn", function()
      local now, most = 0, 0
      local server = serve(answering(function()
        now = now + 1
        most = math.max(most, now)
        ml.sleep(0.005)
        now = now - 1
        return ok("x")
      end))
      local client = http.client { max_connections = 2 }
      local items = {}
      for i = 1, 8 do items[i] = function() return assert(client:get(server.url)) end end
      assert.equal(8, ml.gather(items).n)
      assert.equal(2, most)
      assert.equal(2, server.connections)
    end)

    it("each client has its own", function()
      local server = serve_echo()
      local a, b = http.client(), http.client()
      for _ = 1, 2 do
        assert(a:get(server.url))
        assert(b:get(server.url))
      end
      assert.equal(2, server.connections)
    end)

    it("those of a client that is collected are closed", function()
      local closed = false
      local server = serve(function(conn)
        answering(ok("x"))(conn)
        closed = true
      end)
      do
        local client = http.client()
        assert(client:get(server.url))
      end
      ml.timeout(100, function()
        while not closed do
          collectgarbage()
          ml.sleep(0.001)
        end
      end)
      assert.is_true(closed)
    end)

    it("collecting a client during a request does no harm", function()
      local server = serve(answering(function()
        for _ = 1, 5 do
          collectgarbage()
          ml.sleep(0.001)
        end
        return ok("alive")
      end))
      assert.equal("alive", assert(http.client():get(server.url)).body)
    end)
  end)

  describe("cancelling", function()
    it("aborts the transfer and closes its connection at once", function()
      local asked, closed
      local server = serve(function(conn)
        asked = read_request(conn)
        closed = conn:receive("*a")
      end)
      local task = ml.spawn(http.get, server.url)
      while not asked do ml.sleep(0.001) end
      assert.is_true(task:cancel())
      local good, err = pcall(task.await, task)
      assert.is_false(good)
      assert.equal("cancelled", err.kind)
      ml.timeout(100, function() while not closed do ml.sleep(0.001) end end)
      assert.equal("", closed)
    end)

    it("in the pass that started the request leaves nothing behind", function()
      local server = serve_echo()
      local task = ml.spawn(http.get, server.url)
      ml.spawn(function() task:cancel() end):await()
      assert.is_false(pcall(task.await, task))
      assert.equal("cancelled", task:status())
      assert.equal(200, assert(http.get(server.url)).status)
    end)

    it("a request in the middle of its body leaves the others alone", function()
      local half
      local server = serve(function(conn)
        if read_request(conn):find("/half", 1, true) then
          conn:send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
          half = true
          conn:receive("*a")
        else
          while not half do ml.sleep(0.001) end
          ml.sleep(0.005)
          conn:send(ok("whole"))
        end
      end)
      local cut = ml.spawn(http.get, server.url .. "/half")
      local whole = ml.spawn(http.get, server.url)
      while not half do ml.sleep(0.001) end
      cut:cancel()
      assert.equal("whole", assert(whole:await()).body)
      assert.is_false(pcall(cut.await, cut))
    end)

    it("a request that waits for a connection leaves the queue, and the next gets its turn", function()
      local release = false
      local server = serve(answering(function(head)
        while not release do ml.sleep(0.001) end
        return ok(head:match("/(%a+)"))
      end))
      local client = http.client { max_connections = 1 }
      local first = ml.spawn(client.get, client, server.url .. "/first")
      ml.sleep(0.005)
      local second = ml.spawn(client.get, client, server.url .. "/second")
      local third = ml.spawn(client.get, client, server.url .. "/third")
      ml.sleep(0.005)
      second:cancel()
      release = true
      assert.equal("first", first:await().body)
      assert.equal("third", third:await().body)
      assert.is_false(pcall(second.await, second))
    end)

    it("the request that holds the only connection gives way to the next", function()
      local server = serve(function(conn)
        local head = read_request(conn)
        if head and head:find("/next", 1, true) then conn:send(ok("next")) else conn:receive("*a") end
      end)
      local client = http.client { max_connections = 1 }
      local first = ml.spawn(client.get, client, server.url)
      ml.sleep(0.005)
      local second = ml.spawn(client.get, client, server.url .. "/next")
      ml.sleep(0.005)
      first:cancel()
      assert.equal("next", assert(second:await()).body)
      assert.is_false(pcall(first.await, first))
    end)

    it("requests whose connections are still being made leaves nothing behind", function()
      local server = serve(function(conn) conn:receive("*a") end)
      local items = {}
      for i = 1, 20 do items[i] = { http.get, server.url, { timeout = 0 } } end
      for _ = 1, 10 do
        for _, err in ipairs(ml.gather(items, { return_errors = true })) do assert.equal("timeout", err.kind) end
        local task = ml.spawn(http.get, server.url)
        ml.sleep(0)
        task:cancel()
        assert.is_false(pcall(task.await, task))
      end
      assert.equal(200, assert(http.get(serve_echo().url)).status)
    end)

    it("does not wait for a name that is being looked up", function()
      local task = ml.spawn(http.get, "http://somebody.invalid/")
      ml.sleep(0)
      task:cancel()
      local good, err = pcall(task.await, task)
      assert.is_false(good)
      assert.equal("cancelled", err.kind)
    end)

    it("gather's failure aborts the requests that still run", function()
      if raw.is_https() then return end -- the failure comes before the end of the handshake
      local closed
      local server = serve(function(conn)
        read_request(conn)
        closed = conn:receive("*a")
      end)
      local good, err = pcall(ml.gather, { http.get, server.url }, { http.get, "http://127.0.0.1:1/" })
      assert.is_false(good)
      assert.equal("ECONNREFUSED", err.code)
      ml.timeout(100, function() while not closed do ml.sleep(0.001) end end)
      assert.equal("", closed)
    end)
  end)
end, true)
