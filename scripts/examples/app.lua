-- An API, to be served: moonloop serve scripts/examples/app.lua
local ml = require "moonloop"

local app = ml.web.app()

app:get("/plaintext", function() return "Hello, World!" end)

app:get("/json", function()
  return { message = "Hello, World!", n = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 } }
end)

app:get("/users/{id}", function(req)
  return { id = req.params.id, q = req.query.q }
end)

-- curl -d '{"items": [1, 2, 39]}' http://127.0.0.1:8000/sum
app:post("/sum", function(req)
  local body, err = req:json()
  if not body then ml.web.abort(400, err.message) end
  if type(body) ~= "table" or type(body.items) ~= "table" then
    ml.web.abort(422, "the body must be an object with a list called items")
  end
  local sum = 0
  for i, item in ipairs(body.items) do
    if type(item) ~= "number" then ml.web.abort(422, "item " .. i .. " is not a number") end
    sum = sum + item
  end
  return { sum = sum }
end)

-- The same tenth of a second, spent in three ways. benchmark.lua asks each a hundred times at once.

local function work()
  local stop = ml.now() + 0.1
  while ml.now() < stop do end
  return { done = true }
end

-- Nothing else runs meanwhile: a hundred of these take ten seconds.
app:get("/test/blocking", work)

-- Other threads do it: ten seconds divided by the threads, and the loop stays free.
app:get("/test/offload", { offload = true }, work)

-- Waiting is no work: a hundred of these take a tenth of a second.
app:get("/test/async", function()
  ml.sleep(0.1)
  return { done = true }
end)

return app
