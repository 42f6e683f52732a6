-- The app that the benchmarks serve: build/release/moonloop serve bench/app.lua
--
-- UPSTREAM is the address that /fanout asks three times ("http://127.0.0.1:9999").
local ml = require "moonloop"

local app = ml.web.app()

app:get("/plaintext", function() return "Hello, World!" end)

app:get("/json", function()
  return { message = "Hello, World!", n = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 } }
end)

app:get("/sleep", function()
  ml.sleep(0.1)
  return { data = "ok" }
end)

app:get("/users/{id}", function(req)
  return { id = req.params.id, q = req.query.q }
end)

app:post("/sum", function(req)
  local items, sum = assert(req:json()).items, 0
  for i = 1, #items do sum = sum + items[i] end
  return { sum = sum }
end)

require "order"(app)

local upstream = ml.http.client {
  base_url = os.getenv "UPSTREAM" or "http://127.0.0.1:9999",
  max_connections = 2048,
}

local function ask(i)
  return assert(upstream:get("/up?i=" .. i)):json()
end

app:get("/fanout", function()
  local a, b, c = ml.gather({ ask, 1 }, { ask, 2 }, { ask, 3 })
  return { a = a, b = b, c = c }
end)

local function fib(n)
  if n < 2 then return n end
  return fib(n - 1) + fib(n - 2)
end

local function compute(req) return { fib = fib(math.tointeger(tonumber(req.query.n))) } end

app:get("/fib", compute)
app:get("/offload/fib", { offload = true }, compute)
app:get("/sliced/fib", { slice = 0.002 }, compute)

app:post("/upload", { max_body = 1 << 30 }, function(req)
  local bytes = 0
  for chunk in req:chunks() do bytes = bytes + #chunk end
  return { bytes = bytes }
end)

local piece = ("x"):rep(65536)

app:get("/download", function()
  return ml.web.response {
    headers = { ["Content-Type"] = "application/octet-stream" },
    stream = function(out)
      for _ = 1, 160 do out:write(piece) end
    end,
  }
end)

return app
