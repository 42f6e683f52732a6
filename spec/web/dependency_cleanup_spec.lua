-- Clean-up of dependencies: when it runs, what it gets, and what becomes of its errors.
local clock = require "moonloop.clock"
local ml = require "moonloop"
local support = require "spec.support.web"
local keep_reports = require "reports".keep
local rawtcp = require("spec.support").rawtcp
local web = ml.web

local LARGE = ("x"):rep(16 * 1024 * 1024) -- more than the system takes for a client that does not read

--- A log, and a function that makes dependencies which note there how they were cleaned up.
local function logging()
  local log = {}
  return log, function(name, spec)
    spec = spec or {}
    spec.name = name
    spec[1] = function()
      return name, function(err) log[#log + 1] = name .. (err and ": " .. tostring(err) or "") end
    end
    return web.dependency(spec)
  end
end

--- Waits until `f()` is true.
local function wait_until(f)
  assert(ml.timeout(100, function()
    while not f() do ml.sleep(0) end
    return true
  end))
end

describe("the clean-up of a dependency", function()
  it("runs in reverse, once, and gets the error of the request", function()
    local app = web.app()
    local log, make = logging()
    local a, b = make "a", make "b"
    local failing = web.dependency { name = "c", needs = { b = b }, function(req)
      if req.query.c then error("no c", 0) end
    end }
    app:get("/", { depends = { a = a, b = b, c = failing } }, function(req)
      if req.query.raise then error("boom", 0) end
      if req.query.raisenil then error(nil) end
      if req.query.abort then web.abort(404, "gone") end
      if req.query.returned then return nil, "returned" end
      if req.query.bad then return { f = print } end
      if req.query.empty then return nil, 202 end
      return "ok"
    end)
    support.serving(app, function(port)
      local reports <close> = keep_reports()
      for query, expected in pairs {
        [""] = "200 b a", ["?empty=1"] = "202 b a", ["?raise=1"] = "500 b: boom a: boom",
        ["?abort=1"] = "404 b: http: 404 gone a: http: 404 gone", ["?returned=1"] = "500 b: returned a: returned",
        ["?c=1"] = "500 b: no c a: no c", ["?raisenil=1"] = "500 b: nil was raised a: nil was raised",
      } do
        for i in pairs(log) do log[i] = nil end
        local res = support.get(port, "/" .. query)
        assert.equal(expected, res.status .. " " .. table.concat(log, " "))
      end
      for i in pairs(log) do log[i] = nil end
      assert.equal(500, support.get(port, "/?bad=1").status)
      assert.matches("b: the response of the handler of GET / .-: cannot encode a function", log[1])
      assert.equal(2, #log)
      assert.equal("", reports:text():match "clean%-up" or "")
    end)
  end)

  it("is over before anything of the response is written, with the scope 'response' after its last byte", function()
    local app = web.app()
    local log, make = logging()
    local sent = ml.event()
    app:get("/", { depends = { a = make("after", { scope = "response" }), b = make "before" } }, function(req)
      req:after(function() log[#log + 1] = "last" sent:set() end)
      return LARGE
    end)
    support.serving(app, function(port)
      local conn <close> = assert(rawtcp.connect(port))
      assert(conn:send(support.request("GET", "/")))
      wait_until(function() return log[1] end)
      for _ = 1, 10 do ml.sleep(0) end
      assert.same({ "before" }, log)
      assert.equal(#LARGE, #support.receive(conn).body)
      sent:wait()
      assert.same({ "before", "after", "last" }, log)
    end)
  end)

  it("may wait for as long as the client is there or has gone", function()
    local app, log = web.app(), {}
    local began, go, over = ml.event(), ml.event(), ml.event()
    local slow = web.dependency { function()
      return 1, function(err)
        log[#log + 1] = ml.is_error(err) and err.kind
        ml.sleep(0)
        log[#log + 1] = "waited"
        over:set()
      end
    end }
    app:get("/", { depends = { slow } }, function()
      began:set()
      go:wait()
    end)
    support.serving(app, function(port)
      local conn = assert(rawtcp.connect(port))
      assert(conn:send(support.request("GET", "/")))
      began:wait()
      conn:close()
      over:wait()
      assert.same({ "cancelled", "waited" }, log)
    end)
  end)

  it("runs when the deadline of the route passes, with the error, inside of the deadline's task", function()
    local app = web.app()
    local kind
    local held = ml.var "held"
    local slow = web.dependency { function()
      held:set "yes"
      return 1, function(err) kind = err.kind .. held:get() ml.sleep(0) end
    end }
    app:get("/", { deadline = 0.01, depends = { slow } }, function() ml.sleep(1000) end)
    support.serving(app, function(port)
      local reports <close> = keep_reports()
      assert.equal(503, support.get(port, "/").status)
      assert.matches("Deadline Exceeded", reports:text())
    end)
    assert.matches("yes$", kind)
  end)

  it("that fails makes the request fail, and is what the rest gets", function()
    local app = web.app()
    local log, make = logging()
    local first = make "first"
    for path, failing in pairs {
      ["/raised"] = function() error("no commit", 0) end,
      ["/returned"] = function() return nil, "no commit" end,
    } do
      local db = web.dependency { name = "db", needs = { first = first }, function() return 1, failing end }
      app:get(path, { depends = { db = db } }, function() return "ok" end)
    end
    support.serving(app, function(port)
      for _, path in ipairs { "/raised", "/returned" } do
        local reports <close> = keep_reports()
        assert.equal(500, support.get(port, path).status)
        assert.matches("GET " .. path .. " failed: no commit", reports:text())
      end
    end)
    assert.same({ "first: no commit", "first: no commit" }, log)
  end)

  it("that aborts answers, and app:on_error sees its error", function()
    local app = web.app()
    local conflict = web.dependency { function() return 1, function() web.abort(409, "taken") end end }
    app:on_error(function(err) if err.status == 409 then return { why = err.detail }, 409 end end)
    app:get("/", { depends = { conflict } }, function() return "ok" end)
    support.serving(app, function(port) assert.equal('{"why":"taken"}', support.get(port, "/").body) end)
  end)

  it("never replaces the error of the handler: what fails after it is reported", function()
    local app = web.app()
    local log, make = logging()
    local db = web.dependency { name = "db", function() return 1, function() error("no rollback", 0) end end }
    local again = web.dependency { name = "again", function() return 1, function(err) error(err, 0) end end }
    app:get("/", { depends = { a = make "a", db = db, again = again } }, function() web.abort(404, "gone") end)
    support.serving(app, function(port)
      local reports <close> = keep_reports()
      assert.equal(404, support.get(port, "/").status)
      local text = reports:text()
      assert.matches("GET / failed: no rollback.-in the clean%-up of dependency db %(.-spec.lua:%d+%)", text)
      assert.equal(1, select(2, text:gsub("failed", "")))
    end)
    assert.same({ "a: http: 404 gone" }, log)
  end)

  it("has at most 5 seconds for its waits", function()
    clock.virtual()
    local app, log = web.app(), {}
    local stuck = web.dependency { name = "stuck", function() return 1, function() ml.sleep(1000) end end }
    local other = web.dependency { needs = { stuck = stuck }, function()
      return 1, function() ml.sleep(4.9) log[#log + 1] = "other" end
    end }
    local start = ml.now()
    local ok, err = pcall(app.scope, app, { other = other }, function() return "ok" end)
    assert.is_false(ok)
    assert.equal("timeout", err.kind)
    assert.matches("the clean%-up of dependency stuck %(.-spec.lua:%d+%) is not finished after 5 s", err.message)
    assert.same({ "other" }, log)
    assert(math.abs(ml.now() - start - 9.9) < 0.01)
  end)

  it("learns of a stream that fails, and that the client has gone", function()
    local app = web.app()
    local log, make = logging()
    local over = ml.event()
    app:get("/", { depends = { db = make("db", { scope = "response" }) } }, function(req, deps)
      req:after(function() over:set() end)
      return web.response { stream = function(out)
        out:write(deps.db)
        if req.query.fail then error("torn", 0) end
        while true do
          out:write(LARGE)
        end
      end }
    end)
    support.serving(app, function(port)
      local reports <close> = keep_reports()
      support.get(port, "/?fail=1")
      over:wait()
      assert.same({ "db: torn" }, log)
      over:clear()
      local conn = assert(rawtcp.connect(port))
      assert(conn:send(support.request("GET", "/")))
      assert(conn:receive(10))
      conn:close()
      over:wait()
      assert.matches("^db: .*disconnected", log[2])
      assert.matches("torn", reports:text())
    end)
  end)

  it("of the scope 'response' that fails is reported, and the rest gets its error", function()
    local app = web.app()
    local log, make = logging()
    local over = ml.event()
    local a = make("a", { scope = "response" })
    local b = web.dependency { name = "b", scope = "response", function()
      return 1, function() error("late", 0) end
    end }
    app:get("/", { depends = { a = a, b = b } }, function(req)
      req:after(function() over:set() end)
      return "ok"
    end)
    support.serving(app, function(port)
      local reports <close> = keep_reports()
      assert.equal("ok", support.get(port, "/").body)
      over:wait()
      assert.matches("GET / failed: late.-in the clean%-up of dependency b", reports:text())
    end)
    assert.same({ "a: late" }, log)
  end)

  it("is not lost when a server stops", function()
    local app = web.app()
    local log, make = logging()
    app:get("/", { depends = { make("a", { scope = "response" }) } }, function() return LARGE end)
    local server = assert(web.listen(app, { port = 0 }))
    local conn <close> = assert(rawtcp.connect(server.port))
    assert(conn:send(support.request("GET", "/")))
    assert(conn:receive(10))
    server:stop(0)
    assert.same({ "a" }, log)
  end)

  it("comes in the test client, too", function()
    local app = web.app()
    local log, make = logging()
    app:get("/", { depends = { make("r", { scope = "response" }), make "h" } }, function(req)
      req:after(function() log[#log + 1] = "after" end)
      return web.response { stream = function(out) out:write("text") end }
    end)
    do
      local client <close> = web.test(app)
      assert.equal("text", client:get("/").body)
    end
    assert.same({ "h", "r", "after" }, log)
  end)

  it("comes for each of the requests that a client sends at once", function()
    local app = web.app()
    local log, make = logging()
    local over, left = ml.event(), 3
    app:get("/{n}", { depends = { make "h", make("r", { scope = "response" }) } }, function(req)
      req:after(function()
        left = left - 1
        if left == 0 then over:set() end
      end)
      return req.params.n
    end)
    support.serving(app, function(port)
      local conn <close> = assert(rawtcp.connect(port))
      assert(conn:send(support.request("GET", "/1") .. support.request("GET", "/2") .. support.request("GET", "/3")))
      for i = 1, 3 do assert.equal(tostring(i), support.receive(conn).body) end
      over:wait()
    end)
    assert.equal("h h h r r r", table.concat(log, " "))
  end)
end)

describe("a stream", function()
  it("keeps what does not end with the handler, and says what has ended", function()
    local app, messages = web.app(), {}
    local _, make = logging()
    local value = web.dependency { function() return "value" end }
    local kept
    local function handler(_, deps)
      kept = deps
      return web.response { stream = function(out)
        messages[#messages + 1] = select(2, pcall(function() return deps.h end))
        out:write(deps.r .. " " .. deps.v)
      end }
    end
    local depends = { h = make "h", r = make("r", { scope = "response" }), v = value }
    app:get("/", { depends = depends }, handler)
    app:get("/deadline", { depends = depends, deadline = 10 }, handler)
    app:get("/short", { depends = { v = value } }, function(_, deps)
      kept = deps
      return web.response { stream = function(out) out:write(deps.v) end }
    end)
    support.serving(app, function(port)
      for _, path in ipairs { "/", "/deadline" } do assert.equal("r value", support.get(port, path).body) end
      assert.equal("value", support.get(port, "/short").body)
    end)
    assert.matches("deps.v: the dependencies of this request have ended",
      select(2, pcall(function() return kept.v end)))
    assert.matches("deps.h: it has ended with the handler %(for a stream it needs scope = 'response'%)", messages[2])
  end)
end)

describe("req:after", function()
  it("runs in a task of its own, whose errors are reported, with the variables of the caller", function()
    local app, values, over = web.app(), {}, ml.event()
    local var = ml.var "name"
    app:get("/", { deadline = 10 }, function(req)
      var:set "inner"
      req:after(function() error("too late", 0) end)
      req:after(function() return nil, "returned" end)
      req:after(function()
        values[1] = var:get()
        ml.sleep(0)
        over:set()
      end)
      return "ok"
    end)
    support.serving(app, function(port)
      local reports <close> = keep_reports()
      assert.equal("ok", support.get(port, "/").body)
      over:wait()
      assert.equal("inner", values[1])
      assert.matches("GET / failed: too late.-in the function of req:after .-spec.lua:%d+", reports:text())
      assert.matches("GET / failed: returned", reports:text())
    end)
  end)

  it("runs after a request that failed, or whose client has gone, and is waited for by a stop", function()
    local app, ran = web.app(), {}
    local began = ml.event()
    app:get("/", function(req)
      req:after(function()
        ml.sleep(0)
        ran[#ran + 1] = req.query.x
      end)
      began:set()
      if req.query.x == "failed" then web.abort(404) end
      ml.sleep(1000)
    end)
    support.serving(app, function(port)
      assert.equal(404, support.get(port, "/?x=failed").status)
      began:clear()
      local conn = assert(rawtcp.connect(port))
      assert(conn:send(support.request("GET", "/?x=gone")))
      began:wait()
      conn:close()
      wait_until(function() return ran[2] end)
    end)
    assert.same({ "failed", "gone" }, ran)
    local server = assert(web.listen(app:get("/now", function(req)
      req:after(function()
        ml.sleep(0.01)
        ran[3] = "now"
      end)
      return "ok"
    end), { port = 0 }))
    support.get(server.port, "/now")
    server:stop()
    assert.equal("now", ran[3])
  end)

  it("is an error where there is no response to come", function()
    local app, kept = web.app(), nil
    app:get("/", function(req)
      kept = req
      assert.matches("bad argument #1 to 'req:after' %(function expected, got nil%)", select(2, pcall(req.after, req)))
      return "ok"
    end)
    support.serving(app, function(port)
      support.get(port, "/")
      assert.matches("req:after: only the handler and the tasks that it started",
        select(2, pcall(kept.after, kept, print)))
    end)
  end)
end)
