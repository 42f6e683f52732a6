---@meta _
-- Types of moonloop for LuaLS, the language server; made from doc/reference by scripts/package/types.lua.

---@class moonloop.log
local log = {}

---@param message string
---@param fields? table
function log.debug(message, fields) end

---@param message string
---@param fields? table
function log.info(message, fields) end

---@param message string
---@param fields? table
function log.warn(message, fields) end

---Logs the message with these fields, a table with strings as keys, if the level is high enough; otherwise nothing is done with them.
---@param message string
---@param fields? table
function log.error(message, fields) end

---Calls `f(...)` and returns its results. Whatever logs in it has these fields, too, and so have the tasks that it starts and what
---is logged by the host about them. An inner `with` adds to an outer one. A field of the entry itself counts more than a
---bound one of the same name.
---@param fields table
---@param f function
---@param ... any
---@return { n: integer, [integer]: any } results
function log.with(fields, f, ...) end

---From now on `f(entry)` gets the entries of this Lua state, those of the host included, in place of standard error; nil ends that. `entry` is the
---table of the entry's JSON (below). f runs in a task of its own, one entry after the other, and may wait; what it and its
---tasks log goes to standard error. If it raises, its entry is written to standard error with the error, and the next one is
---passed on. At most 10,000 entries wait (20,000 with errors); the number of those lost is logged. What still waits when the
---program ends is written to standard error. Entries of executor workers stay there.
---@param f? function
function log.to(f) end
