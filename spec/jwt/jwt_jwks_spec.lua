-- Sets of keys: given, or fetched from a URL and kept.
local clock = require "moonloop.clock"
local given = require "spec.support.jwt_keys"
local ml = require "moonloop"
local sorted_keys = require "moonloop.core.sorted_keys"
local web = require "spec.support.web"

local sign, verify = ml.jwt.sign, ml.jwt.verify

local function raises(pattern, f, ...)
  local ok, err = pcall(f, ...)
  assert.is_false(ok)
  assert.matches(pattern, tostring(err))
end

local function with_kid(jwk, kid, alg)
  local copy = { kid = kid, alg = alg }
  for name, value in pairs(jwk) do copy[name] = value end
  return copy
end

local ALL = { "RS256", "ES256", "EdDSA" }
local A = { kid = "a" }

describe("a set of keys", function()
  local keys = { given.public(given.ec, A), given.public(given.ed, { kid = "b", alg = "EdDSA" }),
    given.public(given.rsa, { kid = "c", use = "sig" }), { kty = "unknown", kid = "d" }, { kty = "EC", kid = "e" }, 7 }
  keys[6] = nil
  local opts = { algorithms = ALL, jwks = { keys = keys } }

  it("has the key with the id of the token", function()
    assert.same({ n = 1 }, verify(sign({ n = 1 }, with_kid(given.ec, "a")), opts))
    assert.same({ n = 2 }, verify(sign({ n = 2 }, with_kid(given.ed, "b")), opts))
    assert.same({ n = 3 }, verify(sign({ n = 3 }, with_kid(given.rsa, "c")), opts))
  end)

  it("has no other key for it", function()
    for _, key in ipairs { with_kid(given.ec, "b"), with_kid(given.ec, "d"), with_kid(given.ec, "e"),
      with_kid(given.ec, "") } do
      local claims, err = verify(sign({}, key), opts)
      assert.is_nil(claims)
      assert.equal("signature", err.code)
      assert.matches("not in the set", err.message)
    end
  end)

  it("has the only key for a token without an id", function()
    assert(verify(sign({}, given.ec), opts))
    local two = { given.public(given.ec, A), given.public(given.ec, { kid = "b" }) }
    local claims, err = verify(sign({}, given.ec), { algorithms = ALL, jwks = { keys = two } })
    assert.is_nil(claims)
    assert.equal("signature", err.code)
    assert.matches("which of several keys", err.message)
    assert(verify(sign({}, with_kid(given.ec, "b")), { algorithms = ALL, jwks = { keys = two } }))
  end)

  it("binds each key to its algorithm", function()
    local secrets = { keys = { with_kid(given.oct, "s") } }
    local token = sign({}, with_kid(given.oct, "s"))
    assert(verify(token, { algorithms = { "HS256" }, jwks = secrets }))
    local err = select(2, verify(token, { algorithms = { "HS256", "RS256" }, jwks = { keys = keys } }))
    assert.equal("signature", err.code)
    err = select(2, verify(token, opts))
    assert.equal("algorithm", err.code)
    err = select(2, verify(sign({}, with_kid(given.rsa, "c"), { algorithm = "PS256" }),
      { algorithms = { "PS256" }, jwks = { keys = { given.public(given.rsa, { kid = "c", alg = "RS256" }) } } }))
    assert.equal("signature", err.code)
  end)
end)

