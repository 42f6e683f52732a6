-- Routes: what a pattern matches, what a handler gets from it, and which of several is chosen.
local web = require "moonloop.web"
local json = require "moonloop.json"
local support = require "spec.support.web"

-- Serves one route a pattern; each answers with its pattern and its parameters.
local function routes(...)
  local app = web.app()
  for _, pattern in ipairs { ... } do
    app:get(pattern, function(req) return { pattern = pattern, params = json.object(req.params) } end)
  end
  return app
end

-- Asks for each target: {target, pattern, params} or {target, status}.
local function expect(app, cases)
  support.serving(app, function(port)
    for _, case in ipairs(cases) do
      local res = assert(support.get(port, case[1]))
      if type(case[2]) == "number" then
        assert.equal(case[2], res.status, case[1])
      else
        assert.equal(200, res.status, case[1])
        local got = json.decode(res.body)
        assert.equal(case[2], got.pattern, case[1])
        for name, value in pairs(case[3] or {}) do
          assert.equal(value, got.params[name], case[1])
          assert.equal(math.type(value), math.type(got.params[name]), case[1])
        end
      end
    end
  end)
end

describe("a route", function()
  it("without parameters matches its own path only", function()
    expect(routes("/", "/a", "/a/b"), {
      { "/", "/" }, { "/a", "/a" }, { "/a/b", "/a/b" }, { "/a?x=1", "/a" },
      { "/a/", 404 }, { "/b", 404 }, { "/a/b/c", 404 }, { "//a", 404 }, { "/A", 404 },
    })
  end)

  it("takes any one segment for {name}, never an empty one", function()
    expect(routes("/users/{id}", "/users/{id}/posts/{post}"), {
      { "/users/7", "/users/{id}", { id = "7" } },
      { "/users/a.b-c", "/users/{id}", { id = "a.b-c" } },
      { "/users/x/posts/y", "/users/{id}/posts/{post}", { id = "x", post = "y" } },
      { "/users/", 404 }, { "/users", 404 }, { "/users/7/", 404 }, { "/users//posts/y", 404 },
    })
  end)

  it("takes 64-bit integers for {name:int}", function()
    expect(routes("/i/{n:int}"), {
      { "/i/0", "/i/{n:int}", { n = 0 } },
      { "/i/-12", "/i/{n:int}", { n = -12 } },
      { "/i/9223372036854775807", "/i/{n:int}", { n = math.maxinteger } },
      { "/i/-9223372036854775808", "/i/{n:int}", { n = math.mininteger } },
      { "/i/%34%32", "/i/{n:int}", { n = 42 } },
      { "/i/9223372036854775808", 404 }, { "/i/-9223372036854775809", 404 }, { "/i/1.5", 404 },
      { "/i/x", 404 }, { "/i/-", 404 }, { "/i/+1", 404 }, { "/i/0x10", 404 }, { "/i/1e2", 404 },
      { "/i/%201", 404 },
    })
  end)

  it("takes decimal numbers as floats for {name:number}", function()
    expect(routes("/n/{x:number}"), {
      { "/n/1.5", "/n/{x:number}", { x = 1.5 } },
      { "/n/2", "/n/{x:number}", { x = 2.0 } },
      { "/n/-2.5e-3", "/n/{x:number}", { x = -0.0025 } },
      { "/n/nan", 404 }, { "/n/inf", 404 }, { "/n/0x1", 404 }, { "/n/1.", 404 }, { "/n/.5", 404 },
      { "/n/1e", 404 },
    })
  end)

  it("takes no number that is too large for a float, which would be an infinity that no JSON can have", function()
    expect(routes("/n/{x:number}"), {
      { "/n/1e308", "/n/{x:number}", { x = 1e308 } }, { "/n/1e-400", "/n/{x:number}", { x = 0.0 } },
      { "/n/1e309", 404 }, { "/n/-1e999", 404 },
    })
  end)

  it("takes the rest of the path for {name:path}, also an empty one", function()
    expect(routes("/files/{rest:path}"), {
      { "/files/a", "/files/{rest:path}", { rest = "a" } },
      { "/files/a/b/c.txt", "/files/{rest:path}", { rest = "a/b/c.txt" } },
      { "/files/", "/files/{rest:path}", { rest = "" } },
      { "/files//x", "/files/{rest:path}", { rest = "/x" } },
      { "/files", 404 },
    })
  end)

  it("is chosen by text before int, int before number, number before any text, that before a path", function()
    expect(routes("/{p:path}", "/{s}", "/{x:number}", "/{i:int}", "/text"), {
      { "/text", "/text" }, { "/12", "/{i:int}" }, { "/1.5", "/{x:number}" }, { "/word", "/{s}" },
      { "/a/b", "/{p:path}" },
    })
  end)

  it("is found even if a better beginning leads nowhere", function()
    expect(routes("/users/me/settings", "/users/{id}/posts", "/{rest:path}"), {
      { "/users/me/settings", "/users/me/settings" },
      { "/users/me/posts", "/users/{id}/posts", { id = "me" } },
      { "/users/me/other", "/{rest:path}", { rest = "users/me/other" } },
    })
  end)
end)

