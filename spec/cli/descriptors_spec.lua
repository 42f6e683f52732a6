-- Descriptors 0 to 2, which a process may be started without.
local processes = require "spec.support.process"
local folders = require "spec.support.folder"
local quote, sh = processes.quote, processes.sh
local binary = quote(require("spec.support").binary)

-- What a shell leaves out.
local CLOSED = { "<&-", ">&-", "2>&-", "<&- >&-", "<&- 2>&-", ">&- 2>&-", "<&- >&- 2>&-" }

-- Runs `moonloop ARGUMENTS` with each of them closed: all exit with `status`.
local function expect(status, arguments)
  for _, closed in ipairs(CLOSED) do
    local _, ended = sh(("( timeout 300 %s %s %s )"):format(binary, arguments, closed))
    assert.equal(status, ended, closed)
  end
end

describe("a closed standard descriptor", function()
  it("does not abort a script at its exit", function()
    expect(3, "-e " .. quote "print(1) require 'moonloop'.sleep(0.001) os.exit(3)")
  end)

  it("does not send printed output to a socket", function()
    expect(0, "-e " .. quote [[
      local ml = require "moonloop"
      local app = ml.web.app()
      app:get("/", function() print "in the body" io.stderr:write "in the body" return "whole" end)
      local server = assert(ml.web.listen(app, { port = 0 }))
      for _ = 1, 3 do assert(ml.http.get("http://127.0.0.1:" .. server.port).body == "whole") end
      server:stop()]])
  end)

  it("does not let reports fill one of the host's own pipes until it blocks", function()
    expect(0, "-e " .. quote "for _ = 1, 300 do warn(('x'):rep(1000)) print(('x'):rep(1000)) end")
  end)

  it("does not abort a server, nor its supervisor", function()
    local app <close> = folders.file [[
      local app = require "moonloop".web.app()
      local process = os.getenv "MOONLOOP_WORKER" and "ppid" or "pid"
      local stat = { io.open("/proc/self/stat"):read("a"):match "^(%d+) %(.*%) %a (%d+)" }
      app:on_start(function() os.execute("kill -TERM " .. stat[process == "pid" and 1 or 2]) end)
      return app]]
    expect(143, "serve --port 0 " .. app.path)
    expect(0, "serve --port 0 --workers 2 " .. app.path)
  end)
end)
