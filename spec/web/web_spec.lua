-- Handlers: what they return, what they are given, and what happens to their errors.
local ml = require "moonloop"
local web = require "moonloop.web"
local json = require "moonloop.json"
local support = require "spec.support.web"
local keep_reports = require "reports".keep

-- The response to GET / when the handler returns these values.
local function returning(...)
  local values = table.pack(...)
  local app = web.app()
  app:get("/", function() return table.unpack(values, 1, values.n) end)
  local res
  support.serving(app, function(port) res = support.get(port, "/") end)
  return res
end

describe("what a handler returns", function()
  it("is JSON for a table", function()
    local res = returning { message = "Hello", n = { 1, 2.5 } }
    assert.equal(200, res.status)
    assert.equal("application/json", res.headers["content-type"])
    assert.same({ message = "Hello", n = { 1, 2.5 } }, json.decode(res.body))
  end)
  it("is JSON for ml.json's values", function()
    assert.equal("[]", returning(json.array {}).body)
    assert.equal("null", returning(json.null).body)
  end)
  it("is plain text for a string, byte by byte", function()
    local res = returning("a\0b\r\n")
    assert.equal("text/plain; charset=utf-8", res.headers["content-type"])
    assert.equal("a\0b\r\n", res.body)
    assert.equal("0", returning("").headers["content-length"])
  end)
  it("is 204 without a body for nil", function()
    for _, res in ipairs { returning(), returning(nil) } do
      assert.equal(204, res.status)
      assert.is_nil(res.headers["content-length"])
      assert.is_nil(res.headers["content-type"])
    end
  end)
  it("has the status that is returned next", function()
    local res = returning({ id = 1 }, 201)
    assert.equal(201, res.status)
    assert.matches("^HTTP/1.1 201 Created\r\n", res.head)
    assert.equal(404, returning(nil, 404).status)
    assert.equal("0", returning(nil, 404).headers["content-length"])
  end)
  it("has the headers that are returned third", function()
    local res = returning("<p>", 200,
      { ["Content-Type"] = "text/html", ["X-N"] = 5, ["Set-Cookie"] = { "a=1", "b=2" } })
    assert.equal("text/html", res.headers["content-type"])
    assert.equal("5", res.headers["x-n"])
    assert.same({ "a=1", "b=2" }, res.headers["set-cookie"])
  end)
  it("may be a response made by hand", function()
    local res = returning(web.response { status = 202, json = { ok = true }, headers = { ["X-A"] = "b" } })
    assert.equal(202, res.status)
    assert.equal('{"ok":true}', res.body)
    assert.equal("b", res.headers["x-a"])
    assert.equal("raw", returning(web.response { body = "raw" }).body)
    assert.equal(304, returning(web.response { status = 304 }).status)
  end)
  it("may close the connection", function()
    assert.equal("close", returning("x", 200, { Connection = "close" }).headers.connection)
  end)
  it("has a Date of RFC 9110's form, and may have its own", function()
    assert.matches("^%u%l%l, %d%d %u%l%l %d%d%d%d %d%d:%d%d:%d%d GMT$", returning("x").headers.date)
    assert.equal("never", returning("x", 200, { date = "never" }).headers.date)
  end)
end)

describe("web.response", function()
  it("refuses an invalid response, at the line that makes it", function()
    local function refuses(message, fields)
      local ok, err = pcall(function() local r = web.response(fields) return r end)
      assert.is_false(ok)
      assert.matches("web_spec.lua:%d+: ", err)
      assert.matches(message, err, 1, true)
    end
    refuses("table expected, got string", "x")
    refuses("unknown field 'staus' of ml.web.response (did you mean 'status'?)", { staus = 200 })
    refuses("field 'status' of ml.web.response is a string", { status = "200" })
    refuses("field 'body' of ml.web.response is a table", { body = {} })
    refuses("both body and json", { body = "", json = {} })
  end)
end)

