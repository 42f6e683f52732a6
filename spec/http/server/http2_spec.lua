--- HTTP/2 of servers, by a client made of frames.
local http2 = require "spec.support.http2"
local json = require "moonloop.json"
local ml = require "moonloop"
local reports = require "reports"
local rawtcp = require("spec.support").rawtcp
local served = require "spec.support.served"
local web = require "moonloop.web"
local http = require "spec.support.web"

local REQUESTS = 5 -- in turn on a connection
local MUCH = 200 * 1024 -- bytes of a header line

local function with(app, f, opts)
  opts = opts or {}
  opts.http2 = "clear"
  http.serving(app, f, opts)
end

--- An app whose handlers say what they got.
local function echo()
  local app = web.app()
  app:get("/", function() return "hello" end)
  app:get("/request", function(req)
    local headers = {}
    for name, value in pairs(req.headers) do headers[name] = value end
    return { headers = headers, url = req.url, target = req.target, client = req.client.host }
  end)
  app:post("/echo", function(req) return 201, req.body end)
  app:post("/text", function(req) return req.body or "" end)
  app:post("/count", function(req)
    local n = 0
    for chunk in req:chunks() do n = n + #chunk end
    return tostring(n)
  end)
  app:get("/big", function() return ("0123456789"):rep(30000) end)
  app:get("/huge", function() return ("0123456789"):rep(1000000) end)
  app:get("/stream", function()
    return web.response { stream = function(out)
      for i = 1, 100 do out:write(("line %d\n"):format(i)) end
    end }
  end)
  return app
end

