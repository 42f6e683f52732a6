-- ml.ws.connect and the object: against a raw server.
local ml = require "moonloop"
local peers = require "spec.support.ws_peer"

local TEXT, BINARY, CLOSE, PING, PONG = 0x81, 0x82, 0x88, 0x89, 0x8A

--- Runs f(ws, peer, head) with a client and its peer, and fails with what either raised.
local function pair(opts, f, answer)
  local over, got = ml.event(), {}
  local _ <close>, url = peers.listen(function(peer, head)
    got.peer, got.head = peer, head
    got.ready:set()
    over:wait()
  end, answer)
  got.ready = ml.event()
  local ws <close> = assert(ml.ws.connect(url, opts))
  got.ready:wait()
  f(ws, got.peer, got.head)
  over:set()
end

describe("a WebSocket", function()
  it("sends and receives texts and bytes, masked as a client's", function()
    pair({}, function(ws, peer)
      peer:send(TEXT, "grüße")
      peer:send(BINARY, "\0\xFF")
      assert.same({ "grüße", "text" }, { ws:receive() })
      assert.same({ "\0\xFF", "binary" }, { ws:receive() })
      assert.equal(ws, ws:send "hällo")
      assert.same({ TEXT, "hällo" }, { peer:frame() })
      assert.equal(true, peer.masked)
      assert(ws:send_binary "\0\1")
      assert.same({ BINARY, "\0\1" }, { peer:frame() })
    end)
  end)

  it("tells why it has ended, after the messages that came before", function()
    pair({}, function(ws, peer)
      peer:send(TEXT, "last")
      peer:send(CLOSE, peers.code(3000, "bye"))
      assert.same({ 3000, "" }, { peer:closed() })
      assert.equal("last", ws:receive())
      local message, err = ws:receive()
      assert.equal(nil, message)
      assert.same({ "closed", 3000, "bye" }, { err.kind, err.code, err.reason })
      local ok, why = ws:send "more"
      assert.same({ nil, "closed", 3000 }, { ok, why.kind, why.code })
    end)
  end)

  it("answers pings, also between fragments", function()
    pair({}, function(ws, peer)
      peer:send(0x01, "be")
      peer:send(PING, "ping")
      peer:send(0x80, "gun")
      assert.same({ PONG, "ping" }, { peer:frame() })
      assert.equal("begun", ws:receive())
    end)
  end)
end)
