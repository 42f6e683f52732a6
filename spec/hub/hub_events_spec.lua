-- Streams of events that join hubs.
local ml = require "moonloop"
local events = require "spec.support.events"
local served = require "spec.support.served"
local support = require "spec.support.web"
local web = require "moonloop.web"

-- An app whose stream at / joins what `join(send, req)` says, and says "joined" then.
local function app_of(join, opts)
  local app = web.app()
  app:get("/", function(req)
    return web.events(function(send)
      join(send, req)
      send "joined"
      ml.sleep(math.huge)
    end, opts)
  end)
  return app
end

-- Waits until the topic of `hub` has no members. That a client has gone is seen when something is sent to it.
local function wait_until_empty(hub, topic)
  served.wait_until("members are left", function()
    hub:publish(topic, "is anybody there?")
    return hub:count(topic) == 0
  end)
end

describe("a stream of events that has joined a hub", function()
  it("gets what is published, as data", function()
    local hub = web.hub { name = "events" }
    support.serving(app_of(function(send) hub:join(send, "a") end), function(port)
      do
        local stream <close> = events.open(port)
        assert.equal("joined", stream:next())
        hub:publish("b", "not this")
        hub:publish("a", "text")
        hub:publish("a", { n = 1 })
        hub:publish("a", "two\nlines")
        assert.equal("text", stream:next())
        assert.equal('{"n":1}', stream:next())
        assert.equal("two\nlines", stream:next())
        assert.equal(1, hub:count "a")
      end
      wait_until_empty(hub, "a")
    end)
  end)

  it("gets a message before what the same task sends after it", function()
    local hub = web.hub { name = "events" }
    local app = web.app()
    app:get("/", function()
      return web.events(function(send)
        hub:join(send, "order")
        for i = 1, 20 do
          hub:publish("order", "published " .. i)
          send("sent " .. i)
        end
      end)
    end)
    support.serving(app, function(port)
      local stream <close> = events.open(port)
      for i = 1, 20 do
        assert.equal("published " .. i, stream:next())
        assert.equal("sent " .. i, stream:next())
      end
      assert.is_nil(stream:next())
    end)
    assert.equal(0, hub:count "order")
  end)

  it("leaves one topic, or all of the hub", function()
    local hub, other = web.hub { name = "events" }, web.hub { name = "other" }
    local sender
    local app = app_of(function(send)
      sender = send
      for _, topic in ipairs { "a", "b", "c" } do hub:join(send, topic) end
      hub:join(send, "a") -- once more: nothing happens
      other:join(send, "a")
    end)
    support.serving(app, function(port)
      local stream <close> = events.open(port)
      assert.equal("joined", stream:next())
      hub:leave(sender, "a")
      hub:leave(sender, "a")
      hub:leave(sender, "never joined")
      for _, topic in ipairs { "a", "b", "c" } do hub:publish(topic, topic) end
      assert.equal("b", stream:next())
      assert.equal("c", stream:next())
      hub:leave(sender)
      hub:publish("b", "nobody")
      other:publish("a", "other")
      assert.equal("other", stream:next())
      hub:publish("b", "nobody", { except = sender })
      other:publish("a", "others", { except = sender })
      other:publish("a", "all")
      assert.equal("all", stream:next())
    end)
    wait_until_empty(other, "a")
    hub:join(sender, "a") -- it is over
    assert.equal(0, hub:count "a")
  end)

  it("is ended where it is too far behind, and the others get everything", function()
    local hub = web.hub { name = "small", max_backlog = 10000 }
    support.serving(app_of(function(send) hub:join(send, "a") end), function(port)
      local slow <close> = events.open(port)
      local fast <close> = events.open(port)
      assert.equal("joined", slow:next())
      assert.equal("joined", fast:next())
      local text = ("x"):rep(9000)
      local sent = 0
      while hub:count "a" == 2 do
        sent = sent + 1
        hub:publish("a", text .. sent)
        assert.equal(text .. sent, fast:next())
      end
      hub:publish("a", "more")
      assert.equal("more", fast:next())
      local got = 0
      while slow:next() do got = got + 1 end -- what it was sent before, and no end that could be taken for one
      assert(got < sent)
    end)
    wait_until_empty(hub, "a")
  end)
end)
