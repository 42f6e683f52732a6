-- What somebody means to buy. A cart takes nothing from the stock, and is forgotten when nobody has touched it for a
-- day.
local ml = require "moonloop"
local accounts = require "accounts"
local settings = require "settings"
local stores = require "stores"

local s, db, jobs = ml.schema, stores.db, stores.jobs
local M = {}

local Line = s.object("CartLine", {
  { "item_id", s.int() }, { "name", s.string() }, { "count", s.int() }, { "price", s.int { description = "in cents" } },
})
local Cart = s.object("Cart", { { "lines", s.list(Line) }, { "total", s.int { description = "in cents" } } })
local Count = s.object("Count", { { "count", s.int { min = 1, max = 100 } } })

M.Count = Count

--- The cart of a user, at the prices of now: {lines =, total =}.
function M.of(user_id)
  local lines = assert(db:query([[select l.item_id, i.name, l.count, i.price from cart_lines l
    join items i on i.id = l.item_id where l.user_id = $1 order by i.name]], user_id))
  local total = 0
  for _, line in ipairs(lines) do total = total + line.count * line.price end
  return { lines = lines, total = total }
end

--- Puts `count` of an item into the cart, in place of what was there of it.
function M.put(user_id, item_id, count)
  local line = { user_id = user_id, item_id = item_id, count = count, changed_at = ml.time.now() }
  local n, err = db:insert("cart_lines", line, { on_conflict = { "user_id", "item_id", update = true } })
  if n then return end
  if err.kind == "foreign_key" then ml.web.abort(404, "no such item") end
  error(err, 0)
end

function M.remove(user_id, item_id) assert(db:delete("cart_lines", { user_id = user_id, item_id = item_id })) end

jobs:define("forget carts", { attempts = 1 }, function()
  assert(db:exec([[delete from cart_lines where user_id in
    (select user_id from cart_lines group by user_id having max(changed_at) < $1)]],
    ml.time.now() - settings.cart_hours * 3600))
end)
jobs:every(600, "forget carts")

M.routes = ml.web.app { tags = { { name = "cart", description = "What you mean to buy" } } }
M.routes:depends { user = accounts.user }

M.routes:get("/", { summary = "Your cart", response = Cart }, function(_, deps) return M.of(deps.user.id) end)

M.routes:put("/{id:int}", {
  summary = "So many of an item", body = Count, response = { [200] = Cart, [404] = ml.web.detail },
}, function(req, deps)
  M.put(deps.user.id, req.params.id, req.valid.body.count)
  return M.of(deps.user.id)
end)

M.routes:delete("/{id:int}", { summary = "None of an item", response = Cart }, function(req, deps)
  M.remove(deps.user.id, req.params.id)
  return M.of(deps.user.id)
end)

return M
