-- multipart/form-data as it is written for an upload. Reading it: web_forms_spec.lua.
local multipart = require "moonloop.http.multipart"

-- The body with its boundary replaced by B.
local function text_of(fields)
  local form = assert(multipart.form(fields))
  local boundary = form.content_type:match("^multipart/form%-data; boundary=([%w_-]+)$")
  local text = form:text()
  assert.equal(form.length, #text)
  return (text:gsub(boundary:gsub("%-", "%%-"), "B"))
end

local function with_file(content, f)
  local path = os.tmpname()
  local file = assert(io.open(path, "wb"))
  file:write(content)
  file:close()
  local ok, err = pcall(f, path)
  os.remove(path)
  if not ok then error(err, 0) end
end

describe("a form to upload", function()
  it("has its fields in the order of their names", function()
    assert.equal("--B\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n" ..
      "--B\r\nContent-Disposition: form-data; name=\"b\"\r\n\r\ntwo\r\n" ..
      "--B\r\nContent-Disposition: form-data; name=\"c\"\r\n\r\ntrue\r\n--B--\r\n",
      text_of { c = true, b = "two", a = 1 })
  end)
  it("keeps the order of a list, and several values of one name", function()
    local text = text_of { { name = "z", value = "1" }, { name = "a", value = "2" }, { name = "z", value = 3 } }
    local names = {}
    for name in text:gmatch('name="(%w)"') do names[#names + 1] = name end
    assert.equal("zaz", table.concat(names))
    assert.matches('name="a"\r\n\r\n1\r\n%-%-B\r\n[^\r]+name="a"\r\n\r\n2\r\n', (text_of { a = { 1, 2 } }))
  end)
  it("is only its end when it has no fields", function()
    assert.equal("--B--\r\n", text_of {})
  end)
  it("escapes names and file names as browsers do", function()
    local text = text_of { ['a"b\r\n'] = { filename = 'x"\n%22.txt', body = "" } }
    assert.matches('name="a%%22b%%0D%%0A"; filename="x%%22%%0A%%22.txt"\r\n', text)
  end)
  it("calls a file application/octet-stream unless it is told", function()
    assert.matches('filename="f"\r\nContent%-Type: application/octet%-stream\r\n\r\nx\r\n',
      text_of { f = { filename = "f", body = "x" } })
    assert.matches('filename="f"\r\nContent%-Type: image/png\r\n\r\n',
      text_of { f = { filename = "f", body = "x", content_type = "image/png" } })
  end)
  it("reads a file by its path, in pieces, and calls it by its last part", function()
    local content = ("0123456789abcdef"):rep(10000)
    with_file(content, function(path)
      local form = assert(multipart.form { f = { path = path } })
      local pieces, text = 0, ""
      for chunk in form:chunks() do pieces, text = pieces + 1, text .. chunk end
      assert.equal(form.length, #text)
      assert.truthy(text:find(content, 1, true))
      assert.truthy(text:find('filename="' .. path:match("[^/]+$") .. '"', 1, true))
      assert.is_true(pieces > 3)
      assert.equal(text, form:text())
    end)
  end)
  it("sends the original length of a file that grows, and raises when it shrinks", function()
    with_file("12345", function(path)
      local form = assert(multipart.form { f = { path = path } })
      io.open(path, "ab"):write("678"):close()
      assert.equal(form.length, #form:text())
      io.open(path, "wb"):write("12"):close()
      assert.error_matches(function() form:text() end, "field 'f': fewer bytes than its length of 5")
      io.open(path, "wb"):close()
      assert.error_matches(function() form:text() end, "field 'f': fewer bytes than its length of 5")
    end)
  end)
  it("is nil and an error when a file cannot be read", function()
    local form, err = multipart.form { f = { path = "/nowhere/at/all" } }
    assert.is_nil(form)
    assert.equal("file", err.kind)
    assert.matches("field 'f': /nowhere/at/all: no such file", err.message)
  end)
  it("takes an iterator, with or without a length", function()
    local function pieces()
      local i = 0
      return function()
        i = i + 1
        return ({ "ab", "", "cd" })[i]
      end
    end
    local form = assert(multipart.form { f = { chunks = pieces(), filename = "f" } })
    assert.is_nil(form.length)
    assert.is_false(form.repeatable)
    assert.matches("\r\n\r\nabcd\r\n", form:text())
    assert.matches("\r\n\r\nabcd\r\n", text_of { f = { chunks = pieces(), filename = "f", length = 4 } })
  end)
  it("raises when an iterator gives more or fewer bytes than its length", function()
    local function once()
      local text = "abc"
      return function()
        local piece = text
        text = nil
        return piece
      end
    end
    local form = assert(multipart.form { f = { chunks = once(), length = 4 } })
    assert.error_matches(function() form:text() end, "field 'f': fewer bytes than its length of 4")
    form = assert(multipart.form { f = { chunks = once(), length = 2 } })
    assert.error_matches(function() form:text() end, "field 'f': more bytes than its length of 2")
  end)
  it("has a new boundary each time", function()
    assert.not_equal(multipart.form({}).content_type, multipart.form({}).content_type)
  end)
  it("refuses invalid fields, and names them", function()
    local function refused(fields, pattern)
      local ok, err = pcall(function() multipart.form(fields) end)
      assert.is_false(ok)
      assert.matches(pattern, err)
      assert.matches("multipart_spec.lua:%d+:", err)
    end
    refused("x", "the fields of a form are a string")
    refused({ [true] = 1 }, "a field's name is a boolean")
    refused({ f = print }, "field 'f': the value is a function")
    refused({ { "x" } }, "field 1 of the list is not a table with a name")
    refused({ f = { filename = "x" } }, "field 'f': exactly one of value, body, path and chunks")
    refused({ f = { body = "x", path = "y" } }, "field 'f': exactly one of")
    refused({ f = { body = 1 } }, "key 'body' of the form's field 'f' is 1 %(expected string%)")
    refused({ f = { body = "", size = 1 } }, "unknown key 'size' of the form's field 'f'")
    refused({ f = { body = "", length = 1 } }, "field 'f': the length")
    refused({ f = { body = "", content_type = "a\r\nX: y" } }, "field 'f': content_type has a control")
    refused({ f = { body = "", filename = "a\0" } }, "filename .- contains a NUL")
    refused({ ["f\0"] = "" }, "field .- contains a NUL")
  end)
end)
