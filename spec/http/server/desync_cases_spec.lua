-- The header sets of AWS's HTTP desync guardian. What it calls severe is never accepted, and no set
-- makes the server see more than one request in one.
local ml = require "moonloop"
local web = require "moonloop.web"
local rawtcp = require("spec.support").rawtcp
local cases_of = require "spec.support.cases"
local support = require "spec.support.web"

-- Sets that the guardian calls compliant and the server refuses.
local WHY = {
  ["74"] = "no transfer coding but chunked is implemented: 501 (RFC 9112 section 6.1)",
  ["76"] = "the same",
  ["77"] = "two Transfer-Encoding lines: whoever reads only one of them sees another frame",
  ["78"] = "the same; chunked has no parameters (RFC 9112 section 7)",
  ["111"] = "two Transfer-Encoding lines",
  ["112"] = "no transfer coding but chunked is implemented",
  ["113"] = "two Transfer-Encoding lines",
  ["114"] = "'#' and '%' without digits have no place in a target (RFC 9112 section 3.2)",
  ["115"] = "bytes above ASCII have no place in a target (RFC 3986 section 2)",
  ["116"] = "there is no empty target",
}

local PATIENCE = 0.3 -- seconds until an answer that has not come is taken for none

describe("the desync guardian's case", function()
  local cases = cases_of.read "desync-guardian/cases.jsonl"
  local outcomes

  setup(function()
    local function echo(req) return req.body or "" end
    support.serving(web.app { max_body = 10 << 20 }:any("/{rest:path}", echo), function(port)
      outcomes = ml.map(cases, function(case)
        local conn <close> = assert(rawtcp.connect(port))
        conn:send(cases_of.with_hosts(cases_of.bytes_of(case.send)))
        local all, why, rest = conn:receive("*a", PATIENCE)
        return { answers = cases_of.answers(all or rest or ""), closed = why ~= "timeout" }
      end, { limit = 64 })
    end)
  end)

  for i, case in ipairs(cases) do
    local number = case.id:match "%d+$"
    it(number .. " (" .. case.tier .. "): " .. case.name, function()
      local got = outcomes[i]
      local status = got.answers[1] and got.answers[1].status
      assert.is_true(#got.answers <= 1, "more answers than requests")
      if case.expect == "reject" or WHY[number] then
        assert.is_truthy(status, "no answer")
        assert.is_true(status >= 400, "it was accepted")
      elseif case.expect == "accept" then
        assert.is_true(status == nil or status < 400, "it was refused") -- nil: its body is not in the data
      end
      if status and status >= 400 then assert.is_true(got.closed, "the connection stays open") end
    end)
  end
end)
