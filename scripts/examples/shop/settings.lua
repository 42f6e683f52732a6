-- What the shop is told from outside: SHOP_DATABASE and the like, in the environment or in shop.env.
local ml = require "moonloop"
local s = ml.schema

local here = debug.getinfo(1, "S").source:match "^@(.*)/" or "."

return ml.settings { {
  { "database", s.string { secret = true }:default "sqlite:shop.db" },
  { "token_key", s.string { min = 32, secret = true } },
  { "session_key", s.string { min = 32, secret = true } },
  { "token_minutes", s.int { min = 1 }:default(30) },
}, env_prefix = "SHOP_", dotenv = here .. "/shop.env", secrets_dir = "/run/secrets" }
