-- The inspector's page in a browser: see spec/support/npm/inspector.mjs.
local inspector = require "spec.support.inspector"
local npm = require "spec.support.npm"

local APP = [[
  local function nap() ml.sleep(1000) end
  app:get("/spawn/{n:int}", function(req)
    for _ = 1, req.params.n do ml.spawn(nap) end
    ml.sleep(1000)
  end)
  app:get("/report/{year:int}", function(req)
    local until_ = ml.now() + req.query.s
    while ml.now() < until_ do end
    return "report"
  end)
  app:get("/quick", function() return ml.executor.run(function() return "ok" end) end)]]

npm.block(describe, pending, "the inspector's page", function()
  it("says who holds up the loop, opens groups, shows tracebacks, asks before it cancels", function()
    local served <close> = inspector.start(APP, "--block-limit 100")
    assert.equal("done\n", npm.run("inspector.mjs", served.url, served.page .. "/#" .. served.token))
  end)
end)
