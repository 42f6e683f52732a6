-- A shop: accounts, catalogue, carts, orders, live stock, and a page for those who run it. README.md says how to run
-- it, and in which order to read it. This file puts its parts together.
local ml = require "moonloop"
local settings = require "settings"
local stores = require "stores"

local here = debug.getinfo(1, "S").source:match "^@(.*)/" or "."
local app = ml.web.app { title = "Shop", version = "1.0.0", docs = true }

app:use(ml.web.request_id())
app:use(ml.web.compress())
app:health()
app:static("/static", here .. "/public", { max_age = 60 })

-- PostgreSQL takes no text with a NUL, which a client may send anywhere.
app:on_error(function(err)
  if err.kind == "sql" and err.code == "22021" then return { detail = "a text has a NUL" }, 422 end
end)

-- Many processes may start at once: one of them migrates, and the others wait.
app:on_start(function() return stores.db:migrate(here .. "/migrations") end)

app:mount("/api/items", require("catalogue").routes)
app:mount("/api/cart", require("cart").routes)
app:mount("/api/orders", require("orders").routes)
app:mount("/api", require("accounts").routes)
app:mount("/live/stock", require("stock").routes)
app:mount("/admin", require "admin")
app:mount("/", require "pages")

-- For Prometheus, which has a key. Traces need no line: OTEL_EXPORTER_OTLP_ENDPOINT turns them on.
local operations = ml.web.app()
operations:depends { ml.web.security.bearer {
  verify = function(key) return ml.web.security.equal(key, settings.metrics_key) end,
} }
operations:metrics "/"
app:mount("/metrics", operations)

return app
