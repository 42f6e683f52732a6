--- Where the log goes: pipes that nobody reads, workers and their supervisor.
local folders = require "spec.support.folder"
local json = require "moonloop.json"
local ml = require "moonloop"
local process = require "spec.support.process"
local support = require "spec.support"

-- Starts the code as a program with pipes.
local function start(code, format)
  local script = folders.file('local ml = require "moonloop"\n' .. code)
  local p = assert(ml.process.spawn { support.binary, "run", "--block-limit", "0", script.path,
    env = { MOONLOOP_LOG = format } })
  return p, script
end

describe("a log that nobody reads", function()
  local CODE = [[
    for i = 1, 20000 do ml.log.info("entry", { i = i, text = ("x"):rep(60) }) end
    ml.log.error "an error"
    print "done"
    io.stdout:flush()
    ml.sleep(1000)]]

  it("does not stop the program, and says how many entries were lost, which are no errors", function()
    local p, script = start(CODE, "info,json")
    assert.equal("done", p.stdout:read "line")
    local last, entries, errors, lost = 0, 0, 0, 0
    repeat
      local entry = json.decode(p.stderr:read "line")
      if entry.i then
        assert(entry.i > last)
        last, entries = entry.i, entries + 1
      elseif entry.message == "an error" then
        errors = errors + 1
      else
        lost = lost + tonumber(entry.message:match "^nobody was reading: (%d+) lines lost$")
        assert.equal("warn", entry.level)
      end
    until entries + lost == 20000 and errors == 1
    assert(lost > 0)
    p:kill()
    p:close()
    script:close()
  end)

  it("ends nothing when its reader goes", function()
    local p, script = start([[
      io.read()
      for i = 1, 1000 do ml.log.info "entry" end
      warn "w"
      print "done"]], "info,json")
    p.stderr:close()
    p.stdin:write "\n"
    assert.equal("done", p.stdout:read "line")
    p.stdin:close()
    assert.equal(0, p:wait().code)
    p:close()
    script:close()
  end)
end)

