-- The examples, run as a reader would run them.
local ml = require "moonloop"
local examples = require "spec.support.examples"
local folders = require "spec.support.folder"
local process = require "spec.support.process"
local support = require "spec.support"
local tls = require "spec.support.tls"

--- Runs an example to its end: what it printed, errors included.
local function run(name, arguments)
  local command = ("'%s' run --block-limit 0 scripts/examples/%s %s"):format(support.binary, name, arguments or "")
  local output, status = process.sh(command)
  assert.equal(0, status, command .. " failed:\n" .. output)
  return output
end

describe("the example", function()
  it("fetch.lua gets the same answers one after the other and at once", function()
    local output = run "fetch.lua"
    assert.matches("one after the other: 1 2 3 in %d", output)
    assert.matches("at once: +1 2 3 in %d", output)
  end)

  it("client.lua tries again, and streams both ways", function()
    local output, reports = run("client.lua"):gsub("moonloop: GET /status failed: [^\n]*503[^\n]*\n", "")
    assert.equal([[
GET	status	503
GET	status	503
GET	status	200
attempts:	3
POST	upper	200
ONE TWO THREE
]], output)
    assert.equal(2, reports)
  end)

  it("gather_errors.lua shows the first failure, and each in its place", function()
    assert.equal([[
fail-fast:	false	cannot divide 1 by zero
job 1 gave 42
job 2 failed: cannot divide 1 by zero
job 3 gave 3
]], run "gather_errors.lua")
  end)

  it("background.lua works on while something else is done", function()
    local output = run "background.lua"
    assert.matches("^the report is pending\n  wrote page 1\n", output)
    assert.matches("meanwhile, something else; the report is suspended\n", output)
    assert.matches("the report has 3 pages and is done\n$", output)
  end)

  it("timeout.lua ends in time, and cleans up", function()
    assert.equal([[
  (the cup is put away)
tea, after 1 minutes
  (the cup is put away)
nil	timeout
]], run "timeout.lua")
  end)

  it("pool.lua maps, reports progress, and interrupts jobs", function()
    assert.equal([[
1	2	3
1 of 3
2 of 3
3 of 3
words:	6
nil	timeout: not finished after 0.1 s
false	cpu: more than 0.1 s of CPU time
done: 4
]], run "pool.lua")
  end)

  it("offload.lua counts on other cores while the loop is free", function()
    assert.equal([[
primes up to 200,000: 17984
the loop was free meanwhile: true
]], run "offload.lua")
  end)

  it("echo.lua gets back what it says", function()
    assert.equal("one two three\n", run "echo.lua")
  end)

  it("mail.lua takes a mail, and refuses others", function()
    assert.equal([[
220 moonloop
250 good day, client.example
250 ok
250 ok
250 ok
354 end it with a dot on a line of its own
250 taken
221 bye
220 moonloop
250 good day, client.example
250 ok
503 not now
false	503 not now
nil	that is no address
ann@example.com -> ben@example.com, cleo@example.com
Subject: tea

At five?
.hidden files are welcome
]], run "mail.lua")
  end)

  it("health_check.lua tells the well from the others", function()
    -- On a busy machine a service that is well may take too long.
    local output = run("health_check.lua"):gsub("well %d+: timeout\n", "")
    assert.matches("^ill: .-\nsilent: timeout\nof another kind: .-\ngone: %S+\n%d+ of 24 are well\n$", output)
    assert.matches("^127.0.0.1:1: %S+\n0 of 1 are well\n$", run("health_check.lua", "127.0.0.1:1"))
  end)

  --- The connection to an example that says where it listens.
  local function connect(port)
    local conn = assert(ml.net.connect("127.0.0.1", port))
    conn.timeout = 60
    return conn
  end

  --- Starts an example that serves until a signal ends it. Returns the process and its port.
  local function start(name, arguments)
    local example = process.start(("run --block-limit 0 scripts/examples/%s %s"):format(name, arguments or ""))
    return example, math.tointeger(example:line():match "^listening on 127%.0%.0%.1 port (%d+)$")
  end

  it("chat.lua passes lines on to the others, and ends at a signal", function()
    local chat <close>, port = start "chat.lua"
    local function join(name)
      local conn = connect(port)
      assert.equal("Your name? ", conn:read_until "? ")
      conn:write(name, "\n")
      return conn
    end
    local ann <close> = join "Ann"
    assert.equal("* Ann is here", ann:read())
    local other <close> = join "Ann"
    assert.equal("A name is a word that nobody else has.", other:read())
    assert.equal("Your name? ", other:read_until "? ")
    other:write "Ben\n"
    assert.equal("* Ben is here", other:read())
    assert.equal("* Ben is here", ann:read())
    other:write "good day\n"
    assert.equal("Ben: good day", ann:read())
    other:close()
    assert.equal("* Ben has left", ann:read())
    chat:kill "TERM"
    assert.equal("* the chat is over\n", ann:read "a")
    local _, status, errors = chat:wait()
    assert.equal(0, status)
    assert.equal("", errors)
  end)

  it("client_certificates.lua knows its clients by their certificates", function()
    local made <close> = tls.certificates {
      localhost = {}, ann = {}, ben = {}, eve = {}, mallory = { signer = "self" } }
    local server <close> = process.serve("scripts/examples/client_certificates.lua", nil,
      ("export CERTIFICATES='%s';"):format(made.path))
    --- What the server answers to a request of the client with this certificate; "" if it does not.
    local function ask(name, request, body)
      local options = { "-quiet", "-CAfile", made.ca }
      if made[name] then table.move({ "-cert", made[name].cert, "-key", made[name].key }, 1, 4, 4, options) end
      local input = ("%s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s"):format(
        request, #(body or ""), body or "")
      return tls.client(server.port, input, table.unpack(options)):match "HTTP/1.1 .*\r\n\r\n(.*)$" or ""
    end
    local answer = ml.json.decode(ask("ann", "GET /"))
    assert.same({ "ann", 0 }, { answer.name, answer.notes })
    assert.is_true(ml.time.parse(answer.valid_until) > os.time()) -- ml.time may be ahead of the machine
    assert.equal('{"id":1}', ask("ann", "POST /notes", "tea"))
    assert.matches("ben may only read", ask("ben", "POST /notes", "tea"))
    assert.matches("eve has nothing to do here", ask("eve", "GET /"))
    assert.equal("", ask("mallory", "GET /"))
    assert.equal("", ask("nobody", "GET /"))
  end)

  describe("tcp_proxy.lua", function()
    --- Calls body(connect) with a proxy in front of a server that runs f(conn) for each connection.
    local function proxied(f, body)
      local server <close> = assert(ml.net.listen("127.0.0.1", 0, f))
      local proxy <close>, port = start("tcp_proxy.lua", ("0 127.0.0.1 %d"):format(select(2, server:address())))
      body(function() return connect(port) end)
      local _, status, errors = proxy:stop()
      assert.equal(0, status, errors)
      assert.equal("", errors)
    end

    it("passes on both ways, and the ends", function()
      proxied(function(conn) conn:write(conn:read("a"):upper()) end, function(open)
        local conn <close> = open()
        conn:write "from one "
        conn:write "end to the other"
        conn:shutdown()
        assert.equal("FROM ONE END TO THE OTHER", conn:read "a")
      end)
    end)

    it("reads no faster than the other side takes it", function()
      local MB, written, done = ("x"):rep(1 << 20), 0, false
      proxied(function(conn)
        for _ = 1, 100 do
          conn:write(MB)
          written = written + 1
        end
        done = true
      end, function(open)
        local conn <close> = open()
        assert.equal("x", conn:read(1))
        ml.sleep(0.3)
        assert.is_true(written < 100) -- the rest waits in the server
        assert.equal(100 * #MB - 1, #conn:read "a")
        assert.is_true(done)
      end)
    end)

    it("closes the client's connection when there is nobody to pass it on to", function()
      local closed = assert(ml.net.listen("127.0.0.1", 0))
      local _, nobody = closed:address()
      closed:stop()
      local proxy <close>, port = start("tcp_proxy.lua", "0 127.0.0.1 " .. nobody)
      local conn <close> = connect(port)
      assert.equal("", conn:read "a")
      local output, status = proxy:stop()
      assert.equal(0, status)
      assert.matches("ECONNREFUSED", output)
    end)

    it("says what it wants to know", function()
      local output, status = process.sh(("'%s' run scripts/examples/tcp_proxy.lua"):format(support.binary))
      assert.equal("usage: tcp_proxy.lua PORT TARGET TARGET_PORT\n", output)
      assert.equal(2, status)
    end)
  end)

  describe("app.lua", function()
    local server, url

    lazy_setup(function()
      local app = dofile "scripts/examples/app.lua"
      server = assert(ml.web.listen(app, { port = 0 }))
      url = "http://127.0.0.1:" .. server.port
    end)

    lazy_teardown(function() server:stop() end)

    local function get(path)
      local res = assert(ml.http.get(url .. path))
      assert.equal(200, res.status)
      return res
    end

    it("answers in text and in JSON", function()
      assert.equal("Hello, World!", get("/plaintext").body)
      assert.same({ message = "Hello, World!", n = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 } }, get("/json"):json())
      assert.same({ id = "42", q = "a b" }, get("/users/42?q=a%20b"):json())
    end)

    it("sums a list, and says what is wrong with another body", function()
      local function post(body)
        return assert(ml.http.post(url .. "/sum", { body = body, headers = { ["Content-Type"] = "application/json" } }))
      end
      assert.same({ sum = 42 }, post('{"items": [1, 2, 39]}'):json())
      local function refused(body, kind, ...)
        local res = post(body)
        local err = res:json().detail[1]
        assert.same({ 422, kind, { "body", ... } }, { res.status, err.type, err.loc })
      end
      refused('{"items": [1,', "json_invalid", 13)
      refused("[]", "model_attributes_type")
      refused('{"items": [1, "2"]}', "float_type", "items", 1)
    end)

    it("spends its tenth of a second in three ways", function()
      for _, way in ipairs { "blocking", "offload", "async" } do
        assert.same({ done = true }, get("/test/" .. way):json())
      end
    end)
  end)

  it("stream.lua makes bodies while they are sent", function()
    local web = require "spec.support.web"
    web.serving(dofile "scripts/examples/stream.lua", function(port)
      assert.equal("ABC", web.post(port, "/upper", "abc").body)
      assert.equal("n,square\r\n1,1\r\n2,4\r\n3,9\r\n", web.get(port, "/squares.csv?rows=3").body)
    end)
  end)

  it("upload.lua saves files and counts them in a cookie", function()
    local folder <close> = folders.new {}
    local export = ("export UPLOADS='%s';"):format(folder.path)
    local server <close> = process.serve("scripts/examples/upload.lua", nil, export)
    local url, cookie = server.url, nil
    local form = assert(require "moonloop.http.multipart".form {
      { name = "note", value = "hi" }, { name = "files", filename = "a.txt", body = "one" },
      { name = "files", filename = "", body = "" }, { name = "files", filename = "b.txt", body = "two" } })
    for _ = 1, 2 do
      local res = assert(ml.http.post(url, { body = form:text(), follow_redirects = false,
        headers = { ["Content-Type"] = form.content_type, Cookie = cookie } }))
      assert.equal(303, res.status)
      cookie = res.headers["set-cookie"][1]:match("^[^;]+")
    end
    assert.matches("You have sent 4 files", assert(ml.http.get(url, { headers = { Cookie = cookie } })).body)
    assert.matches("You have sent 0 files", assert(ml.http.get(url, { headers = { Cookie = cookie .. "0" } })).body)
    local output, status, errors = server:stop()
    assert.equal(0, status, errors)
    local _, lines = output:gsub('"[ab].txt": 3 bytes in ', "")
    assert.equal(4, lines)
    assert.equal(0, select(2, process.sh("cat " .. folder.path .. "/upload-*")))
  end)

  it("api.lua has users, ids, its own errors and tasks that outlive the response", function()
    local common = require "spec.support.web"
    local printed, real = {}, print
    _G.print = function(text) printed[#printed + 1] = text end -- luacheck: ignore
    local ok, err = pcall(common.serving, dofile "scripts/examples/api.lua", function(port, server)
      local ann = "Authorization: Bearer ann-secret\r\nOrigin: https://app.example.com\r\n"
      local res = common.get(port, "/api/notes")
      assert.same({ 401, 32 }, { res.status, #res.headers["x-request-id"] })
      assert.equal("[]", common.get(port, "/api/notes", ann).body)
      res = common.post(port, "/api/notes", '"buy tea"', ann)
      assert.same({ 201, '{"id":1}' }, { res.status, res.body })
      assert.equal("https://app.example.com", res.headers["access-control-allow-origin"])
      assert.equal('["buy tea"]', common.get(port, "/api/notes", ann).body)
      assert.equal(400, common.post(port, "/api/notes", "{", ann).status)
      res = common.get(port, "/none")
      assert.same({ 404, '{"error":"nothing at /none"}' }, { res.status, res.body })
      server:stop()
    end)
    _G.print = real -- luacheck: ignore
    assert(ok, err)
    assert.same({ "indexed a note of ann" }, printed)
  end)

  it("site.lua sends its files", function()
    local site = require "spec.support.web"
    site.serving(dofile "scripts/examples/site.lua", function(port)
      assert.matches("<h1>A site</h1>", site.get(port, "/").body)
      assert.equal("text/css; charset=utf-8", site.get(port, "/style.css").headers["content-type"])
      local res = site.get(port, "/source", "Range: bytes=0-3\r\n")
      assert.same({ 206, "-- A" }, { res.status, res.body })
    end)
  end)

  it("build.lua streams what a program prints, and ends it with the client", function()
    local folder <close> = folders.new {}
    local build = ("echo one; echo two >&2; echo $$ >'%s/pid'; exit 3"):format(folder.path)
    local function serve()
      return process.serve("scripts/examples/build.lua", nil, ("export BUILD=%s;"):format(process.quote(build)))
    end
    local server <close> = serve()
    assert.equal('event: line\ndata: one\n\nevent: line\ndata: two\n\nevent: done\ndata: {"code":3,"ok":false}\n\n',
      (assert(ml.http.get(server.url .. "/build")).body:gsub('"ok":false,"code":3', '"code":3,"ok":false')))
    server:close()

    build = ("echo $$ >'%s/pid'; while :; do echo up; sleep 0.01; done"):format(folder.path)
    local other <close> = serve()
    local res = assert(ml.http.get(other.url .. "/build", { stream = true }))
    assert.matches("data: up", res:chunks()())
    res:close()
    local pid = folders.read(folder.path .. "/pid"):match "%d+"
    assert.is_true(ml.timeout(60, function()
      while os.execute(("kill -0 %s 2>/dev/null"):format(pid)) do ml.sleep(0.01) end
      return true
    end))
  end)

  it("benchmark.lua gets all its answers from app.lua as it is served", function()
    local server <close> = process.serve "scripts/examples/app.lua"
    local output = run("benchmark.lua", server.url .. " 4")
    local _, status, errors = server:stop()
    assert.equal(0, status, errors)
    for _, way in ipairs { "blocking", "offload", "async" } do
      assert.matches("/test/" .. way .. " +[%d.]+ +[%d.]+ +4/4\n", output)
    end
  end)
end)

describe("the README", function()
  local text = folders.read "README.md"

  -- What the tour's examples are about. The client's asks one that is here.
  local items, db
  setup(function()
    local app = ml.web.app()
    app:post("/v1/items", function() return { id = 7 }, 201 end)
    items = assert(ml.web.listen(app, { port = 0 }))
    db = ml.sql.open "sqlite::memory:"
    assert(db:script "create table orders (id integer primary key, item text, paid boolean)")
  end)
  teardown(function()
    items:stop(0)
    db:close()
  end)
  local function names()
    local function answer(...) return ... end
    local client = setmetatable({
      client = function(options)
        options.base_url = options.base_url:gsub("https://example.com", "http://127.0.0.1:" .. items.port)
        return ml.http.client(options)
      end,
    }, { __index = ml.http })
    return {
      ml = setmetatable({ http = client }, { __index = ml }), app = ml.web.app(), print = answer,
      fetch_user = answer, fetch_orders = answer, id = 1, fetch_prices = answer, fetch_stock = answer,
      fetch_page = answer, url = "http://127.0.0.1/", find_user = answer, text = "two words",
      db = db, send_receipt = answer,
    }
  end
  for _, example in ipairs(examples.of("README.md", names)) do it(example.name, example.run) end

  it("has a first app that is served, and answers as it says", function()
    local folder <close> = folders.new { ["app.lua"] = text:match "## A first app.-\n```lua\n(.-)```\n" }
    local path, answer = text:match "\ncurl http://127%.0%.0%.1:8000(%S+) +# ([^\n]+)"
    local server <close> = process.serve(folder.path .. "/app.lua")
    local message = ml.json.decode(answer).message
    assert.equal(message, assert(ml.http.get(server.url .. path)):json().message)
  end)

  it("names files and sections that exist", function()
    for name in text:gmatch "%]%(([%w./_-]+)%)" do assert(io.open(name), name):close() end
    for name in text:gmatch "`([%w_/]+%.lua)`" do
      if name:find "/" then assert(io.open(name), name):close() end
    end
    for anchor in text:gmatch "%]%(#([%w-]+)%)" do
      assert.matches("\n## " .. anchor:gsub("%-", " "), text:lower(), 1, false)
    end
  end)
end)
