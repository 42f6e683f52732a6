-- TZif files: what is read has at each moment one offset, since a moment that is not later and until one that is; and
-- the moments lead through all of time.
local zone = require "moonloop.jobs.zone"

local MOMENTS = { -(1 << 40), -1, 0, 951782400, 1709164800, 4102444799, 1 << 40 }

return function(data)
  local z, why = zone.read(data)
  if not z then return assert(#why > 0) end
  for _, t in ipairs(MOMENTS) do
    for _ = 1, 4 do
      local offset, since, till = z:span(t)
      assert(math.type(offset) == "integer" and since <= t and t < till)
      if till == math.huge then break end
      assert(math.type(till) == "integer")
      t = till
    end
  end
end
