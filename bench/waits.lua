-- A tenth of a second, waited for in the ways that tutorials compare; fastapi_app.py has the same.
--
-- Plain Lua has no call that blocks its thread and computes nothing, but this one, which waits for a
-- program that sleeps.
local ml = require "moonloop"

local app = ml.web.app()

local function block()
  assert(os.execute "sleep 0.1")
  return { data = "ok" }
end

app:get("/wait/blocking", block)
app:get("/wait/offloaded", { offload = true }, block) -- the pool grows to 40 threads when it sees that they block

local many = ml.executor.new { threads = 40 } -- from the start, as FastAPI has for plain `def`
app:get("/wait/pool", function() return many:run(block) end)

app:get("/wait/async", function()
  ml.sleep(0.1)
  return { data = "ok" }
end)

return app
