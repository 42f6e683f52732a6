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
        "bad argument #2 to 'redirect' %(301, 302, 303, 307 or 308 expected%)")
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
  it("raises for what is no URL", function()
    assert.error_matches(function() web.redirect("") end, "the URL to redirect to is empty")
    assert.error_matches(function() web.redirect() end, "bad argument #1 to 'redirect' %(string expected, got nil")
  end)
end)
