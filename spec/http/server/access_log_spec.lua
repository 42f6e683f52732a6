-- The access log of a server.
local ml = require "moonloop"
local json = require "moonloop.json"
local eventually = require("spec.support.tasks").eventually
local rawtcp = require "spec.support".rawtcp
local support = require "spec.support.web"
local web = ml.web

--- The entries that a server of `app` logs while f(port, server) runs.
local function entries_of(app, f, opts)
  local entries = {}
  opts = opts or {}
  opts.access_log = function(entry) entries[#entries + 1] = entry end
  support.serving(app, f, opts)
  return entries
end

--- Sends bytes on a connection of its own and reads all that comes.
local function send(port, bytes)
  local conn <close> = assert(rawtcp.connect(port))
  assert(conn:send(bytes))
  return conn:receive("*a")
end

describe("the access log", function()
  it("has an entry for each response, with the request and the answer", function()
    local app = web.app()
    app:get("/x", function() ml.sleep(0.002) return "text", 203 end)
    local entries = entries_of(app, function(port)
      support.get(port, "/x?a=%20b", "Referer: http://r/\r\nUser-Agent: spec/1\r\n")
    end)
    assert.equal(1, #entries)
    local e = entries[1]
    assert.same({ "127.0.0.1", "GET", "/x?a=%20b", "HTTP/1.1", 203, 4, "http://r/", "spec/1" },
      { e.client, e.method, e.target, e.protocol, e.status, e.bytes, e.referer, e.user_agent })
    assert.matches("^%x+%-1$", e.request_id)
    assert.matches("^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d%d%dZ$", e.time)
    assert.is_true(e.duration >= 0.002 and e.duration < 100)
  end)

  it("includes responses not made by a handler", function()
    local app = web.app { max_body = 10 }
    app:post("/", function(req) return req.body end)
    local entries = entries_of(app, function(port)
      support.get(port, "/none")
      support.get(port, "/")
      support.post(port, "/", ("x"):rep(11))
      send(port, "GET / HTTP/1.1\r\n\r\n")
      send(port, "\x16\x03\x01\"\n\r\n\r\n")
    end)
    entries[#entries + 1] = entries_of(app, function(port)
      send(port, "GET /slow HTTP/1.1\r\nHost:")
    end, { header_timeout = 0.5 })[1]
    local got = {}
    for i, e in ipairs(entries) do
      got[i] = { e.status, e.method and e.method .. " " .. e.target or e.request }
      assert.is_nil(e.request_id)
    end
    assert.same({
      { 404, "GET /none" }, { 405, "GET /" }, { 413, "POST /" }, { 400, "GET / HTTP/1.1" },
      { 400, '\x16\x03\x01"' },
      { 408, "GET /slow HTTP/1.1" },
    }, got)
  end)

  it("counts the bytes of a body, also of a streamed one and of none", function()
    local app = web.app()
    app:get("/text", function() return ("x"):rep(1000) end)
    app:get("/none", function() end)
    app:get("/stream", function()
      return web.response { stream = function(out) for _ = 1, 10 do out:write(("y"):rep(100)) ml.sleep(0) end end }
    end)
    local entries = entries_of(app, function(port)
      support.get(port, "/text")
      support.ask(port, support.request("HEAD", "/text"), true)
      support.get(port, "/none")
      support.get(port, "/stream")
    end)
    local bytes = {}
    for i, e in ipairs(entries) do bytes[i] = e.bytes end
    assert.same({ 1000, 0, 0, 1000 }, bytes)
  end)

  it("says 499, and no bytes, for a client that did not wait", function()
    local app, started, over = web.app(), ml.event(), ml.event()
    app:get("/", function()
      local _ <close> = setmetatable({}, { __close = function() over:set() end })
      started:set()
      ml.sleep(1000)
    end)
    local entries = entries_of(app, function(port)
      local conn = assert(rawtcp.connect(port))
      conn:send(support.request("GET", "/"))
      started:wait()
      conn:close()
      over:wait()
    end)
    assert.same({ 499, 0 }, { entries[1].status, entries[1].bytes })
  end)

  it("has the id of web.request_id, on errors too", function()
    local app = web.app()
    app:use(web.request_id())
    app:get("/", function() web.abort(409) end)
    local entries = entries_of(app, function(port)
      support.get(port, "/", "X-Request-Id: mine\r\n")
      support.get(port, "/none", "X-Request-Id: other\r\n")
    end)
    assert.same({ "mine", 409, "other", 404 },
      { entries[1].request_id, entries[1].status, entries[2].request_id, entries[2].status })
  end)

  it("has ids of requests that no other server has, and the same ones as the log", function()
    local first, ids, logged = nil, {}, {}
    local _ <close> = setmetatable({}, { __close = function() ml.log.to(nil) end })
    ml.log.to(function(entry) logged[#logged + 1] = entry.request_id end)
    for server = 1, 2 do
      local app = web.app()
      app:get("/", function() ml.log.info "asked" return "" end)
      for i, entry in ipairs(entries_of(app, function(port)
        for _ = 1, 2 do support.get(port, "/") end
      end)) do
        local beginning, number = entry.request_id:match "^(%x+)%-(%d+)$"
        assert.equal(tostring(i), number)
        assert.equal(server == 1 or i == 2, beginning == (first or beginning))
        first = beginning
        ids[#ids + 1] = entry.request_id
      end
    end
    eventually(function() return #logged == 4 end)
    assert.same(ids, logged)
  end)

  it("has the trace of a request, as the log has", function()
    local logged
    local _ <close> = setmetatable({}, { __close = function() ml.trace.stop() ml.log.to(nil) end })
    ml.log.to(function(entry) logged = logged or entry end)
    ml.trace.start { endpoint = "http://127.0.0.1:1" }
    local app = web.app()
    app:get("/", function() ml.log.info "asked" return "" end)
    local entries = entries_of(app, function(port)
      support.get(port, "/", "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00\r\n")
    end)
    eventually(function() return logged end)
    assert.same({ "0af7651916cd43dd8448eb211c80319c", "0af7651916cd43dd8448eb211c80319c" },
      { entries[1].trace_id, logged.trace_id })
  end)

  it("shows no secrets in queries, neither of the request nor of the Referer", function()
    local app = web.app()
    app:get("/x", function() return "" end)
    local entries = entries_of(app, function(port)
      support.get(port, "/x?password=pp&x=1&access_token=t%20t", "Referer: http://u:pw@r/a?x=1&key=k#f\r\n")
      support.get(port, "/none?sid=s")
      send(port, "GET /x?token=abc HTTP/1.1\r\n\r\n")
      send(port, "GET /x?token=abc and so on\r\n\r\n")
    end)
    local got = {}
    for i, e in ipairs(entries) do got[i] = e.target or e.request end
    assert.same({ "/x?password=REDACTED&x=1&access_token=REDACTED", "/none?sid=REDACTED",
      "GET /x?token=REDACTED HTTP/1.1", "GET /x?token=REDACTED on" }, got)
    assert.equal("http://r/a?x=1&key=REDACTED", entries[1].referer)
  end)

  it("gives entries one after the other, and server:stop waits for the last one", function()
    local app, seen, inside = web.app(), 0, 0
    app:get("/", function() return "" end)
    support.serving(app, function(port)
      for _ = 1, 5 do support.get(port, "/") end
    end, { access_log = function()
      inside = inside + 1
      assert(inside == 1)
      ml.sleep(0.002)
      inside = inside - 1
      seen = seen + 1
    end })
    assert.equal(5, seen)
  end)

  it("survives a function that fails: it is reported, and the next entry comes", function()
    local output = support.run [[
      local app, n = web.app(), 0
      app:get("/", function() return "" end)
      support.serving(app, function(port) for _ = 1, 2 do support.get(port, "/") end end,
        {access_log = function() n = n + 1 error("entry " .. n) end})
      print(n)]]
    assert.matches("moonloop: the function of access_log failed: [^\n]*entry 1\nstack traceback:", output)
    assert.matches("entry 2\nstack traceback:", output)
    assert.matches("2\n$", output)
  end)

  it("can be an option of the app, and is off when there is none", function()
    local entries = {}
    local app = web.app { access_log = function(entry) entries[#entries + 1] = entry end }
    app:get("/", function() return "" end)
    support.serving(app, function(port) support.get(port, "/") end)
    assert.equal(1, #entries)
    for _, value in ipairs { "apache", true, 1 } do
      assert.error_matches(function() web.app { access_log = value } end,
        "option 'access_log' of ml.web.app is .* %(expected 'common', 'json' or a function%)")
    end
  end)
end)

describe("the lines of the access log", function()
  --- What a process prints that serves with the log and is sent `bytes`.
  local function lines(format, bytes)
    return support.run(([[
      local app = web.app()
      app:use(web.request_id())
      app:any("/{rest:path}", function() return "text" end)
      local rawtcp = require "spec.support".rawtcp
      support.serving(app, function(port)
        local conn = rawtcp.connect(port)
        conn:send(%q)
        conn:receive("*a")
        conn:close()
      end, {access_log = %q})]]):format(bytes, format))
  end
  local function request(target, headers)
    return "GET " .. target .. " HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Request-Id: r1\r\n" ..
      (headers or "") .. "\r\n"
  end

  it("have the common format", function()
    local line = lines("common", request("/a?b", "Referer: http://r/\r\nUser-Agent: spec (1)\r\n"))
    assert.matches('^127%.0%.0%.1 %- %- %[%d%d/%a%a%a/%d%d%d%d:%d%d:%d%d:%d%d %+0000%] "GET /a%?b HTTP/1%.1" 200 4 ' ..
      '"http://r/" "spec %(1%)" %d%.%d%d%d%d%d%d "r1"\n$', line)
    assert.matches('"GET / HTTP/1%.1" 200 4 "%-" "%-" ', lines("common", request("/")))
  end)

  it("have the JSON format", function()
    local line = lines("json", request("/a?b", "Referer: http://r/\r\n"))
    local e = assert(json.decode((line:gsub("\n$", ""))))
    assert.same({ "127.0.0.1", "GET", "/a?b", "HTTP/1.1", 200, 4, "http://r/", "r1" },
      { e.client, e.method, e.target, e.protocol, e.status, e.bytes, e.referer, e.request_id })
  end)

  it("cannot be forged, whatever a client sends", function()
    local evil = 'x" 200 1 "\\\t\x80\xff\xc3\xa9\xed\xa0\x80'
    local line = lines("common", request("/", "User-Agent: " .. evil .. "\r\n"))
    assert.equal(1, select(2, line:gsub("\n", "")))
    assert.matches('"x\\x22 200 1 \\x22\\x5c\\x09\\x80\\xff\\xc3\\xa9\\xed\\xa0\\x80"', line, 1, true)
    line = lines("json", request("/", "User-Agent: " .. evil .. "\r\n"))
    assert.equal(1, select(2, line:gsub("\n", "")))
    assert.equal('x" 200 1 "\\\t\\x80\\xff\xc3\xa9\\xed\\xa0\\x80', assert(json.decode(line)).user_agent)
    evil = "a\u{9b}31m\u{2028}b\u{202e}c"
    line = lines("json", request("/", "User-Agent: " .. evil .. "\r\n"))
    assert.is_nil(line:find "[\x80-\xff]")
    assert.equal(evil, assert(json.decode(line)).user_agent)
  end)

  it("have the raw line if it is not a valid request", function()
    for _, format in ipairs { "common", "json" } do
      local line = lines(format, "\0\1\"GET\r\n\r\n")
      assert.equal(1, select(2, line:gsub("\n", "")))
      if format == "json" then
        assert.equal(400, assert(json.decode(line)).status)
      else
        assert.matches('"\\x00\\x01\\x22GET" 400 ', line, 1, true)
      end
    end
  end)
end)
