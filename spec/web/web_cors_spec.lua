-- ml.web.cors and ml.web.request_id.
local ml = require "moonloop"
local support = require "spec.support.web"
local web = ml.web

--- The answer of an app with the middleware to a request with these header lines.
local function ask(middleware, method, target, headers)
  local app, res = web.app(), nil
  app:use(middleware)
  app:get("/", function() return "text" end)
  app:get("/abort", function() web.abort(403) end)
  support.serving(app, function(port) res = support.ask(port, support.request(method, target, headers)) end)
  return res
end

local HERE = "Origin: https://app.example\r\n"

describe("cors", function()
  local listed = web.cors { origins = { "https://app.example", "http://localhost:3000" } }

  it("lets every origin in by default", function()
    local res = ask(web.cors(), "GET", "/", HERE)
    assert.equal("*", res.headers["access-control-allow-origin"])
    assert.is_nil(res.headers.vary)
    assert.is_nil(res.headers["access-control-allow-credentials"])
    assert.equal("text", res.body)
  end)

  it("names the origin if origins are listed, and says that the answer depends on it", function()
    local res = ask(listed, "GET", "/", HERE)
    assert.equal("https://app.example", res.headers["access-control-allow-origin"])
    assert.equal("Origin", res.headers.vary)
    for _, other in ipairs { "https://evil.example", "https://app.example.evil.example", "null",
        "https://app.example, https://evil.example", "http://app.example" } do
      res = ask(listed, "GET", "/", "Origin: " .. other .. "\r\n")
      assert.is_nil(res.headers["access-control-allow-origin"])
      assert.equal("Origin", res.headers.vary)
      assert.equal("text", res.body)
    end
  end)

  it("says so even if the request has no origin", function()
    local res = ask(listed, "GET", "/")
    assert.equal("Origin", res.headers.vary)
    assert.is_nil(res.headers["access-control-allow-origin"])
  end)

  it("covers errors and requests without a route", function()
    for target, status in pairs { ["/abort"] = 403, ["/none"] = 404 } do
      local res = ask(listed, "GET", target, HERE)
      assert.equal(status, res.status)
      assert.equal("https://app.example", res.headers["access-control-allow-origin"])
    end
  end)

  it("answers preflights, also of paths without a route", function()
    for _, target in ipairs { "/", "/none" } do
      local res = ask(listed, "OPTIONS", target, HERE ..
        "Access-Control-Request-Method: PUT\r\nAccess-Control-Request-Headers: x-a, content-type\r\n")
      assert.equal(204, res.status)
      assert.equal("https://app.example", res.headers["access-control-allow-origin"])
      assert.equal("GET, HEAD, POST, PUT, PATCH, DELETE", res.headers["access-control-allow-methods"])
      assert.equal("x-a, content-type", res.headers["access-control-allow-headers"])
      assert.equal("600", res.headers["access-control-max-age"])
      assert.equal("Origin, Access-Control-Request-Method, Access-Control-Request-Headers", res.headers.vary)
    end
  end)

  it("refuses the preflight of another origin", function()
    local res = ask(listed, "OPTIONS", "/", "Origin: https://evil.example\r\nAccess-Control-Request-Method: PUT\r\n")
    assert.equal(403, res.status)
    assert.equal('{"detail":"Origin Not Allowed"}', res.body)
    assert.is_nil(res.headers["access-control-allow-origin"])
  end)

  it("leaves an OPTIONS that is not a preflight to the app", function()
    assert.equal(405, ask(listed, "OPTIONS", "/", HERE).status)
  end)

  it("takes methods, headers, expose and max_age", function()
    local cors = web.cors { methods = { "GET" }, headers = { "X-A", "X-B" }, expose = { "X-C", "X-D" }, max_age = 5 }
    local res = ask(cors, "OPTIONS", "/", HERE .. "Access-Control-Request-Method: PUT\r\n")
    assert.same({ "GET", "X-A, X-B", "5" }, { res.headers["access-control-allow-methods"],
      res.headers["access-control-allow-headers"], res.headers["access-control-max-age"] })
    assert.equal("X-C, X-D", ask(cors, "GET", "/", HERE).headers["access-control-expose-headers"])
  end)

  it("allows credentials to origins that are named, never to all", function()
    local res = ask(web.cors { origins = { "https://app.example" }, credentials = true }, "GET", "/", HERE)
    assert.equal("true", res.headers["access-control-allow-credentials"])
    assert.equal("https://app.example", res.headers["access-control-allow-origin"])
    assert.error_matches(function() web.cors { credentials = true } end, "browsers refuse it for all origins")
  end)

  it("may ask a function", function()
    local cors = web.cors { origins = function(origin) return origin:find("%.example$") end, credentials = true }
    assert.equal("https://app.example", ask(cors, "GET", "/", HERE).headers["access-control-allow-origin"])
    assert.is_nil(ask(cors, "GET", "/", "Origin: https://x.test\r\n").headers["access-control-allow-origin"])
  end)

  it("keeps what else is in Vary", function()
    local app, res = web.app(), nil
    app:use(listed)
    app:get("/", function() return "", 200, { vary = "Accept" } end)
    support.serving(app, function(port) res = support.get(port, "/", HERE) end)
    assert.equal("Accept, Origin", res.headers.vary)
  end)

  it("refuses options that cannot be right, at the line that makes it", function()
    local function refuses(message, opts)
      local ok, err = pcall(function() local m = web.cors(opts) return m end)
      assert.is_false(ok)
      assert.matches("web_cors_spec.lua:%d+: ", err)
      assert.matches(message, err, 1, true)
    end
    refuses("the options of ml.web.cors are a string (expected a table)", "x")
    refuses("unknown option 'origin' of ml.web.cors (did you mean 'origins'?)", { origin = "*" })
    refuses("option 'max_age' of ml.web.cors is a string (expected integer)", { max_age = "1" })
    refuses("item 1 is not an origin such as https://example.com: app.example", { origins = { "app.example" } })
    refuses("item 2 is not an origin", { origins = { "https://a.b", "https://a.b/" } })
    refuses("item 1 is not a name: a b", { expose = { "a b" } })
  end)
end)

