-- Routes with types: what comes in is in req.valid, or the client is told all that is wrong with it.
local ml = require "moonloop"
local json = require "moonloop.json"
local support = require "spec.support.web"
local keep_reports = require "reports".keep

local faults, s, web = support.faults, ml.schema, ml.web

local function decoded(res) return json.decode(res.body) end

local function post(port, target, value, headers)
  local body = type(value) == "string" and value or json.encode(value)
  return support.post(port, target, body, headers or "Content-Type: application/json\r\n")
end

local Item = s.object("Item", { name = s.string { min = 1, max = 80 }, price = s.number { gt = 0 },
  tags = s.list(s.string()):default {} })

describe("the body of a typed route", function()
  local app = web.app()
  app:post("/items", { body = Item }, function(req) return { got = req.valid.body, raw = #req.body } end)
  app:post("/items/{id:int}", { body = Item }, function(req) return req.valid.params end)
  app:patch("/items", { body = Item:partial() }, function(req)
    local names = {}
    for name in pairs(req.valid.body) do names[#names + 1] = name end
    return names
  end)
  app:post("/maybe", { body = Item:optional() }, function(req) return { none = req.valid.body == nil } end)
  app:post("/default", { body = Item:default { name = "x", price = 1 } }, function(req) return req.valid.body end)
  app:post("/null", { body = Item:nullable() }, function(req) return { null = req.valid.body == json.null } end)
  app:post("/lax", { body = s.object({ n = s.int() }, { coerce = true }) }, function(req) return req.valid.body end)

  it("is what fits, with defaults, and the raw one stays", function()
    support.serving(app, function(port)
      local res = post(port, "/items", '{"name":"cup","price":2,"other":1}')
      assert.equal(200, res.status)
      assert.same({ got = { name = "cup", price = 2, tags = {} }, raw = 34 }, decoded(res))
    end)
  end)

  it("is told all that is wrong with it", function()
    support.serving(app, function(port)
      local res = post(port, "/items", { name = "", price = 0, tags = "x" })
      assert.equal(422, res.status)
      assert.equal("application/json", res.headers["content-type"])
      assert.same({ "body.name string_too_short", "body.price greater_than", "body.tags list_type" }, faults(res))
      local one = decoded(res).detail[2]
      assert.same({ type = "greater_than", loc = { "body", "price" }, msg = "Input should be greater than 0", input = 0,
        ctx = { gt = 0 } }, one)
    end)
  end)

  it("is missing if it is empty, or null", function()
    support.serving(app, function(port)
      for _, text in ipairs { "", "null" } do
        local res = post(port, "/items", text)
        assert.equal(422, res.status)
        assert.same({ { type = "missing", loc = { "body" }, msg = "Field required", input = json.null } },
          decoded(res).detail)
      end
      assert.same({ none = true }, decoded(post(port, "/maybe", "")))
      assert.same({ none = false }, decoded(post(port, "/maybe", { name = "a", price = 1 })))
      assert.same({ name = "x", price = 1, tags = {} }, decoded(post(port, "/default", "")))
      assert.same({ null = true }, decoded(post(port, "/null", "null")))
    end)
  end)

  it("that is not JSON is one error with its place", function()
    support.serving(app, function(port)
      for text, wanted in pairs {
        ['{"name": 1,'] = { 11, "Expecting property name enclosed in double quotes" },
        ['{"name" 1}'] = { 8, "Expecting ':' delimiter" },
        ['[1 2]'] = { 3, "Expecting ',' delimiter" },
        ['{} x'] = { 3, "Extra data" },
        ['nope'] = { 0, "Expecting value" },
      } do
        local res = post(port, "/items", text)
        assert.equal(422, res.status)
        assert.same({ { type = "json_invalid", loc = { "body", wanted[1] }, msg = "JSON decode error", input = {},
          ctx = { error = wanted[2] } } }, decoded(res).detail)
      end
    end)
  end)

  it("of another type is a 415", function()
    support.serving(app, function(port)
      for _, headers in ipairs { "", "Content-Type: text/plain\r\n", "Content-Type: application/jsonp\r\n" } do
        local res = post(port, "/items", { name = "a", price = 1 }, headers)
        assert.equal(415, res.status)
        assert.equal('{"detail":"Unsupported Media Type"}', res.body)
      end
      for _, kind in ipairs { "application/vnd.api+json", "Application/JSON; charset=utf-8" } do
        assert.equal(200, post(port, "/items", { name = "a", price = 1 }, "Content-Type: " .. kind .. "\r\n").status)
      end
    end)
  end)

  it("comes with the path's parameters", function()
    support.serving(app, function(port)
      assert.same({ id = 7 }, decoded(post(port, "/items/7", { name = "a", price = 1 })))
    end)
  end)

  it("of a partial object has what was sent alone", function()
    support.serving(app, function(port)
      local res = support.ask(port, support.request("PATCH", "/items",
        "Content-Type: application/json\r\nContent-Length: 11\r\n", '{"price":3}'))
      assert.same({ "price" }, decoded(res))
    end)
  end)

  it("is read laxly with coerce, else strictly", function()
    support.serving(app, function(port)
      assert.same({ n = 5 }, decoded(post(port, "/lax", '{"n":"5"}')))
      assert.same({ "body.price float_type" }, faults(post(port, "/items", { name = "a", price = "1" })))
    end)
    local lax = web.app { coerce = true }
    lax:post("/items", { body = Item }, function(req) return req.valid.body end)
    support.serving(lax, function(port)
      assert.equal(1.5, decoded(post(port, "/items", { name = "a", price = "1.5" })).price)
    end)
  end)

  it("may come in pieces, and after middleware has read or replaced it", function()
    local other, started = web.app(), ml.event()
    other:use(function(req, next)
      started:set()
      if req.headers["x-replace"] then req.body = '{"name":"other","price":1}' end
      local _ = req.headers["x-read"] and req.body
      assert(req.valid == nil)
      local res = next(req)
      res.headers["x-name"] = req.valid and req.valid.body.name
      return res
    end)
    other:post("/items", { body = Item }, function(req) return req.valid.body.name end)
    support.serving(other, function(port)
      local kind = "Content-Type: application/json\r\n"
      for _, extra in ipairs { "", "X-Read: 1\r\n" } do
        local res = post(port, "/items", { name = "a", price = 1 }, kind .. extra)
        assert.equal("a", res.body)
        assert.equal("a", res.headers["x-name"])
      end
      assert.equal("other", post(port, "/items", "nonsense", kind .. "X-Replace: 1\r\n").body)
      started:clear()
      local conn = assert(require("spec.support").rawtcp.connect(port))
      conn:send("POST /items HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 22\r\n\r\n")
      conn:send '{"name":"b",'
      started:wait()
      conn:send '"price":1}'
      assert.equal("b", support.receive(conn).body)
      conn:close()
    end)
  end)

  it("may be that of a table which takes the request's place", function()
    local other = web.app()
    other:use(function(_, next)
      return next { headers = { ["content-type"] = "application/json" }, body = '{"name":"t","price":1}', params = {},
        query = { n = "4" } }
    end)
    other:post("/", { body = Item, query = { n = s.int() } }, function(req)
      return { req.valid.body.name, req.valid.query.n }
    end)
    support.serving(other, function(port) assert.same({ "t", 4 }, decoded(post(port, "/", "x"))) end)
  end)

  it("is there again for a handler that middleware calls twice", function()
    local other, calls = web.app(), 0
    other:use(function(req, next)
      next(req)
      return next(req)
    end)
    other:post("/", { body = Item, query = { n = s.int() } }, function(req)
      calls = calls + req.valid.query.n
      return req.valid.body.name
    end)
    support.serving(other, function(port) assert.equal("a", post(port, "/?n=2", { name = "a", price = 1 }).body) end)
    assert.equal(4, calls)
  end)

  it("is not waited for any longer when the client goes away", function()
    for _, deps in ipairs { false, true } do
      local other, started, ended = web.app(), ml.event(), ml.event()
      local waits
      other:use(function(req, next)
        local _ <close> = setmetatable({}, { __close = function() ended:set() end })
        started:set()
        waits = next(req).status
        return ""
      end)
      local needs = deps and { a = web.dependency { function(req) return req.valid.body.price end } } or nil
      other:post("/", { body = Item, depends = needs }, function() waits = "handler" end)
      support.serving(other, function(port)
        local conn <close> = assert(require("spec.support").rawtcp.connect(port))
        conn:send('POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"name"')
        started:wait()
        conn:close()
        ended:wait()
      end)
      assert.is_nil(waits)
    end
  end)

  it("is checked by its :check functions, which may wait", function()
    local other = web.app()
    local Even = Item:check(function(item)
      ml.sleep(0)
      if item.price % 2 == 1 then return "an odd price" end
    end)
    other:post("/items", { body = Even }, function(req) return req.valid.body end)
    support.serving(other, function(port)
      assert.equal(200, post(port, "/items", { name = "a", price = 2 }).status)
      local detail = decoded(post(port, "/items", { name = "a", price = 1 })).detail
      assert.equal("Value error, an odd price", detail[1].msg)
      assert.same({ "body" }, detail[1].loc)
    end)
  end)
end)

describe("the texts of a typed route", function()
  local app = web.app()
  app:get("/items/{item_id}/{n:int}", {
    params = { item_id = s.int { min = 1 } },
    query = { q = s.string { max = 3 }:optional(), tag = s.list(s.int()):default {}, flag = s.bool():default(false) },
    headers = { x_token = s.string { min = 2 }:optional(), ["accept-language"] = s.list(s.string()):optional() },
    cookies = { sid = s.int():optional() },
  }, function(req)
    local valid = req.valid
    return { params = valid.params, query = valid.query, headers = valid.headers, cookies = valid.cookies,
      raw = req.params.item_id }
  end)
  app:get("/strict", { query = s.object({ q = s.string() }, { extra = "forbid" }) },
    function(req) return req.valid.query end)

  it("are read by their schemas", function()
    support.serving(app, function(port)
      local res = support.get(port, "/items/5/7?q=a&q=b&tag=1&tag=%32&flag=on&other=1",
        "X-Token: abc\r\nAccept-Language: en\r\naccept-language: de\r\nCookie: sid=7; other=1\r\n")
      assert.same({ params = { item_id = 5, n = 7 }, query = { q = "b", tag = { 1, 2 }, flag = true },
        headers = { x_token = "abc", ["accept-language"] = { "en", "de" } }, cookies = { sid = 7 }, raw = "5" },
        decoded(res))
      assert.same({ params = { item_id = 1, n = 7 }, query = { tag = {}, flag = false }, headers = {}, cookies = {},
        raw = "1.0" }, decoded(support.get(port, "/items/1.0/7")))
    end)
  end)

  it("are told everything that is wrong, in the order path, query, header, cookie", function()
    support.serving(app, function(port)
      local res = support.get(port, "/items/0/7?q=abcd&tag=x&tag=1&flag=maybe", "X-Token: a\r\nCookie: sid=q\r\n")
      assert.equal(422, res.status)
      assert.same({ "path.item_id greater_than_equal", "query.flag bool_parsing", "query.q string_too_long",
        "query.tag.0 int_parsing", "header.x-token string_too_short", "cookie.sid int_parsing" }, faults(res))
      assert.equal("0", decoded(res).detail[1].input)
    end)
  end)

  it("may be refused where the schema has no such name", function()
    support.serving(app, function(port)
      assert.same({ q = "1" }, decoded(support.get(port, "/strict?q=1")))
      assert.same({ "query.q missing", "query.p extra_forbidden" }, faults(support.get(port, "/strict?p=1")))
      assert.equal(json.null, decoded(support.get(port, "/strict?p=1")).detail[1].input)
    end)
  end)

  it("are the same where :check functions see them, and in a table that takes the request's place", function()
    local function parts(f)
      local function object(fields, opts) return s.object(fields, opts):check(f) end
      if not f then object = s.object end
      return {
        params = object { item = s.string { max = 3 }, n = s.int { max = 5 } },
        headers = object { x_one = s.string():optional(), x_list = s.list(s.int()):optional() },
        cookies = object({ a = s.int():optional(), l = s.list(s.string()):optional() }, { extra = "forbid" }),
        query = object({ q = s.list(s.int()):optional() }, { extra = s.int() }),
      }
    end
    local both, table_app = web.app(), web.app()
    local function shown(req)
      local valid = req.valid
      return { valid.params, valid.headers, valid.cookies, valid.query }
    end
    both:get("/quick/{item}/{n:int}/{more}", parts(), shown)
    both:get("/slow/{item}/{n:int}/{more}", parts(function() end), shown)
    table_app:use(function(req, next)
      return next { params = req.params, query = req.query, headers = req.headers }
    end)
    table_app:get("/{item}/{n:int}/{more}", parts(), shown)
    both:mount("/table", table_app)
    support.serving(both, function(port)
      for _, path in ipairs {
        "/abc/5/x", "/abcd/6/x", "/%ff/-1/x", "/a%20b/0/%2F?q=1&q=2&n=3", "/a/1/x?q=x&n=y&n=1",
      } do
        for _, headers in ipairs {
          "", "X-One: a\r\nx-one: b\r\n", "X-List: 1\r\nX-One: \xff\r\n", "X-List: 1, 2\r\n",
          "Cookie: a=1; l=x\r\n", "Cookie: a=1; a=x; other=2\r\n", "Cookie: a=x\r\n",
          "Cookie: junk; =; \xff=\xfe\r\n",
        } do
          local quick = support.get(port, "/quick" .. path, headers)
          for _, way in ipairs { "/slow", "/table" } do
            local other = support.get(port, way .. path, headers)
            assert.equal(quick.status, other.status)
            assert.same(decoded(quick), decoded(other))
          end
        end
      end
      local lists = "X-List: 1\r\nX-List: 2\r\nCookie: l=a; l=b\r\nCookie: l=c\r\n"
      local values = { { item = "a", n = 1, more = "x" }, { x_list = { 1, 2 } }, { l = { "a", "b", "c" } }, {} }
      assert.same(values, decoded(support.get(port, "/quick/a/1/x", lists)))
      assert.same(values, decoded(support.get(port, "/slow/a/1/x", lists)))
    end)
  end)

  it("that are not UTF-8 can be repeated in an answer", function()
    support.serving(app, function(port)
      assert.equal("�abc", decoded(support.get(port, "/items/1/1?q=%ffabc")).detail[1].input)
    end)
  end)
end)

describe("what does not fit", function()
  local function items(app)
    app:post("/items", { body = Item, query = { n = s.int() } }, function() return "fits" end)
    return app
  end

  it("is asked of app:on_error first, then of app:validation_error", function()
    local app = items(web.app())
    local own
    app:on_error(function(err, req)
      assert.equal("validation", err.kind)
      assert.equal(422, err.status)
      if req.headers["x-own"] then return { own = #err.errors }, 400 end
    end)
    app:validation_error { schema = s.object { errors = s.int() }, make = function(err, req)
      own = req.path
      return { errors = #err.errors, secret = 1 }
    end }
    local outer = web.app():mount("/api", app)
    support.serving(outer, function(port)
      local kind = "Content-Type: application/json\r\n"
      local res = post(port, "/api/items", { name = "", price = 1 }, kind .. "X-Own: 1\r\n")
      assert.equal(400, res.status)
      assert.same({ own = 2 }, decoded(res))
      res = post(port, "/api/items", { name = "", price = 1 }, kind)
      assert.equal(422, res.status)
      assert.equal('{"errors":2}', res.body)
      assert.equal("/api/items", own)
    end)
  end)

  it("passes through middleware as a response", function()
    local app, seen = web.app(), {}
    app:use(function(req, next)
      local res = next(req)
      seen[#seen + 1] = res.status
      return res
    end)
    items(app)
    support.serving(app, function(port)
      post(port, "/items", {})
      post(port, "/items?n=1", {}, "Content-Type: text/csv\r\n")
      post(port, "/items?n=1", { name = "a", price = 1 })
    end)
    assert.same({ 422, 415, 200 }, seen)
  end)

  it("has at most 100 errors", function()
    local app = web.app()
    app:post("/", { body = s.list(s.int()), query = { n = s.int() } }, function() end)
    support.serving(app, function(port)
      local list = {}
      for i = 1, 300 do list[i] = "x" .. i end
      assert.equal(100, #decoded(post(port, "/", list)).detail)
    end)
  end)

  it("is a 500 where a handler raises an error of schema:parse", function()
    local app = web.app()
    app:get("/", function() assert(Item:parse {}) end)
    local reports <close> = keep_reports()
    support.serving(app, function(port) assert.equal(500, support.get(port, "/").status) end)
    assert.matches("2 validation errors for Item", reports:text())
  end)
end)

describe("an answer by schema", function()
  local Out = s.object("Out", { id = s.int(), note = s.string():nullable():optional(), n = s.int():default(3) })

  local function answers(handler, response)
    local app = web.app()
    app:get("/", { response = response or Out }, handler)
    local res
    support.serving(app, function(port) res = support.get(port, "/") end)
    return res
  end

  it("has only what the schema has", function()
    local res = answers(function() return { id = 1, secret = "x" }, nil, { ["X-A"] = "b" } end)
    assert.equal(200, res.status)
    assert.equal('{"id":1,"n":3,"note":null}', res.body)
    assert.equal("application/json", res.headers["content-type"])
    assert.equal("b", res.headers["x-a"])
    assert.equal('{"id":1,"n":3,"note":null}', answers(function() return { id = 1, secret = 2 }, 201 end).body)
    res = answers(function() return web.response { status = 201, json = { id = 1, secret = 2 } } end)
    assert.equal('{"id":1,"n":3,"note":null}', res.body)
  end)

  it("depends on its status", function()
    local response = { [200] = s.list(s.int()), [404] = web.detail, [202] = s.int() }
    assert.equal("[1,2]", answers(function() return { 1, 2 } end, response).body)
    assert.equal('{"detail":"no"}', answers(function() return { detail = "no", why = 1 }, 404 end, response).body)
    assert.equal('{"x":1}', answers(function() return { x = 1 }, 203 end, response).body)
    assert.equal("7", answers(function() return 7, 202 end, response).body)
    assert.equal('{"detail":{"a":1}}', answers(function() web.abort(404, { a = 1 }) end, response).body)
    assert.equal(204, answers(function() end).status)
  end)

  it("is not made of texts of responses, streams and files", function()
    assert.equal("plain", answers(function() return web.response { body = "plain" } end).body)
    assert.equal("ab", answers(function() return web.response { headers = { ["Content-Length"] = 2 },
      stream = function(out) out:write "ab" end } end).body)
  end)

  it("that does not fit is a 500 whose report names the path", function()
    local reports <close> = keep_reports()
    local res = answers(function() return { { id = 1 }, { id = "x" } } end, s.list(Out))
    assert.equal(500, res.status)
    assert.equal('{"detail":"Internal Server Error"}', res.body)
    assert.matches("the response of GET / with status 200 does not fit its schema: .*1.id: Input should be a valid int",
      reports:text())
  end)

  it("keeps its fields from middleware, too", function()
    local app, seen = web.app(), nil
    app:use(function(req, next)
      local res = next(req)
      seen = res.json
      res.json.more = 1
      return res
    end)
    app:get("/", { response = Out }, function() return { id = 1, secret = "x" } end)
    support.serving(app, function(port)
      assert.same({ id = 1, n = 3, note = json.null, more = 1 }, decoded(support.get(port, "/")))
    end)
    assert.is_nil(seen.secret)
  end)
end)