describe("percent-encoding in a path", function()
  it("is decoded once, after the path was split", function()
    expect(routes("/p/{name}", "/café/{name}", "/f/{rest:path}"), {
      { "/p/a%20b", "/p/{name}", { name = "a b" } },
      { "/p/a%2Fb", "/p/{name}", { name = "a/b" } },
      { "/p/%2541", "/p/{name}", { name = "%41" } },
      { "/p/a+b", "/p/{name}", { name = "a+b" } },
      { "/%70/x", "/p/{name}", { name = "x" } },
      { "/caf%C3%A9/x", "/café/{name}", { name = "x" } },
      { "/f/a%20b/c", "/f/{rest:path}", { rest = "a b/c" } },
      { "/p%2Fx", 404 },
    })
  end)

  it("is a 400 if it is malformed, except in the query", function()
    expect(routes("/p/{name}"), { { "/p/%", 400 }, { "/p/%4", 400 }, { "/p/%zz", 400 }, { "/p/%?q=%41", 400 },
      { "/p/a?q=%", "/p/{name}", { name = "a" } }, { "/p/%41?%4=%zz", "/p/{name}", { name = "A" } } })
  end)
end)

describe("a path without a route for the method", function()
  it("is 405 with Allow, in every case that matches", function()
    local app = web.app()
    app:get("/a/{id}", function() end):put("/a/{id}", function() end)
    app:delete("/a/b", function() end)
    support.serving(app, function(port)
      local res = support.post(port, "/a/b", "")
      assert.equal(405, res.status)
      assert.equal("GET, PUT, DELETE, HEAD", res.headers.allow)
      assert.equal('{"detail":"Method Not Allowed"}', res.body)
      assert.equal("GET, PUT, HEAD", support.post(port, "/a/x", "").headers.allow)
    end)
  end)

  it("is 404 with a JSON body if there is none for any method", function()
    support.serving(web.app(), function(port)
      local res = support.get(port, "/")
      assert.equal(404, res.status)
      assert.equal("application/json", res.headers["content-type"])
      assert.equal('{"detail":"Not Found"}', res.body)
    end)
  end)

  it("is served by another pattern that has the method", function()
    local app = web.app()
    app:get("/users/me", function() return "me" end)
    app:post("/users/{id}", function(req) return "posted " .. req.params.id end)
    support.serving(app, function(port) assert.equal("posted me", support.post(port, "/users/me", "").body) end)
  end)
end)

describe("app", function()
  it("has a function for each method, and any for the others", function()
    local app = web.app()
    for _, name in ipairs { "get", "post", "put", "patch", "delete", "options" } do
      app[name](app, "/m", function(req) return name .. " " .. req.method end)
    end
    app:any("/any", function(req) return req.method end):route("PATCH", "/any", function() return "own" end)
    support.serving(app, function(port)
      for _, name in ipairs { "get", "post", "put", "patch", "delete", "options" } do
        assert.equal(name .. " " .. name:upper(), support.ask(port, support.request(name:upper(), "/m")).body)
      end
      assert.equal("PROPFIND", support.ask(port, support.request("PROPFIND", "/any")).body)
      assert.equal("own", support.ask(port, support.request("PATCH", "/any")).body)
      assert.equal(405, support.ask(port, support.request("PROPFIND", "/m")).status)
    end)
  end)

  it("answers HEAD with the GET route, or with its own", function()
    local app = web.app()
    app:get("/g", function() return "12345" end)
    app:get("/h", function() return "get" end):head("/h", function() return "", 200, { ["X-Own"] = "yes" } end)
    support.serving(app, function(port)
      local res = support.ask(port, support.request("HEAD", "/g"), true)
      assert.equal("5", res.headers["content-length"])
      assert.equal("yes", support.ask(port, support.request("HEAD", "/h"), true).headers["x-own"])
    end)
  end)

  local function refuses(message, ...)
    local app = web.app()
    app:get("/taken/{id}", function() end)
    local ok, err = pcall(function(...) app:get(...) end, ...)
    assert.is_false(ok)
    assert.matches(message, err, 1, true)
    assert.matches("^[^\n]*web_router_spec.lua:%d+: ", err)
  end
  local function nop() end

  it("refuses bad patterns at the line that registers them", function()
    refuses("'users': a path starts with '/'", "users", nop)
    refuses("the type is int, number or path", "/{id:float}", nop)
    refuses("a parameter is a whole segment", "/a{id}", nop)
    refuses("a parameter is a whole segment", "/{}", nop)
    refuses("a parameter's name is letters", "/{a-b}", nop)
    refuses("a parameter's name is letters", "/{1a}", nop)
    refuses("must be the last segment", "/{rest:path}/x", nop)
    refuses("two parameters named 'a'", "/{a}/{a}", nop)
    refuses("the route GET /taken/{other} already exists as GET /taken/{id}", "/taken/{other}", nop)
  end)

  it("refuses bad arguments and options at the line that passes them", function()
    refuses("the path of a route is a number", 1, nop)
    refuses("the handler of /x is nil (expected a function; f() calls f, ", "/x")
    refuses("the handler of /x is a string", "/x", {}, "no")
    refuses("unknown option 'oflload' of a route (did you mean 'offload'?)", "/x", { oflload = true }, nop)
    refuses("option 'max_body' of a route is a string (expected a whole number of bytes", "/x", { max_body = "1" }, nop)
  end)
end)
