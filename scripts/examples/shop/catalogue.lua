-- What the shop has.
local ml = require "moonloop"
local accounts = require "accounts"
local stock = require "stock"
local stores = require "stores"

local s, db = ml.schema, stores.db
local M = {}

local Item = s.object("Item", {
  { "name", s.string { min = 1, max = 80 } },
  { "price", s.int { min = 1, max = 100000000, description = "in cents" } },
  { "stock", s.int { min = 0, max = 1000000 }:default(0) },
  { "note", s.string { max = 500 }:optional():nullable() },
})
local ItemOut = Item:extend("ItemOut", { { "id", s.int() } })
local Delivery = s.object("Delivery", { { "count", s.int { min = 1, max = 1000000 } } })

M.Item, M.Delivery = Item, Delivery

local function unique(err)
  if err.kind == "unique" then ml.web.abort(409, "there is an item with this name") end
  error(err, 0)
end

--- Items by name, at most `limit`: those with `q` in their names, behind the name `after`.
function M.list(q, after, limit)
  return assert(db:query([[select * from items where name > $1 and lower(name) like lower($2) escape '\'
    order by name limit $3]], after or "", "%" .. (q or ""):gsub("[\\%%_]", "\\%0") .. "%", limit))
end

function M.find(id)
  local item, err = db:one("select * from items where id = $1", id)
  if err then error(err, 0) end
  return item or ml.web.abort(404, "no such item")
end

function M.add(item)
  local rows, err = db:insert("items", item, { returning = "*" })
  return rows and rows[1] or unique(err)
end

--- More of an item. The stock is never set, only changed, so that orders meanwhile are not forgotten.
function M.deliver(id, count)
  return stock.tx(function(_, change) return change(id, count) or ml.web.abort(404, "no such item") end)
end

M.routes = ml.web.app { tags = { { name = "catalogue", description = "What the shop has" } } }

M.routes:get("/", {
  summary = "Items by name", response = s.list(ItemOut),
  query = { q = s.string { max = 80 }:optional(), after = s.string { max = 80 }:optional(),
    limit = s.int { min = 1, max = 100 }:default(50) },
}, function(req) return M.list(req.valid.query.q, req.valid.query.after, req.valid.query.limit) end)

M.routes:get("/{id:int}", { summary = "An item", response = { [200] = ItemOut, [404] = ml.web.detail } },
  function(req) return M.find(req.params.id) end)

M.routes:post("/", {
  summary = "Add an item", body = Item, response = { [201] = ItemOut, [409] = ml.web.detail },
  depends = { accounts.admin },
}, function(req) return M.add(req.valid.body), 201 end)

M.routes:patch("/{id:int}", {
  summary = "Change what is sent, and nothing else", body = Item:omit({ "stock" }):partial "ItemChange",
  response = { [200] = ItemOut, [404] = ml.web.detail, [409] = ml.web.detail }, depends = { accounts.admin },
}, function(req)
  if next(req.valid.body) then
    local n, err = db:update("items", req.valid.body, { id = req.params.id })
    if not n then unique(err) end
  end
  return M.find(req.params.id)
end)

M.routes:post("/{id:int}/deliveries", {
  summary = "More of an item has come", body = Delivery, response = { [200] = ItemOut, [404] = ml.web.detail },
  depends = { accounts.admin },
}, function(req)
  M.deliver(req.params.id, req.valid.body.count)
  return M.find(req.params.id)
end)

return M
