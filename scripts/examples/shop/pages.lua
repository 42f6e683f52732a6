-- The shop for browsers.
local ml = require "moonloop"
local accounts = require "accounts"
local cart = require "cart"
local catalogue = require "catalogue"
local orders = require "orders"
local site = require "site"

local s = ml.schema
local app = site.app()

app:get("/", { hidden = true, query = { q = s.string { max = 80 }:optional() } }, function(req)
  local q = req.valid.query.q
  return site.page(req, "shop.html", { items = catalogue.list(q, nil, 100), q = q })
end)

local Login = { name = s.string { max = 200 }, password = s.string { max = 200, secret = true } }

local function log_in(req, user)
  req.session.user = user.id
  ml.web.session(req):regenerate() -- whoever has planted the id of the session before knows nothing now
  return ml.web.redirect("/", 303)
end

app:get("/login", { hidden = true }, function(req) return site.page(req, "login.html", {}) end)

app:post("/login", { hidden = true, form = Login, use = { accounts.few_tries "name" } }, function(req)
  local form = req.valid.form
  local user = accounts.check(form.name, form.password)
  if user then return log_in(req, user) end
  return site.page(req, "login.html", { name = form.name, is_wrong = true }, 401)
end)

app:post("/register", { hidden = true, form = accounts.NewUser }, function(req)
  return log_in(req, accounts.register(req.valid.form.name, req.valid.form.password))
end)

app:post("/logout", { hidden = true }, function(req)
  ml.web.session(req):destroy()
  return ml.web.redirect("/", 303)
end)

local needs_user = { user = site.user }

app:get("/cart", { hidden = true, depends = needs_user }, function(req, deps)
  return site.page(req, "cart.html", { cart = cart.of(deps.user.id) })
end)

app:post("/cart/{id:int}", { hidden = true, form = cart.Count, depends = needs_user }, function(req, deps)
  cart.put(deps.user.id, req.params.id, req.valid.form.count)
  return ml.web.redirect("/cart", 303)
end)

app:post("/cart/{id:int}/remove", { hidden = true, depends = needs_user }, function(req, deps)
  cart.remove(deps.user.id, req.params.id)
  return ml.web.redirect("/cart", 303)
end)

app:get("/orders", { hidden = true, depends = needs_user }, function(req, deps)
  return site.page(req, "orders.html", { orders = orders.of(deps.user.id) })
end)

app:post("/orders", { hidden = true, form = orders.NewOrder, depends = needs_user }, function(req, deps)
  orders.place(deps.user.id, req.valid.form.card, req.valid.form.total)
  return ml.web.redirect("/orders", 303)
end)

return app
