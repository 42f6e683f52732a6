-- Ranges of files.
local web = require "moonloop.web"
local folders = require "spec.support.folder"
local support = require "spec.support.web"
require "spec.support"

local get = support.get

local TIME, DATE = 784111777, "Sun, 06 Nov 1994 08:49:37 GMT"

--- A text whose every place can be told from its neighbours.
local function text_of(size)
  local parts = {}
  for i = 1, size // 8 + 1 do parts[i] = ("%07d,"):format(i) end
  return table.concat(parts):sub(1, size)
end

--- Serves files of 10,000 and of 200,000 bytes while `f(port, text, path)` runs for each.
local function serving(f)
  local folder <close> = folders.new {}
  local app = web.app()
  local texts = { ["/small"] = text_of(10000), ["/large"] = text_of(200000) }
  for path, text in pairs(texts) do
    folders.write(folder.path .. path, text, TIME)
    app:get(path, function() return web.file(folder.path .. path, { type = "text/plain" }) end)
  end
  support.serving(app, function(port)
    for path, text in pairs(texts) do
      f(function(range, headers) return get(port, path, "Range: " .. range .. "\r\n" .. (headers or "")) end,
        text, port, path)
    end
  end)
end

--- The parts of a multipart/byteranges body: {range, content}.
local function parts_of(res)
  local boundary = res.headers["content-type"]:match("^multipart/byteranges; boundary=([%x]+)$")
  assert.truthy(boundary)
  local rest = "\r\n" .. res.body
  local list = {}
  while true do
    local range, at = rest:match("^\r\n%-%-" .. boundary ..
      "\r\nContent%-Type: text/plain\r\nContent%-Range: bytes (%S+)\r\n\r\n()")
    if not range then break end
    local stop = rest:find("\r\n--" .. boundary, at, true)
    list[#list + 1] = { range, rest:sub(at, stop - 1) }
    rest = rest:sub(stop)
  end
  assert.equal("\r\n--" .. boundary .. "--\r\n", rest)
  return list
end

describe("a range of a file", function()
  it("is sent with its place and the size of the whole", function()
    serving(function(range, text)
      local size = #text
      for asked, place in pairs {
        ["bytes=0-0"] = { 0, 0 }, ["bytes=0-99"] = { 0, 99 }, ["bytes=500-"] = { 500, size - 1 },
        ["bytes=-7"] = { size - 7, size - 1 }, ["bytes=-99999999"] = { 0, size - 1 },
        ["bytes=9000-99999999999999999999999"] = { 9000, size - 1 }, ["BYTES=5-6"] = { 5, 6 },
        ["bytes= 5-6 , "] = { 5, 6 }, ["bytes=,5-6"] = { 5, 6 },
      } do
        local res = range(asked)
        assert.equal(206, res.status)
        assert.equal(("bytes %d-%d/%d"):format(place[1], place[2], size), res.headers["content-range"])
        assert.equal("text/plain", res.headers["content-type"])
        assert.is_true(res.body == text:sub(place[1] + 1, place[2] + 1))
      end
    end)
  end)

  it("that is beyond the end is 416, with the size", function()
    serving(function(range, text)
      for _, asked in ipairs { "bytes=" .. #text .. "-", "bytes=99999999-99999999", "bytes=-0",
        "bytes=-0,999999-", "bytes=99999999999999999999999-" } do
        local res = range(asked)
        assert.equal(416, res.status)
        assert.equal("bytes */" .. #text, res.headers["content-range"])
        assert.equal('{"detail":"Range Not Satisfiable"}', res.body)
      end
    end)
  end)

  it("that is malformed or of another unit is ignored", function()
    serving(function(range, text)
      for _, asked in ipairs { "bytes=", "bytes", "bytes=,", "bytes=-", "bytes=9-5", "bytes=a-b", "bytes=1-2-3",
        "bytes=1-2;3-4", "bytes=+1-2", "bytes=1 -2", "bytes=0x1-2", "bytes=1--2", "bytes:1-2", "lines=1-2",
        "bytes=1-2,x", "bytes=1-2 3-4", "bytes =1-2" } do
        local res = range(asked)
        assert.equal(200, res.status, asked)
        assert.is_nil(res.headers["content-range"])
        assert.equal(#text, #res.body)
      end
    end)
  end)

  it("is for GET only", function()
    serving(function(_, text, port, path)
      local res = support.ask(port, support.request("HEAD", path, "Range: bytes=0-1\r\n"), true)
      assert.equal(200, res.status)
      assert.equal(tostring(#text), res.headers["content-length"])
    end)
  end)

  it("comes after the conditions", function()
    serving(function(range)
      assert.equal(304, range("bytes=0-1", "If-None-Match: *\r\n").status)
      assert.equal(412, range("bytes=0-1", 'If-Match: "a"\r\n').status)
    end)
  end)
end)

describe("several ranges", function()
  it("are sent as parts, in the order asked for", function()
    serving(function(range, text)
      local size = #text
      local res = range("bytes=5000-5009,0-9,-10")
      assert.equal(206, res.status)
      assert.is_nil(res.headers["content-range"])
      assert.same({
        { "5000-5009/" .. size, text:sub(5001, 5010) },
        { "0-9/" .. size, text:sub(1, 10) },
        { ("%d-%d/%d"):format(size - 10, size - 1, size), text:sub(-10) },
      }, parts_of(res))
    end)
  end)

  it("that overlap or nearly touch are sent as one, so that no byte comes twice", function()
    serving(function(range, text)
      for _, asked in ipairs { "bytes=0-9,5-20", "bytes=5-20,0-9", "bytes=0-9,10-20", "bytes=15-20,0-9",
        "bytes=0-0,20-20,5-15", "bytes=0-20,0-20,0-20,3-4" } do
        local res = range(asked)
        assert.equal("bytes 0-20/" .. #text, res.headers["content-range"])
        assert.equal(text:sub(1, 21), res.body)
      end
      local many = {}
      for i = 1, 16 do many[i] = "0-" end
      assert.equal(#text, #range("bytes=" .. table.concat(many, ",")).body)
    end)
  end)

  it("are one if only one can be sent", function()
    serving(function(range, text)
      local res = range("bytes=999999-,3-5")
      assert.same({ 206, "bytes 3-5/" .. #text, text:sub(4, 6) },
        { res.status, res.headers["content-range"], res.body })
    end)
  end)

  it("beyond sixteen are ignored", function()
    serving(function(range, text)
      local many = {}
      for i = 1, 17 do many[i] = ("%d-%d"):format(i * 500, i * 500) end
      assert.equal(#text, #range("bytes=" .. table.concat(many, ",")).body)
      many[17] = nil
      assert.equal(16, #parts_of(range("bytes=" .. table.concat(many, ","))))
    end)
  end)
end)

describe("If-Range", function()
  it("with the strong entity tag, or the exact date, lets the range be sent", function()
    serving(function(range, _, port, path)
      local etag = get(port, path).headers.etag
      assert.equal(206, range("bytes=0-1", "If-Range: " .. etag .. "\r\n").status)
      assert.equal(206, range("bytes=0-1", "If-Range: " .. DATE .. "\r\n").status)
    end)
  end)

  it("with anything else gets the whole", function()
    serving(function(range, _, port, path)
      local etag = get(port, path).headers.etag
      for _, value in ipairs { "W/" .. etag, '"a"', "*", etag .. ", " .. etag, "Sun, 06 Nov 1994 08:49:38 GMT",
        "Sun, 06 Nov 1994 08:49:36 GMT", "soon", "" } do
        assert.equal(200, range("bytes=0-1", "If-Range: " .. value .. "\r\n").status, value)
        assert.equal(200, range("bytes=9999999-", "If-Range: " .. value .. "\r\n").status, value)
      end
    end)
  end)
end)