describe("a handler's failure", function()
  it("is a 500 with a JSON body, and a traceback with method and path on stderr", function()
    local output = support.run [[
      local app = web.app()
      app:get("/fail/{x}", function(req)
        ml.sleep(0.001)
        error("boom")
      end)
      support.serving(app, function(port)
        local res = support.get(port, "/fail/1")
        print(res.status, res.headers["content-type"], res.body)
      end)]]
    assert.matches('500\tapplication/json\t{"detail":"Internal Server Error"}', output, 1, true)
    assert.matches("moonloop: GET /fail/1 failed: [^\n]*:5: boom\nstack traceback:\n", output)
    assert.equal(1, select(2, output:gsub("boom", "")))
  end)

  it("is reported with the line of the handler, which a tail call removes from the traceback", function()
    local output = support.run [[
      local app = web.app()
      app:get("/plain", function() return web.response { cookies = {} } end)
      app:get("/limited", { deadline = 5 }, function() return web.response { cookies = {} } end)
      support.serving(app, function(port)
        print(support.get(port, "/plain").status, support.get(port, "/limited").status)
      end)]]
    assert.matches("500\t500", output, 1, true)
    assert.matches("\nin the handler of GET /plain %([^\n]*:3%)\n", output)
    assert.matches("\nin the handler of GET /limited %([^\n]*:4%)\n", output)
  end)

  it("can also be nil and an error, or a result that cannot be sent", function()
    local output = support.run [[
      local cases = {
        function() return nil, "went wrong" end,
        function() return true end,
        function() return 42 end,
        function() return {}, "200" end,
        function() return {}, 99 end,
        function() return {}, 200, "headers" end,
        function() return { f = print } end,
        function() return ml.json and "x", 200, { ["X-Evil"] = "a\r\nSet-Cookie: b" } end,
        function() return "x", 200, { ["X-Nul"] = "a\0" } end,
        function() return "x", 200, { ["Bad Name"] = "a" } end,
        function() return "x", 200, { [1] = "a" } end,
        function() return "x", 200, { ["X-T"] = true } end,
        function() return "x", 200, { ["Content-Length"] = "7" } end,
        function() return "x", 200, { ["Transfer-Encoding"] = "chunked" } end,
      }
      local app = web.app()
      for i, f in ipairs(cases) do app:get("/" .. i, f) end
      support.serving(app, function(port)
        for i in ipairs(cases) do
          local res = support.get(port, "/" .. i)
          print(i, res.status, res.head:find("Cookie") or "-")
        end
      end)]]
    for _, message in ipairs {
      "GET /1 failed: went wrong", "returned a boolean (expected a table, a string, nil or a response)",
      "returned a number", 'returned the status "200", a string (expected a number, 200 to 599)',
      "returned the status 99 (expected 200 to 599)", "returned headers that are a string",
      "the response of GET /7: cannot encode a function (at f)", "header 'X-Evil': the value has a control character",
      "header 'X-Nul': the value has a control", "header 'Bad Name': the name is not a token",
      "the headers have a key that is a number", "header 'X-T': the value is a boolean",
      "header 'Content-Length' is set by the server itself", "header 'Transfer-Encoding' is set by the server itself",
    } do
      assert.matches(message, output, 1, true)
    end
    for i = 1, 14 do assert.matches(i .. "\t500\t-\n", output, 1, true) end
  end)

  it("does not harm the requests after it", function()
    local output = support.run [[
      local app = web.app()
      app:get("/fail", function() error({}) end)
      app:get("/ok", function() return "ok" end)
      local conn
      support.serving(app, function(port)
        conn = require("spec.support").rawtcp.connect(port)
        conn:send(support.request("GET", "/fail") .. support.request("GET", "/ok"))
        print(support.receive(conn).status, support.receive(conn).body)
        conn:close()
      end)]]
    assert.matches("500\tok\n", output, 1, true)
  end)
end)

describe("web.abort", function()
  local function aborting(f)
    local app = web.app()
    app:get("/", f)
    local res
    support.serving(app, function(port) res = support.get(port, "/") end)
    return res
  end

  it("answers with the status and the detail, and reports nothing", function()
    local res = aborting(function() web.abort(403, "not yours") end)
    assert.equal(403, res.status)
    assert.equal("application/json", res.headers["content-type"])
    assert.equal('{"detail":"not yours"}', res.body)
  end)
  it("takes the status' name, or any JSON value, for a detail", function()
    assert.equal('{"detail":"Not Found"}', aborting(function() web.abort(404) end).body)
    assert.equal('{"detail":[1,2]}', aborting(function() web.abort(422, { 1, 2 }) end).body)
  end)
  it("works below calls and after a suspension", function()
    local function deep(n) if n > 0 then return deep(n - 1), 1 end ml.sleep(0.001) web.abort(409) end
    assert.equal(409, aborting(function() deep(10) end).status)
  end)
  it("can be caught as an error object", function()
    local err
    aborting(function() err = select(2, pcall(web.abort, 400, "why")) return "caught" end)
    assert.is_true(ml.is_error(err))
    assert.equal("http", err.kind)
    assert.equal(400, err.status)
    assert.equal("http: 400 why", tostring(err))
  end)
  it("keeps the headers that it is given, with and without middleware and offloaded", function()
    local challenge = { ["WWW-Authenticate"] = { "Basic", "Bearer" }, ["Content-Type"] = "application/problem+json" }
    for _, case in ipairs {
      {}, { middleware = true }, { opts = { offload = true } },
      { on_error = function(err) return "own", 401, err.headers end },
    } do
      local app = web.app()
      if case.middleware then app:use(function(req, next) return next(req) end) end
      if case.on_error then app:on_error(case.on_error) end
      app:get("/", case.opts or {}, function() require("moonloop.web").abort(401, "who?", challenge) end)
      support.serving(app, function(port)
        local res = support.get(port, "/")
        assert.equal(401, res.status)
        local lines = res.headers["www-authenticate"]
        table.sort(lines)
        assert.same({ "Basic", "Bearer" }, lines)
        assert.equal("application/problem+json", res.headers["content-type"])
        assert.equal(case.on_error and "own" or '{"detail":"who?"}', res.body)
      end)
    end
  end)
  it("refuses invalid headers", function()
    local ok, err = pcall(function() web.abort(401, nil, "Basic") end)
    assert.is_false(ok)
    assert.matches("web_spec.lua:%d+: bad argument #3 to 'ml.web.abort' %(a table of headers expected, got string%)",
      err)
  end)
  it("refuses an invalid status", function()
    assert.has_error(function() web.abort("404") end)
    assert.has_error(function() web.abort(200) end)
    assert.has_error(function() web.abort(600) end)
  end)
end)

