-- app:health: what probes learn about an app that starts, runs and stops.
local ml = require "moonloop"
local rawtcp = require "spec.support".rawtcp
local support = require "spec.support.web"
local web = ml.web

local function ask(conn, target)
  assert(conn:send(support.request("GET", target)))
  return assert(support.receive(conn))
end

--- A port that nothing listens on.
local function free_port()
  local listener = rawtcp.listen()
  local port = listener.port
  listener:close()
  return port
end

--- Serves `app`, whose app:on_start waits, at a port that is known before: that, and the task that
-- listens.
local function starting(app)
  for _ = 1, 20 do -- another process may be faster
    local port = free_port()
    local task = ml.spawn(function() return assert(web.listen(app, { port = port })) end)
    ml.sleep(0) -- it listens at once, and waits
    if task:status() == "suspended" then return port, task end
    pcall(task.await, task)
  end
  error("no port is free")
end

describe("app:health", function()
  it("answers 200 at /healthz, without middleware, also for HEAD", function()
    local app, asked = web.app(), 0
    app:use(function(req, next)
      asked = asked + 1
      if not req.headers.authorization then web.abort(401) end
      return next(req)
    end)
    assert.equal(app, app:health())
    app:get("/", function() return "x" end)
    support.serving(app, function(port)
      local res = support.get(port, "/healthz")
      assert.same({ 200, '{"status":"ok"}', "no-store" }, { res.status, res.body, res.headers["cache-control"] })
      assert.equal(200, support.ask(port, support.request("HEAD", "/healthz"), true).status)
      assert.equal(0, asked)
      assert.equal(401, support.get(port, "/").status)
    end)
  end)

  it("may be at another path, below a mount, and at several", function()
    local app, sub = web.app(), web.app()
    app:health("/live"):health("/ready")
    sub:health()
    app:mount("/sub", sub)
    support.serving(app, function(port)
      for _, path in ipairs { "/live", "/ready", "/sub/healthz" } do
        assert.equal(200, support.get(port, path).status, path)
      end
      assert.equal(404, support.get(port, "/healthz").status)
    end)
  end)

  it("is checked as a route is", function()
    assert.error_matches(function() web.app():health "live" end, "'live': a path starts with '/'")
    assert.error_matches(function() web.app():health(1) end, "the path of a route is a number")
    assert.error_matches(function() web.app():health():health() end, "the route GET /healthz already exists")
  end)

  it("answers 503 while app:on_start runs, as all other paths do, and 200 after it", function()
    local app, sub, gate = web.app(), web.app(), ml.event()
    app:health()
    sub:health("/live")
    app:mount("/sub", sub)
    app:get("/", function() return "ready" end)
    app:on_start(function() gate:wait() end)
    local port, task = starting(app)
    local conn <close> = assert(rawtcp.connect(port))
    for _, path in ipairs { "/healthz", "/sub/live" } do
      local res = ask(conn, path)
      assert.same({ 503, '{"status":"starting"}' }, { res.status, res.body })
    end
    local res = ask(conn, "/")
    assert.same({ 503, '{"detail":"Service Unavailable"}', "1" }, { res.status, res.body, res.headers["retry-after"] })
    gate:set()
    local server = task:await()
    assert.equal(200, ask(conn, "/healthz").status)
    assert.equal("ready", ask(conn, "/").body)
    server:stop(0)
  end)

  it("answers 503 while the server stops", function()
    local app, gate, started = web.app(), ml.event(), ml.event()
    app:health()
    app:get("/slow", function()
      started:set()
      gate:wait()
      return "done"
    end)
    local server = assert(web.listen(app, { port = 0 }))
    local conn <close> = assert(rawtcp.connect(server.port))
    assert.equal(200, ask(conn, "/healthz").status)
    local slow = ml.spawn(support.get, server.port, "/slow")
    started:wait()
    local retiring = ml.spawn(function() server:retire(60) end)
    ml.sleep(0)
    local res = ask(conn, "/healthz")
    assert.same({ 503, '{"status":"stopping"}' }, { res.status, res.body })
    gate:set()
    assert.equal("done", slow:await().body)
    retiring:await()
  end)

  it("releases the port if app:on_start fails or is cancelled", function()
    local app, gate = web.app(), ml.event()
    app:health()
    app:on_start(function()
      gate:wait()
      error("no database", 0)
    end)
    local port, task = starting(app)
    gate:set()
    local ok, err = pcall(task.await, task)
    assert.is_false(ok)
    assert.equal("no database", err)
    gate:clear()
    local again, other = starting(app)
    other:cancel()
    assert.is_false(pcall(other.await, other))
    for _, closed in ipairs { port, again } do
      assert(ml.timeout(100, function()
        while true do
          local conn = rawtcp.connect(closed)
          if not conn then return true end
          conn:close()
          ml.sleep(0.005)
        end
      end))
    end
  end)

  it("makes a port that is taken be noticed before app:on_start runs", function()
    local first = assert(web.listen(web.app(), { port = 0 }))
    local app, started = web.app(), false
    app:health():on_start(function() started = true end)
    local server, err = web.listen(app, { port = first.port })
    assert.is_nil(server)
    assert.equal("EADDRINUSE", err.code)
    assert.is_false(started)
    first:stop(0)
  end)
end)
