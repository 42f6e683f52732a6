-- Offloaded routes: when the workers are busy, when they fail, when nobody wants the answer. The
-- default pool is the process's: each spec serves from a process of its own, where it is what the spec
-- makes it.
local folders = require "spec.support.folder"
local processes = require "spec.support.process"
local rawtcp = require("spec.support").rawtcp
local support = require "spec.support.web"

--- busy(seconds, jobs, before): the script's default pool has every worker busy with jobs that take
-- `seconds`, and took `before`, or 0.3.
local BUSY = [[
  local pool = ml.executor.default()
  local threads = pool:stats().max_threads -- sleeping, its jobs make it grow
  local function busy(seconds, jobs, before)
    ml.timeout(100, function() -- the estimate comes from what jobs took
      local calls = {}
      for i = 1, threads do calls[i] = pool:start(ml.sleep, before or 0.3) end
      for _, call in ipairs(calls) do call:await() end
    end)
    local calls = {}
    for i = 1, jobs do calls[i] = pool:start(ml.sleep, seconds) end
    while pool:stats().running < threads do ml.sleep(0.001) end
    return calls
  end
  local function stop(calls)
    for _, call in ipairs(calls) do call:cancel() end
  end
]]

describe("an offloaded route with a deadline", function()
  it("answers 503 and Retry-After at once if the wait for a worker would be longer", function()
    local output = support.run(BUSY .. [[
      local app = web.app()
      app:get("/", { offload = true, deadline = 5 }, function() return "never" end)
      support.serving(app, function(port)
        local calls = busy(1000, threads * 41)
        local start = ml.now()
        local res = support.get(port, "/")
        print(res.status, res.body, tonumber(res.headers["retry-after"]) >= 10, ml.now() - start < 4.5)
        stop(calls)
        while pool:stats().running > 0 do ml.sleep(0.001) end
        print(support.get(port, "/").body)
      end)
    ]])
    assert.equal('moonloop: GET / failed: http: 503 Service Unavailable\n' ..
      '503\t{"detail":"Service Unavailable"}\ttrue\ttrue\nnever\n', output)
  end)

  it("answers 503 and Retry-After when the deadline passes in the queue", function()
    local output = support.run(BUSY .. [[
      local app = web.app()
      app:get("/", { offload = true, deadline = 2 }, function() return "never" end)
      support.serving(app, function(port)
        local calls = busy(1000, threads, 0.02)
        local res = support.get(port, "/")
        print(res.status, res.body, res.headers["retry-after"], pool:stats().queued)
        stop(calls)
      end)
    ]])
    assert.equal('moonloop: GET / failed: http: 503 Deadline Exceeded\n' ..
      '503\t{"detail":"Deadline Exceeded"}\t1\t0\n', output)
  end)

  it("answers 503 without Retry-After when the handler itself was too slow", function()
    local output = support.run [[
      local app = web.app()
      app:get("/", { offload = true, deadline = 1 }, function() require "moonloop".sleep(1000) end)
      support.serving(app, function(port)
        local pool = ml.executor.default()
        if pool:stats().threads > 1 then
          pool:run(function() end) -- a worker is ready
          local res = support.get(port, "/")
          print(res.status, res.headers["retry-after"])
        else -- the one worker is busy with it
          print(503, nil)
        end
      end)
    ]]
    assert.matches("^[^\n]*\n?503\tnil\n$", output) -- with a report where there is more than one worker
  end)

  it("waits for as long as it takes without a deadline", function()
    local output = support.run(BUSY .. [[
      local app = web.app()
      app:get("/", { offload = true }, function() return "at last" end)
      support.serving(app, function(port)
        local calls = busy(0.2, threads * 3)
        print(support.get(port, "/").body)
        stop(calls)
      end)
    ]])
    assert.equal("at last\n", output)
  end)

  it("renders the 503 through the middleware, too", function()
    local output = support.run(BUSY .. [[
      local app = web.app()
      app:use(function(req, next)
        local res = next(req)
        res.headers["X-Seen"] = tostring(res.status)
        return res
      end)
      app:get("/", { offload = true, deadline = 5 }, function() return "never" end)
      support.serving(app, function(port)
        local calls = busy(1000, threads * 41)
        local res = support.get(port, "/")
        print(res.status, res.headers["x-seen"], res.headers["retry-after"] ~= nil)
        stop(calls)
      end)
    ]])
    assert.equal("moonloop: GET / failed: http: 503 Service Unavailable\n503\t503\ttrue\n", output)
  end)
end)