describe("a request", function()
  -- Runs f(req) as the handler of any path; its results are what this returns.
  local function with_request(text, f)
    local app, got = web.app(), nil
    app:any("/{rest:path}", function(req) got = table.pack(f(req)) return "" end)
    support.serving(app, function(port) assert.equal(200, support.ask(port, text).status) end)
    return table.unpack(got, 1, got.n)
  end

  it("has its method and its decoded path", function()
    local method, path = with_request(support.request("PUT", "/a%20b/c?x=1"), function(r) return r.method, r.path end)
    assert.equal("PUT", method)
    assert.equal("/a b/c", path)
  end)
  it("takes an absolute target's path", function()
    local text = support.request("GET", "http://else.where:80/p?q=1")
    local path, q = with_request(text, function(r) return r.path, r.query.q end)
    assert.equal("/p", path)
    assert.equal("1", q)
  end)
  it("has the query's values, decoded; the last of equal names", function()
    local text = support.request("GET", "/?a=1&b=x+y%21&c&=e&&a=2&d==&%61%62=%C3%A9")
    local q = with_request(text, function(r) return r.query end)
    assert.same({ a = "2", b = "x y!", c = "", [""] = "e", d = "=", ab = "é" }, q)
  end)
  it("has an empty query if there is none", function()
    assert.same({}, (with_request(support.request("GET", "/x?"), function(r) return r.query end)))
    assert.same({}, (with_request(support.request("GET", "/x"), function(r) return r.query end)))
  end)
  it("has headers by name in any case, repeated ones joined", function()
    local text = support.request("GET", "/",
      "X-Thing: one\r\nx-thing:  two \r\nCookie: a=1\r\nCookie: b=2\r\nEmpty:\r\n")
    local h = with_request(text, function(r) return r.headers end)
    assert.equal("one, two", h["X-THING"])
    assert.equal("one, two", h["x-thing"])
    assert.equal("a=1; b=2", h.cookie)
    assert.equal("", h.empty)
    assert.equal("here", h.Host)
    assert.is_nil(h.missing)
    assert.is_nil(h[1])
  end)
  it("has its body as bytes, an empty string if there is none", function()
    local function body(r) return r.body end
    local text = support.request("POST", "/", "Content-Length: 3\r\n", "a\0b")
    assert.equal("a\0b", (with_request(text, body)))
    assert.equal("", (with_request(support.request("GET", "/"), body)))
  end)
  it("has the client's address and port", function()
    local client = with_request(support.request("GET", "/"), function(r) return r.client end)
    assert.equal("127.0.0.1", client.host)
    assert.equal("integer", math.type(client.port))
    assert.equal("127.0.0.1:" .. client.port, tostring(client))
  end)
  it("has an id of its own", function()
    local app, ids = web.app(), {}
    app:get("/", function(req) ids[#ids + 1] = req.id end)
    support.serving(app, function(port) support.get(port, "/") support.get(port, "/") end)
    assert.not_equal(ids[1], ids[2])
  end)
  it("keeps its tables and what a script writes", function()
    with_request(support.request("GET", "/?a=1"), function(r)
      assert.equal(r.query, r.query)
      assert.equal(r.headers, r.headers)
      assert.equal(r.params, r.params)
      r.query.a = "mine"
      assert.equal("mine", r.query.a)
      r.user = { name = "ann" }
      assert.equal("ann", r.user.name)
      assert.is_nil(r.nothing)
    end)
  end)
  it("stays whole when it is kept beyond its response", function()
    local app, kept = web.app(), nil
    app:any("/{name}", function(req) kept = req return "" end)
    support.serving(app, function(port) support.post(port, "/x%20y?q=1", "body", "X-A: b\r\n") end)
    collectgarbage()
    assert.same({ "POST", "/x y", "x y", "1", "b", "body" },
      { kept.method, kept.path, kept.params.name, kept.query.q, kept.headers["x-a"], kept.body })
  end)
  it("decodes JSON", function()
    local text = support.request("POST", "/", "Content-Length: 9\r\n", '{"a":[1]}')
    assert.same({ a = { 1 } }, (with_request(text, function(r) return r:json() end)))
  end)
  it("raises the error of bad JSON, or returns it if asked to", function()
    local text = support.request("POST", "/", "Content-Length: 2\r\n", "{]")
    local value, err = with_request(text, function(r) return r:json { raise = false } end)
    assert.is_nil(value)
    assert.same({ "json", 400 }, { err.kind, err.status })
    local ok, raised = with_request(text, function(r) return pcall(r.json, r, { raise = true }) end)
    assert.is_false(ok)
    assert.same({ "json", 400 }, { raised.kind, raised.status })
  end)
  it("refuses invalid options of req:json", function()
    local text = support.request("POST", "/", "Content-Length: 2\r\n", "{}")
    for opts, message in pairs {
      [{ rise = false }] = "unknown option 'rise' of req:json (did you mean 'raise'?)",
      [{ 1 }] = "unknown option '1' of req:json (known: raise)",
      [{ raise = 0 }] = "option 'raise' of req:json is a number (expected boolean)",
    } do
      local _, err = with_request(text, function(r) return pcall(function() return (r:json(opts)) end) end)
      assert.matches("web_spec.lua:%d+: ", err)
      assert.matches(message, err, 1, true)
    end
  end)
  it("whose bad JSON the handler does not check is a 400", function()
    local app = web.app()
    app:post("/raise", function(req) error(select(2, req:json { raise = false })) end)
    app:post("/return", function(req) return req:json { raise = false } end)
    app:post("/unchecked", function(req) return { sum = req:json().a + 1 } end)
    app:post("/asserted", function(req) return assert(req:json()) end)
    support.serving(app, function(port)
      for _, path in ipairs { "/raise", "/return", "/unchecked", "/asserted" } do
        local res = support.post(port, path, "{]")
        assert.equal(400, res.status)
        assert.matches("line 1, column 2", json.decode(res.body).detail)
      end
    end)
  end)
end)

describe("an offloaded handler", function()
  it("runs on another core with a copy of the request", function()
    local app = web.app()
    app:post("/{n:int}", { offload = true }, function(req)
      return { text = tostring(req), n = req.params.n, q = req.query.q, body = req:json(), method = req.method,
        h = req.headers["X-A"], host = req.client.host, path = req.path }, 201
    end)
    support.serving(app, function(port)
      local res = support.post(port, "/7?q=x", '{"k":[1]}', "X-A: b\r\n")
      assert.equal(201, res.status)
      assert.same({ text = "request 1: POST /7", n = 7, q = "x", body = { k = { 1 } }, method = "POST", h = "b",
        host = "127.0.0.1", path = "/7" }, json.decode(res.body))
    end)
  end)
  it("may return what any handler may", function()
    local app = web.app()
    app:get("/response", { offload = true }, function()
      return require("moonloop.web").response { status = 202, json = { 1 }, headers = { ["X-A"] = "b" } }
    end)
    app:get("/nil", { offload = true }, function() end)
    app:get("/text", { offload = true }, function() return "text", 203, { ["X-B"] = "c" } end)
    support.serving(app, function(port)
      local res = support.get(port, "/response")
      assert.same({ 202, "[1]", "b" }, { res.status, res.body, res.headers["x-a"] })
      assert.equal(204, support.get(port, "/nil").status)
      res = support.get(port, "/text")
      assert.same({ 203, "text", "c" }, { res.status, res.body, res.headers["x-b"] })
    end)
  end)
  it("may abort", function()
    local app = web.app()
    app:get("/", { offload = true }, function() require("moonloop.web").abort(403, "there") end)
    support.serving(app, function(port)
      local res = support.get(port, "/")
      assert.same({ 403, '{"detail":"there"}' }, { res.status, res.body })
    end)
  end)
end)

describe("handlers", function()
  it("of different connections run at once", function()
    local app, inside, most = web.app(), 0, 0
    app:get("/", function()
      inside = inside + 1
      most = math.max(most, inside)
      while most < 5 do ml.sleep(0) end
      inside = inside - 1
      return "done"
    end)
    support.serving(app, function(port)
      local asks = {}
      for i = 1, 5 do asks[i] = function() return support.get(port, "/").body end end
      assert.same({ "done", "done", "done", "done", "done", n = 5 }, ml.gather(asks))
    end)
  end)
  it("leave their children running when they return", function()
    local app, child = web.app(), nil
    app:get("/", function() child = ml.spawn(function() ml.sleep(0.01) return "child" end) end)
    support.serving(app, function(port)
      support.get(port, "/")
      assert.equal("child", child:await())
    end)
  end)
  it("are named by their route", function()
    local app, name = web.app(), nil
    app:get("/users/{id}", function() name = ml.current().name return "x" end)
    support.serving(app, function(port) assert.equal("x", support.get(port, "/users/1").body) end)
    assert.equal("GET /users/{id}", name)
  end)
end)

describe("a route with a deadline", function()
  it("answers as without one while it keeps it", function()
    local app = web.app()
    app:get("/{n:int}", { deadline = 60 }, function(req)
      ml.sleep(0)
      return { n = req.params.n }, 201
    end)
    support.serving(app, function(port)
      local res = support.get(port, "/7")
      assert.equal(201, res.status)
      assert.equal('{"n":7}', res.body)
    end)
  end)

  it("is cancelled with its children when it passes, and the client gets a 503 after the cleanup", function()
    local reports <close> = keep_reports()
    local log, child = {}, nil
    local app = web.app()
    app:get("/", { deadline = 0.02 }, function()
      child = ml.spawn(ml.sleep, 100)
      local _ <close> = setmetatable({}, { __close = function(_, err) log[#log + 1] = err.kind end })
      ml.sleep(100)
    end)
    support.serving(app, function(port)
      local res = support.get(port, "/")
      assert.equal(503, res.status)
      assert.equal('{"detail":"Deadline Exceeded"}', res.body)
    end)
    assert.same({ "cancelled" }, log)
    assert.equal("cancelled", child:status())
    assert.equal("moonloop: GET / failed: http: 503 Deadline Exceeded\n", reports:text())
  end)

  it("is cancelled at its next wait if that passes while it computes, and not without a wait", function()
    local reports <close> = keep_reports()
    local app, went_on = web.app(), false
    local function compute()
      local ends = ml.now() + 0.02
      while ml.now() <= ends do end
    end
    app:get("/waits", { deadline = 0.02 }, function()
      compute()
      ml.sleep(0)
      went_on = true
    end)
    app:get("/computes", { deadline = 0.02 }, function()
      compute()
      return "computed"
    end)
    support.serving(app, function(port)
      assert.equal(503, support.get(port, "/waits").status)
      assert.equal("computed", support.get(port, "/computes").body)
    end)
    assert.is_false(went_on)
    assert.equal("moonloop: GET /waits failed: http: 503 Deadline Exceeded\n", reports:text())
  end)

  it("is a 503 if it has passed when a stream begins, with and without middleware", function()
    local reports <close> = keep_reports()
    local app = web.app()
    local function slow()
      local ends = ml.now() + 0.02
      while ml.now() <= ends do end
      return web.response { stream = function() ml.sleep(100) end }
    end
    app:get("/", { deadline = 0.02 }, slow)
    app:get("/middleware", { deadline = 0.02, use = { function(req, next) return next(req) end } }, slow)
    app:get("/begun", { deadline = 0.5 }, function()
      return web.response { stream = function(out)
        out:write("x")
        ml.sleep(100)
      end }
    end)
    support.serving(app, function(port)
      for _, path in ipairs { "/", "/middleware" } do
        local res = support.get(port, path)
        assert.equal(503, res.status)
        assert.equal('{"detail":"Deadline Exceeded"}', res.body)
      end
      local res = support.get(port, "/begun")
      assert.equal("x", res.body)
      assert.truthy(res.broken)
    end)
    -- The last one has been cut off.
    local lines = select(2, reports:text():gsub("failed: timeout: ", ""))
    assert.equal(3, lines, reports:text())
  end)

  it("must be a positive number of seconds", function()
    local app = web.app()
    assert.has_error(function() app:get("/", { deadline = 0 }, print) end)
    assert.has_error(function() app:get("/", { deadline = "1" }, print) end)
  end)
end)
