--- TLS of servers over a network that splits, cuts and resets.
local ml = require "moonloop"
local proxies = require "spec.support.proxy"
local served = require "spec.support.served"
local tls = require "spec.support.tls"
local web = require "moonloop.web"
local serving = require("spec.support.web").serving

describe("a server with TLS behind a bad network", function()
  if not tls.is_there() then return pending "openssl is not installed" end
  local made = tls.certificates { one = {} }
  teardown(function() made:close() end)

  local state

  local function app()
    local made_app = web.app { max_body = 64 << 20, tls = made.one }
    made_app:get("/", function() return "hello" end)
    made_app:get("/big", function() return ("0123456789"):rep(20000) end)
    made_app:post("/count", function(req)
      local _ <close> = setmetatable({}, { __close = function(_, err) state.ended, state.err = true, err end })
      state.begun = true
      local n = 0
      for chunk in req:chunks() do n = n + #chunk end
      state.whole = true
      return tostring(n)
    end)
    return made_app
  end

  before_each(function() state = {} end)

  local function with(f)
    serving(app(), function(port, server)
      local proxy <close> = proxies.start(port)
      f(proxy, server)
    end)
  end

  local function in_bytes(bytes)
    local pieces = {}
    for i = 1, math.min(#bytes, 3000) do pieces[i] = bytes:sub(i, i) end
    pieces[#pieces + 1] = bytes:sub(3001)
    return pieces
  end

  it("takes records in single bytes, in both ways", function()
    with(function(proxy)
      proxy.pass = in_bytes
      for _, version in ipairs { "-tls1_2", "-tls1_3" } do
        assert.matches("hello", tls.get(proxy.port, "/", version), 1, true)
        assert.equal(("0123456789"):rep(20000), tls.get(proxy.port, "/big", version, "-quiet"):match "\r\n\r\n(.*)$")
      end
    end)
  end)

  it("does not take a cut for the end of a body, and cancels the handler", function()
    for _, how in ipairs { true, "reset" } do
      state = {}
      with(function(proxy)
        local client = ml.spawn(tls.client, proxy.port,
          "POST /count HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        served.wait_until("the handler has not begun", function() return state.begun end)
        proxy:cut(how == "reset")
        served.wait_until("the handler has not ended", function() return state.ended end)
        assert.is_nil(state.whole)
        assert.is_not_nil(state.err)
        client:await()
      end)
    end
  end)

  it("goes on after handshakes and records that were cut anywhere", function()
    with(function(proxy, server)
      for at = 0, 700, 50 do
        local left = at
        function proxy.pass(bytes, upwards)
          if not upwards then return { bytes } end
          local piece = bytes:sub(1, left)
          left = left - #piece
          return { piece, cut = #piece < #bytes and (at % 100 == 0 and "reset" or true) or nil }
        end
        tls.get(proxy.port, "/")
      end
      function proxy.pass(bytes) return { bytes } end
      assert.matches("hello", tls.get(proxy.port, "/"), 1, true)
      served.wait_until("connections are left", function() return server.connections == 0 end)
    end)
  end)

  it("ends a connection in which a byte was changed, at any place", function()
    with(function(proxy, server)
      for at = 6, 406, 40 do -- up to the request
        local seen = 0
        function proxy.pass(bytes, upwards)
          local place = at - seen
          if upwards then seen = seen + #bytes end
          if not upwards or place < 1 or place > #bytes then return { bytes } end
          return { bytes:sub(1, place - 1), string.char(bytes:byte(place) ~ 0x55), bytes:sub(place + 1) }
        end
        local text = tls.get(proxy.port, "/")
        assert.is_true(seen < at or not text:find("\r\n\r\nhello", 1, true))
      end
      served.wait_until("connections are left", function() return server.connections == 0 end)
    end)
  end)
end)
