-- The app of the soaks: routes of every kind, each with an answer that can be checked.
local ml = require "moonloop"

local app = ml.web.app()

app:get("/plain", function() return "plain" end)

app:get("/json", function() return { list = { 1, 2, 3 }, text = "text" } end)

app:get("/users/{id:int}", function(req)
  return { id = req.params.id, q = req.query.q, agent = req.headers["user-agent"] ~= nil }
end)

app:post("/sum", function(req)
  local sum = 0
  for _, item in ipairs(assert(req:json()).items) do sum = sum + item end
  return { sum = sum }
end)

app:post("/echo", function(req) return req.body end)

app:get("/sleep", function()
  ml.sleep(0.003)
  return "slept"
end)

app:get("/children", function()
  local a, b = ml.gather(function()
    ml.sleep(0.002)
    return 1
  end, function()
    local queue = ml.queue(1)
    ml.spawn(function() queue:put(2) end):await()
    return queue:get()
  end)
  return { sum = a + b }
end)

app:get("/large", function() return ("0123456789abcdef"):rep(40000) end)

app:get("/offload", { offload = true }, function()
  local sum = 0
  for i = 1, 1000 do sum = sum + i end
  return { sum = sum }
end)

app:get("/deadline", { deadline = 1 }, function()
  ml.sleep(0.001)
  return "in time"
end)

app:get("/abort", function() return ml.web.abort(418, { why = "tea" }) end)

-- The client and the server in one: a request of its own.
local client = ml.http.client { max_connections = 8, timeout = 5 }
app:get("/ask/{port:int}", function(req)
  local res, err = client:get(("http://127.0.0.1:%d/sleep"):format(req.params.port))
  if not res then ml.web.abort(502, err.message) end
  return res.body
end)

-- Nothing of a request that has ended may be left: what the checks look at.
app:get("/state", function()
  local sockets = 0
  for _ in io.popen("ls -l /proc/$PPID/fd"):lines() do sockets = sockets + 1 end
  collectgarbage()
  collectgarbage()
  return { tasks = #ml.tasks(), descriptors = sockets, lua = collectgarbage "count", dump = ml.dump() }
end)

return app
