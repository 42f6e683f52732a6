--- What clients of HTTP/2 may not do to a server: each costs its own connection, and no other.
local http2 = require "spec.support.http2"
local ml = require "moonloop"
local web = require "moonloop.web"
local serving = require("spec.support.web").serving

--- More than the allowance of http2_guard.h has of anything.
local MANY = 3000

local function with(app, f, opts)
  opts = opts or {}
  opts.http2 = "clear"
  serving(app, f, opts)
end

local function quick()
  local app = web.app()
  app:get("/", function() return "hello" end)
  app:post("/", function(req) return req.body end)
  return app
end

describe("a client of HTTP/2 that floods", function()
  local function code(payload) return string.pack(">I4", payload) end

  --- Each returns the bytes of one more; `i` counts from 1.
  local floods = {
    ["with pings"] = function() return http2.frame(http2.PING, 0, 0, "12345678") end,
    ["with settings"] = function() return http2.frame(http2.SETTINGS, 0, 0) end,
    ["with frames of no data"] = function(i, client)
      local fields = http2.fields(http2.request("POST", "/"))
      local first = i == 1 and http2.frame(http2.HEADERS, http2.END_HEADERS, 1, fields)
      client.last = 1
      return (first or "") .. http2.frame(http2.DATA, 0, 1)
    end,
    ["with priorities"] = function() return http2.frame(http2.PRIORITY, 0, 3, code(0) .. "\16") end,
    ["with frames of unknown types"] = function() return http2.frame(200, 0, 0, "what?") end,
    ["with streams that it resets"] = function(i)
      return http2.frame(http2.HEADERS, http2.END_HEADERS, 2 * i - 1, http2.fields(http2.request("POST", "/"))) ..
        http2.frame(http2.RST_STREAM, 0, 2 * i - 1, code(http2.CANCEL))
    end,
    ["with mistakes for which we reset streams"] = function(i)
      local fields = http2.request("POST", "/", { { "content-length", "1" } })
      return http2.frame(http2.HEADERS, http2.END_HEADERS, 2 * i - 1, http2.fields(fields)) ..
        http2.frame(http2.DATA, http2.END_STREAM, 2 * i - 1, "two")
    end,
  }

  for what, make in pairs(floods) do
    it(what .. " is told to calm down", function()
      with(quick(), function(port)
        local client <close> = http2.connect(port)
        local other <close> = http2.connect(port)
        local list = {}
        for i = 1, MANY do list[i] = make(i, client) end
        local sender = ml.spawn(function() client:write(table.concat(list)) end) -- until nobody reads
        assert.equal(http2.ENHANCE_YOUR_CALM, client:end_code())
        sender:cancel()
        assert.same({ 200, "hello" }, { other:response(other:ask("GET", "/")) })
      end)
    end)
  end

  it("is counted, once", function()
    web.app():metrics "/metrics" -- from now on they are kept
    local function count()
      return tonumber(ml.metrics.text():match 'limited_total{limit_name="http2_frames"} (%d+)' or 0)
    end
    local before = count()
    with(quick(), function(port)
      local client <close> = http2.connect(port)
      local sender = ml.spawn(function() client:write(http2.frame(http2.PING, 0, 0, "12345678"):rep(MANY)) end)
      assert.equal(http2.ENHANCE_YOUR_CALM, client:end_code())
      sender:cancel()
    end)
    assert.equal(before + 1, count())
  end)

  it("with streams beyond the limit, and does not acknowledge it, is told to calm down", function()
    with(quick(), function(port)
      local client <close> = http2.connect(port)
      local fields, list = http2.fields(http2.request("POST", "/")), {}
      for i = 1, MANY do list[i] = http2.frame(http2.HEADERS, http2.END_HEADERS, 2 * i - 1, fields) end
      client:write(table.concat(list)) -- before it reads of the limit
      assert.equal(http2.ENHANCE_YOUR_CALM, client:end_code())
    end)
  end)

  it("is not one that sends a body byte by byte", function()
    with(quick(), function(port)
      local client <close> = http2.connect(port)
      local stream = client:ask("POST", "/", nil, true)
      client:write(http2.frame(http2.DATA, 0, stream, "x"):rep(MANY))
      client:send(http2.DATA, http2.END_STREAM, stream)
      assert.same({ 200, ("x"):rep(MANY) }, { client:response(stream) })
    end)
  end)

  it("with continuations is cut off", function()
    with(quick(), function(port)
      local client <close> = http2.connect(port)
      local list = { http2.frame(http2.HEADERS, 0, 1, http2.fields(http2.request("GET", "/"))) }
      for i = 2, MANY do list[i] = http2.frame(http2.CONTINUATION, 0, 1, http2.fields { { "x", "1" } }) end
      local sender = ml.spawn(function() client:write(table.concat(list)) end)
      client:end_code()
      sender:cancel()
      local other <close> = http2.connect(port)
      assert.same({ 200, "hello" }, { other:response(other:ask("GET", "/")) })
    end)
  end)

  it("with trailers of a few bytes that stand for megabytes is told to calm down", function()
    with(quick(), function(port)
      local client <close> = http2.connect(port)
      local line = "\x40\1x\x7f\xa1\x1e" .. ("y"):rep(4000) -- goes into the table, as number 62
      local head = http2.fields(http2.request("POST", "/"))
      for i = 1, 20 do
        client:send(http2.HEADERS, http2.END_HEADERS, 2 * i - 1, i == 1 and head .. line or head)
        client:send(http2.HEADERS, http2.END_HEADERS | http2.END_STREAM, 2 * i - 1, ("\xbe"):rep(12000))
      end
      assert.equal(http2.ENHANCE_YOUR_CALM, client:end_code())
      assert.is_nil(next(client.statuses))
    end)
  end)

  it("with heads of a few bytes that stand for four times what a head may have is told to calm down", function()
    with(quick(), function(port)
      local client <close> = http2.connect(port)
      local line = "\x40\1x\x7f\xa1\x1e" .. ("y"):rep(4000)
      local bomb = http2.fields(http2.request("GET", "/")) .. line .. ("\xbe"):rep(40)
      for i = 1, 20 do
        client:send(http2.HEADERS, http2.END_HEADERS | http2.END_STREAM, 2 * i - 1, bomb)
      end
      assert.equal(http2.ENHANCE_YOUR_CALM, client:end_code())
    end)
  end)

  it("with a head of a few bytes that stands for megabytes is told to calm down", function()
    with(quick(), function(port)
      local client <close> = http2.connect(port)
      local line = "\x40\1x\x7f\xa1\x1e" .. ("y"):rep(4000) -- goes into the table, as number 62
      local bomb = http2.fields(http2.request("GET", "/")) .. line .. ("\xbe"):rep(12000)
      for i = 1, 20 do
        client:send(http2.HEADERS, http2.END_HEADERS | http2.END_STREAM, 2 * i - 1, bomb)
      end
      assert.equal(http2.ENHANCE_YOUR_CALM, client:end_code())
      local other <close> = http2.connect(port)
      assert.same({ 200, "hello" }, { other:response(other:ask("GET", "/")) })
    end)
  end)
end)

