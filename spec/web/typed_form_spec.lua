-- Forms of typed routes: texts, lists, files, and fields that are JSON.
local ml = require "moonloop"
local json = require "moonloop.json"
local support = require "spec.support.web"

local faults, s, web = support.faults, ml.schema, ml.web
local URLENCODED = "Content-Type: application/x-www-form-urlencoded\r\n"

local function decoded(res) return json.decode(res.body) end

--- The answer to a form for the schema: what was valid, with sizes in the place of the bodies of files.
local function send(schema, body, headers, opts)
  local app = web.app(opts)
  app:post("/", { form = schema }, function(req)
    local function shown(value)
      if type(value) ~= "table" then return value end
      if value.body then return { filename = value.filename, content_type = value.content_type, size = #value.body } end
      local copy = setmetatable({}, getmetatable(value))
      for key, item in pairs(value) do copy[key] = shown(item) end
      return copy
    end
    return shown(req.valid.form)
  end)
  local res
  support.serving(app, function(port) res = support.post(port, "/", body, headers or URLENCODED) end)
  return res
end

--- A multipart form: items are {name, value} or {name, value, filename, type}.
local function multipart(...)
  local lines = {}
  for _, part in ipairs { ... } do
    local file = part[3] and ('; filename="%s"\r\nContent-Type: %s'):format(part[3], part[4] or "text/plain") or ""
    local head = ('--X\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n'):format(part[1], file)
    lines[#lines + 1] = head .. part[2] .. "\r\n"
  end
  return table.concat(lines) .. "--X--\r\n", "Content-Type: multipart/form-data; boundary=X\r\n"
end

describe("a form by schema", function()
  local Fields = { { "a", s.int() }, { "n", s.list(s.int()):default {} }, { "text", s.string():optional() } }

  it("is read as texts, with lists of names that repeat", function()
    assert.same({ a = 2, n = { 1, 2 }, text = "x y" }, decoded(send(Fields, "a=1&a=2&n=1&n=2&text=x+y&other=1")))
    assert.same({ a = 2, n = { 3 } }, decoded(send(Fields, multipart({ "a", "2" }, { "n", "3" }))))
  end)

  it("lists all that is wrong below body", function()
    local res = send(Fields, "n=1&n=x")
    assert.equal(422, res.status)
    assert.same({ "body.a missing", "body.n.1 int_parsing" }, faults(res))
    assert.equal(json.null, decoded(res).detail[1].input)
    assert.same({ "body.a missing" }, faults(send(Fields, "", "")))
  end)

  it("has no field that was left empty", function()
    assert.same({ a = 1, n = {} }, decoded(send(Fields, "a=1&n=&text=")))
    assert.same({ "body.a missing" }, faults(send(Fields, "a=")))
    local body, headers = multipart({ "f", "", "", "application/octet-stream" })
    assert.same({ "body.f missing" }, faults(send({ f = s.file() }, body, headers)))
  end)

  it("may refuse fields of other names", function()
    local Strict = s.object({ a = s.int() }, { extra = "forbid" })
    assert.same({ "body.b extra_forbidden" }, faults(send(Strict, "a=1&b=2")))
  end)

  it("has files, of a size and of types", function()
    local Upload = { { "doc", s.file { max = 4, types = { "text/*", "image/png" } } }, { "more", s.list(s.file()) },
      { "n", s.int() } }
    local body, headers = multipart({ "doc", "abcd", "a.txt" }, { "more", "x", "b" }, { "more", "yz", "c" },
      { "n", "1" })
    assert.same({ doc = { filename = "a.txt", content_type = "text/plain", size = 4 }, n = 1,
      more = { { filename = "b", content_type = "text/plain", size = 1 },
        { filename = "c", content_type = "text/plain", size = 2 } } }, decoded(send(Upload, body, headers)))
    body, headers = multipart({ "doc", "abcde", "a.txt", "application/pdf" }, { "more", "no file" }, { "n", "x" })
    local res = send(Upload, body, headers)
    assert.equal(422, res.status)
    assert.same({ "body.doc file_too_large", "body.doc file_type", "body.more.0 value_error", "body.n int_parsing" },
      faults(res))
    assert.same({ type = "file_too_large", loc = { "body", "doc" }, msg = "File should have at most 4 bytes",
      input = "a.txt", ctx = { max_size = 4, actual_size = 5 } }, decoded(res).detail[1])
  end)

  it("takes files as large as its schema allows", function()
    local big = ("x"):rep(11 * 1024 * 1024)
    local body, headers = multipart({ "f", big, "big" })
    assert.equal(#big, decoded(send({ f = s.file { max = #big } }, body, headers, { max_body = 2 * #big })).f.size)
    assert.equal(413, send({ f = s.file() }, body, headers, { max_body = 2 * #big }).status)
  end)

  it("has JSON in fields whose schemas are objects, read strictly", function()
    local Point = s.object("Point", { x = s.int(), y = s.int():default(0) })
    local Fields2 = { { "point", Point }, { "list", s.list(Point):default {} }, { "map", s.map(s.int()):optional() } }
    local body, headers = multipart({ "point", '{"x":1}' }, { "list", '{"x":2}' }, { "list", '{"x":3,"y":4}' },
      { "map", '{"k":5}' })
    assert.same({ point = { x = 1, y = 0 }, list = { { x = 2, y = 0 }, { x = 3, y = 4 } }, map = { k = 5 } },
      decoded(send(Fields2, body, headers)))
    body, headers = multipart({ "point", '{"x":"1"}' }, { "list", '{"x":2}' }, { "list", "{" }, { "map", "[]" })
    local res = send(Fields2, body, headers)
    assert.same({ "body.point.x int_type", "body.list.1 json_invalid", "body.map dict_type" }, faults(res))
    assert.equal("Invalid JSON: Expecting property name enclosed in double quotes", decoded(res).detail[2].msg)
  end)

  it("reads JSON in parts with a file name, as browsers send a Blob, and takes no file for the object", function()
    local Fields2 = { { "point", s.object { x = s.int() } }, { "map", s.map(s.any()):optional() } }
    local body, headers = multipart({ "point", '{"x":1}', "blob", "application/json" })
    assert.same({ point = { x = 1 } }, decoded(send(Fields2, body, headers)))
    body, headers = multipart({ "point", '{"x":1}', "blob" }, { "map", "no JSON", "a.txt" })
    assert.same({ "body.map json_invalid" }, faults(send(Fields2, body, headers)))
  end)

  it("reads no more JSON after a hundred errors", function()
    local parts = require "moonloop.web.valid_parts"
    local as_python, count = parts.as_python, 0
    parts.as_python = function(text) -- called for each error
      count = count + 1
      return as_python(text)
    end
    local _ <close> = setmetatable({}, { __close = function() parts.as_python = as_python end })
    local res = send({ l = s.list(s.object { x = s.int() }) }, ("l={&"):rep(300))
    assert.equal(100, #decoded(res).detail)
    assert.equal(100, count)
  end)

  it("is checked as a whole, and an error repeats no file", function()
    local Form = s.object { f = s.file() }
    local body, headers = multipart({ "f", "\xff\xfe", "a" })
    local res = send(Form:check(function() return "no" end), body, headers)
    assert.equal(422, res.status)
    assert.equal("Value error, no", decoded(res).detail[1].msg)
    assert.equal("...", decoded(res).detail[1].input)
  end)

  it("of another type is a 415, and a broken one a 400", function()
    assert.equal(415, send(Fields, "a=1", "Content-Type: application/json\r\n").status)
    assert.equal(415, send(Fields, "a=1", "").status)
    assert.equal(400, send(Fields, "a=%").status)
    assert.equal(400, send(Fields, "--X\r\nnonsense", "Content-Type: multipart/form-data; boundary=X\r\n").status)
  end)
end)
