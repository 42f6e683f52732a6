-- A request's target, query and host; texts of clients that are not UTF-8.
local ml = require "moonloop"
local json = require "moonloop.json"
local support = require "spec.support.web"
local web = ml.web

local FORM = "Content-Type: application/x-www-form-urlencoded\r\n"
local REPLACED = "\u{FFFD}"

-- Runs f(req) as the handler of any path; its results are what this returns.
local function with_request(text, f)
  local app, got = web.app(), nil
  app:any("/{rest:path}", function(req) got = table.pack(f(req)) return "" end)
  support.serving(app, function(port) assert.equal(200, support.ask(port, text).status) end)
  return table.unpack(got, 1, got.n)
end

local function with_target(target, f) return with_request(support.request("GET", target), f) end

describe("a query", function()
  local function all(target, ...)
    local names = { ... }
    return with_target(target, function(req)
      local lists = {}
      for i, name in ipairs(names) do lists[i] = req.query:all(name) end
      return table.unpack(lists, 1, #names)
    end)
  end

  it("gives all values of a repeated name in their order, and the last one as a field", function()
    local tags, single, none = all("/?tag=a&x=1&t%61g=b+c&tag=a", "tag", "x", "y")
    assert.same({ "a", "b c", "a" }, tags)
    assert.same({ "1" }, single)
    assert.same({}, none)
    assert.equal("a", with_target("/?tag=b&tag=a", function(req) return req.query.tag end))
    assert.same({ "" }, (all("/?tag", "tag")))
    assert.same({}, (all("/", "tag")))
  end)

  it("with a field called all keeps its method", function()
    for _, target in ipairs {
      "/?tag=a&tag=b&all=1&all=2", "/?all=1&all=2&tag=a&tag=b", "/?%61ll=1&all=2&tag=a&tag=b",
    } do
      local tags, values = all(target, "tag", "all")
      assert.same({ { "a", "b" }, { "1", "2" } }, { tags, values }, target)
    end
    assert.same({ "1" }, (all("/?all=1", "all")))
    assert.same({}, (all("/?a=1", "all")))
  end)

  it("has a list even for an empty value, and is an object in JSON", function()
    local app = web.app()
    app:get("/", function(req)
      return { query = req.query, tags = req.query:all("tag"), more = req.query:all("more") }
    end)
    support.serving(app, function(port)
      local body = support.get(port, "/?tag=a&tag=b&x=1").body
      assert.same({ query = { tag = "b", x = "1" }, tags = { "a", "b" }, more = {} }, json.decode(body))
      assert.matches('"more":%[%]', body)
    end)
  end)

  it("accepts what a script sets, and refuses an invalid name", function()
    local values, err = with_target("/?a=1&a=2&c=1&c=2", function(req)
      req.query.b, req.query.c = "2", "3"
      return { req.query:all("a"), req.query:all("b"), req.query:all("c") },
        select(2, pcall(function() req.query:all() end))
    end)
    assert.same({ { "1", "2" }, { "2" }, { "3" } }, values)
    assert.matches("web_request_spec.lua:%d+: bad argument #1 to 'all' %(string expected, got no value%)", err)
  end)

  it("has its lists in an offloaded handler, too", function()
    local app = web.app()
    app:use(function(req, next)
      req.query.added = "here"
      return next(req)
    end)
    app:get("/", { offload = true }, function(req)
      return { req.query:all("tag"), req.query:all("all"), req.query:all("added"), req.query.tag, req.url, req.target,
        req.query_string, req.host }
    end)
    support.serving(app, function(port)
      assert.same({ { "a", "b" }, { "1" }, { "here" }, "b", "http://here/?tag=a&tag=b&all=1", "/?tag=a&tag=b&all=1",
        "tag=a&tag=b&all=1", "here" }, json.decode(support.get(port, "/?tag=a&tag=b&all=1").body))
    end)
  end)

  it("with a malformed escape is not a bad request: the '%' stands for itself", function()
    for text, value in pairs {
      ["a=%"] = "%", ["a=%4"] = "%4", ["a=%zz"] = "%zz", ["a=%4g"] = "%4g", ["a=%%41"] = "%A",
      ["a=50%+off"] = "50% off", ["a=%C3%"] = REPLACED .. "%", ["a=%c3%a9%4"] = "é%4",
    } do
      local query, raw = with_target("/?" .. text, function(req) return req.query, req.query_string end)
      assert.same({ a = value }, query)
      assert.equal(text, raw)
    end
    assert.same({ ["%zz"] = "" }, (with_target("/?%zz", function(req) return req.query end)))
  end)
end)

describe("a request's target", function()
  local function fields(text)
    return with_request(text, function(req) return { req.target, req.query_string, req.host, req.url } end)
  end

  it("is available as it was sent, in parts and as a whole URL", function()
    for target, query in pairs {
      ["/"] = "", ["/a%20b/%7e?x=%41&y=+"] = "x=%41&y=+", ["/?"] = "", ["/a?b?c"] = "b?c", ["//x/y"] = "",
    } do
      assert.same({ target, query, "here", "http://here" .. target }, fields(support.request("GET", target)))
    end
  end)

  it("has the host of the Host header, port included, in any case of its name", function()
    assert.same({ "/x", "", "example.com:8080", "http://example.com:8080/x" },
      fields("GET /x HTTP/1.1\r\nX-Host: other\r\nhOST:  example.com:8080 \r\n\r\n"))
    assert.same({ "/x", "", "[::1]:80", "http://[::1]:80/x" }, fields("GET /x HTTP/1.1\r\nHost: [::1]:80\r\n\r\n"))
  end)

  it("that is absolute contains the host", function()
    for target, query in pairs { ["http://else.where:80/p?q=1"] = "q=1", ["http://else.where:80?q=/"] = "q=/",
      ["https://else.where:80/"] = "", ["http://else.where:80"] = "" } do
      assert.same({ target, query, "else.where:80", target }, fields(support.request("GET", target)))
    end
  end)

  it("is the whole URL if the client names no host", function()
    assert.same({ "/x?y", "y", nil, "/x?y" }, fields("GET /x?y HTTP/1.0\r\n\r\n"))
  end)

  it("may be replaced by a script", function()
    local seen = with_target("/x", function(req)
      req.url, req.host, req.query_string, req.target = "u", "h", "q", "t"
      return { req.url, req.host, req.query_string, req.target }
    end)
    assert.same({ "u", "h", "q", "t" }, seen)
  end)
end)

describe("text of a client that is not UTF-8", function()
  it("is a 400 in a path", function()
    local app = web.app()
    app:get("/{rest:path}", function(req) return { req.path, req.params.rest } end)
    support.serving(app, function(port)
      for _, path in ipairs {
        "%ff", "a%C3", "a%C3b", "%ed%a0%80", "%c0%ae", "%f4%90%80%80", "%e2%82/x", "%80", "%e2%82%",
      } do
        assert.equal(400, support.get(port, "/" .. path).status, path)
      end
      assert.equal('{"detail":"the path is not UTF-8"}', support.get(port, "/%ff?%ff").body)
      for path, text in pairs { ["%c3%a9"] = "é", ["%E2%82%AC"] = "€", ["%f0%9f%98%80x"] = "😀x", ["%00"] = "\0" } do
        assert.same({ "/" .. text, text }, json.decode(support.get(port, "/" .. path).body))
      end
    end)
  end)

  it("is U+FFFD in the query, headers and cookies, so that it can be sent back as JSON", function()
    local app = web.app()
    app:get("/", function(req)
      return { req.query.q, req.query:all("r"), req.headers["x-text"], req:cookies().c, req.query_string, req.url }
    end)
    support.serving(app, function(port)
      local res = support.get(port, "/?q=a%ffb&r=%C3%A9&r=%e2%82&%ff=1",
        "X-Text: caf\xe9 \xed\xa0\x80 \xc3\xa9\xf0\x9f\r\nCookie: c=\xffx; d=\xc3\xa9\r\n")
      assert.equal(200, res.status)
      assert.same({ "a" .. REPLACED .. "b", { "é", REPLACED }, "caf" .. REPLACED .. " " .. REPLACED:rep(3) .. " é" ..
        REPLACED, REPLACED .. "x", "q=a%ffb&r=%C3%A9&r=%e2%82&%ff=1", "http://here/?q=a%ffb&r=%C3%A9&r=%e2%82&%ff=1" },
        json.decode(res.body))
    end)
  end)

  it("is a 400 in a form: in names, values and fields, but not in files", function()
    local app = web.app()
    app:post("/", function(req)
      local values = req:form()
      return { a = values.a, size = values.f and #values.f.body }
    end)
    local function part(disposition, content)
      return "--B\r\nContent-Disposition: form-data; " .. disposition .. "\r\n\r\n" .. content .. "\r\n--B--\r\n"
    end
    support.serving(app, function(port)
      local function refused(detail, body, headers)
        local res = support.post(port, "/", body, headers)
        assert.same({ 400, detail }, { res.status, json.decode(res.body).detail })
      end
      refused("the value of field 1 is not UTF-8", "a=%ff", FORM)
      refused("the value of field 1 is not UTF-8", "a=\xff", FORM)
      refused("the name of field 2 is not UTF-8", "a=1&b%C3=1", FORM)
      local multipart = "Content-Type: multipart/form-data; boundary=B\r\n"
      refused("field 'a' is not UTF-8 (send binary data as a file)", part('name="a"', "\xff"), multipart)
      refused("the headers of part 1 are not UTF-8", part('name="\xff"', "x"), multipart)
      refused("the headers of part 1 are not UTF-8", part('name="f"; filename="\xff"', "x"), multipart)
      local file = part('name="f"; filename="é"', "\xff\xfe")
      assert.same({ size = 2 }, json.decode(support.post(port, "/", file, multipart).body))
      assert.same({ a = "é" }, json.decode(support.post(port, "/", "a=%C3%A9", FORM).body))
    end)
  end)
end)
