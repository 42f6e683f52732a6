-- `moonloop serve` where nobody reads its standard output and error, which are one pipe.
local folders = require "spec.support.folder"
local left = require "spec.support.left"
local ml = require "moonloop"
local processes = require "spec.support.process"
local served = require "spec.support.served"
local web = require "spec.support.web"

local app = [[
  local ml = require "moonloop"
  local app = ml.web.app()
  app:get("/", function() return "hello" end)
  app:get("/says", function() io.stderr:write(("x"):rep(5000), "\n") return "said" end)
  app:get("/waits", function()
    while not io.open(app.folder .. "/go") do ml.sleep(0.01) end
    return "done"
  end)
  app:get("/{rest:path}", function() return "long" end)
  return app
]]

-- Starts it with the options, both channels on the pipe that is read for the first line only.
local function start(folder, options)
  folders.write(folder.path .. "/app.lua", (app:gsub("app%.folder", ("%q"):format(folder.path))))
  local process = processes.start(("serve '%s/app.lua' --port 0 --drain 30 %s 2>&1 #"):format(folder.path, options))
  process.port = tonumber(process:line():match ":(%d+) ")
  return process
end

-- Asks so often, each answered in time.
local function ask(process, target, n)
  for _ = 1, n do
    assert.equal(200, assert(ml.timeout(60, web.get, process.port, target)).status)
  end
end

local function ends(process)
  served.wait_until("it does not end", function() return not left.is_alive(process.pid) end)
end

describe("a server whose output nobody reads", function()
  it("stops cleanly at SIGTERM, with its running requests answered", function()
    local folder <close> = folders.new {}
    local process <close> = start(folder, "--access-log common")
    ask(process, "/" .. ("x"):rep(2000), 100) -- the pipe is full
    local answer = ml.spawn(web.get, process.port, "/waits")
    ask(process, "/", 1) -- it has come behind that one
    process:kill "TERM"
    served.wait_until("it still accepts", function() return not pcall(web.get, process.port, "/") end)
    folders.write(folder.path .. "/go", "")
    assert.equal("done", assert(answer:await()).body)
    ends(process)
    assert.equal(0, select(2, process:wait()))
  end)

  it("continues if its workers print more than fits, and counts the lost lines", function()
    local folder <close> = folders.new {}
    local process <close> = start(folder, "--workers 2")
    ask(process, "/says", 300)
    process:kill "HUP" -- what the supervisor says does not fit either
    ask(process, "/", 10)
    process:kill "TERM"
    local output, status = process:wait()
    assert.equal(0, status)
    local said = select(2, output:gsub("%[worker %d pid %d+%] x+\n", ""))
    local lost = output:match "moonloop: nobody was reading: (%d+) lines lost\n"
    assert.is_true(said > 100 and said < 300)
    assert.is_true(said + lost >= 300)
  end)

  it("ends at SIGTERM if its workers print more than fits", function()
    local folder <close> = folders.new {}
    local process <close> = start(folder, "--workers 2")
    ask(process, "/says", 300)
    process:kill "TERM"
    ends(process)
    assert.equal(0, select(2, process:wait()))
  end)
end)