describe("the streams of a connection", function()
  it("are 100 at most, with those whose handlers still run after a reset", function()
    local app, began, go = web.app(), ml.queue(), ml.event()
    app:get("/", function()
      began:put(true)
      ml.shield(function() go:wait() end)
      return "done"
    end)
    with(app, function(port)
      local client <close> = http2.connect(port)
      for _ = 1, 100 do client:ask("GET", "/") end
      for _ = 1, 100 do began:get() end
      for stream = 1, 99, 2 do client:send(http2.RST_STREAM, 0, stream, string.pack(">I4", http2.CANCEL)) end
      assert.same({ nil, http2.REFUSED_STREAM }, { client:response(client:ask("GET", "/")) })
      go:set()
      assert.same({ 200, "done" }, { client:response(199) })
      assert.same({ 200, "done" }, { client:response(client:ask("GET", "/")) })
    end)
  end)

  it("are few for each client where all together have as many as there may be connections", function()
    local app, began, go = web.app(), ml.queue(), ml.event()
    app:get("/", function()
      began:put(true)
      go:wait()
      return "done"
    end)
    with(app, function(port)
      local greedy <close> = http2.connect(port)
      local modest <close> = http2.connect(port)
      local streams = {}
      for i = 1, 50 do streams[i] = greedy:ask("GET", "/") end
      for _ = 1, 30 do began:get() end
      for i = 1, 10 do modest:ask("GET", "/", { { "x-number", tostring(i) } }) end
      for _ = 1, 10 do began:get() end
      assert.same({ nil, http2.REFUSED_STREAM }, { modest:response(modest:ask("GET", "/")) })
      go:set()
      local done = 0
      for _, stream in ipairs(streams) do
        local status, body = greedy:response(stream)
        if status == 200 and body == "done" then
          done = done + 1
        else
          assert.equal(http2.REFUSED_STREAM, body)
        end
      end
      assert.equal(30, done)
      assert.same({ 200, "done" }, { modest:response(1) })
      assert.same({ 200, "done" }, { greedy:response(greedy:ask("GET", "/")) })
    end, { max_connections = 30 })
  end)

  it("are thousands in turn", function()
    with(quick(), function(port)
      local client <close> = http2.connect(port, { window = 1 << 20 })
      client:widen(0, 1 << 20)
      for _ = 1, 50 do
        local streams = {}
        for i = 1, 100 do streams[i] = client:ask("GET", "/") end
        for _, stream in ipairs(streams) do
          assert.same({ 200, "hello" }, { client:response(stream) })
          client.bodies[stream], client.statuses[stream], client.ended[stream] = nil, nil, nil
        end
      end
    end)
  end)
end)

