-- The page of those who run the shop: items and deliveries, orders, and jobs that have given up.
local ml = require "moonloop"
local catalogue = require "catalogue"
local site = require "site"
local stores = require "stores"

local s = ml.schema
local app = site.app()
app:depends { admin = site.admin }

-- A form has prices as people write them: 12.50. They are cents from here on, and never floats.
local Price = s.string { match = "^%d+%.%d%d$", max = 12 }

local function cents(text)
  local whole, part = text:match "^(%d+)%.(%d%d)$"
  return math.tointeger(whole) * 100 + math.tointeger(part)
end

app:get("/", { hidden = true }, function(req)
  return site.page(req, "admin.html", {
    items = assert(stores.db:query "select * from items order by name"),
    orders = assert(stores.db:query [[select o.*, u.name from orders o join users u on u.id = o.user_id
      order by o.id desc limit 50]]),
    dead = assert(stores.jobs:list { state = "dead", name = "charge" }),
  })
end)

app:post("/items", {
  hidden = true,
  form = { name = s.string { min = 1, max = 80 }, price = Price, note = s.string { max = 500 }:optional() },
}, function(req)
  local form = req.valid.form
  catalogue.add { name = form.name, price = cents(form.price), stock = 0, note = form.note }
  return ml.web.redirect("/admin", 303)
end)

app:post("/items/{id:int}/deliveries", { hidden = true, form = catalogue.Delivery }, function(req)
  catalogue.deliver(req.params.id, req.valid.form.count)
  return ml.web.redirect("/admin", 303)
end)

app:post("/jobs/{id:int}/retry", { hidden = true }, function(req)
  local found, err = stores.jobs:retry(req.params.id)
  if err then error(err, 0) end
  if not found then ml.web.abort(404, "this job is over") end
  return ml.web.redirect("/admin", 303)
end)

return app
