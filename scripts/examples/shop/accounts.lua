-- Who there is: accounts, passwords, tokens for the API, and the role that may run the shop.
local ml = require "moonloop"
local settings = require "settings"
local stores = require "stores"

local s, db = ml.schema, stores.db
local M = {}

local NewUser = s.object("NewUser", {
  { "name", s.string { min = 1, max = 40, pattern = "^[a-z][a-z0-9]*$" } },
  { "password", s.string { min = 8, max = 200, secret = true } },
})
local User = s.object("User", { { "id", s.int() }, { "name", s.string() }, { "role", s.string() } })
local Token = s.object("Token", { { "access_token", s.string() }, { "token_type", s.const "bearer" } })

M.NewUser = NewUser

--- Adds an account: its row. A 409 where the name is taken. The password is hashed on a thread of its own, before the
-- database is asked for anything: a hash takes as long as many statements.
function M.register(name, password, role)
  local user = { name = name, password = ml.password.hash(password), role = role or "customer" }
  local rows, err = db:insert("users", user, { returning = { "id", "name", "role" } })
  if rows then return rows[1] end
  if err.kind == "unique" then ml.web.abort(409, "there is a user with this name") end
  error(err, 0)
end

--- The account of this name and password, or nil. It takes as long for a name that nobody has.
function M.check(name, password)
  local user, err = db:one("select * from users where name = $1", name)
  if err then error(err, 0) end
  return ml.password.verify(password, user and user.password) and user or nil
end

--- The account of this id, or nil.
function M.find(id)
  local user, err = db:one("select id, name, role from users where id = $1", id)
  if err then error(err, 0) end
  return user
end

--- Middleware against guessing passwords: five tries a minute for the name in this field of the form, wherever they
-- come from.
function M.few_tries(field)
  return ml.web.rate_limit { name = "login", rate = 5, per = 60, store = stores.redis or "memory",
    key = function(req) return req:form()[field] end }
end

--- The user of a token of the API: {id =, scopes =}. What a token says holds until it expires, without a look into the
-- database.
M.user = ml.web.security.oauth2_password {
  token_url = "/api/token",
  scopes = { admin = "Run the shop" },
  verify = function(token)
    local claims, err = ml.jwt.verify(token, { algorithms = { "HS256" }, key = settings.token_key, audience = "shop" })
    if not claims then return nil, err end
    return { id = math.tointeger(tonumber(claims.sub)), scopes = claims.scope }
  end,
}
M.admin = M.user:require "admin"

M.routes = ml.web.app { tags = { { name = "accounts", description = "Who there is" } } }

M.routes:post("/users", { summary = "Register", body = NewUser, response = { [201] = User, [409] = ml.web.detail } },
  function(req) return M.register(req.valid.body.name, req.valid.body.password), 201 end)

M.routes:get("/users/me", { summary = "Who am I?", response = User, depends = { user = M.user } },
  function(_, deps) return M.find(deps.user.id) or ml.web.abort(401, "this account is gone") end)

M.routes:post("/token", {
  summary = "A token for a name and a password", form = ml.web.security.password_form,
  response = { [200] = Token, [401] = ml.web.detail }, use = { M.few_tries "username" },
}, function(req)
  local user = M.check(req.valid.form.username, req.valid.form.password)
  if not user then ml.web.abort(401, "wrong name or password", { ["WWW-Authenticate"] = "Bearer" }) end
  local claims = { sub = tostring(user.id), scope = user.role == "admin" and "admin" or "", aud = "shop" }
  return { access_token = ml.jwt.sign(claims, settings.token_key, { expires_in = 900 }), token_type = "bearer" }
end)

return M
