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
      error "no such user\nmoonloop: forged"
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
    assert.same({ 1, 1, "1", "GET /log" }, { own.a, own.worker, own.request_id, own.route })
    assert.equal("integer", math.type(own.pid))
    assert.same({ 1, own.pid, "info" }, { seen.plain.worker, seen.plain.pid, seen.plain.level })
    local failure
    for message, entry in pairs(seen) do if message:find("no such user", 1, true) then failure = entry end end
    assert.same({ 1, "error", "moonloop" }, { failure.worker, failure.level, failure.logger })
  end)

  it("lines of text have the worker in front, and none can be forged", function()
    local text = serve "debug,text"
    assert.matches("%[worker 1 pid %d+%] in a worker a=1 request_id=1 route=\"GET /log\"\n", text)
    assert.matches("%[worker 1 pid %d+%] plain\n", text)
    assert.matches("no such user\n%[worker 1 pid %d+%]   moonloop: forged\n", text)
    assert.is_nil(text:find "\n%[worker 1 pid %d+%] moonloop: forged")
  end)
end)
