---@meta _
-- Types of moonloop for LuaLS, the language server; made from doc/reference by scripts/package/types.lua.

---@class moonloop.stream
---@field timeout number seconds without progress until a read or write fails with an error of kind `"timeout"`. After a read the stream goes on; after a write that had begun it is closed (nil: none)
---@field max_line integer the longest line, in bytes, of `read`, `lines` and `read_until` (65536)
local stream = {}

---Reads what the formats say. Suspends until all of it has come.
---@param format? string|integer
---@param ... any
---@return string? text
---@return any ...
function stream:read(format, ...) end

---Gives what is there, at most `max` bytes (64 kB), as soon as anything is there. Suspends until then.
---@param max? integer
---@return string? text
---@return moonloop.error? err
function stream:read_some(max) end

---Everything up to and with the delimiter, any text of at least one byte. If it is not in the first `max` bytes
---(`s.max_line`), that is an error of kind `"limit"`. At the end of the stream what is left, which then lacks the delimiter.
---@param delimiter string
---@param max? integer
---@return string? text
---@return moonloop.error? err
function stream:read_until(delimiter, max) end

---An iterator: `for line in s:lines() do`. Takes the formats of `s:read`, and **raises** what that returns as an error. The
---stream stays open behind the loop.
---@param format? string|integer
---@param ... any
function stream:lines(format, ...) end

---Writes strings and numbers. Suspends while the other side is behind, so a fast writer cannot fill the memory. Returns the
---stream; or nil, an error, and how many bytes have left, which is in `err.written`, too.
---@param ... any
---@return moonloop.stream? s
---@return moonloop.error? err
---@return integer? written
function stream:write(...) end

---The end of what is written; reading goes on. A pipe that is only written is closed by that. Raises an error while another
---task is writing.
---@return moonloop.stream? s
---@return moonloop.error? err
function stream:shutdown() end

---Closes the stream at once. Tasks that wait for it get an error of kind `"closed"`, as do later calls. Closing it again does
---nothing. `local s <close> = ...` does this at the end of the block. A stream that nobody has any more is closed by the
---collector (with a warning in debug builds).
function stream:close() end
