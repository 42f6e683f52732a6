-- What comes in and goes out. Prices are in cents.
local s = require "moonloop".schema

local M = {}

M.NewUser = s.object("NewUser", {
  { "name", s.string { min = 1, max = 40, pattern = "^[a-z][a-z0-9]*$" } },
  { "password", s.string { min = 8, max = 200, secret = true } },
})

M.User = s.object("User", { { "name", s.string() }, { "scopes", s.list(s.string()) } })

M.Token = s.object("Token", { { "access_token", s.string() }, { "token_type", s.const "bearer" } })

M.Item = s.object("Item", {
  { "name", s.string { min = 1, max = 80 } },
  { "price", s.int { min = 1, description = "in cents" } },
  { "stock", s.int { min = 0 }:default(0) },
  { "note", s.string { max = 500 }:optional():nullable() },
})

M.ItemOut = M.Item:extend("ItemOut", { { "id", s.int { min = 1 } } })

M.ItemChange = M.Item:partial "ItemChange"

M.NewOrder = s.object("NewOrder", { { "item_id", s.int { min = 1 } }, { "count", s.int { min = 1, max = 100 } } })

M.Order = M.NewOrder:extend("Order", { { "id", s.int { min = 1 } }, { "total", s.int { description = "in cents" } } })

return M
