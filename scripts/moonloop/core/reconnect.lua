--- Coming back after a connection was lost.
local core = require "moonloop.core"

local FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2 -- seconds between two tries

--- Calls open(...), "value or nil, err", until it gives a value, however long that takes; returns that. Raises an
-- error for which is_passing(err, ...) is false; without is_passing none.
return function(open, is_passing, ...)
  local pause = FIRST_PAUSE
  while true do
    local value, err = open(...)
    if value ~= nil then return value end
    if is_passing and not is_passing(err, ...) then error(err, 0) end
    core.sleep(pause)
    pause = math.min(pause * 2, LONGEST_PAUSE)
  end
end
