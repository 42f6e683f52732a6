-- A burst of large blocks leaves nothing behind some time after it is over. Each spec runs in a
-- process of its own.
local eventually = require("spec.support.tasks").eventually
local folders = require "spec.support.folder"
local process = require "spec.support.process"
local web = require "spec.support.web"

--- In kilobytes; nil where a sanitizer keeps what is freed, which is known by the terabytes of addresses
-- that it reserves.
local RESIDENT = [[
local function resident(pid)
  local status = {}
  for line in io.lines("/proc/" .. (pid or "self") .. "/status") do
    local name, value = line:match("^(%w+):%s*(%d+)")
    if name then status[name] = tonumber(value) end
  end
  return status.VmSize < 1 << 30 and status.VmRSS or nil
end
]]

local resident = assert(load(RESIDENT .. "return resident"))()

describe("after a burst of large blocks", function()
  it("their memory is returned, even without a burst of tasks", function()
    local output = process.run(RESIDENT .. [[
      require("moonloop.clock").virtual()
      local before = resident()
      local bodies = {}
      for i = 1, 40 do bodies[i] = ("x"):rep(1000):rep(5000) end
      local most = resident()
      bodies = nil
      for _ = 1, 10 do ml.sleep(1) end
      print("resident", not before or most - before > 150000, not before or resident() - before < 10000)
    ]])
    assert.matches("resident\ttrue\ttrue", output)
  end)

  it("the pages between objects that live on are returned, too", function()
    local output = process.run(RESIDENT .. [[
      require("moonloop.clock").virtual()
      local before = resident()
      local list, kept = {}, {}
      for i = 1, 300000 do list[i] = { i = i } end
      local most = resident()
      for i = 1, #list, 400 do kept[#kept + 1] = list[i] end -- one or two in each 64 kB
      list = nil
      for _ = 1, 10 do ml.sleep(1) end
      print("resident", not before or most - before > 25000, not before or resident() - before < 10000)
    ]])
    assert.matches("resident\ttrue\ttrue", output)
  end)

  it("the pages that sessions have kept are returned when these are over, though nothing else happens", function()
    local output = process.run(RESIDENT .. [[
      require("moonloop.clock").virtual()
      local store = require "moonloop.web.session_memory"(10000)
      local list, over = {}, ml.time.now() + 100
      for i = 1, 300000 do
        list[i] = { i = i }
        if i % 100 == 0 then store:create("key" .. i, "text" .. i, over, over) end
      end
      list = nil
      for _ = 1, 10 do ml.sleep(1) end
      local held = resident()
      ml.sleep(90)
      for _ = 1, 10 do ml.sleep(1) end
      print("resident", store.records.count, not held or held - resident() > 5000, held, resident())
    ]])
    assert.matches("resident\t0\ttrue", output)
  end)

  it("their garbage is not collected while a script has stopped the collector", function()
    local output = process.run [[
      require("moonloop.clock").virtual()
      collectgarbage("stop")
      for _ = 1, 10 do local _ = ("x"):rep(1000):rep(5000) end
      for _ = 1, 10 do ml.sleep(1) end
      print("kept", collectgarbage("count") > 40000)
    ]]
    assert.matches("kept\ttrue", output)
  end)

  it("a generational collector stays generational", function()
    local output = process.run [[
      require("moonloop.clock").virtual()
      collectgarbage("generational")
      for _ = 1, 10 do local _ = ("x"):rep(1000):rep(5000) end
      for _ = 1, 10 do ml.sleep(1) end
      print("left", collectgarbage("count") < 10000, collectgarbage("generational"))
    ]]
    assert.matches("left\ttrue\tgenerational", output)
  end)

  it("an idle worker of a pool returns memory left by its jobs", function()
    local output = process.run(RESIDENT .. [[
      local pool = ml.executor.new { threads = 1 }
      pool:run(function() end)
      local before = resident()
      local most = pool:run(function(resident)
        local bodies = {}
        for i = 1, 20 do bodies[i] = ("x"):rep(1000):rep(1000) end
        return resident()
      end, resident)
      local limit = ml.now() + 60
      while before and resident() - before > 5000 and ml.now() < limit do ml.sleep(0.1) end
      print("resident", not before or most - before > 15000, not before or resident() - before < 5000)
      print("runs", pool:run(function() return 1 end))
      pool:close()
    ]])
    assert.matches("resident\ttrue\ttrue\nruns\t1", output)
  end)

  it("an idle server returns memory of data that clients have not read", function()
    local app <close> = folders.file [[
      local app = require("moonloop.web").app()
      app:get("/", function() return ("x"):rep(1000):rep(5000) end)
      return app]]
    local server <close> = process.serve(app.path)
    local rawtcp = require("spec.support").rawtcp
    local before = resident(server.pid)
    if not before then return end
    for _ = 1, 3 do
      local clients = {}
      for i = 1, 15 do
        clients[i] = assert(rawtcp.connect(tonumber(server.port)))
        clients[i]:send(web.request("GET", "/"))
      end
      for _, client in ipairs(clients) do
        assert(client:receive("\r\n\r\n"))
        client:reset()
      end
    end
    eventually(function() return resident(server.pid) - before < 10000 end)
  end)
end)
