--- ml.signal: signals that a script acts on itself.
local listener = require "moonloop.signal_listener"

local signal = {}

--- wait(name, ...) -> name: suspends until one of the signals comes.
function signal.wait(...)
  local listening <close> = listener.for_wait(...)
  return (listening:wait())
end

--- each(name, ...): for name in ml.signal.each("HUP", "USR2") do ... end. What comes while the body
-- runs is kept, each signal once.
function signal.each(...)
  local listening = listener.for_each(...)
  return function() return listening:wait() end, nil, nil, listening
end

return signal
