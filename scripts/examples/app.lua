-- An API. Run it with: moonloop serve scripts/examples/app.lua
local ml = require "moonloop"
local s = ml.schema

local app = ml.web.app()

app:get("/plaintext", function() return "Hello, World!" end)

app:get("/json", function()
  return { message = "Hello, World!", n = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 } }
end)

app:get("/users/{id}", { query = { q = s.string():optional() } }, function(req)
  return { id = req.params.id, q = req.valid.query.q }
end)

-- curl --json '{"items": [1, 2, 39]}' http://127.0.0.1:8000/sum
-- A body that does not fit is a 422 that says why.
app:post("/sum", { body = s.object { items = s.list(s.number()) }, response = s.object { sum = s.number() } },
  function(req)
    local sum = 0
    for _, item in ipairs(req.valid.body.items) do sum = sum + item end
    return { sum = sum }
  end)

-- A tenth of a second, spent in three ways. benchmark.lua sends each a hundred requests at once.

local function work()
  local stop = ml.now() + 0.1
  while ml.now() < stop do end
  return { done = true }
end

-- Nothing else runs meanwhile: a hundred of these take ten seconds.
app:get("/test/blocking", work)

-- Other threads do the work: ten seconds divided by the threads, and the loop stays free.
app:get("/test/offload", { offload = true }, work)

-- Waiting takes no CPU time: a hundred of these take a tenth of a second.
app:get("/test/async", function()
  ml.sleep(0.1)
  return { done = true }
end)

return app
