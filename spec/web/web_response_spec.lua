-- The response object, as handlers make it and middleware changes it.
local web = require("moonloop").web
local ml = require "moonloop"
local support = require "spec.support.web"

describe("a response object", function()
  local response = ml.web.response

  --- What the client gets for `res`.
  local function sent(res)
    local app, got = ml.web.app(), nil
    app:get("/", function() return res end)
    support.serving(app, function(port) got = support.get(port, "/") end)
    return got
  end

  it("has the status 200 when none is given", function()
    assert.equal(200, response{}.status)
    assert.equal(404, response{status = 404}.status)
  end)

  it("has at most one kind of body", function()
    for _, fields in ipairs { {body = "", json = 1}, {body = "", file = "x"},
        {json = false, stream = print}, {stream = print, file = "x"} } do
      assert.error_matches(function() response(fields) end, "both %a+ and %a+")
    end
  end)

  it("finds a header in any case, and keeps the spelling that was given", function()
    local res = response{headers = {["X-Rate-Limit"] = "5"}}
    assert.equal("5", res.headers["x-rate-limit"])
    assert.equal("5", res.headers["X-RATE-LIMIT"])
    assert.is_nil(res.headers["X-Rate"])
    assert.truthy(sent(res).head:find("\r\nX-Rate-Limit: 5\r\n", 1, true))
  end)

  it("replaces a header that is assigned in another case", function()
    local res = response{headers = {["x-a"] = "1"}}
    res.headers["X-A"] = "2"
    assert.equal("2", res.headers["x-a"])
    assert.equal("2", sent(res).headers["x-a"])
  end)

  it("loses a header that nil is assigned to", function()
    local res = response{headers = {["X-A"] = "1", ["X-B"] = "2"}}
    res.headers["x-a"] = nil
    assert.is_nil(res.headers["X-A"])
    local got = sent(res)
    assert.is_nil(got.headers["x-a"])
    assert.equal("2", got.headers["x-b"])
  end)

  it("sends a list as several lines, and joins names that differ only in case into one list", function()
    local res = response{headers = {["Set-Cookie"] = {"a=1", "b=2"}}}
    assert.same({"a=1", "b=2"}, res.headers["set-cookie"])
    assert.same({"a=1", "b=2"}, sent(res).headers["set-cookie"])
    res = response{headers = {["X-A"] = "1", ["x-a"] = "2"}}
    local both = res.headers["X-a"]
    table.sort(both)
    assert.same({"1", "2"}, both)
  end)

  it("does not change the table of headers that it was given", function()
    local given = {["X-A"] = "1", ["X-L"] = {"a"}}
    local res = response{headers = given}
    res.headers["X-A"] = "2"
    table.insert(res.headers["X-L"], "b")
    assert.same({["X-A"] = "1", ["X-L"] = {"a"}}, given)
  end)

  it("shows the type that its body will be sent with", function()
    assert.equal("application/json", response{json = {}}.headers["content-type"])
    assert.equal("text/plain; charset=utf-8", response{body = ""}.headers["content-type"])
    assert.is_nil(response{status = 204}.headers["content-type"])
    local res = response{body = "<p>", headers = {["content-type"] = "text/html"}}
    assert.equal("text/html", res.headers["Content-Type"])
  end)

  it("takes a new table of headers", function()
    local res = response{headers = {["X-A"] = "1"}}
    assert.equal("1", res.headers["x-a"])
    res.headers = {["X-B"] = "2"}
    local got = sent(res)
    assert.is_nil(got.headers["x-a"])
    assert.equal("2", got.headers["x-b"])
  end)

  it("keeps the type when a new body is assigned", function()
    local res = response{json = {a = 1}}
    assert.equal('{"a":1}', res.body)
    res.body = "[]"
    local got = sent(res)
    assert.equal("[]", got.body)
    assert.equal("application/json", got.headers["content-type"])
  end)

  it("has a body or a value, whichever was assigned last", function()
    local res = response{body = "text"}
    assert.equal("text/plain; charset=utf-8", res.headers["content-type"])
    res.json = {1}
    assert.equal("[1]", res.body)
    local got = sent(res)
    assert.equal("[1]", got.body)
    assert.equal("application/json", got.headers["content-type"])
  end)

  it("sends the value of a JSON body with what was changed in it, also after the text was read", function()
    local res = response{json = {a = 1}}
    assert.equal('{"a":1}', res.body)
    res.json.a = 2
    assert.equal('{"a":2}', res.body)
    assert.equal('{"a":2}', sent(res).body)
  end)

  it("crosses from an executor with changed headers", function()
    local app = ml.web.app()
    app:get("/", {offload = true}, function()
      local res = require("moonloop").web.response{status = 201, json = {1}, headers = {["x-a"] = "1"}}
      res.headers["X-A"] = "2"
      return res
    end)
    support.serving(app, function(port)
      local got = support.get(port, "/")
      assert.equal(201, got.status)
      assert.equal("2", got.headers["x-a"])
      assert.equal("[1]", got.body)
    end)
  end)
end)

