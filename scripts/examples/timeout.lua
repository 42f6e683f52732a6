-- A time limit: what is not done by then is cancelled, and the caller gets nil and an error.
local ml = require "moonloop"

local function make_tea(minutes)
  local _ <close> = setmetatable({}, { __close = function() print("  (the cup is put away)") end })
  ml.sleep(minutes * 0.05)
  return "tea, after " .. minutes .. " minutes"
end

print(ml.timeout(0.2, make_tea, 1))

local tea, err = ml.timeout(0.2, make_tea, 100)
print(tea, err.kind)
