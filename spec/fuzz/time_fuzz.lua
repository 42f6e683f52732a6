-- Dates as text: what is read reads the same when it is written again, in both forms.
local time = require "moonloop.time"

return function(text)
  local t, err = time.parse(text)
  if not t then return assert(err.kind == "time" and not err.message:find "%c") end
  local ok, written = pcall(time.format, t)
  if not ok then return assert(written:find("years 0 to 9999", 1, true), written) end
  local again = assert(time.parse(written))
  assert(math.abs(again - t) < 1e-5, written)
  assert(time.format(again) == written)
  if math.type(t) == "integer" then assert(again == t and time.parse(time.format(t, "http")) == t, written) end
end
