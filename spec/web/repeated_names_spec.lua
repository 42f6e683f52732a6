-- Names that repeat in headers, queries and forms cost in proportion to their number: counted are the bytes that
-- Lua allocates, since a value that is joined again for each line takes the square of it.
local ml = require "moonloop"
local web = require "moonloop.web"

local s = ml.schema
local VALUE <const> = ("v"):rep(100)
local OPTIONS <const> = { max_headers = 10000, max_header_bytes = 16 << 20, max_request_line = 1 << 20 }

-- The bytes that read(req) allocates, for a request with `n` lines or pairs that `options(n)` makes.
local function allocated(n, path, options, read, route)
  local bytes
  local app = web.app(OPTIONS)
  app:use(function(req, next)
    assert(req.body)
    collectgarbage()
    collectgarbage "stop"
    local before = collectgarbage "count"
    if read then read(req) end
    local res = next(req)
    bytes = collectgarbage "count" - before
    collectgarbage "restart"
    return res
  end)
  app:post("/", route or {}, function() return "ok" end)
  local c <close> = web.test(app)
  local res = assert(c:post(path(n), options(n)))
  assert.equal(200, res.status)
  return bytes
end

local function lines_of(name)
  return function(n)
    local lines = {}
    for i = 1, n do lines[i] = name == "cookie" and "a=" .. VALUE or VALUE end
    return { headers = { [name] = lines } }
  end
end

local function root() return "/" end
local function no_options() return {} end
local function query(n) return "/?" .. ("x=" .. VALUE .. "&"):rep(n) end

local function form(n)
  return { headers = { ["content-type"] = "application/x-www-form-urlencoded" }, body = ("x=" .. VALUE .. "&"):rep(n) }
end

local function parts(n)
  return { headers = { ["content-type"] = "multipart/form-data; boundary=B" },
    body = ('--B\r\nContent-Disposition: form-data; name="x"\r\n\r\n1\r\n'):rep(n) .. "--B--\r\n" }
end

describe("names that repeat", function()
  for name, case in pairs {
    headers = { root, lines_of "x", function(req) return assert(req.headers.x) end },
    cookies = { root, lines_of "cookie", function(req) return assert(req:cookies().a) end },
    ["headers by a schema"] = { root, lines_of "x", nil, { headers = s.object { x = s.string() } } },
    ["a list of headers"] = { root, lines_of "x", nil, { headers = s.object { x = s.list(s.string()) } } },
    queries = { query, no_options, function(req) assert(#req.query:all "x" > 0) end },
    ["queries by a schema"] = { query, no_options, nil, { query = s.object { x = s.list(s.string()) } } },
    forms = { root, form, function(req) assert(req:form { max_fields = 10000 }) end },
    ["multipart forms"] = { root, parts, function(req) assert(req:form { max_fields = 10000 }) end },
  } do
    it("cost in proportion to their number: " .. name, function()
      local few, many = allocated(500, table.unpack(case, 1, 4)), allocated(4000, table.unpack(case, 1, 4))
      assert(few > 20 and many < 12 * few, ("%.0f kB for 500, %.0f kB for 4000"):format(few, many))
    end)
  end

  it("are joined in their order", function()
    local app = web.app()
    app:get("/", function(req) return { req.headers["x-a"], req.headers.cookie, req.headers.one } end)
    local typed = { headers = s.object { ["x-a"] = s.string() } }
    app:get("/typed", typed, function(req) return req.valid.headers["x-a"] end)
    app:get("/back", function()
      return web.response { body = "", headers = { ["x-b"] = { "1", "2", "3" }, ["set-cookie"] = { "a=1", "b=2" } } }
    end)
    local c <close> = web.test(app)
    local headers = { ["x-a"] = { "1", "2", "3" }, cookie = { "a=1", "b=2" }, one = "1" }
    assert.same({ "1, 2, 3", "a=1; b=2", "1" }, c:get("/", { headers = headers }):json())
    assert.equal("1, 2, 3", c:get("/typed", { headers = headers }).body)
    assert.equal("1, 2, 3", c:get("/back").headers["x-b"])
    assert.same({ "a=1", "b=2" }, c:get("/back").headers["set-cookie"])
  end)
end)
