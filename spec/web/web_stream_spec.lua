-- Responses whose body is made while it is sent.
local ml = require "moonloop"
local web = require "moonloop.web"
local common = require "spec.support"
local support = require "spec.support.web"
local keep_reports = require "reports".keep

local rawtcp, request, run = common.rawtcp, support.request, support.run

-- An app with one route whose response streams with `f`; the other fields are those of `fields`.
local function streaming(f, fields)
  local app = web.app()
  app:get("/", function()
    local res = { stream = f }
    for name, value in pairs(fields or {}) do res[name] = value end
    return web.response(res)
  end)
  app:get("/after", function() return "after" end)
  return app
end

-- Everything that the client of `app` gets for `text` until the server closes the connection.
local function everything(app, text)
  local all
  support.serving(app, function(port)
    local conn <close> = assert(rawtcp.connect(port))
    conn:send(text)
    all = assert(conn:receive("*a"))
  end)
  return all
end

-- Bytes that no socket takes at once from a server whose client does not read.
local LARGE = 20 * 1024 * 1024
local PIECE = common.xs(65536)

local CLOSING = request("GET", "/", "Connection: close\r\n")

describe("a streamed response", function()
  it("comes in chunks, and the connection stays open", function()
    support.serving(streaming(function(out)
      assert.equal(out, out:write("a", 1, "b"))
      ml.sleep(0)
      out:write("", 2.5):write("end")
    end, { status = 201, headers = { ["X-A"] = "b" } }), function(port)
      local conn <close> = assert(rawtcp.connect(port))
      conn:send(request("GET", "/"))
      local res = support.receive(conn)
      assert.equal(201, res.status)
      assert.equal("chunked", res.headers["transfer-encoding"])
      assert.is_nil(res.headers["content-length"])
      assert.equal("b", res.headers["x-a"])
      assert.equal("a1b2.5end", res.body)
      conn:send(request("GET", "/after"))
      assert.equal("after", support.receive(conn).body)
    end)
  end)
  it("may be empty", function()
    assert.matches("\r\n\r\n0\r\n\r\n$", everything(streaming(function() end), CLOSING))
  end)
  it("sends what was written while the function waits", function()
    local gate = ml.event()
    support.serving(streaming(function(out)
      out:write("first")
      gate:wait()
      out:write("second")
    end), function(port)
      local conn <close> = assert(rawtcp.connect(port))
      conn:send(request("GET", "/"))
      assert(conn:receive("first"))
      gate:set()
      assert(conn:receive("second\r\n0\r\n\r\n"))
    end)
  end)
  it("ends with the connection in HTTP/1.0", function()
    local all = everything(streaming(function(out) out:write("whole") end),
      "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert.matches("\r\n\r\nwhole$", all)
    assert.matches("\r\nConnection: close\r\n", all)
    assert.not_matches("Transfer%-Encoding", all)
  end)
  it("may have its own Content-Length, also in HTTP/1.0", function()
    local app = streaming(function(out) out:write("12"):write("345") end, { headers = { ["content-length"] = 5 } })
    assert.matches("\r\nContent%-Length: 5\r\n\r\n12345$", everything(app, CLOSING))
    assert.matches("\r\nContent%-Length: 5\r\n\r\n12345$", everything(app, "GET / HTTP/1.0\r\n\r\n"))
  end)
  it("is plain text unless it says otherwise", function()
    assert.matches("\r\nContent%-Type: text/plain; charset=utf%-8\r\n", everything(streaming(function() end), CLOSING))
    assert.matches("\r\ncontent%-type: a/b\r\n",
      everything(streaming(function() end, { headers = { ["content-type"] = "a/b" } }), CLOSING))
  end)
  it("is not made for HEAD, 204 and 304", function()
    local called = false
    local function f() called = true end
    support.serving(streaming(f), function(port)
      local res = support.ask(port, request("HEAD", "/", "Connection: close\r\n"), true)
      assert.equal("chunked", res.headers["transfer-encoding"])
      assert.equal("", res.body)
    end)
    support.serving(streaming(f, { headers = { ["Content-Length"] = 5 } }), function(port)
      local res = support.ask(port, request("HEAD", "/", "Connection: close\r\n"), true)
      assert.equal("5", res.headers["content-length"])
    end)
    for _, status in ipairs { 204, 304 } do
      assert.not_matches("Transfer", everything(streaming(f, { status = status }), CLOSING))
    end
    assert.is_false(called)
  end)
  it("runs in the handler's own task", function()
    local name = ml.var("name")
    local app = web.app()
    local task
    app:get("/", function()
      name:set("handler's")
      task = ml.current()
      return web.response { stream = function(out)
        out:write(tostring(task == ml.current()), " ", name:get())
      end }
    end)
    support.serving(app, function(port) assert.equal("true handler's", support.get(port, "/").body) end)
  end)
  it("passes through middleware, which may wrap its own stream around it", function()
    local app = streaming(function(out) out:write("inner"):write(1) end)
    app:use(function(req, next)
      local res = next(req)
      local stream = res.stream
      res.headers["X-A"] = "b"
      res.stream = function(out)
        out:write("<")
        stream(out)
        out:write(">")
      end
      return res
    end)
    support.serving(app, function(port)
      local res = support.get(port, "/")
      assert.equal("b", res.headers["x-a"])
      assert.equal("<inner1>", res.body)
    end)
  end)
  it("makes the next requests wait", function()
    support.serving(streaming(function(out)
      out:write("a")
      ml.sleep(0)
      out:write("b")
    end), function(port)
      local conn <close> = assert(rawtcp.connect(port))
      conn:send(request("GET", "/") .. request("GET", "/after") .. request("GET", "/"))
      assert.equal("ab", support.receive(conn).body)
      assert.equal("after", support.receive(conn).body)
      assert.equal("ab", support.receive(conn).body)
    end)
  end)
  it("is refused with a header that frames it, or an invalid length", function()
    for _, headers in ipairs { '["Transfer-Encoding"] = "gzip"', '["Content-Length"] = "-1"', '["Content-Length"] = ""',
      '["Content-Length"] = "1x"', '["Content-Length"] = ("9"):rep(30)', '["Content-Length"] = { 1, 1 }' } do
      local output = run([[
        local app = web.app()
        app:get("/", function() return web.response { stream = function() end, headers = { ]] .. headers .. [[ } } end)
        support.serving(app, function(port) print(support.get(port, "/").status) end)
      ]])
      assert.matches("500", output)
      assert.matches("header '", output)
    end
  end)
end)

-- What a script prints that asks for / of an app whose stream function has this body.
local function ask(body, headers, text)
  return run(([[
    local app = web.app()
    app:get("/", function()
      return web.response { headers = { %s }, stream = function(out) %s end }
    end)
    support.serving(app, function(port)
      local conn <close> = assert(rawtcp.connect(port))
      conn:send(%q)
      local all, why, rest = conn:receive("*a")
      local text = all or rest .. "<" .. why .. ">"
      print(text:sub((text:find("\r\n\r\n", 1, true) or -3) + 4))
    end)
  ]]):format(headers or "", body, text or CLOSING))
end

describe("an error in a stream", function()
  it("is a 500 while nothing has been sent, and is reported", function()
    local output = ask [[out:write("never seen") error("early")]]
    assert.matches('{"detail":"Internal Server Error"}', output, 1, true)
    assert.matches("GET / failed", output)
    assert.matches("early\nstack traceback", output)
    assert.not_matches("never seen", output)
  end)
  it("is its own answer while nothing has been sent", function()
    local output = ask [[web.abort(404, "gone")]]
    assert.matches('{"detail":"gone"}', output, 1, true)
    assert.not_matches("traceback", output)
  end)
  it("in the middle cuts off the connection without an end, and is reported", function()
    local output = ask [[out:write("begun") ml.sleep(0.01) error("late")]]
    assert.matches("5\r\nbegun\r\n\n$", output)
    assert.not_matches("0\r\n\r\n", output, 1, true)
    assert.not_matches("detail", output)
    assert.matches("late\nstack traceback", output)
  end)
  it("resets the connection if its end would be the end of the body", function()
    local output = ask([[out:write("begun") ml.sleep(0.01) error("late")]], nil, "GET / HTTP/1.0\r\n\r\n")
    assert.matches("<ECONNRESET>", output)
    assert.matches("late\nstack traceback", output)
  end)
  it("can also be an end short of the Content-Length, or a write beyond it", function()
    local output = ask([[out:write("1234")]], '["Content-Length"] = 5')
    assert.matches("the stream of GET / ended 1 bytes short of its Content-Length", output, 1, true)
    output = ask([[out:write("1234") out:write("56")]], '["Content-Length"] = 5')
    assert.matches("out:write: 2 bytes, but only 1 are left of the Content-Length", output, 1, true)
    output = ask([[out:write("1234") print(pcall(out.write, out, "56")) out:write("5")]], '["Content-Length"] = 5')
    assert.matches("12345", output)
  end)
  it("can also be a value that cannot be written", function()
    assert.matches("bad argument #2 to 'write' %(string expected, got table%)", ask [[out:write("a", {})]])
  end)
  it("does not harm the next request of another connection", function()
    local output = run [[
      local app = web.app()
      local n = 0
      app:get("/", function()
        return web.response { stream = function(out)
          n = n + 1
          out:write("a")
          ml.sleep(0)
          if n % 2 == 1 then error("odd") end
        end }
      end)
      support.serving(app, function(port)
        for _ = 1, 6 do
          local res = support.get(port, "/")
          print(res.body, res.broken)
        end
      end)
    ]]
    assert.equal(3, select(2, output:gsub("a\tnil", "")))
    assert.equal(3, select(2, output:gsub("a\tclosed", "")))
  end)
end)

describe("out", function()
  it("raises when the response is over", function()
    local kept, reason
    support.serving(streaming(function(out)
      kept = out
      out:write("x")
    end), function(port)
      support.get(port, "/")
      local ok, err = pcall(kept.write, kept, "y")
      assert.is_false(ok)
      reason = err
    end)
    assert.equal("closed", reason.kind)
    assert.equal("out:write: the response is over", reason.message)
  end)
  it("keeps the texts of several tasks in one piece each", function()
    local length = 300 * 1024
    support.serving(streaming(function(out)
      local tasks = {}
      for i = 1, 5 do
        tasks[i] = function()
          out:write(i, (tostring(i)):rep(length))
          out:write("-")
        end
      end
      ml.gather(tasks)
    end), function(port)
      local body, at = support.get(port, "/").body:gsub("-", ""), 1
      assert.equal(5 * (length + 1), #body)
      for _ = 1, 5 do
        assert.is_true(body:sub(at, at + length) == body:sub(at, at):rep(length + 1))
        at = at + length + 1
      end
    end)
  end)
  it("passes the turn on when a writer is cancelled", function()
    local results, gate = {}, ml.event()
    support.serving(streaming(function(out)
      local filler = ml.spawn(function() out:write(common.xs(LARGE)) end)
      ml.sleep(0) -- it has the turn
      local first = ml.spawn(function() out:write("first") end)
      local second = ml.spawn(function() out:write("second") end)
      local third = ml.spawn(function() out:write("third") end)
      ml.sleep(0.05)
      first:cancel()
      second:cancel()
      gate:set()
      third:await()
      results = { filler:status(), first:status(), second:status(), third:status() }
    end), function(port)
      local conn <close> = assert(rawtcp.connect(port))
      conn:send(request("GET", "/"))
      gate:wait()
      local body = support.receive(conn).body
      assert.equal(LARGE + 5, #body)
      assert.equal("xthird", body:sub(-6))
    end)
    assert.same({ "done", "cancelled", "cancelled", "done" }, results)
  end)
  it("takes nothing more after a text that was cut off in the middle", function()
    local reports <close> = keep_reports()
    local why
    support.serving(streaming(function(out)
      local writer = ml.spawn(function() out:write(common.xs(LARGE)) end)
      ml.sleep(0.05)
      writer:cancel()
      ml.wait { writer }
      local _, err = pcall(out.write, out, "y")
      why = err
      ml.current():cancel()
      ml.sleep(0)
    end), function(port)
      local conn <close> = assert(rawtcp.connect(port))
      conn:send(request("GET", "/"))
      while not why do ml.sleep(0.01) end
    end)
    assert.equal("out:write: an earlier write was broken off in the middle", why.message)
    assert.matches("^moonloop: GET / failed: cancelled: ", reports:text())
  end)
end)

describe("a route's deadline", function()
  it("cuts off its stream", function()
    local output = run [[
      local app = web.app()
      app:get("/", { deadline = 0.1 }, function()
        return web.response { stream = function(out)
          out:write("begun")
          ml.sleep(60)
        end }
      end)
      app:get("/quick", { deadline = 60 }, function()
        return web.response { stream = function(out) out:write("in time") end }
      end)
      support.serving(app, function(port)
        print(support.get(port, "/quick").body)
        local res = support.get(port, "/")
        print(res.body, res.broken)
      end)
    ]]
    assert.matches("in time\n.*begun\tclosed\n", output)
    assert.matches("GET / failed: timeout", output)
  end)
end)

describe("a client that is behind", function()
  -- The server's process streams `total` bytes to a client that reads nothing at first, then all.
  -- Prints how much had been written when the writer waited, how the memory grew, and how much came.
  local SLOW = [[
    local function kilobytes(what)
      for line in io.lines("/proc/self/status") do
        local kb = line:match("^" .. what .. ":%s+(%d+)")
        if kb then return tonumber(kb) end
      end
    end
    -- A sanitizer keeps what is freed; it is known by the terabytes of addresses that it reserves.
    local function rss() return kilobytes("VmSize") < 1 << 30 and kilobytes("VmRSS") or 0 end
    local piece, total = ("x"):rep(@PIECE@), @TOTAL@
    local written, begun, done = 0, false, false
    local app = web.app()
    app:get("/", function()
      return web.response { stream = function(out)
        begun = true
        while written < total do
          out:write(piece)
          written = written + #piece
        end
        done = true
      end }
    end)
    support.serving(app, function(port)
      local conn <close> = assert(rawtcp.connect(port))
      collectgarbage() collectgarbage()
      local before, lua_before = rss(), collectgarbage("count")
      conn:send("GET / HTTP/1.0\r\n\r\n")
      local last = -1
      repeat
        last = written
        for _ = 1, 20 do ml.sleep(0.005) end
      until written == last and begun
      collectgarbage() collectgarbage()
      print("waits", done == false, rss() - before < 1024, collectgarbage("count") - lua_before < 1024)
      local got = 0
      repeat
        local text, _, rest = conn:receive()
        got = got + #(text or rest)
      until not text
      print("all", done, got > total)
    end)
  ]]
  local function slow(piece, total)
    return run((SLOW:gsub("@(%w+)@", { PIECE = piece, TOTAL = total })))
  end
  it("costs no more memory than 1 MB, and suspends the writer", function()
    for _, piece in ipairs { 1000, 64 * 1024, 1024 * 1024 } do
      local output = slow(piece, 100 * 1024 * 1024)
      assert.matches("waits\ttrue\ttrue\ttrue", output)
      assert.matches("all\ttrue\ttrue", output)
    end
  end)
  -- A thousand such clients must not use up what all sockets of the system share.
  it("has little waiting in the kernel: megabytes would be its default", function()
    local written = 0
    local app = streaming(function(out)
      while true do
        out:write(common.xs(8192))
        written = written + 8192
      end
    end)
    support.serving(app, function(port)
      local conns = {}
      for i = 1, 20 do
        conns[i] = assert(rawtcp.connect(port))
        conns[i]:send(request("GET", "/"))
      end
      local function all_wait()
        local waiting = 0
        for _, task in ipairs(ml.tasks()) do
          if task.waiting_for == "a client that is behind" then waiting = waiting + 1 end
        end
        return waiting == #conns
      end
      local last
      repeat
        last = written
        for _ = 1, 20 do ml.sleep(0.005) end
      until all_wait() and written == last
      for _, conn in ipairs(conns) do conn:close() end
      -- With what the clients' side takes before it is full.
      assert.is_true(written < #conns * 1024 * 1024, written // #conns .. " bytes for each")
    end)
  end)
  it("and stops reading is disconnected, and the handler is cancelled", function()
    local why
    local app = streaming(function(out)
      local ok, err = ml.catch(function()
        while true do out:write(PIECE) end
      end)
      why = not ok and err
      error(err, 0)
    end)
    support.serving(app, function(port)
      local conn <close> = assert(rawtcp.connect(port))
      conn:send(request("GET", "/"))
      while not why do ml.sleep(0.01) end
      assert.equal("cancelled", why.kind)
    end, { header_timeout = 1, body_timeout = 1, write_timeout = 1 })
  end)
  it("but reads slowly gets all of it", function()
    support.serving(streaming(function(out)
      for _ = 1, 100 do out:write(PIECE) end
    end), function(port)
      local conn <close> = assert(rawtcp.connect(port))
      conn:send("GET / HTTP/1.0\r\n\r\n")
      assert(conn:receive("\r\n\r\n"))
      local got = 0
      while got < 6553600 do
        got = got + #assert(conn:receive(1024 * 1024 < 6553600 - got and 1024 * 1024 or 6553600 - got))
        ml.sleep(0.4)
      end
    end, { header_timeout = 2, body_timeout = 2, write_timeout = 2 })
  end)
  -- Long texts leave from where they are, and what the system does not take of them is kept.
  it("gets long and short texts whole and in order, however they are framed", function()
    local sizes, parts = { 10, 65536, 40000, 5, 300000, 1, 33000, 100000, 2000, 131072 }, {}
    for i = 1, 60 do
      local text = ("%d,"):format(i):rep(100000)
      parts[i] = text:sub(1, sizes[i % #sizes + 1])
    end
    local body = table.concat(parts)
    local function write(out)
      for _, part in ipairs(parts) do out:write(part) end
    end
    local function held_back()
      for _, task in ipairs(ml.tasks()) do
        if task.waiting_for == "a client that is behind" then return true end
      end
    end
    for _, fields in ipairs { {}, { headers = { ["Content-Length"] = #body } } } do
      support.serving(streaming(write, fields), function(port)
        local conn <close> = assert(rawtcp.connect(port))
        conn:send(request("GET", "/"))
        while not held_back() do ml.sleep(0.001) end
        assert.is_true(support.receive(conn).body == body)
        conn:send(request("GET", "/after"))
        assert.equal("after", support.receive(conn).body)
        local old <close> = assert(rawtcp.connect(port))
        old:send("GET / HTTP/1.0\r\n\r\n")
        while not held_back() do ml.sleep(0.001) end
        assert.is_true(old:receive("*a"):sub(-#body) == body)
      end)
    end
  end)
  it("does not keep others from being served", function()
    local app = streaming(function(out)
      for _ = 1, 2000 do out:write(PIECE) end
    end)
    support.serving(app, function(port)
      local conn <close> = assert(rawtcp.connect(port))
      conn:send(request("GET", "/"))
      for _ = 1, 20 do assert.equal("after", support.get(port, "/after").body) end
    end)
  end)
end)

describe("a client that goes away in the middle of a stream", function()
  it("cancels the handler and its children", function()
    local reasons = {}
    local function note(f)
      return function(...)
        local ok, err = ml.catch(f, ...)
        reasons[#reasons + 1] = not ok and err.reason
        if not ok then error(err, 0) end
      end
    end
    support.serving(streaming(note(function(out)
      ml.spawn(note(function() ml.sleep(60) end))
      while true do out:write(PIECE) end
    end)), function(port)
      local conn = assert(rawtcp.connect(port))
      conn:send(request("GET", "/"))
      assert(conn:receive("\r\n\r\n"))
      conn:reset()
      while #reasons < 2 do ml.sleep(0.01) end
    end)
    assert.same({ "client disconnected", "client disconnected" }, reasons)
  end)
  it("is reported to a writer that a shield protects from the cancel", function()
    local why
    support.serving(streaming(function(out)
      ml.shield(function()
        local _, err = pcall(function()
          while true do out:write(PIECE) end
        end)
        why = err
      end)
    end), function(port)
      local conn = assert(rawtcp.connect(port))
      conn:send(request("GET", "/"))
      assert(conn:receive("\r\n\r\n"))
      conn:reset()
      while not why do ml.sleep(0.01) end
    end)
    assert.equal("closed", why.kind)
  end)
end)

describe("a server that stops", function()
  it("lets a stream end in time, and cuts it off when the time is over", function()
    local app = streaming(function(out)
      out:write("a")
      ml.sleep(0.05)
      out:write("b")
    end)
    app:get("/long", function()
      return web.response { stream = function(out)
        out:write("a")
        ml.sleep(60)
      end }
    end)
    local reports <close> = keep_reports()
    support.serving(app, function(port, server)
      local short <close> = assert(rawtcp.connect(port))
      local long <close> = assert(rawtcp.connect(port))
      short:send(request("GET", "/"))
      long:send(request("GET", "/long"))
      assert(short:receive("a\r\n"))
      assert(long:receive("a\r\n"))
      local stopping = ml.spawn(function() server:stop(2) end)
      assert.equal("1\r\nb\r\n0\r\n\r\n", short:receive("*a"))
      assert.equal("", long:receive("*a"))
      stopping:await()
    end)
    assert.matches("the time for stopping is over: 1 tasks of requests are cancelled\n$", reports:text())
  end)
end)
