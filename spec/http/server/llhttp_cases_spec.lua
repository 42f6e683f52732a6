-- llhttp's own request cases against the server: what its log says is what happens, where it is the
-- log of a strict parser. The lenient modes are refused.
local json = require "moonloop.json"
local ml = require "moonloop"
local web = require "moonloop.web"
local rawtcp = require("spec.support").rawtcp
local cases_of = require "spec.support.cases"
local support = require "spec.support.web"

-- Cases that a server has to see in another way than a parser.
local WHY = {
  ["connection:158"] = "its bytes are two cases with the log of the first between them",
  ["connection:296"] = "the same with three",
  ["content-length:319"] = "Debian 12's llhttp 8.1 takes no tab after the digits: 400",
  ["content-length:446"] = "a parser may be told to skip a body; a server that did would read it as a request",
  ["method:374"] = "ICE is not HTTP: 400",
  ["method:404"] = "RTSP is not HTTP: 400",
  ["method:432"] = "the same",
  ["method:484"] = "QUERY is younger than the parser that Debian 12 has: 501",
  ["sample:316"] = "HTTP/0.9 has no framing: 505",
  ["transfer-encoding:753"] = "a fragment in the target (RFC 9112 section 3.2), and no deflate: 400",
  ["transfer-encoding:795"] = "the same, and two Transfer-Encoding lines",
  ["uri:167"] = "a fragment in the target: RFC 9112 section 3.2 has no such form",
  ["uri:224"] = "userinfo in the target is an error (RFC 9110 section 4.2.4)",
}

local UPGRADE = 22 -- the error code where the parser leaves the rest to another protocol
local PATIENCE = 0.3 -- seconds until an answer that has not come is taken for none

-- Answers with what it got of each request.
local function mirror_app()
  local function mirror(req)
    return { method = req.method, path = req.path, body = req.body, headers = req.headers }
  end
  return web.app():any("/", mirror):any("/{rest:path}", mirror)
end

-- All that comes until the server closes, or waits.
local function exchange(port, text)
  local conn <close> = assert(rawtcp.connect(port))
  conn:send(text)
  local all, why, rest = conn:receive("*a", PATIENCE)
  return { answers = cases_of.answers(all or rest or ""), closed = why ~= "timeout" }
end

-- The complete messages of a log: method, body, and header lines as { name, value }.
local function messages_of(log)
  local messages, message, last = {}, nil, nil
  for line in log:gmatch "[^\n]+" do
    local name, text = line:match 'span%[([%w_]+)%]=(".*")$'
    if line:find "message begin" then
      message = { body = "", lines = {} }
    elseif line:find "message complete" then
      messages[#messages + 1] = message
    elseif line:find "headers complete" then
      message.lines_end = #message.lines
    elseif name then
      text = json.decode(text) or ""
      local line_of = message.lines[#message.lines]
      if name == "body" then
        message.body = message.body .. text
      elseif name == "header_field" then
        if last ~= name then message.lines[#message.lines + 1] = { "", "" } end
        line_of = message.lines[#message.lines]
        line_of[1] = line_of[1] .. text
      elseif name == "header_value" then
        line_of[2] = line_of[2] .. text
      elseif name == "method" then
        message.method = text
      end
    end
    if name or line:find "complete" then last = name end
  end
  return messages
end

-- The answer shows the request as the parser saw it.
local function check_message(message, answer)
  assert.is_truthy(answer, "no answer")
  if message.method == "CONNECT" or message.method == "M-SEARCH" then
    assert.equal(405, answer.status) -- their targets are no paths
    return
  end
  assert.equal(200, answer.status, answer.body)
  if message.method == "HEAD" then return end
  local seen = assert(json.decode(answer.body))
  assert.equal(message.method, seen.method)
  assert.equal(message.body, seen.body or "")
  for i = 1, message.lines_end do -- what comes later is trailers
    local line = message.lines[i]
    local name, value = line[1]:lower(), line[2]:match "^(.-)[ \t]*$"
    if name ~= "host" then
      assert.is_truthy((seen.headers[name] or ""):find(value, 1, true), line[1] .. ": " .. tostring(seen.headers[name]))
    end
  end
end

-- What the log of a strict parser says.
local function check_strict(case, got)
  for i, message in ipairs(messages_of(case.log)) do check_message(message, got.answers[i]) end
  local after = got.answers[case.messages + 1]
  if case.expect == "reject" or type(case.error) == "table" and case.error.code ~= UPGRADE then
    assert.is_true(got.closed)
    assert.is_true(after == nil or after.status >= 400)
  elseif case.expect == "incomplete" then
    assert.is_nil(after)
  end
end

describe("llhttp's request case", function()
  local cases = cases_of.read "llhttp-md/request.jsonl"
  local outcomes

  setup(function()
    support.serving(mirror_app(), function(port)
      outcomes = ml.map(cases, function(case)
        return exchange(port, cases_of.with_hosts(cases_of.bytes_of(case.send)))
      end, { limit = 64 })
    end)
  end)

  for i, case in ipairs(cases) do
    local short = case.id:gsub("^llhttp/request/", "")
    local strict = case.mode == "request" or case.mode == "request-finish"
    local rule = strict and " is seen as its log says: " or " is refused, its mode is lenient: "
    it(short .. rule .. case.name, function()
      local got = outcomes[i]
      local last = got.answers[#got.answers]
      if not strict then
        local taken = #got.answers
        if last and last.status >= 400 then taken = taken - 1 end
        assert.is_true(taken <= case.messages)
        assert.is_true(got.closed or case.expect == "incomplete")
      elseif WHY[short] then
        assert.has_error(function() check_strict(case, got) end) -- else it needs no reason
      else
        check_strict(case, got)
      end
    end)
  end
end)