describe("a server whose log nobody reads", function()
  local APP = [[
    local ml = require "moonloop"
    local app = ml.web.app()
    app:get("/{n:int}", function(req)
      ml.log.info("asked", { n = req.params.n, text = ("x"):rep(100) })
      error(("no %d %s"):format(req.params.n, ("y"):rep(200)))
    end)
    return app]]
  local REQUESTS = 3000 -- whose errors are more than 1 MB

  -- Asks the server, while nobody reads, and then reads all. Counts entries by message, and what was lost.
  local function flooded(...)
    local folder <close> = folders.new { ["app.lua"] = APP }
    local p = assert(ml.process.spawn { support.binary, "serve", folder.path .. "/app.lua", "--port", "0",
      "--block-limit", "0", env = { MOONLOOP_LOG = "info,json" }, ... })
    local url = "http://127.0.0.1:" .. p.stdout:read "line":match ":(%d+) "
    local client <close> = ml.http.client { base_url = url, timeout = 60 }
    for i = 1, REQUESTS do assert.equal(500, client:get("/" .. i).status) end
    p:kill "TERM"
    local seen = { asked = 0, lost = 0, lost_errors = 0 }
    for line in p.stderr:lines() do
      local entry = json.decode(line)
      local lost = entry.message:match "^nobody was reading: (%d+) lines lost"
      if entry.message == "asked" then
        seen.asked = seen.asked + 1
      elseif lost then
        seen.lost, seen.level = seen.lost + tonumber(lost), entry.level
        seen.lost_errors = seen.lost_errors + tonumber(entry.message:match ", (%d+) of them errors$" or 0)
      elseif entry.level == "error" then
        seen[#seen + 1] = tonumber(entry.message:match ": no (%d+) y+$")
      end
    end
    assert.equal(0, p:wait().code)
    p:close()
    return seen
  end

  it("answers all, has a megabyte of errors, and says how many more there were", function()
    local seen = flooded()
    for i, n in ipairs(seen) do assert.equal(i, n) end -- none between them is lost
    assert(#seen > 500 and seen.lost_errors > 0)
    assert.equal(REQUESTS, #seen + seen.lost_errors)
    assert.equal(2 * REQUESTS, #seen + seen.asked + seen.lost)
    assert.equal("error", seen.level)
  end)

  it("answers all from workers, too", function()
    local seen = flooded("--workers", "2")
    assert(#seen > 100 and seen.lost > 0)
  end)
end)

describe("the report of what holds up the loop", function()
  it("is an entry, also where a C function blocks", function()
    local output = process.run([[
      ml.spawn(function() ml.sleep(1000) end)
      ml.spawn(function() ml.sleep(0) os.execute("sleep 1") os.exit(0) end)]], "--block-limit 20",
      "export MOONLOOP_LOG=,json;")
    local entry = json.decode(output:match "[^\n]+")
    assert.equal("moonloop", entry.logger)
    assert.equal("warn", entry.level)
    assert.matches("^task %d+, spawned at SCRIPT:3 has held up the loop for %d", entry.message)
    assert.matches("os.execute blocks the whole loop", entry.hint)
    assert.matches("^stack traceback:\n", entry.traceback)
    for line in output:gmatch "[^\n]+" do assert(json.decode(line).time) end
  end)
end)

describe("with workers", function()
  local APP = [[
    local ml = require "moonloop"
    local app = ml.web.app()
    app:get("/log", function()
      ml.log.info("in a worker", { a = 1 })
      io.stderr:write "plain\n"
      io.stderr:write "plain\27[2J\n"
      io.stderr:write '{"time":"plain\27[2J"}\n'
      error "no such user\nmoonloop: forged \27[2J\u{9b}\r"
    end)
    return app]]

  local function serve(format)
    local folder <close> = folders.new { ["app.lua"] = APP }
    local server <close> = process.serve(folder.path .. "/app.lua", "--workers 1 --log-level info",
      "export MOONLOOP_LOG=" .. format .. ";")
    assert.equal(500, ml.http.get(server.url .. "/log").status)
    local _, status, errors = server:stop()
    assert.equal(0, status)
    return errors
  end

  it("entries of JSON name worker and process, and the supervisor wraps what is none", function()
    local seen = {}
    for line in serve("debug,json"):gmatch "[^\n]+" do
      local entry = json.decode(line)
      seen[entry.message:match "^[^\n]*"] = entry
    end
    local own = seen["in a worker"]
    assert.same({ 1, 1, "GET /log" }, { own.a, own.worker, own.route })
    assert.matches("^%x+%-1$", own.request_id)
    assert.equal("integer", math.type(own.pid))
    assert.same({ 1, own.pid, "info" }, { seen.plain.worker, seen.plain.pid, seen.plain.level })
    assert.equal(own.pid, seen["plain\27[2J"].pid)
    assert.equal(own.pid, seen['{"time":"plain\27[2J"}'].pid) -- it only looks like one
    local failure
    for message, entry in pairs(seen) do if message:find("no such user", 1, true) then failure = entry end end
    assert.same({ 1, "error", "moonloop" }, { failure.worker, failure.level, failure.logger })
  end)

  it("lines of text have the worker in front, and none can be forged", function()
    local text = serve "debug,text"
    assert.matches("%[worker 1 pid %d+%] in a worker a=1 request_id=%x+%-1 route=\"GET /log\"\n", text)
    assert.matches("%[worker 1 pid %d+%] plain\n", text)
    assert.matches("no such user\n%[worker 1 pid %d+%]   moonloop: forged \\x1b%[2J\\xc2\\x9b\\r\n", text)
    assert.is_nil(text:find "\n%[worker 1 pid %d+%] moonloop: forged")
    assert.matches("%] plain\27%[2J\n", text) -- the app's own
    assert.is_nil((text:gsub("plain\27", "", 2)):find "[\0-\8\11-\31\127\x9b]")
  end)
end)

describe("the way to errors alone in how-to/logs.md", function()
  it("passes over lines that are no entries", function()
    if os.execute "command -v jq >/dev/null" ~= true then return pending "there is no jq" end
    local program = folders.read "doc/how-to/logs.md":match "moonloop serve app.lua 2>&1 | jq %-Rc '([^\n]+)'"
    local code = [[
      print "moonloop 0.1.0: serving app.lua on http://127.0.0.1:8000 (Ctrl-C stops)"
      print '{"time":"2026-01-31T12:00:00.000Z","client":"127.0.0.1","status":500}'
      print "17"
      ml.log.info "no"
      ml.log.error("yes", { n = 1 })]]
    local script <close> = folders.file('local ml = require "moonloop"\n' .. code)
    local command = "MOONLOOP_LOG=,json %s run %s 2>&1 | jq -Rc '%s'"
    local output = process.sh(command:format(support.binary, script.path, program))
    local entry = assert(json.decode(output), output)
    assert.same({ "yes", "error", 1 }, { entry.message, entry.level, entry.n })
  end)
end)
