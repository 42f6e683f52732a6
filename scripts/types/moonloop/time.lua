---@meta _
-- Types of moonloop for LuaLS, the language server; made from doc/reference by scripts/package/types.lua.

---@class moonloop.time
local time = {}

---Seconds since the start of 1970 in UTC, with a fraction. Under the virtual clock it goes on with `ml.now()`,
---unlike `os.time()`, and is the machine's again after `clock.real()`; sessions, tokens, signatures and dates of HTTP go by it.
---@return number seconds
function time.now() end

---The moment `t`, a number of seconds since 1970, as text in UTC. `format` is
---@param t number
---@param format? string|integer
---@return string text
function time.format(t, format) end

---Reads a date and time of RFC 3339 (its zone included), or one of the three forms that HTTP knows (RFC 9110, section
---5.6.7). The result is an integer unless the text has a fraction. A leap second is the second after it.
---@param text string
---@return number? seconds
---@return moonloop.error? err
function time.parse(text) end
