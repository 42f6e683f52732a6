-- ml.web.security: who makes a request.
local examples = require "spec.support.examples"
local folders = require "spec.support.folder"
local instructions = require "spec.support.instructions"
local keep_reports = require("spec.support").keep_reports
local ml = require "moonloop"
local support = require "spec.support.web"

local security = ml.web.security

--- `f` raises what has `pattern`, with a line of this file.
local function raises(pattern, f, ...)
  local ok, err = pcall(f, ...)
  assert.is_false(ok)
  assert.matches("security_spec.lua:%d+: .*" .. pattern, tostring(err))
end

--- Serves a route that answers with the value of the dependency, or {none = true}; f(ask) with
-- ask(headers [, path]) -> status, value, WWW-Authenticate.
local function serving(dep, f)
  local app = ml.web.app()
  app:get("/", { depends = { who = dep } }, function(_, deps)
    local who = deps.who
    return { who = who == nil and "nobody" or who }
  end)
  support.serving(app, function(port)
    f(function(headers, path)
      local lines = {}
      for name, value in pairs(headers or {}) do lines[#lines + 1] = name .. ": " .. value .. "\r\n" end
      local res = support.get(port, path or "/", table.concat(lines))
      local body = ml.json.decode(res.body)
      return res.status, body.who or body.detail, res.headers["www-authenticate"]
    end)
  end)
end

--- The answer is this.
local function answers(status, value, challenge, ...)
  local got, got_value, got_challenge = ...
  assert.equal(status, got)
  assert.same(value, got_value)
  assert.equal(challenge, got_challenge)
end

local function auth(value) return { Authorization = value } end

describe("bearer", function()
  it("hands the token on", function()
    serving(security.bearer(), function(ask)
      answers(200, "abc.DEF-_~+/=", nil, ask(auth "Bearer abc.DEF-_~+/="))
      answers(200, "x y", nil, ask(auth "bEARER   x y  "))
    end)
  end)

  it("refuses requests without one", function()
    serving(security.bearer {}, function(ask)
      for _, header in ipairs { "", "Bearer", "Bearer ", "Basic YTpi", "Bearerx abc", "abc" } do
        answers(401, "Not authenticated", "Bearer", ask(auth(header)))
      end
      answers(401, "Not authenticated", "Bearer", ask())
    end)
  end)

  it("hands on what verify makes of it, which may wait", function()
    local seen
    local scheme = security.bearer { verify = function(token, req)
      seen = req.path
      ml.sleep(0)
      return token == "good" and { name = "ann" }
    end }
    serving(scheme, function(ask)
      answers(200, { name = "ann" }, nil, ask(auth "Bearer good"))
      assert.equal("/", seen)
      answers(401, "Could not validate credentials", 'Bearer error="invalid_token"', ask(auth "Bearer bad"))
      answers(401, "Not authenticated", "Bearer", ask())
    end)
  end)

  it("takes a token that is not valid for bad credentials, and other failures of verify for a 500", function()
    local key = ml.web.token(32)
    local outcome = function(token) return ml.jwt.verify(token, { algorithms = { "HS256" }, key = key }) end
    local scheme = security.bearer { verify = function(token) return outcome(token) end }
    serving(scheme, function(ask)
      answers(200, { sub = "ann" }, nil, ask(auth("Bearer " .. ml.jwt.sign({ sub = "ann" }, key))))
      answers(401, "Could not validate credentials", 'Bearer error="invalid_token"', ask(auth "Bearer a.b.c"))
      local reports <close> = keep_reports()
      outcome = function() return ml.redis.client "redis://127.0.0.1:1":GET "x" end
      answers(500, "Internal Server Error", nil, ask(auth "Bearer x"))
      outcome = function() error "lost" end
      answers(500, "Internal Server Error", nil, ask(auth "Bearer x"))
      assert.matches("lost", reports:text())
      outcome = function() ml.web.abort(418, "tea") end
      answers(418, "tea", nil, ask(auth "Bearer x"))
    end)
  end)

  it("may be optional: nobody, if there is no token", function()
    serving(security.bearer { optional = true, verify = function(token) return token == "good" and token end },
      function(ask)
        answers(200, "nobody", nil, ask())
        answers(200, "nobody", nil, ask(auth "Basic YTpi"))
        answers(200, "good", nil, ask(auth "Bearer good"))
        answers(401, "Could not validate credentials", 'Bearer error="invalid_token"', ask(auth "Bearer bad"))
      end)
  end)
end)

describe("scheme:require", function()
  local scheme = security.bearer { verify = function(token)
    return ({
      list = { scopes = { "items:read", "items:write" } }, words = { scopes = "items:read items:write" },
      set = { scopes = { ["items:write"] = true } }, less = { scopes = { "items:read", "items:writer" } }, none = {},
      prefix = { scopes = "xitems:write items:writex" }, text = "items:write",
    })[token]
  end }

  it("looks into principal.scopes", function()
    serving(scheme:require "items:write", function(ask)
      for _, token in ipairs { "list", "words", "set" } do
        assert.equal(200, (ask(auth("Bearer " .. token))))
      end
      for _, token in ipairs { "less", "none", "prefix", "text" } do
        answers(403, "Not enough permissions", 'Bearer error="insufficient_scope", scope="items:write"',
          ask(auth("Bearer " .. token)))
      end
      answers(401, "Not authenticated", "Bearer", ask())
      answers(401, "Could not validate credentials", 'Bearer error="invalid_token"', ask(auth "Bearer unknown"))
    end)
  end)

  it("wants all scopes", function()
    serving(scheme:require("items:write", "items:read"), function(ask)
      assert.equal(200, (ask(auth "Bearer list")))
      assert.equal(403, (ask(auth "Bearer set")))
    end)
    serving(scheme:require("items:write"):require("items:read"), function(ask)
      assert.equal(200, (ask(auth "Bearer list")))
      assert.equal(403, (ask(auth "Bearer set")))
    end)
  end)

  it("makes an optional scheme required", function()
    serving(security.bearer { optional = true }:require "x", function(ask)
      answers(401, "Not authenticated", "Bearer", ask())
    end)
  end)

  it("verifies once for a request, however many need it", function()
    local count = 0
    local counted = security.bearer { verify = function() count = count + 1 return { scopes = { "a", "b" } } end }
    local user = ml.web.dependency { needs = { who = counted }, function(_, deps) return deps.who end }
    local all = ml.web.dependency { needs = { a = counted:require "a", b = counted:require "b", user = user },
      function(_, deps) return rawequal(deps.a, deps.b) and rawequal(deps.a, deps.user) end }
    serving(all, function(ask)
      answers(200, true, nil, ask(auth "Bearer x"))
      assert.equal(1, count)
    end)
    serving(ml.web.dependency { needs = { who = counted:require "a" }, scope = "response",
      function(_, deps) return deps.who.scopes end }, function(ask)
        answers(200, { "a", "b" }, nil, ask(auth "Bearer x"))
      end)
  end)

  it("refuses what is no scope", function()
    raises("a scope expected", scheme.require, scheme)
    raises("got 'a b'", scheme.require, scheme, "a b")
    raises("got nil", scheme.require, scheme, nil, "x")
    raises("use ':'", scheme.require, "items:write")
    local known = security.oauth2_password { token_url = "token", scopes = { ["items:write"] = "Write" } }
    raises("unknown scope 'item:write' of ml.web.security.oauth2_password %(did you mean 'items:write'%?%)",
      known.require, known, "item:write")
  end)
end)

describe("basic", function()
  it("hands name and password on", function()
    serving(security.basic(), function(ask)
      answers(200, { username = "ann", password = "pa:ss" }, nil, ask(auth "Basic YW5uOnBhOnNz"))
      answers(200, { username = "", password = "" }, nil, ask(auth "basic Og=="))
      answers(200, { username = "ä", password = "€" }, nil, ask(auth "Basic w6Q64oKs"))
    end)
  end)

  it("refuses what is not RFC 7617's", function()
    serving(security.basic { realm = 'the "shop"' }, function(ask)
      for _, header in ipairs { "", "Basic", "Basic !!", "Basic YW5u", "Basic YW5uOnBhOnN6=", "Basic Og", "Bearer Og==",
        "Basic AABhOg==", "Basic /zp4", "Basic \xb9W5uOng=" } do
        answers(401, "Not authenticated", 'Basic realm="the \\"shop\\""', ask(auth(header)))
      end
      answers(401, "Not authenticated", 'Basic realm="the \\"shop\\""', ask())
    end)
  end)

  it("verifies, as with ml.password", function()
    local users = { ann = ml.password.hash "correct horse" }
    local scheme = security.basic { verify = function(given)
      return ml.password.verify(given.password, users[given.username]) and given.username or nil
    end }
    serving(scheme, function(ask)
      answers(200, "ann", nil, ask(auth "Basic YW5uOmNvcnJlY3QgaG9yc2U="))
      answers(401, "Incorrect username or password", "Basic", ask(auth "Basic YW5uOng="))
      answers(401, "Incorrect username or password", "Basic", ask(auth "Basic Ym9iOng="))
    end)
  end)

  it("may be optional, but not malformed", function()
    serving(security.basic { optional = true }, function(ask)
      answers(200, "nobody", nil, ask())
      answers(401, "Not authenticated", "Basic", ask(auth "Basic !!"))
    end)
  end)
end)

describe("api_key", function()
  it("is in a header, the query or a cookie", function()
    local verify = function(key) return security.equal(key, "secret") and { key = key } end
    serving(security.api_key { header = "X-Key", verify = verify }, function(ask)
      answers(200, { key = "secret" }, nil, ask { ["x-key"] = "secret" })
      answers(401, "Could not validate credentials", "APIKey", ask { ["x-key"] = "secre" })
      answers(401, "Not authenticated", "APIKey", ask { ["x-key"] = "" })
      answers(401, "Not authenticated", "APIKey", ask(nil, "/?X-Key=secret"))
    end)
    serving(security.api_key { query = "key", verify = verify }, function(ask)
      answers(200, { key = "secret" }, nil, ask(nil, "/?key=secret"))
      answers(401, "Could not validate credentials", "APIKey", ask(nil, "/?key=secret&key=x"))
      answers(401, "Not authenticated", "APIKey", ask(nil, "/?key="))
      answers(401, "Not authenticated", "APIKey", ask())
    end)
    serving(security.api_key { cookie = "key", verify = verify }, function(ask)
      answers(200, { key = "secret" }, nil, ask { Cookie = "a=b; key=secret" })
      answers(401, "Not authenticated", "APIKey", ask { Cookie = "a=b" })
    end)
  end)

  it("is not there by itself where the query's field is called as the method of a query", function()
    serving(security.api_key { query = "all" }, function(ask)
      answers(401, "Not authenticated", "APIKey", ask())
      answers(200, "secret", nil, ask(nil, "/?all=x&all=secret"))
    end)
  end)

  it("needs exactly one place", function()
    raises("one of the options 'header', 'query' and 'cookie' is needed", security.api_key, {})
    raises("only one of", security.api_key, { header = "a", query = "b" })
    raises("'header' is empty", security.api_key, { header = "" })
  end)
end)

describe("oauth2_password", function()
  it("takes bearer tokens", function()
    local scheme = security.oauth2_password { token_url = "token", scopes = { a = "A", b = "B" } }
    serving(scheme, function(ask)
      answers(200, "t", nil, ask(auth "Bearer t"))
      answers(401, "Not authenticated", "Bearer", ask())
    end)
  end)

  it("has a form for the token's URL", function()
    local form = security.password_form
    assert.same({ username = "ann", password = "x", scope = "" }, form:read { username = "ann", password = "x" })
    local errors = select(2, form:read { grant_type = "code", scope = "a b" }).errors
    assert.same({ "grant_type", "username", "password" }, { errors[1].loc[1], errors[2].loc[1], errors[3].loc[1] })
    assert.equal("string_pattern_mismatch", errors[1].type)
  end)

  it("refuses wrong options", function()
    raises("option 'token_url' is missing", security.oauth2_password, {})
    raises("name to description", security.oauth2_password, { token_url = "t", scopes = { "a" } })
    raises("unknown option 'tokenurl'", security.oauth2_password, { tokenurl = "t" })
    raises("'verify' of ml.web.security.bearer is 1 %(expected a function%)", security.bearer, { verify = 1 })
    raises("control character", security.basic, { realm = "a\nb" })
  end)
end)

it("secrets are compared", function()
  assert.is_true(security.equal("a\0b", "a\0b"))
  assert.is_false(security.equal("a\0b", "a\0c"))
  assert.is_false(security.equal("a", "ab"))
  raises("bad argument #1 to 'ml.web.security.equal' %(string expected, got nil%)", security.equal, nil, "x")
  raises("bad argument #2 to 'ml.web.security.equal' %(string expected, got number%)", security.equal, "x", 1)
end)

it("secrets are compared to their end, wherever they differ", { timeout = 240 }, function()
  if instructions.missing() then return pending(instructions.missing()) end
  local script <close> = folders.file [[
    local text = ("x"):rep(1024):rep(4096)
    local others = { first = "y" .. text:sub(2), last = text:sub(2) .. "y", none = text .. "", length = text .. "x" }
    assert(require "moonloop".web.security.equal(text, others[arg[1] ]) == (arg[1] == "none"))
  ]]
  local function cost(where) return (instructions.of(("run '%s' %s"):format(script.path, where))) end
  local least = cost "length" -- what is told at once
  for _, where in ipairs { "none", "first", "last" } do
    local more = cost(where) - least
    assert(more > 4, ("%s: %.1f million instructions for 4 MB"):format(where, more))
  end
end)

describe("the document", function()
  it("has the schemes, as FastAPI's", function()
    local oauth = security.oauth2_password { token_url = "token", scopes = { a = "A", b = "B" } }
    local bearer = security.bearer { format = "JWT", scheme_name = "jwt", description = "of the shop" }
    local app = ml.web.app()
    local function handler() return {} end
    app:get("/oauth", { depends = { u = oauth:require "a" } }, handler)
    app:get("/both", { depends = { u = oauth:require("a"):require("b") } }, handler)
    app:get("/bearer", { depends = { u = bearer } }, handler)
    app:get("/basic", { depends = { u = security.basic() } }, handler)
    app:get("/key", { depends = { u = security.api_key { header = "X-Key" } } }, handler)
    app:get("/maybe", { depends = { u = security.api_key { query = "key", optional = true } } }, handler)
    app:get("/free", handler)
    local doc = ml.json.decode((require "moonloop.web.openapi".text(app)))
    local function needs(path) return doc.paths[path].get.security end
    assert.same({ { OAuth2PasswordBearer = { "a" } } }, needs "/oauth")
    assert.same({ { OAuth2PasswordBearer = { "a", "b" } } }, needs "/both")
    assert.same({ { jwt = {} } }, needs "/bearer")
    assert.same({ { HTTPBasic = {} } }, needs "/basic")
    assert.same({ { APIKeyHeader = {} } }, needs "/key")
    assert.same({ { APIKeyQuery = {} }, {} }, needs "/maybe")
    assert.is_nil(needs "/free")
    assert.same({
      OAuth2PasswordBearer = { type = "oauth2",
        flows = { password = { tokenUrl = "token", scopes = { a = "A", b = "B" } } } },
      jwt = { type = "http", scheme = "bearer", bearerFormat = "JWT", description = "of the shop" },
      HTTPBasic = { type = "http", scheme = "basic" },
      APIKeyHeader = { type = "apiKey", ["in"] = "header", name = "X-Key" },
      APIKeyQuery = { type = "apiKey", ["in"] = "query", name = "key" },
    }, doc.components.securitySchemes)
  end)
end)

it("a scheme is replaced in specs, as other dependencies", function()
  local scheme = security.bearer { verify = function() end }
  local app = ml.web.app()
  app:get("/", { depends = { who = scheme:require "a" } }, function(_, deps) return { who = deps.who.name } end)
  local o <close> = app:override(scheme, function() return { name = "ann", scopes = { "a" } } end) -- luacheck: ignore
  support.serving(app, function(port) assert.equal('{"who":"ann"}', support.get(port, "/").body) end)
end)

describe("doc/security.md", function()
  for _, example in ipairs(examples.of "doc/security.md") do it(example.name, example.run) end
end)
