-- The shop for browsers: pages by templates, a login kept in a session.
local ml = require "moonloop"
local accounts = require "accounts"
local needs = require "dependencies"
local settings = require "settings"

local s = ml.schema
local here = debug.getinfo(1, "S").source:match "^@(.*)/routes/" or "."
local app = ml.web.app()

local views = ml.web.templates(here .. "/views", { globals = {
  money = function(cents) return ("%d.%02d"):format(cents // 100, cents % 100) end,
} })

app:use(ml.web.sessions { store = "cookie", secret = settings.session_key })
app:use(ml.web.csrf {})

--- A page with what its layout needs.
local function page(req, name, values, status)
  values.user, values.csrf_token = req.session.user, ml.web.csrf_token(req)
  return ml.web.page(views, name, values, status)
end

app:get("/", { hidden = true, depends = { db = needs.db } }, function(req, deps)
  return page(req, "items.html", {
    items = assert(deps.db:query "select * from items order by name"),
    orders = req.session.user and accounts.orders(deps.db, req.session.user) or {},
  })
end)

app:post("/login", {
  hidden = true, form = { name = s.string(), password = s.string { secret = true } }, depends = { db = needs.db },
}, function(req, deps)
  local user = accounts.check(deps.db, req.valid.form.name, req.valid.form.password)
  if not user then return page(req, "login.html", { name = req.valid.form.name, failed = true }, 401) end
  req.session.user = user.name
  ml.web.session(req):regenerate()
  return ml.web.redirect("/", 303)
end)

app:get("/login", { hidden = true }, function(req) return page(req, "login.html", {}) end)

app:post("/logout", { hidden = true }, function(req)
  ml.web.session(req):destroy()
  return ml.web.redirect("/", 303)
end)

app:post("/buy", {
  hidden = true, form = { item_id = s.int(), count = s.int { min = 1, max = 100 } }, depends = { tx = needs.tx },
}, function(req, deps)
  if not req.session.user then return ml.web.redirect("/login", 303) end
  accounts.order(deps.tx, req.session.user, req.valid.form.item_id, req.valid.form.count)
  return ml.web.redirect("/", 303)
end)

return app
