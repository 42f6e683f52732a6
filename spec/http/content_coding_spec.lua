-- The content codings: gzip, deflate, brotli, in pieces of any size.
require "spec.support"
local coding = require "coding"
local unhex = require "moonloop.core.unhex"

local TEXT = ("How it was read, and by whom, was never told. "):rep(200)
-- Written by other programs: gzip -9, zlib's compress, bare deflate, brotli.
local HELLO = {
  gzip = "1f8b08000000000002ffcb48cdc9c9070086a6103605000000",
  deflate = "789ccb48cdc9c90700062c0215",
  bare = "cb48cdc9c90700",
  br = "0f028068656c6c6f03",
}

--- The bytes of `text` as pieces of `n`.
local function pieces(text, n)
  local list = {}
  for at = 1, #text, n do list[#list + 1] = text:sub(at, at + n - 1) end
  return list
end

describe("content codings", function()
  for name, hex in pairs(HELLO) do
    it("decodes the output of another program: " .. name, function()
      local text, result = coding.decode(name == "bare" and "deflate" or name, nil, { unhex(hex) })
      assert.equal("done", result)
      assert.equal("hello", text)
    end)
  end

  for _, name in ipairs { "gzip", "br" } do
    it("decodes its own output, which is smaller, whatever the pieces: " .. name, function()
      for _, n in ipairs { 1, 7, 1000, #TEXT } do
        local coded, result = coding.encode(name, 0, pieces(TEXT, n))
        assert.equal("done", result)
        assert.is_true(#coded < #TEXT / 10)
        local text, how = coding.decode(name, nil, pieces(coded, n))
        assert.equal("done", how)
        assert.equal(TEXT, text)
      end
    end)

    it("decodes what cannot be made smaller: " .. name, function()
      local noise = {}
      for i = 1, 3000 do noise[i] = string.char(math.random(0, 255)) end
      noise = table.concat(noise)
      local coded = coding.encode(name, 9, { noise })
      assert.equal(noise, (coding.decode(name, nil, { coded })))
    end)

    it("codes a whole content at once, whatever its size: " .. name, function()
      for _, text in ipairs { "", "a", TEXT, TEXT:rep(500) } do -- 4.6 MB: more than a step of the library takes
        for level = 0, 9, 3 do
          local coded, result = coding.encode_whole(name, level, text)
          assert.equal("done", result)
          local plain, how = coding.decode(name, nil, { coded })
          assert.equal("done", how)
          assert.is_true(text == plain)
        end
      end
    end)

    it("codes nothing at all: " .. name, function()
      local coded, result = coding.encode(name, 1, {})
      assert.equal("done", result)
      local text, how = coding.decode(name, nil, { coded })
      assert.same({ "", "done" }, { text, how })
    end)

    it("outputs all of its input when it is flushed: " .. name, function()
      local flushed = coding.encode(name, 0, { "first ", "second" }, true)
      for cut = #flushed - 1, #flushed - 12, -1 do -- without its end
        local text = coding.decode(name, nil, { flushed:sub(1, cut) })
        if #text < 12 then
          assert.is_true(#flushed - cut > 1)
          return
        end
        assert.equal("first second", text)
      end
    end)

    it("treats a truncated stream as malformed: " .. name, function()
      local coded = coding.encode(name, 0, { TEXT })
      for _, n in ipairs { 1, 5, #coded // 2, #coded - 1 } do
        assert.equal("malformed", select(2, coding.decode(name, nil, { coded:sub(1, n) })))
      end
    end)

    it("treats bytes after the end as malformed: " .. name, function()
      local coded = coding.encode(name, 0, { TEXT })
      assert.equal("malformed", select(2, coding.decode(name, nil, { coded .. "more" })))
      assert.equal("malformed", select(2, coding.decode(name, nil, { coded, "more" })))
    end)

    it("leaves off a long content that nobody waits for any more: " .. name, function()
      local text = TEXT:rep(500)
      local coded, result = coding.encode_whole(name, 4, text, true)
      assert.equal("full", result)
      assert.is_true(#coded < 100)
      assert.equal("done", select(2, coding.encode_whole(name, 4, TEXT, true))) -- a short one is done sooner
    end)

    it("fails without memory, and the process continues: " .. name, function()
      local result = coding.encode_without_memory(name, 5, TEXT)
      if result then assert.equal("no memory", result) end -- a sanitizer's build cannot try it
      assert.equal("done", select(2, coding.encode_whole(name, 5, TEXT)))
    end)

    it("stops at the limit of the output: " .. name, function()
      local bomb = coding.encode(name, 9, { ("\0"):rep(1 << 20) })
      assert.is_true(#bomb < 2000)
      local text, result = coding.decode(name, 5000, { bomb })
      assert.equal("full", result)
      assert.equal(5000, #text)
    end)
  end

  for _, name in ipairs { "gzip", "deflate", "br" } do
    it("refuses what is not of the coding: " .. name, function()
      assert.equal("malformed", select(2, coding.decode(name, nil, { "\255\255 is it not, surely \255" })))
    end)

    it("treats no bytes as an empty content: " .. name, function()
      assert.same({ "", "done" }, { coding.decode(name, nil, {}) })
    end)
  end

  it("notices a wrong checksum", function()
    local coded = coding.encode("gzip", 0, { TEXT })
    local at = #coded - 5
    local changed = coded:sub(1, at - 1) .. string.char(coded:byte(at) ~ 1) .. coded:sub(at + 1)
    assert.equal("malformed", select(2, coding.decode("gzip", nil, { changed })))
  end)

  it("decodes the members of a gzip stream one after the other", function()
    local two = coding.encode("gzip", 0, { "one, " }) .. coding.encode("gzip", 0, { "two" })
    assert.same({ "one, two", "done" }, { coding.decode("gzip", nil, { two }) })
    assert.same({ "one, two", "done" }, { coding.decode("gzip", nil, pieces(two, 1)) })
    assert.equal("malformed", select(2, coding.decode("gzip", nil, { two:sub(1, -3) })))
  end)

  it("refuses what goes on without giving anything: empty members, empty blocks, a name", function()
    local head = unhex "1f8b0800000000000000"
    local empty = coding.encode("gzip", 0, { "" })
    for what, text in pairs {
      members = empty:rep((300 << 10) // #empty),
      blocks = head .. unhex("000000ffff"):rep(60 << 10),
      name = unhex "1f8b0808000000000000" .. ("x"):rep(300 << 10),
    } do
      assert.same({ "", "malformed" }, { coding.decode("gzip", nil, pieces(text, 1000)) }, what)
      assert.same({ "", "malformed" }, { coding.decode("gzip", nil, { text }) }, what)
    end
    local sparse = head .. (unhex("000000ffff"):rep(20 << 10) .. unhex "000100feff78"):rep(5)
    assert.same({ "xxxxx" }, { (coding.decode("gzip", nil, { sparse })) })
  end)

  it("knows the names in any case, and x-gzip", function()
    assert.equal("hello", (coding.decode("X-GZip", nil, { unhex(HELLO.gzip) })))
    assert.equal("hello", (coding.decode("BR", nil, { unhex(HELLO.br) })))
    assert.has_error(function() coding.decode("compress", nil, {}) end)
  end)
end)
