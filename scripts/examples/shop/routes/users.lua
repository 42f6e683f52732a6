-- Who there is.
local ml = require "moonloop"
local accounts = require "accounts"
local needs = require "dependencies"
local schemas = require "schemas"

local app = ml.web.app { tags = { { name = "users", description = "Who there is" } } }

local function words(text)
  local list = ml.json.array {}
  for word in text:gmatch "%S+" do list[#list + 1] = word end
  return list
end

app:post("/", {
  body = schemas.NewUser, response = { [201] = schemas.User, [409] = ml.web.detail }, depends = { tx = needs.tx },
  summary = "Add a user; the first one may change items",
}, function(req, deps)
  local user = accounts.add(deps.tx, req.valid.body.name, req.valid.body.password)
  return { name = user.name, scopes = words(user.scopes) }, 201
end)

app:get("/me", { response = schemas.User, depends = { user = needs.user } }, function(_, deps)
  return { name = deps.user.name, scopes = words(deps.user.scopes) }
end)

return app
