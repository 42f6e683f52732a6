--- ml.time: the time of day, and dates as text.
local core = require "moonloop.core"
local dates = require "moonloop.time.dates"

local time = { parse = dates.parse }

local writers = { rfc3339 = dates.rfc3339, http = dates.http }

--- now() -> seconds since 1970 in UTC, with a fraction.
time.now = core.day_time

--- format(t [, "rfc3339" | "http"]) -> text, in UTC.
function time.format(t, format)
  if format == nil then format = "rfc3339" end
  local write = writers[format]
  if not write then
    core.fail(("bad argument #2 to 'ml.time.format' (\"rfc3339\" or \"http\" expected, got %s)")
      :format(type(format) == "string" and ("%q"):format(format) or type(format)))
  end
  return write(t)
end

return time
