-- Server-Sent Events.
local ml = require "moonloop"
local web = require "moonloop.web"
local common = require "spec.support"
local support = require "spec.support.web"

local rawtcp, request = common.rawtcp, support.request

-- The response to GET / whose events `f` sends.
local function events(f, opts, headers)
  local app = web.app()
  app:get("/", function() return web.events(f, opts) end)
  local res
  support.serving(app, function(port)
    res = support.ask(port, request("GET", "/", "Connection: close\r\n" .. (headers or "")))
  end)
  return res
end

-- What `send` raises for an event.
local function refused(event)
  local why
  events(function(send)
    local ok, err = pcall(function() send(event) end)
    assert(not ok)
    why = err
  end)
  return why
end

describe("a response of ml.web.events", function()
  it("has the headers that keep proxies from buffering it", function()
    local res = events(function() end)
    assert.equal(200, res.status)
    assert.equal("text/event-stream", res.headers["content-type"])
    assert.equal("no-cache", res.headers["cache-control"])
    assert.equal("no", res.headers["x-accel-buffering"])
    assert.equal("", res.body)
  end)
  it("may have headers of its own", function()
    local given = { ["X-A"] = "b", ["cache-control"] = "no-store" }
    local res = events(function() end, { headers = given })
    assert.equal("b", res.headers["x-a"])
    assert.equal("no-store", res.headers["cache-control"])
    assert.is_nil(given["Content-Type"])
  end)
  it("sends texts, line by line", function()
    assert.equal("data: one\n\ndata: two\ndata: lines\ndata: \ndata: \ndata: \n\ndata: \n\n",
      events(function(send)
        send("one")
        send("two\nlines\r\n\r\r\n")
        send("")
      end).body)
  end)
  it("sends events with all their fields", function()
    assert.equal("event: e\nid: 7\nretry: 1500\ndata: d\n\nid: x\n\nid: \ndata: 1\n\n", events(function(send)
      send { event = "e", id = 7, retry = 1500, data = "d" }
      send { id = "x" }
      send { id = "", data = 1 }
    end).body)
  end)
  it("sends other values as JSON", function()
    assert.equal('data: {"a":[1,2]}\n\ndata: true\n\ndata: null\n\ndata: 1.5\n\n', events(function(send)
      send { data = { a = { 1, 2 } } }
      send { data = true }
      send { data = ml.json.null }
      send { data = 1.5 }
    end).body)
  end)
  it("refuses what would be another event, at the line that sends it", function()
    for _, field in ipairs { "id", "event" } do
      for _, c in ipairs { "\n", "\r", "\0" } do
        assert.matches("web_events_spec.*field '" .. field .. "' of an event has a line break or a NUL",
          refused { [field] = "a" .. c .. "b" })
      end
    end
    assert.matches("unknown field 'date' of an event", refused { date = "x" })
    assert.matches("field 'event' of an event is 1 %(expected string%)", refused { event = 1 })
    assert.matches("field 'retry' of an event is 1.5 %(expected integer%)", refused { retry = 1.5 })
    assert.matches("field 'retry' of an event is negative", refused { retry = -1 })
    assert.matches("an event has no fields", refused {})
    assert.matches("string or table expected, got nil", refused(nil))
    assert.matches("function", refused { data = print })
  end)
  it("is refused without a function, or with unknown options", function()
    assert.error_matches(function() web.events() end,
      "bad argument #1 to 'ml.web.events' %(function expected, got nil%)")
    assert.error_matches(function() web.events(print, { pong = 1 }) end, "unknown option 'pong' of ml.web.events")
    assert.error_matches(function() web.events(print, { ping = 0 }) end,
      "is 0 %(expected a positive number of seconds%)")
    assert.error_matches(function() web.events(print, { ping = "1" }) end, "is a string %(expected number%)")
  end)
  it("sends each event at once", function()
    local gate = ml.event()
    local app = web.app()
    app:get("/", function()
      return web.events(function(send)
        send("one")
        gate:wait()
        send("two")
      end)
    end)
    support.serving(app, function(port)
      local conn <close> = assert(rawtcp.connect(port))
      conn:send(request("GET", "/"))
      assert(conn:receive("data: one\n\n"))
      gate:set()
      assert(conn:receive("data: two\n\n"))
    end)
  end)
  it("sends a comment now and then, and none after its end", function()
    local app = web.app()
    local gate = ml.event()
    app:get("/", function()
      return web.events(function(send)
        gate:wait()
        send("late")
      end, { ping = 0.01 })
    end)
    support.serving(app, function(port)
      local before = #ml.tasks()
      local conn <close> = assert(rawtcp.connect(port))
      conn:send(request("GET", "/"))
      assert(conn:receive(":\n\n"))
      assert(conn:receive(":\n\n"))
      gate:set()
      assert(conn:receive("data: late\n\n"))
      assert(conn:receive("\r\n0\r\n\r\n"))
      while #ml.tasks() > before do ml.sleep(0) end
      assert.equal("timeout", select(2, conn:receive(1, 0.05)))
    end)
  end)
  it("does not put a comment into the middle of an event", function()
    local text = ("x"):rep(10 * 1024 * 1024)
    local app = web.app()
    app:get("/", function()
      return web.events(function(send) send(text) end, { ping = 0.001 })
    end)
    support.serving(app, function(port)
      local conn <close> = assert(rawtcp.connect(port))
      conn:send(request("GET", "/"))
      ml.sleep(0.05)
      local body = support.receive(conn).body:gsub(":\n\n", "")
      assert.is_true(body == "data: " .. text .. "\n\n")
    end)
  end)
  it("ends with its client: the function is cancelled, and the comments stop", function()
    local reason
    local app = web.app()
    app:get("/", function()
      return web.events(function(send)
        local ok, err = ml.catch(function()
          send("one")
          ml.sleep(60)
        end)
        reason = not ok and err.reason
        error(err, 0)
      end, { ping = 0.01 })
    end)
    support.serving(app, function(port)
      local before = #ml.tasks()
      local conn = assert(rawtcp.connect(port))
      conn:send(request("GET", "/"))
      assert(conn:receive("data: one\n\n"))
      conn:close()
      while not reason or #ml.tasks() > before do ml.sleep(0.01) end
      assert.equal("client disconnected", reason)
    end)
  end)
end)

describe("the example of ml.web.events", function()
  it("continues where the client was", function()
    local app = dofile "scripts/examples/events.lua"
    support.serving(app, function(port)
      local conn <close> = assert(rawtcp.connect(port))
      conn:send(request("GET", "/ticks", "Last-Event-ID: 41\r\n"))
      assert.matches("id: 42\ndata: {.*\"n\":42.*}\n\n$", (assert(conn:receive("}\n\n"))))
    end)
  end)
  it("sends a message to all listeners", function()
    local app = dofile "scripts/examples/events.lua"
    support.serving(app, function(port)
      local conns = {}
      for i = 1, 3 do
        conns[i] = assert(rawtcp.connect(port))
        conns[i]:send(request("GET", "/hear"))
        assert(conns[i]:receive("\r\n\r\n"))
      end
      assert.equal(204, support.post(port, "/say", "hello").status)
      for i = 1, 3 do
        assert(conns[i]:receive("event: said\ndata: hello\n\n"))
        conns[i]:close()
      end
    end)
  end)
  it("has a page that shows them", function()
    support.serving(dofile "scripts/examples/events.lua", function(port)
      assert.matches("EventSource", support.get(port, "/").body)
    end)
  end)
end)
