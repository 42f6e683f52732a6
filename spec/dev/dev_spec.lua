-- `moonloop dev`: what it says, errors as pages and who gets them.
local folders = require "spec.support.folder"
local json = require "moonloop.json"
local left = require "spec.support.left"
local processes = require "spec.support.process"
local served = require "spec.support.served"
local support = require "spec.support"
local web = require "spec.support.web"

local APP = [[
local ml = require "moonloop"
local app = ml.web.app { title = "Shop" }
local function price_of(item, password)
  local note = { text = "in the basket", depth = { { { "too deep" } } }, api_key = "k-1234567890" }
  local trap = setmetatable({}, { __tostring = function() error "evaluated" end, __index = error, __len = error,
    __pairs = error, __name = "Trap" })
  local long = ("x"):rep(5000)
  return item.price + item.count, trap, note, long, password
end
app:get("/", function() return { version = 1 } end)
app:get("/fail/{id:int}", function(req)
  local item = { id = req.params.id }
  return { price = price_of(item, "hunter2hunter2") }
end)
app:get("/task", function()
  ml.gather(function()
    local inner = "of the child"
    error "in a child task"
  end)
end)
app:get("/returned", function() return ml.json.decode "[" end)
app:get("/says", function(req) error("bad token " .. req.headers.authorization .. " <b>\xff</b>") end)
app:get("/group", function()
  ml.any(function() error("the first", 0) end, function() error("the second", 0) end)
end)
app:get("/teapot", function() ml.web.abort(418) end)
app:get("/deep", function()
  local function down(n) return 1 + down(n + 1) end
  return { down(1) }
end)
app:get("/coroutine", function()
  local next_one = coroutine.wrap(function() error "in a coroutine" end)
  next_one()
end)
app:get("/offloaded", { offload = true }, function() error "on another core" end)
app:get("/table", function() error { code = 7, password = "hunter2hunter2" } end)
app:get("/reset/{token}", function() error "no such token" end)
local admin = ml.web.app()
admin:get("/users", function() error "in a mounted app" end)
admin:websocket("/live", function() end)
app:mount("/admin", admin)
app:get("/literals", function()
  local url = "postgres://ann:PASSWORD-1@db:5432/shop"
  local long = ("-"):rep(170) .. " redis://:" .. ("PASSWORD-2"):rep(30) .. "@cache/0"
  local mail = "smtp://ann@shop.example:PASSWORD-5@mail:25"
  local options = { api_key = "PASSWORD-3", ["x-auth-token"] = 'PASSWORD-\'4', sort_key = "by name" }
  local later = "shown", url, long, options
  error("cannot connect to " .. url)
end)
return app
]]

