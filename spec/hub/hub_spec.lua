-- ml.web.hub in one process: topics, WebSockets that join and leave, what is published.
local ml = require "moonloop"
local peers = require "spec.support.ws_peer"
local served = require "spec.support.served"
local support = require "spec.support.web"
local tls = require "spec.support.tls"
local web = ml.web

-- An app whose WebSockets join the topic in their path; what a client sends is `f`'s, or dropped.
local function rooms(hub, f, opts)
  local app = web.app()
  app:websocket("/{topic}", opts or {}, function(ws, req)
    hub:join(ws, req.params.topic)
    ws:send "joined"
    for message, kind in ws:messages() do
      if f then f(ws, message, kind, req.params.topic) end
    end
  end)
  return app
end

-- A client that has joined the topic.
local function join(port, topic, opts)
  local ws = assert(ml.ws.connect(("ws://127.0.0.1:%d/%s"):format(port, topic), opts))
  assert.equal("joined", ws:receive())
  return ws
end

local function wait_for(hub, topic, count)
  served.wait_until("not the members that were expected", function() return hub:count(topic) == count end)
end

-- What publish raises for these arguments.
local function refused(...)
  local hub, args = web.hub { name = "refused" }, table.pack(...)
  local ok, err = pcall(function() hub:publish(table.unpack(args, 1, args.n)) end)
  assert.is_false(ok)
  return tostring(err)
end

