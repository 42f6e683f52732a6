-- Http11Probe's cases for what a server MUST do with requests that are wrong, odd or smuggled: the
-- status it answers, or that it closes or waits.
local ml = require "moonloop"
local web = require "moonloop.web"
local json = require "moonloop.json"
local lfs = require "lfs"
local rawtcp = require("spec.support").rawtcp
local support = require "spec.support.web"

local shared = os.getenv "MOONLOOP_SHARED" or "../shared"
local path = shared .. "/cases/http11probe/cases.jsonl"

-- A 413 for a gigabyte of Content-Length is what the limit on bodies is for.
local other_answers = { ["MAL-POST-CL-HUGE-NO-BODY"] = 413 }

-- The bytes of a case: text with one character a byte, or a list of texts and runs.
local function bytes_of(data)
  if type(data) == "table" then
    local parts = {}
    for i, part in ipairs(data) do
      parts[i] = type(part) == "table" and bytes_of(part.rep):rep(part.n) or bytes_of(part)
    end
    return table.concat(parts)
  end
  local bytes = {}
  for _, code in utf8.codes(data) do bytes[#bytes + 1] = string.char(code) end
  return table.concat(bytes)
end

local function probe_app()
  local function echo(req) return req.method == "POST" and req.body or "root" end
  return web.app():any("/", echo):any("/{rest:path}", echo)
end

-- What came back for the first step: a status, or the word for none.
local function outcome(port, case)
  local conn <close> = assert(rawtcp.connect(port))
  for _, piece in ipairs(case.steps[1].send) do conn:send(bytes_of(piece.data)) end
  local head, why = conn:receive("\r\n\r\n", 0.3)
  if head then return tonumber(head:match "^HTTP/1%.1 (%d+)") end
  return why == "timeout" and "none/TimedOut" or "none/ClosedByServer"
end

describe("Http11Probe", function()
  if not lfs.attributes(path) then
    pending("skipped: " .. path .. " is not there (MOONLOOP_SHARED names its folder)")
    return
  end

  local cases, outcomes = {}, nil
  for line in io.lines(path) do
    local case = assert(json.decode(line))
    local expect = case.expect
    -- The others judge by headers and bodies; http_server_spec.lua has those rules.
    local by_status = expect.on and not (expect.echo or expect.rules or expect.norm)
    if case.scored and case.level == "Must" and by_status then cases[#cases + 1] = case end
  end

  setup(function()
    support.serving(probe_app(), function(port)
      local asks = {}
      for i, case in ipairs(cases) do asks[i] = { outcome, port, case } end
      outcomes = ml.gather(asks)
    end)
  end)

  for i, case in ipairs(cases) do
    it(case.id .. ": " .. case.description, function()
      local got = outcomes[i]
      if got == other_answers[case.id] then return end
      for verdict, keys in pairs(case.expect.on) do
        for _, key in ipairs(keys) do
          if key == got then
            assert.not_equal("Fail", verdict, "the answer was " .. tostring(got))
            return
          end
        end
      end
      error("an answer that the case does not know: " .. tostring(got))
    end)
  end
end)
