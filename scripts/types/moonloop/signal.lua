---@meta _
-- Types of moonloop for LuaLS, the language server; made from doc/reference by scripts/package/types.lua.

---@class moonloop.signal
local signal = {}

---Suspends until one of the signals comes, and returns its name. Between two calls a signal has its usual effect; `each`
---has no such gap.
---@param name string
---@param ... any
---@return string name
function signal.wait(name, ...) end

---`for name in ml.signal.each("HUP", "USR2") do` runs its body for each signal that comes, from the call until the loop is
---left. What comes while the body runs is kept, each signal once, in the order of arrival.
---@param name string
---@param ... any
---@return (fun(...): ...) iterator
function signal.each(name, ...) end
