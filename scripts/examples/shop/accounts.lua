-- Users and their orders, for the API and for the pages.
local ml = require "moonloop"

local M = {}

--- Adds a user. The first one runs the shop.
function M.add(tx, name, password)
  local hash = ml.password.hash(password)
  local scopes = assert(tx:value "select count(*) from users") == 0 and "items:write" or ""
  return assert(tx:insert("users", { name = name, password = hash, scopes = scopes }, { returning = "*" }))[1]
end

--- The user with this name and password, or nil.
function M.check(db, name, password)
  local user, err = db:one("select * from users where name = $1", name)
  if err then error(err, 0) end
  return ml.password.verify(password, user and user.password) and user or nil
end

--- Orders items for a user: the order. Aborts where there are not enough.
function M.order(tx, name, item_id, count)
  local item = assert(tx:query("select * from items where id = $1", item_id))[1]
  if not item then ml.web.abort(404, "no such item") end
  if item.stock < count then ml.web.abort(409, ("there are only %d of %s"):format(item.stock, item.name)) end
  assert(tx:update("items", { stock = item.stock - count }, { id = item_id }))
  local user_id = assert(tx:value("select id from users where name = $1", name))
  return assert(tx:insert("orders", { user_id = user_id, item_id = item_id, count = count, total = count * item.price },
    { returning = "*" }))[1]
end

--- All orders of a user, the last one first.
function M.orders(db, name)
  return assert(db:query([[select o.*, i.name from orders o join users u on u.id = o.user_id
    join items i on i.id = o.item_id where u.name = $1 order by o.id desc]], name))
end

return M