describe("hub:publish", function()
  it("reaches all members of the topic, and no others", function()
    local hub = web.hub { name = "all" }
    support.serving(rooms(hub), function(port)
      local a <close> = join(port, "a")
      local b <close> = join(port, "a")
      local other <close> = join(port, "b")
      assert.equal(2, hub:count "a")
      hub:publish("a", "grüße")
      hub:publish("a", "\0\255", "binary")
      hub:publish("a", { n = 1 })
      hub:publish("nobody", "lost")
      hub:publish("b", "other")
      for _, ws in ipairs { a, b } do
        assert.same({ "grüße", "text" }, { ws:receive() })
        assert.same({ "\0\255", "binary" }, { ws:receive() })
        assert.same({ '{"n":1}', "text" }, { ws:receive() })
      end
      assert.equal("other", other:receive())
    end)
    assert.equal(0, hub:count "a")
  end)

  it("reaches the socket that publishes, unless it is the exception", function()
    local hub = web.hub { name = "except" }
    support.serving(rooms(hub, function(ws, message, kind, topic)
      hub:publish(topic, "not you: " .. message, kind, { except = ws })
      hub:publish(topic, "nor you: " .. message, { except = ws })
      hub:publish(topic, "all: " .. message, kind)
    end), function(port)
      local a <close> = join(port, "a")
      local b <close> = join(port, "a")
      a:send "x"
      assert.equal("all: x", a:receive())
      assert.equal("not you: x", b:receive())
      assert.equal("nor you: x", b:receive())
      assert.equal("all: x", b:receive())
    end)
  end)

  it("keeps the order of a publisher, and of the frames that a handler sends between", function()
    local hub = web.hub { name = "order" }
    support.serving(rooms(hub, function(ws, message, _, topic)
      for i = 1, 100 do
        ws:send(("%s sent %d"):format(message, i))
        hub:publish(topic, ("%s published %d"):format(message, i))
        if i % 10 == 0 then ml.sleep(0) end
      end
      ws:send(("x"):rep(100000)) -- written from where it is
      hub:publish(topic, "after")
    end), function(port)
      local a <close> = join(port, "a")
      local b <close> = join(port, "a")
      a:send "a"
      for i = 1, 100 do
        assert.equal("a sent " .. i, a:receive())
        assert.equal("a published " .. i, a:receive())
        assert.equal("a published " .. i, b:receive())
      end
      assert.equal(100000, #a:receive())
      assert.equal("after", a:receive())
    end)
  end)

  it("says what is wrong with its arguments", function()
    assert.matches("bad argument #2 to 'hub:publish' %(string or table expected, got number%)", refused("a", 1))
    assert.matches("bad argument #3 to 'hub:publish' %(\"text\" or \"binary\" expected, got \"texts\"%)",
      refused("a", "b", "texts"))
    assert.matches("unknown option 'exept' of hub:publish", refused("a", "b", { exept = 1 }))
    assert.matches("option 'except' of hub:publish is neither a WebSocket nor `send`",
      refused("a", "b", { except = 1 }))
    assert.matches("bad argument #2 to 'hub:publish' %(the message is not UTF%-8", refused("a", "\255"))
    assert.matches("the topic is empty", refused("", "b"))
    assert.matches("the topic has more than 65535 bytes", refused(("x"):rep(65536), "b"))
    assert.matches("bad argument #1 to 'hub:publish' %(string expected, got nil", refused(nil, "b"))
    local hub = web.hub { name = "refused" }
    assert.matches("bad argument #1 to 'hub:join' %(WebSocket or `send` of ml.web.events expected, got function",
      select(2, pcall(hub.join, hub, print, "a")))
    assert.matches("bad argument #1 to 'hub:count' %(string expected, got nil", select(2, pcall(hub.count, hub)))
    assert.matches("WebSocket or `send` of ml.web.events expected", select(2, pcall(hub.join, hub, 1, "a")))
    assert.matches("hub", select(2, pcall(hub.join, 1, "a")))
  end)
end)

describe("a hub", function()
  it("is one with all of its name", function()
    local a, b = web.hub { name = "one" }, web.hub { name = "one" }
    assert.equal(a, b)
    assert.not_equal(a, web.hub {})
    assert.equal(web.hub(), web.hub { name = "default" })
    assert.error_matches(function() web.hub { name = "one", max_backlog = 5 } end,
      "'max_backlog' of ml.web.hub is 5, and hub 'one' has been made with 1048576")
    assert.error_matches(function() web.hub { name = "" } end, "option 'name' of ml.web.hub")
    assert.error_matches(function() web.hub { redis = 1 } end, "a client of ml.redis")
    assert.error_matches(function() web.hub { max_backlog = 0 } end, "a positive number of bytes")
  end)

  it("is no help in a job of ml.executor, and says so", function()
    local ok, err = pcall(ml.executor.run, function() require("moonloop").web.hub {} end)
    assert.is_false(ok)
    assert.matches("a job of ml.executor has no hubs", tostring(err))
  end)

  it("is left by topic, as a whole, and by what ends", function()
    local hub = web.hub { name = "leave" }
    support.serving(rooms(hub, function(ws, message)
      if message == "more" then
        for i = 1, 50 do hub:join(ws, "topic " .. i) end
      elseif message == "leave" then
        hub:leave(ws, "a")
      elseif message == "all" then
        hub:leave(ws)
      end
      ws:send "done"
    end), function(port)
      local function tell(ws, message)
        ws:send(message)
        assert.equal("done", ws:receive())
      end
      local a <close> = join(port, "a")
      local b <close> = join(port, "a")
      tell(a, "more")
      tell(a, "more")
      assert.equal(1, hub:count "topic 50")
      tell(a, "leave")
      tell(a, "leave")
      assert.equal(1, hub:count "a")
      assert.equal(1, hub:count "topic 50")
      tell(b, "more")
      assert.equal(2, hub:count "topic 1")
      tell(a, "all")
      assert.equal(1, hub:count "topic 1")
      b:close()
      wait_for(hub, "topic 1", 0)
      assert.equal(0, hub:count "a")
      -- One that vanishes without a word.
      local peer = peers.connect(port, "/a")
      wait_for(hub, "a", 1)
      peer.conn:close()
      wait_for(hub, "a", 0)
    end)
  end)

  it("takes nothing that has ended", function()
    local hub, over = web.hub { name = "ended" }, nil
    support.serving(rooms(hub, function(ws) over = ws end), function(port)
      local a = join(port, "a")
      a:send "x"
      a:close()
      wait_for(hub, "a", 0)
      hub:join(over, "a")
      hub:leave(over, "a")
      hub:leave(over)
      assert.equal(0, hub:count "a")
      hub:publish("a", "nobody", { except = over })
    end)
  end)

  it("closes one that is too far behind with 1013, and the others get everything", function()
    local hub = web.hub { name = "slow", max_backlog = 100000 }
    support.serving(rooms(hub), function(port)
      local fast <close> = join(port, "a")
      local slow = peers.connect(port, "/a")
      local _ <close> = slow.conn
      wait_for(hub, "a", 2)
      local text, sent = ("x"):rep(30000), 0
      while hub:count "a" == 2 do
        sent = sent + 1
        hub:publish("a", sent .. text)
        assert.equal(sent .. text, fast:receive())
      end
      hub:publish("a", "more")
      assert.equal("more", fast:receive())
      assert.same({ 0x81, "joined" }, { slow:frame() })
      for i = 1, sent - 1 do assert.same({ 0x81, i .. text }, { slow:frame() }) end
      assert.same({ 1013, "too far behind" }, { slow:closed() })
      slow:send(0x88, peers.code(1013))
    end)
  end)

  it("does not take for slow what only waits for the end of a pass", function()
    local hub = web.hub { name = "burst", max_backlog = 50000 }
    support.serving(rooms(hub), function(port)
      local ws <close> = join(port, "a")
      local text = ("x"):rep(20000)
      for i = 1, 5 do hub:publish("a", i .. text) end -- twice as much, in one pass
      for i = 1, 5 do assert.equal(i .. text, ws:receive()) end
      hub:publish("a", ("x"):rep(50001)) -- the message counts
      local _, err = ws:receive()
      assert.equal(1013, err.code)
    end)
  end)

  it("sends to thousands, of all kinds", function()
    local hub = web.hub { name = "many" }
    support.serving(rooms(hub, nil, { compress = { min = 10 } }), function(port)
      local sockets = {}
      for i = 1, 1000 do sockets[i] = join(port, "a", { compress = i % 3 == 0 }) end
      assert.equal(1000, hub:count "a")
      local text = ("the same words "):rep(20)
      for i = 1, 5 do hub:publish("a", text .. i) end
      hub:publish("a", "short")
      for _, ws in ipairs(sockets) do
        for i = 1, 5 do assert.equal(text .. i, ws:receive()) end
        assert.equal("short", ws:receive())
      end
      for i = 1, 500 do sockets[i]:close() end
      wait_for(hub, "a", 500)
      hub:publish("a", "the rest")
      for i = 501, 1000 do assert.equal("the rest", sockets[i]:receive()) end
      for i = 501, 1000 do sockets[i]:close() end
    end)
  end)

  it("sends over TLS, too", function()
    if not tls.is_there() then return pending "openssl is not installed" end
    local files <close> = tls.certificates { server = {} }
    local hub = web.hub { name = "tls" }
    support.serving(rooms(hub), function(port)
      local sockets = {}
      for i = 1, 30 do
        sockets[i] = assert(ml.ws.connect(("wss://localhost:%d/a"):format(port),
          { tls = { ca = files.path .. "/ca.crt" } }))
        assert.equal("joined", sockets[i]:receive())
      end
      for i = 1, 20 do hub:publish("a", "message " .. i) end
      hub:publish("a", ("x"):rep(200000))
      for _, ws in ipairs(sockets) do
        for i = 1, 20 do assert.equal("message " .. i, ws:receive()) end
        assert.equal(200000, #ws:receive())
        ws:close()
      end
    end, { tls = files.server })
  end)
end)
