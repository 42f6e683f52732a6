--- Conformance data from outside the project: optional, in the folder `cases` of the folder named by the
-- environment variable MOONLOOP_SHARED, or else of ../shared.
local json = require "moonloop.json"
local lfs = require "lfs"

local M = {}

local folder = (os.getenv "MOONLOOP_SHARED" or "../shared") .. "/cases"

-- What is looked for, and where it comes from.
local SOURCES = {
  { path = "json", "JSONTestSuite (github.com/nst/JSONTestSuite)" },
  { path = "json-schema/tests/draft2020-12", "JSON-Schema-Test-Suite (github.com/json-schema-org)" },
  { path = "fastapi/oracle.json", "recorded answers of FastAPI" },
  { path = "http11probe/cases.jsonl", "Http11Probe (github.com/MDA2AV/Http11Probe)" },
  { path = "llhttp-md/request.jsonl", "llhttp's cases (github.com/nodejs/llhttp)" },
  { path = "desync-guardian/cases.jsonl", "the desync guardian's (github.com/aws/http-desync-guardian)" },
}

-- Says in one line what is left out, once in a run: each spec file has a copy of this module.
local function say_what_is_missing()
  local registry = debug.getregistry()
  if registry["specs: missing cases"] then return end
  registry["specs: missing cases"] = true
  local missing = {}
  for _, source in ipairs(SOURCES) do
    if not lfs.attributes(folder .. "/" .. source.path) then missing[#missing + 1] = source[1] end
  end
  io.stderr:write("specs: left out, as ", folder, " does not have it: ", table.concat(missing, ", "), "\n")
end

--- The bytes of a case: text with one character a byte, or a list of texts and runs.
function M.bytes_of(data)
  if type(data) == "table" then
    local parts = {}
    for i, part in ipairs(data) do
      parts[i] = type(part) == "table" and M.bytes_of(part.rep):rep(part.n) or M.bytes_of(part)
    end
    return table.concat(parts)
  end
  local bytes = {}
  for _, code in utf8.codes(data) do bytes[#bytes + 1] = string.char(code) end
  return table.concat(bytes)
end

--- The path of a file or folder of the data; nil if it is missing, which is reported.
function M.find(name)
  local path = folder .. "/" .. name
  if lfs.attributes(path) then return path end
  say_what_is_missing()
end

--- The cases of a file, in order; none if it is missing.
function M.read(name)
  local path = M.find(name)
  local cases = {}
  if not path then return cases end
  for line in io.lines(path) do cases[#cases + 1] = assert(json.decode(line)) end
  return cases
end

--- Puts a Host line into every HTTP/1.1 head of `text` that has none: what the cases of a parser
-- leave out, and a server insists on.
function M.with_hosts(text)
  local out, at = {}, 1
  while true do
    local from, line_end = text:find(" HTTP/1.1\r\n", at, true)
    if not from then break end
    local head_end = text:find("\r\n\r\n", line_end - 1, true) or #text
    local has = ("\n" .. text:sub(line_end + 1, head_end)):lower():find "\nhost[ \t]*:"
    out[#out + 1] = text:sub(at, line_end) .. (has and "" or "Host: localhost\r\n")
    at = line_end + 1
  end
  return table.concat(out) .. text:sub(at)
end

--- The final responses in what a server sent: { status =, headers = (lower case), body = }, framed by
-- Content-Length.
function M.answers(bytes)
  local list, at = {}, 1
  while true do
    local _, head_end, status, lines = bytes:find("^HTTP/1%.1 (%d%d%d) [^\r]*(\r\n.-)\r\n\r\n", at)
    if not head_end then return list end
    local answer = { status = tonumber(status), headers = {} }
    for name, value in (lines .. "\r\n"):gmatch "\r\n([^:\r]+): ([^\r]*)" do answer.headers[name:lower()] = value end
    at = head_end + 1
    if answer.status >= 200 then
      local n = tonumber(answer.headers["content-length"] or 0)
      answer.body = bytes:sub(at, at + n - 1)
      if answer.body:sub(1, 5) == "HTTP/" then answer.body = "" end -- of an answer to HEAD
      at = at + #answer.body
      list[#list + 1] = answer
    end
  end
end

return M
