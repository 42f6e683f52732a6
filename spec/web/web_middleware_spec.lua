-- app:use, app:on_error, and what next(req) gives.
local ml = require "moonloop"
local json = require "moonloop.json"
local support = require "spec.support.web"
local keep_reports = require "reports".keep
local web = ml.web

--- What a server of `app` answers to `text`, a request or the target of a GET.
local function ask(app, text)
  local res
  support.serving(app, function(port)
    res = text:find("HTTP/1", 1, true) and support.ask(port, text) or support.get(port, text)
  end)
  return res
end

local run = support.run

describe("middleware", function()
  it("runs around the handler, the first one outermost", function()
    local app, log = web.app(), {}
    local function note(text) log[#log + 1] = text end
    for _, name in ipairs { "a", "b", "c" } do
      app:use(function(req, next)
        note(name .. " in")
        local res = next(req)
        note(name .. " out")
        return res
      end)
    end
    app:get("/", function() note("handler") return "text" end)
    assert.equal("text", ask(app, "/").body)
    assert.same({ "a in", "b in", "c in", "handler", "c out", "b out", "a out" }, log)
  end)

  it("applies to routes that were added before it", function()
    local app = web.app()
    app:get("/", function() return "text" end)
    app:use(function(req, next)
      local res = next(req)
      res.headers["X-Seen"] = "yes"
      return res
    end)
    assert.equal("yes", ask(app, "/").headers["x-seen"])
  end)

  it("gets a response object for whatever the handler returned", function()
    local returned = {
      { { { a = 1 } }, { 200, '{"a":1}', "application/json" } },
      { { "text", 201 }, { 201, "text", "text/plain; charset=utf-8" } },
      { {}, { 204 } },
      { { nil, 404 }, { 404 } },
      { { json.null }, { 200, "null", "application/json" } },
      { { "x", 200, { ["content-type"] = "text/css" } }, { 200, "x", "text/css" } },
      { { web.response { status = 203, json = { 1 } } }, { 203, "[1]", "application/json" } },
      { { web.response { body = "x" }, 202, { ["X-A"] = "b" } }, { 202, "x", "text/plain; charset=utf-8" } },
    }
    for i, case in ipairs(returned) do
      local app, seen = web.app(), nil
      app:use(function(req, next)
        local res = next(req)
        seen = { res.status, res.body, res.headers["Content-Type"] }
        return res
      end)
      app:get("/", function() return table.unpack(case[1], 1, 3) end)
      local got = ask(app, "/")
      assert.same(case[2], seen, "case " .. i)
      assert.equal(case[2][1], got.status)
      assert.equal(case[2][2] or "", got.body)
      assert.equal(case[2][3], got.headers["content-type"])
    end
  end)

  it("may read and change the value of a JSON body", function()
    local app = web.app()
    app:use(function(req, next)
      local res = next(req)
      res.json = { data = res.json }
      res.status = 201
      return res
    end)
    app:use(function(req, next)
      local res = next(req)
      res.json.b = 2
      return res
    end)
    app:get("/", function() return { a = 1 } end)
    local got = ask(app, "/")
    assert.same({ data = { a = 1, b = 2 } }, json.decode(got.body))
    assert.equal(201, got.status)
  end)

  it("may return what a handler may, with or without asking next", function()
    local app, ran = web.app(), 0
    app:use(function(req, next)
      if req.path == "/table" then return { a = 1 } end
      if req.path == "/text" then return "text", 202, { ["X-A"] = "b" } end
      if req.path == "/abort" then web.abort(403, "not you") end
      if req.path == "/nil" then return nil, 404 end
      return next(req)
    end)
    app:any("/{rest:path}", function() ran = ran + 1 return "ran" end)
    assert.equal('{"a":1}', ask(app, "/table").body)
    local res = ask(app, "/text")
    assert.same({ "text", 202, "b" }, { res.body, res.status, res.headers["x-a"] })
    res = ask(app, "/abort")
    assert.same({ 403, '{"detail":"not you"}' }, { res.status, res.body })
    assert.equal(404, ask(app, "/nil").status)
    assert.equal(0, ran)
    assert.equal("ran", ask(app, "/").body)
  end)

  it("that returns nothing is an error that names it", function()
    local output = run [[
      local app = web.app()
      app:use(function(req, next) next(req) end)
      app:get("/", function() return "text" end)
      support.serving(app, function(port) print(support.get(port, "/").status) end)]]
    assert.matches("the middleware [^\n]*:3 returned nothing %(return what next%(req%) returned, or a response%)",
      output)
    assert.matches("500\n", output, 1, true)
  end)

  it("may call next again: the rest of the chain runs again", function()
    local reports <close> = keep_reports()
    local app, tries = web.app(), 0
    app:use(function(req, next)
      local res
      for _ = 1, 3 do
        res = next(req)
        if res.status < 500 then break end
      end
      return res
    end)
    app:post("/", function(req)
      tries = tries + 1
      if tries < 3 then web.abort(503) end
      return { tries = tries, body = req.body }
    end)
    local res = ask(app, support.request("POST", "/", "Content-Length: 2\r\n", "hi"))
    assert.same({ tries = 3, body = "hi" }, json.decode(res.body))
    assert.equal(("moonloop: POST / failed: http: 503 Service Unavailable\n"):rep(2), reports:text())
  end)

  it("passes on the request it got when it calls next without one", function()
    local app, seen = web.app(), {}
    app:use(function(req, next)
      seen.outer = req
      return next(setmetatable({ user = "ann" }, { __index = req }))
    end)
    app:use(function(req, next)
      seen.stand_in = req
      ml.sleep(0)
      local ok, first = pcall(next) -- below other calls
      assert(ok and first.status == 200)
      return ml.timeout(10, next) -- and again
    end)
    app:use(function(req, next)
      seen.inner = req
      return next()
    end)
    app:get("/{id:int}", function(req) return { id = req.params.id, user = req.user } end)
    assert.same({ id = 7, user = "ann" }, json.decode(ask(app, "/7").body))
    assert.equal(seen.stand_in, seen.inner)
  end)

  it("passes on its own request, whatever other requests are in the chain at that time", function()
    local app, all_here, here = web.app(), ml.event(), 0
    app:use(function(_, next)
      here = here + 1
      if here == 3 then all_here:set() end
      all_here:wait()
      return next()
    end)
    app:get("/{id:int}", function(req) return tostring(req.params.id) end)
    support.serving(app, function(port)
      local function get(id) return support.get(port, "/" .. id).body end
      assert.same({ "1", "2", "3", n = 3 }, ml.gather { { get, 1 }, { get, 2 }, { get, 3 } })
    end)
  end)

  it("gets an error if it calls next with a value that is not a request, or without one it cannot know", function()
    local app, errors = web.app(), {}
    app:use(function(_, next)
      errors[1] = select(2, pcall(next, nil))
      errors[2] = select(2, pcall(next, "/other"))
      errors[3] = select(2, pcall(coroutine.wrap(next)))
      return "x"
    end)
    ask(app, "/")
    assert.equal("bad argument #1 to 'next' (the request expected, got nil)", errors[1])
    assert.equal("bad argument #1 to 'next' (the request expected, got string)", errors[2])
    assert.matches("(the request expected: it may be left out only in the coroutine", errors[3], 1, true)
  end)

  it("runs in the handler's task: values of the task pass both ways, and it may wait", function()
    local app, user, tasks = web.app(), ml.var("user"), {}
    app:use(function(req, next)
      ml.sleep(0)
      tasks[1] = ml.current()
      user:set("ann")
      local res = next(req)
      ml.sleep(0)
      res.headers["X-User"] = user:get()
      return res
    end)
    app:get("/", function()
      tasks[2] = ml.current()
      local before = user:get()
      user:set("bob")
      ml.sleep(0)
      return before
    end)
    local res = ask(app, "/")
    assert.equal("ann", res.body)
    assert.equal("bob", res.headers["x-user"])
    assert.equal(tasks[1], tasks[2])
  end)

  it("gives a route with a deadline its task's values", function()
    local reports <close> = keep_reports()
    local app, user = web.app(), ml.var("user")
    app:use(function(req, next) user:set("ann") return next(req) end)
    app:get("/", { deadline = 60 }, function() return user:get() end)
    app:get("/late", { deadline = 0.01 }, function() ml.sleep(100) end)
    assert.equal("ann", ask(app, "/").body)
    assert.equal(503, ask(app, "/late").status)
    assert.equal("moonloop: GET /late failed: http: 503 Deadline Exceeded\n", reports:text())
  end)

  it("leaves a streamed response as it is that a route with a deadline returns again", function()
    local app = web.app()
    local stream = function(out) out:write("x") end
    local shared = web.response { stream = stream }
    app:get("/", { deadline = 60 }, function() return shared end)
    support.serving(app, function(port)
      for _ = 1, 2 do assert.equal("x", support.get(port, "/").body) end
    end)
    assert.equal(stream, shared.stream)
  end)

  it("lets a cancel through, and runs its clean-up", function()
    local app, log = web.app(), {}
    local started = ml.event()
    app:use(function(req, next)
      local _ <close> = setmetatable({}, { __close = function(_, err) log[#log + 1] = err.kind end })
      local ok = pcall(next, req)
      log[#log + 1] = tostring(ok)
      return "survived"
    end)
    app:on_error(function() log[#log + 1] = "on_error" end)
    app:get("/", function() started:set() ml.sleep(100) end)
    local rawtcp = require "spec.support".rawtcp
    support.serving(app, function(port)
      local conn = assert(rawtcp.connect(port))
      conn:send(support.request("GET", "/"))
      started:wait()
      conn:close()
      while not log[1] do ml.sleep(0.005) end
    end)
    assert.same({ "cancelled" }, log)
  end)

  it("may be any callable, and nothing else", function()
    local app = web.app()
    app:use(setmetatable({}, { __call = function(_, req, next) return next(req) end }))
    app:get("/", function() return "text" end)
    assert.equal("text", ask(app, "/").body)
    local _, err = pcall(function() web.app():use("x") end)
    assert.matches("web_middleware_spec.lua:%d+: bad argument #1 to 'app:use' %(function expected, got string%)", err)
    assert.error_matches(function() web.app():on_error() end, "bad argument #1 to 'app:on_error'")
  end)

  it("cannot be added while the app is served, but routes can", function()
    local app = web.app()
    app:use(function(req, next)
      local res = next(req)
      res.headers["X-Seen"] = "yes"
      return res
    end)
    support.serving(app, function(port)
      assert.error_matches(function() app:use(print) end, "app:use: the app is already being served")
      assert.error_matches(function() app:on_error(print) end, "already being served")
      assert.error_matches(function() app:mount("/x", web.app()) end, "already being served")
      app:get("/late", function() return "late" end)
      local res = support.get(port, "/late")
      assert.same({ "late", "yes" }, { res.body, res.headers["x-seen"] })
    end)
  end)

  it("sees the responses to requests without a route", function()
    local app, seen = web.app(), {}
    app:use(function(req, next)
      local res = next(req)
      seen[#seen + 1] = res.status
      res.headers["X-Seen"] = "yes"
      return res
    end)
    app:get("/here", function() return "x" end)
    support.serving(app, function(port)
      local res = support.get(port, "/none")
      assert.same({ 404, '{"detail":"Not Found"}', "yes" }, { res.status, res.body, res.headers["x-seen"] })
      res = support.post(port, "/here", "x")
      assert.same({ 405, '{"detail":"Method Not Allowed"}', "yes", "GET, HEAD" },
        { res.status, res.body, res.headers["x-seen"], res.headers.allow })
    end)
    assert.same({ 404, 405 }, seen)
  end)

  it("sees the answer to a body that is too large, which its route's handler does not", function()
    local app, called = web.app { max_body = 10 }, false
    app:use(function(req, next)
      local res = next(req)
      res.headers["X-Seen"] = "yes"
      return res
    end)
    app:post("/", function(req)
      called = true
      return req.body
    end)
    app:post("/more", { max_body = 11 }, function(req) return req.body end)
    local long = ("x"):rep(100000)
    for _, text in ipairs {
      support.request("POST", "/", "Content-Length: 11\r\n"), -- the body is never sent
      support.request("POST", "/", "Content-Length: 11\r\nExpect: 100-continue\r\n"),
      support.request("POST", "/", "Content-Length: 100000\r\n", long),
      support.request("POST", "/", "Transfer-Encoding: chunked\r\n", "b\r\n12345678901\r\n0\r\n\r\n"),
      support.request("POST", "/nothing", "Content-Length: 11\r\n"),
    } do
      local res = ask(app, text)
      assert.same({ 413, '{"detail":"Content Too Large"}', "yes", "close" },
        { res.status, res.body, res.headers["x-seen"], res.headers.connection })
    end
    assert.is_false(called)
    assert.equal(11, #ask(app, support.request("POST", "/more", "Content-Length: 11\r\n", long:sub(1, 11))).body)
  end)

  it("keeps the limits of its routes", function()
    local output = run [[
      local app = web.app()
      app:use(function(req, next)
        local res = next(req)
        res.headers["X-Seen"] = "yes"
        return res
      end)
      app:get("/", {cpu = 0.05}, function() while true do end end)
      support.serving(app, function(port)
        local res = support.get(port, "/")
        print(res.status, res.headers["x-seen"])
      end)]]
    assert.matches("500\tyes\n", output, 1, true)
    assert.matches("moonloop: GET / failed: ", output, 1, true)
  end)
end)

describe("middleware of one route", function()
  --- Middleware that leaves its name in X-Trail: outermost last.
  local function trail(name)
    return function(req, next)
      local res = next(req)
      res.headers["X-Trail"] = (res.headers["X-Trail"] or "") .. name
      return res
    end
  end

  it("runs inside that of the app, the first one outermost, for this route alone", function()
    local app, sub = web.app(), web.app()
    app:use(trail "a")
    sub:use(trail "s")
    sub:get("/x", { use = { trail "1", trail "2" } }, function() return "x" end)
    sub:get("/y", function() return "y" end)
    app:mount("/s", sub)
    app:get("/z", { use = { trail "1" } }, function() return "z" end)
    assert.equal("21sa", ask(app, "/s/x").headers["x-trail"])
    assert.equal("sa", ask(app, "/s/y").headers["x-trail"])
    assert.equal("1a", ask(app, "/z").headers["x-trail"])
    assert.equal("a", ask(app, "/none").headers["x-trail"])
  end)

  it("works without app:use: it gets responses of errors, and may answer itself", function()
    local app, called = web.app(), false
    local function guard(req, next)
      if not req.headers.authorization then web.abort(401, "who?", { ["WWW-Authenticate"] = "Bearer" }) end
      return next(req)
    end
    app:get("/", { use = { trail "1", guard } }, function() called = true return "in" end)
    app:get("/fail", { use = { trail "1" } }, function() web.abort(409) end)
    app:get("/limited", { use = { trail "1" }, deadline = 60, cpu = 60 }, function() return "limited" end)
    app:get("/open", function() return "open" end)
    support.serving(app, function(port)
      local res = support.get(port, "/")
      assert.same({ 401, "1", "Bearer" }, { res.status, res.headers["x-trail"], res.headers["www-authenticate"] })
      assert.is_false(called)
      assert.equal("in", support.get(port, "/", "Authorization: x\r\n").body)
      res = support.get(port, "/fail")
      assert.same({ 409, "1" }, { res.status, res.headers["x-trail"] })
      assert.equal("limited", support.get(port, "/limited").body)
      res = support.get(port, "/open")
      assert.same({ "open" }, { res.body, res.headers["x-trail"] })
      assert.is_nil(support.get(port, "/none").headers["x-trail"])
    end)
  end)

  it("may run around an offloaded handler, in the handler's task", function()
    local app = web.app()
    app:get("/", { use = { trail "1" }, offload = true }, function() return "there" end)
    local res = ask(app, "/")
    assert.same({ "there", "1" }, { res.body, res.headers["x-trail"] })
  end)

  it("is a list of functions", function()
    for _, use in ipairs { { 1 }, print, "x", { print, {} } } do
      assert.error_matches(function() web.app():get("/", { use = use }, print) end,
        "option 'use' of a route is a %a+ %(expected a list of functions%)")
    end
    web.app():get("/", { use = {} }, function() end)
  end)
end)

describe("an error inside of middleware", function()
  it("is a response with what the middleware adds, and reported with its traceback", function()
    local output = run [[
      local app = web.app()
      app:use(function(req, next)
        local res = next(req)
        res.headers["X-Seen"] = "yes"
        return res
      end)
      app:get("/fail/{x}", function(req)
        ml.sleep(0)
        error("boom")
      end)
      support.serving(app, function(port)
        local res = support.get(port, "/fail/1")
        print(res.status, res.body, res.headers["x-seen"])
      end)]]
    assert.matches('500\t{"detail":"Internal Server Error"}\tyes', output, 1, true)
    assert.matches("moonloop: GET /fail/1 failed: [^\n]*:10: boom\nstack traceback:\n.*:10: in ", output)
    assert.matches("\nin the handler of GET /fail/{x} %([^\n]*:8%)\n", output)
    assert.equal(1, select(2, output:gsub("boom", "")))
  end)

  it("that is a bare table is reported with its fields", function()
    local output = run [[
      local app = web.app()
      app:get("/", function() error {code = 7, message = "boom"} end)
      app:get("/away", {offload = true}, function() error {code = 8} end)
      support.serving(app, function(port)
        print(support.get(port, "/").status, support.get(port, "/away").status)
      end)]]
    assert.matches("500\t500\n", output, 1, true)
    assert.matches('moonloop: GET / failed: {code = 7, message = "boom"}\nstack traceback:\n', output, 1, true)
    assert.matches("moonloop: GET /away failed: {code = 8}\nstack traceback:\n", output, 1, true)
  end)

  it("may be that of a middleware further in", function()
    local output = run [[
      local app = web.app()
      app:use(function(req, next)
        local res = next(req)
        res.headers["X-Seen"] = "yes"
        return res
      end)
      app:use(function() error("boom") end)
      app:get("/", print)
      support.serving(app, function(port)
        local res = support.get(port, "/")
        print(res.status, res.body, res.headers["x-seen"])
      end)]]
    assert.matches('500\t{"detail":"Internal Server Error"}\tyes', output, 1, true)
    assert.matches("moonloop: GET / failed: [^\n]*:8: boom\nstack traceback:\n", output)
    assert.matches("\nin the middleware [^\n]*:8\n", output)
  end)

  it("can also be a response that cannot be sent", function()
    local output = run [[
      local cases = {
        function() return nil, "went wrong" end,
        function() return true end,
        function() return {}, "200" end,
        function() return {}, 99 end,
        function() return {}, 200, "headers" end,
        function() return { f = print } end,
        function() return "x", 200, { ["X-Evil"] = "a\r\nSet-Cookie: b" } end,
        function() return web.response{ headers = { ["Bad Name"] = "a" } } end,
        function() return "x", 200, { ["X-T"] = true } end,
        function() return "x", 200, { ["Content-Length"] = "7" } end,
        function() local res = web.response{} res.body = 7 return res end,
      }
      local app = web.app()
      app:use(function(req, next)
        local res = next(req)
        res.headers["X-Seen"] = "yes"
        return res
      end)
      for i, f in ipairs(cases) do app:get("/" .. i, f) end
      support.serving(app, function(port)
        for i in ipairs(cases) do
          local res = support.get(port, "/" .. i)
          print(i, res.status, res.headers["x-seen"], res.head:find("Cookie") or "-")
        end
      end)]]
    for _, message in ipairs {
      "GET /1 failed: went wrong", "returned a boolean (expected a table, a string, nil or a response)",
      "the handler of GET /3 (", ') returned the status "200", a string', "returned the status 99",
      "returned headers that are a string",
      "the response of the handler of GET /6 (", "): cannot encode a function (at f)",
      "header 'X-Evil': the value has a control character", "header 'Bad Name': the name is not a token",
      "header 'X-T': the value is a boolean", "header 'Content-Length' is set by the server itself",
      "returned a body that is a number",
    } do
      assert.matches(message, output, 1, true)
    end
    for i = 1, 11 do assert.matches(i .. "\t500\tyes\t-\n", output, 1, true) end
  end)

  it("is found even if the middleware itself spoiled the response", function()
    local output = run [[
      local app = web.app()
      app:use(function(req, next)
        local res = next(req)
        return res.status == 500 and "seen" or res
      end)
      app:use(function(req, next)
        local res = next(req)
        res.headers["X-Evil"] = "a\nb"
        return res
      end)
      app:get("/", function() return "x" end)
      support.serving(app, function(port) print(support.get(port, "/").body) end)]]
    assert.matches("header 'X-Evil': the value has a control character", output, 1, true)
    assert.matches("seen\n", output, 1, true)
  end)
end)

describe("app:on_error", function()
  it("answers for what handlers and middleware raise, with the error, the request and the traceback", function()
    local app, got = web.app(), nil
    app:on_error(function(err, req, traceback)
      got = { err, req.path, traceback }
      return { wrong = err.code }, 418, { ["X-A"] = "b" }
    end)
    local raised = { code = 7 }
    app:get("/fail", function() error(raised) end)
    local res = ask(app, "/fail")
    assert.same({ 418, '{"wrong":7}', "b" }, { res.status, res.body, res.headers["x-a"] })
    assert.equal(raised, got[1])
    assert.equal("/fail", got[2])
    assert.matches("^stack traceback:\n.*web_middleware_spec.lua:%d+: in ", got[3])
  end)

  it("that answers with a 5xx leaves the error to be reported", function()
    local output = run [[
      local app = web.app()
      app:on_error(function(err) return "sorry", err.status == 404 and 503 or 500 end)
      app:get("/", function() error("boom") end)
      support.serving(app, function(port)
        print(support.get(port, "/").body)
        print(support.get(port, "/none").body)
      end)]]
    assert.matches("moonloop: GET / failed: [^\n]*:4: boom\nstack traceback:\n[^\0]*:4: in ", output)
    assert.matches("\nin the handler of GET / %([^\n]*:4%)\n", output)
    assert.matches("moonloop: GET /none failed: http: 404 Not Found\nsorry\n$", output)
    assert.equal(1, select(2, output:gsub("boom", "")))
    assert.equal(2, select(2, output:gsub("sorry\n", "")))
  end)

  it("that turns an error into another answer leaves no report", function()
    local output = run [[
      local app = web.app()
      app:on_error(function(err, req)
        if req.path == "/abort" then web.abort(409) end
        return "sorry", 422
      end)
      app:get("/{rest:path}", function() error("boom") end)
      support.serving(app, function(port)
        print(support.get(port, "/").status, support.get(port, "/abort").status)
      end)]]
    assert.equal("422\t409\n", output)
  end)

  it("that ends an error with a 5xx of its own reports both, and the same one once", function()
    local output = run [[
      local app = web.app()
      app:on_error(function(err, req)
        if req.path == "/again" then error(err, 0) end
        web.abort(502, "later")
      end)
      app:get("/{rest:path}", function() error("boom") end)
      support.serving(app, function(port)
        print(support.get(port, "/").status)
        print(support.get(port, "/again").status)
      end)]]
    assert.matches("moonloop: GET / failed: [^\n]*boom\nstack traceback:\n", output)
    assert.matches("moonloop: GET / failed: http: 502 later\n502\n", output, 1, true)
    assert.matches("moonloop: GET /again failed: [^\n]*boom\nstack traceback:\n[^\0]*:7: in [^\0]*\n500\n$", output)
    assert.equal(2, select(2, output:gsub("boom", "")))
  end)

  it("leaves an error to the default by returning nil", function()
    local output = run [[
      local app, n = web.app(), 0
      app:on_error(function() n = n + 1 end)
      app:get("/", function() error("boom") end)
      app:get("/abort", function() web.abort(409, "twice") end)
      support.serving(app, function(port)
        print(support.get(port, "/").body)
        print(support.get(port, "/abort").body, n)
      end)]]
    assert.matches('{"detail":"Internal Server Error"}\n{"detail":"twice"}\t2\n', output, 1, true)
    assert.matches("moonloop: GET / failed: [^\n]*boom\nstack traceback:", output)
    assert.not_matches("/abort failed", output, 1, true)
  end)

  it("sees web.abort's errors and those of requests without a route", function()
    local app = web.app()
    app:on_error(function(err) return "status " .. err.status, err.status end)
    app:get("/", function() web.abort(403, "why") end)
    assert.equal("status 403", ask(app, "/").body)
    assert.equal("status 404", ask(app, "/none").body)
    local res = ask(app, support.request("DELETE", "/"))
    assert.same({ 405, "status 405" }, { res.status, res.body })
  end)

  it("may wait, and may abort", function()
    local app = web.app()
    app:on_error(function() ml.sleep(0) web.abort(402, "later") end)
    app:get("/", function() error("boom") end)
    local res = ask(app, "/")
    assert.same({ 402, '{"detail":"later"}' }, { res.status, res.body })
  end)

  it("that fails itself is a 500, and both are reported", function()
    local output = run [[
      local app = web.app()
      app:on_error(function() error("second") end)
      app:get("/", function() error("first") end)
      support.serving(app, function(port)
        local res = support.get(port, "/")
        print(res.status, res.body)
      end)]]
    assert.matches('500\t{"detail":"Internal Server Error"}', output, 1, true)
    assert.matches("moonloop: GET / failed: [^\n]*:4: first\nstack traceback:\n", output)
    assert.matches("failed: [^\n]*:3: second\nstack traceback:\n", output)
  end)

  it("or its absence: an abort with a 5xx, and what ends a request without an answer, are reported", function()
    for _, middleware in ipairs { "", "app:use(function(req, next) return next(req) end)" } do
      local output = run("local app = web.app() " .. middleware .. [[
        app:get("/abort", function() web.abort(503, "closed for lunch") end)
        app:get("/fine", function() web.abort(404) end)
        app:get("/answer", function() return "no", 503 end)
        app:get("/cancel", function() ml.current():cancel("why") ml.sleep(1) end)
        app:get("/stream", function()
          return web.response { stream = function(out)
            out:write("x")
            ml.sleep(0.01)
            ml.current():cancel("in the middle")
            ml.sleep(1)
          end }
        end)
        support.serving(app, function(port)
          for _, path in ipairs { "/abort", "/fine", "/answer", "/cancel", "/stream" } do
            print(support.get(port, path).status)
          end
        end)]])
      assert.matches("moonloop: GET /abort failed: http: 503 closed for lunch\n503\n404\n503\n", output, 1, true)
      assert.matches("moonloop: GET /cancel failed: cancelled: [^\n]*: why\n[^\0]*\n500\n", output)
      assert.matches("moonloop: GET /stream failed: cancelled: [^\n]*: in the middle\n[^\0]*\n200\n$", output)
      assert.equal(3, select(2, output:gsub(" failed: ", "")))
    end
  end)

  it("is not asked for a cancel", function()
    local reports <close> = keep_reports()
    local app, asked = web.app(), false
    app:on_error(function() asked = true end)
    app:get("/", function() ml.current():cancel() ml.sleep(1) end)
    assert.equal(500, ask(app, "/").status)
    assert.is_false(asked)
    assert.matches("^moonloop: GET / failed: cancelled: ", reports:text())
  end)
end)
