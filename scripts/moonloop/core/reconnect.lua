--- Coming back after a connection was lost.
local core = require "moonloop.core"

local FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2 -- seconds between two tries

--- Calls open(), "true or nil, err", until it is true, however long that takes. Raises an error for which
-- is_passing(err) is false.
return function(open, is_passing)
  local pause = FIRST_PAUSE
  while true do
    local ok, err = open()
    if ok then return end
    if not is_passing(err) then error(err, 0) end
    core.sleep(pause)
    pause = math.min(pause * 2, LONGEST_PAUSE)
  end
end