describe("an offloaded handler", function()
  it("that blocks does not keep others waiting: more run than there are cores", function()
    local output = support.run [[
      local app, gate = web.app(), os.tmpname() -- the handlers wait for somebody who writes to the gate
      os.remove(gate)
      assert(os.execute("mkfifo " .. gate))
      app:get("/", { offload = true }, function()
        assert(io.open(gate)):close()
        return "through"
      end)
      support.serving(app, function(port)
        local pool, clients = ml.executor.default(), {}
        local stats = pool:stats()
        local count = math.min(stats.threads + 3, stats.max_threads)
        for i = 1, count do
          clients[i] = ml.spawn(function() return support.get(port, "/").body == "through" end)
        end
        ml.timeout(100, function()
          while pool:stats().running < count do ml.sleep(0.001) end
        end)
        print(pool:stats().running == count)
        local file <close> = assert(io.open(gate, "r+"))
        local through = ml.gather(clients)
        local all = through.n == count
        for i = 1, count do all = all and through[i] end
        print(all)
        os.remove(gate)
      end)
    ]]
    assert.equal("true\ntrue\n", output)
  end)

  it("that fails answers 500, and the log has the worker's traceback", function()
    local output = support.run [[
      local app = web.app()
      app:get("/", { offload = true, cpu = 5 }, function()
        local function deep_inside() error("kaputt") end
        deep_inside()
      end)
      support.serving(app, function(port) print(support.get(port, "/").status) end)
    ]]
    assert.matches("GET / failed: [^\n]*:%d+: kaputt\n", output)
    assert.matches("in a worker:\nstack traceback:.*deep_inside", output)
    assert.matches("500\n$", output)
  end)

  it("says which of its results cannot cross", function()
    local output = support.run [[
      local app = web.app()
      app:get("/", { offload = true }, function() return { n = 1, co = coroutine.create(print) } end)
      support.serving(app, function(port) print(support.get(port, "/").status) end)
    ]]
    assert.matches("cannot send result #1.co: a coroutine", output, 1, true)
    assert.matches("500\n$", output)
  end)

  it("is interrupted in the worker when its client goes away, and its clean-up runs", function()
    local output = support.run [[
      local app, mark = web.app(), os.tmpname() -- the file goes when the handler has begun
      app:get("/", { offload = true }, function()
        local _ <close> = setmetatable({}, { __close = function()
          print("cleaned", ml.executor.current():cancelled())
          io.stdout:flush()
        end })
        os.remove(mark)
        while true do pcall(function() end) end
      end)
      support.serving(app, function(port)
        local pool = ml.executor.default()
        do
          local conn <close> = assert(rawtcp.connect(port))
          assert(conn:send(support.request("GET", "/")))
          while io.open(mark) do ml.sleep(0.001) end
        end
        while pool:stats().running == 1 do ml.sleep(0.001) end
        print("free")
      end)
    ]]
    assert.equal("cleaned\ttrue\nfree\n", output)
  end)

  --- Serves a handler that says that it runs and goes on with `code`, asks for it, and stops the
  -- server meanwhile; gives the response and the server's exit status.
  local function stopped_while(code, options)
    local file <close> = folders.file(([[
      local ml = require "moonloop"
      local app = ml.web.app()
      app:get("/", { offload = true }, function()
        print("it runs")
        io.stdout:flush()
        %s
      end)
      return app
    ]]):format(code))
    local server <close> = processes.serve(file.path, options)
    local conn <close> = assert(rawtcp.connect(math.tointeger(tonumber(server.port))))
    assert(conn:send(support.request("GET", "/")))
    while server:line() ~= "it runs" do end -- luacheck: ignore
    local _, status = server:stop()
    return support.receive(conn), status
  end

  it("gets the drain time when the server stops", function()
    local res, status = stopped_while([[
      local stop = os.clock() + 0.2
      while os.clock() < stop do end
      return "in time"
    ]], "--drain 100")
    assert.same({ 200, "in time", 0 }, { res.status, res.body, status })
  end)

  it("is interrupted after the drain time", function()
    local res, status = stopped_while("while true do pcall(function() end) end", "--drain 0.1")
    assert.same({ 503, 0 }, { res.status, status })
  end)
end)
