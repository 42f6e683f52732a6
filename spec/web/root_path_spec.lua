-- The option root_path: an app that a proxy shows below a path.
local ml = require "moonloop"
local web = ml.web

local function app_at(root)
  local app, inner = web.app { root_path = root }, web.app()
  local function show(req) return { path = req.path, url = req.url, target = req.target, root = req.root_path } end
  app:get("/", show)
  app:get("/items/{id}", show)
  app:get("/away", function() return web.redirect("https://example.com/") end)
  app:get("/other", function() return web.redirect("//example.com/") end)
  app:get("/near", function() return web.redirect "items/1" end)
  app:get("/login", function() return web.redirect("/items/1?x=/y", 303) end)
  app:get("/heavy", { offload = true }, function() return require "moonloop".web.redirect "/items/1" end)
  app:get("/child", function() return (ml.gather(function() return web.redirect "/items/1" end)) end)
  inner:get("/x", show)
  inner:get("/to", function() return web.redirect "/inner/x" end)
  app:mount("/inner", inner)
  return app
end

local function location(c, path) return c:get(path, { follow_redirects = false }).headers.location end

describe("root_path", function()
  it("is left out of req.path, whether or not the proxy has removed it", function()
    local c <close> = web.test(app_at "/api/v1")
    for target, path in pairs { ["/items/7?q=1"] = "/items/7", ["/api/v1/items/7?q=1"] = "/items/7", ["/api/v1"] = "/",
        ["/api/v1/"] = "/", ["/"] = "/", ["/api/v1?q=1"] = "/", ["/api/v1/inner/x"] = "/inner/x" } do
      local res = c:get(target)
      assert.equal(200, res.status, target)
      local seen = res:json()
      assert.same({ path, target, "/api/v1" }, { seen.path, seen.target, seen.root })
      assert.equal("http://localhost/api/v1" .. path .. (target:match "%?.*" or ""), seen.url)
    end
    for _, target in ipairs { "/api/v10/items/7", "/api/v1items/7", "/api/v1/api/v1/items/7", "/api/%761/items/7" } do
      assert.equal(404, c:get(target).status, target)
    end
  end)

  it("is in redirects to a path of the site", function()
    local c <close> = web.test(app_at "/api")
    assert.equal("/api/items/1?x=/y", location(c, "/login"))
    assert.equal("/api/inner/x", location(c, "/api/inner/to"))
    assert.equal("/api/items/1", location(c, "/heavy"))
    assert.equal("/api/items/1", location(c, "/child"))
    assert.equal("items/1", location(c, "/near"))
    assert.equal("//example.com/", location(c, "/other"))
    assert.equal("https://example.com/", location(c, "/away"))
    assert.equal("/items/1", c:get("/api/login"):json().path)
  end)

  it("changes nothing if it is empty or a slash", function()
    for _, root in ipairs { "", "/" } do
      local c <close> = web.test(app_at(root))
      local seen = c:get("/items/7"):json()
      assert.same({ "/items/7", "http://localhost/items/7", "" }, { seen.path, seen.url, seen.root })
      assert.equal("/items/1?x=/y", location(c, "/login"))
    end
  end)

  it("is a server in the OpenAPI document", function()
    local function servers(opts, listen)
      local app = web.app(opts)
      app:get("/", function() return "" end)
      local c <close> = web.test(app, listen)
      return c:get("/openapi.json"):json().servers
    end
    assert.same({ { url = "/api" } }, servers { root_path = "/api", docs = true })
    assert.same({ { url = "/api" } }, servers({ docs = true }, { root_path = "/api" }))
    assert.same({ { url = "/api" }, { url = "https://a.example" } },
      servers { root_path = "/api", docs = true, servers = { { url = "https://a.example" } } })
    assert.same({ { url = "/api" } }, servers { root_path = "/api", docs = true, servers = { { url = "/api" } } })
    assert.is_nil(servers { docs = true })
  end)

  it("has to be a path", function()
    for _, value in ipairs { "api", "/api/", "/a//b", "/a?b", "/a b", "/a#b", "/%41", 1 } do
      assert.error_matches(function() web.app { root_path = value } end, "root_path")
    end
  end)
end)
