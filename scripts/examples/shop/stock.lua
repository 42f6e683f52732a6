-- How many there are of each item, and the pages that show it while it changes. Everything that changes the stock does
-- so by M.tx.
local ml = require "moonloop"
local stores = require "stores"

local M = {}

-- One hub for all workers of this server; with Redis for all servers, and for `moonloop work`.
local hub = ml.web.hub { name = "shop", redis = stores.redis }

-- In one statement, so that two who take the last one cannot both have it.
local CHANGE = [[update items set stock = stock + $1, version = version + 1
  where id = $2 and stock + $1 >= 0 returning id, name, price, stock, version]]

--- Runs f(tx, change) in a transaction, and returns what it returns. `change(item_id, by)` adds to the stock, or takes
-- from it, and gives the item as it is then; nil where there are not so many. The pages are told when it is committed:
-- a message that is sent before that may be a lie.
function M.tx(f)
  local changed = {}
  local result, err = stores.db:tx(function(tx)
    return f(tx, function(item_id, by)
      local item = assert(tx:query(CHANGE, by, item_id))[1]
      changed[#changed + 1] = item
      return item
    end)
  end)
  if err then error(err, 0) end
  for _, item in ipairs(changed) do
    hub:publish("stock", { id = item.id, stock = item.stock, version = item.version })
  end
  return result
end

M.routes = ml.web.app()

--- Messages {id =, stock =, version =}: first of all items, then of each that changes. They can overtake each other on
-- their way through several processes: what has a lower version than the page knows already is old.
M.routes:websocket("/", function(ws)
  hub:join(ws, "stock") -- first this, then the query: nothing is missed between them
  for _, item in ipairs(assert(stores.db:query "select id, stock, version from items")) do ws:send_json(item) end
  for _ in ws:messages() do end -- until the page is closed
end)

return M
