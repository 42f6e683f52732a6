-- web.compress: middleware that compresses responses.
local ml = require "moonloop"
local web = require "moonloop.web"
local common = require "spec.support"
local process = require "spec.support.process"
local coding = require "coding"
local folders = require "spec.support.folder"
local support = require "spec.support.web"

local rawtcp, request, get = common.rawtcp, support.request, support.get

local TEXT = ("All of this was said before, and better. "):rep(50) -- 2,050 bytes
local ANY = "Accept-Encoding: gzip, deflate, br\r\n"

--- Serves the routes, path to handler, behind the middleware while `f(port)` runs.
local function serving(opts, routes, f)
  local app = web.app()
  app:use(web.compress(opts))
  for path, handler in pairs(routes) do app:get(path, handler) end
  support.serving(app, f)
end

--- A route that answers with this response, or its text.
local function answer(fields)
  if type(fields) == "string" then return { ["/"] = function() return fields end } end
  return { ["/"] = function() return web.response(fields) end }
end

--- The body as the client understands it.
local function decoded(res)
  local name = res.headers["content-encoding"]
  if not name then return res.body end
  local text, result = coding.decode(name, nil, { res.body })
  assert.equal("done", result)
  return text
end

describe("compress", function()
  it("sends the coding that the client prefers, and brotli if it has no preference", function()
    serving(nil, answer(TEXT), function(port)
      for accept, name in pairs {
        ["gzip, deflate, br"] = "br", ["gzip"] = "gzip", ["x-gzip"] = "gzip", ["BR"] = "br", ["*"] = "br",
        ["gzip, br;q=0.9"] = "gzip", ["gzip;q=0.5, br;q=0.501"] = "br", ["br;q=0, *"] = "gzip",
        ["gzip;q=0, *;q=0.1"] = "br", ["identity;q=0, gzip;q=0.1"] = "gzip", ["identity;q=0.5, gzip"] = "gzip",
        [" , gzip ; q=1.000 ,,"] = "gzip", ["br;q=2, gzip;q=0.1"] = "gzip", ["br;x=1, gzip"] = "gzip",
      } do
        local res = get(port, "/", "Accept-Encoding: " .. accept .. "\r\n")
        assert.equal(name, res.headers["content-encoding"], accept)
        assert.equal("Accept-Encoding", res.headers.vary)
        assert.is_true(#res.body < #TEXT / 5)
        assert.equal(TEXT, decoded(res))
      end
    end)
  end)

  it("sends the plain body to clients that accept nothing else, and says that this may vary", function()
    serving(nil, answer(TEXT), function(port)
      for _, accept in ipairs { "", "identity", "gzip;q=0", "gzip;q=0.000, br;q=0", "deflate", "*;q=0",
        "identity;q=1, gzip;q=0.5", "gzip;q=x", "gzip;q=1.5", "gzip br", "gzip;q=0.1234", "compress" } do
        local res = get(port, "/", "Accept-Encoding: " .. accept .. "\r\n")
        assert.is_nil(res.headers["content-encoding"], accept)
        assert.equal("Accept-Encoding", res.headers.vary)
        assert.equal(TEXT, res.body)
      end
      assert.equal(TEXT, get(port, "/").body)
    end)
  end)

  it("compresses JSON and errors alike", function()
    local list = {}
    for i = 1, 300 do list[i] = { name = "item", number = i } end
    local routes = {
      ["/json"] = function() return list end,
      ["/error"] = function() web.abort(422, list) end,
    }
    serving(nil, routes, function(port)
      for path, status in pairs { ["/json"] = 200, ["/error"] = 422 } do
        local res = get(port, path, ANY)
        assert.same({ status, "br", "application/json" },
          { res.status, res.headers["content-encoding"], res.headers["content-type"] })
        local value = ml.json.decode(decoded(res))
        assert.equal(300, #(value.detail or value))
      end
    end)
  end)

  it("leaves small bodies alone, and those that would not become smaller", function()
    serving(nil, answer(TEXT:sub(1, 1023)), function(port)
      assert.is_nil(get(port, "/", ANY).headers["content-encoding"])
    end)
    serving({ min = 10 }, answer("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), function(port)
      assert.equal("br", get(port, "/", ANY).headers["content-encoding"])
    end)
    local noise = {}
    for i = 1, 2000 do noise[i] = string.char(math.random(0, 255)) end
    noise = table.concat(noise)
    serving(nil, answer(noise), function(port)
      local res = get(port, "/", ANY)
      assert.is_nil(res.headers["content-encoding"])
      assert.equal(noise, res.body)
    end)
  end)

  it("does not touch bodies that are not text, already coded, or must not be changed", function()
    for _, headers in ipairs {
      { ["content-type"] = "image/png" },
      { ["content-type"] = "application/octet-stream" },
      { ["content-type"] = "text/event-stream" },
      { ["content-encoding"] = "gzip" },
      { ["cache-control"] = "public, No-Transform" },
      { ["cache-control"] = { "public", "no-transform" } },
    } do
      serving(nil, answer { body = TEXT, headers = headers }, function(port)
        local res = get(port, "/", ANY)
        assert.equal(headers["content-encoding"], res.headers["content-encoding"])
        assert.is_nil(res.headers.vary)
        assert.equal(TEXT, res.body)
      end)
    end
    for _, status in ipairs { 204, 206 } do
      serving(nil, answer { body = TEXT, status = status }, function(port)
        assert.is_nil(get(port, "/", ANY).headers["content-encoding"])
      end)
    end
  end)

  it("compresses text types, or those that it is given", function()
    local routes = {}
    for i, name in ipairs { "text/css", "image/svg+xml", "application/problem+json; charset=utf-8", "Text/HTML",
      "application/x-special", "font/woff" } do
      routes["/" .. i] = function() return web.response { body = TEXT, headers = { ["content-type"] = name } } end
    end
    local function coded(port)
      local list = {}
      for i = 1, 6 do list[i] = get(port, "/" .. i, ANY).headers["content-encoding"] or "-" end
      return table.concat(list, " ")
    end
    serving(nil, routes, function(port) assert.equal("br br br br - -", coded(port)) end)
    serving({ types = { "application/X-special", "font/*" } }, routes, function(port)
      assert.equal("- - - - br br", coded(port))
    end)
  end)

  it("has the level that it is given", function()
    local words = {}
    for i = 1, 3000 do words[i] = "word" .. i * i % 997 end
    local text = table.concat(words, " ")
    serving({ level = 9 }, answer(text), function(port)
      local small = #get(port, "/", "Accept-Encoding: gzip\r\n").body
      serving({ level = 1 }, answer(text), function(other)
        assert.is_true(small < #get(other, "/", "Accept-Encoding: gzip\r\n").body)
      end)
    end)
  end)

  it("adds to Vary what is missing", function()
    for given, sent in pairs { ["Origin"] = "Origin, Accept-Encoding", ["*"] = "*",
      ["Origin, accept-encoding"] = "Origin, accept-encoding" } do
      serving(nil, answer { body = TEXT, headers = { vary = given } }, function(port)
        assert.equal(sent, get(port, "/", ANY).headers.vary)
      end)
    end
  end)

  it("makes strong entity tags weak, and keeps weak ones", function()
    for given, sent in pairs { ['"a"'] = 'W/"a"', ['W/"a"'] = 'W/"a"' } do
      serving(nil, answer { body = TEXT, headers = { etag = given } }, function(port)
        assert.equal(sent, get(port, "/", ANY).headers.etag)
        assert.equal(given, get(port, "/").headers.etag)
      end)
    end
  end)

  it("does not change a response that the handler uses again", function()
    local page = web.response { body = TEXT, headers = { etag = '"a"' } }
    serving(nil, { ["/"] = function() return page end }, function(port)
      for _ = 1, 2 do
        assert.equal(TEXT, decoded(get(port, "/", ANY)))
        local res = get(port, "/")
        assert.same({ TEXT, '"a"' }, { res.body, res.headers.etag })
        assert.is_nil(res.headers["content-encoding"])
      end
    end)
  end)

  it("answers HEAD with the headers of GET", function()
    serving(nil, answer(TEXT), function(port)
      local head = support.ask(port, request("HEAD", "/", ANY), true).headers
      local whole = get(port, "/", ANY).headers
      head.date, whole.date = nil, nil
      assert.same(whole, head)
    end)
  end)

  it("compresses long bodies while other tasks run", function()
    local long = {}
    for i = 1, 200000 do long[i] = i * 7 % 1000003 end
    long = table.concat(long, ",") -- 1.3 MB
    serving({ level = 6 }, answer(long), function(port)
      local turns = 0
      local other = ml.spawn(function()
        while true do
          ml.sleep(0)
          turns = turns + 1
        end
      end)
      local res = get(port, "/", "Accept-Encoding: gzip\r\n")
      other:cancel()
      assert.is_true(decoded(res) == long)
      assert.is_true(turns > 10)
    end)
  end)

  it("leaves threads to files where many ask for a long body, and sends it as it is to those beyond", function()
    local app, long = web.app(), {}
    for i = 1, 200000 do long[i] = i * 7 % 1000003 end
    long = table.concat(long, ",")
    local inside, plain, packed, all_inside = 0, 0, 0, ml.event()
    app:use(function(req, next)
      inside = inside + 1
      if inside == 60 then all_inside:set() end
      local res = next(req)
      if res.headers["Content-Encoding"] then packed = packed + 1 else plain = plain + 1 end
      return res
    end)
    app:use(web.compress())
    app:get("/", function()
      all_inside:wait()
      return long
    end)
    local c <close> = web.test(app, { timeout = 60 })
    local before
    ml.group(function(group)
      for _ = 1, 60 do
        group:spawn(function()
          local res = c:get("/", { headers = { ["Accept-Encoding"] = "br" } })
          assert.equal(200, res.status)
          assert.is_true(res.body == long)
        end)
      end
      all_inside:wait()
      ml.sleep(0) -- they are compressed, or wait
      assert(ml.fs.read "README.md")
      before = packed
    end)
    assert.is_true(before <= 6, before .. " bodies went before the file")
    assert.equal(60, plain + packed)
    assert.is_true(packed >= 18 and plain > 0, packed .. " were compressed")
  end)

  it("of a long body can be cancelled", function()
    local core = require "moonloop.web.coding"
    local long = TEXT:rep(5000)
    local task = ml.spawn(core.compress, long, "br", 9)
    ml.sleep(0)
    assert.is_true(task:cancel())
    ml.wait { task }
    assert.equal("cancelled", task:status())
    assert.equal(long, (coding.decode("br", nil, { core.compress(long, "br", 1) })))
  end)

  it("with wrong options is an error that names them", function()
    local function fails(text, ...)
      local ok, err = pcall(web.compress, ...)
      assert.is_false(ok)
      assert.truthy(err:find(text, 1, true), err)
    end
    fails("unknown option 'minimum' of ml.web.compress (known: level, min and types)", { minimum = 1 })
    fails("option 'min' of ml.web.compress is a string (expected integer)", { min = "1" })
    fails("option 'level' of ml.web.compress is 10 (expected 1 to 9)", { level = 10 })
    fails("option 'types' of ml.web.compress has a number (expected strings)", { types = { 1 } })
  end)
end)

describe("compress of a stream", function()
  for _, name in ipairs { "gzip", "br" } do
    it("sends each write at once: " .. name, function()
      local gate = ml.event()
      local routes = { ["/"] = function()
        return web.response {
          headers = { ["content-type"] = "text/event-stream" },
          stream = function(out)
            out:write("data: one\n\n")
            gate:wait()
            out:write("data: ", 2, "\n\n")
          end,
        }
      end }
      serving({ types = { "text/event-stream" } }, routes, function(port)
        local conn <close> = assert(rawtcp.connect(port))
        conn:send(request("GET", "/", "Accept-Encoding: " .. name .. "\r\n"))
        local head = assert(conn:receive("\r\n\r\n"))
        assert.truthy(head:find("Content-Encoding: " .. name .. "\r\n", 1, true))
        local first = assert(conn:receive(tonumber(conn:receive("\r\n"), 16)))
        assert.equal("data: one\n\n", (coding.decode(name, nil, { first })))
        gate:set()
        conn:receive("\r\n")
        local all = first
        while true do
          local n = tonumber(conn:receive("\r\n"), 16)
          if n == 0 then break end
          all = all .. conn:receive(n)
          conn:receive("\r\n")
        end
        assert.same({ "data: one\n\ndata: 2\n\n", "done" }, { coding.decode(name, nil, { all }) })
      end)
    end)

    it("of long texts, by several tasks, keeps each in one piece: " .. name, function()
      local long = TEXT:rep(40)
      local routes = { ["/"] = function()
        return web.response { stream = function(out)
          ml.gather({
            { out.write, out, "(", long, ")" }, { out.write, out, "(x)" }, { out.write, out, "(", long, ")" },
          })
        end }
      end }
      serving(nil, routes, function(port)
        local text = decoded(get(port, "/", "Accept-Encoding: " .. name .. "\r\n"))
        local rest, n = text:gsub(TEXT:gsub("%p", "%%%0"), "")
        assert.equal(80, n)
        local orders = { ["()(x)()"] = true, ["(x)()()"] = true, ["()()(x)"] = true }
        assert.is_true(orders[rest], rest)
      end)
    end)

    it("is complete even if a waiting write was cancelled: " .. name, function()
      local function noise(n) -- 4 x 30,000 bytes: nothing comes again within an encoder's window
        local state, bytes = n % 4 + 1, {}
        for i = 1, 30000 do
          state = state * 1103515245 + 12345 & 0x7fffffff
          bytes[i] = string.char(state >> 16 & 255)
        end
        return table.concat(bytes)
      end
      local pieces = { [0] = noise(0), noise(1), noise(2), noise(3) }
      local full = ml.event()
      local writes = {}
      local routes = { ["/"] = function()
        return web.response { stream = function(out)
          repeat writes[#writes + 1] = pieces[#writes % 4]
          until not ml.timeout(0.1, out.write, out, writes[#writes])
          full:set()
          out:write("the end")
        end }
      end }
      serving(nil, routes, function(port)
        local conn <close> = assert(rawtcp.connect(port))
        conn:send("GET / HTTP/1.0\r\nAccept-Encoding: " .. name .. "\r\n\r\n") -- so that no chunks come
        full:wait()
        local body = conn:receive("*a"):match("\r\n\r\n(.*)")
        assert.is_true(coding.decode(name, nil, { body }) == table.concat(writes) .. "the end")
      end)
    end)

    it("is cut off if the stream fails: " .. name, function()
      local output = process.run([[
        package.path = "./?.lua;" .. package.path
        local web = require "moonloop.web"
        local support = require "spec.support.web"
        local coding = require "coding"
        local app = web.app()
        app:use(web.compress())
        app:get("/", function() return web.response { stream = function(out)
          out:write("begun")
          ml.sleep(0) -- it goes out at the end of the pass
          error("no more")
        end } end)
        support.serving(app, function(port)
          local res = support.get(port, "/", "Accept-Encoding: ]] .. name .. [[\r\n")
          print(res.status, res.broken ~= nil, coding.decode("]] .. name .. [[", nil, { res.body }))
        end)
      ]])
      assert.truthy(output:find("200\ttrue\tbegun\tmalformed", 1, true), output)
      assert.truthy(output:find("no more", 1, true), output)
    end)
  end

  it("without a write is an empty content", function()
    serving(nil, answer { stream = function() end }, function(port)
      local res = get(port, "/", ANY)
      assert.same({ "br", "" }, { res.headers["content-encoding"], decoded(res) })
    end)
  end)

  it("takes memory that max_buffered counts: beyond half of it, streams are sent as they are", function()
    local over, app = ml.event(), web.app()
    app:use(web.compress())
    app:get("/", function()
      return web.response { stream = function(out)
        out:write(TEXT)
        over:wait()
      end }
    end)
    support.serving(app, function(port)
      local conns = {}
      local function coding_of_next()
        conns[#conns + 1] = assert(rawtcp.connect(port))
        conns[#conns]:send(request("GET", "/", "Accept-Encoding: br\r\n"))
        return assert(conns[#conns]:receive("\r\n\r\n")):match("Content%-Encoding: (%a+)") or "none"
      end
      assert.same({ "br", "br", "none" }, { coding_of_next(), coding_of_next(), coding_of_next() })
      over:set()
      for _, conn in ipairs(conns) do assert(conn:receive("\r\n0\r\n\r\n")) end
      assert.equal("br", coding_of_next())
      for _, conn in ipairs(conns) do conn:close() end
    end, { max_buffered = 3000000 })
  end)

  it("whose length is known and small is left alone", function()
    local routes = answer { stream = function(out) out:write("short") end, headers = { ["content-length"] = 5 } }
    serving(nil, routes, function(port)
      local res = get(port, "/", ANY)
      assert.same({ "5", "short" }, { res.headers["content-length"], res.body })
      assert.is_nil(res.headers["content-encoding"])
    end)
  end)
end)

describe("compress of a file", function()
  --- Serves a text file, larger than is read at once, and a small one.
  local function serving_files(f)
    local folder <close> = folders.new { ["large.txt"] = TEXT:rep(100), ["small.txt"] = TEXT }
    local app = web.app()
    app:use(web.compress())
    app:static("/", folder.path)
    support.serving(app, f)
  end

  it("sends it whole and coded, with a weak tag and without ranges", function()
    serving_files(function(port)
      for path, text in pairs { ["/large.txt"] = TEXT:rep(100), ["/small.txt"] = TEXT } do
        local plain, res = get(port, path), get(port, path, ANY)
        assert.equal(200, res.status)
        assert.is_true(decoded(res) == text)
        assert.equal("W/" .. plain.headers.etag, res.headers.etag)
        assert.is_nil(res.headers["accept-ranges"])
        assert.equal("Accept-Encoding", res.headers.vary)
      end
    end)
  end)

  it("is a 304 for a client that has the coded one", function()
    serving_files(function(port)
      for _, path in ipairs { "/large.txt", "/small.txt" } do
        local etag = get(port, path, ANY).headers.etag
        local res = get(port, path, ANY .. "If-None-Match: " .. etag .. "\r\n")
        assert.same({ 304, etag, "Accept-Encoding" }, { res.status, res.headers.etag, res.headers.vary })
      end
    end)
  end)

  it("leaves ranges plain", function()
    serving_files(function(port)
      local res = get(port, "/large.txt", ANY .. "Range: bytes=0-1999\r\n")
      assert.equal(206, res.status)
      assert.is_nil(res.headers["content-encoding"])
      assert.equal(TEXT:sub(1, 2000), res.body)
    end)
  end)

  it("says of ranges that the whole varies", function()
    serving_files(function(port)
      for _, range in ipairs { "0-9", "0-0,5-9" } do
        local res = get(port, "/large.txt", "Range: bytes=" .. range .. "\r\n")
        assert.same({ 206, "Accept-Encoding" }, { res.status, res.headers.vary })
      end
    end)
    for content_type, varies in pairs { ["image/png"] = false, ["text/css"] = true } do
      for _, more in ipairs { {}, { ["Cache-Control"] = "no-transform" }, { ["Content-Encoding"] = "gzip" } } do
        more["Content-Type"] = content_type
        serving(nil, answer { status = 206, body = "x", headers = more }, function(port)
          local plain = not more["Cache-Control"] and not more["Content-Encoding"]
          assert.equal(varies and plain and "Accept-Encoding" or nil, get(port, "/", ANY).headers.vary)
        end)
      end
    end
  end)
end)
