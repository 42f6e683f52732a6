--- rejected(body, count) -> how many of the `count` spans that it was sent a collector has not taken, and why, a text.
-- `body` is that of a response that is a success (OTLP's ExportTraceServiceResponse).
local json = require "moonloop.json"

local MOST_SHOWN = 200 -- bytes of a reason

return function(body, count)
  local doc = body:find("partialSuccess", 1, true) and json.decode(body)
  local partial = type(doc) == "table" and doc.partialSuccess
  if type(partial) ~= "table" then return 0, "" end
  local said = tonumber(partial.rejectedSpans) or 0
  return math.ceil(math.max(0, math.min(said, count))), tostring(partial.errorMessage):sub(1, MOST_SHOWN)
end
