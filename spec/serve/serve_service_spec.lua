-- What `moonloop serve` tells the service manager: datagrams to NOTIFY_SOCKET, as sd_notify(3) has them.
local folders = require "spec.support.folder"
local served = require "spec.support.served"

local app = [[
  local app = require "moonloop".web.app()
  local told = os.getenv "NOTIFY_SOCKET" or os.getenv "WATCHDOG_USEC" or os.getenv "WATCHDOG_PID" or "nothing"
  app:get("/told", function() return told end)
  return app
]]
local files = { ["app.lua"] = app }

-- Starts it below a manager whose socket is `at` ("@" before it: an abstract one), in a folder of its own: calls
-- f(server, heard), where heard(pattern) waits until something that was told matches, and gives it all.
local function below_manager(options, f, at, more)
  local folder <close> = folders.new {}
  local log = folder.path .. "/log"
  local socket = (at or "") .. folder.path .. "/notify"
  local server <close> = served.start_at("--listen 127.0.0.1:0", files, options,
    ("--notify %s %s %s"):format(socket, log, more or ""))
  local text
  local function heard(pattern)
    served.wait_until("nobody was told " .. pattern, function()
      text = folders.read(log)
      return text:find(pattern)
    end)
    return text
  end
  f(server, heard)
end

for _, options in ipairs { "", "--workers 2" } do
  describe(("a service manager of a server (%s)"):format(options), function()
    it("is told when it serves, by whom, and when it ends", function()
      below_manager(options, function(server, heard)
        local where = "http://127.0.0.1:" .. server.port
        heard(("^READY=1 MAINPID=%s STATUS=serving app.lua on %s[^\n]*\n"):format(server.pid, where))
        server:kill "TERM"
        assert.equal(0, (server:finish()))
        heard "\nSTOPPING=1 STATUS=stopping: "
      end)
    end)

    it("may have an abstract socket", function()
      below_manager(options, function(_, heard) heard "^READY=1 " end, "@")
    end)

    it("gets signs of life", function()
      below_manager(options, function(_, heard) heard "WATCHDOG=1\n.*WATCHDOG=1\n" end, nil, "--watchdog 20000")
    end)

    it("is not told anything by the programs that the app starts", function()
      below_manager(options, function(server) assert.equal("nothing", server:get "/told".body) end, nil,
        "--watchdog 60000000")
    end)
  end)
end

describe("a service manager of a server with workers", function()
  it("is told of new workers, with the time of the kernel's clock", function()
    below_manager("--workers 1", function(server, heard)
      heard "generation 1\n"
      server:kill "HUP"
      local text = heard "READY=1[^\n]*generation 2\n"
      local usec = assert(text:match "\nRELOADING=1 MONOTONIC_USEC=(%d+) STATUS=reloading\n")
      local uptime = tonumber((folders.read "/proc/uptime":match "^%S+"))
      assert.is_true(tonumber(usec) > 0 and tonumber(usec) / 1e6 < uptime + 1)
    end)
  end)

  it("is told that it serves on where new code does not load", function()
    below_manager("--workers 1", function(server, heard)
      server:write("app.lua", "broken")
      server:kill "HUP"
      heard "RELOADING=1 .*\nREADY=1 [^\n]*generation 1; new workers could not be started\n"
      assert.equal("nothing", server:get "/told".body)
    end)
  end)
end)

it("a server says what is wrong with NOTIFY_SOCKET, and serves", function()
  local processes = require "spec.support.process"
  local folder <close> = folders.new(files)
  local process <close> = processes.serve(folder.path .. "/app.lua", "", "export NOTIFY_SOCKET=/nowhere/notify;")
  assert.matches("the service manager at NOTIFY_SOCKET=/nowhere/notify cannot be told anything: No such file",
    process:errors())
end)
