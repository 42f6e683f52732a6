-- app:mount: applications below a prefix of another one.
local ml = require "moonloop"
local support = require "spec.support.web"
local keep_reports = require "reports".keep
local web = ml.web

--- The status, body and trail ("X-Trail") of the answers to GETs of the targets, or of what else
-- support.request makes of {method, target}.
local function ask(app, ...)
  local list = {}
  local targets = { ... }
  support.serving(app, function(port)
    for i, target in ipairs(targets) do
      if type(target) == "string" then target = { "GET", target } end
      local res = assert(support.ask(port, support.request(target[1], target[2]), target[1] == "HEAD"))
      list[i] = { res.status, res.body, res.headers["x-trail"] }
    end
  end)
  return table.unpack(list)
end

--- Middleware that leaves its name in the response: outermost last.
local function trail(name)
  return function(req, next)
    local res = next(req)
    res.headers["X-Trail"] = (res.headers["X-Trail"] or "") .. name
    return res
  end
end

local NOT_FOUND, NOT_ALLOWED = '{"detail":"Not Found"}', '{"detail":"Method Not Allowed"}'

describe("a mounted app", function()
  it("has its routes below the prefix", function()
    local app, users = web.app(), web.app()
    users:get("/{id:int}", function(req) return req.params.id .. " at " .. req.path end)
    app:mount("/users", users)
    app:get("/", function() return "home" end)
    local a, b, c = ask(app, "/users/7", "/", "/7")
    assert.same({ 200, "7 at /users/7" }, a)
    assert.same({ 200, "home" }, b)
    assert.same({ 404, NOT_FOUND }, c)
  end)

  it("answers the prefix itself, with and without a slash, by its route /", function()
    local app, sub = web.app(), web.app()
    sub:get("/", function() return "sub" end)
    app:mount("/sub/", sub)
    local a, b, c = ask(app, "/sub", "/sub/", "/sub//")
    assert.same({ { 200, "sub" }, { 200, "sub" }, { 404, NOT_FOUND } }, { a, b, c })
  end)

  it("may have parameters in its prefix, even without a route", function()
    local app, sub = web.app(), web.app()
    sub:use(function(req, next)
      local res = next(req)
      res.headers["X-Trail"] = req.params.tenant
      return res
    end)
    sub:get("/{n}", function(req) return req.params.tenant .. req.params.n end)
    app:mount("/t/{tenant}", sub)
    local a, b = ask(app, "/t/acme/1", "/t/ac%6De/1/2")
    assert.same({ { 200, "acme1", "acme" }, { 404, NOT_FOUND, "acme" } }, { a, b })
  end)

  it("runs its middleware inside the other app's", function()
    local app, mid, sub = web.app(), web.app(), web.app()
    app:use(trail "a")
    mid:use(trail "m")
    sub:use(trail "s")
    app:mount("/m", mid)
    mid:mount("/s", sub)
    app:get("/x", function() return "" end)
    mid:get("/x", function() return "" end)
    sub:get("/x", function() return "" end)
    local a, m, s = ask(app, "/x", "/m/x", "/m/s/x")
    assert.same({ "a", "ma", "sma" }, { a[3], m[3], s[3] })
  end)

  it("answers 404 and 405 for everything below its prefix", function()
    local app, sub = web.app(), web.app()
    app:use(trail "a")
    sub:use(trail "s")
    sub:get("/x", function() return "" end)
    app:mount("/s", sub)
    local a, b, c, d, e = ask(app, "/s/none", { "POST", "/s/x" }, "/none", "/s", "/sx")
    assert.same({ 404, NOT_FOUND, "sa" }, a)
    assert.same({ 405, NOT_ALLOWED, "sa" }, b)
    assert.same({ 404, NOT_FOUND, "a" }, c)
    assert.same({ 404, NOT_FOUND, "sa" }, d)
    assert.same({ 404, NOT_FOUND, "a" }, e)
  end)

  it("answers below its prefix instead of a catch-all of the outer app", function()
    for _, has_middleware in ipairs { true, false } do
      local app, sub = web.app(), web.app()
      if has_middleware then sub:use(trail "s") end
      sub:get("/x", function() return "x" end)
      app:any("/{rest:path}", function() return "catch-all" end)
      app:get("/{a}/{b}", function() return "two" end)
      app:get("/s/own", function() return "own" end)
      app:mount("/s", sub)
      local mark = has_middleware and "s" or nil
      local none, x, prefix, post, own, outside, two = ask(app, "/s/none", "/s/x", "/s", { "POST", "/s/x" }, "/s/own",
        "/sx", "/t/none")
      assert.same({ 404, NOT_FOUND, mark }, none)
      assert.same({ 200, "x", mark }, x)
      assert.same({ 404, NOT_FOUND, mark }, prefix)
      assert.same({ 405, NOT_ALLOWED, mark }, post)
      assert.same({ 200, "own" }, own)
      assert.same({ 200, "catch-all" }, outside)
      assert.same({ 200, "two" }, two)
    end
  end)

  it("answers below a prefix with parameters instead of a catch-all beside them", function()
    local app, mid, sub = web.app(), web.app(), web.app()
    sub:use(trail "s")
    sub:get("/x", function() return "x" end)
    mid:get("/{rest:path}", function() return "mid" end)
    app:get("/t/{rest:path}", function() return "app" end)
    mid:mount("/in", sub)
    app:mount("/t/{id}", mid)
    local none, x, of_mid, of_app = ask(app, "/t/1/in/none", "/t/1/in/x", "/t/1/none", "/t/")
    assert.same({ 404, NOT_FOUND, "s" }, none)
    assert.same({ 200, "x", "s" }, x)
    assert.same({ 200, "mid" }, of_mid)
    assert.same({ 200, "app" }, of_app)
  end)

  it("does not affect paths outside its prefix", function()
    local app, sub = web.app(), web.app()
    sub:use(trail "s")
    app:mount("/s", sub)
    app:get("/x", function() return "x" end)
    local a, b, c = ask(app, "/x", "/none", "/s/none")
    assert.same({ { 200, "x" }, { 404, NOT_FOUND }, { 404, NOT_FOUND, "s" } }, { a, b, c })
  end)

  it("is asked first about its errors, then the outer app", function()
    local reports <close> = keep_reports()
    local app, sub = web.app(), web.app()
    app:on_error(function(err) return "outer " .. tostring(err.status), 500 end)
    sub:on_error(function(err) if err.status ~= 404 then return "inner " .. err.status, 500 end end)
    sub:get("/x", function() web.abort(409) end)
    app:mount("/s", sub)
    local a, b, c = ask(app, "/s/x", "/s/none", "/none")
    assert.same({ "inner 409", "outer 404", "outer 404" }, { a[2], b[2], c[2] })
    assert.matches("^moonloop: GET /s/x failed: http: 409 Conflict\n", reports:text())
  end)

  it("is not asked about errors of the outer middleware", function()
    local reports <close> = keep_reports()
    local app, sub = web.app(), web.app()
    app:use(function() web.abort(401) end)
    app:on_error(function() return "outer", 500 end)
    sub:on_error(function() return "inner", 500 end)
    sub:get("/", function() return "" end)
    app:mount("/s", sub)
    assert.equal("outer", (ask(app, "/s"))[2])
    assert.equal("moonloop: GET /s failed: http: 401 Unauthorized\n", reports:text())
  end)

  it("may get its routes after it was mounted, also while it is served", function()
    local app, sub = web.app(), web.app()
    app:use(trail "a")
    app:mount("/s", sub)
    sub:get("/x", function() return "x" end)
    support.serving(app, function(port)
      assert.equal("x", support.get(port, "/s/x").body)
      sub:get("/y", function() return "y" end)
      local res = support.get(port, "/s/y")
      assert.same({ "y", "a" }, { res.body, res.headers["x-trail"] })
    end)
  end)

  it("may be mounted at several places, and be served by itself", function()
    local app, sub = web.app(), web.app()
    sub:use(trail "s")
    sub:get("/x", function(req) return req.path end)
    app:mount("/1", sub)
    app:mount("/2", sub)
    local a, b = ask(app, "/1/x", "/2/x")
    assert.same({ { 200, "/1/x", "s" }, { 200, "/2/x", "s" } }, { a, b })
    assert.same({ 200, "/x", "s" }, (ask(sub, "/x")))
  end)

  it("may be mounted at the root", function()
    local app, sub = web.app(), web.app()
    sub:use(trail "s")
    sub:get("/", function() return "sub" end)
    app:mount("/", sub)
    app:use(trail "a")
    local a, b = ask(app, "/", "/none")
    assert.same({ 200, "sub", "sa" }, a)
    assert.same({ 404, NOT_FOUND, "a" }, b)
  end)

  it("is refused if it would contain itself", function()
    local a, b, c = web.app(), web.app(), web.app()
    a:mount("/b", b)
    b:mount("/c", c)
    for _, case in ipairs { { a, a }, { b, a }, { c, a } } do
      assert.error_matches(function() case[1]:mount("/x", case[2]) end, "cannot be mounted in itself")
    end
  end)

  it("is refused with a bad prefix, and so is a value that is not an app", function()
    local function refuses(message, prefix, sub, opts)
      local ok, err = pcall(function() web.app():mount(prefix, sub, opts) end)
      assert.is_false(ok)
      assert.matches("web_mount_spec.lua:%d+: ", err)
      assert.matches(message, err, 1, true)
    end
    refuses("string expected, got nil", nil, web.app())
    refuses("an app of ml.web.app() expected, got table", "/x", {})
    refuses("a path starts with '/'", "x", web.app())
    refuses("must be the last segment", "/{rest:path}", web.app())
    refuses("app:mount takes a prefix and an app: tags are an option of that app", "/x", web.app(), { tags = {} })
  end)

  it("with a path that the outer app already has is an error when it is served", function()
    local app, sub = web.app(), web.app()
    app:get("/s/x", print)
    sub:get("/x", print)
    app:mount("/s", sub)
    assert.error_matches(function() web.listen(app, { port = 0 }) end, "the route GET /s/x already exists")
  end)
end)
