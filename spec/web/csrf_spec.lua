-- ml.web.csrf: what other sites can make a browser send, and what they cannot.
local browsers = require "spec.support.browser"
local keep_reports = require("spec.support").keep_reports
local ml = require "moonloop"
local web = require "moonloop.web"

local SECRET = ("s"):rep(32)
local FORM = { ["Content-Type"] = "application/x-www-form-urlencoded" }

--- An app with a form; `sessions` is false for one with a cookie of its own.
local function app_with_form(opts, sessions)
  local app = web.app()
  app:use(function(req, next)
    req.scheme = req.headers["x-forwarded-proto"]
    return next(req)
  end)
  if sessions ~= false then app:use(web.sessions(sessions or {})) end
  app:use(web.csrf(opts))
  app:get("/form", function(req) return web.csrf_token(req) end)
  app:get("/login", function(req)
    req.session.user = "ada"
    web.session(req):regenerate()
    return web.csrf_token(req)
  end)
  app:get("/other", function(req)
    req.session.n = 1
    return ""
  end)
  app:post("/", function(req) return "posted " .. (req:form({ raise = false }) and req:form().text or "nothing") end)
  app:get("/socket", function() return "open" end)
  return app
end

local function visit(opts, sessions, f) browsers.visit(app_with_form(opts, sessions), f) end

--- The status of a POST with these headers.
local function post(one, headers, body) return one:post("/", body or "", headers).status end

local function form(token, headers)
  local all = {}
  for name, value in pairs(FORM) do all[name] = value end
  for name, value in pairs(headers or {}) do all[name] = value end
  return all, "text=hello&csrf_token=" .. token
end

local function post_form(one, token, headers)
  local all, body = form(token, headers)
  return one:post("/", body, all)
end

describe("a request of another site", function()
  it("is refused where the browser says so, with and without cookies", function()
    visit({}, nil, function(one)
      for _ = 1, 2 do
        assert.equal(403, post(one, { ["Sec-Fetch-Site"] = "cross-site" }))
        assert.equal(403, post(one, { ["Sec-Fetch-Site"] = "same-site" }))
        assert.equal(403, post(one, { Origin = "http://evil.example" }))
        assert.equal(403, post(one, { Origin = "null" }))
        assert.equal(403, post(one, { Origin = "http://here.evil.example" }))
        assert.equal(403, post(one, { Origin = "http://here:8080" }))
        one:get("/other")
      end
      assert.matches("Cross%-Site Request Refused: it comes from another site %(Sec%-Fetch%-Site: cross%-site%)",
        one:post("/", "", { ["Sec-Fetch-Site"] = "cross-site" }).body)
    end)
  end)

  it("is refused even with the token of the attacker's own session", function()
    visit({}, nil, function(one, port)
      local attacker = browsers.new(port)
      local token = attacker:get("/form").body
      one:get("/other")
      assert.equal(403, post_form(one, token).status)
      assert.equal(403, post_form(one, token, { ["Sec-Fetch-Site"] = "cross-site" }).status)
      assert.equal(200, post_form(attacker, token).status)
    end)
  end)

  it("may read, but not open a WebSocket", function()
    visit({}, nil, function(one)
      local evil = { ["Sec-Fetch-Site"] = "cross-site", Origin = "http://evil.example" }
      assert.equal(200, one:get("/form", evil).status)
      evil.Upgrade, evil.Connection = "websocket", "Upgrade"
      assert.equal(403, one:get("/socket", evil).status)
    end)
  end)

  it("passes if it is trusted", function()
    visit({ trusted = { "https://Admin.example.com" } }, nil, function(one)
      one:get("/other")
      local headers = { ["Sec-Fetch-Site"] = "same-site", Origin = "https://admin.example.com" }
      assert.equal(200, post(one, headers))
      headers.Origin = "http://admin.example.com"
      assert.equal(403, post(one, headers))
    end)
  end)
end)

