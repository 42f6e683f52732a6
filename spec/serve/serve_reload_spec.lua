-- New code for a server that runs: SIGHUP, and `moonloop serve --reload`.
local http2 = require "spec.support.http2"
local json = require "moonloop.json"
local left = require "spec.support.left"
local ml = require "moonloop"
local served = require "spec.support.served"
local web = require "spec.support.web"

-- An app that answers with its version, and with its module's. /slow waits for the file "go".
local function app(version)
  return ([[
    local ml = require "moonloop"
    local app = ml.web.app()
    local part = require "part"
    app:get("/", function() return { version = %d, part = part } end)
    app:get("/slow", function()
      io.stderr:write("in the handler\n")
      while not io.open "go" do ml.sleep(0.01) end
      for _ = 1, 3 do ml.sleep(0.001) end -- what the worker was told before is seen by now
      return { version = %d }
    end)
    app:get("/stuck", function() io.stderr:write("in the handler\n") ml.sleep(1000) end)
    app:on_stop(function() io.stderr:write("version %d ends\n") end)
    return app]]):format(version, version, version)
end

local function start(options)
  return served.start({ ["app.lua"] = app(1), ["part.lua"] = "return 1" }, options)
end

local function answer(server) return json.decode(server:get().body) end

local function wait_for_version(server, version)
  served.wait_until("version " .. version .. " does not come: " .. server:errors(), function()
    return answer(server).version == version
  end)
end

