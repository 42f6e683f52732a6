-- A shop with an API, its documentation, and pages: typed routes in several files, SQLite, tokens, sessions.
--   cd scripts/examples/shop
--   moonloop serve app.lua --docs         # http://127.0.0.1:8000/ and /docs
--   moonloop test spec                    # its specs, without a server
--   curl http://127.0.0.1:8000/api/users -H 'Content-Type: application/json' \
--     -d '{"name": "ann", "password": "correct horse"}'
-- The first user may add items. client/ has a client in TypeScript whose types come from the API's document.
local ml = require "moonloop"
local needs = require "dependencies"

local here = debug.getinfo(1, "S").source:match "^@(.*)/" or "."
local app = ml.web.app { title = "Shop", version = "1.0.0" }

app:use(ml.web.request_id())
app:use(ml.web.compress())

-- What the database refuses comes here from all handlers.
app:on_error(function(err)
  if err.kind == "unique" then return { detail = "there is one with this name" }, 409 end
end)

app:on_start(function()
  return app:scope({ db = needs.db }, function(deps) return deps.db:migrate(here .. "/migrations") end)
end)
app:on_stop(function()
  if needs.opened then needs.opened:close() end
  needs.opened = nil
end)

app:health()
app:mount("/api/users", require "routes.users")
app:mount("/api/token", require "routes.token")
app:mount("/api/items", require "routes.items")
app:mount("/api/orders", require "routes.orders")
app:mount("/", require "routes.pages")

return app
