-- Http11Probe's cases: what a server answers to requests that are wrong, odd or smuggled. No case
-- that counts may fail, and each answer that is more lenient than the probe likes has its reason
-- here, in one line.
local ml = require "moonloop"
local web = require "moonloop.web"
local rawtcp = require("spec.support").rawtcp
local cases_of = require "spec.support.cases"
local support = require "spec.support.web"

local WHY = {
  ["COMP-LEADING-CRLF"] = "an empty line before a request is skipped, as RFC 9112 section 2.2 asks",
  ["COMP-GET-WITH-CL-BODY"] = "content of a GET has no meaning, but its frame is clear: it is read",
  ["COMP-UPGRADE-INVALID-VER"] = "an Upgrade that nobody offered is ignored (RFC 9110 section 7.8)",
  ["COMP-METHOD-TRACE"] = "the app's `any` route answers TRACE; without one it is a 405",
  ["COMP-TRACE-WITH-BODY"] = "the same; its content is read and not reflected",
  ["COMP-HTTP10-NO-HOST"] = "only HTTP/1.1 requires Host (RFC 9112 section 3.2)",
  ["COMP-HTTP12-VERSION"] = "a later minor version is answered as 1.1 (RFC 9110 section 2.5)",
  ["COMP-405-ALLOW"] = "the probed path answers every method; http_server_spec.lua has Allow",
  ["COMP-NO-CL-IN-204"] = "the probed path answers with a 200; http_response_spec.lua has 204",
  ["COMP-OPTIONS-ALLOW"] = "the app's own route answers OPTIONS, with what it likes",
  ["COMP-DUPLICATE-CT"] = "which Content-Type counts is the app's business: no frame hangs on it",
  ["COMP-ACCEPT-NONSENSE"] = "content negotiation is the app's; ignoring Accept is allowed",
  ["SMUG-CL-LEADING-ZEROS"] = "Content-Length is 1*DIGIT (RFC 9110 section 8.6), read as decimal",
  ["SMUG-CL-DOUBLE-ZERO"] = "the same",
  ["SMUG-CL-LEADING-ZEROS-OCTAL"] = "the same",
  ["SMUG-CL-TRAILING-SPACE"] = "space round a value is no part of it (RFC 9110 section 5.5)",
  ["SMUG-CL-EXTRA-LEADING-SP"] = "the same",
  ["MAL-CL-TAB-BEFORE-VALUE"] = "the same, a tab counts as space",
  ["SMUG-TRANSFER_ENCODING"] = "a name with '_' is another header and frames nothing",
  ["SMUG-TRAILER-CL"] = "trailers are thrown away: none frames, routes or authorizes anything",
  ["SMUG-TRAILER-HOST"] = "the same",
  ["SMUG-TRAILER-AUTH"] = "the same",
  ["SMUG-TRAILER-CONTENT-TYPE"] = "the same",
  ["SMUG-HEAD-CL-BODY"] = "the content of a HEAD request is read by its frame, and thrown away",
  ["SMUG-OPTIONS-CL-BODY"] = "OPTIONS may have content (RFC 9110 section 9.3.7)",
  ["SMUG-ABSOLUTE-URI-HOST-MISMATCH"] = "the target's authority counts, not Host (RFC 9112 3.2.2)",
  ["SMUG-CL0-BODY-POISON"] = "a byte after an empty body begins the next request, which is then bad",
  ["SMUG-EXPECT-100-CL"] = "the app asks for the body, so the client is told to send it",
  ["MAL-URL-PERCENT-NULL"] = "%00 is data of a path like any other byte",
  ["MAL-URL-PERCENT-CRLF"] = "so is %0d%0a: decoded text goes into no header unchecked",
  ["MAL-RANGE-OVERLAPPING"] = "ranges are for routes that serve files",
  ["NORM-UNDERSCORE-CL"] = "names are given to the app as they came: '_' is not '-'",
  ["NORM-UNDERSCORE-TE"] = "the same",
  ["CAP-ETAG-304"] = "validators are for routes that serve files",
  ["CAP-LAST-MODIFIED-304"] = "the same",
  ["CAP-ETAG-IN-304"] = "the same",
  ["CAP-INM-PRECEDENCE"] = "the same",
  ["CAP-INM-WILDCARD"] = "the same",
  ["CAP-INM-UNQUOTED"] = "the same",
  ["CAP-ETAG-WEAK"] = "the same",
}

