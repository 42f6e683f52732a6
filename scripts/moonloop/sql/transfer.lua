--- Databases in other Lua states: bindings/sql/sql_transfer.c calls this where one crosses.
local holders = require "moonloop.sql.holders"
local sorted_keys = require "moonloop.core.sorted_keys"

local M = {}

--- pack(db) -> what it was opened with, for another state | nil, why it cannot be
function M.pack(db)
  local made_from = holders.of(db, "pack").made_from
  if made_from.memory then return nil, "a database in memory (sqlite::memory:), which cannot leave its Lua state" end
  return made_from
end

local reopened = {} -- by URL and options: a state has one of each

--- unpack(made_from) -> the database of this state. One connection is enough for the one job that runs
-- at a time.
function M.unpack(made_from)
  local parts = { made_from.url }
  for _, name in ipairs(sorted_keys(made_from.opts)) do
    parts[#parts + 1] = ("%s=%s"):format(name, made_from.opts[name])
  end
  local key = table.concat(parts, "\0")
  if not reopened[key] then
    local opts = { pool = 1 }
    for name, value in pairs(made_from.opts) do
      if name ~= "pool" then opts[name] = value end
    end
    reopened[key] = require("moonloop.sql").open(made_from.url, opts)
  end
  return reopened[key]
end

return M
