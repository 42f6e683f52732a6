-- Recorded answers of FastAPI to 29 requests: those of the same app here are the same, but for what is listed
-- with its reason.
local cases = require "spec.support.cases"
local folders = require "spec.support.folder"
local json = require "moonloop.json"
local ml = require "moonloop"
local support = require "spec.support.web"

local s, web = ml.schema, ml.web

--- The number of an exchange -> what is different here.
local DIFFERENT = {
  -- Python reads 1e400 as infinity, and has another fault to find; no number of JSON is beyond a double here.
  [10] = { 422, json.array { { type = "json_invalid", loc = { "body", 30 }, msg = "JSON decode error", input = {},
    ctx = { error = "a number beyond the range of a double" } } } },
  -- A body of no type or another one is refused as such, so that forms of foreign pages are no JSON.
  [12] = { 415, "Unsupported Media Type" },
  [13] = { 415, "Unsupported Media Type" },
}
local ALLOWED = { [29] = "GET, HEAD" } -- a route for GET answers HEAD, too

local function make_app()
  local app = web.app { coerce = true }
  local Item = s.object("Item", {
    { "name", s.string { min = 1, max = 10 } }, { "price", s.number { gt = 0 } },
    { "qty", s.int { max = 5 }:default(1) },
    { "tags", s.list(s.string()):default {} }, { "note", s.string():nullable():optional() },
    { "kind", s.enum { "a", "b" }:default "a" },
  })
  app:post("/items", { body = Item, response = { [201] = s.object { id = s.int(), name = s.string() } } }, function(req)
    return { id = 1, name = req.valid.body.name, price = req.valid.body.price }, 201
  end)
  local Shown = s.object {
    item_id = s.int(), q = s.string():nullable(), limit = s.int(), tag = s.list(s.int()), flag = s.bool(),
    x_token = s.string():nullable(), sid = s.int():nullable(),
  }
  app:get("/items/{item_id}", {
    params = { item_id = s.int { min = 1 } },
    query = { { "q", s.string { max = 3 }:optional() }, { "limit", s.int { max = 100 }:default(10) },
      { "tag", s.list(s.int()):default {} }, { "flag", s.bool():default(false) } },
    headers = { x_token = s.string():optional() }, cookies = { sid = s.int():optional() }, response = Shown,
  }, function(req)
    local valid = req.valid
    return { item_id = valid.params.item_id, q = valid.query.q, limit = valid.query.limit, tag = valid.query.tag,
      flag = valid.query.flag, x_token = valid.headers.x_token, sid = valid.cookies.sid }
  end)
  app:post("/form", { form = { { "a", s.int() }, { "n", s.int() }, { "f", s.file() } } }, function() return "fits" end)
  if web.security then
    local classes = {
      me = web.security.oauth2_password { token_url = "token" }, basic = web.security.basic {},
      bearer = web.security.bearer {}, key = web.security.api_key { header = "x-key" },
    }
    for name, class in pairs(classes) do
      app:get("/" .. name, { depends = { user = class } }, function() return "let in" end)
    end
  else
    app:get("/me", function() return "let in" end)
  end
  return app
end

local function ask(port, case)
  local lines = {}
  for name, value in pairs(case.headers) do lines[#lines + 1] = ("%s: %s\r\n"):format(name, value) end
  if case.method ~= "GET" then lines[#lines + 1] = ("Content-Length: %d\r\n"):format(#case.body) end
  return support.ask(port, support.request(case.method, case.path, table.concat(lines), case.body))
end

describe("a typed app answers as FastAPI does:", function()
  local path = cases.find "fastapi/oracle.json"
  for i, case in ipairs(path and json.decode(folders.read(path)) or {}) do
    it(("%d. %s %s %s"):format(i, case.method, case.path, case.body), function()
      if case.status == 401 and not web.security then return end
      local res
      support.serving(make_app(), function(port) res = ask(port, case) end)
      local expected = DIFFERENT[i] or { case.status, case.response.detail }
      local value = json.decode(res.body)
      assert.equal(expected[1], res.status)
      if expected[2] then
        assert.same(expected[2], value.detail)
      else
        assert.same(case.response, value)
      end
      assert.equal(ALLOWED[i] or case.allow ~= json.null and case.allow or nil, res.headers.allow)
      assert.equal(case.www ~= json.null and case.www or nil, res.headers["www-authenticate"])
    end)
  end
end)
