-- ml.jwt: tokens are signed and verified.
local clock = require "moonloop.clock"
local crypto = require "moonloop.crypto"
local given = require "spec.support.jwt_keys"
local ml = require "moonloop"

local sign, verify = ml.jwt.sign, ml.jwt.verify

local SECRET = ("secret! "):rep(8)
local HS256 = { algorithms = { "HS256" }, key = SECRET }

--- `f` raises what has `pattern`, with a line of this file.
local function raises(pattern, f, ...)
  local ok, err = pcall(f, ...)
  assert.is_false(ok)
  assert.matches("jwt_spec.lua:%d+: .*" .. pattern, tostring(err))
end

--- HS256, with more options.
local function with(more)
  local opts = { algorithms = { "HS256" }, key = SECRET }
  for name, value in pairs(more) do opts[name] = value end
  return opts
end

--- A token of these texts, signed with SECRET by HS256, whatever they say.
local function raw(header, payload)
  local text = crypto.base64url(header) .. "." .. crypto.base64url(payload)
  return text .. "." .. crypto.base64url(crypto.hmac_sha256(SECRET, text))
end

--- The token is refused with this code and a message that has `pattern`.
local function refused(code, pattern, token, opts)
  local claims, err = verify(token, opts or HS256)
  assert.is_nil(claims)
  assert.equal("jwt", err.kind)
  assert.equal(code, err.code, err.message)
  assert.matches(pattern, err.message)
end

describe("a token", function()
  it("is signed and verified by each algorithm, and by none with another key", function()
    for algorithm, jwk in pairs {
      HS256 = given.oct, HS384 = given.oct, HS512 = given.oct, RS256 = given.rsa, PS256 = given.rsa, ES256 = given.ec,
      EdDSA = given.ed,
    } do
      local token = sign({ sub = "ann", n = 1 }, jwk, { algorithm = algorithm })
      local opts = { algorithms = { algorithm }, key = jwk }
      assert.same({ sub = "ann", n = 1 }, verify(token, opts))
      if jwk ~= given.oct then
        opts.key = given.public(jwk)
        assert.same({ sub = "ann", n = 1 }, verify(token, opts))
      end
      local text, signature = token:match("^(.*)%.([^.]*)$")
      local changed = crypto.from_base64url(signature)
      changed = string.char(changed:byte() ~ 1) .. changed:sub(2)
      refused("signature", "does not match", text .. "." .. crypto.base64url(changed), opts)
      refused("signature", "does not match", text .. ".", opts)
      refused("signature", "does not match", text .. "." .. signature .. "AAAA", opts)
      refused("signature", "does not match", text:sub(1, -3) .. "QQ." .. signature, opts)
    end
  end)

  it("of the RFCs is verified", function()
    for algorithm, token in pairs(given.tokens) do
      local jwk = ({ HS256 = given.oct, RS256 = given.rsa, ES256 = given.ec, EdDSA = given.ed })[algorithm]
      local opts = { algorithms = { algorithm }, key = jwk.kty == "oct" and jwk or given.public(jwk) }
      if algorithm == "EdDSA" then -- its payload is no claims: that is noticed after the signature
        refused("malformed", "payload is not JSON", token, opts)
      else
        refused("expired", "expired", token, opts)
        opts.leeway = 1e10
        assert.same({ iss = "joe", exp = 1300819380, ["http://example.com/is_root"] = true }, verify(token, opts))
      end
    end
  end)

  it("has a header in a fixed order, and claims as they were", function()
    local token = sign({ a = 1.5 }, SECRET, { kid = "k\"1", typ = "at+jwt" })
    local header, payload = token:match "^([^.]*)%.([^.]*)%."
    assert.equal('{"alg":"HS256","typ":"at+jwt","kid":"k\\"1"}', crypto.from_base64url(header))
    assert.equal('{"a":1.5}', crypto.from_base64url(payload))
    assert.same({}, verify(sign({}, SECRET), HS256))
    assert.equal(ml.json.null, verify(sign({ x = ml.json.null }, SECRET), HS256).x)
  end)

  it("gets a time at which it expires", function()
    clock.virtual()
    local claims = { sub = "ann" }
    local token = sign(claims, SECRET, { expires_in = 60 })
    assert.same({ sub = "ann" }, claims)
    local read = verify(token, HS256)
    assert.equal(60, read.exp - read.iat)
    ml.sleep(59)
    assert(verify(token, HS256))
    ml.sleep(1)
    refused("expired", "the token has expired", token)
    assert(verify(token, with { leeway = 1 }))
    ml.sleep(1)
    refused("expired", "the token has expired", token, with { leeway = 1 })
  end)

  it("is checked for its times", function()
    clock.virtual()
    local now = require "moonloop.core".time()
    refused("expired", "expired", sign({ exp = now }, SECRET))
    assert(verify(sign({ exp = now + 1, nbf = now, iat = now }, SECRET), HS256))
    assert(verify(sign({ exp = now + 0.5 }, SECRET), HS256))
    refused("not_yet", "nbf", sign({ nbf = now + 1 }, SECRET))
    refused("not_yet", "iat", sign({ iat = now + 5 }, SECRET))
    assert(verify(sign({ nbf = now + 5, iat = now + 5 }, SECRET), with { leeway = 5 }))
    for _, name in ipairs { "exp", "nbf", "iat" } do
      for _, value in ipairs { '"1"', "null", "true", "[]", "{}", "1e999" } do
        refused("malformed", value == "1e999" and "" or name,
          raw('{"alg":"HS256"}', ('{"%s":%s}'):format(name, value)))
      end
      raises("the claim '" .. name .. "' is not a number", sign, { [name] = "1" }, SECRET)
      raises("the claim '" .. name .. "' is not a number", sign, { [name] = 0 / 0 }, SECRET)
    end
  end)

  it("is checked for who made it", function()
    local token = sign({ iss = "https://id.example" }, SECRET)
    assert(verify(token, HS256))
    assert(verify(token, with { issuer = "https://id.example" }))
    assert(verify(token, with { issuer = { "a", "https://id.example" } }))
    refused("issuer", "iss", token, with { issuer = "https://id.example/" })
    refused("issuer", "iss", token, with { issuer = { "a" } })
    refused("issuer", "iss", sign({}, SECRET), with { issuer = "a" })
    refused("issuer", "iss", sign({ iss = { "a" } }, SECRET), with { issuer = "a" })
  end)

  it("is checked for whom it is", function()
    for _, audience in ipairs { "api", { "web", "api" } } do
      local token = sign({ aud = audience }, SECRET)
      assert(verify(token, with { audience = "api" }))
      assert(verify(token, with { audience = { "x", "api" } }))
      refused("audience", "somebody else", token, with { audience = "ap" })
      refused("audience", "option 'audience'", token)
    end
    refused("audience", "for nobody", sign({}, SECRET), with { audience = "api" })
    for _, wrong in ipairs { 1, true, ml.json.null, {}, { "api", 1 }, { api = "api" } } do
      refused("malformed", "aud", sign({ aud = wrong }, SECRET), with { audience = "api" })
    end
  end)
end)

