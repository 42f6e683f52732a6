-- What the shop has.
local ml = require "moonloop"
local needs = require "dependencies"
local schemas = require "schemas"

local s = ml.schema
local app = ml.web.app { tags = { { name = "items", description = "What the shop has" } } }

local may_write = needs.user:require "items:write"

app:get("/", {
  query = { q = s.string { max = 80 }:optional(), limit = s.int { min = 1, max = 100 }:default(50) },
  response = s.list(schemas.ItemOut), depends = { db = needs.db }, summary = "Items by name",
}, function(req, deps)
  local query = req.valid.query
  return assert(deps.db:query("select * from items where instr(name, $1) > 0 order by name limit $2",
    query.q or "", query.limit))
end)

app:get("/{id:int}", {
  response = { [200] = schemas.ItemOut, [404] = ml.web.detail }, depends = { db = needs.db },
}, function(req, deps)
  local item = assert(deps.db:query("select * from items where id = $1", req.params.id))[1]
  return item or ml.web.abort(404, "no such item")
end)

app:post("/", {
  body = schemas.Item, response = { [201] = schemas.ItemOut, [409] = ml.web.detail },
  depends = { tx = needs.tx, user = may_write },
}, function(req, deps)
  return assert(deps.tx:insert("items", req.valid.body, { returning = "*" }))[1], 201
end)

app:patch("/{id:int}", {
  body = schemas.ItemChange, response = { [200] = schemas.ItemOut, [404] = ml.web.detail },
  depends = { tx = needs.tx, user = may_write }, summary = "Change what is sent, and nothing else",
}, function(req, deps)
  local changes, id = req.valid.body, req.params.id
  if next(changes) then assert(deps.tx:update("items", changes, { id = id })) end
  return assert(deps.tx:query("select * from items where id = $1", id))[1] or ml.web.abort(404, "no such item")
end)

return app
