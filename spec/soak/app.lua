-- The app of the soaks: routes of every kind, each with an answer that can be checked.
local lfs = require "lfs"
local ml = require "moonloop"

local here = (...):match "^(.*)/[^/]*$" or "."
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

local CHUNK = ("streamed "):rep(1000)

-- More than a client's socket holds when it does not read.
app:get("/stream", function()
  return ml.web.response { stream = function(out)
    for _ = 1, 200 do out:write(CHUNK) end
  end }
end)

app:get("/events", function()
  return ml.web.events(function(send)
    for i = 1, 5 do
      send(tostring(i))
      ml.sleep(0.001)
    end
  end, { ping = 0.5 })
end)

app:post("/chunks", function(req)
  local n = 0
  for chunk in req:chunks() do n = n + #chunk end
  return { bytes = n }
end)

app:post("/form", function(req)
  local form = assert(req:form())
  return { name = form.name, bytes = #form.file.body }
end)

-- A folder of the soak's own files.
app:static("/static", here)

-- A folder that is made, filled, read and removed.
app:get("/files", function()
  local folder <close> = assert(ml.fs.temp_dir())
  local name, text = folder.path .. "/file", ("text "):rep(20000)
  assert(ml.fs.write(name, "", { atomic = true }))
  do
    local file <close> = assert(ml.fs.open(name, "r+"))
    assert(file:write(text))
    assert(file:seek("set", 0))
    if assert(file:read "a") ~= text then error "a file has another content" end
  end
  if assert(ml.fs.stat(name)).size ~= #text then error "a file has another size" end
  assert(ml.fs.rename(name, name .. "r"))
  if #assert(ml.fs.list(folder.path)) ~= 1 then error "a folder has other files" end
  return assert(ml.fs.read(name .. "r"))
end)

-- A chain: an app of its own with middleware, mounted.
local inner = ml.web.app()
for i = 1, 3 do
  inner:use(function(req, next)
    local res = next(req)
    res.headers["X-Layer-" .. i] = "passed"
    return res
  end)
end
inner:get("/text", function() return "inner" end)
inner:get("/raise", function() error({ odd = true }) end)
inner:on_error(function(err)
  if type(err) == "table" and err.odd then return { raised = true }, 418 end
end)
app:mount("/inner", inner)

-- The client and the server in one: a request of its own.
local client = ml.http.client { timeout = 5, headers = { Connection = "close" } }
app:get("/ask/{port:int}", function(req)
  local res, err = client:get(("http://127.0.0.1:%d/sleep"):format(req.params.port))
  if not res or not res.ok then ml.web.abort(502, err and err.message) end
  return res.body
end)

-- Nothing of a request that has ended may be left: what the checks look at.
app:get("/left", function()
  local descriptors, temporary = 0, os.getenv "TMPDIR" or "/tmp"
  for name in lfs.dir("/proc/self/fd") do
    local target = lfs.symlinkattributes("/proc/self/fd/" .. name, "target")
    local counts = target and (target:find("^socket:") or target:find(temporary, 1, true))
    if counts then descriptors = descriptors + 1 end
  end
  return ("%d tasks, %d sockets and files"):format(#ml.tasks(), descriptors)
end)

return app
