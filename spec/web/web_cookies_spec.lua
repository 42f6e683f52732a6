-- Cookies: read, set, deleted, signed.
local clock = require "moonloop.clock"
local ml = require "moonloop"
local web = require "moonloop.web"
local support = require "spec.support.web"

-- req:cookies() of a request with these header lines.
local function cookies_of(headers)
  local app, cookies = web.app(), nil
  app:get("/", function(req)
    cookies = req:cookies()
    return ""
  end)
  support.serving(app, function(port) support.get(port, "/", headers) end)
  return cookies
end

local function read(text) return cookies_of("Cookie: " .. text .. "\r\n") end

-- The Set-Cookie line that set_cookie writes.
local function line(...)
  local lines = web.response({}):set_cookie(...).headers["Set-Cookie"]
  return lines[1]
end

-- `f` raises what matches, with a line of this file.
local function raises(pattern, f, ...)
  local arguments = table.pack(...)
  local ok, err = pcall(function() f(table.unpack(arguments, 1, arguments.n)) end)
  assert.is_false(ok)
  assert.matches("spec.lua:%d+: " .. pattern, err)
end

local function refused(pattern, ...) raises(pattern, web.response({}).set_cookie, web.response({}), ...) end

describe("req:cookies", function()
  it("has the cookies by their names", function()
    assert.same({ a = "1", b = "2", c = "3" }, read("a=1; b=2; c=3"))
    assert.same({}, cookies_of())
  end)
  it("joins several Cookie lines", function()
    assert.same({ a = "1", b = "2" }, cookies_of("Cookie: a=1\r\nCookie: b=2\r\n"))
  end)
  it("has the first of equal names, which is the one with the longest path", function()
    assert.same({ a = "1" }, read("a=1; a=2"))
  end)
  it("keeps values as they were sent, quotes and all", function()
    assert.same({ a = '"x y"', b = "x=y", c = "", d = "%20", e = "hello world" },
      read('a="x y"; b=x=y; c=; d=%20; e= hello world '))
  end)
  it("skips anything that is not a cookie", function()
    assert.same({ a = "1" }, read("; ;; =x; nameless; a=1;"))
    assert.same({}, read("===;;;"))
    assert.same({}, read(""))
  end)
  it("reads a thousand of them", function()
    local list = {}
    for i = 0, 999 do list[#list + 1] = ("k%d=v%d"):format(i, i) end
    local cookies = read(table.concat(list, "; "))
    for i = 0, 999 do assert.equal("v" .. i, cookies["k" .. i]) end
  end)
end)

describe("res:set_cookie", function()
  it("has safe defaults", function()
    assert.equal("a=b; Path=/; HttpOnly; SameSite=Lax", line("a", "b"))
  end)
  it("writes every attribute", function()
    assert.equal("a=; Path=/x; Domain=example.com; Max-Age=60; Expires=Sun, 06 Nov 1994 08:49:37 GMT; " ..
      "Secure; SameSite=None; Partitioned",
      line("a", "", { path = "/x", domain = "example.com", max_age = 60, expires = 784111777, secure = true,
        http_only = false, same_site = "none", partitioned = true }))
    assert.matches("; SameSite=Strict$", (line("a", "b", { same_site = "Strict" })))
  end)
  it("sends each cookie on a line of its own", function()
    local app = web.app()
    app:get("/", function()
      return web.response { body = "x", headers = { ["set-cookie"] = "z=0" } }
        :set_cookie("a", "1"):set_cookie("b", "2"):delete_cookie("c")
    end)
    support.serving(app, function(port)
      local lines = support.get(port, "/").headers["set-cookie"]
      assert.equal(4, #lines)
      local names = {}
      for _, text in ipairs(lines) do names[#names + 1] = text:match("^%w+=[^;]*") end
      table.sort(names)
      assert.same({ "a=1", "b=2", "c=", "z=0" }, names)
    end)
  end)
  it("takes every character that is allowed in a value", function()
    local value = "!#$%&'()*+-./0123456789:<=>?@AZ[]^_`az{|}~"
    assert.equal("a=" .. value .. ";", line("a", value):match("^[^;]*;"))
  end)
  it("refuses names and values that would be read otherwise", function()
    refused('"a b" is not a valid cookie name', "a b", "x")
    refused('"" is not a valid cookie name', "", "x")
    refused('"a=b" is not a valid cookie name', "a=b", "x")
    refused("a number is not a valid cookie name", 1, "x")
    refused("cookie 'a': the value is a nil", "a", nil)
    refused("cookie 'a': character 2 of the value is not allowed in a cookie", "a", "x;y")
    for _, c in ipairs { " ", '"', ",", "\\", "\r\n", "\0", "\127", "é" } do
      refused("cookie 'a': character 1 of the value", "a", c)
    end
    refused("cookie 'a': name and value have more than 4096 bytes", "a", ("x"):rep(4096))
    assert.equal(4095, #line("a", ("x"):rep(4095)):match("=(x+)"))
  end)
  it("refuses invalid attributes", function()
    refused("the options of cookie 'a' are a string", "a", "b", "secure")
    refused("unknown option 'httponly' of cookie 'a' %(did you mean 'http_only'%?%)", "a", "b", { httponly = true })
    refused("option 'max_age' of cookie 'a' is a string %(expected integer%)", "a", "b", { max_age = "60" })
    refused("option 'max_age' of cookie 'a' is 1.5 %(expected integer%)", "a", "b", { max_age = 1.5 })
    refused("option 'secure' of cookie 'a' is 1 %(expected boolean%)", "a", "b", { secure = 1 })
    refused("cookie 'a': character 3 of the path is", "a", "b", { path = "/a; Domain=evil.example" })
    refused("cookie 'a': character 2 of the path is", "a", "b", { path = "/\r\n" })
    refused("cookie 'a': the path does not begin with '/'", "a", "b", { path = "a" })
    refused("cookie 'a': character 2 of the domain is", "a", "b", { domain = "x;y" })
    refused("cookie 'a': 'x y' is not a domain", "a", "b", { domain = "x y" })
    refused("cookie 'a': the domain has more than 1024 bytes", "a", "b", { domain = ("x"):rep(1025) })
    refused("cookie 'a': same_site is 'Maybe' %(expected Strict, Lax or None%)", "a", "b", { same_site = "Maybe" })
    refused("cookie 'a': expires is not a time", "a", "b", { expires = -1 })
    refused("cookie 'a': expires is not a time", "a", "b", { expires = 0 / 0 })
    refused("cookie 'a': expires is not a time", "a", "b", { expires = math.huge })
  end)
  it("refuses what browsers would drop", function()
    refused("cookie '__Secure%-a': its prefix needs secure = true", "__Secure-a", "b")
    refused("cookie '__Host%-a': its prefix needs secure = true", "__Host-a", "b")
    refused("cookie '__host%-a': its prefix needs secure = true", "__host-a", "b")
    refused("cookie '__Host%-a': its prefix needs no domain", "__Host-a", "b",
      { secure = true, domain = "example.com" })
    refused("cookie '__Host%-a': its prefix needs path = \"/\"", "__Host-a", "b", { secure = true, path = "/x" })
    refused("cookie 'a': same_site = \"None\" needs secure = true", "a", "b", { same_site = "None" })
    refused("cookie 'a': partitioned needs secure = true", "a", "b", { partitioned = true })
    assert.equal("__Host-a=b; Path=/; Secure; HttpOnly; SameSite=Lax", line("__Host-a", "b", { secure = true }))
    assert.matches("^__Secure%-a=b; Path=/x; Domain=example.com; Secure",
      (line("__Secure-a", "b", { secure = true, path = "/x", domain = "example.com" })))
  end)
end)

describe("res:delete_cookie", function()
  it("lets the cookie expire where it was set", function()
    local res = web.response({}):delete_cookie("a", { path = "/x", max_age = 5 })
    assert.same({ "a=; Path=/x; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly; SameSite=Lax" },
      res.headers["Set-Cookie"])
  end)
end)

describe("a signer", function()
  local secret, other = ("s"):rep(32), ("o"):rep(32)

  it("returns the value that it has signed", function()
    local signer = web.signer(secret)
    for _, value in ipairs { "", "hello", "\0\xFF;\r\n", ("x"):rep(1000) } do
      local text = signer:sign(value)
      assert.matches("^[%w_.-]+$", text)
      assert.equal(value, signer:verify(text))
    end
  end)
  it("refuses a text if any character is changed, added or missing", function()
    local signer = web.signer(secret)
    local text = signer:sign("user=1")
    local function check(changed)
      local value, err = signer:verify(changed)
      assert.is_nil(value, changed)
      assert.equal("signature", err.kind)
      assert.equal("INVALID", err.code)
    end
    for i = 1, #text do
      for _, c in ipairs { "A", "B", ".", "", "0" } do
        local changed = text:sub(1, i - 1) .. c .. text:sub(i + 1)
        if changed ~= text then check(changed) end
      end
    end
    for _, changed in ipairs { "", ".", "..", "a.b.c", text .. "A", "A" .. text, text .. "=", " " .. text } do
      check(changed)
    end
  end)
  it("refuses what another secret, salt or name has signed", function()
    local signer = web.signer(secret, { salt = "login" })
    local text = signer:sign("x", "sid")
    assert.equal("x", (signer:verify(text, "sid")))
    assert.is_nil((signer:verify(text, "id")))
    assert.is_nil((signer:verify(text)))
    assert.is_nil((web.signer(other, { salt = "login" }):verify(text, "sid")))
    assert.is_nil((web.signer(secret):verify(text, "sid")))
    assert.is_nil((web.signer(secret, { salt = "logins" }):verify(text, "id")))
  end)
  it("signs with the first secret and verifies with all", function()
    local old, rotated = web.signer(secret), web.signer { other, secret }
    assert.equal("x", (rotated:verify(old:sign("x"))))
    assert.equal("x", (web.signer(other):verify(rotated:sign("x"))))
    assert.is_nil((old:verify(rotated:sign("x"))))
  end)
  it("refuses what is older than max_age", function()
    local now = 1000
    local signer = web.signer(secret, { max_age = 60, time = function() return now end })
    local text = signer:sign("x")
    now = 1060
    assert.equal("x", (signer:verify(text)))
    now = 1061
    local value, err = signer:verify(text)
    assert.is_nil(value)
    assert.equal("EXPIRED", err.code)
    assert.equal("x", (web.signer(secret):verify(text)))
  end)
  it("refuses it when a virtual clock has jumped over max_age", function()
    clock.virtual()
    local signer = web.signer(secret, { max_age = 3600 })
    local text = signer:sign("x")
    ml.sleep(3599)
    assert.equal("x", (signer:verify(text)))
    ml.sleep(2)
    assert.equal("EXPIRED", select(2, signer:verify(text)).code)
  end)
  it("does not take a time that was not signed", function()
    local signer = web.signer(secret, { max_age = 60, time = function() return 1000 end })
    local later = signer:sign("x"):gsub("%.1000%.", ".2000.")
    assert.equal("INVALID", select(2, signer:verify(later)).code)
  end)
  it("signs as RFC 2104 says, with a key of its own for each salt", function()
    local crypto = require "moonloop.crypto"
    local function hex(bytes) return (bytes:gsub(".", function(c) return ("%02x"):format(c:byte()) end)) end
    assert.equal("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
      hex(crypto.hmac_sha256("Jefe", "what do ya want for nothing?"))) -- RFC 4231, test case 2
    assert.equal("60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
      hex(crypto.hmac_sha256(("\xaa"):rep(131), "Test Using Larger Than Block-Size Key - Hash Key First")))
  end)
  it("refuses short secrets and wrong arguments", function()
    local function wrong(pattern, ...) raises(pattern, web.signer, ...) end
    wrong("secret 1 of a signer has 31 bytes %(at least 32 random bytes are needed", ("x"):rep(31))
    wrong("secret 2 of a signer has 0 bytes", { secret, "" })
    wrong("secret 2 of a signer is a number", { secret, 1 })
    wrong("bad argument #1 to 'ml.web.signer'", {})
    wrong("bad argument #1 to 'ml.web.signer'", nil)
    wrong("max_age of a signer", secret, { max_age = -1 })
    wrong("option 'max_age' of ml.web.signer is a string", secret, { max_age = "1" })
    wrong("option 'salt' of ml.web.signer is 1 %(expected string%)", secret, { salt = 1 })
    wrong("unknown option 'age' of ml.web.signer", secret, { age = 1 })
    local signer = web.signer(secret)
    raises("bad argument #1 to 'signer:sign'", signer.sign, signer, 1)
    raises("bad argument #1 to 'signer:verify'", signer.verify, signer, nil)
    raises("bad argument #2 to 'signer:sign'", signer.sign, signer, "x", 1)
  end)
  it("does not print its keys", function()
    assert.equal("signer", tostring(web.signer(secret)))
  end)
end)

describe("a signed cookie", function()
  local signer = web.signer(("k"):rep(32))

  -- The handler's answer to a request with this Cookie value.
  local function ask(cookie)
    local app = web.app()
    app:get("/", function(req)
      local value, err = req:signed_cookie("sid", signer)
      return { value = value, code = err and err.code }
    end)
    local res
    support.serving(app, function(port)
      res = support.get(port, "/", cookie and "Cookie: " .. cookie .. "\r\n")
    end)
    return res.body
  end

  it("comes back as it was set", function()
    local set = web.response({}):set_signed_cookie("sid", "any; \r\n value", signer, { max_age = 60 })
    local text = set.headers["Set-Cookie"][1]
    assert.matches("; Max%-Age=60; HttpOnly; SameSite=Lax$", text)
    assert.equal([[{"value":"any; \r\n value"}]], ask(text:match("^[^;]+")))
  end)
  it("is nil if there is none, and an error if it does not verify", function()
    assert.equal("{}", ask())
    assert.equal('{"code":"INVALID"}', ask("sid=x"))
  end)
  it("is not valid under another name", function()
    local text = web.response({}):set_signed_cookie("role", "admin", signer).headers["Set-Cookie"][1]
    assert.equal('{"code":"INVALID"}', ask("sid=" .. text:match("=([^;]+)")))
  end)
end)

describe("web.token", function()
  it("is random text, long enough for a secret", function()
    local token = web.token()
    assert.matches("^[%w_-]+$", token)
    assert.equal(43, #token)
    assert.not_equal(token, web.token())
    assert.truthy(web.signer(token))
    assert.equal(22, #web.token(16))
  end)
  it("refuses what could be guessed", function()
    raises("bad argument #1 to 'ml.web.token' %(15 bytes can be guessed: at least 16 are needed%)", web.token, 15)
    raises("bad argument #1 to 'ml.web.token' %(at most 1024 bytes, got 1025%)", web.token, 1025)
    raises("bad argument #1 to 'ml.web.token' %(integer expected, got string%)", web.token, "32")
    raises("bad argument #1 to 'ml.web.token' %(integer expected, got number%)", web.token, 16.5)
  end)
end)
