-- Orders: placed in one transaction, which takes the stock and leaves a job to charge the card.
--
-- placed --charge--> paid
--        `---------> refused, and the stock is given back
local ml = require "moonloop"
local accounts = require "accounts"
local payments = require "payments"
local stock = require "stock"
local stores = require "stores"

local s, db, jobs = ml.schema, stores.db, stores.jobs
local M = {}

local NewOrder = s.object("NewOrder", {
  { "card", s.string { min = 1, max = 200, secret = true, description = "what the payment service calls the card" } },
  { "total", s.int { description = "in cents, as the customer has seen it" } },
})
local Line = s.object("OrderLine", {
  { "item_id", s.int() }, { "name", s.string() }, { "count", s.int() }, { "price", s.int { description = "in cents" } },
})
local Order = s.object("Order", {
  { "id", s.int() },
  { "state", s.enum { "placed", "paid", "refused" } },
  { "total", s.int { description = "in cents" } },
  { "placed_at", s.datetime() },
})
local OrderWithLines = Order:extend("OrderWithLines", { { "lines", s.list(Line) } })

M.NewOrder = NewOrder

local counted = ml.metrics.counter("shop.orders", "Orders, by how far they came.", { labels = { "state" } })

--- Orders what is in the cart of a user: the order. All or nothing: the cart is empty, the stock is taken, the order is
-- there, and so is the job that charges the card. Or it is as if nobody had asked, and the answer is a 409.
function M.place(user_id, card, seen_total)
  local order = stock.tx(function(tx, change)
    -- Who deletes the lines has them: the same order sent twice finds an empty cart the second time.
    local lines = assert(tx:delete("cart_lines", { user_id = user_id }, { returning = { "item_id", "count" } }))
    if #lines == 0 then ml.web.abort(409, "the cart is empty") end
    table.sort(lines, function(a, b) return a.item_id < b.item_id end) -- all in one order: no deadlocks
    local total = 0
    for _, line in ipairs(lines) do
      local item = change(line.item_id, -line.count)
      if not item then
        local left = assert(tx:one("select name, stock from items where id = $1", line.item_id))
        ml.web.abort(409, ("only %d of %s are left"):format(left.stock, left.name))
      end
      line.price = item.price
      total = total + line.count * line.price
    end
    if total ~= seen_total then ml.web.abort(409, "prices have changed") end
    local order = assert(tx:insert("orders", { user_id = user_id, state = "placed", total = total, card = card,
      placed_at = ml.time.now() }, { returning = "*" }))[1]
    for _, line in ipairs(lines) do line.order_id = order.id end
    assert(tx:insert("order_lines", lines))
    assert(jobs:push("charge", { order = order.id }, { tx = tx }))
    return order
  end)
  counted:inc { state = "placed" }
  ml.log.info("order placed", { order = order.id, user = user_id })
  return order
end

--- Charges the card of an order, and notes how that has ended. A job may run twice: the gateway has a key for the
-- charge, and the state changes once, whoever is first.
function M.charge(id, gateway)
  local order = assert(db:one("select id, state, total, card from orders where id = $1", id))
  if order.state ~= "placed" then return true end
  local state, err = gateway.charge { key = "order-" .. id, amount = order.total, card = order.card }
  if not state then return nil, err end -- a run that has failed: the job is tried again
  local is_first = stock.tx(function(tx, change)
    local n = assert(tx:update("orders", { state = state, card = ml.sql.null }, { id = id, state = "placed" }))
    if n == 1 and state == "refused" then
      local lines = assert(tx:query("select item_id, count from order_lines where order_id = $1 order by item_id", id))
      for _, line in ipairs(lines) do change(line.item_id, line.count) end
    end
    return n == 1
  end)
  if not is_first then return true end
  counted:inc { state = state }
  ml.log.info("order " .. state, { order = id })
  return true
end

-- In sum about six hours; then the job is dead, and the admin page shows it.
jobs:define("charge", { attempts = 12, backoff = { base = 5, max = 7200 }, timeout = 60 }, function(args)
  return M.routes:scope({ gateway = payments.gateway }, function(deps) return M.charge(args.order, deps.gateway) end)
end)

--- The orders of a user with their lines, the last one first.
function M.of(user_id)
  local orders = assert(db:query("select * from orders where user_id = $1 order by id desc limit 100", user_id))
  local by_id, ids = {}, {}
  for i, order in ipairs(orders) do
    order.lines, by_id[order.id], ids[i] = {}, order, order.id
  end
  for _, line in ipairs(assert(db:query([[select l.order_id, l.item_id, i.name, l.count, l.price from order_lines l
    join items i on i.id = l.item_id where l.order_id = any($1) order by i.name]], ids))) do
    table.insert(by_id[line.order_id].lines, line)
  end
  return orders
end

M.routes = ml.web.app { tags = { { name = "orders", description = "What you have bought" } } }
M.routes:depends { user = accounts.user }

M.routes:post("/", {
  summary = "Order what is in the cart", body = NewOrder, response = { [202] = Order, [409] = ml.web.detail },
}, function(req, deps) return M.place(deps.user.id, req.valid.body.card, req.valid.body.total), 202 end)

M.routes:get("/", { summary = "Your orders", response = s.list(OrderWithLines) },
  function(_, deps) return M.of(deps.user.id) end)

return M
