---@meta _
-- Types of moonloop for LuaLS, the language server; made from doc/reference by scripts/package/types.lua.

---@class moonloop.websocket.compress
---@field window integer 12
---@field takeover boolean false
---@field min integer 256
local compress = {}

---@class moonloop.websocket.err
---@field code integer the code of the peer's Close frame; 1005: it had none; 1006: the connection ended without one; 1002, 1007 or 1009: it broke the rules and was told so; nil: closed here
---@field reason string the peer's reason, or what it did wrong, or `""`
local err = {}