describe("web.escape", function()
  it("writes what HTML would take for its own as entities, and nothing else", function()
    assert.equal("&lt;a href=&quot;x&quot;&gt;Tom &amp; Ann&#39;s&lt;/a&gt;", web.escape '<a href="x">Tom & Ann\'s</a>')
    assert.equal("&amp;", web.escape "&")
    assert.equal("&amp;lt;", web.escape "&lt;") -- what is escaped already is escaped again
    assert.equal("é\0 = /`", web.escape "é\0 = /`")
    assert.equal("", web.escape "")
    assert.equal("7", web.escape(7))
    local long = ("x"):rep(10000)
    assert.equal(long .. "&lt;" .. long .. "&gt;", web.escape(long .. "<" .. long .. ">"))
    assert.equal(("&quot;"):rep(10000), web.escape(('"'):rep(10000)))
  end)

  it("refuses what is no text, at the line of the script", function()
    local ok, err = pcall(web.escape, {})
    assert.falsy(ok)
    assert.matches("bad argument #1 to 'ml.web.escape' %(string expected, got table%)", err)
  end)
end)

describe("web.html", function()
  it("is a page of UTF-8, with a status and headers if there are some", function()
    local app = web.app()
    app:use(function(req, next)
      local res = next(req)
      res.headers["X-Seen"] = res.headers["content-type"]
      return res
    end)
    app:get("/", function() return web.html("<p>é") end)
    app:get("/404", function() return web.html("<p>gone", 404, { ["X-More"] = "1" }) end)
    app:get("/xml", function() return web.html("<p/>", nil, { ["content-type"] = "application/xhtml+xml" }) end)
    support.serving(app, function(port)
      for _ = 1, 2 do -- the second one has no headers of the first
        local res = support.get(port, "/")
        assert.same({ 200, "<p>é", "text/html; charset=utf-8", "text/html; charset=utf-8" },
          { res.status, res.body, res.headers["content-type"], res.headers["x-seen"] })
      end
      local res = support.get(port, "/404")
      assert.same({ 404, "<p>gone", "text/html; charset=utf-8", "1" },
        { res.status, res.body, res.headers["content-type"], res.headers["x-more"] })
      assert.equal("application/xhtml+xml", support.get(port, "/xml").headers["content-type"])
    end)
  end)

  it("can be given a cookie, which no other page gets", function()
    assert.matches("^a=b;", web.html("x"):set_cookie("a", "b").headers["Set-Cookie"][1])
    assert.is_nil(web.html("x").headers["Set-Cookie"])
  end)

  it("refuses invalid text, status and headers, at the line of the script", function()
    for message, arguments in pairs {
      ["bad argument #1 to 'ml.web.html' (string expected, got table)"] = { {} },
      ["bad argument #2 to 'ml.web.html' (a status from 200 to 599 expected)"] = { "x", 99 },
      ["bad argument #3 to 'ml.web.html' (a table of headers expected, got string)"] = { "x", 200, "x" },
    } do
      local ok, err = pcall(function() local _ = web.html(table.unpack(arguments)) end)
      assert.is_false(ok)
      assert.matches("web_response_spec.lua:%d+: ", err)
      assert.matches(message, err, 1, true)
    end
  end)
end)
