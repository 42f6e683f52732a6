--- The conformance data of ../shared/cases: requests that nobody of this project wrote.
local json = require "moonloop.json"
local lfs = require "lfs"

local M = {}

local shared = os.getenv "MOONLOOP_SHARED" or "../shared"

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

--- The cases of a file below ../shared/cases, in order; nil and a note for `pending` when the data are
-- not there.
function M.read(name)
  local path = shared .. "/cases/" .. name
  if not lfs.attributes(path) then
    return nil, "skipped: " .. path .. " is not there (MOONLOOP_SHARED names its folder)"
  end
  local cases = {}
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
