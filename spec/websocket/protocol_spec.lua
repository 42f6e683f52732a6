-- What a peer must not send (RFC 6455 section 5), and what it may: against a raw server.
local clock = require "moonloop.clock"
local ml = require "moonloop"
local peers = require "spec.support.ws_peer"

local frame = peers.frame

--- A head that declares more than follows.
local function declared(first, n) return string.pack(">BBI8", first, 127, n) end

local refused = {
  { "a reserved bit", frame(0xC1, "x"), 1002 },
  { "another reserved bit", frame(0xA1, "x"), 1002 },
  { "a reserved bit of a fragment", frame(0x01, "x") .. frame(0xC0, "y"), 1002 },
  { "a reserved bit of a control frame", frame(0xC9, ""), 1002 },
  { "an unknown opcode", frame(0x83, "x"), 1002 },
  { "an unknown opcode of a control frame", frame(0x8B, "x"), 1002 },
  { "a fragmented control frame", frame(0x09, "x"), 1002 },
  { "a control frame of more than 125 bytes", frame(0x89, ("x"):rep(126)), 1002 },
  { "a new message inside a fragmented one", frame(0x01, "x") .. frame(0x81, "y"), 1002 },
  { "a fragment without a beginning", frame(0x80, "x"), 1002 },
  { "a masked frame of a server", frame(0x81, "x", peers.KEY), 1002 },
  { "a length that is not in its shortest form", "\x81\x7E\0\x05hello", 1002 },
  { "a length in eight bytes that is not in its shortest form", declared(0x81, 65535), 1002 },
  { "a length above 2^63", "\x81\x7F\x80\0\0\0\0\0\0\0", 1002 },
  { "a Close frame of one byte", frame(0x88, "x"), 1002 },
  { "a reason that is not UTF-8", frame(0x88, peers.code(1000, "\xC0\x80")), 1007 },
  { "a text that is not UTF-8", frame(0x81, "\xC0\x80"), 1007 },
  { "a text that ends inside a character", frame(0x81, "gr\xC3"), 1007 },
  { "a surrogate, in fragments", frame(0x01, "\xED") .. frame(0x80, "\xA0\x80"), 1007 },
  { "a message that is too big, as soon as it is declared", declared(0x82, 1 << 40), 1009 },
  { "fragments that are too big together", frame(0x02, ("x"):rep(600)) .. frame(0x80, ("x"):rep(500)), 1009 },
}
for _, code in ipairs { 0, 999, 1004, 1005, 1006, 1015, 1016, 2000, 2999, 5000, 65535 } do
  table.insert(refused, { ("the code %d in a Close frame"):format(code), frame(0x88, peers.code(code)), 1002 })
end