describe("a malformed token", function()
  local good = sign({ a = 1 }, SECRET)
  local header, payload, signature = good:match "^([^.]*)%.([^.]*)%.([^.]*)$"

  it("is refused by its form", function()
    for _, text in ipairs { "", ".", "a", "..", "...", header .. "." .. payload, good .. ".", good .. ".a.b",
      "." .. payload .. "." .. signature } do
      refused("malformed", "", text)
    end
    refused("malformed", "payload is not JSON", raw('{"alg":"HS256"}', ""))
    assert(verify(good, HS256))
  end)

  it("is refused for any base64url that is not strict", function()
    for _, change in ipairs { header .. "=", header .. "\n", " " .. header, header:sub(1, -2), header .. "A",
      header:gsub("^e", "+"), header .. "\0", (header:gsub("c", "\xbc")), header:sub(1, 5) .. "." .. header:sub(6) } do
      refused("malformed", "", change .. "." .. payload .. "." .. signature)
    end
    refused("malformed", "signature is not base64url", good .. "=")
    refused("malformed", "signature is not base64url", good .. "\n")
    -- The last character of 32 bytes has two bits that are left over.
    local last = signature:sub(-1)
    local other = string.char(last:byte() + 1)
    if last == "Z" then other = "a" elseif last == "9" then other = "8" end
    local claims, err = verify(header .. "." .. payload .. "." .. signature:sub(1, -2) .. other, HS256)
    assert.is_nil(claims)
    assert.is_true(err.code == "malformed" or err.code == "signature")
  end)

  it("is refused if its header or its claims are no object with unique names", function()
    for text, why in pairs {
      ["[]"] = "is not an object", ["1"] = "is not an object", ["null"] = "is not an object",
      ['"a"'] = "is not an object",
      [""] = "is not JSON", ["{"] = "is not JSON", ['{"a":1}x'] = "is not JSON", ['{"a":"\xff"}'] = "is not JSON",
      ['{"alg":"HS256","alg":"HS256"}'] = "has a name twice",
      ['{"alg":"HS256","a\\u006cg":"none"}'] = "has a name twice",
      ['{"alg":"HS256","x":[{"a":1,"b":{"c":"\\":","c":2}}]}'] = "has a name twice",
      [("["):rep(600)] = "is not JSON",
    } do
      refused("malformed", "header " .. why, raw(text, "{}"))
      refused("malformed", "payload " .. why, raw('{"alg":"HS256"}', text))
    end
    local odd = '{"alg":"HS256","x":[{"a":":","b":[]},{"a":{},"b":"\\\\\\":"},[[{"a":null}]]]}'
    assert.equal(2, #verify(raw(odd, odd), HS256).x[3][1] + 1)
  end)

  it("is refused if it is huge", function()
    refused("malformed", "16384", ("a"):rep(16385))
    refused("malformed", "16384", ("."):rep(1e6))
    raises("16384", sign, { a = ("x"):rep(16000) }, SECRET)
    local most = sign({ a = ("x"):rep(12000) }, SECRET)
    assert.equal(12000, #verify(most, HS256).a)
  end)

  it("is refused if it needs what is not known", function()
    for _, crit in ipairs { '["b64"]', '["exp"]', "[]", "null", '"x"' } do
      refused("malformed", "crit", raw('{"alg":"HS256","b64":false,"crit":' .. crit .. "}", "{}"))
    end
    refused("malformed", "'alg' is missing", raw('{"typ":"JWT"}', "{}"))
    refused("malformed", "'alg' is missing", raw('{"alg":null}', "{}"))
    refused("malformed", "'alg' is missing", raw('{"alg":["HS256"]}', "{}"))
    refused("malformed", "'kid'", raw('{"alg":"HS256","kid":1}', "{}"))
  end)
end)

describe("the algorithm of a token", function()
  it("has to be among those that are accepted", function()
    local token = sign({}, SECRET, { algorithm = "HS512" })
    refused("algorithm", "not accepted", token)
    assert(verify(token, with { algorithms = { "HS256", "HS512" } }))
    refused("algorithm", "not accepted", raw('{"alg":"hs256"}', "{}"))
  end)

  it("is never 'none'", function()
    for _, none in ipairs { "none", "None", "NONE", "nOnE", "" } do
      local text = crypto.base64url(('{"alg":"%s"}'):format(none)) .. "." .. crypto.base64url "{}"
      refused("algorithm", "not accepted", text .. ".")
      refused("algorithm", "not accepted", raw(('{"alg":"%s"}'):format(none), "{}"))
    end
    raises("'none' does not exist here", verify, "a.b.c", with { algorithms = { "HS256", "none" } })
    raises("'none' does not exist here", sign, {}, SECRET, { algorithm = "none" })
  end)

  it("has to be named by who verifies", function()
    raises("option 'algorithms' is missing", verify, "a.b.c", { key = SECRET })
    raises("option 'algorithms' is missing", verify, "a.b.c", { key = SECRET, algorithms = {} })
    raises("unknown algorithm 'HS265' of ml.jwt.verify %(did you mean 'HS256'%?%)", verify, "a.b.c",
      with { algorithms = { "HS265" } })
    raises("an algorithm is a number", verify, "a.b.c", with { algorithms = { 1 } })
    raises("option 'algorithms' of ml.jwt.verify is a string", verify, "a.b.c", with { algorithms = "HS256" })
  end)
end)

it("wrong arguments are errors of the caller's line", function()
  raises("string expected, got nil", verify, nil, HS256)
  raises("either 'key' or 'jwks' is needed", verify, "a.b.c", { algorithms = { "HS256" } })
  raises("either 'key' or 'jwks' is needed", verify, "a.b.c", with { jwks = { keys = {} } })
  raises("unknown option 'audienc'", verify, "a.b.c", with { audienc = "x" })
  raises("audience", verify, "a.b.c", with { audience = {} })
  raises("issuer", verify, "a.b.c", with { issuer = { 1 } })
  raises("leeway", verify, "a.b.c", with { leeway = -1 })
  raises("leeway", verify, "a.b.c", with { leeway = math.huge })
  raises("a table of claims expected, got nil", sign, nil, SECRET)
  raises("the claims are a list", sign, { 1 }, SECRET)
  raises("cannot encode a function", sign, { f = print }, SECRET)
  raises("the key is a nil", sign, {}, nil)
  raises("expires_in", sign, {}, SECRET, { expires_in = 0 })
end)

it("tokens are signed and verified in the workers of the executor, too", function()
  local pool <close> = ml.executor.new { threads = 1 }
  local token = pool:run(function(key) return require "moonloop".jwt.sign({ n = 1 }, key) end, given.rsa)
  assert.same({ n = 1 }, verify(token, { algorithms = { "RS256" }, key = given.public(given.rsa) }))
  assert.equal(1, pool:run(function(text, key)
    return require "moonloop".jwt.verify(text, { algorithms = { "RS256" }, key = key }).n
  end, token, given.public(given.rsa)))
end)

describe("signing with RSA", function()
  it("lets others run meanwhile, and may be cancelled", function()
    sign({}, given.rsa) -- the key is read
    local task = ml.spawn(sign, {}, given.rsa)
    ml.sleep(0)
    task:cancel()
    ml.wait { task }
    assert.equal("cancelled", task:status())
    assert.is_string(sign({}, given.rsa, { algorithm = "PS256" }))
  end)

  it("refuses more than it can do soon, with a 503", function()
    sign({}, given.rsa) -- the key is read
    local full = 0
    local tasks = {}
    for i = 1, 300 do
      tasks[i] = ml.spawn(function()
        local ok, err = ml.catch(sign, { n = i }, given.rsa)
        if not ok and err.status == 503 then full = full + 1 elseif not ok then error(err, 0) end
      end)
    end
    ml.sleep(0)
    for _, task in ipairs(tasks) do task:cancel() end
    ml.wait(tasks)
    assert.equal(44, full)
    assert.is_string(sign({}, given.rsa))
  end)
end)