describe("SIGHUP", function()
  it("starts workers with the new code, then lets the old ones end", function()
    local server <close> = start "--workers 2"
    server:write("app.lua", app(2))
    assert.equal(1, answer(server).version)
    server:kill "HUP"
    server:wait_for("version 1 ends", 2)
    assert.equal(2, answer(server).version)
    assert.matches("moonloop: reloaded: 2 new workers of generation 2\n", server:errors())
    assert.matches("worker 1, pid %d+: serving, generation 2,.*worker 2, pid %d+: serving, generation 2,", server:ps())
    server:kill "TERM"
    assert.equal(0, (server:finish()))
  end)

  it("lets running requests of the old workers end, and answers idle connections once more", function()
    local server <close> = start "--workers 1 --drain 100"
    local idle <close> = server:connect()
    local busy <close> = server:connect()
    assert.equal("keep-alive", served.ask(idle).headers.connection or "keep-alive")
    local slow = ml.spawn(served.ask, busy, "/slow")
    server:wait_for "in the handler"
    server:write("app.lua", app(2))
    server:kill "HUP"
    server:wait_for "reloaded"
    server:write("go", "")
    local res = slow:await()
    assert.same({ version = 1 }, json.decode(res.body))
    assert.equal("close", res.headers.connection)
    assert.equal(2, answer(server).version)
    res = served.ask(idle)
    assert.equal(1, json.decode(res.body).version)
    assert.equal("close", res.headers.connection)
    assert.equal("", idle:receive "*a")
    server:wait_for "version 1 ends"
  end)

  it("answers all requests of a pipeline that has come before", function()
    local server <close> = start "--workers 1 --drain 100"
    local conn <close> = server:connect()
    assert(conn:send(web.request("GET", "/slow") .. web.request("GET", "/") .. web.request("GET", "/")))
    server:wait_for "in the handler"
    server:kill "HUP"
    server:wait_for "reloaded"
    server:write("go", "")
    local first, second, third = web.receive(conn), web.receive(conn), web.receive(conn)
    assert.same({ 200, 200, 200 }, { first.status, second.status, third.status })
    assert.is_nil(second.headers.connection)
    assert.equal("close", third.headers.connection)
  end)

  it("says goodbye to HTTP/2 twice, and loses no request of it", function()
    local server <close> = start "--workers 1 --drain 100 --http2 clear"
    local client <close> = http2.connect(server.port)
    local slow = client:ask("GET", "/slow")
    server:wait_for "in the handler"
    server:write("app.lua", app(2))
    server:kill "HUP"
    server:wait_for "reloaded"
    assert(client:read_until(function(frame) return frame.type == http2.GOAWAY end))
    assert.same({ 2^31 - 1, http2.NO_ERROR }, client.goaway)
    local late = client:ask("GET", "/") -- as one that was on its way
    local ping = assert(client:read_until(function(frame)
      return frame.type == http2.PING and frame.flags & http2.ACK == 0
    end))
    client:send(http2.PING, http2.ACK, 0, ping.payload)
    assert(client:read_until(function(frame) return frame.type == http2.GOAWAY end))
    assert.equal(http2.NO_ERROR, client.goaway[2])
    if client.goaway[1] >= late then
      local status, body = client:response(late)
      assert.same({ 200, { version = 1, part = 1 } }, { status, json.decode(body) })
    else
      assert.equal(slow, client.goaway[1]) -- it took us too long: we are told to ask again
    end
    server:write("go", "")
    local status, body = client:response(slow)
    assert.same({ 200, { version = 1 } }, { status, json.decode(body) })
    assert.equal(http2.NO_ERROR, client:end_code())
    server:wait_for "version 1 ends"
    assert.equal(2, answer(server).version)
    server:kill "TERM"
    assert.equal(0, (server:finish()))
  end)

  it("closes idle connections when the drain limit is over, and cancels what still runs", function()
    local server <close> = start "--workers 1 --drain 0.2"
    local idle <close> = server:connect()
    served.ask(idle)
    local stuck = ml.spawn(server.get, server, "/stuck")
    server:wait_for "in the handler"
    server:kill "HUP"
    server:wait_for "version 1 ends"
    assert.equal("", idle:receive "*a")
    assert.equal(503, stuck:await().status)
    assert.equal(1, answer(server).version)
  end)

  it("keeps the old workers if the new code fails, shows why, and takes the next code that works", function()
    local server <close> = start "--workers 2"
    for i, source in ipairs { "return {", "error 'not today'", "return 1" } do
      server:write("app.lua", source)
      server:kill "HUP"
      server:wait_for("the old workers continue", i)
      assert.equal(1, answer(server).version)
    end
    local text = server:errors()
    assert.equal(1, select(2, text:gsub("app.lua:1: unexpected symbol near <eof>\n", "")))
    assert.equal(1, select(2, text:gsub("moonloop: app.lua:1: not today\n", "")))
    assert.equal(1, select(2, text:gsub("app.lua returned a number, not an app", "")))
    assert.is_nil(text:find("version 1 ends", 1, true))
    server:write("app.lua", app(2))
    server:kill "HUP"
    server:wait_for("version 1 ends", 2)
    assert.equal(2, answer(server).version)
  end)

  it("lets ready new workers answer their clients if others fail and all are abandoned", function()
    local server <close> = start "--workers 2"
    server:write("app.lua", [[
      local ml = require "moonloop"
      if os.getenv "MOONLOOP_WORKER" == "2" then
        while not io.open "fail" do ml.sleep(0.01) end
        error "not here"
      end
      ]] .. app(2))
    server:kill "HUP"
    local conn, res
    served.wait_until("the new worker does not answer", function()
      conn = server:connect()
      res = served.ask(conn)
      if json.decode(res.body).version == 2 then return true end
      conn:close()
    end)
    local new <close> = conn -- luacheck: ignore
    server:write("fail", "")
    server:wait_for "the old workers continue"
    res = served.ask(conn)
    assert.equal(2, json.decode(res.body).version)
    assert.equal("close", res.headers.connection)
    wait_for_version(server, 1)
  end)

  it("is ignored by a worker if it is sent to all processes", function()
    local server <close> = start "--workers 1"
    local conn <close> = server:connect()
    served.ask(conn)
    server:kill("HUP", server:ps():match "worker 1, pid (%d+)")
    assert.equal(1, json.decode(served.ask(conn).body).version)
    assert.equal("", server:errors())
  end)

  it("leaves the supervisor without descriptors of old workers", function()
    local server <close> = start "--workers 2"
    local before = left.descriptors(server.pid)
    for i = 1, 4 do
      server:kill "HUP"
      server:wait_for("version 1 ends", 2 * i)
    end
    served.wait_until("descriptors are left", function() return left.descriptors(server.pid) == before end)
  end)

  it("starts over if it comes again before the new workers are ready", function()
    local server <close> = start "--workers 1"
    server:write("app.lua", 'io.stderr:write("loading\\n") require "moonloop".sleep(1000)')
    server:kill "HUP"
    server:wait_for "loading"
    server:write("app.lua", app(3))
    server:kill "HUP"
    server:wait_for "version 1 ends"
    assert.equal(3, answer(server).version)
  end)

  it("does not delay a stop if the old workers have idle connections", function()
    local server <close> = start "--workers 1 --drain 1000"
    local idle <close> = server:connect()
    served.ask(idle)
    server:kill "HUP"
    server:wait_for "reloaded"
    server:kill "TERM"
    assert.equal(0, (server:finish()))
    assert.equal("", idle:receive "*a")
  end)

  it("drops no request: each of many clients gets an answer to each, through five reloads", function()
    local server <close> = start "--workers 2"
    local over, counts, dropped = false, { kept = 0, new = 0 }, {}
    local function note(kind, res, why)
      counts[kind] = counts[kind] + 1
      if res and res.status == 200 then return end
      dropped[#dropped + 1] = kind .. ": " .. tostring(res and res.status or why)
    end
    -- Each request on a connection that has served others, until the server wants it closed.
    local function keep(pause)
      while not over do
        local conn <close> = server:connect()
        repeat
          local res, why = served.ask(conn)
          note("kept", res, why)
          ml.sleep(pause)
        until over or not res or res.headers.connection == "close"
      end
    end
    local function connect()
      while not over do
        local conn <close> = server:connect()
        assert(conn:send(web.request("GET", "/", "Connection: close\r\n")))
        note("new", web.receive(conn))
      end
    end
    local tasks = {}
    for i = 1, 4 do
      tasks[#tasks + 1] = ml.spawn(keep, 0)
      tasks[#tasks + 1] = ml.spawn(keep, 0.01 * i)
      tasks[#tasks + 1] = ml.spawn(connect)
    end
    for i = 1, 5 do
      server:write("app.lua", app(1 + i))
      server:kill "HUP"
      server:wait_for("version " .. i .. " ends", 2)
      assert.equal(1 + i, answer(server).version)
    end
    over = true
    for _, task in ipairs(tasks) do task:await() end
    assert.same({}, dropped)
    assert.is_true(counts.kept > 100 and counts.new > 20, counts.kept .. ", " .. counts.new)
    server:kill "TERM"
    assert.equal(0, (server:finish()))
  end)
end)

describe("serve --reload", function()
  it("serves with one worker if no number is given, and reloads the code when the app's file changes", function()
    local server <close> = start "--reload"
    assert.matches("with 1 worker %(", server.line)
    server:write("app.lua", app(2))
    server:wait_for "version 1 ends"
    assert.equal(2, answer(server).version)
    assert.matches("moonloop: %S+/app.lua has changed\n", server:errors())
  end)

  it("reloads when a module changes, even one required later", function()
    local server <close> = served.start({
      ["app.lua"] = app(1):gsub("return app$", 'app:get("/late", function() return (require "late") end) return app'),
      ["part.lua"] = "return 1", ["late.lua"] = "return 'one'" }, "--reload --workers 2")
    server:write("part.lua", "return 22")
    server:wait_for("version 1 ends", 2)
    assert.equal(22, answer(server).part)
    assert.equal("one", server:get("/late").body)
    server:write("late.lua", "return 'three'")
    server:wait_for("version 1 ends", 4)
    assert.equal("three", server:get("/late").body)
  end)

  it("reads the settings again when a .env file changes", function()
    local text = app(1):gsub("local part =", [[
      local settings = ml.settings { { part = ml.schema.int() }, dotenv = ".env" }
      local part = settings.part or]])
    local server <close> = served.start({ ["app.lua"] = text, ["part.lua"] = "", [".env"] = "PART=5" }, "--reload")
    assert.equal(5, answer(server).part)
    server:write(".env", "PART=66")
    server:wait_for "version 1 ends"
    assert.equal(66, answer(server).part)
  end)

  it("sees a file that is replaced by another", function()
    local server <close> = start "--reload"
    for version = 2, 3 do
      server:write("new", app(version))
      assert(os.rename(server.path .. "/new", server.path .. "/app.lua"))
      server:wait_for("version " .. version - 1 .. " ends")
      assert.equal(version, answer(server).version)
    end
  end)

  it("tries again when the file that did not load is corrected, even a new module's", function()
    local server <close> = start "--reload"
    server:write("other.lua", "return {")
    server:write("app.lua", 'require "other"\n' .. app(2))
    server:wait_for "the old workers continue"
    assert.equal(1, answer(server).version)
    server:write("other.lua", "return {}")
    server:wait_for "version 1 ends"
    assert.equal(2, answer(server).version)
  end)

  it("does not care about other files, and files that are only touched by readers", function()
    local server <close> = start "--reload"
    server:write("notes.txt", "x")
    server:write("unused.lua", "return {")
    assert(os.execute(("chmod 600 '%s/app.lua'"):format(server.path)))
    server:write("app.lua", app(2)) -- this is seen later than they would be
    server:wait_for "version 1 ends"
    assert.equal(1, select(2, server:errors():gsub("has changed", "")))
    wait_for_version(server, 2)
  end)
end)
