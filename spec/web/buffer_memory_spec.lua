-- The memory of a server's buffers: they go back to the pools that they came from, and are freed without clients.
local folders = require "spec.support.folder"
local http2 = require "spec.support.http2"
local process = require "spec.support.process"
local sanitized = require("spec.support").sanitized
local support = require "spec.support.web"
local eventually = require("spec.support.tasks").eventually

--- Runs a script that prints "grown by N", in kB; resident() is at hand. Returns that, and all that it has printed.
local function grown_by(script)
  local output = support.run([[
    local function resident()
      for line in io.lines "/proc/self/status" do
        local kilobytes = line:match "^VmRSS:%s+(%d+)"
        if kilobytes then return tonumber(kilobytes) end
      end
    end
  ]] .. script)
  return tonumber(output:match "grown by (%-?%d+)"), output
end

describe("a server's buffers", function()
  it("stay few while streams of many small writes come and go", function()
    if sanitized then return pending "sanitizers keep what is freed" end
    local grown, output = grown_by [[
      local kilobyte, app = ("x"):rep(1024), web.app()
      app:get("/{n:int}", function(req)
        local n = req.params.n
        return web.response { stream = function(out) for _ = 1, n do out:write(kilobyte) end end }
      end)
      support.serving(app, function(port)
        local client = ml.http.client { base_url = "http://127.0.0.1:" .. port, max_connections = 8 }
        local function rounds(n)
          local getters = {}
          for i = 1, 8 do
            getters[i] = function()
              for _ = 1, n do
                for size = 7, 17 do assert(#client:get("/" .. size).body == size * 1024) end
              end
            end
          end
          ml.gather(table.unpack(getters))
        end
        rounds(5)
        collectgarbage()
        local before = resident()
        rounds(60)
        collectgarbage()
        print("grown by " .. resident() - before)
      end)]]
    assert(grown and grown < 8000, output) -- kB; each of 5,280 responses once left 16
  end)

  it("for a long head of HTTP/2 are freed when it is over", function()
    if sanitized then return pending "sanitizers keep what is freed" end
    local grown, output = grown_by [[
      local http2, clients = require "spec.support.http2", {}
      local long = http2.fields { { ":method", "GET" }, { ":path", "/" .. ("x"):rep(60000) },
        { ":authority", ("y"):rep(60000) }, { ":scheme", "http" } } -- nghttp2 keeps the last value
      support.serving(web.app(), function(port)
        local before
        for i = 1, 120 do
          local client = http2.connect(port)
          for at = 1, #long, 16000 do
            local flags = (at == 1 and http2.END_STREAM or 0) | (at + 16000 > #long and http2.END_HEADERS or 0)
            client:send(at == 1 and http2.HEADERS or http2.CONTINUATION, flags, 1, long:sub(at, at + 15999))
          end
          assert(client:response(1) == 414)
          clients[i] = client
          if i == 20 then
            collectgarbage()
            before = resident()
          end
        end
        collectgarbage()
        print("grown by " .. resident() - before)
      end, { http2 = "clear" })]]
    assert(grown and grown < 16000, output) -- kB, 11000 of them the clients'; each of the 100 once kept 120 more
  end)

  it("hold a large body once for all who do not take it", function()
    if sanitized then return pending "sanitizers keep what is freed" end
    local grown, output = grown_by [[
      local body, app, rawtcp = ("x"):rep(1024):rep(10240), web.app(), require("spec.support").rawtcp
      app:get("/", function() return body end)
      support.serving(app, function(port)
        local function take_little()
          local conn = assert(rawtcp.connect(port))
          conn:send(support.request("GET", "/"))
          assert(conn:receive "\r\n\r\n")
          return conn
        end
        local conns = { take_little() }
        local before = resident()
        for i = 2, 9 do conns[i] = take_little() end
        print("grown by " .. resident() - before)
        for _, conn in ipairs(conns) do conn:close() end
      end)]]
    assert(grown and grown < 8000, output) -- kB; a copy for each would take 80000
  end)

  it("of HTTP/2 go when a connection has nothing to do, whatever it has been sent", function()
    if sanitized then return pending "sanitizers keep what is freed" end
    local app <close> = folders.file [[
      local ml = require "moonloop"
      local app = ml.web.app { body_timeout = 0.1 } -- clients are looked at that often
      app:get("/", function() return ("x"):rep(60000) end)
      return app]]
    local server <close> = process.serve(app.path, "--http2 clear")
    local function resident()
      return tonumber(folders.read("/proc/" .. server.pid .. "/status"):match "VmRSS:%s+(%d+)")
    end
    local clients, before, n = {}, nil, 400
    for i = 1, n do
      local client = http2.connect(server.port)
      assert.equal(60000, #select(2, client:response(client:ask("GET", "/"))))
      client.bodies = {}
      clients[i] = client
      if i == 100 then before = resident() end
    end
    eventually(function() return (resident() - before) / (n - 100) < 24 end) -- kB; each kept 44
    for _, client in ipairs(clients) do client:close() end
  end)
end)
