---@meta moonloop.clock
-- Types of moonloop for LuaLS, the language server; made from doc/reference by scripts/package/types.lua.

---@class moonloop.clock
local clock = {}

---Makes the clock virtual until the end of the `it`, or of the file if it is called outside an `it`. Returns whether it
---was virtual before.
---@return boolean
function clock.virtual() end

---Switches back to the real clock. Returns whether it was virtual before. `ml.time.now()` is the machine's time of day again;
---`ml.now()`, which never goes back, goes on from what it showed.
---@return boolean
function clock.real() end

---@return boolean
function clock.is_virtual() end

---From now on, ready tasks run in a random order given by the integer `seed`; with nil, in the order in which they became
---ready. `moonloop test --shuffle` does this for all specs, to expose code that relies on an order. Each `it` has its own
---order, derived from the seed, so it is the same when the `it` runs alone (`--filter`), as far as nothing from outside
---interferes. Documented rules still hold: `ml.sleep(0)` returns after every ready task has run once.
---@param seed? integer
function clock.shuffle(seed) end

return clock
