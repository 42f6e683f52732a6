-- What handlers need: the database, a transaction, the user. Specs override them.
local ml = require "moonloop"
local settings = require "settings"

local M = {}

M.db = ml.web.dependency { name = "db", function()
  M.opened = M.opened or ml.sql.open(settings.database)
  return M.opened
end }

--- A transaction around the handler: committed before the answer is sent, taken back after an error.
M.tx = ml.web.dependency { name = "tx", needs = { db = M.db }, function(_, deps)
  local tx = assert(deps.db:begin())
  return tx, function(err)
    if err then return tx:rollback() end
    assert(tx:commit())
  end
end }

--- The user of a token: {name, scopes}.
M.user = ml.web.security.oauth2_password {
  token_url = "/api/token",
  scopes = { ["items:write"] = "Add and change items" },
  verify = function(token)
    local claims, err = ml.jwt.verify(token, { algorithms = { "HS256" }, key = settings.token_key, audience = "shop" })
    if not claims then return nil, err end
    return { name = claims.sub, scopes = claims.scope }
  end,
}

return M