describe("request_id", function()
  it("gives each request and its response an id", function()
    local seen, app = {}, web.app()
    app:use(web.request_id())
    app:get("/", function(req) seen[#seen + 1] = req.id return "" end)
    support.serving(app, function(port)
      for i = 1, 2 do
        local header = support.get(port, "/").headers["x-request-id"]
        assert.equal(seen[i], header)
        assert.matches("^%x+$", seen[i])
        assert.equal(32, #seen[i])
      end
    end)
    assert.not_equal(seen[1], seen[2])
  end)

  it("keeps a client's id if it is safe", function()
    local function id_for(text, opts)
      return ask(web.request_id(opts), "GET", "/", "X-Request-Id: " .. text .. "\r\n").headers["x-request-id"]
    end
    assert.equal("Root=1-67891233-abcdef", id_for "Root=1-67891233-abcdef")
    assert.equal(("x"):rep(128), id_for(("x"):rep(128)))
    for _, text in ipairs { ("x"):rep(129), "a b", 'a"b', "a\tb", "\xc3\xa9", "" } do
      assert.matches("^%x+$", id_for(text))
    end
    assert.matches("^%x+$", id_for("mine", { trust = false }))
  end)

  it("may use another header", function()
    local res = ask(web.request_id { header = "X-Correlation-Id" }, "GET", "/", "X-Correlation-Id: abc\r\n")
    assert.equal("abc", res.headers["x-correlation-id"])
    assert.error_matches(function() web.request_id { header = "a b" } end, "not a header name")
    assert.error_matches(function() web.request_id { trust = 1 } end, "expected boolean")
  end)

  it("is on errors too", function()
    for target, status in pairs { ["/abort"] = 403, ["/none"] = 404 } do
      local res = ask(web.request_id(), "GET", target)
      assert.equal(status, res.status)
      assert.equal(32, #res.headers["x-request-id"])
    end
  end)
end)

describe("a response that a handler returns for every request", function()
  local page = web.response { json = { ok = true } }

  --- The headers of a request that is under way until another one has been answered, and of one without an origin.
  local function headers_of(middleware)
    local app, inside, done = web.app(), ml.event(), ml.event()
    app:use(function(req, next)
      local res = next(req)
      if req.query.waits then
        inside:set()
        done:wait()
      end
      return res
    end)
    app:use(middleware)
    app:get("/", function() return page end)
    local c <close> = web.test(app)
    local function get(path, name)
      return c:get(path, { headers = { Origin = "https://" .. name .. ".example", ["X-Request-Id"] = name } })
    end
    local first = ml.spawn(get, "/?waits=1", "a")
    inside:wait()
    get("/", "b")
    done:set()
    return first:await().headers, c:get("/").headers
  end

  it("is not shared by what ml.web.cors says to one client", function()
    local origins = { "https://a.example", "https://b.example" }
    local first, last = headers_of(web.cors { origins = origins, credentials = true })
    assert.equal("https://a.example", first["access-control-allow-origin"])
    assert.is_nil(last["access-control-allow-origin"])
    assert.is_nil(last["access-control-allow-credentials"])
  end)

  it("is not shared by the ids of ml.web.request_id", function()
    assert.equal("a", headers_of(web.request_id())["x-request-id"])
  end)

  it("keeps its strong tag where ml.web.compress has weakened that of one client", function()
    local app, same = web.app(), web.response { status = 304, headers = { ETag = '"x"' } }
    app:use(web.compress())
    app:get("/", function() return same end)
    local c <close> = web.test(app)
    assert.equal('W/"x"', c:get("/", { headers = { ["If-None-Match"] = 'W/"x"' } }).headers.etag)
    assert.equal('"x"', c:get("/", { headers = { ["If-None-Match"] = '"x"' } }).headers.etag)
  end)
end)