--- Starts it in a folder with the files; gives the process and the folder. `first` is its first screen.
local function start(files, options)
  local folder = folders.new(files)
  local process = processes.start("dev app.lua --block-limit 0 --port 0 " .. (options or ""),
    ("export MOONLOOP_LOG=info,text; cd '%s';"):format(folder.path))
  local server = { folder = folder, process = process }
  function server:screen()
    local lines = {}
    for line in process.line, process do
      lines[#lines + 1] = line
      if line:find "^It starts anew" then break end
    end
    self.port = self.port or tonumber(lines[1]:match ":(%d+) ")
    return table.concat(lines, "\n")
  end
  return setmetatable(server, { __close = function()
    process:close()
    folder:close()
  end })
end

local BROWSER = "Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\n"

--- A response to a request of which the lines are part; with the header Host by default.
local function ask(port, target, lines, host)
  return assert(web.ask(port, ("GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n%s\r\n"):format(target,
    host or "127.0.0.1:" .. port, lines or "")))
end

describe("moonloop dev", function()
  it("says where the app, its routes, /docs and the inspector are", function()
    local server <close> = start { ["app.lua"] = APP }
    local screen = server:screen()
    assert.matches("^moonloop %S+: app%.lua on http://127%.0%.0%.1:%d+ %(Ctrl%-C stops%)\n", screen)
    assert.matches("\n  http://127%.0%.0%.1:%d+/docs  ", screen)
    assert.matches("\n  http://127%.0%.0%.1:%d+/#%x+  the inspector", screen)
    assert.matches("\n  GET     /fail/{id:int} +app%.lua:11\n", screen)
    assert.matches("\n  GET     /admin/users +app%.lua:%d+\n", screen)
    assert.matches("\n  SOCKET  /admin/live +app%.lua:4%d\n", screen)
    assert.is_nil(screen:find "openapi")
    assert.equal(200, ask(server.port, "/docs").status)
  end)

  it("waits for the fix of an error at its start, and of one later", function()
    local server <close> = start { ["app.lua"] = "return = 1" }
    local function wait_for(pattern)
      served.wait_until("it does not say " .. pattern, function() return server.process:errors():find(pattern) end)
    end
    wait_for "waiting for a change of the code"
    assert.matches("app%.lua:1: unexpected symbol", server.process:errors())
    folders.write(server.folder.path .. "/app.lua", APP)
    assert.matches("/fail/", server:screen())
    assert.equal('{"version":1}', ask(server.port, "/").body)
    folders.write(server.folder.path .. "/app.lua", "error 'at the start'")
    wait_for "the old workers continue"
    assert.equal('{"version":1}', ask(server.port, "/").body)
    folders.write(server.folder.path .. "/app.lua", (APP:gsub("version = 1", "version = 2")))
    wait_for "reloaded"
    served.wait_until("the new version", function() return ask(server.port, "/").body == '{"version":2}' end)
  end)

  it("runs the jobs of the app, in all its queues", function()
    local server <close> = start { ["app.lua"] = [[
      local ml = require "moonloop"
      local app, jobs, done = ml.web.app(), ml.jobs.new(ml.sql.open "sqlite:app.db"), ml.event()
      jobs:define("note", function() done:set() end)
      app:get("/push", function(req)
        done:clear()
        assert(jobs:push("note", {}, { queue = req.query.queue }))
        done:wait()
        return "done"
      end)
      return app]] }
    assert.matches("It runs the app's jobs, too%.\n", server:screen())
    for _, query in ipairs { "", "?queue=slow", "?queue=other", "?queue=slow" } do
      assert.equal("done", ask(server.port, "/push" .. query).body)
    end
    server.process:kill "TERM"
    served.wait_until("it does not end", function() return not left.is_alive(server.process.pid) end)
  end)

  it("refuses what it does not know, and an app that is not there", function()
    local output, status = processes.sh(("%s dev app.lua --port x 2>&1"):format(processes.quote(support.binary)))
    assert.equal(2, status)
    assert.matches("moonloop: dev: %-%-port must be .*Try 'moonloop dev %-%-help'", output)
    output, status = processes.sh(("%s dev no.lua 2>&1"):format(processes.quote(support.binary)))
    assert.same({ 1, "moonloop: dev: cannot read 'no.lua': No such file or directory\n" }, { status, output })
  end)
end)

describe("an error of a handler", function()
  local server
  setup(function()
    server = start { ["app.lua"] = APP }
    server:screen()
  end)
  teardown(function() getmetatable(server).__close() end)

  --- The page for a path.
  local function page(target, lines)
    local res = ask(server.port, target, BROWSER .. (lines or ""))
    assert.equal(500, res.status)
    assert.equal("text/html; charset=utf-8", res.headers["content-type"])
    return res.body, res
  end

  it("is a page with source and locals, in which secrets are hidden and nothing is evaluated", function()
    local body, res = page("/fail/7?q=1&token=abcd1234&code=90210-90210",
      "Cookie: id=0123456789\r\nX-Api-Key: 0123456789\r\n")
    assert.matches("app%.lua:8: attempt to perform arithmetic on a nil value", body)
    assert.matches('<span class="l it"><i>8</i>  return item%.price', body)
    assert.matches("<td>item</td><td>{id = 7}</td>", body)
    assert.matches("<td>note</td><td>{api_key = %(hidden%), depth = {{{%.%.%.}}}, text = &quot;in the basket&quot;}<",
      body)
    assert.matches("<td>trap</td><td>Trap {}</td>", body)
    assert.matches("xxx&quot; %.%.%. %(5000 bytes%)", body)
    assert.matches("<td>password</td><td>%(hidden%)</td>", body)
    assert.matches("<td>req</td><td>the request</td>", body)
    assert.matches("<td>x%-api%-key</td><td>%(hidden%)</td>", body)
    assert.matches("GET /fail/7%?q=1&amp;token=%(hidden%)&amp;code=%(hidden%)", body)
    for _, secret in ipairs { "hunter2", "abcd1234", "0123456789", "k-1234567890", "90210" } do
      assert.is_nil(body:find(secret, 1, true), secret)
    end
    local policy = res.headers["content-security-policy"]
    assert.matches("^default%-src 'none'; style%-src 'nonce%-", policy)
    assert(body:find('<style nonce="' .. policy:match "nonce%-([^']+)" .. '">', 1, true))
    assert.is_nil(body:find "<script")
    assert.equal("no-store", res.headers["cache-control"])
    assert.equal("DENY", res.headers["x-frame-options"])
    assert.equal("same-origin", res.headers["cross-origin-resource-policy"])
  end)

  it("of a child task shows both tasks", function()
    local body = page "/task"
    assert.matches("<td>inner</td><td>&quot;of the child&quot;</td>.*In the task that waited for it.*app%.lua:16", body)
  end)

  it("that was returned shows the handler", function()
    local body = page "/returned"
    assert.matches('<span class="kind">json</span>.*app%.lua:21.*it has returned the error', body)
  end)

  it("hides in messages what it hides elsewhere, and escapes", function()
    local body = page("/says", "Authorization: Bearer abcdefghijkl\r\n")
    assert.matches("bad token %(hidden%) &lt;b&gt;\\xFF&lt;/b&gt;", body)
    assert.is_nil(body:find("abcdefghijkl", 1, true))
  end)

  it("that comes out of a coroutine or from another core shows where", function()
    local body = page "/coroutine"
    assert.matches('"place">app%.lua:32.*"place">app%.lua:33.*next_one', body)
    assert.matches('"place">app%.lua:35<.*<span class="l it"><i>35</i>', (page "/offloaded"))
  end)

  it("that is a table is shown without what is secret in it", function()
    local body = page "/table"
    assert.matches('<span class="kind">error</span> {code = 7, password = %(hidden%)}', body)
    assert.is_nil(body:find("hunter2", 1, true))
  end)

  it("hides passwords of URLs, and texts in the source that are given to secret names", function()
    local body = page "/literals"
    assert.matches("cannot connect to postgres://ann:***@db:5432/shop", body, 1, true)
    assert.matches("<td>url</td><td>&quot;postgres://ann:***@db:5432/shop&quot;</td>", body, 1, true)
    assert.matches("- redis://:***@cache/0&quot;</td>", body, 1, true)
    assert.matches("<td>mail</td><td>&quot;smtp://ann@shop.example:***@mail:25&quot;</td>", body, 1, true)
    assert.matches('{ api_key = "(hidden)", ["x-auth-token"] = \'(hidden)\', sort_key = "by name" }',
      (body:gsub("&quot;", '"'):gsub("&#39;", "'")), 1, true)
    assert.is_nil(body:find "PASSWORD%-1")
    assert.is_nil(body:find "PASSWORD%-3")
    assert.is_nil(body:find "PASSWORD%-5")
    assert.is_nil(body:find "PASSWORD%-\\+'?&?#?39?;?4")
  end)

  it("hides secrets in paths", function()
    local body = page "/reset/s3cr3t-t0k3n"
    assert.matches("GET /reset/%(hidden%)", body)
    assert.is_nil(body:find("s3cr3t", 1, true))
  end)

  it("of a group shows its errors", function()
    local body = page "/group"
    assert.matches("one of the group: .*the first.*one of the group: .*the second", body)
  end)

  it("in a mounted app is a page, and a stack that overflows is, too", function()
    assert.matches("in a mounted app", (page "/admin/users"))
    assert.matches("stack overflow", (page "/deep"))
  end)

  it("is JSON for other clients", function()
    local res = ask(server.port, "/fail/7", "Accept: application/json\r\n")
    local body = json.decode(res.body)
    assert.equal("Internal Server Error", body.detail)
    assert.equal("app.lua:8", body.at)
    assert.matches("attempt to perform arithmetic", body.message)
    assert.matches("stack traceback:", body.traceback)
    for accept, is_page in pairs { ["text/html;q=0.3, application/json;q=0.4"] = false, ["text/htmlx"] = false,
      ["application/json;q=0.2, TEXT/HTML;q=0.4"] = true, ["text/html;q=0"] = false } do
      local text = ask(server.port, "/fail/7", ("Accept: %s\r\n"):format(accept)).body
      assert.equal(is_page, text:find("<!DOCTYPE", 1, true) ~= nil, accept)
    end
  end)

  it("says nothing to pages of elsewhere, other hosts' names and proxies", function()
    local function is_plain(lines, host)
      local res = ask(server.port, "/fail/7", BROWSER .. lines, host)
      assert.same({ 500, '{"detail":"Internal Server Error"}' }, { res.status, res.body }, lines)
    end
    is_plain("", "evil.example")
    is_plain("", "127.0.0.1.evil.example:80")
    is_plain("", "localhost.evil.example")
    is_plain("", web.machine_name())
    local named = ask(server.port, "http://evil.example/fail/7", BROWSER, "localhost") -- which counts before Host
    assert.equal('{"detail":"Internal Server Error"}', named.body)
    is_plain "Origin: https://evil.example\r\n"
    is_plain "Origin: null\r\n"
    is_plain "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\n"
    is_plain "X-Forwarded-For: 192.0.2.1\r\n"
    is_plain "Forwarded: for=192.0.2.1\r\n"
    for _, host in ipairs { "localhost:8000", "[::1]:80", "shop.localhost", "127.0.0.2", "LOCALHOST", "10.0.0.7" } do
      assert.matches("<!DOCTYPE", ask(server.port, "/fail/7", BROWSER, host).body)
    end
  end)

  it("that is an answer stays what it is, and a path without a route is a 404", function()
    for path, status in pairs { ["/teapot"] = 418, ["/nothing"] = 404 } do
      assert.equal(status, ask(server.port, path, BROWSER).status)
    end
  end)

  it("is a plain 500 of moonloop serve", function()
    local plain <close> = served.start { ["app.lua"] = APP }
    local res = ask(plain.port, "/fail/7", BROWSER)
    assert.same({ 500, '{"detail":"Internal Server Error"}' }, { res.status, res.body })
  end)
end)
