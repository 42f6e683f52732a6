-- Files as responses, and conditional requests.
local ml = require "moonloop"
local web = require "moonloop.web"
local common = require "spec.support"
local left = require "spec.support.left"
local process = require "spec.support.process"
local folders = require "spec.support.folder"
local support = require "spec.support.web"

local rawtcp, request, get = common.rawtcp, support.request, support.get

local TEXT = "What is written stays.\n"
local TIME = 784111777 -- Sun, 06 Nov 1994 08:49:37 GMT
local DATE = "Sun, 06 Nov 1994 08:49:37 GMT"
local LARGE = ("0123456789abcdef"):rep(20000) -- 320,000 bytes: more than is read at once

--- Serves the file `name` of this folder at / while `f(port, folder)` runs.
local function serving(name, content, f, opts)
  local folder <close> = folders.new {}
  folders.write(folder.path .. "/" .. name, content, TIME)
  local app = web.app()
  app:get("/", function() return web.file(folder.path .. "/" .. name, opts) end)
  app:post("/", function() return web.file(folder.path .. "/" .. name, opts) end)
  support.serving(app, function(port) f(port, folder.path) end)
end

describe("a file response", function()
  it("sends the content with its type, length, time and entity tag", function()
    serving("page.html", TEXT, function(port)
      local res = get(port, "/")
      assert.equal(200, res.status)
      assert.equal(TEXT, res.body)
      assert.equal("text/html; charset=utf-8", res.headers["content-type"])
      assert.equal(DATE, res.headers["last-modified"])
      assert.equal("bytes", res.headers["accept-ranges"])
      assert.truthy(res.headers.etag:find('^"[%x-]+"$'))
      assert.is_nil(res.headers["cache-control"])
    end)
  end)

  it("tells browsers not to guess what it is, unless the handler says otherwise", function()
    local folder <close> = folders.new { ["a.txt"] = "<script>" }
    local app = web.app()
    app:get("/{say}", function(req)
      local res = web.file(folder.path .. "/a.txt")
      if req.params.say == "own" then res.headers["X-Content-Type-Options"] = "own" end
      return res
    end)
    support.serving(app, function(port)
      assert.equal("nosniff", get(port, "/plain").headers["x-content-type-options"])
      assert.equal("nosniff", get(port, "/plain", "Range: bytes=1-\r\n").headers["x-content-type-options"])
      assert.equal("own", get(port, "/own").headers["x-content-type-options"])
    end)
  end)

  it("sends a large file in pieces, whole, with its length", function()
    serving("large.bin", LARGE, function(port)
      local res = get(port, "/")
      assert.equal(tostring(#LARGE), res.headers["content-length"])
      assert.equal("application/octet-stream", res.headers["content-type"])
      assert.is_true(res.body == LARGE)
    end)
  end)

  it("sends an empty file", function()
    serving("empty.txt", "", function(port)
      local res = get(port, "/")
      assert.same({ 200, "0", "" }, { res.status, res.headers["content-length"], res.body })
      assert.equal(200, get(port, "/", "Range: bytes=-5\r\n").status)
      assert.equal(200, get(port, "/", "Range: bytes=0-\r\n").status)
    end)
  end)

  it("answers HEAD with the headers of GET", function()
    for _, content in ipairs { TEXT, LARGE } do
      serving("a.bin", content, function(port)
        local head = support.ask(port, request("HEAD", "/"), true)
        local whole = get(port, "/")
        head.headers.date, whole.headers.date = nil, nil
        assert.same(whole.headers, head.headers)
        assert.equal("", head.body)
      end)
    end
  end)

  it("has the requested type, name and age", function()
    serving("data", TEXT, function(port)
      local headers = get(port, "/").headers
      assert.equal("text/x-special", headers["content-type"])
      assert.equal('attachment; filename="report 1.txt"', headers["content-disposition"])
      assert.equal("max-age=60", headers["cache-control"])
    end, { type = "text/x-special", name = "report 1.txt", max_age = 60 })
  end)

  it("names a download beyond ASCII in both forms", function()
    serving("data", TEXT, function(port)
      assert.equal([[attachment; filename="na_ve _quoted_.txt"; filename*=UTF-8''na%C3%AFve%20%22quoted%22.txt]],
        get(port, "/").headers["content-disposition"])
    end, { name = 'naïve "quoted".txt' })
  end)

  it("keeps the status and the headers of the handler, and then ignores conditions", function()
    local folder <close> = folders.new { ["lost.html"] = TEXT }
    local app = web.app()
    app:get("/", function()
      return web.response { status = 404, file = folder.path .. "/lost.html", headers = { ["x-why"] = "lost" } }
    end)
    app:get("/own", function()
      return web.response { file = folder.path .. "/lost.html",
        headers = { etag = '"mine"', ["content-type"] = "a/b" } }
    end)
    support.serving(app, function(port)
      local res = get(port, "/", "If-None-Match: *\r\nRange: bytes=0-1\r\n")
      assert.same({ 404, "lost", TEXT }, { res.status, res.headers["x-why"], res.body })
      assert.is_nil(res.headers.etag)
      res = get(port, "/own")
      assert.same({ 200, '"mine"', "a/b" }, { res.status, res.headers.etag, res.headers["content-type"] })
      assert.equal(304, get(port, "/own", 'If-None-Match: "mine"\r\n').status)
    end)
  end)

  it("is the same for a response that is used again", function()
    local folder <close> = folders.new { ["a.txt"] = TEXT }
    local app = web.app()
    local page = web.file(folder.path .. "/a.txt")
    app:get("/", function() return page end)
    support.serving(app, function(port)
      assert.equal(206, get(port, "/", "Range: bytes=0-1\r\n").status)
      local first = get(port, "/")
      folders.write(folder.path .. "/a.txt", TEXT .. TEXT)
      local second = get(port, "/")
      assert.same({ TEXT, TEXT .. TEXT }, { first.body, second.body })
      assert.not_equal(first.headers.etag, second.headers.etag)
    end)
  end)

  it("has the same entity tag on each machine that has the file: it does not depend on the inode", function()
    local folder <close> = folders.new { ["a.txt"] = TEXT }
    assert(os.execute(("cp -p %s/a.txt %s/b.txt"):format(folder.path, folder.path)))
    local app = web.app()
    app:static("/", folder.path)
    support.serving(app, function(port)
      local first, second = get(port, "/a.txt"), get(port, "/b.txt")
      assert.same({ 200, 200 }, { first.status, second.status })
      assert.equal(first.headers.etag, second.headers.etag)
    end)
  end)

  it("to a POST is sent whole, whatever the conditions", function()
    serving("a.txt", TEXT, function(port)
      local res = support.post(port, "/", "", "If-None-Match: *\r\nRange: bytes=0-1\r\n")
      assert.same({ 200, TEXT }, { res.status, res.body })
      assert.is_nil(res.headers.etag)
    end)
  end)

  it("is a failure of the handler if the file is missing, a folder, or not a regular file", function()
    local output = process.run [[
      local web = require "moonloop.web"
      local core = require "moonloop.web.files.core"
      print(core.open("/nowhere/at.all", 10))
      print(core.open("/", 10))
      print(core.open("/dev/null", 10))
      local app = web.app()
      app:get("/", function() return web.file("/nowhere/at.all") end)
      local server = assert(web.listen(app, { port = 0 }))
      print(ml.http.get("http://127.0.0.1:" .. server.port .. "/").status)
      server:stop(0)
    ]]
    assert.truthy(output:find("nil%s+file: /nowhere/at.all: no such file or directory %(ENOENT%)"))
    assert.truthy(output:find("nil%s+file: /: illegal operation on a directory %(EISDIR%)"))
    assert.truthy(output:find("nil%s+file: /dev/null: neither a regular file nor a directory %(EINVAL%)"))
    assert.truthy(output:find("GET / failed: file: /nowhere/at.all", 1, true))
    assert.truthy(output:find("\n500\n", 1, true))
  end)

  it("with wrong options is an error that names them", function()
    local function fails(text, ...)
      local ok, err = pcall(web.file, ...)
      assert.is_false(ok)
      assert.truthy(err:find(text, 1, true), err)
    end
    fails("bad argument #1 to 'ml.web.file' (string expected, got nil)")
    fails("the options of ml.web.file are a number (expected a table)", "a", 1)
    fails("unknown option 'ttl' of ml.web.file", "a", { ttl = 1 })
    fails("option 'max_age' of ml.web.file is a string (expected integer)", "a", { max_age = "1" })
    fails("option 'max_age' of ml.web.file is -1 (expected a number of seconds)", "a", { max_age = -1 })
    fails("option 'name' of ml.web.file has a control character", "a", { name = "a\r\nb" })
  end)

  it("is cut off if the file becomes shorter while it is sent", function()
    local output = process.run [[
      package.path = "./?.lua;" .. package.path
      local web = require "moonloop.web"
      local common = require "spec.support"
      local path = os.tmpname()
      local file = io.open(path, "wb")
      file:write(common.xs(64 << 20))
      file:flush()
      local app = web.app()
      app:get("/", function() return web.file(path) end)
      local server = assert(web.listen(app, { port = 0 }))
      local conn = common.rawtcp.connect(server.port)
      conn:send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
      local head = conn:receive("\r\n\r\n")
      file:close()
      io.open(path, "wb"):close()
      local all, why, rest = conn:receive(64 << 20)
      print(head:match("Content%-Length: %d+"), all == nil, #rest < 64 << 20)
      conn:close()
      server:stop(0)
      os.remove(path)
    ]]
    assert.truthy(output:find("Content-Length: 67108864\ttrue\ttrue", 1, true), output)
    assert.truthy(output:find("the file became shorter while it was being sent", 1, true), output)
  end)

  it("leaves no descriptor open, however it ends", function()
    serving("large.bin", LARGE:rep(40), function(port)
      get(port, "/")
      local before = left.descriptors()
      for _ = 1, 3 do
        get(port, "/")
        support.ask(port, request("HEAD", "/"), true)
        get(port, "/", "If-None-Match: *\r\n")
        get(port, "/", "Range: bytes=99999999-\r\n")
        local conn = assert(rawtcp.connect(port)) -- goes away in the middle
        conn:send(request("GET", "/"))
        conn:receive(1000)
        conn:close()
      end
      collectgarbage()
      for _ = 1, 5000 do
        if left.descriptors() <= before then break end
        ml.sleep(0.01)
        collectgarbage()
      end
      assert.is_true(left.descriptors() <= before)
    end)
  end)
end)

describe("a conditional request", function()
  local etag, weak

  --- The status of the answer to a GET, or another method, with these headers.
  local function status(port, headers, method)
    return support.ask(port, request(method or "GET", "/", headers), method == "HEAD").status
  end

  local function serving_text(f)
    serving("a.txt", TEXT, function(port)
      etag = get(port, "/").headers.etag
      weak = "W/" .. etag
      f(port)
    end)
  end

  it("gets 304 when its entity tag is the current one, compared weakly", function()
    serving_text(function(port)
      assert.equal(304, status(port, "If-None-Match: " .. etag .. "\r\n"))
      assert.equal(304, status(port, "If-None-Match: " .. weak .. "\r\n"))
      assert.equal(304, status(port, 'If-None-Match: "a", W/"b,c" ,,' .. etag .. "\r\n"))
      assert.equal(304, status(port, 'If-None-Match: "a"\r\nIf-None-Match: ' .. etag .. "\r\n"))
      assert.equal(304, status(port, "If-None-Match: *\r\n"))
      assert.equal(304, status(port, "If-None-Match: *\r\n", "HEAD"))
      assert.equal(200, status(port, 'If-None-Match: "a", "b"\r\n'))
      assert.equal(200, status(port, "If-None-Match: " .. etag:sub(2, -2) .. "\r\n"))
      assert.equal(200, status(port, "If-None-Match: " .. etag:sub(1, -2) .. "\r\n"))
    end)
  end)

  it("that is not modified has what a cache needs, and no body", function()
    serving("a.txt", TEXT, function(port)
      local res = get(port, "/", "If-None-Match: *\r\n")
      assert.equal(304, res.status)
      assert.truthy(res.headers.etag)
      assert.equal(DATE, res.headers["last-modified"])
      assert.equal("max-age=60", res.headers["cache-control"])
      assert.is_nil(res.headers["content-type"])
      assert.is_nil(res.headers["content-disposition"])
      assert.is_nil(res.headers["content-length"])
    end, { max_age = 60, name = "a" })
  end)

  it("gets 412 when If-Match has no tag that is strongly equal", function()
    serving_text(function(port)
      assert.equal(200, status(port, "If-Match: " .. etag .. "\r\n"))
      assert.equal(200, status(port, 'If-Match: "a", ' .. etag .. "\r\n"))
      assert.equal(200, status(port, "If-Match: *\r\n"))
      assert.equal(412, status(port, "If-Match: " .. weak .. "\r\n"))
      assert.equal(412, status(port, 'If-Match: "a"\r\n'))
      local res = get(port, "/", 'If-Match: "a"\r\n')
      assert.equal('{"detail":"Precondition Failed"}', res.body)
      assert.is_nil(res.headers.etag)
    end)
  end)

  it("understands the three forms of a date, and ignores anything else", function()
    serving_text(function(port)
      local function since(date) return status(port, "If-Modified-Since: " .. date .. "\r\n") end
      assert.equal(304, since "Sun, 06 Nov 1994 08:49:37 GMT")
      assert.equal(304, since "Sunday, 06-Nov-94 08:49:37 GMT")
      assert.equal(304, since "Sun Nov  6 08:49:37 1994")
      assert.equal(200, since "Sun, 06 Nov 1994 08:49:36 GMT")
      assert.equal(200, since "Sunday, 06-Nov-94 08:49:36 GMT")
      assert.equal(200, since "Sun Nov  6 08:49:36 1994")
      assert.equal(304, since "Sat, 29 Feb 2020 00:00:00 GMT")
      for _, date in ipairs { "Sat, 29 Feb 2021 00:00:00 GMT", "Fri, 31 Nov 2020 00:00:00 GMT", "tomorrow",
        "Fri, 01 Nov 2020 24:00:00 GMT", "Fri, 01 Nov 2020 00:00:00 UTC", "Fri, 1 Nov 2020 00:00:00 GMT",
        "Fri, 01 Nov 2020 00:00:00 GMT or so", "2020-11-01T00:00:00Z", "", "Sun" } do
        assert.equal(200, since(date))
      end
    end)
  end)

  it("gets 412 when the file was modified after If-Unmodified-Since", function()
    serving_text(function(port)
      assert.equal(200, status(port, "If-Unmodified-Since: " .. DATE .. "\r\n"))
      assert.equal(412, status(port, "If-Unmodified-Since: Sun, 06 Nov 1994 08:49:36 GMT\r\n"))
      assert.equal(200, status(port, "If-Unmodified-Since: yesterday\r\n"))
    end)
  end)

  it("lets tags come before dates, and If-Match before If-None-Match", function()
    serving_text(function(port)
      local new, old = "Sun, 06 Nov 2011 08:49:37 GMT\r\n", "Sun, 06 Nov 1988 08:49:37 GMT\r\n"
      assert.equal(200, status(port, 'If-None-Match: "a"\r\nIf-Modified-Since: ' .. new))
      assert.equal(304, status(port, "If-None-Match: " .. etag .. "\r\nIf-Modified-Since: " .. old))
      assert.equal(200, status(port, "If-Match: " .. etag .. "\r\nIf-Unmodified-Since: " .. old))
      assert.equal(412, status(port, 'If-Match: "a"\r\nIf-Unmodified-Since: ' .. new))
      assert.equal(412, status(port, 'If-Match: "a"\r\nIf-None-Match: *\r\n'))
      assert.equal(304, status(port, "If-Match: *\r\nIf-None-Match: *\r\n"))
    end)
  end)
end)
