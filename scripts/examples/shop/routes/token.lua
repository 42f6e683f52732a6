-- Tokens for those who know their password.
local ml = require "moonloop"
local accounts = require "accounts"
local needs = require "dependencies"
local schemas = require "schemas"
local settings = require "settings"

local app = ml.web.app { tags = { "users" } }

app:post("/", {
  form = ml.web.security.password_form, response = { [200] = schemas.Token, [401] = ml.web.detail },
  depends = { db = needs.db }, summary = "A token for a name and a password",
  use = { ml.web.rate_limit { rate = 20, per = 60 } },
}, function(req, deps)
  local form = req.valid.form
  local user = accounts.check(deps.db, form.username, form.password)
  if not user then
    ml.web.abort(401, "Incorrect username or password", { ["WWW-Authenticate"] = "Bearer" })
  end
  local token = ml.jwt.sign({ sub = user.name, scope = user.scopes, aud = "shop" }, settings.token_key,
    { expires_in = settings.token_minutes * 60 })
  return { access_token = token, token_type = "bearer" }
end)

return app
