-- The response object, as handlers make it and middleware changes it.
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
      assert.error_matches(function() response(fields) end, "either %a+ or %a+")
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

  it("sends a list as several lines, and joins names that differ in case to one list", function()
    local res = response{headers = {["Set-Cookie"] = {"a=1", "b=2"}}}
    assert.same({"a=1", "b=2"}, res.headers["set-cookie"])
    assert.same({"a=1", "b=2"}, sent(res).headers["set-cookie"])
    res = response{headers = {["X-A"] = "1", ["x-a"] = "2"}}
    local both = res.headers["X-a"]
    table.sort(both)
    assert.same({"1", "2"}, both)
  end)

  it("leaves the table of headers that it was given as it was", function()
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

  it("crosses from an executor with the headers that were changed there", function()
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
