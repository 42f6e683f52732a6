-- The keys of ml.jwt: secrets, PEM and JWK, each for its own algorithms.
local crypto = require "moonloop.crypto"
local given = require "spec.support.jwt_keys"
local ml = require "moonloop"
local folders = require "spec.support.folder"
local process = require "spec.support.process"

local sign, verify = ml.jwt.sign, ml.jwt.verify

local SECRET = ("secret! "):rep(8)

--- `f` raises what has `pattern`, with a line of this file.
local function raises(pattern, f, ...)
  local ok, err = pcall(f, ...)
  assert.is_false(ok)
  assert.matches("jwt_keys_spec.lua:%d+: .*" .. pattern, tostring(err))
end

local function opts(algorithm, key) return { algorithms = { algorithm }, key = key } end

--- A copy of the key with other fields.
local function with(jwk, changes)
  local copy = {}
  for name, value in pairs(jwk) do copy[name] = value end
  for name, value in pairs(changes) do copy[name] = value end
  return copy
end

-- openssl's files, by what they are.
local COMMANDS = [[cd %s &&
openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out rsa 2>/dev/null &&
openssl pkey -in rsa -pubout -out rsa_public && openssl rsa -in rsa -traditional -out rsa_pkcs1 2>/dev/null &&
openssl rsa -in rsa -RSAPublicKey_out -out rsa_public_pkcs1 2>/dev/null &&
openssl ecparam -name prime256v1 -genkey -out ec_sec1 && openssl pkey -in ec_sec1 -out ec &&
openssl pkey -in ec -pubout -out ec_public &&
openssl genpkey -algorithm ed25519 -out ed && openssl pkey -in ed -pubout -out ed_public &&
openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:1024 -out short 2>/dev/null &&
openssl ecparam -name secp384r1 -genkey -noout -out p384 && openssl genpkey -algorithm x25519 -out x25519 &&
openssl genpkey -algorithm ed448 -out ed448 &&
openssl pkey -in rsa -aes128 -passout pass:x -out encrypted &&
openssl rsa -in rsa -traditional -aes128 -passout pass:x -out encrypted_pkcs1 2>/dev/null &&
openssl req -x509 -key rsa -subj /CN=x -days 3 -out certificate]]

