-- Worker processes: `moonloop serve --workers N`.
local json = require "moonloop.json"
local left = require "spec.support.left"
local ml = require "moonloop"
local served = require "spec.support.served"
local common = require "spec.support"
local folders = require "spec.support.folder"
local web = require "spec.support.web"

local app = [[
  local ml = require "moonloop"
  local app = ml.web.app()
  local number = os.getenv "MOONLOOP_WORKER"
  local pid = io.open("/proc/self/stat"):read "n"
  app:on_start(function() io.stderr:write("on_start of ", number, "\n") end)
  app:on_stop(function() io.stderr:write("on_stop of ", number, "\n") end)
  app:get("/", function() return { worker = number, pid = pid } end)
  app:get("/slow", function()
    io.stderr:write("in the handler\n")
    ml.sleep(0.3)
    return number
  end)
  app:get("/stuck", function() io.stderr:write("in the handler\n") ml.sleep(1000) end)
  app:get("/exit", function() os.exit(3) end)
  app:get("/environment", function() return tostring(os.getenv "MOONLOOP_SUPERVISED") end)
  return app
]]

-- The workers that answer on new connections, number to process, when there are `n`.
local function workers_of(server, n)
  local pids, count = {}, 0
  served.wait_until("not all workers answer", function()
    local who = json.decode(server:get().body)
    if not pids[who.worker] then pids[who.worker], count = who.pid, count + 1 end
    return count == n
  end)
  return pids
end

-- A list of connections, twice; they are closed with a variable `<close>`.
local function closing_all()
  local all = setmetatable({}, { __close = function(all) for _, conn in ipairs(all) do conn:close() end end })
  return all, all
end