describe("a request of this site", function()
  it("passes by what the browser says", function()
    visit({}, nil, function(one)
      for _ = 1, 2 do
        assert.equal(200, post(one, { ["Sec-Fetch-Site"] = "same-origin" }))
        assert.equal(200, post(one, { ["Sec-Fetch-Site"] = "none" }))
        assert.equal(200, post(one, { Origin = "http://here" }))
        assert.equal(200, post(one, { Origin = "http://HERE:80" }))
        assert.equal(200, post(one, { Origin = "https://here" }))
        one:get("/other")
      end
    end)
  end)

  it("comes by the scheme of the site, where that is known", function()
    visit({}, nil, function(one)
      local headers = { Origin = "http://here", ["X-Forwarded-Proto"] = "https" }
      assert.equal(403, post(one, headers))
      headers.Origin = "https://here:443"
      assert.equal(200, post(one, headers))
    end)
  end)

  it("passes without anything if it has no cookie, as from other programs", function()
    visit({}, nil, function(one) assert.equal(200, post(one, {})) end)
  end)
end)

for name, case in pairs {
  ["the session"] = { opts = {} },
  ["a session in the cookie"] = { opts = {}, sessions = { store = "cookie", secret = SECRET } },
  ["a signed cookie"] = { opts = { secret = SECRET }, sessions = false },
} do
  describe("a token by " .. name, function()
    it("is needed from a browser that says nothing, in the form or a header", function()
      visit(case.opts, case.sessions, function(one)
        local token = one:get("/form").body
        assert.equal(403, post(one, {}))
        local res = post_form(one, token)
        assert.equal("posted hello", res.body)
        assert.equal(200, post(one, { ["X-CSRF-Token"] = token }))
        assert.equal(200, post(one, { ["X-CSRF-Token"] = token, Origin = "null" }))
        assert.equal(403, post(one, { ["X-CSRF-Token"] = token, Origin = "http://evil.example" }))
      end)
    end)

    it("looks different each time, and stays valid", function()
      visit(case.opts, case.sessions, function(one)
        local first, second = one:get("/form").body, one:get("/form").body
        assert.are_not.equal(first, second)
        assert.equal(200, post_form(one, first).status)
        assert.equal(200, post_form(one, second).status)
      end)
    end)

    it("that was changed, cut or made up is refused", function()
      visit(case.opts, case.sessions, function(one)
        local token = one:get("/form").body
        for _, bad in ipairs { "", "x", token:sub(2), token .. "A", token:sub(1, -3) .. "AA",
          ("A"):rep(#token), ("é"):rep(20) } do
          if bad ~= token then assert.equal(403, post_form(one, bad).status, bad) end
        end
        assert.equal(403, one:post("/", "text=x&csrf_token", FORM).status)
      end)
    end)
  end)
end

describe("a token of a session", function()
  it("is no longer valid after regenerate", function()
    visit({}, nil, function(one)
      local before = one:get("/form").body
      local after = one:get("/login").body
      assert.equal(403, post_form(one, before).status)
      assert.equal(200, post_form(one, after).status)
    end)
  end)

  it("does not tell the session's id", function()
    visit({}, nil, function(one)
      local token = one:get("/form").body
      assert.is_nil(token:find(one.cookies.session, 1, true))
    end)
  end)
end)

describe("the cookie of tokens", function()
  it("that an attacker has planted is refused", function()
    visit({ secret = SECRET }, false, function(one)
      one.cookies.csrf = "planted"
      assert.equal(403, post(one, { ["X-CSRF-Token"] = "planted" }))
      assert.equal(200, post(one, { ["X-CSRF-Token"] = one:get("/form").body }))
    end)
  end)

  it("is bound to the host where there is TLS, and is set once", function()
    visit({ secret = SECRET }, false, function(one)
      local tls = { ["X-Forwarded-Proto"] = "https" }
      assert.matches("^__Host%-csrf=[%w_.-]+; Path=/; Secure; HttpOnly; SameSite=Lax$",
        one:get("/form", tls).cookies[1])
      assert.same({}, one:get("/form", tls).cookies)
    end)
    visit({ secret = SECRET, secure = true, name = "t" }, false, function(one)
      assert.matches("^__Host%-t=", one:get("/form").cookies[1])
    end)
  end)

  it("is valid with an older secret", function()
    local old, token
    visit({ secret = SECRET }, false, function(one)
      token = one:get("/form").body
      old = one.cookies.csrf
    end)
    visit({ secret = { ("n"):rep(32), SECRET } }, false, function(one)
      one.cookies.csrf = old
      assert.equal(200, post_form(one, token).status)
    end)
    visit({ secret = ("n"):rep(32) }, false, function(one)
      one.cookies.csrf = old
      assert.equal(403, post_form(one, token).status)
    end)
  end)
end)

describe("ml.web.csrf", function()
  it("has other names for field and header", function()
    visit({ field = "t", header = "X-T" }, nil, function(one)
      local token = one:get("/form").body
      assert.equal(200, post(one, { ["X-T"] = token }))
      assert.equal(200, one:post("/", "t=" .. token, FORM).status)
      assert.equal(403, post_form(one, token).status)
    end)
  end)

  it("takes the token of a multipart form", function()
    visit({}, nil, function(one)
      local token = one:get("/form").body
      local body = "--b\r\nContent-Disposition: form-data; name=\"csrf_token\"\r\n\r\n" .. token ..
        "\r\n--b\r\nContent-Disposition: form-data; name=\"text\"\r\n\r\nhi\r\n--b--\r\n"
      assert.equal("posted hi", one:post("/", body, { ["Content-Type"] = "multipart/form-data; boundary=b" }).body)
    end)
  end)

  it("is there for the page that says that another was wrong", function()
    for _, app in ipairs { app_with_form {}, app_with_form({ secret = SECRET }, false) } do
      app:on_error(function(err, req) return web.csrf_token(req), err.status end)
      browsers.visit(app, function(one)
        local res = one:post("/", "", { ["Sec-Fetch-Site"] = "cross-site" })
        assert.same({ 403, 1 }, { res.status, #res.cookies })
        assert.equal(200, (post_form(one, res.body)).status)
      end)
    end
  end)

  it("sets its cookie once, on the page of any error", function()
    local app = web.app()
    app:use(function(req, next)
      local res = next(req)
      if req.path == "/outside" then web.abort(409) end
      return res
    end)
    app:use(web.csrf { secret = SECRET })
    app:on_error(function(err, req) return web.csrf_token(req), err.status end)
    app:post("/", function() return "posted" end)
    app:get("/inside", function() web.abort(410) end)
    app:get("/outside", function() return "" end)
    for path, status in pairs { ["/inside"] = 410, ["/outside"] = 409 } do
      browsers.visit(app, function(one)
        local res = one:get(path)
        assert.same({ status, 1 }, { res.status, #res.cookies })
        assert.equal(200, one:post("/", "", { ["X-CSRF-Token"] = res.body }).status)
      end)
    end
  end)

  it("says what csrf_token needs", function()
    local app, errors = web.app(), {}
    app:get("/a", function(req) errors[1] = select(2, pcall(function() web.csrf_token(req) end)) end)
    app:get("/b", { use = { web.csrf {} } }, function(req)
      errors[2] = select(2, pcall(function() web.csrf_token(req) end))
    end)
    browsers.visit(app, function(one)
      one:get("/a")
      one:get("/b")
    end)
    assert.matches("csrf_spec.lua:%d+: ml.web.csrf_token: no ml.web.csrf", errors[1])
    assert.matches("csrf_spec.lua:%d+: ml.web.csrf_token: ml.web.csrf needs ml.web.sessions around it", errors[2])
  end)

  it("fails with the session's store", function()
    local reports <close> = keep_reports()
    local db = ml.sql.open "sqlite:/nowhere/at/all.db"
    visit({}, { store = db }, function(one)
      one.cookies.session = ("a"):rep(43)
      assert.equal(500, post(one, { ["X-CSRF-Token"] = "x" }))
      assert.equal(403, post(one, { ["Sec-Fetch-Site"] = "cross-site" }))
    end)
    db:close()
    assert.matches("POST / failed", reports:text())
  end)

  it("says what is wrong with its options", function()
    local function refused(pattern, opts)
      local ok, err = pcall(function() return web.csrf(opts) end)
      assert.is_false(ok)
      assert.matches("spec.lua:%d+: .*" .. pattern, err)
    end
    refused("unknown option 'trust'.*'trusted'", { trust = {} })
    refused("option 'trusted' of ml.web.csrf: item 1 is not an origin", { trusted = { "example.com" } })
    refused("option 'trusted' of ml.web.csrf: item 2 is not an origin", { trusted = { "https://a.example", "null" } })
    refused("option 'header' of ml.web.csrf is not a name", { header = "X T" })
    refused("secret 1 of .* has 5 bytes", { secret = "short" })
  end)
end)
