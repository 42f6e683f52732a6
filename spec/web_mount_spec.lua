-- app:mount: applications below a prefix of another one.
local ml = require "moonloop"
local support = require "spec.support.web"
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

  it("may have parameters in its prefix, also where it has no route", function()
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

  it("runs its middleware inside of the other app's", function()
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

  it("answers 404 and 405 for all below its prefix", function()
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

  it("leaves what is outside of it alone", function()
    local app, sub = web.app(), web.app()
    sub:use(trail "s")
    app:mount("/s", sub)
    app:get("/x", function() return "x" end)
    local a, b, c = ask(app, "/x", "/none", "/s/none")
    assert.same({ { 200, "x" }, { 404, NOT_FOUND }, { 404, NOT_FOUND, "s" } }, { a, b, c })
  end)

  it("is asked first for its errors, then the app round it", function()
    local app, sub = web.app(), web.app()
    app:on_error(function(err) return "outer " .. tostring(err.status), 500 end)
    sub:on_error(function(err) if err.status ~= 404 then return "inner " .. err.status, 500 end end)
    sub:get("/x", function() web.abort(409) end)
    app:mount("/s", sub)
    local a, b, c = ask(app, "/s/x", "/s/none", "/none")
    assert.same({ "inner 409", "outer 404", "outer 404" }, { a[2], b[2], c[2] })
  end)

  it("does not hear of the errors of the middleware round it", function()
    local app, sub = web.app(), web.app()
    app:use(function() web.abort(401) end)
    app:on_error(function() return "outer", 500 end)
    sub:on_error(function() return "inner", 500 end)
    sub:get("/", function() return "" end)
    app:mount("/s", sub)
    assert.equal("outer", (ask(app, "/s"))[2])
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

  it("is refused where it would contain itself", function()
    local a, b, c = web.app(), web.app(), web.app()
    a:mount("/b", b)
    b:mount("/c", c)
    for _, case in ipairs { { a, a }, { b, a }, { c, a } } do
      assert.error_matches(function() case[1]:mount("/x", case[2]) end, "cannot be mounted in itself")
    end
  end)

  it("is refused with a bad prefix, and what is no app is refused", function()
    local function refuses(message, prefix, sub)
      local ok, err = pcall(function() web.app():mount(prefix, sub) end)
      assert.is_false(ok)
      assert.matches("web_mount_spec.lua:%d+: ", err)
      assert.matches(message, err, 1, true)
    end
    refuses("string expected, got nil", nil, web.app())
    refuses("an app expected", "/x", {})
    refuses("a path starts with '/'", "x", web.app())
    refuses("must be the last segment", "/{rest:path}", web.app())
  end)

  it("whose path the app round it has already is an error when it is to be served", function()
    local app, sub = web.app(), web.app()
    app:get("/s/x", print)
    sub:get("/x", print)
    app:mount("/s", sub)
    assert.error_matches(function() web.listen(app, { port = 0 }) end, "the route GET /s/x exists already")
  end)
end)
