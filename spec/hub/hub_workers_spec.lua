-- ml.web.hub between the workers of a server: every message comes to every member, once.
local events = require "spec.support.events"
local json = require "moonloop.json"
local left = require "spec.support.left"
local ml = require "moonloop"
local served = require "spec.support.served"
local web = require "spec.support.web"

local WAIT = 100 -- seconds that something may take to happen

-- /: joins, and says which worker it is. /publish?n=: publishes that many. /big: 176 MB, and a word. /stop: the worker
-- stands still until the file "go" is there.
local APP = [[
  local ml = require "moonloop"
  local lfs = require "lfs"
  local app = ml.web.app()
  local hub = ml.web.hub { max_backlog = 1 << 30 }
  app:get("/", function()
    return ml.web.events(function(send)
      hub:join(send, "all")
      send(os.getenv "MOONLOOP_WORKER")
      ml.sleep(math.huge)
    end)
  end)
  app:get("/publish", function(req)
    for i = 1, tonumber(req.query.n) do hub:publish("all", { from = req.query.from, i = i }) end
    return os.getenv "MOONLOOP_WORKER"
  end)
  app:get("/big", function()
    local bytes = ("x"):rep(1 << 24)
    for _ = 1, 11 do
      hub:publish("nobody", bytes, "binary")
      ml.sleep(0)
    end
    hub:publish("all", "small")
    return os.getenv "MOONLOOP_WORKER"
  end)
  app:get("/stop", function()
    io.stderr:write "it stands still\n"
    while not io.open "go" do end
    return "on"
  end)
  return app]]

local function start(options) return served.start({ ["app.lua"] = APP }, "--drain 0 " .. options) end

-- Streams of events on all workers: list of them, each with its worker's number.
local function join_all(server, workers)
  local streams, seen, count = {}, {}, 0
  served.wait_until("not every worker gets a client", function()
    local stream = events.open(server.port)
    stream.worker = stream:next()
    table.insert(streams, stream)
    if not seen[stream.worker] then count = count + 1 end
    seen[stream.worker] = true
    return count == workers
  end)
  return streams
end

local function close_all(streams)
  for _, stream in ipairs(streams) do stream:close() end
end

-- The next event, which must come in time.
local function next_of(stream)
  return (assert(ml.timeout(WAIT, stream.next, stream), "no event has come"))
end

describe("a hub of a server with workers", function()
  it("reaches the clients of all, in order and once", function()
    local server <close> = start "--workers 3"
    local streams = join_all(server, 3)
    for round = 1, 5 do assert.equal(200, server:get("/publish?n=20&from=" .. round).status) end
    for _, stream in ipairs(streams) do
      local seen, count = {}, 0
      while count < 100 do
        local message = json.decode(next_of(stream))
        assert.equal((seen[message.from] or 0) + 1, message.i) -- none is missing, none twice, in order
        seen[message.from] = message.i
        count = count + 1
      end
    end
    server:get "/publish?n=1&from=last"
    for _, stream in ipairs(streams) do assert.equal("last", json.decode(next_of(stream)).from) end
    close_all(streams)
    server:kill "TERM"
    server:finish()
  end)

  it("is one in both generations of a reload", function()
    local server <close> = served.start({ ["app.lua"] = APP }, "--drain 100 --workers 2")
    local old = join_all(server, 2)
    server:kill "HUP"
    server:wait_for "reloaded"
    local new = join_all(server, 2)
    server:get "/publish?n=10&from=new" -- from one of the new
    for _, streams in ipairs { old, new } do
      for _, stream in ipairs(streams) do
        for i = 1, 10 do assert.same({ from = "new", i = i }, json.decode(next_of(stream))) end
      end
    end
    close_all(old)
    close_all(new)
    server:kill "TERM"
    server:kill "TERM"
  end)

  it("goes on when a worker was killed in the middle", function()
    local server <close> = start "--workers 2"
    local streams = join_all(server, 2)
    local pid = tonumber(server:ps():match "worker 1, pid (%d+)")
    server:kill("KILL", pid)
    server:wait_for "worker 1 %(pid %d+%) serves"
    close_all(streams)
    streams = join_all(server, 2)
    server:get "/publish?n=3&from=after"
    for _, stream in ipairs(streams) do
      for i = 1, 3 do assert.equal(i, json.decode(next_of(stream)).i) end
    end
    close_all(streams)
    server:kill "TERM"
    server:finish()
  end)

  it("does not wait for a worker that stands still, and says that this one loses messages", function()
    local server <close> = start "--workers 2"
    local streams = join_all(server, 2)
    local conn <close> = server:connect()
    assert(conn:send(web.request("GET", "/stop")))
    server:wait_for "it stands still"
    local stopped = server:errors():match "%[worker (%d)"
    local others = {}
    for _, stream in ipairs(streams) do
      if stream.worker ~= stopped then table.insert(others, stream) else stream:close() end
    end
    assert.not_equal(stopped, server:get "/big".body) -- of which 128 MB may wait
    for _, stream in ipairs(others) do assert.equal("small", next_of(stream)) end
    server:wait_for(("worker %s %%(pid %%d+%%) does not take what the others publish"):format(stopped))
    server:write("go", "")
    assert.equal("on", web.receive(conn).body)
    close_all(others)
    streams = join_all(server, 2)
    local again = ml.spawn(function() -- until it has taken what waited, it loses messages
      while true do
        server:get "/publish?n=1&from=end"
        ml.sleep(0.01)
      end
    end)
    for _, stream in ipairs(streams) do
      local text
      repeat text = next_of(stream) until text:find '"end"'
    end
    again:cancel()
    close_all(streams)
    server:kill "TERM"
    served.wait_until("it does not end", function() return not left.is_alive(server.pid) end)
  end)
end)
