-- A client for an API: what all its requests have in common, retries, bodies in pieces.
local ml = require "moonloop"

-- A local API, so that the example works offline. It is overloaded at first.
local app, attempts = ml.web.app(), 0
app:get("/status", function()
  attempts = attempts + 1
  if attempts < 3 then ml.web.abort(503) end
  return { attempts = attempts }
end)
app:post("/upper", function(req)
  return ml.web.response { stream = function(out)
    for chunk in req:chunks() do out:write(chunk:upper()) end
  end }
end)
local server = assert(ml.web.listen(app, { port = 0 }))

local api <close> = ml.http.client {
  base_url = ("http://127.0.0.1:%d"):format(server.port),
  auth = "a-token",
  retries = { attempts = 5, base = 0.01 },
  hooks = { response = function(res, request) print(request.method, request.url:match("[^/]*$"), res.status) end },
}

print("attempts:", assert(api:get("/status")):json().attempts)

-- The body is produced as the server takes it, and the response is read as it comes.
local words = { "one ", "two ", "three" }
local res <close> = assert(api:post("/upper", {
  stream = true,
  body = function() return table.remove(words, 1) end,
}))
for chunk in res:chunks() do io.write(chunk) end
print()

server:stop()
