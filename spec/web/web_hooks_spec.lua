-- What happens before a server accepts clients and after it has drained; tasks that go on after the
-- response.
local ml = require "moonloop"
local rawtcp = require "spec.support".rawtcp
local support = require "spec.support.web"
local keep_reports = require "reports".keep
local web = ml.web

local function listen(app) return assert(web.listen(app, { port = 0 })) end

describe("app:on_start", function()
  it("runs before the first client is accepted, and may wait", function()
    local app, ready = web.app(), false
    app:on_start(function() ml.sleep(0.005) ready = true end)
    app:get("/", function() return tostring(ready) end)
    support.serving(app, function(port) assert.equal("true", support.get(port, "/").body) end)
  end)

  it("runs in the order of the calls, those of mounted apps after the outer one's", function()
    local app, sub, log = web.app(), web.app(), {}
    sub:on_start(function() log[#log + 1] = "sub" end)
    app:mount("/a", sub)
    app:mount("/b", sub)
    app:on_start(function() log[#log + 1] = "first" end):on_start(function() log[#log + 1] = "second" end)
    listen(app):stop(0)
    assert.same({ "first", "second", "sub" }, log)
  end)

  it("that fails keeps the app from being served, and apps that had started are stopped", function()
    for _, fail in ipairs { function() error("no database", 0) end, function() return nil, "no database" end } do
      local app, sub, log = web.app(), web.app(), {}
      app:on_start(function() log[#log + 1] = "start" end):on_stop(function() log[#log + 1] = "stop" end)
      sub:on_start(fail):on_stop(function() log[#log + 1] = "stop of sub" end)
      app:mount("/sub", sub)
      local ok, err = pcall(web.listen, app, { port = 0 })
      assert.is_false(ok)
      assert.equal("no database", err)
      assert.same({ "start", "stop" }, log)
    end
  end)

  it("that fails raises its own error, whatever stopping the others raises", function()
    local output = support.run [[
local app, sub = web.app(), web.app()
app:on_start(function() end):on_stop(function() error "of the outer stop" end)
sub:on_start(function() error("no database", 0) end)
app:mount("/sub", sub)
print(pcall(web.listen, app, { port = 0 }))]]
    assert.matches("false\tno database", output)
    assert.matches("moonloop: app:on_stop failed: .-of the outer stop\nstack traceback:", output)
  end)

  it("that is cancelled stops apps that had started, which may wait", function()
    local app, sub, log = web.app(), web.app(), {}
    app:on_start(function() end):on_stop(function()
      ml.sleep(0.001)
      log[#log + 1] = "stopped"
    end)
    local starting = ml.event()
    sub:on_start(function()
      starting:set()
      ml.sleep(1000)
    end)
    app:mount("/sub", sub)
    local listening = ml.spawn(listen, app)
    starting:wait()
    listening:cancel()
    ml.wait { listening }
    assert.equal("cancelled", listening:status())
    assert.same({ "stopped" }, log)
  end)

  it("is undone when the port is taken", function()
    local first = listen(web.app())
    local app, log = web.app(), {}
    app:on_start(function() log[#log + 1] = "start" end):on_stop(function() log[#log + 1] = "stop" end)
    local server, err = web.listen(app, { port = first.port })
    assert.is_nil(server)
    assert.equal("EADDRINUSE", err.code)
    assert.same({ "start", "stop" }, log)
    first:stop(0)
  end)

  it("cannot be added while the app is served", function()
    local app = web.app()
    support.serving(app, function()
      assert.error_matches(function() app:on_start(print) end, "already being served")
      assert.error_matches(function() app:on_stop(print) end, "already being served")
    end)
  end)
end)

describe("app:on_stop", function()
  it("runs when the requests have ended, once, last one first", function()
    local app, sub, log = web.app(), web.app(), {}
    local started = ml.event()
    app:on_stop(function() log[#log + 1] = "first" end):on_stop(function() log[#log + 1] = "second" end)
    sub:on_stop(function() ml.sleep(0.005) log[#log + 1] = "sub" end)
    app:mount("/sub", sub)
    app:get("/", function()
      started:set()
      ml.sleep(0.02)
      log[#log + 1] = "request"
      return ""
    end)
    local server = listen(app)
    local asking = ml.spawn(support.get, server.port, "/")
    started:wait()
    ml.gather(function() server:stop() end, function() server:stop() end, function() server:wait() end)
    assert.equal(200, asking:await().status)
    assert.same({ "request", "sub", "second", "first" }, log)
  end)

  it("runs all functions even if one fails, and server:stop raises the failure", function()
    local app, log = web.app(), {}
    app:on_stop(function() log[#log + 1] = "first" end):on_stop(function() error("not closed", 0) end)
    local server = listen(app)
    local ok, err = pcall(server.stop, server, 0)
    assert.is_false(ok)
    assert.equal("not closed", err)
    assert.same({ "first" }, log)
  end)
end)

describe("a server", function()
  it("stops where its block is left, by a cancel, too", function()
    local app, log, ready = web.app(), {}, ml.event()
    app:on_stop(function()
      ml.sleep(0)
      log[#log + 1] = "stopped"
    end)
    do
      local server <close> = listen(app)
      assert.equal(404, support.get(server.port, "/none").status)
    end
    assert.same({ "stopped" }, log)
    local task = ml.spawn(function()
      local _ <close> = listen(app)
      ready:set()
      ml.sleep(math.huge)
    end)
    ready:wait()
    task:cancel()
    ml.wait { task }
    assert.same({ "stopped", "stopped" }, log)
  end)
end)

describe("a task that a handler leaves running", function()
  --- An app whose "/" starts a task that runs f and answers at once.
  local function leaving(f)
    local app = web.app()
    app:get("/", function() ml.spawn(f) return "at once" end)
    return app
  end

  it("continues after the response, and server:stop waits for it", function()
    local log, go = {}, ml.event()
    local server = listen(leaving(function() go:wait() log[#log + 1] = "done" end))
    assert.equal("at once", support.get(server.port, "/").body)
    assert.equal(1, server.tasks)
    local stopping = ml.spawn(function() server:stop() log[#log + 1] = "stopped" end)
    ml.sleep(0.03)
    assert.same({}, log)
    go:set()
    stopping:await()
    assert.same({ "done", "stopped" }, log)
    assert.equal(0, server.tasks)
  end)

  it("may leave other tasks, which are waited for too", function()
    local log = {}
    local server = listen(leaving(function()
      ml.spawn(function()
        ml.sleep(0.01)
        ml.spawn(function() ml.sleep(0.01) log[#log + 1] = "grandchild" end)
      end)
    end))
    support.get(server.port, "/")
    server:stop()
    assert.same({ "grandchild" }, log)
  end)

  it("is cancelled when the grace is over, and its clean-up is waited for", function()
    local reports <close> = keep_reports()
    local log = {}
    local server = listen(leaving(function()
      local _ <close> = setmetatable({}, { __close = function(_, err)
        ml.shield(ml.sleep, 0.01)
        log[#log + 1] = err.kind .. ": " .. err.reason
      end })
      ml.sleep(1000)
    end))
    support.get(server.port, "/")
    server:stop(0.02)
    assert.same({ "cancelled: the server is stopping" }, log)
    assert.matches("the time for stopping is over: 1 tasks of requests are cancelled\n", reports:text())
  end)

  it("is counted on standard error when its time is over, not when it was given none", function()
    local lines = { [0] = "", [0.02] = "moonloop: the time for stopping is over: 2 tasks of requests are cancelled\n" }
    for grace, line in pairs(lines) do
      local output = support.run(([[
        local app = web.app()
        app:get("/", function() ml.spawn(ml.sleep, 1000) ml.spawn(ml.sleep, 1000) end)
        local server = assert(web.listen(app, { port = 0 }))
        support.get(server.port, "/")
        server:stop(%s)]]):format(grace))
      assert.equal(line, output)
    end
  end)

  it("may stop the server itself", function()
    local server, stopped
    server = listen(leaving(function() server:stop(1000) stopped = true end))
    support.get(server.port, "/")
    server:wait()
    ml.sleep(0)
    assert.is_true(stopped)
  end)

  it("is not confused with a task that the app has started by itself", function()
    local app = web.app()
    local ticker
    app:on_start(function() ticker = ml.spawn(ml.sleep, 1000) end)
    local server = listen(app)
    assert.equal(0, server.tasks)
    server:stop()
    assert.equal("suspended", ticker:status())
    ticker:cancel()
  end)

  it("belongs only to the server of its request", function()
    local one, two = listen(leaving(function() ml.sleep(0.02) end)), listen(leaving(function() ml.sleep(1000) end))
    support.get(one.port, "/")
    support.get(two.port, "/")
    one:stop()
    assert.same({ 0, 1 }, { one.tasks, two.tasks })
    two:stop(0)
    assert.equal(0, two.tasks)
  end)

  it("is waited for even if its client has gone", function()
    local log = {}
    local server = listen(leaving(function() ml.sleep(0.02) log[#log + 1] = "done" end))
    local conn = assert(rawtcp.connect(server.port))
    conn:send(support.request("GET", "/"))
    assert(support.receive(conn))
    conn:close()
    server:stop()
    assert.same({ "done" }, log)
  end)
end)
