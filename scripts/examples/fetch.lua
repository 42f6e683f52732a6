-- Three fetches one after the other, and the same three at once.
local ml = require "moonloop"

-- A local server to fetch from, so that the example works offline. It is slow on purpose.
local upstream = ml.web.app()
upstream:get("/items/{id:int}", function(req)
  ml.sleep(0.1)
  return { id = req.params.id }
end)
local server = assert(ml.web.listen(upstream, { port = 0 }))
local url = ("http://127.0.0.1:%d/items/"):format(server.port)

local function fetch(id)
  local res = assert(ml.http.get(url .. id))
  return res:json().id
end

local start = ml.now()
local a, b, c = fetch(1), fetch(2), fetch(3)
print(("one after the other: %d %d %d in %.1f s"):format(a, b, c, ml.now() - start))

start = ml.now()
a, b, c = ml.gather({ fetch, 1 }, { fetch, 2 }, { fetch, 3 })
print(("at once:             %d %d %d in %.1f s"):format(a, b, c, ml.now() - start))

server:stop()