describe("a long head of HTTP/2", function()
  it("whose end does not come counts in max_buffered", function()
    local long = http2.fields(http2.request("GET", "/", { { "x-long", ("v"):rep(12000) } }))
    with(quick(), function(port)
      local first <close> = http2.connect(port)
      local second <close> = http2.connect(port)
      first:send(http2.HEADERS, http2.END_STREAM, 1, long)
      assert.same({ 200, "hello" }, { second:response(second:ask("GET", "/")) })
      second:send(http2.HEADERS, http2.END_STREAM, 3, long)
      assert.equal(http2.REFUSED_STREAM, second:reset(3))
      first:send(http2.CONTINUATION, http2.END_HEADERS, 1)
      assert.same({ 200, "hello" }, { first:response(1) })
      second:send(http2.CONTINUATION, http2.END_HEADERS, 3)
      second.last = 3
      assert.same({ 200, "hello" }, { second:response(second:ask("GET", "/", { { "x-long", ("v"):rep(12000) } })) })
    end, { max_buffered = 20000 })
  end)
end)

describe("a client of HTTP/2 that waits", function()
  it("with a window of nothing has as long as one that does not read", function()
    with(quick(), function(port)
      local client <close> = http2.connect(port, { window = 0 })
      local stream = client:ask("GET", "/")
      assert.equal(http2.INTERNAL_ERROR, client:reset(stream))
      client:send(http2.PING, 0, 0, "12345678") -- the connection goes on
      assert(client:read_until(function(frame) return frame.type == http2.PING end))
    end, { write_timeout = 0.2 })
  end)

  it("for a handler that does not read holds up its own body alone", function()
    local app, go = web.app(), ml.event()
    app:post("/slow", function(req)
      go:wait()
      return tostring(#req.body)
    end)
    app:post("/", function(req) return tostring(#req.body) end)
    with(app, function(port)
      local client <close> = http2.connect(port)
      local function body(stream, n)
        for _ = 1, n do client:send(http2.DATA, 0, stream, ("x"):rep(10000)) end
      end
      local slow = client:ask("POST", "/slow", {}, true)
      body(slow, 6)
      for _ = 1, 5 do
        local stream = client:ask("POST", "/", {}, true)
        body(stream, 6)
        client:send(http2.DATA, http2.END_STREAM, stream)
        assert.same({ 200, "60000" }, { client:response(stream) })
      end
      client:send(http2.DATA, http2.END_STREAM, slow)
      go:set()
      assert.same({ 200, "60000" }, { client:response(slow) })
    end)
  end)

  it("for handlers that do not read may send 128 kB of each body, and no more", function()
    local app, go = web.app(), ml.event()
    app:post("/", function(req)
      go:wait()
      return tostring(#req.body)
    end)
    with(app, function(port)
      local client <close> = http2.connect(port)
      local may, sent = { [0] = 65535 }, {} -- RFC 9113 section 6.9.2
      for _ = 1, 40 do
        local stream = client:ask("POST", "/", {}, true)
        may[stream], sent[stream] = 65535, 0
      end
      local function note(frame)
        if frame.type == http2.WINDOW_UPDATE then
          may[frame.stream] = may[frame.stream] + (">I4"):unpack(frame.payload)
        end
        return frame.type == http2.PING and frame.flags & http2.ACK ~= 0
      end
      for _ = 1, 30 do -- more than enough for all of a megabyte each
        for stream, n in pairs(sent) do
          while sent[stream] + 16000 <= may[stream] and may[0] >= 16000 and n < 1000000 do
            client:send(http2.DATA, 0, stream, ("x"):rep(16000))
            sent[stream], n, may[0] = sent[stream] + 16000, n + 16000, may[0] - 16000
          end
        end
        client:send(http2.PING, 0, 0, "12345678")
        assert(client:read_until(note))
      end
      for _, n in pairs(sent) do assert(n <= 1 << 17, n) end
      go:set()
      for stream in pairs(sent) do client:send(http2.DATA, http2.END_STREAM, stream) end
      for stream, n in pairs(sent) do assert.same({ 200, tostring(n) }, { client:response(stream) }) end
    end)
  end)

  it("without asking for anything has the time of a head", function()
    with(quick(), function(port)
      local client <close> = http2.connect(port)
      assert.equal(http2.NO_ERROR, client:end_code())
    end, { header_timeout = 0.05, keep_alive = 3600 })
  end)

  it("in a head, or between two requests, is not waited for for ever", function()
    with(quick(), function(port)
      local client <close> = http2.connect(port)
      assert.same({ 200, "hello" }, { client:response(client:ask("GET", "/")) }) -- settings are exchanged
      client:send(http2.HEADERS, 0, 3, http2.fields(http2.request("GET", "/")))
      assert.equal(http2.NO_ERROR, client:end_code())
    end, { header_timeout = 0.2 })
    with(quick(), function(port)
      local client <close> = http2.connect(port)
      assert.same({ 200, "hello" }, { client:response(client:ask("GET", "/")) })
      assert.equal(http2.NO_ERROR, client:end_code())
    end, { keep_alive = 0.2 })
    with(quick(), function(port)
      local client <close> = http2.connect(port)
      assert.equal(408, (client:response(client:ask("POST", "/", {}, true))))
    end, { body_timeout = 0.2 })
  end)
end)