describe("a key of openssl's", function()
  local folder, pems

  setup(function()
    if not os.execute "command -v openssl >/dev/null" then return end
    folder = folders.new {}
    local output, status = process.sh(COMMANDS:format(folder.path))
    assert.equal(0, status, output)
    pems = setmetatable({}, { __index = function(_, name) return folders.read(folder.path .. "/" .. name) end })
  end)
  teardown(function() if folder then folder:close() end end)

  local function with_openssl(what, f)
    it(what, function()
      if not pems then return pending "openssl is not installed" end
      f()
    end)
  end

  with_openssl("is read in each form of PEM", function()
    for _, pair in ipairs {
      { "RS256", "rsa", "rsa_public" }, { "RS256", "rsa_pkcs1", "rsa_public_pkcs1" }, { "PS256", "rsa", "rsa_public" },
      { "ES256", "ec", "ec_public" }, { "ES256", "ec_sec1", "ec_public" }, { "EdDSA", "ed", "ed_public" },
    } do
      local algorithm, private, public = table.unpack(pair)
      local token = sign({ a = 1 }, pems[private], { algorithm = algorithm })
      assert.same({ a = 1 }, verify(token, opts(algorithm, pems[public])), private)
      assert.same({ a = 1 }, verify(token, opts(algorithm, pems[private])), private)
      assert.same({ a = 1 }, verify(token, opts(algorithm, "\n " .. pems[public]:gsub("\n", "\r\n"))))
      raises("only verify", sign, {}, pems[public], { algorithm = algorithm })
    end
  end)

  with_openssl("is for its algorithms only", function()
    raises("for PS256, RS256 cannot be used for ES256", sign, {}, pems.rsa, { algorithm = "ES256" })
    raises("for PS256, RS256 cannot be used for HS256", sign, {}, pems.rsa, { algorithm = "HS256" })
    raises("for ES256 cannot be used for RS256", verify, "a.b.c", opts("RS256", pems.ec_public))
    raises("for EdDSA cannot be used for ES256", verify, "a.b.c", opts("ES256", pems.ed_public))
    raises("cannot be used for HS256", verify, "a.b.c", { algorithms = { "RS256", "HS256" }, key = pems.rsa_public })
    raises("cannot be used for HS256", verify, "a.b.c", opts("HS256", pems.rsa_public))
  end)

  with_openssl("that is public is no secret, whatever is left of it", function()
    for _, name in ipairs { "rsa_public", "rsa_public_pkcs1", "ec_public", "ed_public", "certificate" } do
      local bare = pems[name]:gsub("%-%-%-%-%-[%u ]+[%u%d ]*%-%-%-%-%-", "")
      local token = crypto.base64url '{"alg":"HS256"}' .. "." .. crypto.base64url "{}"
      token = token .. "." .. crypto.base64url(crypto.hmac_sha256(pems[name], token))
      for _, text in ipairs { pems[name], "# the key\n" .. pems[name] } do
        local ok, claims = pcall(verify, token, opts("HS256", text))
        assert.is_false(ok, name)
        assert.matches("key", tostring(claims))
      end
      if name ~= "certificate" then raises("is not a secret", verify, token, opts("HS256", bare)) end
    end
  end)

  with_openssl("of another kind is an error that names what is wrong", function()
    raises("has 1024 bits %(2048 to 8192 expected%)", sign, {}, pems.short)
    raises("the curve secp384r1 %(only P%-256", sign, {}, pems.p384)
    raises("neither of RSA nor of ECDSA nor of Ed25519", sign, {}, pems.x25519)
    raises("neither of RSA nor of ECDSA nor of Ed25519", sign, {}, pems.ed448)
    raises("is encrypted", sign, {}, pems.encrypted)
    raises("is encrypted", sign, {}, pems.encrypted_pkcs1)
    raises("a certificate is not a key", verify, "a.b.c", opts("RS256", pems.certificate))
    raises("not one key, whole", sign, {}, pems.rsa .. pems.rsa)
    raises("not one key, whole", sign, {}, pems.rsa:sub(1, -10))
    raises("malformed", sign, {}, (pems.rsa:gsub("\n..", "\n!!", 1)))
    raises("malformed", sign, {}, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----")
    raises("malformed", verify, "a.b.c", opts("RS256", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"))
    raises("a PEM text has a 'DH PARAMETERS'", sign, {},
      "-----BEGIN DH PARAMETERS-----\nAAAA\n-----END DH PARAMETERS-----")
  end)

  with_openssl("signs what openssl verifies, and the other way round", function()
    local path = folder.path
    for _, case in ipairs {
      { "RS256", "rsa", "dgst -sha256 -verify rsa_public -signature sig text", "dgst -sha256 -sign rsa -out sig text" },
      { "PS256", "rsa", "dgst -sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32 -verify rsa_public "
        .. "-signature sig text", "dgst -sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32 -sign rsa "
        .. "-out sig text" },
      { "EdDSA", "ed", "pkeyutl -verify -pubin -inkey ed_public -rawin -sigfile sig -in text",
        "pkeyutl -sign -inkey ed -rawin -out sig -in text" },
    } do
      local algorithm, key, check, make = table.unpack(case)
      local text, signature = sign({ a = 1 }, pems[key], { algorithm = algorithm }):match "^(.*)%.([^.]*)$"
      folders.write(path .. "/text", text)
      folders.write(path .. "/sig", crypto.from_base64url(signature))
      local output, status = process.sh("cd " .. path .. " && openssl " .. check)
      assert.equal(0, status, output)
      output, status = process.sh("cd " .. path .. " && openssl " .. make)
      assert.equal(0, status, output)
      local token = text .. "." .. crypto.base64url(folders.read(path .. "/sig"))
      assert.same({ a = 1 }, verify(token, opts(algorithm, pems[key .. "_public"])))
    end
  end)

  with_openssl("signs what Python's jwt verifies, and the other way round", function()
    local python = "/usr/bin/python3"
    if not os.execute(python .. " -c 'import jwt, cryptography' 2>/dev/null") then
      return pending "python3-jwt is not installed"
    end
    local tokens = { HS256 = sign({ a = 1 }, SECRET), HS384 = sign({ a = 1 }, SECRET, { algorithm = "HS384" }),
      HS512 = sign({ a = 1 }, SECRET, { algorithm = "HS512" }), RS256 = sign({ a = 1 }, pems.rsa),
      PS256 = sign({ a = 1 }, pems.rsa, { algorithm = "PS256" }), ES256 = sign({ a = 1 }, pems.ec),
      EdDSA = sign({ a = 1 }, pems.ed) }
    folders.write(folder.path .. "/tokens", ml.json.encode { tokens = tokens, secret = SECRET })
    folders.write(folder.path .. "/check.py", [[
import json, jwt
given = json.load(open("tokens"))
names = {"R": "rsa", "P": "rsa", "E": "ec"}
made = {}
for algorithm, token in given["tokens"].items():
    name = "ed" if algorithm == "EdDSA" else names.get(algorithm[0])
    public = open(name + "_public").read() if name else given["secret"]
    private = open(name).read() if name else given["secret"]
    assert jwt.decode(token, public, algorithms=[algorithm]) == {"a": 1}
    made[algorithm] = jwt.encode({"b": 2, "aud": ["x", "y"]}, private, algorithm=algorithm, headers={"kid": "k"})
print(json.dumps(made))
]])
    local output, status = process.sh(("cd %s && %s check.py"):format(folder.path, python))
    assert.equal(0, status, output)
    for algorithm, token in pairs(assert(ml.json.decode(output))) do
      local name = ({ R = "rsa_public", P = "rsa_public", E = "ec_public" })[algorithm:sub(1, 1)]
      if algorithm == "EdDSA" then name = "ed_public" end
      local key = name and pems[name] or SECRET
      local claims, err = verify(token, { algorithms = { algorithm }, key = key, audience = "y" })
      assert(claims, err)
      assert.equal(2, claims.b)
    end
  end)
end)

describe("a JWK", function()
  it("is for the algorithm of its 'alg', if it has one", function()
    local key = with(given.rsa, { alg = "PS256", kid = "one" })
    local token = sign({}, key)
    assert.matches('"alg":"PS256","typ":"JWT","kid":"one"', crypto.from_base64url(token:match "^[^.]*"))
    assert(verify(token, opts("PS256", given.public(given.rsa, { alg = "PS256" }))))
    raises("for PS256 cannot be used for RS256", verify, token, opts("RS256", key))
    raises("'alg' of a JWK is not an algorithm for its type: HS256", sign, {}, with(given.rsa, { alg = "HS256" }))
    raises("for HS512 cannot be used for HS256", verify, "a.b.c", opts("HS256", with(given.oct, { alg = "HS512" })))
  end)

  it("that is not for signatures is refused", function()
    raises("not for signatures", sign, {}, with(given.ec, { use = "enc" }))
    raises("not for signatures", sign, {}, with(given.ec, { key_ops = { "deriveKey" } }))
    assert(sign({}, with(given.ec, { use = "sig", key_ops = { "sign" } })))
    raises("only verify", sign, {}, with(given.ec, { key_ops = { "verify" } }))
  end)

  it("with another id than the token's is not its key", function()
    local token = sign({}, with(given.oct, { kid = "a" }))
    assert(verify(token, opts("HS256", given.oct)))
    assert(verify(token, opts("HS256", with(given.oct, { kid = "a" }))))
    local claims, err = verify(token, opts("HS256", with(given.oct, { kid = "b" })))
    assert.is_nil(claims)
    assert.equal("signature", err.code)
    assert(verify(sign({}, given.oct), opts("HS256", with(given.oct, { kid = "b" }))))
  end)

  it("is read again after a change", function()
    local key = with(given.oct, {})
    local token = sign({}, key)
    key.k = crypto.base64url(SECRET)
    assert.equal("signature", select(2, verify(token, opts("HS256", key))).code)
  end)

  it("that is malformed is an error that names what is wrong", function()
    for _, case in ipairs {
      { given.rsa, { n = "!" }, "'n' of a JWK is malformed" },
      { given.rsa, { e = 65537 }, "'e' of a JWK is malformed" },
      { given.rsa, { e = ("A"):rep(40) }, "'e' of a JWK is too large" }, { given.rsa, { q = "" }, "'q' of a JWK" },
      { given.rsa, { n = "p" .. given.rsa.n:sub(2) }, "does not fit its public part" },
      { given.rsa, { e = "AQ" }, "'e' of a JWK is even, or 1" },
      { given.rsa, { e = "BA" }, "'e' of a JWK is even, or 1" },
      { given.rsa, { oth = {} }, "more than two primes" }, { given.ec, { crv = "P-521" }, "another curve than P%-256" },
      { given.ec, { x = given.ec.x .. "AAAA" }, "'x' of a JWK is malformed" },
      { given.ec, { x = given.ec.y }, "malformed" }, { given.ec, { d = given.ec.x }, "does not fit its public part" },
      { given.ed, { crv = "X25519" }, "another curve than Ed25519" },
      { given.ed, { d = given.ed.x }, "does not fit its public part" },
      { given.oct, { k = "" }, "'k' of a JWK is malformed" },
      { given.oct, { kty = "oc" }, "none of oct, RSA, EC and OKP" },
      { given.oct, { kid = 1 }, "'kid' of a JWK is not a string" },
    } do
      raises(case[3], sign, {}, with(case[1], case[2]))
    end
    raises("none of oct, RSA, EC and OKP", sign, {}, {})
  end)
end)

describe("a secret", function()
  it("is as long as the hash, at least", function()
    for algorithm, least in pairs { HS256 = 32, HS384 = 48, HS512 = 64 } do
      local key = SECRET:sub(1, least)
      assert(verify(sign({}, key, { algorithm = algorithm }), opts(algorithm, key)))
      raises(("has %d bytes %%(%s needs at least %d"):format(least - 1, algorithm, least), sign, {}, key:sub(2),
        { algorithm = algorithm })
      raises(("needs at least %d"):format(least), verify, "a.b.c", opts(algorithm, key:sub(2)))
    end
  end)

  it("may be longer than a block", function()
    for _, algorithm in ipairs { "HS256", "HS384", "HS512" } do
      local key = SECRET:rep(5)
      assert(verify(sign({}, key, { algorithm = algorithm }), opts(algorithm, key)))
    end
  end)
end)
