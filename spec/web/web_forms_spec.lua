-- Forms as handlers get them: req:form(), req:parts(), and odd queries.
local web = require "moonloop.web"
local forms = require "moonloop.forms"
local multipart = require "moonloop.http.multipart"
local support = require "spec.support.web"

local URLENCODED = "Content-Type: application/x-www-form-urlencoded\r\n"
local MULTIPART = 'Content-Type: multipart/form-data; boundary="B"\r\n'

-- POSTs the body to a handler; returns the response, and what the handler returned.
local function post(body, headers, handler, opts)
  local app, results = web.app(), nil
  app:post("/", opts or {}, function(req)
    results = table.pack(handler(req))
    return table.unpack(results, 1, results.n)
  end)
  local res
  support.serving(app, function(port) res = support.post(port, "/", body, headers) end)
  return res, results
end

-- The values of a form, or the error.
local function form_of(body, headers, limits)
  local values, fields
  post(body, headers, function(req)
    limits = limits or {}
    limits.raise = false
    values, fields = req:form(limits)
    return ""
  end)
  return values, fields
end

-- A part of a multipart body with the boundary B.
local function part(disposition, content, headers)
  return "--B\r\nContent-Disposition: " .. disposition .. "\r\n" .. (headers or "") .. "\r\n" .. content .. "\r\n"
end

local function field(name, content) return part('form-data; name="' .. name .. '"', content) end

local END = "--B--\r\n"

