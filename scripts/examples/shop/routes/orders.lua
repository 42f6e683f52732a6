-- What users have ordered.
local ml = require "moonloop"
local accounts = require "accounts"
local needs = require "dependencies"
local schemas = require "schemas"

local s = ml.schema
local app = ml.web.app { tags = { { name = "orders", description = "What users have ordered" } } }

app:post("/", {
  body = schemas.NewOrder,
  response = { [201] = schemas.Order, [404] = ml.web.detail, [409] = ml.web.detail },
  depends = { tx = needs.tx, user = needs.user },
}, function(req, deps)
  return accounts.order(deps.tx, deps.user.name, req.valid.body.item_id, req.valid.body.count), 201
end)

app:get("/", { response = s.list(schemas.Order), depends = { db = needs.db, user = needs.user } },
  function(_, deps) return accounts.orders(deps.db, deps.user.name) end)

return app
