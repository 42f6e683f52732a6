-- URLs of ml.http that are not in normal form: mended where all readers agree on what they mean, refused otherwise.
local core = require "moonloop.http.core"
local ml = require "moonloop"
local raw = require "spec.support.http"

--- The normal form of the URL, and the host.
local function mended(url) return core.place("GET", url) end

local function refused(url)
  local place, err = mended(url)
  assert.is_nil(place, url)
  assert.equal("http", err.kind)
  return err
end

describe("URLs of ml.http", function()
  it("are mended: case, empty ports, dot segments, blanks, bytes that are not ASCII, numbers as hosts", function()
    for url, wanted in pairs {
      ["HTTP://h/"] = "http://h/", ["httpS://H"] = "https://H/", ["http://h:/x"] = "http://h/x",
      ["http://h:0080/"] = "http://h:0080/", ["http://h/."] = "http://h/", ["http://h/.."] = "http://h/",
      ["http://h/a/b/../../c/./d/.."] = "http://h/c/", ["http://h/../../x"] = "http://h/x",
      ["http://h/a/%2e%2E/%2e/b/%2E."] = "http://h/", ["http://h/a//../b"] = "http://h/a/b",
      ["http://h/x/.a/./b"] = "http://h/x/.a/b", ["http://h/x/..a/../.b/.."] = "http://h/x/",
      ["HTTP://https://.https://https:///./"] = "http://https//.https://https:///",
      ["http://h/..//../a//."] = "http://h/a//",
      ["http://h/?a/../b"] = "http://h/?a/../b", ["http://h#a/../b"] = "http://h/#a/../b",
      ["http://h?x"] = "http://h/?x",
      ["http://h/a b?c d#e f#g"] = "http://h/a%20b?c%20d#e%20f%23g", ["http://h/\xc3\xa4\xff"] = "http://h/%C3%A4%FF",
      ["http://h/%zz%"] = "http://h/%zz%", ["http://h/?a\\b"] = "http://h/?a%5Cb", ["http://%68%6f/"] = "http://ho/",
      ["http://u:p@h/@"] = "http://h/@", ["http://@h/"] = "http://h/", ["http://2130706433/"] = "http://127.0.0.1/",
      ["http://0x7f.1/"] = "http://127.0.0.1/", ["http://0177.0.0.01/"] = "http://127.0.0.1/",
      ["http://127.0.0.1.:8/"] = "http://127.0.0.1:8/", ["http://%31%32%37.1/"] = "http://127.0.0.1/",
      ["http://[::1]:80"] = "http://[::1]:80/", ["http://U@[::1]/"] = "http://[::1]/",
      ["http://[FE80::1%25lo]"] = "http://[FE80::1%25lo]/", ["http://[::ffff:1.2.3.4]:"] = "http://[::ffff:1.2.3.4]/",
    } do
      assert.equal(wanted, (mended(url)), url)
    end
  end)

  it("are left alone where only the beginning of a name looks like a dot segment", function()
    for _, url in ipairs { "http://h/.well-known/acme", "http://h/..x/...", "http://h/a/.b/%2fx/%2ex", "http://h/.../",
      "http://h/x.", "http://1.example/", "http://1.2.3.4a/", "http://0x.example/", "http://h/?.", "http://h/?/../" } do
      assert.equal(url, (mended(url)))
    end
  end)

  it("are refused with what is wrong where they could be read in two ways, or not at all", function()
    for url, why in pairs {
      ["http://127.0.0.1:8100\\@127.0.0.1:1/"] = "backslash", ["http://h\\x"] = "backslash",
      ["http://h/a\\b"] = "backslash",
      ["http:\\\\h/"] = "does not begin with http:// or https://", [" http://h/"] = "does not begin with",
      ["http:/h"] = "does not begin with", ["//h/"] = "does not begin with", [""] = "does not begin with",
      ["http:///h/"] = "no host", ["http://"] = "no host", ["http://:80/"] = "no host", ["http://u@/"] = "no host",
      ["http://h/ "] = "ends in a blank", ["http://h/\t"] = "control character", ["http://h\0/"] = "control character",
      ["http://h/\r\nX: 1"] = "control character", ["http://h:0/"] = "port is not between 1 and 65535",
      ["http://h:65536/"] = "port is not between", ["http://h:99999999999999999999/"] = "port is not between",
      ["http://h:8x/"] = "port is not a number", ["http://h:1:2/"] = "port is not a number",
      ["http://a b/"] = "host is not valid",
      ["http://a%2fb/"] = "host is not valid", ["http://a%00b/"] = "host is not valid", ["http://[::1/"] = "'['",
      ["http://[::1]x/"] = "host is not valid", ["http://[]/"] = "not an address of IPv6",
      ["http://[::zz]/"] = "not an address of IPv6", ["http://[%41]/"] = "not an address of IPv6",
      ["http://[1.2.3.4]/"] = "not an address of IPv6", ["http://[::1::]:80/"] = "not an address of IPv6",
      ["http://[1:2:3:4:5:6:7:8:9]/"] = "not an address of IPv6", ["http://[fe80::1%25]/"] = "not an address of IPv6",
      ["http://[::1%]/"] = "not an address of IPv6", ["http://a@b@h/"] = "%40",
      ["http://a%3ab@h/"] = "':'", ["http://a%0a:b@h/"] = "control character", ["http://1.2.3.4.5/"] = "not an address",
      ["http://256.1.1.1/"] = "not an address", ["http://x.08/"] = "not an address",
      ["http://" .. ("a"):rep(256) .. "/"] = "255 characters", ["http://\xc3\xa4%2fx.example/"] = "not a domain name",
    } do
      assert.truthy(refused(url).message:find(why, 1, true), ("%q: %s"):format(url, refused(url).message))
    end
    assert.equal("UNSUPPORTED_PROTOCOL", refused("ftp://h/").code)
    assert.truthy(refused("gopher+x://h/").message:find("the scheme 'gopher+x' is neither http nor https", 1, true))
  end)

  it("do not show the password where they are refused", function()
    for _, url in ipairs { "http://u:secret@h:port/", "http://u:secret\\@h/", "http://u:secret@a@h/",
      "x://u:secret@h/", "u:secret//@h" } do
      assert.is_nil(refused(url).message:find("secret", 1, true), url)
    end
  end)

  it("give their user and password, decoded, to Basic authentication", function()
    local server = raw.serve_echo()
    for user, wanted in pairs { ["Aladdin:open%20sesame"] = "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", ["u"] = "Basic dTo=",
      [":p"] = "Basic OnA=", ["a%40b:c:d%3A%zz"] = "Basic YUBiOmM6ZDoleno=" } do
      local res = assert(ml.http.get((server.url:gsub("//", function() return "//" .. user .. "@" end))))
      assert.equal(wanted, raw.header(res.body, "Authorization"), user)
    end
    raw.stop()
  end)

  it("of redirects are refused, too, though dot segments would remove what is wrong", function()
    for _, location in ipairs { "/\\evil.example", "/\\evil.example/..", "\\\\evil.example/../x", "/\t/evil.example",
      "ht\ttp://evil.example/", "\1//evil.example", "http:/.//evil.example/", "http:/x/..//evil.example/" } do
      local server = raw.serve(raw.answering("HTTP/1.1 302 X\r\nLocation: " .. location ..
        "\r\nContent-Length: 0\r\n\r\n"))
      local _, err = ml.http.get(server.url)
      assert.equal("http", err.kind, location)
      assert.equal(1, server.connections, location)
      raw.stop()
    end
  end)
end)
