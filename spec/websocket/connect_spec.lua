-- ml.ws.connect: its handshake (RFC 6455 section 4.1), and what it refuses.
local clock = require "moonloop.clock"
local ml = require "moonloop"
local peers = require "spec.support.ws_peer"
local tls = require "spec.support.tls"
local websocket = require "moonloop.websocket.core"

--- The URL of a server that answers a request with `answer`, in which KEY stands for the right one.
local function answering(answer)
  local server = assert(ml.net.listen("127.0.0.1", 0, function(conn)
    local head = conn:read_until "\r\n\r\n"
    conn:write((answer:gsub("KEY", websocket.accept_key(head:match "Sec%-WebSocket%-Key: (%S+)"))))
  end))
  return server, ("ws://127.0.0.1:%d"):format(select(2, server:address()))
end

local SWITCH = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: keep-alive, upgrade\r\n"
local RIGHT = SWITCH .. "Sec-WebSocket-Accept: KEY\r\n"

describe("ml.ws.connect", function()
  it("ends with interim responses that do not", function()
    local early = ("HTTP/1.1 103 Early Hints\r\n\r\n"):rep(10000)
    local server <close> = assert(ml.net.listen("127.0.0.1", 0, function(conn)
      repeat until not conn:write(early)
    end))
    local ws, err = ml.ws.connect(("ws://127.0.0.1:%d"):format(select(2, server:address())), { timeout = math.huge })
    assert.is_nil(ws)
    assert.is_truthy(err.kind == "limit" or err.code == "HANDSHAKE", tostring(err))
  end)

  it("joins a header of many lines once, not once a line", function()
    local head = "HTTP/1.1 400 No\r\n" .. ("a:\r\n"):rep(15000) .. "\r\n"
    local server <close> = assert(ml.net.listen("127.0.0.1", 0, function(conn) conn:write(head) end))
    collectgarbage()
    collectgarbage "stop"
    local before = collectgarbage "count"
    local _, err = ml.ws.connect(("ws://127.0.0.1:%d"):format(select(2, server:address())))
    local made = collectgarbage "count" - before
    collectgarbage "restart"
    assert.equal(400, err.status)
    assert.is_true(made < 30000, made .. " kB")
  end)

  it("refuses a protocol that differs from the offered one in case", function()
    local _ <close>, url = peers.listen(function(peer) peer:over() end, "Sec-WebSocket-Protocol: chat\r\n")
    local ws, err = ml.ws.connect(url, { protocols = { "Chat" } })
    assert.same({ nil, "HANDSHAKE" }, { ws, err.code })
  end)

  it("asks as RFC 6455 says, with what it is given", function()
    local _ <close>, url = peers.listen(function(peer) peer:over() end)
    peers.pair({ headers = { Authorization = "Bearer x", ["X-List"] = { "a", "b" } }, protocols = { "v2", "v1" } },
      function(ws, _, head)
        assert.matches("^GET / HTTP/1.1\r\nHost: 127.0.0.1:%d+\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n", head)
        assert.matches("\r\nSec%-WebSocket%-Version: 13\r\n", head)
        assert.matches("\r\nSec%-WebSocket%-Protocol: v2, v1\r\n", head)
        assert.matches("\r\nAuthorization: Bearer x\r\n", head)
        assert.matches("\r\nX%-List: a\r\nX%-List: b\r\n", head)
        assert.equal(24, #head:match "Sec%-WebSocket%-Key: (%S+)\r\n")
        assert.equal("v1", ws.protocol)
      end, "Sec-WebSocket-Protocol: v1\r\n")
    assert.is_string(url)
  end)

  it("knows the example of RFC 6455", function()
    assert.equal("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", websocket.accept_key "dGhlIHNhbXBsZSBub25jZQ==")
  end)

  it("takes what comes right behind the handshake, and headers in any case and order", function()
    local _ <close>, url = answering("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" .. RIGHT:gsub("Sec%-", "SEC-")
      .. "\r\n" .. peers.frame(0x81, "early"))
    local ws <close> = assert(ml.ws.connect(url))
    assert.equal("early", (ws:receive()))
    assert.equal(1006, select(2, ws:receive()).code)
  end)

  for name, case in pairs {
    ["another status"] = { "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", "answered with status 403", 403 },
    ["a redirect"] = { "HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n", "answered with status 302", 302 },
    ["a wrong proof"] = { SWITCH .. "Sec-WebSocket-Accept: x\r\n\r\n", "does not belong to our key", 101 },
    ["no proof"] = { SWITCH .. "\r\n", "does not belong to our key", 101 },
    ["another protocol than offered"] = { RIGHT .. "Sec-WebSocket-Protocol: x\r\n\r\n", "a protocol that was", 101 },
    ["an extension that was not offered"] = { RIGHT .. "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
      "an extension that was not offered", 101 },
    ["another upgrade"] = { "HTTP/1.1 101 OK\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n", "something else", 101 },
    ["no HTTP"] = { "SSH-2.0-OpenSSH\r\n\r\n", "not that of an HTTP server" },
    ["the end"] = { "HTTP/1.1 101", "closed the connection instead of answering" },
  } do
    it("refuses " .. name, function()
      local _ <close>, url = answering(case[1])
      local ws, err = ml.ws.connect(url)
      assert.is_nil(ws)
      assert.same({ "network", "HANDSHAKE", case[3] }, { err.kind, err.code, err.status })
      assert.matches(case[2], err.message)
    end)
  end

  it("refuses a head of more than 64 kB", function()
    local _ <close>, url = answering("HTTP/1.1 101 X\r\n" .. ("A: b\r\n"):rep(12000))
    local ws, err = ml.ws.connect(url)
    assert.same({ nil, "limit" }, { ws, err.kind })
  end)

  it("refuses compression that is not what was offered", function()
    for _, extension in ipairs { "permessage-deflate", "permessage-deflate; server_no_context_takeover; x",
      "permessage-deflate; server_no_context_takeover, permessage-deflate; server_no_context_takeover" } do
      local _ <close>, url = answering(RIGHT .. ("Sec-WebSocket-Extensions: %s\r\n\r\n"):format(extension))
      local ws, err = ml.ws.connect(url, { compress = true })
      assert.same({ nil, "HANDSHAKE" }, { ws, err.code })
    end
  end)

  it("has a limit, of the handshake, too", function()
    clock.virtual()
    local _ <close> = assert(ml.net.listen("127.0.0.1", 0, function(conn) conn:read "a" end))
    local server <close> = assert(ml.net.listen("127.0.0.1", 0, function(conn) conn:read "a" end))
    local ws, err = ml.ws.connect(("ws://127.0.0.1:%d"):format(select(2, server:address())), { timeout = 3 })
    assert.same({ nil, "timeout", "ETIMEDOUT" }, { ws, err.kind, err.code })
    assert.matches("no answer for 3 s %(its timeout%)", err.message)
  end)

  it("can be cancelled in the handshake, and leaves nothing", function()
    local asked = ml.event()
    local server <close> = assert(ml.net.listen("127.0.0.1", 0, function(conn)
      conn:read_until "\r\n\r\n"
      asked:set()
      conn:read "a"
    end))
    local task = ml.spawn(ml.ws.connect, ("ws://127.0.0.1:%d"):format(select(2, server:address())))
    asked:wait()
    task:cancel()
    assert.is_false((pcall(task.await, task)))
  end)

  it("refuses URLs and options that make no sense", function()
    for _, case in ipairs {
      { { "http://127.0.0.1/" }, "does not begin with ws:// or wss://" },
      { { "ws://" }, "no valid host and port" },
      { { "ws://host:0/" }, "no valid host and port" },
      { { "ws://[x]/" }, "no valid host and port" },
      { { "ws://user:secret@host/" }, "ws.connect: 'ws://host/' has a user or a password" },
      { { "ws://host/#part" }, "has a fragment" },
      { { "ws://host/a b" }, "has to be written with '%%'" },
      { { "ws://host/\r\nX: y" }, "has to be written with '%%'" },
      { {}, "a URL expected, got nil" },
      { { "ws://127.0.0.1/", { headers = { Upgrade = "x" } } }, "'Upgrade' is set by the handshake itself" },
      { { "ws://127.0.0.1/", { headers = { x = "a\nb" } } }, "control character" },
      { { "ws://127.0.0.1/", { protocols = { "a b" } } }, "'protocols' of ml.ws.connect" },
      { { "ws://127.0.0.1/", { tls = {} } }, "'tls' is for URLs with wss://" },
      { { "ws://127.0.0.1/", { compress = { window = 8 } } }, "'window' of the option 'compress'.*from 9 to 15" },
      { { "ws://127.0.0.1/", { max_message = 0 } }, "'max_message' of ml.ws.connect" },
      { { "ws://127.0.0.1/", { pings = 1 } }, "did you mean 'ping'" },
    } do
      local ok, err = pcall(ml.ws.connect, table.unpack(case[1]))
      assert.is_false(ok)
      assert.matches(case[2], tostring(err))
      assert.is_nil(tostring(err):find "secret")
    end
  end)
end)

local describe_tls = tls.is_there() and describe or function(name) pending(name .. " (openssl is missing)") end

describe_tls("ml.ws.connect with TLS", function()
  it("speaks over wss://, and checks the certificate", function()
    local folder <close> = tls.certificates { server = {} }
    local server <close> = assert(ml.net.listen("127.0.0.1", 0, { tls = folder.server }, function(conn)
      local peer = peers.accept(conn)
      local text = ("secure"):rep(50000)
      peer:send(0x81, text)
      local first, payload = peer:frame()
      assert(first == 0x81 and payload == text)
      peer:send(0x88, peers.code(1000))
      peer:closed()
    end))
    local url = ("wss://localhost:%d/"):format(select(2, server:address()))
    local ws, err = ml.ws.connect(url)
    assert.same({ nil, "tls" }, { ws, err.kind })
    ws = assert(ml.ws.connect(url, { tls = { ca = folder.ca } }))
    local message = ws:receive()
    assert.equal(300000, #message)
    assert(ws:send(message))
    assert.equal(1000, select(2, ws:receive()).code)
  end)
end)
