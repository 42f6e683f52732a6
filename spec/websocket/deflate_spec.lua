-- permessage-deflate (RFC 7692), against a raw server.
local ml = require "moonloop"
local peers = require "spec.support.ws_peer"
local websocket = require "moonloop.websocket.core"

local NONE = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
local function answer(text) return ("Sec-WebSocket-Extensions: %s\r\n"):format(text) end

--- What a client that wants this sends for a message.
local function packed(opts, extension, ...)
  local messages, got = { ... }, {}
  peers.pair({ compress = opts }, function(ws, peer)
    for i, message in ipairs(messages) do
      assert(ws:send(message))
      got[i] = table.pack(peer:frame())
    end
  end, answer(extension))
  return table.unpack(got)
end

describe("permessage-deflate", function()
  it("reads the examples of RFC 7692", function()
    peers.pair({ compress = { takeover = true } }, function(ws, peer)
      peer:send(0xC1, "\xF2\x48\xCD\xC9\xC9\x07\x00")
      assert.same({ "Hello", "text" }, { ws:receive() })
      peer:send(0x41, "\xF2\x00")
      peer:send(0x80, "\x11\x00\x00")
      assert.same({ "Hello", "text" }, { ws:receive() })
      peer:send(0xC2, "\x00\x05\x00\xFA\xFFHello\x00") -- a stored block
      assert.same({ "Hello", "binary" }, { ws:receive() })
      peer:send(0xC1, "\xF3\x48\xCD\xC9\xC9\x07\x00\x00") -- a block that says that it is the last
      assert.equal("Hello", (ws:receive()))
      peer:send(0xC1, "\xF2\x48\x05\x00\x00\x00\xFF\xFF\xCA\xC9\xC9\x07\x00") -- two blocks
      assert.equal("Hello", (ws:receive()))
      peer:send(0xC1, "\x00")
      assert.equal("", (ws:receive()))
      peer:send(0x81, "as it is")
      assert.equal("as it is", (ws:receive()))
    end, answer "permessage-deflate; server_max_window_bits=12")
  end)

  it("makes messages smaller from `min` bytes on, and leaves alone what does not get smaller", function()
    local text = ("moonloop "):rep(100)
    local small, large, short = packed({ min = 300 }, NONE, ("x"):rep(299), text, "x")
    assert.same({ 0x81, 299 }, { small[1], #small[2] })
    assert.equal(0xC1, large[1])
    assert.is_true(#large[2] < #text / 10)
    assert.equal(0x81, short[1])
    local bytes = {}
    for i = 1, 1000 do bytes[i] = string.char(32 + (i * i * 7919 + i * 104729 >> 5) % 95) end
    local noise = packed({ min = 0 }, NONE, table.concat(bytes))
    assert.is_true(#noise[2] <= 1000)
  end)

  it("without takeover makes the same of the same message each time; with it, less", function()
    local text = ""
    for i = 1, 60 do text = text .. ("%d:%d,"):format(i, i * i * 7919) end
    local first, second = packed(true, NONE, text, text)
    assert.same(first, second)
    first, second = packed({ takeover = true }, "permessage-deflate; server_max_window_bits=12", text, text)
    assert.is_true(#second[2] < #first[2] / 4)
  end)

  it("reads back what it has written, in both modes", function()
    local messages = { "", "a", ("abc"):rep(1000), ("0123456789"):rep(30000), ("ü"):rep(500) }
    for mode, extension in pairs { [false] = NONE, [true] = "permessage-deflate; server_max_window_bits=15" } do
      peers.pair({ compress = { takeover = mode, min = 0, window = 15 } }, function(ws, peer)
        for _ = 1, 3 do
          for _, message in ipairs(messages) do
            assert(ws:send(message))
            peer:send(peer:frame())
            assert.equal(message, (ws:receive()))
          end
        end
      end, answer(extension))
    end
  end)

  it("counts what a message holds: 1009", function()
    local bomb = packed(true, NONE, ("x"):rep(3000000))[2]
    assert.is_true(#bomb < 20000)
    for size, code in pairs { [2999999] = 1009, [3000000] = false } do
      peers.pair({ compress = true, max_message = size }, function(ws, peer)
        peer:send(0xC1, bomb)
        local message, err = ws:receive()
        if not code then
          assert.equal(3000000, #message)
          return
        end
        assert.same({ nil, 1009 }, { message, err.code })
        assert.equal(1009, (peer:closed()))
      end, answer(NONE))
    end
  end)

  it("refuses what is not compressed data: 1007", function()
    for _, payload in ipairs { "\xFF\xFF\xFF", "\xF2\x48\xCD", "\x00\x05\x00\xFA\xFFHel" } do
      peers.pair({ compress = true }, function(ws, peer)
        peer:send(0xC1, payload)
        local message, err = ws:receive()
        assert.same({ nil, 1007 }, { message, err.code })
        assert.equal(1007, (peer:closed()))
      end, answer(NONE))
    end
  end)

  it("reads messages that refer to each other after the end, and keeps nothing (ASan)", function()
    peers.pair({ compress = { takeover = true } }, function(ws, peer)
      peer:send(0xC1, "\xF2\x48\xCD\xC9\xC9\x07\x00") -- RFC 7692 section 7.2.3.2
      peer:send(0xC1, "\xF2\x00\x11\x00\x00")
      peer.conn:close()
      repeat ml.sleep(0.001) until tostring(ws):find "closed"
      local first, second = ws:receive(), ws:receive()
      assert.same({ "Hello", "Hello" }, { first, second })
      assert.equal(1006, select(2, ws:receive()).code)
    end, answer "permessage-deflate; server_max_window_bits=12")
  end)

  it("reads on after a block that is marked as the last one, but not after thousands", function()
    local last = "\x03\x00" -- an empty block
    for blocks, code in pairs { [3] = false, [200000] = 1007 } do
      peers.pair({ compress = true }, function(ws, peer)
        peer:send(0xC2, "\x00\x03\x00\xFC\xFFabc" .. last:rep(blocks) .. "\x00")
        local message, err = ws:receive()
        assert.same(code or "abc", code and err.code or message)
      end, answer(NONE))
    end
  end)

  it("refuses a text that is not UTF-8 after decompression, and a mark where nothing was agreed on", function()
    peers.pair({ compress = true }, function(ws, peer)
      peer:send(0xC1, "\x00\x02\x00\xFD\xFF\xC0\x80\x00")
      assert.equal(1007, select(2, ws:receive()).code)
    end, answer(NONE))
    peers.pair({ compress = true }, function(ws, peer)
      peer:send(0xC1, "\xF2\x48\xCD\xC9\xC9\x07\x00")
      assert.equal(1002, select(2, ws:receive()).code)
    end)
  end)

  it("offers what was asked for", function()
    peers.pair({ compress = true }, function(_, _, head)
      assert.matches("\r\nSec%-WebSocket%-Extensions: permessage%-deflate; client_max_window_bits; " ..
        "server_no_context_takeover; client_no_context_takeover\r\n", head)
    end)
    peers.pair({}, function(_, _, head) assert.is_nil(head:find "Extensions") end)
  end)
end)

describe("the server's answer to an offer of compression", function()
  local wish = { window = 12, takeover = false, min = 256 }
  local keeps = { window = 12, takeover = true, min = 256 }

  it("is that of the first one that can be met", function()
    for _, case in ipairs {
      { "permessage-deflate", wish, NONE },
      { "permessage-deflate", keeps, "permessage-deflate" },
      { "permessage-deflate; client_max_window_bits", wish, NONE },
      { "permessage-deflate; client_max_window_bits", keeps, "permessage-deflate; client_max_window_bits=12" },
      { "permessage-deflate; client_max_window_bits=10", keeps, "permessage-deflate; client_max_window_bits=10" },
      { "permessage-deflate; server_max_window_bits=10", wish, NONE .. "; server_max_window_bits=10" },
      { 'permessage-deflate; server_max_window_bits="10"', wish, NONE .. "; server_max_window_bits=10" },
      { "permessage-deflate; server_max_window_bits=8, permessage-deflate", wish, NONE },
      { "x-other; a=\"1,2\" , , permessage-deflate", wish, NONE },
      { "permessage-deflate; server_no_context_takeover", keeps, "permessage-deflate; server_no_context_takeover" },
    } do
      local offer, wanted, expected = table.unpack(case)
      assert.equal(expected, (websocket.accept_deflate(offer, wanted)), offer)
    end
  end)

  it("is none to offers that are not valid", function()
    for _, offer in ipairs { "", ",", "x-webkit-deflate-frame", "permessage-deflate; unknown",
      "permessage-deflate; server_max_window_bits", "permessage-deflate; server_max_window_bits=16",
      "permessage-deflate; server_max_window_bits=08", "permessage-deflate; server_no_context_takeover=1",
      "permessage-deflate; client_max_window_bits; client_max_window_bits", "permessage-deflate x",
      "permessage-deflate;", "permessage-deflate; server_max_window_bits=8" } do
      assert.is_nil((websocket.accept_deflate(offer, wish)), offer)
    end
  end)
end)
