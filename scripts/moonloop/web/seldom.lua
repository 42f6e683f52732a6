--- Reports that repeat themselves: of those that come within a minute, the first one is made, and the
-- next one says how many there were.
local now = require "moonloop.core".now
local report = require "moonloop.web.core".report

local PAUSE = 60 -- seconds

--- Makes report(err), for what is called `name` in the report.
return function(name)
  local next_time, left_out = -math.huge, 0
  return function(err)
    if now() < next_time then
      left_out = left_out + 1
      return
    end
    report(nil, err, nil, left_out > 0 and ("%s (and %d times before)"):format(name, left_out) or name, true)
    next_time, left_out = now() + PAUSE, 0
  end
end
