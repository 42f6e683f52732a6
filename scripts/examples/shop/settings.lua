-- What the shop is told from outside: variables of the environment, shop.env for trying it, or /run/secrets.
local ml = require "moonloop"
local s = ml.schema

local here = debug.getinfo(1, "S").source:match "^@(.*)/" or "."

return ml.settings { {
  { "database_url", s.string { secret = true }:default "sqlite:shop.db" },
  { "redis_url", s.string { secret = true }:optional() }, -- needed as soon as there is more than one machine
  { "token_key", s.string { min = 32, secret = true } },
  { "metrics_key", s.string { min = 16, secret = true } },
  { "payments_url", s.url():optional() }, -- without it payments are played
  { "payments_key", s.string { secret = true }:optional() },
  { "cart_hours", s.number { gt = 0 }:default(24) },
}, dotenv = here .. "/shop.env", secrets_dir = "/run/secrets" }
