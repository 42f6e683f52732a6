-- Dependencies: which of them run for a request, in which order, and what they get.
local ml = require "moonloop"
local support = require "spec.support.web"
local keep_reports = require "reports".keep
local web = ml.web

--- A dependency that notes in `log` when it is opened and cleaned up; its value is its name.
local function noted(log, name, spec)
  spec = spec or {}
  spec.name = name
  spec[1] = function()
    log[#log + 1] = name
    return name, function() log[#log + 1] = "-" .. name end
  end
  return web.dependency(spec)
end

local function message(f, ...) return select(2, pcall(f, ...)) end

describe("a dependency", function()
  it("gives the handler its value under the name that the route has for it", function()
    local app = web.app()
    local user = web.dependency { function(req) return { name = req.query.name } end }
    app:get("/", { depends = { who = user } }, function(_, deps) return deps.who.name end)
    support.serving(app, function(port) assert.equal("ann", support.get(port, "/?name=ann").body) end)
  end)

  it("runs once for a request, before what needs it", function()
    local app, log = web.app(), {}
    local db = noted(log, "db")
    local user = noted(log, "user", { needs = { db = db } })
    local admin = noted(log, "admin", { needs = { user = user, db = db } })
    app:get("/", { depends = { admin = admin, db = db, user = user } }, function()
      log[#log + 1] = "handler"
      return "ok"
    end)
    support.serving(app, function(port)
      support.get(port, "/")
      assert.equal("db user admin handler -admin -user -db", table.concat(log, " "))
    end)
  end)

  it("may need others without a name, one after the other or concurrent ones", function()
    for _, concurrent in ipairs { false, true } do
      local app, log = web.app(), {}
      local a, b = noted(log, "a", { concurrent = concurrent }), noted(log, "b", { concurrent = concurrent })
      local c = noted(log, "c", { needs = { a, b } })
      local d = web.dependency { needs = { c, value = a }, function(_, deps) return deps.value end }
      app:get("/", { depends = { d = d } }, function(_, deps) return deps.d end)
      support.serving(app, function(port)
        assert.equal("a", support.get(port, "/").body)
        assert.equal("a b c -c -b -a", table.concat(log, " "))
      end)
    end
  end)

  it("runs in the order of names, those without a name first, those of outer apps before", function()
    local app, api, log = web.app(), web.app(), {}
    local deps = {}
    for _, name in ipairs { "a", "b", "c", "d", "e" } do
      deps[name] = web.dependency { function() log[#log + 1] = name end }
    end
    app:depends { z = deps.e }
    api:depends { z = deps.d }
    api:get("/", { depends = { y = deps.b, x = deps.a, deps.c } }, function() return "ok" end)
    app:mount("/api", api)
    support.serving(app, function(port)
      support.get(port, "/api")
      assert.equal("e d c a b", table.concat(log, " "))
    end)
  end)

  it("of an app runs for all its routes, those of mounted apps and later ones, but not for a 404", function()
    local app, api, seen = web.app(), web.app(), 0
    local count = web.dependency { function() seen = seen + 1 end }
    app:get("/first", function() return "ok" end)
    app:depends { count }
    app:mount("/api", api)
    support.serving(app, function(port)
      api:get("/late", function() return "ok" end)
      support.get(port, "/first")
      support.get(port, "/api/late")
      assert.equal(404, support.get(port, "/missing").status)
      assert.equal(2, seen)
    end)
  end)

  it("of an outer app also runs where the route has another one of that name", function()
    local app, guarded = web.app(), 0
    app:depends { user = web.dependency { function() guarded = guarded + 1 return "outer" end } }
    app:get("/", { depends = { user = web.dependency { function() return "inner" end } } }, function(_, deps)
      return deps.user
    end)
    support.serving(app, function(port) assert.equal("inner", support.get(port, "/").body) end)
    assert.equal(1, guarded)
  end)

  it("may be one of very many, with names that are no Lua names", function()
    local app, sum = web.app(), 0
    for _, count in ipairs { 5, 120 } do
      local last, all = nil, {}
      for i = 1, count do
        last = web.dependency { needs = last and { ["the last"] = last }, function(_, deps)
          return i > 1 and deps["the last"] + 1 or 1
        end }
        all[('a "%d"\n'):format(i)] = last
      end
      app:get("/" .. count, { depends = all }, function(_, deps)
        sum = 0
        for i = 1, count do sum = sum + deps[('a "%d"\n'):format(i)] end
        return tostring(sum)
      end)
    end
    support.serving(app, function(port)
      assert.equal("15", support.get(port, "/5").body)
      assert.equal("7260", support.get(port, "/120").body)
    end)
  end)

  it("may abort, and what comes after it does not run", function()
    local app, ran = web.app(), false
    local guard = web.dependency { name = "guard", function()
      web.abort(401, "who are you?", { ["X-Why"] = "token" })
    end }
    local other = web.dependency { needs = { guard = guard }, function() ran = true end }
    app:get("/", { depends = { other = other } }, function() ran = true end)
    support.serving(app, function(port)
      local res = support.get(port, "/")
      assert.equal(401, res.status)
      assert.equal('{"detail":"who are you?"}', res.body)
      assert.equal("token", res.headers["x-why"])
    end)
    assert.is_false(ran)
  end)

  it("that returns nil and an error fails the request", function()
    local app = web.app()
    local db = web.dependency { function() return nil, "no database" end }
    app:get("/", { depends = { db = db } }, function() return "ok" end)
    support.serving(app, function(port)
      local reports <close> = keep_reports()
      assert.equal(500, support.get(port, "/").status)
      assert.matches("GET / failed: no database", reports:text())
    end)
  end)

  it("may be nil, alone or with a clean-up", function()
    local app, log = web.app(), {}
    local none = web.dependency { function() end }
    local lock = web.dependency { function() return nil, function() log[#log + 1] = "unlocked" end end }
    app:get("/", { depends = { lock = lock, none = none } }, function(_, deps)
      return tostring(deps.lock) .. tostring(deps.none)
    end)
    support.serving(app, function(port) assert.equal("nilnil", support.get(port, "/").body) end)
    assert.same({ "unlocked" }, log)
  end)

  it("whose second value is no function is an error that names it", function()
    local app = web.app()
    local x = web.dependency { name = "x", function() return 1, 2 end }
    app:get("/", { depends = { x = x } }, function() return "ok" end)
    support.serving(app, function(port)
      local reports <close> = keep_reports()
      assert.equal(500, support.get(port, "/").status)
      assert.matches("dependency x %(.-spec.lua:%d+%) returned a second value that is a number", reports:text())
    end)
  end)

  it("runs inside of middleware and in a route's deadline, and may wait", function()
    local app = web.app()
    app:use(function(req, next)
      local res = next(req)
      res.headers["X-Status"] = tostring(res.status)
      return res
    end)
    local slow = web.dependency { function() ml.sleep(1000) end }
    app:get("/", { deadline = 0.01, depends = { slow } }, function() return "ok" end)
    support.serving(app, function(port)
      local reports <close> = keep_reports()
      local res = support.get(port, "/")
      assert.equal(503, res.status)
      assert.equal("503", res.headers["x-status"])
      assert.matches("Deadline Exceeded", reports:text())
    end)
  end)

  it("that is concurrent runs at the same time as others, after what they need", function()
    local app, log = web.app(), {}
    local both = ml.event()
    local function meet(name, other)
      log[#log + 1] = name
      if log[#log - 1] == other then both:set() end
      both:wait()
      return name
    end
    local base = web.dependency { function() log[#log + 1] = "base" end }
    local a = web.dependency { concurrent = true, needs = { base = base }, function() return meet("a", "b") end }
    local b = web.dependency { concurrent = true, needs = { base = base }, function() return meet("b", "a") end }
    app:get("/", { depends = { a = a, b = b } }, function(_, deps) return deps.a .. deps.b end)
    support.serving(app, function(port) assert.equal("ab", support.get(port, "/").body) end)
    assert.equal("base", log[1])
  end)

  it("that refuses the request at the same time as another has not failed", function()
    local app = web.app()
    local function concurrent(name, f)
      return web.dependency { name = name, concurrent = true, function()
        ml.sleep(0)
        f()
      end }
    end
    local function refused() web.abort(401) end
    local a, b = concurrent("a", refused), concurrent("b", refused)
    local broken = concurrent("broken", function() error "it broke" end)
    app:get("/", { depends = { a = a, b = b } }, function() return "in" end)
    app:get("/broken", { depends = { a = a, b = broken } }, function() return "in" end)
    local reports <close> = keep_reports()
    support.serving(app, function(port)
      assert.equal(401, support.get(port, "/").status)
      collectgarbage()
      assert.equal("", reports:text())
      assert.equal(401, support.get(port, "/broken").status)
    end)
    assert.matches("GET /broken failed: .*it broke\n.*in dependency broken %(", reports:text())
    assert.is_nil(reports:text():find "401")
  end)
end)

describe("a table of dependencies", function()
  it("knows its names: another one is an error that lists them", function()
    local app = web.app()
    local db = web.dependency { function() return 1 end }
    local user = web.dependency { name = "user", needs = { db = db }, function(_, deps) return deps.dbb end }
    local admin = web.dependency { name = "admin", function() return 1 end }
    app:get("/handler", { depends = { db = db } }, function(_, deps) return deps.bd end)
    app:get("/needs", { depends = { user = user } }, function() return "ok" end)
    app:get("/nameless", { depends = { admin } }, function(_, deps) return deps.admin end)
    app:get("/nothing", { depends = { x = web.dependency { function(_, deps) return deps.db end } } }, print)
    support.serving(app, function(port)
      local reports <close> = keep_reports()
      for _, path in ipairs { "/handler", "/needs", "/nameless", "/nothing" } do support.get(port, path) end
      assert.matches("unknown dependency 'bd' of GET /handler", reports:text())
      assert.matches("unknown dependency 'dbb' of dependency user", reports:text())
      assert.matches("the dependency 'admin' of GET /nameless is there without a name", reports:text())
      assert.matches("deps.db: this dependency needs nothing", reports:text())
    end)
  end)

  it("raises after the end of the request, and says so", function()
    local app, kept = web.app(), {}
    local db = web.dependency { function() return 1 end }
    local user = web.dependency { needs = { db = db }, function(_, deps) kept[1] = deps return 2 end }
    app:get("/", { depends = { user = user } }, function(_, deps) kept[2] = deps return "ok" end)
    support.serving(app, function(port) support.get(port, "/") end)
    for i, name in ipairs { "db", "user" } do
      assert.matches("deps." .. name .. ": the dependencies of this request have ended",
        message(function() return kept[i][name] end))
    end
  end)
end)

describe("ml.web.dependency", function()
  local db = web.dependency { name = "db", function() end }

  it("names what is wrong, at the caller's line", function()
    for text, spec in pairs {
      ["takes a table.-got a function"] = print,
      ["takes a table.-got a dependency"] = db,
      ["the function is missing"] = { name = "x" },
      ["the first value is a string"] = { "x" },
      ["unknown option 'need' of ml.web.dependency %(did you mean 'needs'%?%)"] = { print, need = {} },
      ["option 'scope' of ml.web.dependency is a string %(expected 'handler' or 'response'%)"] = {
        print, scope = "request" },
      ["'db' of needs of ml.web.dependency is a function"] = { print, needs = { db = print } },
      ["needs of ml.web.dependency is a dependency"] = { print, needs = db },
      ["'db' of needs of ml.web.dependency is ml.web.dependency itself"] = { print, needs = { db = web.dependency } },
      ["dependency x has the scope 'response' and cannot need 'db' %(db%), which ends with the handler"] = {
        print, name = "x", scope = "response", needs = { db = db } },
    } do
      local err = message(function() web.dependency(spec) end)
      assert.matches(text, err)
      assert.matches("^.-dependency_spec%.lua:%d+: ", err)
    end
  end)

  it("refuses what routes and apps depend on if it is no dependency", function()
    local app = web.app()
    assert.matches("'db' of depends of a route is a function",
      message(app.get, app, "/", { depends = { db = print } }, print))
    assert.matches("depends of a route is a dependency", message(app.get, app, "/", { depends = db }, print))
    assert.matches("'x' of app:depends is a table", message(app.depends, app, { x = {} }))
    assert.matches("app:depends is a nil", message(app.depends, app))
  end)

  it("that needs itself in a circle is refused when the route is made", function()
    local a = web.dependency { name = "a", function() end }
    local b = web.dependency { name = "b", needs = { a = a }, function() end }
    a.needs.b = b
    local app = web.app()
    assert.matches("these dependencies need each other: a needs b needs a",
      message(app.get, app, "/", { depends = { a = a } }, print))
  end)
end)

describe("an offloaded route", function()
  it("gets copies of its dependencies, which run on the loop", function()
    local app, opened = web.app(), 0
    local settings = web.dependency { function()
      opened = opened + 1
      return { color = "red" }
    end }
    app:get("/", { offload = true, depends = { settings = settings } }, function(_, deps)
      return deps.settings.color
    end)
    support.serving(app, function(port) assert.equal("red", support.get(port, "/").body) end)
    assert.equal(1, opened)
  end)

  it("is refused with one that says that it cannot be copied", function()
    local app = web.app()
    local db = web.dependency { name = "db", offload = false, function() end }
    assert.matches("GET / has the option 'offload', and its dependency 'tx' %(db%) cannot be copied",
      message(app.get, app, "/", { offload = true, depends = { tx = db } }, print))
    local user = web.dependency { needs = { db = db }, function() end }
    app:get("/user", { offload = true, depends = { user = user } }, print)
  end)
end)

describe("app:override", function()
  it("puts a function in the place of a dependency, which then needs nothing, until its block ends", function()
    local app, api = web.app(), web.app()
    local token = web.dependency { function() web.abort(401) end }
    local user = web.dependency { needs = { token = token }, function() return "ann" end }
    api:get("/", { depends = { user = user } }, function(_, deps) return deps.user end)
    app:mount("/api", api)
    support.serving(app, function(port)
      assert.equal(401, support.get(port, "/api").status)
      do
        local _ <close> = app:override(user, function() return "fake" end)
        assert.equal("fake", support.get(port, "/api").body)
        local inner = api:override(user, function() return "inner" end)
        assert.equal("inner", support.get(port, "/api").body)
        inner:close()
        inner:close()
        assert.equal("fake", support.get(port, "/api").body)
      end
      assert.equal(401, support.get(port, "/api").status)
    end)
  end)

  it("of a mounted app does not reach the app around it", function()
    local app, api = web.app(), web.app()
    local user = web.dependency { function() return "ann" end }
    app:get("/", { depends = { user = user } }, function(_, deps) return deps.user end)
    app:mount("/api", api)
    local _ <close> = api:override(user, function() return "fake" end)
    support.serving(app, function(port) assert.equal("ann", support.get(port, "/").body) end)
  end)

  it("takes a dependency of the same scope, with what that needs", function()
    local app = web.app()
    local name = web.dependency { function() return "bob" end }
    local user = web.dependency { name = "user", function() return "ann" end }
    local other = web.dependency { name = "other", needs = { name = name }, function(_, deps) return deps.name end }
    app:get("/", { depends = { user = user } }, function(_, deps) return deps.user end)
    local _ <close> = app:override(user, other)
    support.serving(app, function(port) assert.equal("bob", support.get(port, "/").body) end)
    local wrapped = web.dependency { name = "wrapped", needs = { user = user }, function() end }
    local long = web.dependency { name = "long", scope = "response", function() end }
    assert.matches("dependency wrapped needs what it would replace", message(app.override, app, user, wrapped))
    assert.matches("dependency long has the scope 'response', and what it would replace 'handler'",
      message(app.override, app, user, long))
    assert.matches("a dependency expected, got a function", message(app.override, app, print, print))
    assert.matches("a function or a dependency expected, got a number", message(app.override, app, user, 1))
  end)
end)

describe("app:scope", function()
  it("opens dependencies outside of a request, and cleans up", function()
    local app, log = web.app(), {}
    local db = web.dependency { scope = "response", function(req)
      assert.is_nil(req)
      return "db", function(err) log[#log + 1] = err or "commit" end
    end }
    assert.equal("db", app:scope({ db = db }, function(deps) return deps.db end))
    assert.same({ nil, "full" }, { app:scope({ db = db }, function() return nil, "full" end) })
    assert.equal("boom", message(app.scope, app, { db = db }, function() error("boom", 0) end))
    local _ <close> = app:override(db, function() return "fake" end)
    assert.equal("fake", app:scope({ db = db }, function(deps) return deps.db end))
    assert.same({ "commit", "full", "boom" }, log)
  end)
end)
