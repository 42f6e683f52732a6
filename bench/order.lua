-- The routes of bench/app.lua for orders: one whose body is checked by a schema, and one that only decodes it.
local s = require "moonloop".schema

local function text(min, max) return s.string { min = min, max = max } end

local Address = s.object("Address", {
  street = text(1, 100), city = text(1, 60), zip = text(1, 12), country = text(2, 2),
})

local Customer = s.object("Customer", {
  name = text(1, 80),
  email = text(3, 120),
  phone = s.string():optional():nullable(),
  vip = s.bool():default(false),
  address = Address,
})

local Item = s.object("Item", {
  sku = text(1, 20),
  name = text(1, 100),
  qty = s.int { min = 1, max = 1000 },
  price = s.number { gt = 0 },
  taxable = s.bool():default(true),
})

local Order = s.object("Order", {
  id = s.int { min = 1 },
  number = text(1, 40),
  status = s.enum { "new", "paid", "shipped", "cancelled" },
  channel = s.enum { "web", "phone", "shop" },
  created_at = text(nil, 40),
  updated_at = text(nil, 40),
  total = s.number { min = 0 },
  tax = s.number { min = 0 },
  discount = s.number { min = 0 }:default(0),
  weight = s.number { min = 0 },
  priority = s.int { min = 0, max = 10 },
  paid = s.bool(),
  gift = s.bool():default(false),
  notes = s.string():optional():nullable(),
  coupon = text(nil, 20):optional():nullable(),
  locale = text(2, 10),
  customer = Customer,
  shipping = Address,
  tags = s.list(text(nil, 30), { max = 20 }),
  items = s.list(Item, { min = 1, max = 100 }),
})

local Receipt = s.object("Receipt", { id = s.int(), n = s.int() })

return function(app)
  app:post("/order", { body = Order, response = Receipt }, function(req)
    local order = req.valid.body
    return { id = order.id, n = #order.items }
  end)

  app:post("/order/plain", function(req)
    local order = assert(req:json())
    return { id = order.id, n = #order.items }
  end)
end
