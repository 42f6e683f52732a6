-- The jar of the client's cookies (RFC 6265bis sections 5.6 to 5.8), without requests.
local clock = require "moonloop.clock"
local cookies = require "moonloop.http.cookies"
local http = require "moonloop.http.core"
local jars = require "moonloop.http.cookie_jar"
local ml = require "moonloop"
local read = require "moonloop.http.set_cookie"

-- A jar that has taken the lines of responses from the URL.
local function jar_with(url, ...)
  local jar = cookies.jar()
  for _, line in ipairs { ... } do jar:take(line, cookies.place(url)) end
  return jar
end

-- The Cookie header for the URL, or "".
local function sent(jar, url) return cookies.header(jar:of(cookies.place(url))) or "" end

-- What a new jar sends back to where the lines came from.
local function echoed(url, ...) return sent(jar_with(url, ...), url) end

local function take(jar, url, line) jar:take(line, cookies.place(url)) end

describe("cookies of the client", function()
  it("have names and values as servers write them", function()
    for line, wanted in pairs {
      ["a=1"] = "a=1", [" a = 1 ; x"] = "a=1", ["a=b=c"] = "a=b=c", ['a="x y"'] = 'a="x y"', ["a="] = "a=",
      ["alone"] = "alone", ["=alone"] = "alone", ["=a=b"] = "a=b", [""] = "", ["="] = "", [";a=1"] = "", ["  ;"] = "",
      ["a=\1"] = "", ["a=1\127"] = "", ["a=1; Path=/\n"] = "", ["a\t=\t1\t"] = "a=1", ["a=\xc3\xa4"] = "a=\xc3\xa4",
      ["__Host-x"] = "", ["=__secure-x"] = "", ["__Hos=t"] = "__Hos=t",
    } do
      assert.equal(wanted, echoed("https://a.example/", line), ("%q"):format(line))
    end
  end)

  it("have attributes in any case, the last one of each", function()
    assert.same({ name = "a", value = "1", domain = "example", path = "/x", secure = true, http_only = true,
      same_site = "lax", max_age = 5, expires = 784111777 },
      read("a=1; DOMAIN = .Example; path=/y; Path=/x;secure=no;HTTPONLY;samesite=LAX; max-age=5;what=ever; "
        .. "expires=Sun, 06 Nov 1994 08:49:37 GMT; Max-Age=5x; expires=never"))
    assert.is_nil(read("a=1; path=/x; path=y").path)
    assert.is_nil(read("a=1; samesite=lax; samesite=odd").same_site)
    for _, age in ipairs { "", "-", "+1", "1.5", "0x5", " - 1" } do
      assert.is_nil(read("a=1; max-age=" .. age).max_age, age)
    end
  end)

  it("are taken apart as the RFC's algorithm does, for random lines", function()
    local function trimmed(text)
      while text:sub(1, 1):find "[ \t]" do text = text:sub(2) end
      while text:sub(-1):find "[ \t]" do text = text:sub(1, -2) end
      return text
    end
    -- The text up to the first `mark`, and what is behind that; nil if there is none.
    local function cut(text, mark)
      local at = text:find(mark, 1, true)
      if at then return text:sub(1, at - 1), text:sub(at + 1) end
      return text, nil
    end
    local function parts_of(line)
      local pair, rest = cut(line, ";")
      local name, value = cut(pair, "=")
      if not value then name, value = "", pair end
      local result = { name = trimmed(name), value = trimmed(value) }
      if result.name == "" and result.value == "" then return nil end
      while rest do
        local attribute
        attribute, rest = cut(rest, ";")
        local key, text = cut(attribute, "=")
        key, text = trimmed(key):lower(), trimmed(text or "")
        if key == "secure" then result.secure = true end
        if key == "httponly" then result.http_only = true end
        if key == "domain" then result.domain = text:sub(1, 1) == "." and text:sub(2):lower() or text:lower() end
        if key == "path" then result.path = text:sub(1, 1) == "/" and text or nil end
        if key == "samesite" then
          result.same_site = ({ lax = "lax", none = "none", strict = "strict" })[text:lower()]
        end
        local digits = text:sub(1, 1) == "-" and text:sub(2) or text
        if key == "max-age" and digits ~= "" and not digits:find "%D" then result.max_age = tonumber(text) end
      end
      return result
    end
    local bits = { "a", "=", ";", " ", "\t", "Path", "path=/", "/", "Domain", "domain=.X", ".", "Secure", "httponly",
      "SameSite", "lax", "None", "Max-Age=", "-", "5", "12", ",", '"', "\128", "x", "; ", "==" }
    for _ = 1, 20000 do
      local line = {}
      for i = 1, math.random(0, 14) do line[i] = bits[math.random(#bits)] end
      line = table.concat(line)
      local wanted, got = parts_of(line), read(line)
      for key, value in pairs(wanted or {}) do
        if not got or got[key] ~= value then assert.same(wanted, got, ("%q"):format(line)) end
      end
      for key in pairs(got or {}) do
        if not wanted or wanted[key] == nil then assert.same(wanted, got, ("%q"):format(line)) end
      end
    end
  end)

  it("are bounded: 4096 bytes of name and value, 1024 of an attribute", function()
    assert.equal(4096 + 1, #echoed("https://a.example/", "n=" .. ("v"):rep(4095)))
    assert.equal("", echoed("https://a.example/", "n=" .. ("v"):rep(4096)))
    local path = "/" .. ("p"):rep(1023)
    assert.equal(path, read("a=1; path=" .. path).path)
    assert.is_nil(read("a=1; path=" .. path .. "p").path)
    assert.equal("/ok", read("a=1; path=/ok; path=" .. path .. "p").path)
  end)

  it("are for their host alone, or with a domain for what is below it", function()
    local jar = jar_with("https://www.shop.example/", "own=1", "wide=1; Domain=shop.example",
      "dot=1; Domain=.SHOP.example",
      "no=1; Domain=other.example", "no=2; Domain=hop.example", "no=3; Domain=deep.www.shop.example",
      "empty=1; Domain=", "self=1; domain=www.shop.example")
    assert.equal("own=1; wide=1; dot=1; empty=1; self=1", sent(jar, "https://www.shop.example/"))
    assert.equal("own=1; wide=1; dot=1; empty=1; self=1", sent(jar, "HTTPS://WWW.Shop.Example:8443/"))
    assert.equal("wide=1; dot=1; self=1", sent(jar, "https://a.www.shop.example/"))
    assert.equal("wide=1; dot=1", sent(jar, "https://shop.example/"))
    assert.equal("", sent(jar, "https://example/"))
    assert.equal("", sent(jar, "https://workshop.example/"))
    assert.equal("", sent(jar, "https://www.shop.example.:443/"))
  end)

  it("of addresses are for these alone", function()
    assert.equal("a=1; b=2",
      echoed("http://10.1.2.3/", "a=1", "b=2; Domain=10.1.2.3", "c=3; Domain=2.3", "d=4; Domain=.3"))
    assert.equal("a=1", echoed("http://[fd00::1]/", "a=1", "b=2; Domain=::1"))
    local jar = jar_with("http://10.1.2.3/", "a=1; Domain=10.1.2.3")
    assert.equal("", sent(jar, "http://10.1.2.4/"))
  end)

  it("are not for public suffixes", function()
    if http.is_public_suffix "com" == nil then return pending "libpsl is not installed" end
    for url, domain in pairs { ["https://a.com/"] = "com", ["https://a.co.uk/"] = ".co.uk",
      ["https://a.github.io/"] = "github.io",
      ["https://a.unheard-of/"] = "unheard-of", ["https://x.ck/"] = "ck", ["https://a.com./"] = "com." } do
      assert.equal("", echoed(url, "a=1; Domain=" .. domain), domain)
    end
    local jar = jar_with("https://github.io/", "a=1; Domain=github.io")
    assert.equal("a=1", sent(jar, "https://github.io/"))
    assert.equal("", sent(jar, "https://a.github.io/"))
    jar = jar_with("https://a.b.co.uk/", "a=1; Domain=b.co.uk")
    assert.equal("a=1", sent(jar, "https://b.co.uk/"))
    assert.equal("a=1", echoed("http://localhost/", "a=1; Domain=localhost"))
  end)

  it("are for their host alone where the public suffixes are not known", function()
    local jar = jars.new(function() return nil end)
    take(jar, "https://a.shop.example/", "a=1; Domain=shop.example")
    assert.equal("a=1", sent(jar, "https://a.shop.example/"))
    assert.equal("", sent(jar, "https://shop.example/"))
    assert.equal("", sent(jar, "https://b.shop.example/"))
  end)

  it("are for a path and what is below it, by default the folder of the request", function()
    local jar = jar_with("http://a.example/in/side/page?q=/x/y", "def=1", "odd=1; Path=in", "root=1; Path=/",
      "deep=1; Path=/in/side/page", "slash=1; Path=/in/")
    assert.equal("deep=1; def=1; odd=1; slash=1; root=1", sent(jar, "http://a.example/in/side/page"))
    assert.equal("def=1; odd=1; slash=1; root=1", sent(jar, "http://a.example/in/side?x"))
    assert.equal("slash=1; root=1", sent(jar, "http://a.example/in/sider"))
    assert.equal("root=1", sent(jar, "http://a.example/in"))
    assert.equal("root=1", sent(jar, "http://a.example#f"))
    assert.equal("a=1", sent(jar_with("http://a.example", "a=1"), "http://a.example/x"))
    assert.equal("a=1", sent(jar_with("http://a.example/x", "a=1"), "http://a.example/"))
  end)

  it("with Secure come and go over https alone, and on this machine", function()
    local jar = jar_with("https://a.example/", "s=1; Secure", "p=1")
    assert.equal("p=1", sent(jar, "http://a.example/"))
    assert.equal("s=1; p=1", sent(jar, "https://a.example/"))
    assert.equal("", echoed("http://a.example/", "s=1; Secure"))
    for _, host in ipairs { "localhost", "a.localhost", "127.0.0.1", "127.9.9.9:80", "[::1]" } do
      assert.equal("s=1", echoed("http://" .. host .. "/", "s=1; Secure"), host)
    end
    assert.equal("", echoed("http://localhost.example/", "s=1; Secure"))
    assert.equal("n=1", echoed("https://a.example/", "n=1; SameSite=None; Secure", "m=1; SameSite=None"))
  end)

  it("with Secure are neither replaced nor hidden by what comes in clear", function()
    local jar = jar_with("https://www.shop.example/in/x", "a=safe; Secure; Domain=shop.example; Path=/in")
    for _, line in ipairs { "a=bad; Path=/in", "a=bad; Path=/in/x", "a=bad; Path=/in; Domain=shop.example" } do
      take(jar, "http://www.shop.example/in/x", line)
      take(jar, "http://deep.www.shop.example/in/x", line)
    end
    assert.equal("a=safe", sent(jar, "https://www.shop.example/in/x"))
    assert.equal("a=safe", sent(jar, "https://deep.www.shop.example/in/x"))
    take(jar, "http://www.shop.example/", "a=wide; Path=/")
    take(jar, "http://other.example/", "a=other; Path=/in")
    assert.equal("a=safe; a=wide", sent(jar, "https://www.shop.example/in/x"))
    assert.equal("a=other", sent(jar, "https://other.example/in"))
    take(jar, "https://www.shop.example/in/x", "a=new; Path=/in; Domain=shop.example")
    assert.equal("a=new; a=wide", sent(jar, "http://www.shop.example/in/x"))
  end)

  it("keep what the prefixes of their names promise", function()
    local url = "https://a.shop.example/"
    assert.equal("__Secure-a=1; __Host-b=1; __host-c=1", echoed(url, "__Secure-a=1; Secure",
      "__Host-b=1; Secure; Path=/", "__host-c=1; Secure; Path=/", "__Secure-d=1", "__Host-e=1; Secure",
      "__Host-f=1; Path=/",
      "__Host-g=1; Secure; Path=/x", "__Host-h=1; Secure; Path=/; Domain=a.shop.example", "__SECURE-i=1"))
    assert.equal("", echoed("http://a.example/", "__Host-a=1; Secure; Path=/", "__Secure-b=1; Secure"))
  end)

  it("expire by Max-Age, else by Expires, after 400 days at most, on the clock of ml.time.now", function()
    clock.virtual()
    local url = "http://a.example/"
    local function at(seconds) return ml.time.format(ml.time.now() + seconds, "http") end
    local jar = jar_with(url, "age=1; Max-Age=60", "both=1; Max-Age=60; Expires=" .. at(9000),
      "date=1; Expires=" .. at(600),
      "old=1; Expires=" .. at(-1), "zero=1; Max-Age=0", "neg=1; Max-Age=-5", "odd=1; Expires=some day",
      "huge=1; Max-Age=" .. ("9"):rep(400), "late=1; Expires=" .. at(500 * 86400))
    assert.equal("age=1; both=1; date=1; odd=1; huge=1; late=1", sent(jar, url))
    ml.sleep(61)
    assert.equal("date=1; odd=1; huge=1; late=1", sent(jar, url))
    ml.sleep(600)
    assert.equal("odd=1; huge=1; late=1", sent(jar, url))
    ml.sleep(400 * 86400)
    assert.equal("odd=1", sent(jar, url))
  end)

  it("that have expired are not kept, whether others come or not", function()
    clock.virtual()
    local jar = cookies.jar()
    for i = 1, 100 do take(jar, ("http://h%d.example/"):format(i), "a=1; Max-Age=" .. i * 10) end
    take(jar, "http://for-ever.example/", "a=1")
    ml.sleep(502)
    assert.equal(51, jar.all.count)
    ml.sleep(500)
    assert.equal(1, jar.all.count)
    take(jar, "http://a.example/", "b=1; Max-Age=1")
    ml.sleep(3)
    assert.equal(1, jar.all.count)
  end)

  it("are replaced in place by one of the same name, domain and path, and removed by an old one", function()
    local url = "http://a.shop.example/"
    local jar = jar_with(url, "a=1", "b=1", "a=2", "a=3; Domain=a.shop.example", "b=4; Path=/b")
    assert.equal("b=4; a=2; b=1; a=3", sent(jar, url .. "b"))
    take(jar, url, "a=; Max-Age=0")
    assert.equal("b=1; a=3", sent(jar, url))
    take(jar, url, "a=5")
    assert.equal("b=1; a=3; a=5", sent(jar, url))
    jar:clear()
    assert.equal("", sent(jar, url))
  end)

  it("are 50 for a domain: the one used least recently goes, those without Secure and expired ones before",
    function()
      clock.virtual()
      local url, jar = "https://a.example/", cookies.jar()
      take(jar, url, "s=1; Secure")
      take(jar, url, "brief=1; Max-Age=10")
      for i = 1, 48 do take(jar, url, ("n%d=1; Path=/%d"):format(i, i)) end
      ml.sleep(11)
      take(jar, url, "n49=1; Path=/49")
      assert.equal("n1=1; s=1", sent(jar, url .. "1"))
      take(jar, url, "n50=1; Path=/50") -- n2 goes: n1 and s have just been used
      assert.equal("n1=1; s=1", sent(jar, url .. "1"))
      assert.equal("s=1", sent(jar, url .. "2"))
      assert.equal("n50=1; s=1", sent(jar, url .. "50"))
      for i = 1, 200 do take(jar, url, ("m%d=1; Path=/m"):format(i)) end
      assert.equal("s=1", sent(jar, url))
      local _, count = sent(jar, url .. "m"):gsub("=", "")
      assert.equal(50, count)
    end)

  it("are 3000 in all: the one used least recently goes, expired ones before", function()
    clock.virtual()
    local jar = cookies.jar()
    for i = 1, 3000 do take(jar, ("http://h%d.example/"):format(i), i == 2000 and "b=1; Max-Age=5" or "a=1") end
    assert.equal("a=1", sent(jar, "http://h1.example/"))
    ml.sleep(6)
    take(jar, "http://more1.example/", "a=1")
    assert.equal("a=1", sent(jar, "http://h2.example/"))
    take(jar, "http://more2.example/", "a=1")
    take(jar, "http://more3.example/", "a=1")
    assert.equal("", sent(jar, "http://h3.example/"))
    assert.equal("", sent(jar, "http://h4.example/"))
    for _, host in ipairs { "h1", "h2", "h5", "h3000", "more1", "more2", "more3" } do
      assert.equal("a=1", sent(jar, ("http://%s.example/"):format(host)), host)
    end
  end)

  it("are a bounded amount of work, whatever a server sends", function()
    local jar, url = cookies.jar(), "https://a.example/"
    for _, line in ipairs { (";"):rep(200000), ("a=1" .. (";path"):rep(60000)), ("a" .. (" "):rep(200000) .. "=1"),
      "a=1; expires=" .. ("1 "):rep(100000), "a=1;" .. ("="):rep(200000), "a=1; path=" .. (" "):rep(200000) .. "x",
      (" "):rep(200000), "a=" .. (" "):rep(200000) .. ";" .. (" "):rep(200000), "a=1; " .. ("x = y "):rep(60000) } do
      take(jar, url, line)
    end
    assert.is_true(#jar:of(cookies.place(url)) <= 50)
    assert.equal("", sent(jar, "https://" .. ("a."):rep(120) .. "b/"))
  end)

  it("random ones are kept as a simple list would keep them", function()
    local hosts = { "a.example", "b.a.example", "c.b.a.example", "x.example" }
    local paths = { "/", "/p", "/p/q", "/pq", "/p/" }
    local function any(list) return list[math.random(#list)] end
    for _ = 1, 60 do
      local jar, model, age = cookies.jar(), {}, 0
      for _ = 1, 40 do
        local host, path, name, value = any(hosts), any(paths), any { "a", "b" }, tostring(math.random(1000))
        local domain, gone = math.random(2) == 1 and any(hosts) or nil, math.random(5) == 1
        local url = ("https://%s/"):format(host)
        take(jar, url, ("%s=%s; Path=%s%s%s"):format(name, value, path, domain and "; Domain=" .. domain or "",
          gone and "; Max-Age=0" or ""))
        if not domain or host == domain or host:sub(-#domain - 1) == "." .. domain then
          local key = table.concat({ name, path, domain or host, domain and "wide" or "own" }, " ")
          age = age + 1
          model[key] = not gone and { name = name, value = value, path = path, domain = domain or host,
            wide = domain ~= nil, age = model[key] and model[key].age or age } or nil
        end
        local to, at, found = any(hosts), any(paths), {}
        for _, c in pairs(model) do
          local here = to == c.domain or (c.wide and to:sub(-#c.domain - 1) == "." .. c.domain)
          local below = at == c.path or (c.path:sub(-1) == "/" and at:sub(1, #c.path) == c.path)
            or at:sub(1, #c.path + 1) == c.path .. "/"
          if here and below then found[#found + 1] = c end
        end
        table.sort(found, function(x, y) return #x.path > #y.path or (#x.path == #y.path and x.age < y.age) end)
        for i, c in ipairs(found) do found[i] = c.name .. "=" .. c.value end
        assert.equal(table.concat(found, "; "), sent(jar, ("https://%s%s"):format(to, at)))
      end
    end
  end)
end)