-- Connections of which each worker has one at least; by the worker's number.
local function connect_to_each(server, n)
  local connections, count = {}, 0
  local all = (closing_all())
  served.wait_until("not all workers accept", function()
    local conn = server:connect()
    all[#all + 1] = conn
    local number = json.decode(served.ask(conn).body).worker
    if not connections[number] then connections[number], count = conn, count + 1 end
    return count == n
  end)
  return connections, all
end

describe("serve --workers", function()
  it("serves with that many processes on one port, and says so once they are ready", function()
    local server <close> = served.start({ ["app.lua"] = app }, "--workers 2")
    assert.matches("^moonloop %S+: serving app.lua on http://127.0.0.1:%d+ with 2 workers %(Ctrl%-C stops%)$",
      server.line)
    server:wait_for("on_start of 1\n")
    server:wait_for("on_start of 2\n")
    local pids = workers_of(server, 2)
    assert.not_equal(pids["1"], pids["2"])
    assert.not_equal(server.pid, tostring(pids["1"]))
    server:kill "TERM"
    assert.equal(0, (server:finish()))
    assert.equal(1, select(2, server:errors():gsub("on_stop of 1\n", "")))
    assert.equal(1, select(2, server:errors():gsub("on_stop of 2\n", "")))
  end)

  it("loads the app in the workers only", function()
    local server <close> = served.start({ ["app.lua"] = 'io.stderr:write("loaded\\n")' .. app }, "--workers 3")
    server:wait_for("on_start", 3)
    local text = server:errors()
    assert.equal(3, select(2, text:gsub("loaded", "")))
    for number = 1, 3 do assert.matches("%[worker " .. number .. " pid %d+%] loaded\n", text) end
  end)

  it("spreads clients over the workers, even those that come at once", function()
    local server <close> = served.start({ ["app.lua"] = app }, "--workers 2")
    local tasks, counts = {}, { ["1"] = 0, ["2"] = 0 }
    local leave <const> = ml.event()
    local function client()
      local conn <close> = server:connect()
      local number = json.decode(served.ask(conn).body).worker
      counts[number] = counts[number] + 1
      leave:wait()
    end
    for i = 1, 64 do tasks[i] = ml.spawn(client) end
    -- A worker that has stood still meanwhile gets more of those who come then.
    served.wait_until("one worker has most of the clients", function()
      local all = counts["1"] + counts["2"]
      if all == #tasks and math.min(counts["1"], counts["2"]) >= all / 3 then return true end
      if all == #tasks then tasks[#tasks + 1] = ml.spawn(client) end
    end)
    leave:set()
    for _, task in ipairs(tasks) do task:await() end
  end)

  it("lets no client wait for a worker that computes, while another has nothing to do", function()
    local source = app:gsub("return app%s*$", [[
      app:get("/busy", function()
        io.stderr:write("busy\n")
        while not io.open("done") do end
        return "done"
      end)
      return app]])
    local server <close> = served.start({ ["app.lua"] = source }, "--workers 2 --cpu-limit 0")
    local busy = ml.spawn(server.get, server, "/busy")
    server:wait_for "busy"
    local number
    local _ <close>, connections = closing_all()
    for i = 1, 50 do
      connections[i] = server:connect()
      local answer = json.decode(served.ask(connections[i]).body)
      number = number or answer.worker
      assert.equal(number, answer.worker)
    end
    assert.equal("suspended", busy:status())
    server:write("done", "")
    assert.equal("done", busy:await().body)
  end)

  it("closes no connection for a client that another worker has room for", function()
    local source = app:gsub("app%(%)", "app { max_connections = 4 }")
    local function worker_of(conn) -- nil: the connection has been closed
      local res = conn:send(web.request("GET", "/")) and web.receive(conn)
      return res and json.decode(res.body)
    end
    local function attempt()
      local server <close> = served.start({ ["app.lua"] = source }, "--workers 2")
      local pids, counts, full, free = workers_of(server, 2), {}, nil, nil
      local _ <close>, connections = closing_all()
      for i = 1, 7 do -- one worker is full with the last of four, `full`, and the other one has room
        connections[i] = server:connect()
        local number = (worker_of(connections[i]) or {}).worker
        if not number then return false end
        counts[number] = (counts[number] or 0) + 1
        if counts[number] == 4 then full, free = connections[i], pids[number == "1" and "2" or "1"] end
      end
      server:kill("STOP", free)
      connections[8] = server:connect()
      worker_of(full) -- it knows of the client then
      server:kill("CONT", free)
      for _, conn in ipairs(connections) do
        if not worker_of(conn) then return false end
      end
      return true
    end
    -- Where a busy machine lets the other one come too late, that is right; not each time.
    local kept
    for _ = 1, 20 do kept = kept or attempt() end
    assert.is_true(kept)
  end)

  it("takes 'auto' for one per core", function()
    local server <close> = served.start({ ["app.lua"] = app }, "--workers auto")
    local pipe = assert(io.popen "nproc")
    local n = pipe:read "n"
    pipe:close()
    assert.matches("with " .. n .. " worker", server.line)
  end)

  it("says in one line that the port is in use", function()
    local first <close> = served.start({ ["app.lua"] = app }, "--workers 2")
    local server <close> = served.start({ ["app.lua"] = app }, "--workers 2 --port " .. first.port)
    assert.equal(1, (server:finish()))
    assert.equal("moonloop: cannot listen on 127.0.0.1 port " .. first.port .. ": address already in use\n",
      server:errors())
  end)

  it("says once what is wrong with an app that does not load, and exits with 1", function()
    local server <close> = served.start({ ["app.lua"] = "return {" }, "--workers 3")
    assert.equal(1, (server:finish()))
    local text = server:errors()
    assert.matches("^%[worker 1 pid %d+%] moonloop: app.lua:1: unexpected symbol near <eof>\n" ..
      "moonloop: worker 1 %(pid %d+%) exited with status 1 before all were ready\n$", text)
  end)

  it("gives up if one of the first workers fails to start", function()
    local source = 'assert(os.getenv "MOONLOOP_WORKER" ~= "2", "not here")\n' .. app
    local server <close> = served.start({ ["app.lua"] = source }, "--workers 2")
    assert.equal(1, (server:finish()))
    assert.matches("%[worker 2 pid %d+%] moonloop: app.lua:1: not here\n", server:errors())
  end)

  it("restarts a worker that ends, and reports its status or signal and the pause", function()
    local server <close> = served.start({ ["app.lua"] = app }, "--workers 2")
    server:get "/exit"
    local text = server:wait_for("moonloop: worker %d %(pid %d+%) serves\n")
    assert.matches("\nmoonloop: worker %d %(pid %d+%) exited with status 3 after %d+%.%d s; " ..
      "it is restarted in 0.1 s\n", text)
    local pids = workers_of(server, 2)
    server:kill("KILL", pids["1"] // 1)
    text = server:wait_for("moonloop: worker %d %(pid %d+%) serves\n", 2)
    assert.matches("\nmoonloop: worker 1 %(pid " .. pids["1"] // 1 ..
      "%) was killed by signal 9 %(Killed%) after %d+%.%d s; it is restarted in 0.[12] s\n", text)
    assert.not_equal(pids["1"], workers_of(server, 2)["1"])
  end)

  it("restarts and reloads workers though one has written all over the memory that they share", function()
    local spoils = app:gsub("return app", [[
      app:get("/spoil", function()
        for line in io.lines "/proc/self/maps" do
          local from, to = line:match "^(%%x+)%%-(%%x+) .*moonloop workers"
          if from then
            local memory <close> = assert(io.open("/proc/self/mem", "r+b"))
            memory:setvbuf "no"
            memory:seek("set", tonumber(from, 16))
            assert(memory:write(("\1"):rep(tonumber(to, 16) - tonumber(from, 16))))
          end
        end
      end)
      %0]])
    local server <close> = served.start({ ["app.lua"] = spoils }, "--workers 2 --core-files")
    assert.equal(204, server:get "/spoil".status)
    for number, pid in pairs(workers_of(server, 2)) do
      server:kill("KILL", pid)
      server:wait_for("worker " .. number .. " %(pid %d+%) serves")
    end
    server:kill "HUP"
    server:wait_for "reloaded: 2 new workers of generation 2"
    workers_of(server, 2)
  end)

  it("waits longer before each restart of a worker that fails, and others serve meanwhile", function()
    local source = 'if io.open("broken") then os.exit(4) end\n' .. app
    local server <close> = served.start({ ["app.lua"] = source }, "--workers 2")
    local pids = workers_of(server, 2)
    server:write("broken", "")
    server:kill("KILL", pids["2"] // 1)
    for _, pause in ipairs { "0.1", "0.2", "0.4" } do
      server:wait_for("restarted in " .. pause .. " s\n")
      assert.equal("1", json.decode(server:get().body).worker)
    end
    assert.matches("worker 2 %(pid %d+%) exited with status 4, before it was ready, after", server:errors())
    os.remove(server.path .. "/broken")
    server:wait_for("moonloop: worker 2 %(pid %d+%) serves\n")
    workers_of(server, 2)
  end)

  it("drains all workers at SIGTERM and SIGINT, and exits with 0", function()
    for _, signal in ipairs { "TERM", "INT" } do
      local server <close> = served.start({ ["app.lua"] = app }, "--workers 2")
      local connections, all <close> = connect_to_each(server, 2) -- luacheck: ignore all
      local answers = ml.spawn(ml.gather, {
        function() return served.ask(connections["1"], "/slow").body end,
        function() return served.ask(connections["2"], "/slow").body end })
      server:wait_for("in the handler", 2)
      server:kill(signal)
      assert.same({ "1", "2", n = 2 }, answers:await())
      assert.equal(0, (server:finish()))
      assert.is_nil((common.rawtcp.connect(server.port)))
    end
  end)

  it("cancels what takes longer than --drain", function()
    local server <close> = served.start({ ["app.lua"] = app }, "--workers 2 --drain 0.1")
    local stuck = ml.spawn(server.get, server, "/stuck")
    server:wait_for "in the handler"
    server:kill "TERM"
    assert.equal(0, (server:finish()))
    assert.equal(503, stuck:await().status)
  end)

  -- A worker that is blocked in a C function: opening a pipe that nobody writes to.
  local blocked = app:gsub("return app%s*$", [[
    app:get("/blocked", function()
      assert(os.execute "mkfifo pipe")
      io.stderr:write("blocked\n")
      io.open "pipe"
    end)
    return app]])

  it("kills a worker that does not end, --kill-after seconds after its drain limit", function()
    local server <close> = served.start({ ["app.lua"] = blocked },
      "--workers 2 --drain 0.1 --kill-after 0.3")
    local request = ml.spawn(pcall, server.get, server, "/blocked")
    local number = server:wait_for("blocked"):match "%[worker (%d) pid %d+%] blocked"
    server:kill "TERM"
    assert.equal(128 + 9, (server:finish()))
    assert.is_false(request:await())
    -- On a machine that stands still meanwhile the other worker may be too late, as well.
    local text = server:errors()
    assert.matches("\nmoonloop: worker " .. number .. " %(pid %d+%) does not end: it is killed\n", text)
    assert.matches("\nmoonloop: worker " .. number ..
      " %(pid %d+%) was killed by signal 9 %(Killed%) when it was told to end\n", text)
    assert.is_nil(text:find("on_stop of " .. number, 1, true))
  end)

  it("kills a worker with old code that does not end, and keeps serving", function()
    local server <close> = served.start({ ["app.lua"] = blocked },
      "--workers 1 --drain 0.1 --kill-after 0.3")
    local request = ml.spawn(pcall, server.get, server, "/blocked")
    server:wait_for "blocked"
    server:kill "HUP"
    server:wait_for "was killed by signal 9 %(Killed%) when it was told to end\n"
    assert.is_false(request:await())
    assert.equal("1", json.decode(server:get().body).worker)
    server:kill "TERM"
    assert.equal(0, (server:finish()))
  end)

  it("ends all processes at once at a second signal, with its status", function()
    local server <close> = served.start({ ["app.lua"] = app }, "--workers 2 --drain 1000")
    local pids = workers_of(server, 2)
    local stuck = ml.spawn(pcall, server.get, server, "/stuck")
    server:wait_for "in the handler"
    server:kill "TERM"
    server:wait_for "a second signal ends"
    server:kill "TERM"
    assert.equal(143, (server:finish()))
    for _, pid in pairs(pids) do
      served.wait_until("a worker is left", function() return not left.is_alive(pid // 1) end)
    end
    assert.is_false((stuck:await()))
  end)

  describe("on a terminal", function()
    local pty = require "pty"

    -- Starts it on a terminal; calls f(pty, the processes of the workers, what they have printed).
    local function on_terminal(f)
      local folder <close> = folders.new { ["app.lua"] = app }
      local terminal <close> = pty.open(200, 50, common.binary, "serve", folder.path .. "/app.lua", "--port", "0",
        "--workers", "2")
      local text = ""
      local function read_until(pattern)
        served.wait_until(pattern, function()
          text = text .. (terminal:read(0) or "")
          return text:find(pattern)
        end)
      end
      read_until "Ctrl%-C stops"
      local pids = {}
      for pid in text:gmatch "%[worker %d pid (%d+)%] on_start" do pids[#pids + 1] = pid end
      assert.equal(2, #pids)
      f(terminal, pids, read_until)
      assert.equal(0, terminal:wait(100))
      for _, pid in ipairs(pids) do
        served.wait_until("a worker is left", function() return not left.is_alive(pid) end)
      end
    end

    it("stops cleanly at Ctrl-C, which all processes get", function()
      on_terminal(function(terminal, _, read_until)
        terminal:write "\3"
        read_until "on_stop of %d.*on_stop of %d"
      end)
    end)

    it("stops cleanly when the terminal is closed", function()
      on_terminal(function(terminal) terminal:hang_up() end)
    end)
  end)

  it("leaves no workers when the supervisor is killed: they end cleanly", function()
    local server <close> = served.start({ ["app.lua"] = app }, "--workers 2")
    local pids = workers_of(server, 2)
    local slow = ml.spawn(server.get, server, "/slow")
    server:wait_for "in the handler"
    server:kill "KILL"
    assert.equal(200, slow:await().status)
    for _, pid in pairs(pids) do
      served.wait_until("a worker is left", function() return not left.is_alive(pid // 1) end)
    end
  end)

  it("passes SIGUSR1 on: each worker prints its tasks", function()
    local server <close> = served.start({ ["app.lua"] = app }, "--workers 2")
    server:kill "USR1"
    local text = server:wait_for("%[worker %d pid %d+%] moonloop %d+: 0 tasks", 2)
    assert.matches("%[worker 1 pid (%d+)%] moonloop %1: 0 tasks", text)
    assert.matches("%[worker 2 pid (%d+)%] moonloop %1: 0 tasks", text)
  end)

  it("does not affect processes started by an app: the variable that makes a worker is not passed on", function()
    local server <close> = served.start({ ["app.lua"] = app }, "--workers 1")
    assert.equal("nil", server:get("/environment").body)
    local pipe = assert(io.popen(("MOONLOOP_SUPERVISED=0 '%s' serve app.lua 2>&1"):format(common.binary)))
    assert.equal("moonloop: MOONLOOP_SUPERVISED is for the workers that `moonloop serve --workers` starts\n",
      pipe:read "a")
    assert.equal(1, select(3, pipe:close()))
  end)
end)

describe("the logs of workers", function()
  it("have the worker's name before each whole line of standard error", function()
    local source = app .. '\n'
    source = source:gsub("return app%s*$", [[
      app:get("/lines", function()
        for i = 1, 200 do io.stderr:write(("x"):rep(i), "-", number, "\n") end
        io.stderr:write("part") io.stderr:write(" of a line\n")
      end)
      return app]])
    local server <close> = served.start({ ["app.lua"] = source }, "--workers 2")
    local connections, all <close> = connect_to_each(server, 2) -- luacheck: ignore all
    ml.gather({ served.ask, connections["1"], "/lines" }, { served.ask, connections["2"], "/lines" })
    local text = server:wait_for("part of a line\n", 2)
    local counts = { ["1"] = 0, ["2"] = 0 }
    for line in text:gmatch "[^\n]+" do
      local number, xs, same = line:match "^%[worker (%d) pid %d+%] (x+)%-(%d)$"
      if number then
        assert.equal(number, same)
        counts[number] = counts[number] + 1
        assert.equal(counts[number], #xs)
      else
        assert.matches("^%[worker %d pid %d+%] ", line)
      end
    end
    assert.same({ ["1"] = 200, ["2"] = 200 }, counts)
  end)

  it("show a worker's last output if it dies in the middle of a line", function()
    local server <close> = served.start({ ["app.lua"] = [[
      local app = require "moonloop".web.app()
      app:get("/", function() io.stderr:write("last words") os.execute("kill -KILL $PPID") end)
      return app]] }, "--workers 1")
    local conn <close> = server:connect()
    served.ask(conn)
    assert.matches("%[worker 1 pid %d+%] last words\nmoonloop: worker 1 %(pid %d+%) was killed",
      server:wait_for "restarted in")
  end)

  it("have the worker in the entries of the access log, whose lines stay whole", function()
    local long = "/?" .. ("x"):rep(500)
    local common_line = '^127%.0%.0%.1 %- %- %[.-%] "GET (%S+) HTTP/1.1" 200 %d+ "%-" "%-" [%d.]+ "%x+%-%d+" (%d)$'
    for _, format in ipairs { "json", "common" } do
      local server <close> = served.start({ ["app.lua"] = app }, "--workers 2 --access-log " .. format)
      local connections, all <close> = connect_to_each(server, 2) -- luacheck: ignore all
      local function ask(number)
        local conn = connections[number]
        assert(conn:send(("GET " .. long .. " HTTP/1.1\r\nHost: x\r\n\r\n"):rep(30)))
        for _ = 1, 30 do assert.equal(200, web.receive(conn).status) end
      end
      ml.gather({ ask, "1" }, { ask, "2" })
      server:kill "TERM"
      local status, output = server:finish()
      assert.equal(0, status)
      local counts = { ["1"] = 0, ["2"] = 0 }
      for line in output:gmatch "[^\n]+" do
        local target, number = line:match(common_line)
        if format == "json" then
          local entry = assert(json.decode(line))
          target, number = entry.target, tostring(entry.worker)
          assert.is_number(entry.pid)
        end
        if target ~= "/" then
          assert.equal(long, target)
          counts[number] = counts[number] + 1
        end
      end
      assert.same({ ["1"] = 30, ["2"] = 30 }, counts)
    end
  end)
end)

describe("moonloop ps of a supervisor", function()
  it("shows all workers with their tasks", function()
    local server <close> = served.start({ ["app.lua"] = app }, "--workers 2 --drain 0")
    local connections, all <close> = connect_to_each(server, 2) -- luacheck: ignore all
    local stuck = {}
    for number, conn in pairs(connections) do stuck[#stuck + 1] = ml.spawn(served.ask, conn, "/stuck", number) end
    server:wait_for("in the handler", 2)
    local text = server:ps()
    assert.matches(("^moonloop %s: serves app.lua on http://127.0.0.1:%d, 2 workers\n"):format(server.pid, server.port),
      text)
    for number = 1, 2 do
      assert.matches("\nworker " .. number .. ", pid (%d+): serving, generation 1, up %d+%.%d s, 0 restarts, " ..
        "%d+ connections, %d+ requests\n  moonloop %1: 1 task, cpu [%d.]+ s\n  #%d+ GET /stuck: waits for sleep", text)
    end
    assert.matches("in [%w ]*'sleep'", server:ps "--traceback")
    server:kill "TERM"
    assert.equal(0, (server:finish()))
    for _, task in ipairs(stuck) do task:await() end
  end)

  it("counts restarts, and shows a worker that waits for one", function()
    local source = 'if io.open("broken") then os.exit(4) end\n' .. app
    local server <close> = served.start({ ["app.lua"] = source }, "--workers 1")
    server:write("broken", "")
    server:get "/exit"
    server:wait_for "restarted in 0.8 s"
    local shown = served.wait_until("it does not wait", function() -- unless it is just being started
      return server:ps():match "\nworker 1: restarts in %d+%.%d s, %d+ restarts\n$"
    end)
    local seconds, restarts = shown:match "(%d+%.%d) s, (%d+)"
    assert.is_true(tonumber(restarts) >= 3, shown)
    assert.is_true(tonumber(seconds) <= 0.1 * 2 ^ tonumber(restarts), shown)
  end)
end)
