--- The statements of a connection that is held: of a transaction or a session. They check first whether
-- they may run, and go one after the other.
local builders = require "moonloop.sql.builders"
local copy = require "moonloop.sql.copy"
local listen = require "moonloop.sql.listen"

local M = {}

--- What a database and whoever holds a connection of it have alike, made of the statements of either.
M.shared = {
  insert = builders.insert, update = builders.update, delete = builders.delete,
  notify = listen.notify, copy_in = copy.copy_in, copy_out = copy.copy_out,
}

--- Gives the class of a holder query, one, value, exec, batch, script, rows and what is shared. A holder has `conn`,
-- enter(name), which raises where it may not be used and returns the connection, and finish(...), which
-- sees the results and returns them.
function M.add(class)
  for name, f in pairs(M.shared) do class[name] = f end
  for _, name in ipairs { "query", "one", "value", "exec", "batch" } do
    class[name] = function(self, sql, ...)
      local conn = class.enter(self, name)
      return self:finish(conn[name](conn, sql, ...))
    end
  end

  function class:script(text)
    local conn = class.enter(self, "script")
    local ok, err = self:finish(conn:simple(text))
    if not ok then return nil, err end
    return true
  end

  --- for row in holder:rows(sql, ...) do
  function class:rows(sql, ...)
    local conn = class.enter(self, "rows")
    return conn:rows(sql, ...)
  end
end

return M
