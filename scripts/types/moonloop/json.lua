---@meta _
-- Types of moonloop for LuaLS, the language server; made from doc/reference by scripts/package/types.lua.

---@class moonloop.json
---@field null any JSON's null. It is not nil and counts as true; compare with `==`.
local json = {}

---@class moonloop.json.encode.opts
---@field pretty? boolean one element per line, two spaces per level, sorted keys (false)

---Tables are read raw: no metamethod is called. It is one call, during which no other task runs, so that the text shows the table
---as it is at one moment: some 7 ms a MB of rows, 20 of tiny lists. The same goes for tables that handlers return. Where there are
---many MB, send them in pieces: `ml.web.response{stream = f}`, a page at a time, or from an executor.
---@param value any
---@param opts? moonloop.json.encode.opts
---@return string text
function json.encode(value, opts) end

---@class moonloop.json.decode.opts
---@field max_values? integer values that the text may have, lists and objects included; with more nothing is made of it, and `err.code` is `"too_large"` (any number)

---`err` is of kind `"json"` with `err.line` and `err.column`. A lone surrogate, nesting deeper than 512 and text after the
---value are errors; if a key repeats, the last one counts. null becomes `ml.json.null`, so that it does not vanish from tables.
---@param text string
---@param opts? moonloop.json.decode.opts
---@return any? value
---@return moonloop.error? err
function json.decode(text, opts) end

---Marks the table as an array, so that it is encoded as `[]` if it is empty. Without an argument it makes a new table. The
---mark is a metatable: a table that has another one is refused.
---@param t? table
---@return table t
function json.array(t) end

---Marks the table as an object.
---@param t? table
---@return table t
function json.object(t) end