describe("a URL of keys", function()
  --- Serves `state.keys` at a URL; state.fetches counts.
  local function serving(state, f)
    local app = ml.web.app()
    state.fetches = 0
    app:get("/keys", function()
      state.fetches = state.fetches + 1
      if state.wait then state.wait:wait() end
      if state.status then return "no", state.status end
      return state.body or { keys = state.keys }
    end)
    app:get("/elsewhere", function() return ml.web.redirect("/keys") end)
    web.serving(app, function(port) f(("http://127.0.0.1:%d"):format(port)) end)
  end

  local token = sign({ n = 1 }, with_kid(given.ec, "a"))

  it("is fetched once, and again when the keys are old", function()
    clock.virtual()
    local state = { keys = { given.public(given.ec, A) } }
    serving(state, function(base)
      local opts = { algorithms = ALL, jwks = base .. "/keys" }
      for _ = 1, 3 do assert.same({ n = 1 }, verify(token, opts)) end
      assert.equal(1, state.fetches)
      ml.sleep(601)
      assert(verify(token, opts))
      assert.equal(2, state.fetches)
      opts.jwks = { url = base .. "/keys", ttl = 10 }
      ml.sleep(11)
      assert(verify(token, opts))
      assert.equal(3, state.fetches)
    end)
  end)

  it("has a hundred keys at most", function()
    local keys = {}
    for i = 1, 101 do keys[i] = given.public(given.ec, { kid = "k" .. i }) end
    serving({ keys = keys }, function(base)
      local opts = { algorithms = ALL, jwks = base .. "/keys" }
      assert.same({ n = 1 }, verify(sign({ n = 1 }, with_kid(given.ec, "k100")), opts))
      assert.is_nil((verify(sign({ n = 1 }, with_kid(given.ec, "k101")), opts)))
    end)
  end)

  it("keeps of each key what is public and short", function()
    local long = given.public(given.ec, { kid = ("k"):rep(2049) })
    local keys = { long, given.public(given.ec, { kid = ("k"):rep(2048), x5c = { ("x"):rep(100000) },
      key_ops = { ("x"):rep(100000), "verify" } }), with_kid(given.rsa, "private") }
    serving({ keys = keys }, function(base)
      local opts = { algorithms = ALL, jwks = base .. "/keys" }
      assert.same({ n = 1 }, verify(sign({ n = 1 }, with_kid(given.ec, ("k"):rep(2048))), opts))
      assert.is_nil((verify(sign({ n = 1 }, with_kid(given.ec, ("k"):rep(2049))), opts)))
      local kept = require("moonloop.jwt.jwks").sets:get(opts.jwks).keys
      assert.equal(2, #kept)
      assert.same({ "verify" }, kept[1].key_ops)
      assert.is_nil(kept[1].x5c)
      assert.same({ "e", "kid", "kty", "n" }, sorted_keys(kept[2]))
    end)
  end)

  it("is fetched once for all that wait, even if the first of them is cancelled", function()
    local state = { keys = { given.public(given.ec, A) }, wait = ml.event() }
    serving(state, function(base)
      local opts = { algorithms = ALL, jwks = base .. "/keys" }
      local tasks = { ml.spawn(verify, token, opts) }
      while state.fetches == 0 do ml.sleep(0) end
      for i = 2, 20 do tasks[i] = ml.spawn(verify, token, opts) end
      ml.sleep(0)
      tasks[1]:cancel()
      ml.wait { tasks[1] }
      state.wait:set()
      for i = 2, 20 do assert.same({ n = 1 }, tasks[i]:await()) end
      assert.equal("cancelled", tasks[1]:status())
      assert.equal(2, state.fetches)
    end)
  end)

  it("leaves the old keys to those that come while it is fetched again", function()
    clock.virtual()
    local state = { keys = { given.public(given.ec, A) } }
    serving(state, function(base)
      local opts = { algorithms = ALL, jwks = base .. "/keys" }
      assert(verify(token, opts))
      ml.sleep(601)
      state.wait = ml.event()
      local first = ml.spawn(verify, token, opts)
      while state.fetches == 1 do ml.sleep(0) end
      assert.same({ n = 1 }, verify(token, opts))
      assert.not_equal("done", first:status())
      state.wait:set()
      assert.same({ n = 1 }, first:await())
      assert.equal(2, state.fetches)
    end)
  end)

  it("is fetched again for an id that is not there, but not for each", function()
    clock.virtual()
    local state = { keys = { given.public(given.ec, A) } }
    serving(state, function(base)
      local opts = { algorithms = ALL, jwks = base .. "/keys" }
      local other = sign({ n = 2 }, with_kid(given.ed, "new"))
      assert(verify(token, opts))
      state.keys[2] = given.public(given.ed, { kid = "new" })
      for _ = 1, 5 do assert.equal("signature", select(2, verify(other, opts)).code) end
      assert.equal(1, state.fetches)
      ml.sleep(30)
      assert.same({ n = 2 }, verify(other, opts))
      assert.equal(2, state.fetches)
      ml.sleep(30)
      local unknown = sign({}, with_kid(given.ed, "never"))
      local tasks = {}
      for i = 1, 10 do tasks[i] = ml.spawn(verify, unknown, opts) end
      for i = 1, 10 do assert.equal("signature", select(2, tasks[i]:await()).code) end
      assert.equal(3, state.fetches)
    end)
  end)

  it("that does not answer is an error with a 503, and is not asked for each token", function()
    clock.virtual()
    local state = { status = 500 }
    serving(state, function(base)
      local opts = { algorithms = ALL, jwks = base .. "/keys" }
      for _ = 1, 5 do
        local ok, err = pcall(verify, token, opts)
        assert.is_false(ok)
        assert.equal(503, err.status)
        assert.equal("network", err.kind)
        assert.matches("/keys answered with the status 500", err.message)
      end
      assert.equal(1, state.fetches)
      state.status, state.keys = nil, { given.public(given.ec, A) }
      ml.sleep(5)
      assert(verify(token, opts))
    end)
  end)

  it("that does not answer any more leaves the old keys for a day", function()
    clock.virtual()
    local state = { keys = { given.public(given.ec, A) } }
    serving(state, function(base)
      local opts = { algorithms = ALL, jwks = base .. "/keys" }
      assert(verify(token, opts))
      state.status = 500
      ml.sleep(601)
      for _ = 1, 5 do assert(verify(token, opts)) end
      assert.equal(2, state.fetches)
      ml.sleep(30)
      assert(verify(token, opts))
      assert.equal(3, state.fetches)
      ml.sleep(86400)
      raises("not available", verify, token, opts)
    end)
  end)

  it("that nobody asks for any more is forgotten after a day", function()
    clock.virtual()
    local sets = require("moonloop.jwt.jwks").sets
    ml.sleep(2 * 86400)
    assert.equal(0, sets.count)
    serving({ keys = { given.public(given.ec, A) } }, function(base)
      assert(verify(token, { algorithms = ALL, jwks = base .. "/keys" }))
    end)
    ml.sleep(86300)
    assert.equal(1, sets.count)
    ml.sleep(200)
    assert.equal(0, sets.count)
  end)

  it("has to have a set of keys itself", function()
    local many = ('{"keys":[%s[]]}'):format(("[],"):rep(20000))
    for _, body in ipairs { "not json", { keys = "x" }, { 1 }, ("x"):rep(2 * 1024 * 1024), many } do
      serving({ body = body }, function(base)
        raises("the keys of tokens are not available", verify, token, { algorithms = ALL, jwks = base .. "/keys" })
      end)
    end
    serving({ keys = { given.public(given.ec, A) } }, function(base)
      raises("status 30%d", verify, token, { algorithms = ALL, jwks = base .. "/elsewhere" })
    end)
  end)

  it("is shown in errors without what lets somebody in", function()
    local function err_of(url) return tostring(select(2, pcall(verify, token, { algorithms = ALL, jwks = url }))) end
    serving({ body = "not json" }, function(base)
      local url = base .. "/keys?token=secret"
      assert.matches("[/]keys%?token=REDACTED has no set of keys", err_of(url))
      assert.matches("[/]no%?token=REDACTED answered with the status 404", err_of((url:gsub("keys", "no"))))
      local wrong = err_of "ftp://me:pass@x/keys?token=secret"
      assert.matches("not an http or https URL: ftp://x/keys?token=REDACTED", wrong, 1, true)
      for _, text in ipairs { err_of(url), wrong } do
        assert.is_nil(text:find "pass" or text:find "secret")
      end
    end)
  end)

  it("is https, or on this machine", function()
    for url, why in pairs {
      ["http://example.com/keys"] = "not an https URL", ["ftp://x"] = "not an http or https URL",
      ["keys"] = "not an http or https URL", ["http://localhost.example.com/"] = "not an https URL",
      ["http://127.0.0.1@example.com/"] = "not an https URL", ["http://127.0.0.1.example.com/"] = "not an https URL",
      ["https://a b/"] = "not an http or https URL",
    } do
      raises("jwt_jwks_spec.lua:%d+: .*jwks is " .. why, verify, token, { algorithms = ALL, jwks = url })
    end
    raises("secret, and cannot come from a URL", verify, token, { algorithms = { "HS256" }, jwks = "https://x/" })
    raises("either a 'url' or 'keys'", verify, token, { algorithms = ALL, jwks = {} })
    raises("unknown option 'urll' of jwks", verify, token, { algorithms = ALL, jwks = { urll = "https://x/" } })
    raises("ttl", verify, token, { algorithms = ALL, jwks = { url = "https://x/", ttl = 0 } })
  end)
end)