describe("what breaks the rules ends a WebSocket:", function()
  for _, case in ipairs(refused) do
    local name, bytes, code = table.unpack(case)
    it(name, function()
      -- Whole, and byte by byte.
      for _, apart in ipairs { false, true } do
        peers.pair({ max_message = 1000 }, function(ws, peer)
          local sender = ml.spawn(function()
            if not apart then return peer:raw(bytes) end
            for i = 1, math.min(#bytes, 200) do
              peer:raw(bytes:sub(i, i))
              ml.sleep(0)
            end
            peer:raw(bytes:sub(201))
          end)
          local message, err = ws:receive()
          assert.same({ nil, "closed", code }, { message, err.kind, err.code })
          assert.is_true(#err.reason > 0)
          assert.equal(code, (peer:closed()))
          peer:raw "what comes now is not looked at"
          assert.is_true(peer:over())
          sender:await()
        end)
      end
    end)
  end
end)

--- Runs f(peer) with a raw client of an app whose WebSockets send everything back; `close` gets what ended
-- the handler's loop.
local function with_client(f)
  local app, close = ml.web.app {}, ml.queue()
  app:websocket("/", { max_message = 1000 }, function(ws)
    for message, kind in ws:messages() do
      if kind == "text" then ws:send(message) else ws:send_binary(message) end
    end
    close:put((select(2, ws:receive())))
  end)
  local server = assert(ml.web.listen(app, { port = 0 }))
  local _ <close> = setmetatable({}, { __close = function() server:stop(0) end })
  local peer = peers.connect(server.port, "/")
  local conn <close> = peer.conn -- luacheck: ignore conn
  f(peer, close)
end

describe("a server's WebSocket", function()
  it("takes masked frames, whole and byte by byte, and does not mask its own", function()
    with_client(function(peer)
      for n = 0, 20 do
        local text = ("text"):rep(n)
        peer:send(0x81, text)
        assert.same({ 0x81, text }, { peer:frame() })
        local bytes = frame(0x01, text, "\1\2\3\4") .. frame(0x89, "ping", peers.KEY)
          .. frame(0x80, "end", "\xFF\0\xFF\0")
        for i = 1, #bytes do peer:raw(bytes:sub(i, i)) end
        assert.same({ 0x8A, "ping" }, { peer:frame() })
        assert.same({ 0x81, text .. "end" }, { peer:frame() })
        assert.is_false(peer.masked)
      end
    end)
  end)

  it("refuses a frame that is not masked, and what else breaks the rules", function()
    for bytes, code in pairs {
      [frame(0x81, "x")] = 1002,
      [frame(0x89, "")] = 1002,
      [frame(0xC1, "x", peers.KEY)] = 1002,
      [frame(0x01, "x", peers.KEY) .. frame(0x81, "x", peers.KEY)] = 1002,
      [frame(0x88, "x", peers.KEY)] = 1002,
      [frame(0x88, peers.code(1005), peers.KEY)] = 1002,
      [frame(0x81, "\xC0\x80", peers.KEY)] = 1007,
      [frame(0x82, ("x"):rep(1001), peers.KEY)] = 1009,
    } do
      with_client(function(peer, close)
        peer:raw(bytes)
        assert.equal(code, (peer:closed()))
        assert.equal(code, close:get().code)
        assert.is_true(peer:over())
      end)
    end
  end)
end)

describe("a text that is not UTF-8", function()
  it("is refused in the middle of its frame, as soon as that is certain", function()
    for _, begun in ipairs { "\xC0", "gr\xC3\xBC\xC3\x28", "\xF4\x90", "\xED\xA0", ("x"):rep(70) .. "\xFF" } do
      peers.pair({}, function(ws, peer)
        peer:raw("\x81\x7E\x10\0" .. begun)
        assert.equal(1007, (peer:closed()))
        assert.equal(1007, select(2, ws:receive()).code)
      end)
    end
  end)

  it("is not seen in what may become one, in pieces at any place", function()
    local text = "a\u{7F}\u{80}\u{7FF}\u{800}\u{FFFF}\u{10000}\u{10FFFF}grüße" .. ("日本"):rep(20)
    peers.pair({}, function(ws, peer)
      for at = 0, #text do
        peer:send(0x01, text:sub(1, at))
        peer:send(0x80, text:sub(at + 1))
        assert.equal(text, (ws:receive()))
      end
      peer:raw(frame(0x81, text):sub(1, 7))
      for i = 8, #frame(0x81, text) do
        peer:raw(frame(0x81, text):sub(i, i))
        ml.sleep(0)
      end
      assert.equal(text, (ws:receive()))
    end)
  end)
end)

describe("a Close frame", function()
  it("is answered with its own code, whatever is valid", function()
    for _, code in ipairs { 1000, 1001, 1002, 1003, 1007, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999 } do
      peers.pair({}, function(ws, peer)
        peer:send(0x88, peers.code(code, "because"))
        assert.equal(code, (peer:closed()))
        local _, err = ws:receive()
        assert.same({ code, "because" }, { err.code, err.reason })
      end)
    end
  end)

  it("comes between the fragments of a message, which is then lost", function()
    peers.pair({}, function(ws, peer)
      peer:send(0x01, "begun")
      peer:send(0x88, "")
      assert.equal(1005, (peer:closed()))
      assert.equal(1005, select(2, ws:receive()).code)
    end)
  end)

  it("is the last thing that is read", function()
    peers.pair({}, function(ws, peer)
      peer:raw(frame(0x88, peers.code(1000)) .. frame(0x89, "ping") .. frame(0x81, "late"))
      assert.equal(1000, (peer:closed()))
      assert.equal(1000, select(2, ws:receive()).code)
      peer.conn:shutdown()
      assert.is_true(peer:over())
    end)
  end)
end)

describe("control frames", function()
  it("of all sizes are answered, in one piece and in many", function()
    peers.pair({}, function(ws, peer)
      for n = 0, 125 do
        local payload = ("p"):rep(n)
        local bytes = frame(0x89, payload)
        peer:raw(bytes:sub(1, 1))
        ml.sleep(0)
        peer:raw(bytes:sub(2, 1 + n // 2))
        ml.sleep(0)
        peer:raw(bytes:sub(2 + n // 2) .. bytes)
        assert.same({ 0x8A, payload }, { peer:frame() })
        assert.same({ 0x8A, payload }, { peer:frame() })
      end
      peer:send(0x8A, "a pong nobody asked for")
      peer:send(0x81, "on")
      assert.equal("on", (ws:receive()))
    end)
  end)
end)

describe("the error of a WebSocket that has ended", function()
  it("says code and reason once each", function()
    for reason, text in pairs { [""] = "it is closed (4000)", ["too late"] = "it is closed: too late (4000)" } do
      peers.pair({}, function(ws, peer)
        peer:send(0x88, peers.code(4000, reason))
        local _, err = ws:receive()
        assert.equal("closed: receiving from the WebSocket: " .. text, tostring(err))
      end)
    end
  end)
end)

describe("frames that lead nowhere", function()
  local PING, PONG, EMPTY = frame(0x89, ""), frame(0x8A, "x"), frame(0, "")

  --- What ws:receive() says after so many of the frames behind `head`.
  local function after(head, many, n)
    local code, why
    peers.pair({}, function(ws, peer)
      peer:raw(head .. many:rep(n) .. frame(0x80, "end"))
      local message, err = ws:receive()
      code, why = message or err.code, err.reason
    end)
    return code, why
  end

  it("are pings, pongs and empty fragments: 2000 may come at once, no more", function()
    for _, each in ipairs { { peers.frame(0x01, "a"), PING }, { peers.frame(0x01, "a"), PONG },
      { peers.frame(0x01, "a"), EMPTY }, { peers.frame(0x01, ""), EMPTY, 1 } } do
      local head, many, fewer = each[1], each[2], each[3] or 0
      assert.same({ (fewer == 1 and "" or "a") .. "end" }, { after(head, many, 2000 - fewer) })
      assert.same({ 1008, "too many frames that lead nowhere" }, { after(head, many, 2001) })
    end
  end)

  it("are forgiven by time, and by messages", function()
    clock.virtual()
    peers.pair({}, function(ws, peer)
      for _ = 1, 5 do
        peer:raw(PING:rep(1900) .. peers.frame(0x81, "a"))
        assert.equal("a", (ws:receive()))
        ml.sleep(10)
      end
      peer:raw((PING:rep(4) .. peers.frame(0x81, "a")):rep(3000))
      for _ = 1, 3000 do assert.equal("a", (ws:receive())) end
    end)
  end)
end)

describe("a peer that pings and does not read", function()
  it("fills no memory, and gets an answer to its last ping", function()
    peers.pair({}, function(ws, peer)
      ml.spawn(function() repeat until not ws:receive() end)
      -- The messages make good for the pings.
      local many, sent = (peers.frame(0x89, ("p"):rep(125)):rep(4) .. peers.frame(0x82, "")):rep(2000), 0
      for _ = 1, 20 do
        peer:raw(many)
        sent = sent + #many
      end
      peer:send(0x89, "the last one")
      local came, tail = 0, ""
      local key_and_payload = 4 + #"the last one"
      repeat
        local bytes = assert(peer.conn:read_some())
        came = came + #bytes
        tail = (tail .. bytes):sub(-2 - key_and_payload)
      until tail:byte(1) == 0x8A and tail:byte(2) == 0x80 | #"the last one"
      assert.is_true(came < sent)
    end)
  end)
end)
