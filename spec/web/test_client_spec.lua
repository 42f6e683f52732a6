-- ml.web.test: the client of an app without a socket. Errors, the clock and ends are in test_client_end_spec.lua.
local ml = require "moonloop"
local folders = require "spec.support.folder"
local web = ml.web

--- An app that shows what it got.
local function echo()
  local app = web.app()
  app:any("/echo", function(req)
    return { method = req.method, query = req.query.q, type = req.headers["content-type"], body = req.body,
      cookie = req.headers.cookie, host = req.headers.host, client = req.client.host, mine = req.headers["x-mine"] }
  end)
  return app
end

describe("ml.web.test", function()
  it("sends every method, with query, headers and all kinds of bodies", function()
    local c <close> = web.test(echo())
    for _, method in ipairs { "get", "post", "put", "patch", "delete", "options" } do
      assert.equal(method:upper(), c[method](c, "/echo"):json().method)
    end
    assert.equal("", c:head("/echo").body)
    assert.equal("7", c:get("/echo", { query = { q = 7 } }):json().query)
    assert.equal("x", c:get("/echo", { headers = { ["X-Mine"] = "x" } }):json().mine)
    assert.equal('{"a":1}', c:post("/echo", { json = { a = 1 } }):json().body)
    assert.equal("a=1", c:post("/echo", { form = { a = 1 } }):json().body)
    assert.equal("PUT", c:request { method = "put", url = "/echo" }:json().method)
    local seen = c:get("/echo"):json()
    assert.same({ "localhost", "127.0.0.1" }, { seen.host, seen.client })
  end)

  it("sends forms with files, and bodies in pieces", function()
    local app = web.app()
    app:post("/upload", function(req)
      local seen = {}
      for part in req:parts() do
        seen[#seen + 1] = part.name .. "=" .. (part.filename or "") .. ":" .. #part:read()
      end
      return seen
    end)
    app:post("/count", { max_body = math.huge }, function(req)
      local n = 0
      for chunk in req:chunks() do n = n + #chunk end
      return tostring(n)
    end)
    local folder <close> = folders.new { ["a.txt"] = ("x"):rep(1000) }
    local c <close> = web.test(app)
    local fields = { { name = "n", value = 1 }, { name = "f", path = folder.path .. "/a.txt" } }
    local res = c:post("/upload", { multipart = fields })
    assert.same({ "n=:1", "f=a.txt:1000" }, res:json())
    local left = 40
    local function piece()
      left = left - 1
      return left >= 0 and ("y"):rep(50000) or nil
    end
    assert.equal("2000000", c:post("/count", { body = piece }).body)
  end)

  it("carries large bodies both ways", function()
    local c <close> = web.test(echo(), { max_body = 32 * 2 ^ 20 })
    local text = ("0123456789abcdef"):rep(2 ^ 18) -- 4 MB
    assert.equal(text, c:post("/echo", { body = text }):json().body)
  end)

  it("reads responses in pieces, and holds back a handler whose client does not read", function()
    local app, written = web.app(), 0
    app:get("/", function()
      return web.response { stream = function(out)
        for _ = 1, 100 do
          out:write(("z"):rep(20000))
          written = written + 1
        end
      end }
    end)
    local c <close> = web.test(app)
    local res = c:get("/", { stream = true })
    for _ = 1, 50 do ml.sleep(0) end
    assert.is_true(written > 0 and written < 100, written)
    assert.equal(2000000, #res.body)
    assert.equal(100, written)
  end)

  it("gets events as they are sent", function()
    local app, sent = web.app(), ml.queue(1)
    app:get("/", function()
      return web.events(function(send)
        for text in sent.get, sent do
          if text == "" then return end
          send(text)
        end
      end)
    end)
    local c <close> = web.test(app)
    local res <close> = c:get("/", { stream = true })
    assert.equal("text/event-stream", res.headers["content-type"])
    for _, text in ipairs { "one", "two" } do
      sent:put(text)
      assert.equal("data: " .. text .. "\n\n", res:read())
    end
    sent:put("")
    assert.is_nil(res:read())
  end)

  it("behaves as served: middleware, mounts, compression, limits, deadlines, health", function()
    local app, inner, log = web.app(), web.app(), {}
    app:use(function(req, next)
      log[#log + 1] = req.path
      local res = next(req)
      res.headers["X-Outer"] = "yes"
      return res
    end)
    app:use(web.compress())
    inner:get("/big", function() return ("text "):rep(1000) end)
    inner:post("/small", { max_body = 10 }, function(req) return req.body end)
    inner:get("/slow", { deadline = 0.01 }, function() ml.sleep(1000) end)
    app:mount("/in", inner)
    app:health()
    local entries = {}
    local c <close> = web.test(app, { access_log = function(entry) entries[#entries + 1] = entry.target end })
    local res = c:get("/in/big")
    assert.equal(("text "):rep(1000), res.body)
    assert.equal("yes", res.headers["x-outer"])
    assert.is_not_nil(res.headers.vary)
    assert.equal(413, c:post("/in/small", { body = ("x"):rep(11) }).status)
    assert.equal(503, c:get("/in/slow").status)
    assert.equal(200, c:get("/healthz").status)
    assert.equal(404, c:get("/in/none").status)
    assert.equal("GET, HEAD", c:delete("/in/big").headers.allow)
    c:close()
    assert.same({ "/in/big", "/in/small", "/in/slow", "/in/none", "/in/big" }, log)
    assert.same({ "/in/big", "/in/small", "/in/slow", "/healthz", "/in/none", "/in/big" }, entries)
  end)

  it("validates, resolves dependencies and lets them be replaced", function()
    local app, ends = web.app(), {}
    local Item = ml.schema.object("Item", { name = ml.schema.string { min = 1 } })
    local db = web.dependency { name = "db", function()
      return "real", function(err) ends[#ends + 1] = err and err.kind or "fine" end
    end }
    app:post("/", { body = Item, depends = { db = db } }, function(req, deps)
      return { name = req.valid.body.name, db = deps.db }, 201
    end)
    local c <close> = web.test(app)
    assert.same({ name = "a", db = "real" }, c:post("/", { json = { name = "a" } }):json())
    assert.equal(422, c:post("/", { json = { name = "" } }).status)
    do
      local override <close> = app:override(db, function() return "fake" end) -- luacheck: ignore
      assert.equal("fake", c:post("/", { json = { name = "a" } }):json().db)
    end
    assert.same({ "fine", "validation" }, ends)
  end)

  it("runs offloaded routes", function()
    local app = web.app()
    app:get("/n/{n:int}", { offload = true }, function(req) return { twice = req.params.n * 2 } end)
    local c <close> = web.test(app)
    assert.same({ twice = 42 }, c:get("/n/21"):json())
  end)

  it("serves several clients of one app, beside a real server", function()
    local app = echo()
    local server <close> = setmetatable({ web.listen(app, { port = 0 }) }, { __close = function(s) s[1]:stop(0) end })
    local a <close> = web.test(app, { headers = { ["X-Mine"] = "a" } })
    local b <close> = web.test(app, { base_url = "http://api.example:8080" })
    assert.equal("a", a:get("/echo"):json().mine)
    assert.equal("api.example:8080", b:get("/echo"):json().host)
    assert.equal(200, b:get("http://api.example:8080/echo").status)
    assert.equal(200, ml.http.get("http://127.0.0.1:" .. server[1].port .. "/echo").status)
  end)

  it("answers hundreds of requests at once, and no more at a time than max_connections", function()
    local app, now, most = web.app(), 0, 0
    app:get("/", function()
      now = now + 1
      most = math.max(most, now)
      ml.sleep(0)
      ml.sleep(0)
      now = now - 1
      return "ok"
    end)
    local requests = {}
    local function run(c)
      for i = 1, 300 do requests[i] = function() return c:get("/").body end end
      most = 0
      assert.same({ "ok", "ok" }, { select(299, ml.gather(table.unpack(requests))) })
      return most
    end
    local c <close> = web.test(app)
    assert.equal(300, run(c))
    local few <close> = web.test(app, { max_connections = 5 })
    assert.equal(5, run(few))
  end)

  it("follows redirects within the app", function()
    local app = web.app()
    app:get("/a", function() return web.redirect("/b") end)
    app:post("/a", function() return web.redirect("/b", 303) end)
    app:get("/b", function() return "here" end)
    app:get("/away", function() return web.redirect("https://accounts.example/login") end)
    app:get("/loop", function() return web.redirect("/loop") end)
    local c <close> = web.test(app)
    local res = c:get("/a")
    assert.equal("here http://localhost/b 1", ("%s %s %d"):format(res.body, res.url, #res.history))
    assert.equal("here", c:post("/a", { form = { x = 1 } }).body)
    assert.equal("/b", c:get("/a", { follow_redirects = false }).headers.location)
    res = c:get("/away")
    assert.equal("302 https://accounts.example/login", res.status .. " " .. res.headers.location)
    assert.equal("TOO_MANY_REDIRECTS", select(2, c:get("/loop")).code)
    local still <close> = web.test(app, { follow_redirects = false })
    assert.equal(302, still:get("/a").status)
  end)
end)

describe("the cookies of ml.web.test", function()
  local function app_of(lines)
    local app = web.app()
    app:get("/set", function() return web.response { status = 204, headers = { ["Set-Cookie"] = lines } } end)
    app:get("/deep/set", function() return web.response { status = 204, headers = { ["Set-Cookie"] = lines } } end)
    for _, path in ipairs { "/", "/deep/er", "/deeper" } do
      app:get(path, function(req) return req.headers.cookie or "none" end)
    end
    return app
  end

  it("are kept and sent, by path, replaced, and expire", function()
    local clock = require "moonloop.clock"
    clock.virtual()
    local lines = { "a=1; Path=/", "b=2; Path=/deep", "c=3; Path=/; Max-Age=60", "a=4; Path=/; Secure; HttpOnly" }
    local c <close> = web.test(app_of(lines))
    c:get("/set")
    assert.equal("a=4; c=3", c:get("/").body)
    assert.equal("b=2; a=4; c=3", c:get("/deep/er").body)
    assert.equal("a=4; c=3", c:get("/deeper").body)
    ml.sleep(61)
    assert.equal("a=4", c:get("/").body)
  end)

  it("get the path of the request where they have none, and may be deleted", function()
    local lines = { "a=1" }
    local c <close> = web.test(app_of(lines))
    c:get("/deep/set")
    assert.same({}, c:cookies())
    assert.same({ a = "1" }, c:cookies("/deep/er"))
    lines[1] = "a=; Expires=Thu, 01 Jan 1970 00:00:00 GMT"
    c:get("/deep/set")
    assert.same({}, c:cookies("/deep/er"))
  end)

  it("are refused as browsers do, and malformed ones ignored", function()
    local c <close> = web.test(app_of { "__Host-a=1; Path=/", "__Secure-b=1", "x=1; Domain=other.example", "=5",
      "novalue", "__Host-ok=1; Path=/; Secure", "y=1; Domain=localhost", "z=a=b; Max-Age=x" })
    c:get("/set")
    assert.same({ ["__Host-ok"] = "1", y = "1", z = "a=b" }, c:cookies())
  end)

  it("may be given: to begin with, for one request, as a header, one by one", function()
    local c <close> = web.test(app_of {}, { cookies = { a = "1", b = 2 } })
    assert.equal("a=1; b=2", c:get("/", { cookies = {} }).body:gsub("b=2; a=1", "a=1; b=2"))
    assert.same({ a = "1", b = "2" }, c:cookies())
    c:clear_cookies()
    assert.equal("none", c:get("/").body)
    c:set_cookie("k", "v")
    assert.equal("k=v; z=9", c:get("/", { cookies = { z = 9 } }).body)
    assert.equal("k=w", c:get("/", { cookies = { k = "w" } }).body)
    assert.equal("own=1", c:get("/", { headers = { Cookie = "own=1" } }).body)
    c:set_cookie("k", nil)
    assert.equal("none", c:get("/").body)
  end)

  it("may be Secure whatever the base URL, and have its domain", function()
    local c <close> = web.test(app_of { "a=1; Secure", "b=1; Domain=shop.example", "c=1; Domain=example" },
      { base_url = "http://www.shop.example:8080" })
    c:get("/set")
    assert.same({ a = "1", b = "1" }, c:cookies())
  end)

  it("go along on redirects", function()
    local app = web.app()
    app:get("/login", function() return web.redirect("/me"):set_cookie("sid", "s1") end)
    app:get("/me", function(req) return req:cookies().sid .. "," .. (req:cookies().extra or "") end)
    local c <close> = web.test(app)
    assert.equal("s1,e", c:get("/login", { cookies = { extra = "e" } }).body)
  end)
end)

describe("wrong uses of ml.web.test", function()
  local app = echo()

  local function check(pattern, f, ...)
    local ok, message = pcall(f, ...)
    assert.is_false(ok)
    assert.matches("test_client_spec.lua:%d+: " .. pattern, message)
  end

  it("are errors that say what is wrong", function()
    local c <close> = web.test(app)
    check("bad argument #1 to 'ml.web.test' %(an app", web.test, {})
    check("unknown option 'rase' of ml.web.test %(did you mean 'raise'", web.test, app, { rase = 1 })
    check("option 'raise' of ml.web.test is 1 %(expected boolean", web.test, app, { raise = 1 })
    check("base_url: \"https://x\" %(expected http://", web.test, app, { base_url = "https://x" })
    check("base_url", web.test, app, { base_url = "http://x/api" })
    check("cookies: the value of 'a' is a boolean", web.test, app, { cookies = { a = true } })
    check("option 'max_body' of ml.web.test is %-1", web.test, app, { max_body = -1 })
    check("the test client reaches only its app: http://other/x", c.get, c, "http://other/x")
    check("bad URL: string expected, got nil", c.get, c)
    check("unknown option 'cookie' of a request %(did you mean 'cookies'", c.get, c, "/", { cookie = 1 })
    check("cookies: table expected, got string", c.get, c, "/", { cookies = "a=1" })
    check("cookies: the value of 'a' has a semicolon", c.get, c, "/", { cookies = { a = "1;b" } })
    check("cookies: \"a b\" is not a valid name", c.set_cookie, c, "a b", "1")
    check(".*test client", c.get, "/")
  end)
end)
