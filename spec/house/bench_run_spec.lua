-- bench/run, with few peers and short rounds: that it works, not what it measures.
local folders = require "spec.support.folder"
local process = require "spec.support.process"
local support = require "spec.support"

--- Runs bench/run; the folder with its report, what it printed, its exit status.
local function run(folder, options)
  local output, status = process.sh(("bench/run --moonloop %s --npm %s --out %s %s"):format(
    process.quote(support.binary), folder.path, folder.path, options))
  return output, status
end

--- The report of a run with an app in the place of moonloop's own; FOLDER/pid is its server's process.
local function report_of_app(folder, app, options)
  folders.write(folder.path .. "/app.lua", app)
  folders.write(folder.path .. "/moonloop", ([[#!/bin/sh
    [ "$1" = serve ] || exec %s "$@"
    echo $$ >%s/pid
    exec %s serve %s/app.lua --port "$4"
  ]]):format(support.binary, folder.path, support.binary, folder.path))
  assert(os.execute("chmod +x " .. folder.path .. "/moonloop"))
  local output, status = run(folder, ("--peers moonloop --moonloop %s/moonloop %s"):format(folder.path, options))
  assert.equal(0, status, output)
  return folders.read(folder.path .. "/results.md")
end

local function exists(program) return os.execute(("command -v %s >/dev/null"):format(program)) end

describe("bench/shop", { timeout = 300 }, function()
  if not exists "/usr/bin/python3" then
    pending "needs Python: scripts/setup.sh --dev"
    return
  end

  it("puts the shop under load on both databases, and counts no errors", function()
    local output, status = process.sh(("bench/shop --seconds 1 --customers 3 --moonloop %s"):format(
      process.quote(support.binary)))
    assert.equal(0, status, output)
    assert.matches("| an order: p50, p99 | [%d.]+ ms, [%d.]+ ms |", output)
    assert.matches("| errors | 0 |", output)
  end)
end)

describe("bench/instructions", { timeout = 300 }, function()
  if not exists "/usr/bin/python3" or not exists "valgrind" or not support.binary:find("/release/", 1, true) then
    pending "needs Python, valgrind and the release build"
    return
  end

  it("counts the instructions of requests", function()
    local output, status = process.sh(("bench/instructions --runs 1 %s"):format(process.quote(support.binary)))
    assert.equal(0, status, output)
    for _, path in ipairs { "/plaintext", "/json" } do
      assert.matches("%f[^%c%z]" .. path .. " %S+: %d,%d+ %(%d,%d+ to %d,%d+%)\n", output)
    end
  end)
end)

