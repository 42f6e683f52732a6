-- Chunked bodies (RFC 9112 section 7.1), as the server and the client read them: both accept only what is
-- well formed, however it is split.
require "spec.support"
local framing = require "framing"

local REQUEST = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
local RESPONSE = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
local PIECES = { 100000, 1, 2, 3, 7, -1, -2 }

-- Both read `body` from these chunks.
local function taken(body, chunks)
  for _, piece in ipairs(PIECES) do
    assert.equal(body .. "|", framing.requests(REQUEST .. chunks, piece), chunks)
    assert.equal(body, framing.response(RESPONSE .. chunks, piece), chunks)
  end
end

-- Both refuse them, even if the connection ended behind them.
local function refused(chunks, server_says, client_says)
  for _, piece in ipairs(PIECES) do
    assert.equal("400 " .. (server_says or "malformed chunk"), framing.requests(REQUEST .. chunks, piece), chunks)
    local body, why = framing.response(RESPONSE .. chunks, piece)
    assert.is_nil(body, chunks)
    assert.equal(client_says or "malformed chunk in the response", why, chunks)
  end
end

describe("chunk extensions are accepted if they are well formed, and ignored:", function()
  for _, line in ipairs {
    "5", "05", "000005", "5;a", "5;a=b", "5;a=b;c=d", "5;a;c", '5;a="b"', '5;a="b";c="d"', '5 ;a = "\\""',
    "5\t;a", "5 \t ; a", "5;a ;b", "5;a=b ;c", "5;a= b", "5;a =b", '5;a=""', '5;a="\\\\"', '5;a=" ;\t,"',
    "5;!#$%&'*+-.^_`|~09azAZ=~", '5;a="\xc3\xa9"', '5;a="\\\xff"',
  } do
    it(line, function()
      taken("hello", line .. "\r\nhello\r\n0\r\n\r\n")
      taken("", "0" .. line:sub(line:find ";" or #line + 1) .. "\r\n\r\n")
    end)
  end
end)

describe("a chunk's line is malformed:", function()
  for _, line in ipairs {
    "", ";a", " 5", "5 ", "5\t", "5;", "5; ", "5;;a", "5;a;", "5;=b", "5; =b", "5;a=", "5;a= ", "5;a=;b", "5;a==b",
    "5;a b", "5;a=b c", "5;a=b=c", "5;a ", "5;a=b ", '5;a="b" ', '5;a="b', '5;a="b\\', '5;a="b"c', '5;a"b"', '5;"a"',
    "5;a[=x", "5;a=(", "5,a", "5 a", "0x5", "+5", "-5", "5_0", "g", "5h", "5;a\1", '5;a="\1"',
    '5;a="\\\1"', '5;a="\127"', "5;\xc3\xa9", "5\r", "5;a\r", "5;a\rb", '5;a="\r"', '5;a="\n"',
    "8000000000000000", "ffffffffffffffff5",
  } do
    it(("%q"):format(line), function() refused(line .. "\r\nhello\r\n0\r\n\r\n") end)
  end
end)

describe("chunks are refused with", function()
  it("a bare LF in place of a CRLF", function()
    refused("5\nhello\r\n0\r\n\r\n")
    refused("5;a\nhello\r\n0\r\n\r\n")
    refused("5\r\nhello\n0\r\n\r\n")
    refused("5\r\nhello\r\n0\n\r\n")
    refused("5\r\nhello\r\n0\r\n\n")
    refused("5\r\nhello\r\n0\r\nA: b\n\r\n")
  end)
  it("more data than they say, or less", function()
    refused("5\r\nhello!\r\n0\r\n\r\n")
    refused("5\r\nhell\r\n0\r\n\r\n")
    refused("5\r\nhello0\r\n\r\n")
  end)
  it("trailers that are not header lines", function()
    for _, trailer in ipairs { " A: b", "A", "A : b", ": b", "A: b\1", "A: b\r\n c", "A: b\rc" } do
      refused("5\r\nhello\r\n0\r\n" .. trailer .. "\r\n\r\n")
    end
  end)
  it("a Transfer-Encoding among the trailers", function()
    refused("0\r\nTransfer-Encoding: chunked\r\n\r\n")
    refused("0\r\nA: b\r\ntransfer-ENCODING:\r\n\r\n")
    taken("", "0\r\nXTransfer-Encoding: a\r\nTransfer-Encodings: b\r\nTransfer_Encoding: c\r\n\r\n")
  end)
  it("a line that does not end", function()
    local long = "a chunk's extensions are too long"
    refused("5;a=" .. ("b"):rep(16384), "too much chunk framing", long)
    refused(("0"):rep(16385), "too much chunk framing", long)
  end)
end)

describe("the framing of chunks", function()
  it("is no more than some kilobytes and eight times what it carries", function()
    local little = ("00000000001;a=b\r\nx\r\n"):rep(2000)
    assert.equal("400 too much chunk framing", framing.requests(REQUEST .. little, 100))
    assert.equal("400 too much chunk framing", framing.requests(REQUEST .. "0\r\n" .. ("a:\r\n"):rep(5000), 100))
    taken(("x"):rep(2000), ("1;a=b\r\nx\r\n"):rep(2000) .. "0\r\n\r\n")
    taken(("x"):rep(4096), "1000;" .. ("a"):rep(10000) .. "\r\n" .. ("x"):rep(4096) .. "\r\n0\r\n\r\n")
  end)
  it("may have trailers, which are discarded", function()
    taken("hello", "5\r\nhello\r\n000;a\r\nA:\r\nContent-Length: 7\r\nB: c\td\xff\r\n\r\n")
  end)
  it("ends where it says: what follows is another request", function()
    local second = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"
    for _, piece in ipairs(PIECES) do
      assert.equal("hello|hi|", framing.requests(REQUEST .. "5;a\r\nhello\r\n0\r\nA: b\r\n\r\n" .. second, piece))
    end
  end)
end)
