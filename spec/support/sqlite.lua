--- SQLite databases for the specs, each in a folder of its own that is gone afterwards.
local folder = require "spec.support.folder"
local sqlite = require "moonloop.sql.sqlite"

local M = {}

--- open([options]) -> a pool of a new database in a file; and the folder, to be kept in a variable
-- `<close>`. The file is `folder.database`.
function M.open(options)
  local place = folder.new {}
  place.database = place.path .. "/app.db"
  return M.again(place, options), place
end

--- Another pool of the same database.
function M.again(place, options)
  local all = { path = place.database }
  for name, value in pairs(options or {}) do all[name] = value end
  return sqlite.open(all)
end

--- A statement that never ends by itself, and only reads.
M.endless = "with recursive c(x) as (select 1 union all select x + 1 from c) select count(*) from c"

return M
