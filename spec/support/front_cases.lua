--- Requests whose frame, lines or host two servers may understand differently, so that what is data to one is a
-- request to the other. Each has
--
--   name, bytes
--   directly    the statuses that moonloop answers with, in order
--   means       what a server may understand, in order: "METHOD host path body" of each request. Behind a proxy, the
--               app sees these or the first of them, and nothing else
--   means_by_proxy  what the app may see instead, since a proxy has decided so
--   is_right    it is allowed: proxies have to pass all of it on
--
-- A body that says "GET /hidden" is the request that must not be seen.

local M = {}

local HIDDEN = "GET /hidden HTTP/1.1\r\nHost: here\r\n\r\n"

local function head(lines, body) return "POST /case HTTP/1.1\r\nHost: here\r\n" .. lines .. "\r\n" .. (body or "") end

local function chunked(body) return ("%x\r\n%s\r\n0\r\n\r\n"):format(#body, body) end

local function length(n) return ("Content-Length: %s\r\n"):format(n) end

local CHUNKED = "Transfer-Encoding: chunked\r\n"
local HELLO = { "POST here /case hello" }
local DATA = { "POST here /case " .. HIDDEN }
local EMPTY = { "POST here /case " }
local REFUSED = { 400 }

local function add(name, bytes, directly, means, is_right, means_by_proxy)
  M[#M + 1] = { name = name, bytes = bytes, directly = directly, means = means or {}, is_right = is_right,
    means_by_proxy = means_by_proxy or means or {} }
end

-- What is right, and must reach the app as it is.
add("a request in a body", head(length(#HIDDEN), HIDDEN), { 200 }, DATA, true)
add("a request in a chunk", head(CHUNKED, chunked(HIDDEN)), { 200 }, DATA, true)
add("a request in the body of a GET", "GET /case HTTP/1.1\r\nHost: here\r\n" .. length(#HIDDEN) .. "\r\n" .. HIDDEN,
  { 200 }, { "GET here /case " .. HIDDEN }, true)
add("two requests at once", head(length(5), "hello") .. head(length(5), "hello"), { 200, 200 },
  { HELLO[1], HELLO[1] }, true)
add("Connection that names Content-Length", head("Connection: content-length\r\n" .. length(#HIDDEN), HIDDEN), { 200 },
  DATA, true)
add("Transfer-Encoding in capitals", head("TRANSFER-ENCODING: CHUNKED\r\n", chunked(HIDDEN)), { 200 }, DATA, true)

-- Lengths.
add("a length and chunks", head(length(5) .. CHUNKED, "0\r\n\r\n" .. HIDDEN), REFUSED, EMPTY)
add("chunks and a length", head(CHUNKED .. length(#HIDDEN + 5), "0\r\n\r\n" .. HIDDEN), REFUSED, EMPTY)
add("two lengths that differ", head(length(0) .. length(#HIDDEN), HIDDEN), REFUSED)
add("two lengths that are the same", head(length(5) .. length(5), "hello"), REFUSED, HELLO)
add("a list of lengths", head(length "5, 5", "hello"), REFUSED, HELLO)
add("a length with a sign", head(length "+5", "hello"), REFUSED)
add("a length below nothing", head(length "-1", HIDDEN), REFUSED)
add("a length in hexadecimal", head(length "0x5", "hello"), REFUSED)
-- HAProxy 2.6 takes it modulo 2^64, and passes the head on as it is. To it, the client has asked for /hidden.
add("a length beyond 64 bits", head(length "18446744073709551616", HIDDEN), REFUSED, nil, false,
  { "GET here /hidden " })
add("a length that is empty", head(length "", HIDDEN), REFUSED)
add("a blank before the colon of a length", head("Content-Length : 5\r\n", "hello"), REFUSED)

-- Codings.
add("a coding that is not chunked at its end", head("Transfer-Encoding: chunked, identity\r\n", chunked(HIDDEN)),
  REFUSED)
add("a coding that nobody knows", head("Transfer-Encoding: xchunked\r\n", chunked(HIDDEN)), REFUSED)
add("chunked twice", head(CHUNKED .. CHUNKED, chunked(HIDDEN)), REFUSED)
add("a vertical tab before chunked", head("Transfer-Encoding: \vchunked\r\n" .. length(5), chunked(HIDDEN)), REFUSED)
add("a blank before the colon of a coding", head("Transfer-Encoding : chunked\r\n" .. length(5), chunked(HIDDEN)),
  REFUSED)
-- HAProxy joins the lines, as RFC 9112 section 5.2 allows it; then chunks count, and not the length.
add("a coding on a line of its own", head("Transfer-Encoding:\r\n chunked\r\n" .. length(5), chunked(HIDDEN)), REFUSED,
  DATA)
add("chunks of HTTP/1.0", (head(CHUNKED, chunked(HIDDEN)):gsub("1%.1", "1.0", 1)), REFUSED)

-- Chunks.
add("a chunk's size with 0x", head(CHUNKED, "0x5\r\nhello\r\n0\r\n\r\n"), REFUSED)
add("a chunk's size beyond 64 bits", head(CHUNKED, "10000000000000005\r\nhello\r\n0\r\n\r\n"), REFUSED)
add("a chunk longer than it says", head(CHUNKED, "5\r\nhello " .. HIDDEN .. "\r\n0\r\n\r\n"), REFUSED)
add("a line feed alone in a chunk's extension", head(CHUNKED, "5;x\nhello\r\n0\r\n\r\n"), REFUSED, HELLO)
add("a length behind the chunks", head(CHUNKED, "5\r\nhello\r\n0\r\nContent-Length: 50\r\n\r\n"), { 200 }, HELLO)

-- Lines and hosts.
add("a carriage return alone in a value", head("X-A: b\rTransfer-Encoding: chunked\r\n" .. length(5), "hello"),
  REFUSED)
add("a NUL in a value", head("X-A: b\0c\r\n" .. length(5), "hello"), REFUSED)
add("a blank before the first header", "POST /case HTTP/1.1\r\n Host: here\r\nHost: there\r\n\r\n", REFUSED)
add("two hosts", head("Host: there\r\n" .. length(5), "hello"), REFUSED)
-- With `proxy_set_header Host $http_host`, nginx passes on the header that RFC 9112 tells it to ignore.
add("a target that names another host", "POST http://there/case HTTP/1.1\r\nHost: here\r\n" .. length(5) .. "\r\nhello",
  { 200 }, { "POST there /case hello" }, false, { "POST here /case hello" })

return M