describe("HTTP/2 in clear", function()
  it("is spoken where the client begins with it, beside HTTP/1, several requests in turn", function()
    with(echo(), function(port)
      local client <close> = http2.connect(port)
      for _ = 1, REQUESTS do assert.same({ 200, "hello" }, { client:response(client:ask("GET", "/")) }) end
      assert.equal(404, (client:response(client:ask("GET", "/nowhere"))))
      assert.equal(405, (client:response(client:ask("POST", "/"))))
      assert.equal("hello", http.get(port, "/").body)
    end)
  end)

  it("is told by its first bytes, however they come", function()
    with(echo(), function(port)
      local conn <close> = assert(rawtcp.connect(port))
      assert(conn:send "P")
      assert.equal("hello", http.get(port, "/").body)
      assert(conn:send "OST /text HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi")
      assert.equal("hi", http.receive(conn).body)
      local client <close> = http2.connect(port)
      assert.equal("hello", select(2, client:response(client:ask("GET", "/"))))
      local other <close> = assert(rawtcp.connect(port))
      assert(other:send "neither of them\r\n\r\n")
      assert.equal("", other:receive "*a")
    end)
  end)

  it("is not spoken without http2 = 'clear'", function()
    http.serving(echo(), function(port)
      local conn <close> = assert(rawtcp.connect(port))
      assert(conn:send(http2.PREFACE))
      assert.matches("^HTTP/1%.1 400 ", conn:receive "*a")
    end)
    local app = web.app { http2 = false }
    assert.error_matches(function() web.app { http2 = "yes" } end, "http2.*true, false or 'clear'")
    http.serving(app, function(port)
      local conn <close> = assert(rawtcp.connect(port))
      assert(conn:send(http2.PREFACE))
      assert.matches("^HTTP/1%.1 400 ", conn:receive "*a")
    end)
  end)

  it("gives handlers the request as HTTP/1 does, and nothing that only frames it", function()
    with(echo(), function(port)
      local client <close> = http2.connect(port)
      local _, body = client:response(client:ask("GET", "/request?a=1", { { "x-one", "1" }, { "x-one", "2" },
        { "cookie", "a=1" }, { "te", "trailers" }, { "cookie", "b=2" }, { "host", "here" } }))
      local seen = json.decode(body)
      assert.same({ host = "here", ["x-one"] = "1, 2", cookie = "a=1; b=2", te = "trailers" }, seen.headers)
      assert.equal("http://here/request?a=1", seen.url)
      assert.equal("/request?a=1", seen.target)
    end)
  end)

  it("believes trusted proxies as HTTP/1 does", function()
    with(echo(), function(port)
      local client <close> = http2.connect(port)
      local function ask(from)
        local _, body = client:response(client:ask("GET", "/request", { { "x-forwarded-for", from },
          { "x-forwarded-proto", "https" } }))
        return json.decode(body)
      end
      local seen = ask "192.0.2.7"
      assert.same({ "192.0.2.7", "https://here/request" }, { seen.client, seen.url })
      assert.equal("192.0.2.8", ask "192.0.2.8".client)
    end, { trusted_proxies = { "127.0.0.1" } })
  end)

  it("takes bodies with a length, without one and with trailers", function()
    with(echo(), function(port)
      local client <close> = http2.connect(port)
      local function post(path, fields, pieces, trailers)
        local stream = client:ask("POST", path, fields, true)
        for i, piece in ipairs(pieces) do
          client:send(http2.DATA, i == #pieces and not trailers and http2.END_STREAM or 0, stream, piece)
        end
        if trailers then
          client:send(http2.HEADERS, http2.END_STREAM | http2.END_HEADERS, stream, http2.fields(trailers))
        end
        return select(2, client:response(stream))
      end
      assert.equal("abcdef", post("/text", { { "content-length", "6" } }, { "abc", "def" }))
      assert.equal("abcdef", post("/text", {}, { "abc", "def" }))
      assert.equal("abcdef", post("/text", {}, { "abc", "def" }, { { "x-sum", "1" } }))
      assert.equal("", post("/text", {}, { "" }))
      local pieces = {}
      for i = 1, 20 do pieces[i] = ("x"):rep(3000) end
      assert.equal("60000", post("/count", {}, pieces))
    end)
  end)

  it("grants a body more as it is taken", function()
    with(echo(), function(port)
      local client <close> = http2.connect(port)
      local stream = client:ask("POST", "/count", {}, true)
      local left, window = 300000, 65535
      while left > 0 do
        local n = math.min(left, window, 16384)
        if n > 0 then
          left, window = left - n, window - n
          client:send(http2.DATA, left == 0 and http2.END_STREAM or 0, stream, ("x"):rep(n))
        else
          local frame = assert(client:read_until(function(f)
            return f.type == http2.WINDOW_UPDATE and f.stream == stream
          end))
          window = window + string.unpack(">I4", frame.payload)
        end
      end
      assert.same({ 200, "300000" }, { client:response(stream) })
    end)
  end)

  it("sends what the client's windows allow", function()
    with(echo(), function(port)
      local client <close> = http2.connect(port, { window = 5 })
      local stream = client:ask("GET", "/big")
      client:read_until(function(frame) return frame.type == http2.DATA end)
      assert.equal("01234", client.bodies[stream])
      local other = client:ask("GET", "/") -- others are served meanwhile
      assert.same({ 200, "hello" }, { client:response(other) })
      client:widen(0, 1 << 20)
      client:widen(stream, 1 << 20)
      assert.same({ 200, ("0123456789"):rep(30000) }, { client:response(stream) })
    end)
  end)

  it("sends more than the system takes at once", function()
    with(echo(), function(port)
      local client <close> = http2.connect(port, { window = 1 << 30 })
      client:widen(0, 1 << 30)
      local size = 0
      local stream = client:ask("GET", "/huge")
      while not client.ended[stream] do
        size = size + #(client.bodies[stream] or "")
        client.bodies[stream] = nil
        assert(client:read())
      end
      assert.equal(10000000, size + #client.bodies[stream])
    end)
  end)

  it("sends streams of unknown length, and nothing to HEAD", function()
    with(echo(), function(port)
      local client <close> = http2.connect(port)
      local _, body = client:response(client:ask("GET", "/stream"))
      assert.equal(100, select(2, body:gsub("line %d+\n", "")))
      assert.same({ 200, "" }, { client:response(client:ask("HEAD", "/stream")) })
      assert.same({ 200, "" }, { client:response(client:ask("HEAD", "/big")) })
    end)
  end)

  it("resets a stream whose response fails", function()
    local app = web.app()
    local sent = ml.event()
    app:get("/", function()
      return web.response { stream = function(out)
        out:write "one"
        sent:wait()
        error "broken"
      end }
    end)
    with(app, function(port)
      local kept <close> = reports.keep()
      local client <close> = http2.connect(port)
      local stream = client:ask("GET", "/")
      client:read_until(function(frame) return frame.type == http2.DATA end)
      sent:set()
      assert.equal(http2.INTERNAL_ERROR, client:reset(stream))
      assert.matches("broken", kept:text(), 1, true)
    end)
  end)

  it("sends long heads, and resets the stream of one that is too long", function()
    local app = web.app()
    app:get("/long", function() return "", 200, { ["X-Long"] = ("a"):rep(MUCH) } end)
    for path, length in pairs { ["/many"] = 0, ["/vast"] = 8 * MUCH } do
      app:get(path, function()
        local headers = { ["X-Vast"] = ("a"):rep(length) }
        for i = 1, length == 0 and 300 or 0 do headers["X-" .. i] = "one of many" end
        return "", 200, headers
      end)
    end
    with(app, function(port)
      local kept <close> = reports.keep()
      local client <close> = http2.connect(port)
      local long = client:ask("GET", "/long")
      client:read_until(function(frame) return frame.type == http2.DATA or client.ended[long] end)
      assert.equal(http2.INTERNAL_ERROR, client:reset(client:ask("GET", "/many")))
      assert.equal(http2.INTERNAL_ERROR, client:reset(client:ask("GET", "/vast")))
      assert.matches("more header lines than HTTP/2 takes", kept:text(), 1, true)
    end)
  end)

  it("cancels the handler of a stream that is reset, and of a connection that ends", function()
    local app, began, ended = web.app(), ml.queue(), ml.queue()
    app:get("/", function()
      local _ <close> = setmetatable({}, { __close = function() ended:put(true) end })
      began:put(true)
      ml.sleep(1000)
    end)
    with(app, function(port)
      local client = http2.connect(port)
      local stream = client:ask("GET", "/")
      began:get()
      client:send(http2.RST_STREAM, 0, stream, string.pack(">I4", http2.CANCEL))
      ended:get()
      client:ask("GET", "/")
      client:ask("GET", "/")
      began:get()
      began:get()
      client:close()
      ended:get()
      ended:get()
    end)
  end)

  it("refuses heads and bodies beyond the limits", function()
    local app = web.app { max_header_bytes = 2000, max_request_line = 500, max_body = 10 }
    app:post("/", function(req) return req.body end)
    with(app, function(port)
      local client <close> = http2.connect(port)
      assert.equal(431, (client:response(client:ask("POST", "/", { { "x-long", ("x"):rep(3000) } }))))
      local many = {}
      for i = 1, 200 do many[i] = { "x-" .. i, ("x"):rep(20) } end
      assert.equal(431, (client:response(client:ask("POST", "/", many))))
      assert.equal(431, (client:response(client:ask("POST", "/", { { "cookie", ("x"):rep(3000) } }))))
      assert.equal(414, (client:response(client:ask("POST", "/" .. ("x"):rep(600)))))
      assert.equal(413, (client:response(client:ask("POST", "/", { { "content-length", "11" } }, true))))
      local stream = client:ask("POST", "/", {}, true)
      client:send(http2.DATA, 0, stream, ("x"):rep(20))
      assert.equal(413, (client:response(stream)))
      stream = client:ask("POST", "/", {}, true)
      client:send(http2.DATA, http2.END_STREAM, stream, "0123456789")
      assert.same({ 200, "0123456789" }, { client:response(stream) })
    end)
  end)

  it("stops in two steps, and lets streams end", function()
    local app, go, began = web.app(), ml.event(), ml.queue()
    app:get("/", function()
      began:put(true)
      go:wait()
      return "done"
    end)
    local server = assert(web.listen(app, { port = 0, http2 = "clear" }))
    local client <close> = http2.connect(server.port)
    local first = client:ask("GET", "/")
    began:get()
    ml.spawn(server.stop, server, 1000)
    local function of(type) return function(frame) return frame.type == type end end
    client:read_until(of(http2.GOAWAY))
    assert.same({ 0x7fffffff, http2.NO_ERROR }, client.goaway)
    local second = client:ask("GET", "/") -- on its way when the server said so
    began:get()
    local ping = client:read_until(of(http2.PING))
    client:send(http2.PING, http2.ACK, 0, ping.payload)
    client:read_until(of(http2.GOAWAY))
    assert.same({ second, http2.NO_ERROR }, client.goaway)
    go:set()
    assert.same({ 200, "done" }, { client:response(first) })
    assert.same({ 200, "done" }, { client:response(second) })
    assert.equal(http2.NO_ERROR, client:end_code())
    server:wait()
  end)

  it("is in the access log", function()
    local entries = ml.queue()
    with(echo(), function(port)
      local client <close> = http2.connect(port)
      client:response(client:ask("GET", "/?a=b", { { "user-agent", "me" } }))
      local entry = entries:get()
      assert.same({ "GET", "/?a=b", "HTTP/2.0", 200, 5, "me" },
        { entry.method, entry.target, entry.protocol, entry.status, entry.bytes, entry.user_agent })
    end, { access_log = function(entry) entries:put(entry) end })
  end)

  it("is in the access log as it came where its request line is cut", function()
    local entries, long = ml.queue(), "/" .. ("x"):rep(10000)
    with(echo(), function(port)
      local client <close> = http2.connect(port)
      client:response(client:ask("GET", long))
      local line = entries:get().request
      assert.equal(("GET " .. long):sub(1, 8192), line)
    end, { access_log = function(entry) entries:put(entry) end, max_request_line = 20000 })
  end)
end)

describe("HTTP/2 that is no HTTP/1", function()
  local app = web.app()
  local calls = 0
  app:get("/{path:path}", function()
    calls = calls + 1
    return "here"
  end)
  app:post("/{path:path}", function(req)
    local _ = req.body
    calls = calls + 1
    return "here"
  end)

  local malformed = {
    ["a name in capitals"] = { { "X-Capital", "1" } },
    ["a name that ends a line"] = { { "x: 1\r\ny", "1" } },
    ["a name with a colon"] = { { "x:y", "1" } },
    ["an empty name"] = { { "", "1" } },
    ["a value that ends a line"] = { { "x", "1\r\nHost: other" } },
    ["a value with a zero"] = { { "x", "1\0" } },
    ["a value that begins with a blank"] = { { "x", " 1" } },
    ["connection"] = { { "connection", "close" } },
    ["keep-alive"] = { { "keep-alive", "timeout=5" } },
    ["proxy-connection"] = { { "proxy-connection", "close" } },
    ["transfer-encoding"] = { { "transfer-encoding", "chunked" } },
    ["upgrade"] = { { "upgrade", "websocket" } },
    ["te"] = { { "te", "gzip" } },
    ["another host"] = { { "host", "there" } },
    ["two lengths"] = { { "content-length", "0" }, { "content-length", "0" } },
    ["a length without a body"] = { { "content-length", "5" } },
    ["a late pseudo-header"] = { { "x", "1" }, { ":path", "/other" } },
    ["an unknown pseudo-header"] = { { ":what", "1" } },
    ["two paths"] = { { ":path", "/other" } },
  }

  it("is malformed: the stream is reset, no handler is called, and the connection goes on", function()
    with(app, function(port)
      local client <close> = http2.connect(port)
      for what, fields in pairs(malformed) do
        local status, code = client:response(client:ask("GET", "/", fields))
        assert.same({ what, nil, http2.PROTOCOL_ERROR }, { what, status, code })
      end
      for _, path in ipairs { "", "/a b", "/a\r\nx: 1", "*", "http://here/", "x" } do
        local status, code = client:response(client:ask("GET", path))
        assert.same({ path, nil, http2.PROTOCOL_ERROR }, { path, status, code })
      end
      assert.equal(0, calls)
      assert.equal(200, (client:response(client:ask("GET", "/"))))
      calls = 0
    end)
  end)

  it("has bodies of the length that was said", function()
    with(app, function(port)
      local client <close> = http2.connect(port)
      for _, body in ipairs { "1234", "123456" } do
        local stream = client:ask("POST", "/", { { "content-length", "5" } }, true)
        client:send(http2.DATA, http2.END_STREAM, stream, body)
        assert.same({ nil, http2.PROTOCOL_ERROR }, { client:response(stream) })
      end
      assert.equal(0, calls)
    end)
  end)
end)

describe("HTTP/2 of moonloop serve", function()
  it("is spoken as --http2 says", function()
    local files = { ["app.lua"] = [[
      local app = require("moonloop").web.app()
      app:get("/", function() return "hello" end)
      return app]] }
    local server <close> = served.start(files, "--http2 clear --access-log common")
    local client <close> = http2.connect(server.port)
    assert.same({ 200, "hello" }, { client:response(client:ask("GET", "/")) })
    client:close()
    server:kill "TERM"
    local _, output = server:finish()
    assert.matches('"GET / HTTP/2.0" 200 5', output, 1, true)
    local wrong <close> = served.start(files, "--http2 maybe")
    assert.matches("--http2 must be true, false or clear, not 'maybe'", wrong:wait_for "maybe", 1, true)
  end)
end)
