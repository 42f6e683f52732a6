--- The moment that statements are given: that of the virtual clock, or nil, where the database's own clock counts.
local clock = require "moonloop.clock"
local time = require "moonloop.time"

return function() return clock.is_virtual() and time.now() or nil end