-- The events of a multipart body that comes in pieces of `size` bytes, as one string.
local function events(body, size, limits)
  limits = limits or {}
  local reader = assert(forms.multipart("multipart/form-data; boundary=B", limits.max_parts or 10,
    limits.max_header or 500, limits.max_field or 1000, limits.max_file or 1000))
  local log, data = {}, nil
  local function drain()
    for event, a, b, c in reader.next, reader do
      if event == "data" then
        data = (data or "") .. a
      else
        if event == "part_end" then log[#log + 1] = "data " .. (data or "") end
        data = nil
        log[#log + 1] = event == "bad" and "bad " .. a.message or
          table.concat({ event, a, b or a and "-", c }, " ")
        if event == "bad" then return true end
      end
    end
  end
  for at = 1, #body, size do
    reader:feed(body:sub(at, at + size - 1))
    if drain() then return table.concat(log, "|") end
  end
  local event, err = reader:finish()
  log[#log + 1] = event == "bad" and "bad " .. err.message or "whole"
  return table.concat(log, "|")
end

-- The same in any pieces.
local function read(body, limits)
  local whole = events(body, #body + 1, limits)
  for size = 1, 9 do assert.equal(whole, events(body, size, limits), "in pieces of " .. size) end
  return whole
end

describe("an urlencoded form", function()
  it("is a table of its fields, with the last of equal names, and the list of all", function()
    local values, fields = form_of("a=1&b=two+words&a=%33&c", URLENCODED)
    assert.same({ a = "3", b = "two words", c = "" }, values)
    assert.same({ { name = "a", value = "1" }, { name = "b", value = "two words" },
      { name = "a", value = "3" }, { name = "c", value = "" } }, fields)
  end)
  it("decodes names and bytes beyond ASCII, and keeps what is not an escape", function()
    assert.same({ ["a&b"] = "\xC3\xA9=1", [""] = "x" }, (form_of("a%26b=%c3%A9=1&&=x&", URLENCODED)))
  end)
  it("is empty without a body", function()
    local values, fields = form_of("", URLENCODED)
    assert.same({}, values)
    assert.same({}, fields)
  end)
  it("takes parameters and any case in its Content-Type", function()
    assert.same({ a = "1" },
      (form_of("a=1", "Content-Type: Application/X-WWW-Form-URLencoded ; charset=UTF-8\r\n")))
  end)
  it("is refused with 400 for a malformed escape, which is named", function()
    for body, message in pairs { ["a=1&b=%4"] = "the value of field 2 has a malformed %%%-escape",
      ["%zz=1"] = "the name of field 1 has a malformed %%%-escape" } do
      local values, err = form_of(body, URLENCODED)
      assert.is_nil(values)
      assert.equal("form", err.kind)
      assert.equal(400, err.status)
      assert.matches(message, err.message)
    end
  end)
  it("is refused with 413 when it has too many fields", function()
    local values, err = form_of(("a&"):rep(1001), URLENCODED)
    assert.is_nil(values)
    assert.equal(413, err.status)
    assert.equal("the form has more than 1000 fields", err.message)
    assert.equal(1000, #select(2, form_of(("a&"):rep(1000), URLENCODED)))
    assert.equal(413, select(2, form_of("a&b&c", URLENCODED, { max_fields = 2 })).status)
  end)
  it("is refused with 413 when a field is too long", function()
    assert.equal("%%%", form_of("a=%25%25%25", URLENCODED, { max_field = 3 }).a)
    local values, err = form_of("a=%25%25%25&b=1234", URLENCODED, { max_field = 3 })
    assert.is_nil(values)
    assert.equal(413, err.status)
    assert.equal("field 2 has more than 3 bytes", err.message)
  end)
end)

-- Lua's assert: luassert's raises copies of error objects.
local function check(value, err)
  if not value then error(err, 0) end
  return value
end

describe("a form", function()
  it("is refused with 415 when the body is not a form", function()
    for _, headers in ipairs { "", "Content-Type: application/json\r\n",
      "Content-Type: multipart/mixed; boundary=B\r\n" } do
      local values, err = form_of("{}", headers)
      assert.is_nil(values)
      assert.equal(415, err.status)
    end
  end)
  it("that is bad is answered with its error, whether or not the handler checks it", function()
    for _, handler in ipairs {
      function(req) return req:form().a end,
      function(req) return check(req:form()).a end,
      function(req) return req:form { raise = false } end,
      function(req) return check(req:form { raise = false }).a end,
    } do
      local res = post("a=%", URLENCODED, handler)
      assert.equal(400, res.status)
      assert.equal('{"detail":"the value of field 1 has a malformed %-escape"}', res.body)
    end
  end)
  it("has the same error the second time", function()
    for _, headers in ipairs { URLENCODED, MULTIPART } do
      post("a=%", headers, function(req)
        local _, err = req:form { raise = false }
        assert.equal(400, err.status)
        assert.equal(err, select(2, pcall(req.form, req)))
        assert.equal(err, select(2, req:form { raise = false }))
        return ""
      end)
    end
  end)
  it("is the same table the second time", function()
    for _, headers in ipairs { URLENCODED, MULTIPART } do
      local body = headers == MULTIPART and field("a", "1") .. END or "a=1"
      post(body, headers, function(req)
        assert.same({ a = "1" }, (req:form()))
        assert.equal(req:form(), (req:form()))
        assert.equal(select(2, req:form()), select(2, req:form()))
        return ""
      end)
    end
  end)
  it("raises for invalid options", function()
    local res = post("a=1", URLENCODED, function(req)
      local function refused(limits, pattern)
        local ok, err = pcall(function() req:form(limits) end)
        assert.is_false(ok)
        assert.matches(pattern, err)
        assert.matches("web_forms_spec.lua:%d+:", err)
      end
      refused(1, "the options of req:form are a number")
      refused({ max_size = 1 }, "unknown option 'max_size' of req:form %(did you mean 'max_file'")
      refused({ max_fields = -1 }, "option 'max_fields' of req:form is %-1 %(expected an integer from 0%)")
      refused({ max_field = "x" }, "option 'max_field' of req:form is a string %(expected an integer from 0%)")
      refused({ raise = 1 }, "option 'raise' of req:form is 1 %(expected boolean%)")
      return "refused"
    end)
    assert.equal("refused", res.body)
  end)
  it("is read by a handler on another core, too", function()
    local app = web.app()
    app:post("/", { offload = true }, function(req) return { req:form().a, req:cookies().c } end)
    support.serving(app, function(port)
      assert.equal('["1","2"]', support.post(port, "/", "a=1", URLENCODED .. "Cookie: c=2\r\n").body)
      assert.equal('["3","2"]',
        support.post(port, "/", field("a", "3") .. END, MULTIPART .. "Cookie: c=2\r\n").body)
    end)
  end)
end)

describe("a multipart form", function()
  it("has strings for fields and tables for files", function()
    local values, fields = form_of(field("title", "Cat") ..
      part('form-data; name="photo"; filename="my cat.png"', "\0\r\n--\xFF", "Content-Type: image/png\r\n") ..
      part('form-data; name="empty"; filename=""', "") .. END, MULTIPART)
    assert.same({ title = "Cat",
      photo = { filename = "my cat.png", content_type = "image/png", body = "\0\r\n--\xFF" },
      empty = { filename = "", content_type = "text/plain", body = "" } }, values)
    assert.equal(3, #fields)
    assert.equal("photo", fields[2].name)
    assert.equal(values.photo, fields[2].value)
  end)
  it("reads what the client writes", function()
    local given = { ['na"me\r\n'] = { filename = 'a"b\\c.txt', body = ("x\r\n"):rep(100) }, n = 1, s = "é" }
    local sent = assert(multipart.form(given))
    local values = form_of(sent:text(), "Content-Type: " .. sent.content_type .. "\r\n")
    assert.equal(given['na"me\r\n'].body, values['na"me\r\n'].body)
    assert.equal('a"b\\c.txt', values['na"me\r\n'].filename)
    assert.equal("1", values.n)
    assert.equal("é", values.s)
    assert.same({}, (form_of(multipart.form({}):text(), "Content-Type: multipart/form-data; boundary=x\r\n")) or {})
  end)
  it("limits fields and files separately", function()
    local file = part('form-data; name="f"; filename="f"', "12345")
    local limits = { max_field = 4, max_file = 5 }
    assert.truthy(form_of(file .. END, MULTIPART, limits))
    local values, err = form_of(file .. field("a", "12345") .. END, MULTIPART, limits)
    assert.is_nil(values)
    assert.equal(413, err.status)
    assert.equal("part 2 has more than 4 bytes", err.message)
  end)
  it("may have a hundred header lines in a part", function()
    local function lines(n) return ("X: 1\r\n"):rep(n) end
    assert.same({ a = "1" }, (form_of(part('form-data; name="a"', "1", lines(99)) .. END, MULTIPART)))
    local values, err = form_of(field("b", "") .. part('form-data; name="a"', "1", lines(100)) .. END, MULTIPART)
    assert.is_nil(values)
    assert.equal(413, err.status)
    assert.equal("part 2 has more than 100 header lines", err.message)
  end)
  it("is refused with 400 without a usable boundary", function()
    for _, parameter in ipairs { "", "; boundary=", '; boundary=""', "; boundary=" .. ("x"):rep(71),
      "; boundary=a; boundary=b", '; boundary="a\\"b"', '; boundary="a "', '; boundary="a' } do
      local values, err = form_of(END, "Content-Type: multipart/form-data" .. parameter .. "\r\n")
      assert.is_nil(values, parameter)
      assert.equal(400, err.status)
      assert.matches("the Content%-Type has no boundary", err.message)
    end
    local longest = ("x"):rep(70)
    assert.same({}, (form_of("--" .. longest .. "--",
      'Content-Type: multipart/form-data; charset=utf-8; BOUNDARY="' .. longest .. '"\r\n')))
  end)
end)

describe("the multipart parser", function()
  it("gives the same events for pieces of any size", function()
    assert.equal("part a -|data 1|part_end|part b f text/html|data \r\n-\r\n--|part_end|end|whole",
      read(field("a", "1") .. part('form-data; name="b"; filename="f"', "\r\n-\r\n--",
        "Content-Type: text/html\r\n") .. END))
  end)
  it("treats near-boundaries as data", function()
    local near = "\r\n--\r\n--A\r\r\n--\rB--B\n--B\r\n--"
    assert.equal("part a -|data " .. near .. "|part_end|end|whole", read(field("a", near) .. END))
  end)
  it("ignores what is before the first and after the last boundary", function()
    assert.equal("part a -|data 1|part_end|end|whole",
      read("preamble --B\r\n\r\n" .. field("a", "1") .. END .. "--B\r\nepilogue"))
  end)
  it("accepts spaces after a boundary", function()
    assert.equal("part a -|data 1|part_end|end|whole",
      read((field("a", "1"):gsub("^%-%-B", "--B \t")) .. "--B--"))
  end)
  it("takes a part without content and without the empty line's second end", function()
    assert.equal("part a -|data |part_end|end|whole", read(field("a", "") .. END))
    assert.equal("part a -|data |part_end|end|whole",
      read('--B\r\nContent-Disposition: form-data; name="a"\r\n\r\n' .. END))
  end)
  it("is complete without parts", function()
    assert.equal("end|whole", read("--B--"))
  end)
  it("unquotes names as browsers quote them", function()
    assert.equal('part a"b c\\d\\|data |part_end|end|whole',
      read(part('form-data; filename="c\\d\\\\"; name="a%22b"', "") .. END))
    assert.equal("part \r\n%0a% -|data |part_end|end|whole", read(field("%0D%0A%0a%", "") .. END))
    assert.equal('part a"b x;y|data |part_end|end|whole',
      read(part('FORM-DATA ;\tNAME="a\\"b" ;; filename="x;y"; ', "") .. END))
  end)
  it("ignores filename*", function()
    assert.equal("part a -|data |part_end|end|whole",
      read(part("form-data; name=a; filename*=UTF-8''x", "") .. END))
  end)
  it("names what is wrong", function()
    local function wrong(message, body, limits)
      local log = read(body, limits)
      assert.equal("bad " .. message, log:match("bad .*$") or log)
    end
    local ok = field("a", "1")
    wrong("part 1 has no Content-Disposition", "--B\r\n\r\nx\r\n--B--")
    wrong("part 1 has no Content-Disposition", "--B\r\nContent-Type: text/plain\r\n\r\nx\r\n--B--")
    wrong("the Content-Disposition of part 2 is not form-data", ok .. part('attachment; name="a"', "") .. END)
    wrong("part 1 has no name", part('form-data; filename="a"', "") .. END)
    wrong("part 1 has two names", part("form-data; name=a; name=b", "") .. END)
    wrong("part 1 has two file names", part("form-data; name=a; filename=b; FileName=c", "") .. END)
    wrong("part 1 has two Content-Dispositions",
      part("form-data; name=a", "", "content-disposition: form-data; name=b\r\n") .. END)
    wrong("part 1 has two Content-Types",
      part("form-data; name=a", "", "Content-Type: a/b\r\ncontent-type: c/d\r\n") .. END)
    wrong("part 1 has a Content-Transfer-Encoding",
      part("form-data; name=a", "", "Content-Transfer-Encoding: base64\r\n") .. END)
    for _, disposition in ipairs { 'form-data; name="a', 'form-data; name="a"b', "form-data; name", "form-data; =a",
      "form-data; name= ", 'form-data; name="a" filename="b"', "form-data; na me=a" } do
      wrong("the Content-Disposition of part 1 is malformed", part(disposition, "") .. END)
    end
    wrong("part 1 has a line that is not a header", part("form-data; name=a", "", "folded: x\r\n y: z\r\n") .. END)
    wrong("part 1 has a line that is not a header", part("form-data; name=a", "", "no header\r\n") .. END)
    wrong("a header of part 1 has a control character", part('form-data; name="a\0"', "") .. END)
    wrong("a header of part 1 has a control character", part('form-data; name="a\rb"', "") .. END)
    wrong("a header of part 1 ends with LF alone", "--B\r\nContent-Disposition: form-data; name=a\n\r\nx\r\n--B--")
    wrong("the boundary before part 2 is followed by something else", ok .. "--BB\r\n")
    wrong("the boundary before part 1 is followed by something else", "--B\nx")
    wrong("the boundary before part 2 is followed by something else", ok .. "--B-x")
    wrong("the form has no boundary line", "a=1")
    wrong("the form ends in the headers of part 1", "--B\r\nContent-")
    wrong("the form ends in part 1, without its last boundary", ok)
    wrong("the form ends in part 1, without its last boundary", ok .. "--B-")
    wrong("the form has more than 2 parts", ok .. ok .. ok .. END, { max_parts = 2 })
    wrong("part 1 has more than 30 bytes of headers", ok .. END, { max_header = 30 })
    wrong("part 2 has more than 1 bytes", ok .. field("b", "12") .. END, { max_field = 1 })
  end)
  it("refuses another type, even one that begins alike", function()
    for _, content_type in ipairs { "", "multipart/form-data\0; boundary=B", "multipart/form-dat; boundary=B",
      "multipart/form-data2; boundary=B" } do
      local reader, err = forms.multipart(content_type, 1, 1, 1, 1)
      assert.is_nil(reader)
      assert.equal(415, err.status)
    end
  end)
  it("takes limits exactly", function()
    assert.matches("|whole$", read(field("a", "12") .. END, { max_parts = 1, max_field = 2 }))
    local head = #'Content-Disposition: form-data; name="a"\r\n\r\n'
    assert.matches("|whole$", read(field("a", "") .. END, { max_header = head }))
    assert.matches("bad part 1 has more", read(field("a", "") .. END, { max_header = head - 1 }))
  end)
end)

describe("req:parts", function()
  local body = field("a", "one") .. part('form-data; name="f"; filename="f.bin"', ("0123456789"):rep(1000),
    "Content-Type: x/y\r\nX-More: 1\r\n") .. field("z", "last") .. END

  it("gives the parts in their order, to be read whole", function()
    local res = post(body, MULTIPART, function(req)
      local seen = {}
      for p in req:parts() do
        seen[#seen + 1] = ("%s %s %s %s %d"):format(p.name, p.filename, p.content_type,
          p.headers["X-More"], #p:read())
      end
      return table.concat(seen, ", ")
    end)
    assert.equal("a nil text/plain nil 3, f f.bin x/y 1 10000, z nil text/plain nil 4", res.body)
  end)
  it("skips unread parts and unread rests", function()
    local res = post(body, MULTIPART, function(req)
      local seen = {}
      for p in req:parts() do
        seen[#seen + 1] = p.name
        if p.filename then assert.truthy(p:chunks()()) end
      end
      return table.concat(seen, " ")
    end)
    assert.equal("a f z", res.body)
  end)
  it("gives the pieces of a part, once", function()
    local res = post(body, MULTIPART, function(req)
      local text = ""
      for p in req:parts() do
        if p.filename then
          for piece in p:chunks() do text = text .. piece end
          assert.equal("", p:read())
          assert.is_nil(p:chunks()())
        end
      end
      return text
    end)
    assert.equal(("0123456789"):rep(1000), res.body)
  end)
  it("does not let a part be read after the next one was asked for", function()
    local res = post(body, MULTIPART, function(req)
      local parts = req:parts()
      local first = parts()
      parts()
      local ok, err = pcall(first.read, first)
      assert.is_false(ok)
      return { err }
    end)
    assert.matches("part 'a' can no longer be read: read each part before asking for the next one", res.body)
  end)
  it("raises 413 when a part is longer than read may take", function()
    local res = post(body, MULTIPART, function(req)
      for p in req:parts() do p:read(3) end
    end)
    assert.equal(413, res.status)
    assert.equal('{"detail":"a part of the form has more than 3 bytes"}', res.body)
  end)
  it("raises what is wrong with the form, with its status", function()
    local function names(req)
      for p in req:parts { max_file = 100 } do p:read() end
    end
    assert.equal(413, post(body, MULTIPART, names).status)
    assert.equal(400, post(field("a", "1"), MULTIPART, names).status)
    assert.equal(415, post("a=1", URLENCODED, names).status)
    assert.equal(204, post(field("a", "1") .. END, MULTIPART, names).status)
  end)
  it("returns what is wrong with the form if asked to", function()
    local function wrong(req)
      local parts, err = req:parts { max_file = 100, raise = false }
      while not err do
        local p
        p, err = parts()
        if not p then break end
      end
      return err and err.kind .. " " .. err.status or "nothing"
    end
    assert.equal("form 415", post("a=1", URLENCODED, wrong).body)
    assert.equal("form 413", post(body, MULTIPART, wrong).body)
    assert.equal("form 400", post(field("a", "1"), MULTIPART, wrong).body)
    assert.equal("nothing", post(field("a", "1") .. END, MULTIPART, wrong).body)
  end)
end)

describe("a query", function()
  local function query_of(text)
    local app, query = web.app(), nil
    app:get("/", function(req)
      query = req.query
      return ""
    end)
    support.serving(app, function(port) support.get(port, "/?" .. text) end)
    return query
  end

  it("is read whatever odd pairs it has", function()
    for text, expected in pairs {
      [""] = {}, ["&&&"] = {}, ["="] = { [""] = "" }, ["a"] = { a = "" }, ["a="] = { a = "" },
      ["=b"] = { [""] = "b" },
      ["a=b=c"] = { a = "b=c" }, ["a=1&a=2"] = { a = "2" }, ["a+b=+"] = { ["a b"] = " " },
      ["a%3Db=1"] = { ["a=b"] = "1" },
      ["a%26=%2B"] = { ["a&"] = "+" }, ["a?b=/?"] = { ["a?b"] = "/?" }, ["a%00=%00"] = { ["a\0"] = "\0" },
      ["a;b=1"] = { ["a;b"] = "1" }, ["%C3%a9=%ff"] = { ["é"] = "\u{FFFD}" }, ["a[]=1"] = { ["a[]"] = "1" },
    } do
      assert.same(expected, query_of(text), text)
    end
  end)
end)
