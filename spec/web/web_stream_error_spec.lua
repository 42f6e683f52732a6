-- Errors of streams before anything was sent: they are answered as any other error.
local ml = require "moonloop"
local support = require "spec.support.web"
local rawtcp = require "spec.support".rawtcp
local web = ml.web

local ORIGIN = "Origin: https://a.example\r\n"

--- A handler whose response is streamed by `f`.
local function streaming(f, headers)
  return function() return web.response { stream = f, headers = headers } end
end

--- The answer to GET / of an app that `prepare(app)` has made.
local function answer(prepare, headers)
  local app, res = web.app(), nil
  prepare(app)
  support.serving(app, function(port) res = support.get(port, "/", ORIGIN .. (headers or "")) end)
  return res
end

describe("an error of a stream before the first byte", function()
  local ways = {
    ["of a stream"] = streaming(function() web.abort(409, "late") end),
    ["of a stream that has written"] = streaming(function(out)
      out:write("some"):write("more")
      web.abort(409, "late")
    end),
    ["of events"] = function() return web.events(function() web.abort(409, "late") end) end,
    ["of events that were sent"] = function()
      return web.events(function(send)
        send("one")
        web.abort(409, "late")
      end)
    end,
    ["with a Content-Length"] = streaming(function(out)
      out:write("abc")
      web.abort(409, "late")
    end, { ["Content-Length"] = 1000 }),
  }
  for name, handler in pairs(ways) do
    it("is its status, with what middleware adds, " .. name, function()
      local res = answer(function(app)
        app:use(web.cors { origins = { "https://a.example" } })
        app:use(web.request_id())
        app:get("/", handler)
      end, "X-Request-Id: seven\r\n")
      assert.same({ 409, '{"detail":"late"}', "application/json", "https://a.example", "Origin", "seven" },
        { res.status, res.body, res.headers["content-type"], res.headers["access-control-allow-origin"],
          res.headers.vary, res.headers["x-request-id"] })
      assert.is_nil(res.headers["transfer-encoding"])
      assert.is_nil(res.headers["cache-control"])
    end)

    it("is answered by app:on_error, with the request that the handler had, " .. name, function()
      local seen = {}
      local res = answer(function(app)
        app:on_error(function(err, req, traceback)
          ml.sleep(0)
          seen = { err.status, req.user, req.path, traceback ~= nil }
          return { sorry = err.detail }, 410, { ["X-Error"] = "yes" }
        end)
        app:use(function(req, next)
          req.user = "ann"
          return next(req)
        end)
        app:get("/", handler)
      end)
      assert.same({ 410, '{"sorry":"late"}', "yes" }, { res.status, res.body, res.headers["x-error"] })
      assert.same({ 409, "ann", "/", true }, seen)
    end)
  end

  it("is reported with its traceback, and is a 500 with CORS and a request id", function()
    local output = support.run [[
      local app = web.app()
      app:use(web.cors())
      app:use(web.request_id())
      app:get("/", function()
        return web.response { stream = function(out)
          local nothing
          out:write(nothing.field)
        end }
      end)
      support.serving(app, function(port)
        local res = support.get(port, "/", "Origin: https://a.example\r\n")
        print(res.status, res.body, res.headers["access-control-allow-origin"], #res.headers["x-request-id"])
      end)]]
    assert.matches("^moonloop: GET / failed: [^\n]*:8: attempt to index a nil value %(local 'nothing'%)\n" ..
      "stack traceback:\n[^\0]*:8: in ", output)
    assert.equal(1, select(2, output:gsub("attempt to index", "")))
    assert.matches('500\t{"detail":"Internal Server Error"}\t*\t32\n', output, 1, true)
  end)

  it("keeps headers set by middleware, but none of the handler's", function()
    local res = answer(function(app)
      app:use(function(req, next)
        local res = next(req)
        res.headers["X-Outer"] = "outer"
        res.headers["Cache-Control"] = "no-store"
        res.headers["Vary"] = "Origin, " .. (res.headers["Vary"] or "")
        return res:set_cookie("session", "1")
      end)
      app:use(web.compress { min = 0 })
      app:get("/", function()
        local res = web.response {
          headers = { ["Content-Type"] = "text/plain", ETag = '"x"', ["X-Own"] = "own", ["X-Outer"] = "own",
            Vary = "Cookie" },
          stream = function(out)
            out:write("abc")
            error({ "boom" })
          end,
        }
        return res:set_cookie("own", "1")
      end)
      app:on_error(function() return "sorry", 418, { Vary = "X-Mine" } end)
    end, "Accept-Encoding: gzip\r\n")
    local headers = res.headers
    assert.same({ 418, "sorry", "text/plain; charset=utf-8" }, { res.status, res.body, headers["content-type"] })
    assert.same({ "outer", "no-store" }, { headers["x-outer"], headers["cache-control"] })
    assert.same({}, { headers["x-own"], headers.etag, headers["content-encoding"] })
    assert.matches("^session=1;", headers["set-cookie"])
    assert.equal("X-Mine, Origin, Cookie, Accept-Encoding", headers.vary)
  end)

  it("may be that it ends short of its Content-Length", function()
    local output = support.run [[
      local app = web.app()
      app:use(web.cors())
      app:get("/", function()
        return web.response { stream = function(out) out:write("abc") end, headers = { ["Content-Length"] = 7 } }
      end)
      support.serving(app, function(port)
        local res = support.get(port, "/", "Origin: https://a.example\r\n")
        print(res.status, res.headers["access-control-allow-origin"])
      end)]]
    assert.matches("GET / failed: the stream of GET / ended 4 bytes short of its Content-Length\n", output, 1, true)
    assert.matches("500\t*\n", output, 1, true)
  end)

  it("leaves the connection as it was", function()
    local app = web.app()
    app:use(web.cors())
    app:get("/fail", streaming(function() web.abort(409) end))
    app:get("/", streaming(function(out) out:write("fine") end))
    support.serving(app, function(port)
      local conn <close> = assert(rawtcp.connect(port))
      for _ = 1, 2 do
        assert(conn:send(support.request("GET", "/fail") .. support.request("GET", "/")))
        assert.equal(409, support.receive(conn).status)
        assert.equal("fine", support.receive(conn).body)
      end
    end)
  end)

  it("may be answered with a stream or a file", function()
    local app = web.app()
    app:on_error(function(err)
      if err.status == 409 then return streaming(function(out) out:write("streamed") end)(), 409 end
      return web.response { status = 410, file = "spec/web/web_stream_error_spec.lua" }
    end)
    app:get("/409", streaming(function() web.abort(409) end))
    app:get("/410", streaming(function() web.abort(410) end))
    support.serving(app, function(port)
      local res = support.get(port, "/409")
      assert.same({ 409, "streamed" }, { res.status, res.body })
      res = support.get(port, "/410")
      assert.equal(410, res.status)
      assert.matches("^%-%- Errors of streams", res.body)
    end)
  end)

  it("whose answer is a stream that fails, too, is a 500, and both are reported", function()
    local output = support.run [[
      local app = web.app()
      app:on_error(function() return web.response { status = 500, stream = function() error("second") end } end)
      app:get("/", function() return web.response { stream = function() error("first") end } end)
      support.serving(app, function(port) print(support.get(port, "/").status) end)]]
    assert.matches("GET / failed: [^\n]*:4: first\nstack traceback:\n", output)
    assert.matches("GET / failed: [^\n]*:3: second\nstack traceback:\n", output)
    assert.matches("\n500\n", output, 1, true)
  end)

  it("does not include what ends the task: a cancel passes through", function()
    local output = support.run [[
      local app = web.app()
      app:on_error(function() print "asked" end)
      local function cancelled() ml.current():cancel("why") ml.sleep(1) end
      app:get("/", function() return web.response { stream = cancelled } end)
      support.serving(app, function(port) print(support.get(port, "/").status) end)]]
    assert.matches("GET / failed: cancelled: the task was cancelled: why\n[^\0]*500\n$", output)
    assert.not_matches("asked", output, 1, true)
  end)
end)

describe("an error of a stream after the first byte", function()
  it("cuts off the response and is reported: app:on_error is not asked", function()
    local output = support.run [[
      local app = web.app()
      app:on_error(function() print "asked" end)
      app:use(web.cors())
      app:get("/", function()
        return web.response { stream = function(out)
          out:write("some")
          ml.sleep(0.01)
          error("boom")
        end }
      end)
      support.serving(app, function(port)
        local res = support.get(port, "/")
        print(res.status, res.body, res.broken ~= nil)
      end)]]
    assert.matches("^moonloop: GET / failed: [^\n]*:9: boom\nstack traceback:\n[^\0]*:9: in ", output)
    assert.matches("200\tsome\ttrue\n$", output)
    assert.not_matches("asked", output, 1, true)
  end)
end)

describe("an error that a chain has answered", function()
  it("does not replace a later cancel", function()
    local output = support.run [[
      local app, waits = web.app(), ml.event()
      app:use(function(req, next)
        local res = next(req)
        waits:set()
        local _ <close> = setmetatable({}, { __close = function(_, err) print(err.kind, res.status) end })
        ml.sleep(1000)
        return res
      end)
      app:get("/", function() error("boom") end)
      support.serving(app, function(port, server)
        local conn = assert(rawtcp.connect(port))
        conn:send(support.request("GET", "/"))
        waits:wait()
        conn:close()
        while server.tasks > 0 do ml.sleep(0.001) end
      end)]]
    assert.equal(1, select(2, output:gsub("boom", "")))
    assert.matches("cancelled\t500\n$", output)
  end)

  it("is not lost when its clean-up meets a cancel", function()
    local output = support.run [[
      local app, waits = web.app(), ml.event()
      app:use(function(req, next) return next(req) end)
      app:get("/", function()
        local _ <close> = setmetatable({}, { __close = function() waits:set() ml.sleep(1000) end })
        error("boom")
      end)
      support.serving(app, function(port, server)
        local conn = assert(rawtcp.connect(port))
        conn:send(support.request("GET", "/"))
        waits:wait()
        conn:close()
        while server.tasks > 0 do ml.sleep(0.001) end
      end)]]
    assert.matches("^moonloop: GET / failed: [^\n]*:6: boom\nstack traceback:\n", output)
    assert.equal(1, select(2, output:gsub("boom", "")))
  end)
end)
