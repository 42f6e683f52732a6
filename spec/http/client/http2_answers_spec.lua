-- What servers of HTTP/2 may answer, and what they may not: a server of the specs that decides on every frame.
local http = require "spec.support.http"
local http2 = require "spec.support.http2_frames"
local ml = require "moonloop"

local assert_error, eventually = http.assert_error, require("spec.support.servers").eventually
local headers, frame, ok = http2.headers, http2.frame, http2.ok

describe("a response of HTTP/2", { timeout = 100 }, function()
  local client

  before_each(function() client = ml.http.client { http2 = "clear", timeout = 60 } end)

  after_each(function()
    client:close()
    http.stop()
  end)

  --- A server whose first answer is what `answer(id)` gives, a text; the others are good.
  local function serve(answer)
    local first = true
    return http2.serve(function(conn, id)
      conn:send(first and answer(id) or ok(id, "good"))
      first = false
    end)
  end

  local OK = { ":status", "200" }

  --- The fields of a response of 200 with these in addition.
  local function with(...) return { ":status", "200", ... } end

  local function only(fields) return function(id) return headers(id, fields, http2.END_STREAM) end end

  local function body(fields, ...)
    local pieces = { ... }
    return function(id)
      local parts = { headers(id, fields) }
      for i, piece in ipairs(pieces) do
        parts[#parts + 1] = frame(http2.DATA, i == #pieces and http2.END_STREAM or 0, id, piece)
      end
      return table.concat(parts)
    end
  end

  local BAD = "http BAD_RESPONSE"

  for what, answer in pairs {
    ["without a status"] = only { "x-a", "b" },
    ["with an empty status"] = only { ":status", "" },
    ["with a status of two digits"] = only { ":status", "20" },
    ["with a status of four digits"] = only { ":status", "2000" },
    ["with a status that is no number"] = only { ":status", "2x0" },
    ["with two statuses"] = only { ":status", "200", ":status", "200" },
    ["with a status behind a field"] = only { "x-a", "b", ":status", "200" },
    ["with an unknown pseudo-header"] = only(with(":path", "/")),
    ["that switches protocols"] = only { ":status", "101" },
    ["with a name in capitals"] = only(with("X-A", "b")),
    ["with a blank in a name"] = only(with("x a", "b")),
    ["with a colon in a name"] = only(with("x:a", "b")),
    ["with a NUL in a name"] = only(with("x\0a", "b")),
    ["with an empty name"] = only(with("", "b")),
    ["with a CR in a value"] = only(with("x-a", "b\rc")),
    ["with a LF in a value"] = only(with("x-a", "b\nc")),
    ["with another field in a value"] = only(with("x-a", "b\r\nset-cookie: c=d")),
    ["with a NUL in a value"] = only(with("x-a", "b\0c")),
    ["with Connection"] = only(with("connection", "close")),
    ["with Keep-Alive"] = only(with("keep-alive", "1")),
    ["with Proxy-Connection"] = only(with("proxy-connection", "close")),
    ["with Upgrade"] = only(with("upgrade", "h2c")),
    ["with Transfer-Encoding"] = body(with("transfer-encoding", "chunked"), "0\r\n\r\n"),
    ["with a list as Content-Length"] = body(with("content-length", "5, 6"), "12345"),
    ["with a sign in its Content-Length"] = body(with("content-length", "+5"), "12345"),
    ["with a hexadecimal Content-Length"] = body(with("content-length", "0x5"), "12345"),
    ["with an empty Content-Length"] = body(with("content-length", ""), "12345"),
    ["with two Content-Lengths"] = body(with("content-length", "5", "content-length", "5"), "12345"),
    ["shorter than its Content-Length"] = body(with("content-length", "6"), "12345"),
    ["longer than its Content-Length"] = body(with("content-length", "4"), "123", "45"),
    ["without a body but for its Content-Length"] = only(with("content-length", "4")),
    ["of 204 with a body"] = body({ ":status", "204" }, "x"),
    ["of 304 with a body"] = body({ ":status", "304" }, "x"),
    ["that ends with an interim one"] = only { ":status", "103" },
    ["with trailers that do not end it"] = function(id)
      return headers(id, OK) .. headers(id, { "x-a", "b" }) .. frame(http2.DATA, http2.END_STREAM, id, "x")
    end,
    ["with a pseudo-header in its trailers"] = function(id)
      return headers(id, OK) .. headers(id, { ":status", "200" }, http2.END_STREAM)
    end,
    ["with a bad field in its trailers"] = function(id)
      return headers(id, OK) .. headers(id, { "X-A", "b" }, http2.END_STREAM)
    end,
  } do
    it(what .. " is refused, and the connection goes on", function()
      local server = serve(answer)
      local res, err = client:get(server.url)
      assert.equal(BAD, tostring(err and err.kind) .. " " .. tostring(err and err.code))
      assert.is_nil(res)
      assert.equal("good", assert(client:get(server.url)).body)
      assert.equal(1, server.connections)
    end)
  end

  it("has its body, fields and interim responses, however its frames are cut", function()
    local server = serve(function(id)
      local block = http2.block(with("x-a", "  b\t", "x-empty", "", "x-a", "c", "content-length", "11"))
      return headers(id, { ":status", "103", "link", "</a>" }) .. headers(id, { ":status", "100" })
        .. frame(http2.HEADERS, 0, id, block:sub(1, 5)) .. frame(http2.CONTINUATION, 0, id, block:sub(6, 7))
        .. frame(http2.CONTINUATION, http2.END_HEADERS, id, block:sub(8))
        .. frame(http2.DATA, 8, id, "\3hello\0\0\0") .. frame(http2.DATA, 0, id, "")
        .. frame(http2.DATA, 0, id, " world") .. headers(id, { "x-after", "z" }, http2.END_STREAM)
    end)
    local res = assert(client:get(server.url))
    assert.same({ 200, "hello world", "b, c", "" },
      { res.status, res.body, res.headers["x-a"], res.headers["X-Empty"] })
    assert.is_nil(res.headers.link)
    assert.is_nil(res.headers["x-after"])
  end)

  it("to HEAD, or of 204, has no body, whatever its Content-Length", function()
    local server = serve(only(with("content-length", "5")))
    local res = assert(client:head(server.url))
    assert.same({ 200, "", "5" }, { res.status, res.body, res.headers["content-length"] })
    server = serve(only { ":status", "204" })
    assert.equal(204, assert(client:delete(server.url)).status)
    server = serve(body(with(), "x"))
    assert_error("http", "BAD_RESPONSE", client:head(server.url))
  end)

  it("has limits: the body's size, bytes of the head, fields, interim responses", function()
    local function refused(answer, code, opts)
      local server = serve(answer)
      assert_error("http", code, client:get(server.url, opts))
      assert.equal("good", assert(client:get(server.url)).body)
    end
    refused(body(OK, ("x"):rep(1000), ("x"):rep(1000)), "too_large", { max_body = 1500 })
    refused(body(with("content-length", "2000"), "x"), "too_large", { max_body = 1500 })
    refused(function(id)
      local interim = headers(id, { ":status", "103", "x", ("y"):rep(10000) })
      return interim:rep(30)
    end, "too_large")
    refused(function(id)
      local fields = with()
      for i = 1, 1001 do
        fields[#fields + 1] = "x" .. i
        fields[#fields + 1] = ""
      end
      return headers(id, fields, http2.END_STREAM)
    end, "too_large")
    refused(function(id) return headers(id, { ":status", "103" }):rep(1001) end, "BAD_RESPONSE")
  end)

  it("that is compressed is decoded; cut in the middle, it is an error", function()
    -- "hello" by gzip -9
    local coded = ("1f8b08000000000002ffcb48cdc9c9070086a6103605000000"):gsub("%x%x", function(hex)
      return string.char(tonumber(hex, 16))
    end)
    local server = serve(body(with("content-encoding", "gzip"), coded:sub(1, 20), coded:sub(21)))
    assert.equal("hello", assert(client:get(server.url)).body)
    server = serve(body(with("content-encoding", "gzip"), coded:sub(1, #coded // 2)))
    assert_error("http", "BAD_CONTENT_ENCODING", client:get(server.url))
    server = serve(body(with("content-encoding", "gzip"), "nothing of the kind"))
    assert_error("http", "BAD_CONTENT_ENCODING", client:get(server.url))
    assert.equal("good", assert(client:get(server.url)).body)
  end)

  it("that is reset is an error that says how; where the server says it did nothing, it is asked again", function()
    local server = serve(function(id) return headers(id, OK) .. http2.reset(id, 2) end)
    local err = assert_error("network", "HTTP2_STREAM", client:get(server.url))
    assert.matches("the server has reset the stream: INTERNAL_ERROR", err.message, 1, true)
    server = serve(function(id) return http2.reset(id, 7) end)
    assert.equal("good", assert(client:post(server.url, { body = "once" })).body)
    local seen = 0
    server = http2.serve(function(conn, id)
      seen = seen + 1
      conn:send(http2.reset(id, 7))
    end)
    err = assert_error("network", "HTTP2_STREAM", client:get(server.url))
    assert.matches("REFUSED_STREAM", err.message, 1, true)
    assert.equal(6, seen)
    assert.equal(1, server.connections)
  end)

  it("whose end comes before the request's ends the request", function()
    local server = serve(function(id) return ok(id, "enough") end)
    local pieces = 0
    local res = assert(client:post(server.url, { body = function()
      pieces = pieces + 1
      ml.sleep(0.001)
      return ("x"):rep(10000)
    end }))
    assert.equal("enough", res.body)
    assert.equal("good", assert(client:get(server.url)).body)
    assert.equal(1, server.connections)
  end)

  it("lets others run while it is decoded, if a few bytes become many", function()
    local size <const>, step <const>, most <const> = 20 << 20, 256 << 10, 16 << 10
    local pipe = assert(io.popen(("head -c %d /dev/zero | gzip -9"):format(size)))
    local coded = pipe:read "a"
    pipe:close()
    local pieces = {}
    for at = 1, #coded, most do pieces[#pieces + 1] = coded:sub(at, at + most - 1) end
    local turns, sent = 0, nil
    local server = http2.serve(function(conn, id)
      conn:send(body(with("content-encoding", "gzip"), table.unpack(pieces))(id))
      sent = turns
    end)
    local over
    local request = ml.spawn(function()
      local _ <close> = setmetatable({}, { __close = function() over = true end })
      return assert(client:get(server.url))
    end)
    while not over do
      turns = turns + 1
      ml.sleep(0)
    end
    assert.equal(size, #request:await().body)
    assert(turns - sent >= size // step - 1, turns - sent)
  end)
end)

describe("a connection of HTTP/2", { timeout = 100 }, function()
  local client

  before_each(function() client = ml.http.client { http2 = "clear", timeout = 60 } end)

  after_each(function()
    client:close()
    http.stop()
  end)

  local function settings(key, value) return http2.settings { [key] = value } end

  local function ping() return frame(http2.PING, 0, 0, "12345678") end

  for what, bytes in pairs {
    ["with a response of HTTP/1"] = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
    ["with a frame that is too long"] = (">I3BBI4"):pack(16385, http2.DATA, 0, 1),
    ["with a response that begins with its body"] = frame(http2.DATA, http2.END_STREAM, 1, "x"),
    ["with a frame for a stream of no request"] = frame(http2.DATA, 0, 7, "x"),
    ["with a response to no request"] = headers(7, { ":status", "200" }, http2.END_STREAM),
    ["with a stream of the server's"] = headers(2, { ":status", "200" }, http2.END_STREAM),
    ["with a push"] = frame(http2.PUSH_PROMISE, http2.END_HEADERS, 1, (">I4"):pack(2)
      .. http2.block { ":method", "GET", ":scheme", "http", ":authority", "a", ":path", "/" }),
    ["with a header block that is none"] = frame(http2.HEADERS, http2.END_HEADERS, 1, "\255\255\255\255\255\255\255"),
    ["with a block that another frame breaks"] = frame(http2.HEADERS, 0, 1, "\0") .. ping(),
    ["with CONTINUATION of nothing"] = frame(http2.CONTINUATION, http2.END_HEADERS, 1, ""),
    ["with a header block that does not end"] = frame(http2.HEADERS, 0, 1, "")
      .. frame(http2.CONTINUATION, 0, 1, ""):rep(100),
    ["with a window that is too large"] = frame(http2.WINDOW_UPDATE, 0, 0, (">I4"):pack(0x7fffffff)):rep(2),
    ["with a window that grows by nothing"] = frame(http2.WINDOW_UPDATE, 0, 0, (">I4"):pack(0)),
    ["with a first window that is too large"] = settings(4, 0x80000000),
    ["with a frame size that is too small"] = settings(5, 100),
    ["with settings that allow pushing"] = settings(2, 1),
    ["with settings of a wrong length"] = frame(http2.SETTINGS, 0, 0, "12345"),
    ["with a ping of a wrong length"] = frame(http2.PING, 0, 0, "1234567"),
    ["with a reset of a wrong length"] = frame(http2.RST_STREAM, 0, 1, "123"),
    ["with padding longer than its frame"] = headers(1, { ":status", "200" }) .. frame(http2.DATA, 8, 1, "\9x"),
    ["with a flood of pings"] = ping():rep(5000),
    ["with a flood of settings"] = http2.settings():rep(5000),
    ["with a flood of empty DATA"] = headers(1, { ":status", "200" }) .. frame(http2.DATA, 0, 1):rep(5000),
    ["with a flood of frames nobody knows"] = frame(99, 0, 0, "x"):rep(30000),
    ["with a flood of priorities"] = frame(http2.PRIORITY, 0, 1, "\0\0\0\3\1"):rep(5000),
    ["with a flood of windows"] = frame(http2.WINDOW_UPDATE, 0, 0, (">I4"):pack(1)):rep(5000),
  } do
    it(what .. " is ended, and all its requests are told", function()
      local server
      server = http2.serve(function(conn, id)
        if conn.n > 1 then return conn:send(ok(id, "good")) and nil end
        if id == 5 then conn:send(bytes) end
      end)
      local calls = {}
      for i = 1, 3 do calls[i] = function() return { client:get(server.url) } end end
      for _, result in ipairs(ml.gather(calls)) do
        assert.is_nil(result[1])
        assert.equal("http HTTP2", result[2].kind .. " " .. tostring(result[2].code), tostring(result[2]))
      end
      assert.equal("good", assert(client:get(server.url)).body)
      assert.equal(2, server.connections)
      eventually(60, "the bad connection is not closed", function() return server.open == 1 end)
    end)
  end

  for what, bytes in pairs {
    ["that has ended"] = function(id) return ok(id, "x") .. headers(id, { "x-a", "b" }):rep(5000) end,
    ["that was refused"] = function(id) return headers(id, { ":status", "103" }):rep(7000) end,
    ["that was cancelled"] = function(id)
      return headers(id, { ":status", "200" }) .. headers(id, { "x-a", ("b"):rep(100) }):rep(5000)
    end,
  } do
    it("with a flood of heads for a request " .. what .. " is ended, and the others are told", function()
      local server
      server = http2.serve(function(conn, id)
        if conn.n > 1 then return conn:send(ok(id, "good")) and nil end
        if id == 3 then conn:send(bytes(id)) end
      end)
      local other = ml.spawn(function() return client:get(server.url) end)
      eventually(60, "the request does not begin", function() return server.connections == 1 end)
      client:get(server.url)
      assert_error("http", "HTTP2", other:await())
      assert.equal("good", assert(client:get(server.url)).body)
      assert.equal(2, server.connections)
    end)
  end
end)