describe("bench/run", function()
  if not exists "/usr/bin/python3" or not exists "wrk" then
    pending "needs Python and wrk: scripts/setup.sh --dev"
    return
  end

  it("writes a table with every figure, and a chart that is XML; a missing peer is noted in both lists", function()
    local folder <close> = folders.new {}
    local output, status = run(folder, "--quick --only plaintext,start --peers fastify --disturbance 99")
    assert.equal(0, status, output)
    local report = folders.read(folder.path .. "/results.md")
    assert.matches("\n%d+ %a+ %d%d%d%d, .*, %d+ cores?, ", report)
    local time = "[%d.]+ [µm]*s"
    local row = "| %%*%%*plaintext%%*%%* | moonloop | %s | [%%d,]+ | %s | %s | [%%d.]+ MB |\n"
    assert.matches(row:format(time, time, time), report)
    assert.matches("|  | Fastify | missing |", report)
    assert.matches("| %*%*start of an empty program%*%* | moonloop | [%d.]+ m?s |", report)
    assert.matches("\n%- Fastify: not found: ", report)
    assert.matches("\n%- moonloop: moonloop %d", report)
    local svg = folder.path .. "/results.svg"
    local parsed, parse_status = process.sh(
      ("/usr/bin/python3 -c 'import sys, xml.dom.minidom as x; x.parse(sys.argv[1])' %s"):format(svg))
    assert.equal(0, parse_status, parsed)
    assert.matches(">plaintext</text>", folders.read(svg))
  end)

  it("counts new TLS connections", function()
    if not exists "openssl" or not exists "cc" then return pending "needs openssl and a compiler" end
    local folder <close> = folders.new {}
    local output, status = run(folder, "--quick --only tls-full --peers moonloop --disturbance 99")
    assert.equal(0, status, output)
    assert.matches("full handshakes%*%* | moonloop | [%d.]+ [µm]*s | [%d,.]+ |  |  | [%d.]+ MB |",
      folders.read(folder.path .. "/results.md"))
  end)

  it("refuses to print a figure whose round was disturbed, after trying again", function()
    local folder <close> = folders.new {}
    local output, status = run(folder, "--quick --only start --peers moonloop --disturbance=-1")
    assert.equal(0, status, output)
    local _, tries = output:gsub("moonloop: others used", "")
    assert.equal(3, tries)
    assert.matches("program%*%* | moonloop | disturbed |", folders.read(folder.path .. "/results.md"))
  end)

  it("prints it anyway when asked to, and says so", function()
    local folder <close> = folders.new {}
    assert.equal(0, select(2, run(folder, "--quick --only start --peers moonloop --disturbance=-1 --allow-disturbed")))
    assert.matches("| moonloop | [%d.]+ m?s %(disturbed%) |", folders.read(folder.path .. "/results.md"))
  end)

  it("does not measure a server whose answer is wrong, and leaves no process behind", function()
    local folder <close> = folders.new {}
    local report = report_of_app(folder, [[
      local app = require "moonloop".web.app()
      app:get("/plaintext", function() return "Good night" end)
      return app
    ]], "--quick --only plaintext")
    assert.matches("| moonloop | failed: /plaintext answers", report)
    local pid = tonumber(folders.read(folder.path .. "/pid"))
    assert.falsy(os.execute(("kill -0 %d 2>/dev/null"):format(pid)))
  end)

  it("does not measure a server that takes an order which is wrong", function()
    local folder <close> = folders.new {}
    local report = report_of_app(folder, [[
      local app = require "moonloop".web.app()
      app:post("/order", function(req) return { id = req:json().id, n = #req:json().items } end)
      return app
    ]], "--only order")
    assert.matches('| moonloop | failed: /order answers b\'"priority":11\' with status 200', report)
  end)

  it("measures WebSockets", function()
    local folder <close> = folders.new {}
    local output, status = run(folder, "--quick --only ws-echo --peers node+ws --disturbance 99")
    assert.equal(0, status, output)
    local report = folders.read(folder.path .. "/results.md")
    assert.matches("| %*%*WebSocket: 64 bytes sent back, 64 connections%*%* | moonloop | [%d.]+ [µn]*s | [%d,]+ |",
      report)
    assert.matches("|  | Node%+ws | missing |", report)
  end)

  it("does not measure a WebSocket that sends back something else", function()
    local folder <close> = folders.new {}
    local report = report_of_app(folder, [[
      local app = require "moonloop".web.app()
      app:websocket("/echo", function(ws)
        for message in ws:messages() do ws:send(message:upper()) end
      end)
      return app
    ]], "--quick --only ws-echo")
    assert.matches("| moonloop | failed: .*another frame than the expected one came", report)
  end)

  it("measures HTTP/2", function()
    if not exists "h2load" then return pending "h2load is missing: scripts/setup.sh --dev" end
    local folder <close> = folders.new {}
    local output, status = run(folder, "--quick --only h2-plaintext --peers node-http2 --disturbance 99")
    assert.equal(0, status, output)
    local report = folders.read(folder.path .. "/results.md")
    assert.matches("| %*%*HTTP/2: plaintext, one stream a connection%*%* | moonloop | [%d.]+ [µn]*s | [%d,]+ |", report)
  end)

  describe("with PostgreSQL and Redis of its own", function()
    local missing = require "spec.support.redis".missing()
    if missing or process.sh "ls /usr/lib/postgresql/*/bin/initdb 2>&1":find "cannot access" then
      pending "needs PostgreSQL and Redis: scripts/setup.sh --dev"
      return
    end

    it("measures the rows of both", function()
      local folder <close> = folders.new {}
      local output, status = run(folder,
        "--only fortunes,cached --peers fastify+postgres.js,nginx+redis --disturbance 99")
      assert.equal(0, status, output)
      local report = folders.read(folder.path .. "/results.md")
      for _, title in ipairs { "PostgreSQL: fortunes", "Redis: 20 cached rows" } do
        assert.matches("| %*%*" .. title .. "%*%* | moonloop | [%d.]+ [µm]*s |", report)
      end
      assert.matches("|  | Fastify%+postgres.js | missing |", report)
      assert.matches("\n%- postgres %(PostgreSQL%) %d", report)
      assert.matches("\n%- Redis server v=%d", report)
    end)

    it("does not measure a page of fortunes that is not escaped", function()
      local folder <close> = folders.new {}
      local report = report_of_app(folder, [[
        local ml = require "moonloop"
        local app = ml.web.app()
        app:get("/fortunes", function()
          return ml.web.html("<!doctype html><table><tr><th>id</th><th>message</th></tr>" ..
            "<tr><td>11</td><td><script>alert(1)</script></td></tr></table>")
        end)
        return app
      ]], "--quick --only fortunes")
      assert.matches("| moonloop | failed: /fortunes answers: the fortunes are not escaped", report)
    end)

    it("does not measure rows that are not what the database has", function()
      local folder <close> = folders.new {}
      local report = report_of_app(folder, [[
        local app = require "moonloop".web.app()
        app:get("/db", function() return { id = 7, randomNumber = 1 } end)
        return app
      ]], "--only db")
      assert.matches("| moonloop | failed: /db answers: row 7 is not what PostgreSQL has: 5434", report)
    end)
  end)

  it("says what it does not know", function()
    local folder <close> = folders.new {}
    local output, status = run(folder, "--peers rails")
    assert.matches("no such peer: rails; there are moonloop, ", output)
    assert.equal(1, status)
    output, status = run(folder, "--only nothing")
    assert.matches("no such workload: nothing; there are waits, plaintext, ", output)
    assert.equal(1, status)
  end)
end)
