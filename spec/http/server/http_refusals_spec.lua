-- The reason for a refusal does not depend on how the bytes are split: the first byte that makes the
-- request invalid decides. The parser is fed directly, since on the wire the split is not known.
local cases_of = require "spec.support.cases"
require "spec.support"
local framing = require "framing"

-- All ways of reading give what `bytes` gives in one piece.
local function same_in_pieces(bytes, small)
  local whole = framing.requests(bytes, math.max(#bytes, 1), small)
  for _, piece in ipairs { 1, 2, 3, 5, 17, -1, -2, -3 } do
    assert.equal(whole, framing.requests(bytes, piece, small), bytes:sub(1, 300))
  end
  return whole
end

local function head(lines, line) return (line or "GET / HTTP/1.1") .. "\r\nHost: a\r\n" .. lines .. "\r\n" end

describe("a refusal is the same however the request is split:", function()
  for bytes, status in pairs {
    ["ABC / HTTP/1.0\r\n\r\n"] = "501", -- was a 400 byte by byte: "AB" begins no method
    ["GETS / HTTP/1.1\r\n"] = "501",
    ["get / HTTP/1.1\r\n"] = "501",
    ["A(C / HTTP/1.0\r\n\r\n"] = "400",
    [("A"):rep(40) .. " / HTTP/1.1\r\n"] = "400",
    [("A"):rep(31) .. " / HTTP/1.1\r\n"] = "501",
    ["GET\r\n / HTTP/1.1\r\n"] = "400",
    ["GET / HTTP/1.2\r\nHost: a\r\n\r\n"] = "|",
    ["GET / HTTP/5.6"] = "505",
    ["GET / HTTP/12.1\r\n"] = "400",
    ["GET / HTTP/1.10\r\n"] = "400",
    ["GET / HTTP/2.0\r\n\r\n"] = "505",
    ["GET / FTP/1.1\r\n"] = "400",
    ["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] = "400",
    [head("X: y\r\n z\r\n")] = "400",
    [head("Content-Length: 1\r\n 2\r\n")] = "400",
    ["GET / HTTP/1.1\r\n Host: a\r\n\r\n"] = "400",
    [head("Expect: tea\r\n\n")] = "417",
    [head("Expect: tea\r\n")] = "417",
    ["GET / HTTP/1.1\r\n\n"] = "400",
    ["GET / HTTP/1.1\n\n"] = "400",
    [head("Transfer-Encoding: gzip, chunked\r\n")] = "501",
    [head("Transfer-Encoding: chunked, gzip\r\n")] = "400",
    [head("Content-Length: 5 5\r\n")] = "400",
    [head("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n") .. "0\r\n\r\n"] = "400",
    [head("Connection: close\r\n") .. "GET"] = "|400",
    [head("Content-Length: 5000\r\n", "PUT / HTTP/1.1") .. ("x"):rep(5000)] = ("x"):rep(5000) .. "|",
    [head("Transfer-Encoding: chunked\r\n") .. "5\r\nhello\r\nz"] = "400",
    [head("Transfer-Encoding: chunked\r\n") .. "5;" .. ("a"):rep(20000) .. "\r\n\1"] = "400",
    -- A limit and, behind it, something malformed, or another limit.
    ["GET /" .. ("a"):rep(9000) .. "\1 HTTP/1.1\r\n\r\n"] = "414",
    ["GET /\1" .. ("a"):rep(9000) .. " HTTP/1.1\r\n\r\n"] = "400",
    ["GET" .. (" "):rep(9000) .. "/\1"] = "414",
    ["GET /" .. ("a"):rep(9000) .. " HTTP/1.1\r\nHost: a\r\nX: " .. ("y"):rep(40000) .. "\r\n\r\n"] = "414",
    [head("X: " .. ("y"):rep(40000) .. "\r\nZ\1: \r\n")] = "431",
    [head(("X: y\r\n"):rep(200))] = "431",
    [head(("X: y\r\n"):rep(200) .. "Z\1: \r\n")] = "400",
    [head(("X: y\r\n"):rep(9000))] = "431",
  } do
    it(("%q"):format(#bytes < 100 and bytes or bytes:sub(1, 60) .. "..."), function()
      local outcome = same_in_pieces(bytes)
      assert.equal(status, outcome:sub(1, #status))
    end)
  end

  local function check_all(cases)
    for _, case in ipairs(cases) do
      local sent = {}
      for i, step in ipairs(case.steps or {}) do
        for k, piece in ipairs(step.send) do step.send[k] = cases_of.bytes_of(piece.data) end
        sent[i] = table.concat(step.send)
      end
      if case.send then sent = { cases_of.bytes_of(case.send), cases_of.with_hosts(cases_of.bytes_of(case.send)) } end
      for _, bytes in ipairs(sent) do
        same_in_pieces(bytes)
        same_in_pieces(bytes, true)
      end
    end
  end

  for _, file in ipairs { "http11probe/cases.jsonl", "llhttp-md/request.jsonl", "desync-guardian/cases.jsonl" } do
    local cases = cases_of.read(file)
    if #cases > 0 then it("every case of " .. file, function() check_all(cases) end) end
  end
end)
