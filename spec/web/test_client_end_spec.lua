-- ml.web.test: errors of handlers, disconnects, the virtual clock, and the end.
local ml = require "moonloop"
local clock = require "moonloop.clock"
local folders = require "spec.support.folder"
local processes = require "spec.support.process"
local support = require "spec.support"
local keep_reports = require "reports".keep
local web = ml.web

describe("an error of a handler", function()
  it("is raised by the request, as it is, with its origin", function()
    local app = web.app()
    local object = setmetatable({}, { __tostring = function() return "an object" end })
    app:get("/text", function() error("boom") end)
    app:get("/object", function() error(object) end)
    app:get("/nil", function() return nil, "no luck" end)
    app:get("/kind", function() return ml.http.get("http://127.0.0.1:1/") end)
    local reports <close> = keep_reports()
    local c <close> = web.test(app)
    local ok, err = pcall(c.get, c, "/text")
    assert.is_false(ok)
    assert.matches("test_client_end_spec.lua:%d+: boom$", err)
    assert.is_true(rawequal(object, select(2, pcall(c.get, c, "/object"))))
    assert.equal("no luck", select(2, pcall(c.get, c, "/nil")))
    assert.equal("network", select(2, pcall(c.get, c, "/kind")).kind)
    local task = ml.spawn(c.get, c, "/text")
    pcall(task.await, task)
    assert.matches("in the handler of GET /text %(.-test_client_end_spec.lua:%d+%):\nstack traceback", task:traceback())
    assert.equal("", reports:text())
  end)

  it("is shown by moonloop test with the traceback of the handler", function()
    local folder <close> = folders.new { ["a_spec.lua"] = [[
      local ml = require "moonloop"
      it("fails", function()
        local app = ml.web.app()
        local function deep() error("boom") end
        app:get("/", function() deep() end)
        local c <close> = ml.web.test(app)
        c:get("/")
      end)
      it("awaits", function()
        local function other() error("bang") end
        ml.spawn(function() other() end):await()
      end)]] }
    local out = processes.sh(("%s test %s 2>&1"):format(processes.quote(support.binary), folder.path))
    assert.matches("a_spec.lua:4: boom\nin the handler of GET / %(.-a_spec.lua:5%):\nstack traceback.-:4: in", out)
    assert.matches("a_spec.lua:10: bang\nin task .-stack traceback.-a_spec.lua:10: in", out)
  end)

  it("is raised even where on_error or middleware has made another response of it", function()
    local app = web.app()
    app:use(function(req, next)
      next(req)
      return "all is well"
    end)
    app:on_error(function() return { sorry = true }, 500 end)
    app:get("/", function() error("boom") end)
    app:get("/meant", function() web.abort(404, "gone") end)
    local c <close> = web.test(app)
    assert.error_matches(function() c:get("/") end, "boom")
    assert.equal("all is well", c:get("/meant").body)
  end)

  it("in the middle of a stream is raised after the pieces before it", function()
    local app = web.app()
    app:get("/", function()
      return web.response { stream = function(out)
        out:write("one")
        ml.sleep(0.001)
        error("boom")
      end }
    end)
    app:get("/at-once", function() return web.response { stream = function() error("bang") end } end)
    local c <close> = web.test(app)
    local got = {}
    assert.error_matches(function()
      for chunk in c:get("/", { stream = true }):chunks() do got[#got + 1] = chunk end
    end, "boom")
    assert.same({ "one" }, got)
    assert.error_matches(function() c:get("/") end, "boom")
    assert.error_matches(function() c:get("/at-once", { stream = true }) end, "bang")
    assert.error_matches(function() c:get("/at-once") end, "bang")
  end)

  it("that comes at once after the first piece is raised after it, too", function()
    local app = web.app()
    app:get("/", function()
      return web.response { stream = function(out)
        out:write("one")
        ml.sleep(0)
        error("boom")
      end }
    end)
    local c <close> = web.test(app)
    local res <close> = c:get("/", { stream = true })
    assert.equal("one", res:read())
    assert.error_matches(function() res:read() end, "boom")
  end)

  it("after the response is reported, and not raised by the next request", function()
    local app = web.app()
    local bad = web.dependency { name = "bad", scope = "response", function()
      return 1, function() error("bad clean-up") end
    end }
    app:get("/late", { depends = { bad = bad } }, function(req)
      req:after(function() error("too late") end)
      return "ok"
    end)
    app:get("/", function() return "next" end)
    local reports <close> = keep_reports()
    local c <close> = web.test(app)
    assert.equal("ok", c:get("/late").body)
    for _ = 1, 5 do ml.sleep(0) end
    assert.equal("next", c:get("/").body)
    assert.matches("too late", reports:text())
    assert.matches("bad clean%-up", reports:text())
  end)

  it("of a dependency's clean-up before the response is raised", function()
    local app = web.app()
    local tx = web.dependency { name = "tx", scope = "handler", function()
      return 1, function() error("the commit failed") end
    end }
    app:get("/", { depends = { tx = tx } }, function() return "ok" end)
    local c <close> = web.test(app)
    assert.error_matches(function() c:get("/") end, "the commit failed")
  end)

  it("that is meant as an answer is one", function()
    local app = web.app()
    app:get("/", function() web.abort(503, "later") end)
    app:get("/on", function(req) return req:json() end)
    local reports <close> = keep_reports()
    local c <close> = web.test(app)
    assert.equal('503 {"detail":"later"}', c:get("/").status .. " " .. c:get("/").body)
    assert.equal(400, c:get("/on", { method = nil }).status)
    assert.equal("", reports:text())
  end)

  it("is a 500 and a report with raise = false", function()
    local app = web.app()
    app:get("/", function() error("boom") end)
    local reports <close> = keep_reports()
    local c <close> = web.test(app, { raise = false })
    assert.equal(500, c:get("/").status)
    assert.matches("GET / failed: .-boom\nstack traceback", reports:text())
  end)

  it("belongs to its own request among many at once", function()
    local app = web.app()
    app:get("/{n:int}", function(req)
      ml.sleep(0)
      if req.params.n % 2 == 0 then error("e" .. req.params.n, 0) end
      return "v" .. req.params.n
    end)
    local c <close> = web.test(app)
    local requests = {}
    for n = 1, 100 do
      requests[n] = function()
        local ok, res = pcall(c.get, c, "/" .. n)
        return ok and res.body or res
      end
    end
    local results = { ml.gather(table.unpack(requests)) }
    for n = 1, 100 do assert.equal((n % 2 == 0 and "e" or "v") .. n, results[n]) end
  end)

  it("that nobody waits for any more is reported at the end", function()
    local app, started = web.app(), ml.event()
    app:get("/", function()
      local _ <close> = setmetatable({}, { __close = function() error("bad clean-up") end })
      started:set()
      ml.sleep(1000)
    end)
    local reports <close> = keep_reports()
    local c = web.test(app)
    local asking = ml.spawn(c.get, c, "/")
    started:wait()
    asking:cancel()
    assert.equal("cancelled", select(2, pcall(asking.await, asking)).kind)
    c:close()
    assert.matches("bad clean%-up", reports:text())
  end)
end)

describe("a request of the test client that is cancelled", function()
  it("is a client that has gone: the handler is cancelled", function()
    clock.virtual()
    local app, ended = web.app(), nil
    app:get("/", function()
      local _ <close> = setmetatable({}, { __close = function(_, err) ended = tostring(err) end })
      ml.sleep(1000)
    end)
    local c <close> = web.test(app)
    local task = ml.spawn(c.get, c, "/")
    ml.sleep(1)
    task:cancel()
    ml.sleep(1)
    assert.matches("client disconnected", ended)
    ended = nil
    assert.equal("timeout", select(2, c:get("/", { timeout = 5 })).kind)
    ml.sleep(0.5)
    assert.matches("client disconnected", ended)
  end)

  it("ends a stream that is closed before its end, and an upload", function()
    local app, ended, got = web.app(), nil, nil
    app:get("/", function()
      return web.response { stream = function(out)
        local _ <close> = setmetatable({}, { __close = function(_, err) ended = tostring(err) end })
        while true do
          out:write(("x"):rep(10000))
          ml.sleep(0)
        end
      end }
    end)
    app:post("/", function(req)
      local ok, err = pcall(function() for _ in req:chunks() do end end)
      got = tostring(err)
      assert(ok, err)
    end)
    local c <close> = web.test(app)
    local res = c:get("/", { stream = true })
    assert.is_string(res:read())
    res:close()
    for _ = 1, 10 do ml.sleep(0) end
    assert.matches("client disconnected", ended)

    local sent = ml.event()
    local upload = ml.spawn(c.post, c, "/", { body = function()
      if sent:is_set() then ml.sleep(1000) end
      sent:set()
      return "part"
    end })
    sent:wait()
    for _ = 1, 10 do ml.sleep(0) end
    upload:cancel()
    for _ = 1, 10 do ml.sleep(0) end
    assert.is_true(got == nil or got:find "disconnect" ~= nil, got)
  end)
end)

describe("the end of a test client", function()
  it("runs on_start and on_stop, once, in order", function()
    local app, log = web.app(), {}
    app:on_start(function() log[#log + 1] = "start" end)
    app:on_stop(function() log[#log + 1] = "stop" end)
    app:get("/", function()
      ml.spawn(function()
        ml.sleep(0.005)
        log[#log + 1] = "left behind"
      end)
      return "ok"
    end)
    do
      local c <close> = web.test(app)
      c:get("/")
      log[#log + 1] = "asked"
      ml.sleep(0)
    end
    assert.same({ "start", "asked", "left behind", "stop" }, log)
    local c = web.test(app)
    c:close()
    c:close()
    assert.same({ "start", "stop" }, { log[5], log[6] })
    assert.is_nil(log[7])
    assert.equal("closed", select(2, pcall(c.get, c, "/")).kind)
    assert.equal("test client (closed)", tostring(c))
  end)

  it("raises what on_start and on_stop raise", function()
    local app = web.app()
    app:on_start(function() error("no start") end)
    assert.error_matches(function() web.test(app) end, "no start")
    local other = web.app()
    other:on_stop(function() error("no stop") end)
    local c = web.test(other)
    assert.error_matches(function() c:close() end, "no stop")
  end)

  it("ends requests that still run, and streams that were not read", function()
    local app, ended = web.app(), {}
    app:get("/{n}", function(req)
      local _ <close> = setmetatable({}, { __close = function() ended[#ended + 1] = req.params.n end })
      if req.params.n == "wait" then ml.sleep(1000) end
      return web.response { stream = function(out)
        local _ <close> = setmetatable({}, { __close = function() ended[#ended + 1] = "out" end })
        while true do out:write(("x"):rep(10000)) end
      end }
    end)
    local c = web.test(app)
    local waiting = ml.spawn(c.get, c, "/wait")
    local res = c:get("/stream", { stream = true })
    c:close()
    table.sort(ended)
    assert.same({ "out", "stream", "wait" }, ended)
    assert.equal("closed", select(2, waiting:await()).kind)
    local piece, err
    repeat piece, err = res:read() until not piece -- what had come is read first
    assert.equal("closed", err.kind)
  end)

  it("that was forgotten fails the spec that made it, and only that one", function()
    local folder <close> = folders.new { ["a_spec.lua"] = [[
      local ml = require "moonloop"
      local app = ml.web.app()
      app:get("/", function() return "ok" end)
      local kept
      setup(function() kept = ml.web.test(app) end)
      teardown(function() kept:close() end)
      it("keeps", function() kept:get("/") end)
      it("forgets", function() ml.web.test(app):get("/") end)
      it("is fine", function() kept:get("/") end)]] }
    local out = processes.sh(("%s test %s 2>&1"):format(processes.quote(support.binary), folder.path))
    assert.matches("2 successes / 1 failure / 0 errors", out)
    assert.matches("left behind: test client made at .-a_spec.lua:8 %(not closed%)", out)
  end)

  it("leaves nothing behind, whatever the process ends with", function()
    local out = processes.run [[
      local ml = require "moonloop"
      local app = ml.web.app()
      app:get("/", function() return "ok" end)
      app:get("/wait", function() ml.sleep(1000) end)
      local c = ml.web.test(app)
      print(c:get("/").body)
      ml.spawn(c.get, c, "/wait")
      ml.sleep(0)
      ml.sleep(0)
      os.exit(0, true)]]
    assert.equal("ok\n", out)
  end)
end)

describe("the virtual clock", function()
  it("jumps while only the test client waits", function()
    clock.virtual()
    local app = web.app()
    app:get("/", function()
      ml.sleep(86400)
      return "a day later"
    end)
    local c <close> = web.test(app)
    local start = ml.now()
    assert.equal("a day later", c:get("/").body)
    assert.equal(86400, ml.now() - start)
  end)
end)
