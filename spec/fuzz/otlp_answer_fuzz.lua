-- What a collector of traces answers: the first line is a Retry-After, the rest a body. Whatever it says, the number of
-- spans that it has refused is one of those sent, and what it asks to wait is a time to come.
local asked_wait = require "moonloop.http.retry".asked_wait
local rejected = require "moonloop.trace.rejected"

local SENT = 7

return function(text)
  local asked, body = text:match "^([^\n]*)\n?(.*)$"
  local seconds = asked_wait { headers = { ["retry-after"] = asked } }
  assert(seconds == nil or seconds >= 0)
  local refused, why = rejected(body, SENT)
  assert(math.type(refused) == "integer" and refused >= 0 and refused <= SENT)
  assert(type(why) == "string" and #why <= 200)
end
