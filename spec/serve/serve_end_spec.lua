-- The end of `moonloop serve`, as new clients see it, and what SIGHUP and a closed terminal do.
local common = require "spec.support"
local folders = require "spec.support.folder"
local ml = require "moonloop"
local pty = require "pty"
local served = require "spec.support.served"
local web = require "spec.support.web"

local app = [[
  local ml = require "moonloop"
  local app = ml.web.app()
  local function is_there(name)
    local file = io.open(name)
    return file and file:close()
  end
  app:get("/", function() return "hello" end)
  app:get("/waits", function()
    io.stderr:write("in the handler\n")
    while not is_there "go" do ml.sleep(0.01) end
    return "done"
  end)
  app:get("/computes", function()
    io.stderr:write("in the handler\n")
    while not is_there "go" do end
    return "done"
  end)
  app:get("/blocks", function()
    io.stderr:write("in the handler\n")
    io.open("fifo"):read "a"
    return "done"
  end)
  return app
]]

-- Starts the server with a request to `target` under way: calls f(server, the answer's task).
local function with_request(target, options, f)
  local server <close> = served.start({ ["app.lua"] = app }, "--drain 100 " .. (options or ""))
  assert(os.execute(("mkfifo '%s/fifo'"):format(server.path)))
  local answer = ml.spawn(server.get, server, target)
  server:wait_for "in the handler"
  f(server, answer)
end

-- Waits until nobody accepts clients any more.
local function wait_refused(server)
  served.wait_until("clients still wait", function()
    local conn = common.rawtcp.connect(server.port)
    if conn then conn:close() end
    return not conn
  end)
end

describe("a server that ends", function()
  for _, signal in ipairs { "TERM", "INT" } do
    for _, options in ipairs { "", "--workers 2", "--reload" } do
      it(("refuses new clients at once at SIG%s, while a request runs (%s)"):format(signal, options), function()
        with_request("/waits", options, function(server, answer)
          server:kill(signal)
          wait_refused(server)
          assert.equal("suspended", answer:status())
          server:write("go", "")
          assert.equal("done", answer:await().body)
          assert.equal(0, (server:finish()))
        end)
      end)
    end
  end

  it("refuses new clients while a handler computes", function()
    for _, options in ipairs { "", "--workers 2" } do
      with_request("/computes", options, function(server, answer)
        server:kill "TERM"
        wait_refused(server)
        assert.equal("suspended", answer:status())
        server:write("go", "")
        assert.equal("done", answer:await().body)
        assert.equal(0, (server:finish()))
      end)
    end
  end)

  it("refuses new clients while a C function blocks one of its workers", function()
    with_request("/blocks", "--workers 2", function(server, answer)
      server:kill "TERM"
      wait_refused(server)
      assert.equal("suspended", answer:status())
      local fifo = assert(io.open(server.path .. "/fifo", "w"))
      fifo:close()
      assert.equal("done", answer:await().body)
      assert.equal(0, (server:finish()))
    end)
  end)

  it("keeps accepting at SIGHUP if it has workers", function()
    with_request("/waits", "--workers 2", function(server, answer)
      local stop = false
      local clients = ml.spawn(function()
        local n = 0
        while not stop do
          assert.equal("hello", server:get().body)
          n = n + 1
        end
        return n
      end)
      server:kill "HUP"
      server:wait_for "reloaded: 2 new workers"
      stop = true
      assert.is_true(clients:await() > 0)
      server:write("go", "")
      assert.equal("done", answer:await().body)
      server:kill "TERM"
      assert.equal(0, (server:finish()))
    end)
  end)
end)

describe("a server of one process", function()
  it("drains at SIGHUP", function()
    with_request("/waits", "", function(server, answer)
      server:kill "HUP"
      server:wait_for "stopping: 1 running task"
      server:kill "HUP" -- a shell and the kernel may both send it
      wait_refused(server)
      server:write("go", "")
      assert.equal("done", answer:await().body)
      assert.equal(0, (server:finish()))
    end)
  end)

  it("drains when its terminal is closed", function()
    local folder <close> = folders.new { ["app.lua"] = app, run = ("cd '%%s' && exec '%s' serve app.lua --port 0")
      :format(common.binary) }
    folders.write(folder.path .. "/run", folders.read(folder.path .. "/run"):format(folder.path))
    local terminal <close> = pty.open(80, 50, "/bin/sh", folder.path .. "/run")
    local text, port = ""
    local function read_until(pattern)
      return served.wait_until(pattern, function()
        text = text .. (terminal:read(0) or "")
        return text:match(pattern)
      end)
    end
    port = tonumber((read_until ":(%d+) %(Ctrl%-C stops%)"))
    local answer = ml.spawn(web.get, port, "/waits")
    read_until "in the handler"
    terminal:hang_up()
    wait_refused { port = port }
    folders.write(folder.path .. "/go", "")
    assert.equal("done", assert(answer:await()).body)
    assert.equal(0, terminal:wait(100))
  end)

  it("leaves SIGHUP ignored if it was (nohup)", function()
    local folder <close> = folders.new { ["app.lua"] = app }
    local processes = require "spec.support.process"
    local process <close> = processes.serve(folder.path .. "/app.lua", "", "trap '' HUP;")
    process:kill "HUP"
    assert.equal("hello", assert(web.get(tonumber(process.port), "/")).body)
    local _, status = process:stop()
    assert.equal(0, status)
  end)
end)
