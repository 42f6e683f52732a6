-- moonloop.http.core: bodies that are read and written in pieces.
local ml = require "moonloop"
local core = require "moonloop.http.core"
local raw = require "spec.support.http"
local rawtcp = require("spec.support").rawtcp
local serve, receive, answering, ok = raw.serve, raw.read_request, raw.answering, raw.ok
local eventually = require("spec.support.tasks").eventually
local assert_error = raw.assert_error

local function get(pool, url, opts)
  return core.request(pool, "GET", url, "", nil, opts.timeout or 30, opts.max_body or math.huge, true)
end

local function read_all(reader)
  local pieces = {}
  for piece in function() return reader:read() end do pieces[#pieces + 1] = piece end
  return table.concat(pieces), #pieces
end

describe("moonloop.http.core:", function()
  local pool
  before_each(function() pool = core.pool {} end)
  after_each(function()
    pool:close()
    raw.stop()
  end)

  describe("a reader", function()
    it("gives the body as it arrives, and nil at its end, again and again", function()
      local step = 0
      local server = serve(function(conn)
        receive(conn)
        conn:send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for i = 1, 3 do
          while step < i do ml.sleep(0.001) end
          conn:send(("3\r\n%s\r\n"):format(("abc"):sub(i, i):rep(3)))
        end
        conn:send("0\r\n\r\n")
        receive(conn)
      end)
      local status, reader, head, url = get(pool, server.url, {})
      assert.same({ 200, "transfer-encoding: chunked\r\n", server.url .. "/" }, { status, head, url })
      for i = 1, 3 do
        step = i
        assert.equal(("abc"):sub(i, i):rep(3), reader:read())
      end
      assert.is_nil(reader:read())
      assert.same({ nil }, { reader:read() })
      assert.equal(1, server.open) -- and the connection is kept
    end)

    it("holds the server back while nobody reads", function()
      local sent, size = 0, 20000000
      local server = serve(function(conn)
        receive(conn)
        conn:send(("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"):format(size))
        local piece = ("x"):rep(100000)
        for _ = 1, size // #piece do
          if not conn:send(piece) then return end
          sent = sent + #piece
        end
        receive(conn)
      end)
      local _, reader = get(pool, server.url, {})
      local before
      repeat
        before = sent
        ml.sleep(0.05)
      until sent == before
      assert.is_true(sent < size)
      local body, pieces = read_all(reader)
      assert.equal(size, #body)
      assert.is_true(pieces >= size // 65536)
    end)

    it("decodes piece by piece, and its limit counts decoded bytes", function()
      local pipe = assert(io.popen("head -c 5000000 /dev/zero | gzip -9"))
      local bomb = pipe:read("a")
      pipe:close()
      local server = serve(answering(ok(bomb, "Content-Encoding: gzip\r\n")))
      local _, reader = get(pool, server.url, {})
      local total, most = 0, 0
      for piece in function() return reader:read() end do
        total, most = total + #piece, math.max(most, #piece)
      end
      assert.equal(5000000, total)
      assert.is_true(most <= 65536)
      _, reader = get(pool, server.url, { max_body = 1000000 })
      local piece, err
      repeat piece, err = reader:read() until not piece
      assert_error("http", "too_large", piece, err)
      assert_error("http", "too_large", reader:read())
    end)

    it("says where the body was cut short or is malformed", function()
      for text, code in pairs {
        ["HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc"] = "network INCOMPLETE",
        ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nx"] = "http BAD_RESPONSE",
      } do
        local server = serve(function(conn)
          receive(conn)
          conn:send(text)
        end)
        local _, reader = get(pool, server.url, {})
        local piece, err
        repeat piece, err = reader:read() until not piece
        assert.equal(code, err.kind .. " " .. err.code)
      end
    end)

    it("that is closed or collected before the end closes the connection", function()
      local server = serve(function(conn)
        receive(conn)
        conn:send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc")
        conn:receive("*a")
      end)
      local _, reader = get(pool, server.url, {})
      reader:close()
      assert_error("closed", nil, reader:read())
      eventually(function() return server.open == 0 end)
      reader = select(2, get(pool, server.url, {})) -- luacheck: ignore
      reader = nil -- luacheck: ignore
      eventually(function()
        collectgarbage()
        return server.open == 0
      end)
    end)

    it("waits for each piece as long as the request's timeout, and a cancelled read closes it", function()
      local server = serve(function(conn)
        receive(conn)
        conn:send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
        conn:receive("*a")
      end)
      local _, reader = get(pool, server.url, { timeout = 0.5 })
      assert_error("timeout", "TIMED_OUT", reader:read())
      _, reader = get(pool, server.url, {})
      local task = ml.spawn(reader.read, reader)
      ml.sleep(0)
      assert.error_matches(function() reader:read() end, "another task waits")
      task:cancel()
      assert.is_false(pcall(task.await, task))
      eventually(function() return server.open == 0 end)
    end)
  end)

  describe("an upload", function()
    local function begin(url, length, timeout) return core.begin(pool, "PUT", url, "", length, timeout or 30) end

    -- Reads a request whose body is in chunks or has a length: its head, and its body as it came.
    local function receive_upload(conn)
      local head = conn:receive("\r\n\r\n")
      if not head then return nil end
      local length = head:match("Content%-Length: (%d+)")
      return head, conn:receive(tonumber(length) or "0\r\n\r\n")
    end

    it("sends chunks, or the announced length, and gives the response", function()
      local server = serve(function(conn)
        for head, body in receive_upload, conn do
          conn:send(ok(head:match("Transfer%-Encoding: [^\r]*") or head:match("Content%-Length: [^\r]*"), "X: " .. #body
            .. "\r\n"))
        end
      end)
      for length, expected in pairs { [0] = "Transfer-Encoding: chunked 21", [6] = "Content-Length: 6 6" } do
        local upload = assert(begin(server.url, length > 0 and length or nil))
        for _, piece in ipairs { "abc", "", "def" } do assert.is_true(upload:write(piece)) end
        local status, body, head, url = upload:response(1e6)
        assert.same({ 200, expected, server.url .. "/" }, { status, body .. head:match("x:( %d+)"), url })
        assert.error_matches(function() upload:write("x") end, "over")
        assert.error_matches(function() upload:response(1) end, "over")
      end
      assert.equal(1, server.connections)
    end)

    it("waits in line for a kept connection like any other", function()
      local server = serve(function(conn)
        for _, body in receive_upload, conn do
          ml.sleep(0.002)
          conn:send(ok(body))
        end
      end)
      local small = core.pool { max_connections = 1 }
      local jobs = {}
      for i = 1, 5 do
        jobs[i] = function()
          local upload = assert(core.begin(small, "POST", server.url, "", 1, 30))
          assert(upload:write(tostring(i)))
          return (select(2, upload:response(10)))
        end
      end
      assert.equal("12345", table.concat(ml.gather(jobs)))
      assert.equal(1, server.connections)
    end)

    it("suspends its writer while the server is behind", function()
      local go, written = false, 0
      local server = serve(function(conn)
        conn:receive("\r\n\r\n")
        while not go do ml.sleep(0.001) end
        conn:send(ok(tostring(#conn:receive(20000000))))
      end)
      local upload = assert(begin(server.url, 20000000))
      local task = ml.spawn(function()
        local piece = ("x"):rep(100000)
        for _ = 1, 200 do
          assert(upload:write(piece))
          written = written + #piece
        end
        return upload:response(1000)
      end)
      local before
      repeat
        before = written
        ml.sleep(0.05)
      until written == before
      assert.is_true(written < 20000000)
      go = true
      assert.same({ 200, "20000000" }, { (function(status, body) return status, body end)(task:await()) })
    end)

    it("learns of an early response, which is given; its connection is not kept", function()
      local server = serve(function(conn)
        conn:receive("\r\n\r\n")
        conn:send("HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig")
        conn:receive("*a")
      end)
      local upload = assert(begin(server.url))
      local good
      repeat
        good = upload:write(("x"):rep(10000))
        ml.sleep(0)
      until not good
      assert.is_false(good)
      assert.is_false(upload:write("more"))
      assert.same({ 413, "big" }, { (function(status, body) return status, body end)(upload:response(1000)) })
      eventually(function() return server.open == 0 end)
    end)

    it("learns of a response that came before a reset", function()
      local server = serve(function(conn)
        conn:receive("\r\n\r\n")
        conn:send("HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 3\r\n\r\nbig")
      end)
      local upload = assert(begin(server.url))
      while upload:write(("x"):rep(100000)) do ml.sleep(0) end
      assert.equal(413, (upload:response(1000)))
    end)

    it("fails if the connection does", function()
      local server = serve(function(conn)
        conn:receive("\r\n\r\n")
        conn:reset()
      end)
      local upload = assert(begin(server.url))
      local good, err
      repeat
        good, err = upload:write(("x"):rep(100000))
        ml.sleep(0)
      until not good
      assert.equal("network", err.kind)
      assert.equal("network", select(2, upload:response(1)).kind)
      local listener = rawtcp.listen()
      local url = "http://127.0.0.1:" .. listener.port
      listener:close()
      assert_error("network", "ECONNREFUSED", begin(url))
    end)

    it("keeps to the announced length", function()
      local server = serve(answering(ok("x")))
      local upload = assert(begin(server.url, 5))
      assert.is_true(upload:write("abc"))
      assert.error_matches(function() upload:write("def") end, "longer than its length of 5 bytes")
      assert.error_matches(function() upload:response(1) end, "shorter than its length of 5 bytes: 3")
      assert.is_true(upload:write("de"))
      assert.equal(200, (upload:response(10)))
      assert.error_matches(function() begin(server.url, -1) end, "length")
    end)

    it("that is closed, collected or cancelled closes the connection", function()
      local server = serve(function(conn) conn:receive("*a") end)
      local upload = assert(begin(server.url))
      upload:close()
      eventually(function() return server.open == 0 end)
      upload = assert(begin(server.url)) -- luacheck: ignore
      upload = nil -- luacheck: ignore
      eventually(function()
        collectgarbage()
        return server.open == 0
      end)
      upload = assert(begin(server.url))
      local task = ml.spawn(upload.response, upload, 1000)
      ml.sleep(0.005)
      task:cancel()
      assert.is_false(pcall(task.await, task))
      eventually(function() return server.open == 0 end)
      assert_error("timeout", "TIMED_OUT", assert(begin(server.url, nil, 0.5)):response(1))
    end)

    it("has a response that can be streamed, or limited", function()
      local server = serve(function(conn)
        for _, body in receive_upload, conn do conn:send(ok(body)) end
      end)
      local upload = assert(begin(server.url, 200000))
      assert(upload:write(("y"):rep(200000)))
      local status, reader = upload:response(math.huge, true)
      assert.equal(200, status)
      assert.equal(200000, #read_all(reader))
      upload = assert(begin(server.url, 200000))
      assert(upload:write(("y"):rep(200000)))
      assert_error("http", "too_large", upload:response(199999))
    end)
  end)
end)