local PATIENCE = 0.4 -- seconds until an answer that has not come is taken for none

local function probe_app()
  local function echo(req) return req.method == "POST" and req.body or "root" end
  local function show_headers(req)
    local lines = {}
    for name, value in pairs(req.headers) do lines[#lines + 1] = name .. ": " .. value end
    return table.concat(lines, "\n")
  end
  local app = web.app():any("/", echo):any("/{rest:path}", echo)
  return app:any("/echo", show_headers):any("/cookie", function(req) return req.headers.cookie or "" end)
end

-- What comes for one step: { status =, headers =, body =, raw =, closed =, waited = }.
local function receive(conn)
  local raw, why = conn:receive("\r\n\r\n", PATIENCE)
  local answer = { raw = raw or "", closed = not raw and why ~= "timeout", waited = why == "timeout" }
  if not raw then return answer end
  repeat -- what follows at once
    local more, ended = conn:receive(nil, 0.15)
    answer.raw = answer.raw .. (more or "")
    answer.closed = not more and ended ~= "timeout"
  until not more
  local head, body = answer.raw:match "^(.-\r\n)\r\n(.*)$"
  answer.status, answer.body, answer.headers = tonumber(head:match "^HTTP/1%.1 (%d+)"), body, {}
  for name, value in head:gmatch "\r\n([^:\r]+): ([^\r]*)" do answer.headers[name:lower()] = value end
  return answer
end

local function run_case(port, case)
  local conn <close> = assert(rawtcp.connect(port))
  local answers = {}
  for i, step in ipairs(case.steps) do
    if answers[i - 1] and answers[i - 1].closed then break end
    for _, piece in ipairs(step.send) do
      local validators = step.from_step1 and answers[1] and answers[1].headers or {}
      local text = cases_of.bytes_of(piece.data):gsub("@ETAG@", validators.etag or "no-etag")
      conn:send((text:gsub("@LAST%-MODIFIED@", validators["last-modified"] or "Thu, 01 Jan 2099 00:00:00 GMT")))
      if piece.pause_ms then ml.sleep(piece.pause_ms / 1000) end
    end
    answers[i] = receive(conn)
  end
  return answers
end

local function lists(list, value)
  for _, v in ipairs(list or {}) do if v == value or tostring(v) == value then return true end end
  return false
end

-- The verdict of a table from verdicts to the answers they are for. A verdict may depend on what
-- became of the connection: "Fail(open)/Warn(closed)".
local function look_up(verdicts, key, closed)
  for verdict, keys in pairs(verdicts) do
    if lists(keys, key) then
      local open_one, closed_one = verdict:match "^(%w+)%(open%)/(%w+)%(closed%)$"
      if not open_one then return verdict end
      return closed and closed_one or open_one
    end
  end
end

local function rule_holds(rule, answer)
  local text = answer.body:lower()
  if rule.body_is then return lists(rule.body_is, (answer.body:gsub("[\r\n]+$", ""))) end
  if rule.header then return answer.headers[rule.header] ~= nil end
  if rule.header_imf_fixdate then
    local date = answer.headers[rule.header_imf_fixdate] or ""
    return date:match "^%a%a%a, %d%d %a%a%a %d%d%d%d %d%d:%d%d:%d%d GMT$" ~= nil
  end
  for _, word in ipairs(rule.body_has_all or {}) do if not text:find(word, 1, true) then return false end end
  if not rule.body_has_any then return true end
  for _, word in ipairs(rule.body_has_any) do if text:find(word, 1, true) then return true end end
  return false
end

-- Which of the echoed header lines has the value that was sent under the odd name.
local function judge_names(expect, answer)
  local standard, odd, value = table.unpack(expect.norm or expect.normcase)
  local verdict = "Pass"
  for name, got in answer.body:gmatch "([^\n:]+): ([^\n]*)" do
    if got:lower() == value:lower() then
      if name:lower() == standard:lower() and name:lower() ~= odd:lower() then return "Fail" end
      if name:lower() == odd:lower() then verdict = "Warn" end
    end
  end
  return verdict
end

local function judge_one(expect, answer)
  local status = answer.status
  if not status then
    return look_up(expect.on, answer.waited and "none/TimedOut" or "none/ClosedByServer", true) or "Fail"
  end
  local success = status >= 200 and status < 300
  if expect.echo then
    return success and lists({ expect.echo, "OK" }, (answer.body:gsub("[\r\n]+$", ""))) and "Pass" or "Fail"
  end
  if expect.pairs and success then
    for _, pair in ipairs(expect.pairs) do if not answer.body:find(pair, 1, true) then return "Fail" end end
    return "Pass"
  end
  if (expect.norm or expect.normcase) and success then return judge_names(expect, answer) end
  for _, rule in ipairs(expect.rules or {}) do
    if rule.status == "any" or rule.status == status or (rule.status == "2xx" and success) then
      return rule_holds(rule, answer) and rule["then"] or rule["else"]
    end
  end
  return look_up(expect.on, status, answer.closed) or look_up(expect.on, status // 100 * 100, answer.closed) or "Fail"
end

-- The name that a grid of verdicts has for the answers to one or two steps.
local function grid_key(steps, answers)
  local function count(answer) return select(2, answer.raw:gsub("HTTP/1%.1 %d%d%d ", "")) end
  local function none(answer) return "no response, " .. (answer.waited and "timeout" or "closed") end
  local first, second = answers[1], answers[2]
  local key
  if not first.status then
    key = none(first)
  elseif lists({ 100, 417 }, first.status) then
    key = tostring(first.status)
  elseif count(first) >= 2 then
    key = "two responses"
  elseif first.status < 300 then
    key = first.closed and "200 close" or "200 open"
  elseif first.status == 400 then
    key = first.closed and "400 close" or "400"
  else
    key = first.status == 501 and "501" or "500"
  end
  if #steps < 2 or not second then return key end
  if not second.status then return key .. " -> " .. none(second) end
  if count(second) >= 2 then return key .. " -> two responses" end
  return key .. " -> " .. (lists({ 400, 304 }, second.status) and second.status or 200)
end

local function judge(case, answers)
  local expect = case.expect
  if expect.on then return judge_one(expect, answers[1]) end
  if expect.grid then return look_up(expect.grid, grid_key(case.steps, answers)) or "Fail" end
  return answers[2] and answers[2].status == 304 and "Pass" or "Warn"
end

describe("Http11Probe", function()
  local cases = cases_of.read "http11probe/cases.jsonl"
  local outcomes

  setup(function()
    support.serving(probe_app(), function(port)
      outcomes = ml.map(cases, function(case) return run_case(port, case) end, { limit = 64 })
    end)
  end)

  for i, case in ipairs(cases) do
    it(case.id .. ": " .. (case.description or ""), function()
      local verdict = judge(case, outcomes[i])
      local seen = ("%s after %q"):format(verdict, outcomes[i][1].raw:sub(1, 200))
      if verdict == "Fail" then assert.is_false(case.scored, seen) end
      if WHY[case.id] then
        assert.not_equal("Pass", verdict, "there is a reason for a warning that does not come")
      else
        assert.equal("Pass", verdict, seen)
      end
    end)
  end
end)
