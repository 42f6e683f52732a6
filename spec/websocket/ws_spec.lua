-- ml.ws.connect and the object: against a raw server.
local ml = require "moonloop"
local clock = require "moonloop.clock"
local peers = require "spec.support.ws_peer"

local TEXT, BINARY, CLOSE, PING, PONG = 0x81, 0x82, 0x88, 0x89, 0x8A

local pair = peers.pair

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

  it("sends and receives JSON, and refuses what is none", function()
    pair({}, function(ws, peer)
      assert(ws:send_json { n = 1 })
      assert.same({ TEXT, '{"n":1}' }, { peer:frame() })
      peer:send(TEXT, "[1,null]")
      assert.same({ 1, ml.json.null }, ws:receive_json())
      peer:send(TEXT, "{oops")
      local value, err = ws:receive_json()
      assert.same({ nil, "json" }, { value, err.kind })
      assert.equal(1007, (peer:closed()))
      peer:send(CLOSE, peers.code(1007))
      value, err = ws:receive_json()
      assert.same({ nil, "closed", 1007 }, { value, err.kind, err.code })
    end)
  end)

  it("gives its messages to a loop, up to the end", function()
    pair({}, function(ws, peer)
      for i = 1, 3 do peer:send(i == 2 and BINARY or TEXT, "message " .. i) end
      peer:send(CLOSE)
      local got = {}
      for message, kind in ws:messages() do got[#got + 1] = kind .. " " .. message end
      assert.same({ "text message 1", "binary message 2", "text message 3" }, got)
      assert.equal(1005, select(2, ws:receive()).code)
    end)
  end)

  it("keeps the order in which messages of all sizes and pings were given", function()
    pair({}, function(ws, peer)
      local sizes = { 0, 1, 125, 126, 65535, 65536, 200000, 5 }
      local sender = ml.spawn(function()
        for _, n in ipairs(sizes) do
          assert(ws:send_binary(("x"):rep(n)))
          assert(ws:ping())
        end
      end)
      for _, n in ipairs(sizes) do
        local first, payload = peer:frame()
        assert.same({ BINARY, n }, { first, #payload })
        assert.equal(PING, (peer:frame()))
      end
      sender:await()
    end)
  end)

  it("waits while the peer is behind; a cancelled send has sent its message", function()
    pair({}, function(ws, peer)
      local text, sent = ("x"):rep(1000000), 0
      local sender = ml.spawn(function()
        while true do
          sent = sent + 1
          assert(ws:send(text))
        end
      end)
      repeat ml.sleep(0) until sent > 2
      local before
      repeat
        before = sent
        for _ = 1, 100 do ml.sleep(0) end
      until sent == before
      sender:cancel()
      assert.is_false((pcall(sender.await, sender)))
      local last = ml.spawn(ws.send, ws, "end")
      for _ = 1, sent do assert.equal(#text, #select(2, peer:frame())) end
      assert.same({ TEXT, "end" }, { peer:frame() })
      assert.equal(ws, last:await())
    end)
  end)

  it("loses no message where a receive is cancelled, before it comes or with it", function()
    pair({}, function(ws, peer)
      local first = ml.spawn(ws.receive, ws)
      ml.sleep(0)
      first:cancel()
      peer:send(TEXT, "one")
      assert.equal("one", (ws:receive()))
      local other, second = ml.event()
      second = ml.spawn(function()
        local group = ml.spawn(function()
          ws:receive()
          second:cancel() -- too late for this one
        end)
        other:set()
        group:await()
      end)
      other:wait()
      ml.sleep(0)
      peer:send(TEXT, "two")
      pcall(second.await, second)
      local third = ml.spawn(ws.receive, ws)
      ml.sleep(0)
      peer:send(TEXT, "three")
      assert.equal("three", (third:await()))
    end)
  end)

  it("names the task that receives where another wants to", function()
    pair({}, function(ws, peer)
      local reader = ml.spawn(ws.receive, ws)
      ml.sleep(0)
      local ok, err = pcall(ws.receive, ws)
      assert.is_false(ok)
      assert.matches("ws:receive: task %d+.* is already receiving", tostring(err))
      peer:send(TEXT, "x")
      assert.equal("x", (reader:await()))
    end)
  end)

  it("shows in the list of tasks what it waits for", function()
    pair({}, function(ws)
      local reader = ml.spawn(ws.receive, ws)
      ml.sleep(0)
      local found
      for _, task in ipairs(ml.tasks()) do
        if (task.waiting_for or ""):find "a message from the WebSocket with 127.0.0.1" then found = true end
      end
      reader:cancel()
      assert.is_true(found)
    end)
  end)

  it("reads no more from a peer whose messages nobody receives", function()
    pair({ max_message = 1000000 }, function(ws, peer)
      local text, sent = ("x"):rep(100000), 0
      local sender = ml.spawn(function()
        for _ = 1, 300 do
          assert(peer:send(TEXT, text))
          sent = sent + 1
        end
      end)
      local before
      repeat
        before = sent
        for _ = 1, 200 do ml.sleep(0) end
      until sent == before
      assert.is_true(sent < 300)
      for _ = 1, 300 do assert.equal(#text, #ws:receive()) end
      sender:await()
    end)
  end)

  it("refuses arguments that make no sense", function()
    pair({}, function(ws)
      for call, message in pairs {
        [function() ws:send "\xFF" end] = "bad argument #1 to 'websocket:send' %(a text that is not UTF%-8: use",
        [function() ws:send(nil) end] = "string expected, got nil",
        [function() ws:close(1005) end] = "not the code of a Close frame",
        [function() ws:close(5000) end] = "not the code of a Close frame",
        [function() ws:close(1000, ("x"):rep(124)) end] = "at most 123 bytes",
        [function() ws.receive() end] = "called without its websocket",
      } do
        local ok, err = pcall(call)
        assert.is_false(ok)
        assert.matches(message, tostring(err))
      end
      assert.is_nil(ws.protocol)
    end)
  end)
end)

describe("the end of a WebSocket", function()
  it("is agreed on: close waits for the peer's frame", function()
    pair({}, function(ws, peer)
      local closer = ml.spawn(ws.close, ws, 3001, "done")
      assert.same({ 3001, "done" }, { peer:closed() })
      assert.equal("suspended", closer:status())
      local ok, err = ws:send "late"
      assert.same({ nil, "closed" }, { ok, err.kind })
      peer:send(PING, "no pong after a Close frame")
      peer:send(TEXT, "dropped")
      peer:send(CLOSE, peers.code(3001))
      closer:await()
      peer.conn:shutdown()
      assert.is_true(peer:over())
      ok, err = ws:receive()
      assert.same({ nil, "closed", 3001 }, { ok, err.kind, err.code })
      assert.is_nil(ws:close())
    end)
  end)

  it("has a limit where the peer does not answer", function()
    clock.virtual()
    pair({ close_timeout = 7 }, function(ws, peer)
      local began = ml.now()
      ws:close()
      assert.is_true(math.abs(ml.now() - began - 7) < 0.1)
      local ok, err = ws:receive()
      assert.same({ nil, 1006, "no answer to a Close frame" }, { ok, err.code, err.reason })
      assert.equal(1000, (peer:closed()))
    end)
  end)

  it("comes with the block, and does not wait then", function()
    for code, f in pairs {
      [1000] = function(url) local _ <close> = assert(ml.ws.connect(url)) end,
      [1011] = function(url)
        pcall(function()
          local _ <close> = assert(ml.ws.connect(url))
          error "oops"
        end)
      end,
    } do
      local got = ml.queue()
      local _ <close>, url = peers.listen(function(peer) got:put((peer:closed())) end)
      f(url)
      assert.equal(code, got:get())
    end
  end)

  it("is told to the peer where the collector finds a forgotten one", function()
    local reports <close> = require "spec.support".keep_reports()
    local got = ml.queue()
    local _ <close>, url = peers.listen(function(peer) got:put((peer:closed())) end)
    assert(ml.ws.connect(url))
    ml.spawn(function()
      for _ = 1, 5 do
        collectgarbage()
        ml.sleep(0)
      end
    end)
    assert.equal(1001, got:get())
    assert(reports:text() == "" or reports:text():find("was not closed before it was collected", 1, true))
  end)

  it("without a Close frame has the code 1006", function()
    for _, how in ipairs { "close", "shutdown" } do
      pair({}, function(ws, peer)
        peer:send(TEXT, "last")
        peer.conn[how](peer.conn)
        assert.equal("last", (ws:receive()))
        local ok, err = ws:receive()
        assert.same({ nil, "closed", 1006 }, { ok, err.kind, err.code })
        assert.is_nil(ws:send "x")
      end)
    end
  end)

  it("comes where the peer is silent, and does not answer a ping", function()
    clock.virtual()
    pair({ ping = 20 }, function(ws, peer)
      local began = ml.now()
      local pings = ml.spawn(function()
        assert.equal(PING, (peer:frame()))
        peer:raw "\x81" -- any byte counts as life, also a piece of a frame
        assert.equal(PING, (peer:frame()))
        return ml.now() - began
      end)
      local ok, err = ws:receive()
      assert.same({ nil, "closed", 1006, "no answer to a ping" }, { ok, err.kind, err.code, err.reason })
      assert.is_true(math.abs(pings:await() - 40) < 1)
      assert.is_true(math.abs(ml.now() - began - 60) < 1)
    end)
  end)

  it("does not come where a ping is answered", function()
    clock.virtual()
    pair({ ping = 20 }, function(ws, peer)
      local answers = ml.spawn(function()
        for _ = 1, 5 do
          local first, payload = peer:frame()
          assert.equal(PING, first)
          peer:send(PONG, payload)
        end
        peer:send(TEXT, "still here")
      end)
      assert.equal("still here", (ws:receive()))
      answers:await()
    end)
  end)
end)

describe("messages before the end", function()
  it("can still be answered: a Close frame, or a failure, waits until they are received", function()
    for ending, code in pairs { [peers.frame(CLOSE, peers.code(3000))] = 3000, [peers.frame(0xF1, "")] = 1002 } do
      pair({}, function(ws, peer)
        peer:raw(peers.frame(TEXT, "one") .. peers.frame(TEXT, "two") .. ending .. peers.frame(PING, "late"))
        for message in ws:messages() do
          ml.sleep(0)
          assert(ws:send(message))
        end
        assert.same({ TEXT, "one" }, { peer:frame() })
        assert.same({ TEXT, "two" }, { peer:frame() })
        assert.equal(code, (peer:closed()))
        assert.equal(code, select(2, ws:receive()).code)
      end)
    end
  end)

  it("do not hold up the end for longer than close_timeout", function()
    clock.virtual()
    pair({ close_timeout = 5 }, function(ws, peer)
      local began = ml.now()
      peer:raw(peers.frame(TEXT, "one") .. peers.frame(CLOSE, peers.code(3000)))
      assert.equal(3000, (peer:closed()))
      assert.is_true(ml.now() - began > 4.9)
      assert.equal("one", (ws:receive()))
      assert.equal(3000, select(2, ws:receive()).code)
    end)
  end)

  it("do not outlast a close of our own", function()
    pair({}, function(ws, peer)
      peer:raw(peers.frame(TEXT, "one") .. peers.frame(CLOSE, peers.code(3000)))
      repeat ml.sleep(0) until #ml.tasks() > 0
      ws:close(3333)
      assert.is_true(peer:closed() >= 3000)
    end)
  end)
end)
