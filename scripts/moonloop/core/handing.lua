--- Hands what a task has in its variables (ml.var) on to another task, such as the transaction that it began.
local core = require "moonloop.core"

local M = {}

local joins = setmetatable({}, { __mode = "k" })

--- Where a task has a value of `variable` and is handed another one, it gets f(own, other).
function M.join_by(variable, f) joins[variable] = f end

--- The running task gets the values that another one had when it called core.vars(). `before` is what both had:
-- values that have not changed since are left out.
function M.take(values, before)
  local own = core.vars()
  if values == nil or rawequal(values, own) then return end
  local all
  for variable, value in next, values do
    local old = own and own[variable]
    if not rawequal(value, old) and not (before and rawequal(before[variable], value)) then
      if not all then
        all = {}
        for each, kept in next, own or {} do all[each] = kept end
      end
      local join = joins[variable]
      if join then value = join(old, value) end
      all[variable] = value
    end
  end
  if all then core.set_vars(all) end
end

return M
