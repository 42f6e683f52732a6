-- ml.web.redirect.
local web = require "moonloop.web"
local support = require "spec.support.web"

local function location(url) return web.redirect(url).headers.Location end

describe("a redirect", function()
  it("is a response with the status, a Location and no body", function()
    local app = web.app()
    app:get("/", function() return web.redirect("/next?a=1#b") end)
    app:post("/", function() return web.redirect("https://example.com/", 303) end)
    support.serving(app, function(port)
      local res = support.get(port, "/")
      assert.equal(302, res.status)
      assert.equal("/next?a=1#b", res.headers.location)
      assert.equal("", res.body)
      res = support.post(port, "/", "x")
      assert.equal(303, res.status)
      assert.equal("https://example.com/", res.headers.location)
    end)
  end)
  it("has one of the statuses that send a client elsewhere", function()
    for _, status in ipairs { 301, 302, 303, 307, 308 } do
      assert.equal(status, web.redirect("/", status).status)
    end
    for _, status in ipairs { 200, 300, 304, 305, 306, 309, 404, "302", 302.5 } do
      assert.error_matches(function() web.redirect("/", status) end,
        "bad argument #2 to 'ml.web.redirect' %(301, 302, 303, 307 or 308 expected%)")
    end
  end)
  it("may be relative", function()
    for _, url in ipairs { "/a", "a", "../a", "?a", "#a", "//host/a" } do assert.equal(url, location(url)) end
  end)
  it("percent-encodes what a URL cannot have, and nothing twice", function()
    assert.equal("/a%20b?c=%C3%A9", location("/a b?c=é"))
    assert.equal("/%22%3C%3E%5C%5E%60%7B%7C%7D", location('/"<>\\^`{|}'))
    assert.equal("/%20%25%25zz%254", location("/%20%%zz%4"))
    local legal = "http://u:p@[::1]:8080/a;b,c/-._~!$&'()*+=:@?q=/?#f"
    assert.equal(legal, location(legal))
  end)
  it("raises for a control character, and says where", function()
    for _, c in ipairs { "\r\n", "\n", "\0", "\t", "\127" } do
      local ok, err = pcall(function() local _ = web.redirect("/a" .. c .. "Set-Cookie: x=y") end)
      assert.is_false(ok)
      assert.matches("spec.lua:%d+: the URL to redirect to has a control character at 3", err)
    end
  end)
  it("with same_origin leads to a path of the site, or is a 400", function()
    local app = web.app()
    app:get("/", function(req) return web.redirect(req.query.to, { same_origin = true }) end)
    app:get("/303", function(req) return web.redirect(req.query.to, 303, { same_origin = true }) end)
    support.serving(app, function(port)
      for to, there in pairs {
        ["/a?b=c:d"] = "/a?b=c:d", ["a"] = "a", ["../a"] = "../a", ["?a=//b"] = "?a=//b",
        ["/\\evil.example"] = "/%5Cevil.example", [" //evil.example"] = "%20//evil.example", ["/a:b"] = "/a:b",
      } do
        local query = "?to=" .. to:gsub("[^%w]", function(c) return ("%%%02X"):format(c:byte()) end)
        local res = support.get(port, "/" .. query)
        assert.same({ 302, there }, { res.status, res.headers.location }, to)
        assert.equal(303, support.get(port, "/303" .. query).status)
      end
      for _, to in ipairs {
        "https://evil.example/", "//evil.example", "///evil.example", "javascript:alert(1)", "HTTP:/a", "a:b", "",
        "/a\r\nSet-Cookie: x=y", "\t//evil.example", "/\t/evil.example",
      } do
        local query = "?to=" .. to:gsub("[^%w]", function(c) return ("%%%02X"):format(c:byte()) end)
        local res = support.get(port, "/" .. query)
        assert.equal(400, res.status, to)
        assert.equal('{"detail":"the redirect does not lead to a path of this site"}', res.body)
      end
      assert.equal(400, support.get(port, "/").status)
    end)
    assert.equal("https://a.example/", web.redirect("https://a.example/", { same_origin = false }).headers.Location)
    assert.error_matches(function() web.redirect("/", { same = true }) end, "unknown option 'same' of ml.web.redirect")
  end)
  it("raises for an invalid URL", function()
    assert.error_matches(function() web.redirect("") end, "the URL to redirect to is empty")
    assert.error_matches(function() web.redirect() end,
      "bad argument #1 to 'ml.web.redirect' %(string expected, got nil")
  end)
end)
