--- Clients of HTTP/2 that send, or take, as little as they can at a time: none holds a stream for longer than one that
-- does nothing.
local folders = require "spec.support.folder"
local http2 = require "spec.support.http2"
local ml = require "moonloop"
local web = require "moonloop.web"
local serving = require("spec.support.web").serving

local function with(app, opts, f)
  opts.http2 = "clear"
  serving(app, f, opts)
end

local function echo()
  local app = web.app()
  app:get("/", function() return ("x"):rep(100000) end)
  app:post("/", function(req) return req.body end)
  return app
end

--- Sends what `make` returns, every few milliseconds, while `f` runs.
local function drip(client, make, f)
  local drips = ml.spawn(function()
    while client:write(make()) do ml.sleep(0.005) end
  end)
  f()
  drips:cancel()
end

--- The connection goes on.
local function answers(client)
  client:send(http2.PING, 0, 0, "12345678")
  return client:read_until(function(frame) return frame.type == http2.PING end) ~= nil
end

--- A frame of DATA with so much padding.
local function padded(stream, bytes, padding)
  return http2.frame(http2.DATA, 8, stream, string.char(padding) .. bytes .. ("\0"):rep(padding))
end

describe("a client of HTTP/2 that takes a response", function()
  it("byte by byte, by its window, has to take it at write_rate", function()
    with(echo(), { write_timeout = 0.2, write_rate = 10000 }, function(port)
      local client <close> = http2.connect(port, { window = 0 })
      local stream = client:ask("GET", "/")
      drip(client, function() return http2.frame(http2.WINDOW_UPDATE, 0, stream, string.pack(">I4", 1)) end, function()
        assert.equal(http2.INTERNAL_ERROR, client:reset(stream))
      end)
      assert(#(client.bodies[stream] or "") > 0)
      assert(answers(client))
    end)
  end)

  it("up to the window of the connection, and no more, has write_timeout on each stream", function()
    with(echo(), { write_timeout = 0.2 }, function(port)
      local client <close> = http2.connect(port, { window = 1 << 20 })
      local streams = {}
      for i = 1, 10 do streams[i] = client:ask("GET", "/") end
      for _, stream in ipairs(streams) do assert.equal(http2.INTERNAL_ERROR, client:reset(stream)) end
      assert(answers(client))
    end)
  end)

  it("later, on many streams at once, is given little of each file where max_buffered is small", function()
    local content = ("0123456789abcdef"):rep(8192)
    local file <close> = folders.file(content)
    local app = web.app():get("/", function() return web.file(file.path) end)
    with(app, { max_buffered = 2000000 }, function(port)
      local client <close> = http2.connect(port, { window = 0 })
      local streams = {}
      for i = 1, 100 do streams[i] = client:ask("GET", "/") end
      for _, stream in ipairs(streams) do
        while not client.statuses[stream] do assert(client:read()) end
      end
      for _, stream in ipairs(streams) do -- none was cut off
        client:widen(0, #content)
        client:widen(stream, #content)
        local status, body = client:response(stream)
        assert.equal(200, status)
        assert.is_true(body == content)
        client.bodies[stream] = nil
      end
    end)
  end)
end)

describe("a client of HTTP/2 that sends a body", function()
  it("with a byte of data and 255 of padding in a frame gets the padding's window back", function()
    with(echo(), {}, function(port)
      local client <close> = http2.connect(port, { window = 1 << 20 })
      local stream = client:ask("POST", "/", nil, true)
      local may = { [0] = 65535, [stream] = 65535 } -- RFC 9113 section 6.9.2
      local function note(frame)
        if frame.type == http2.WINDOW_UPDATE then
          may[frame.stream] = may[frame.stream] + (">I4"):unpack(frame.payload)
        end
        return may[0] >= 257 and may[stream] >= 257
      end
      for _ = 1, 2000 do
        if may[0] < 257 or may[stream] < 257 then assert(client:read_until(note)) end
        client:write(padded(stream, "x", 255))
        may[0], may[stream] = may[0] - 257, may[stream] - 257
      end
      client:send(http2.DATA, http2.END_STREAM, stream)
      assert.same({ 200, ("x"):rep(2000) }, { client:response(stream) })
    end)
  end)

  it("of padding alone is told to calm down", function()
    with(echo(), {}, function(port)
      local client <close> = http2.connect(port)
      local stream = client:ask("POST", "/", nil, true)
      drip(client, function() return padded(stream, "", 10):rep(3000) end, function()
        assert.equal(http2.ENHANCE_YOUR_CALM, client:end_code())
      end)
    end)
  end)

  it("mostly of padding has to send its bytes at body_rate", function()
    with(echo(), { body_timeout = 0.2, body_rate = 5000 }, function(port)
      local client <close> = http2.connect(port)
      local stream = client:ask("POST", "/", nil, true)
      drip(client, function() return padded(stream, "x", 255) end, function() -- 200 bytes a second
        assert.equal(408, (client:response(stream)))
      end)
      assert(answers(client))
    end)
  end)

  it("that never pauses, and does not end, has body_total, and the connection goes on", function()
    with(echo(), { body_total = 0.3, body_timeout = 60, body_rate = 0 }, function(port)
      local client <close> = http2.connect(port)
      local stream = client:ask("POST", "/", nil, true)
      drip(client, function() return http2.frame(http2.DATA, 0, stream, "x") end, function()
        assert.equal(408, (client:response(stream)))
      end)
      assert(answers(client))
    end)
  end)
end)

describe("a client of HTTP/2 that sends a head", function()
  it("in continuations of nothing is cut off, and no other", function()
    with(echo(), {}, function(port)
      local client <close> = http2.connect(port)
      local other <close> = http2.connect(port, { window = 1 << 20 })
      other:widen(0, 1 << 20)
      client:send(http2.HEADERS, 0, 1, http2.fields(http2.request("GET", "/")))
      drip(client, function() return http2.frame(http2.CONTINUATION, 0, 1):rep(3000) end, function()
        client:end_code()
      end)
      assert.equal(200, (other:response(other:ask("GET", "/"))))
    end)
  end)

  it("byte by byte has header_timeout for all of it", function()
    with(echo(), { header_timeout = 0.3, keep_alive = 3600 }, function(port)
      local client <close> = http2.connect(port)
      client:send(http2.HEADERS, 0, 1, http2.fields(http2.request("GET", "/")))
      local more = http2.frame(http2.CONTINUATION, 0, 1, http2.fields { { "x", "1" } })
      drip(client, function() return more end, function() client:end_code() end)
    end)
  end)
end)
