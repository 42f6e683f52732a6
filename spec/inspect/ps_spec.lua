-- Looking into another process: SIGUSR1 and `moonloop ps`.
local ml = require "moonloop"
local ask = require "moonloop.inspect.ask".ask
local binary = require("spec.support").binary
local folders = require "spec.support.folder"
local programs = require "spec.support.process"

local sh = programs.sh

local function ps(pid, options) return sh(("'%s' ps %s %s"):format(binary, options or "", pid)) end

-- Starts `moonloop run` on a file of that source, and waits until it prints a line.
local function start(source)
  local file = folders.file('local ml = require "moonloop"\n' .. source)
  finally(function() file:close() end)
  local process = programs.start("run --block-limit 0 " .. file.path)
  process:line()
  return process
end

-- What a process has written to standard error, once that matches; or after a hundred seconds.
local function wait_for_errors(process, pattern)
  local text
  for _ = 1, 10000 do
    text = process:errors()
    if text:find(pattern) then break end
    ml.sleep(0.01)
  end
  return text
end

local sleepers = [[
  for _ = 1, 10000 do ml.spawn(ml.sleep, 100) end
  ml.spawn(function() ml.sleep(100) end).name = "the last one"
  ml.sleep(0) ml.sleep(0)
  print("ready") io.stdout:flush()
  ml.sleep(100)
]]

-- Starts them, and waits until the main task sleeps too: between its print and that, it runs.
local function start_sleepers()
  local process = start(sleepers)
  for _ = 1, 1000 do
    if ps(process.pid):find "\n#1 main: waits for sleep" then return process end
  end
  error "the main task does not come to its sleep"
end

-- One that was taken over may answer in the place of its host: this one does, so often with `text`, a Lua expression.
local function start_liar(text, times)
  return start(([[
    package.cpath = "%s/spec/?.so;" .. package.cpath
    local call = require "system_call"
    local pid = io.open("/proc/self/stat"):read "n"
    local inode = io.open("/proc/net/unix"):read "a":match("(%%d+) @moonloop/" .. pid .. "\n")
    for fd = 3, 100 do
      if ml.fs.readlink("/proc/self/fd/" .. fd) == "socket:[" .. inode .. "]" then call("close", fd) end
    end
    local name = "\1\0\0moonloop/" .. pid
    local _, server = call("socket", 1, 1, 0), call("socket", 1, 1, 0) -- the first takes the place of the closed one
    assert(call("bind", server, name, #name) == 0 and call("listen", server, 8) == 0)
    print("ready") io.stdout:flush()
    local text = %s
    while true do
      local client = call("accept4", server, 0, 0, 0)
      if client then
        call("read", client, ("\0"):rep(200), 200)
        for _ = 1, %s do
          local sent, why = call("sendto", client, text, #text, 0x4000) -- MSG_NOSIGNAL
          if not sent and why ~= "EINTR" then break end
        end
        call("close", client)
      end
    end]]):format((binary:match "^(.*)/"), text, times == math.huge and "math.huge" or times))
end

describe("SIGUSR1", function()
  it("prints the tasks to standard error, and the program continues", function()
    local process <close> = start_sleepers()
    for _ = 1, 2 do
      process:kill("USR1")
      local text = wait_for_errors(process, "the last one: [^\n]+\n")
      assert.matches("moonloop " .. process.pid .. ": 10002 tasks, cpu [%d.]+ s\n", text)
      assert.matches("\n#1 main: ", text)
      assert.matches("\n  10000 times #%d+: waits for sleep", text)
      assert.matches("\n  #%d+ the last one: waits for sleep", text)
      assert.is_nil(text:find("[C]", 1, true))
      process:forget_errors()
    end
    assert.equal(0, select(2, ps(process.pid)))
  end)
end)

describe("moonloop ps", function()
  it("shows the tasks of a running script", function()
    local process <close> = start_sleepers()
    local output, status = ps(process.pid)
    assert.equal(0, status)
    assert.matches("^moonloop " .. process.pid .. ": 10002 tasks", output)
    assert.matches("\n  #%d+ the last one: waits for sleep for %d", output)
    assert.is_nil(output:find("[C]", 1, true))
  end)

  it("shows names that others have chosen on their own line, and without what a terminal obeys", function()
    local process <close> = start [[
      local f = load("local ml = ... ml.sleep(100)", "=x\27[31m\n#8 forged")
      local task = ml.spawn(f, ml)
      task.name = "a\27]0;b\7\n#9 forged\r\u{9b}31m\u{202e}"
      ml.sleep(0) ml.sleep(0)
      print("ready") io.stdout:flush()
      ml.sleep(100)]]
    for _, options in ipairs { "", "--traceback" } do
      local output = ps(process.pid, options)
      assert.matches("\n  #%d+ a\\x1b]0;b\\x07\\n#9 forged\\r\\xc2\\x9b31m\\xe2\\x80\\xae: waits for", output)
      assert.equal(options ~= "", output:find("\n +x\\x1b%[31m\\n#8 forged:1: in main chunk\n") ~= nil)
    end
  end)

  it("shows nothing that a terminal obeys, whoever answers", function()
    local process <close> = start_liar([["one \27[31m\u{9b}31m\r\u{202e}\ntwo \xff"]], 1)
    assert.equal("one \\x1b[31m\\xc2\\x9b31m\\r\\xe2\\x80\\xae\ntwo \\xff\n", (ps(process.pid)))
  end)

  it("does not read an answer without an end, and neither does the inspector", function()
    local process <close> = start_liar('("x"):rep(1 << 20)', math.huge)
    local message = "does not come to the end of its answer"
    local output, status = ps(process.pid)
    assert.equal(("moonloop ps: process %s %s\n"):format(process.pid, message), output)
    assert.equal(1, status)
    local answer, err = ask(tonumber(process.pid), "s1 0 0 1", math.huge)
    assert.same({ nil, "the process " .. message }, { answer, err })
  end)

  it("shows with --traceback where they are", function()
    local process <close> = start_sleepers()
    local output, status = ps(process.pid, "--traceback")
    assert.equal(0, status)
    assert.matches("the last one: [^\n]+\n +%[C%]: in [%w ]*'sleep'\n +%S+:3: in function", output)
  end)

  it("shows the requests of a server, and what they wait for; not the host's own task", function()
    local app <close> = folders.file [[
      local ml = require "moonloop"
      local app = ml.web.app()
      app:get("/slow/{id}", function() ml.sleep(100) end)
      return app
    ]]
    local process <close> = programs.serve(app.path)
    local url = process.url
    local requests = {}
    for i = 1, 50 do requests[i] = ml.spawn(ml.http.get, url .. "/slow/" .. i) end
    local output
    for _ = 1, 5000 do
      output = ps(process.pid)
      if output:find("50 times", 1, true) then break end
      ml.sleep(0.01)
    end
    assert.matches("^moonloop %d+: 50 tasks, [^\n]+\n50 times #%d+ [^\n]*/slow/{id}[^\n]*: waits for sleep for", output)
    assert.is_nil(output:find("main", 1, true))
    for _, request in ipairs(requests) do request:cancel() end
  end)

  it("answers many at once, and the process still ends cleanly", function()
    local process <close> = start_sleepers()
    local output = sh(("for i in 1 2 3 4 5 6; do '%s' ps %s & done; wait"):format(binary, process.pid))
    assert.equal(6, select(2, output:gsub("the last one", "")))
    local _, _, errors = process:stop()
    assert.is_nil(errors:find("left open", 1, true))
  end)

  it("answers while a task computes without a pause, as SIGUSR1 does", function()
    local process <close> = start [[
      print("ready") io.stdout:flush()
      local function compute()
        while true do end
      end
      coroutine.wrap(compute)()
    ]]
    local pattern = "\n#1 main: running, age [^\n]+\n +%S+:4: in [^\n]+\n +in a coroutine"
    local output, status
    for _ = 1, 1000 do -- it may not have come so far
      output, status = ps(process.pid, "--traceback")
      assert.equal(0, status, output)
      if output:find(pattern) then break end
    end
    assert.matches(pattern, output)
    process:kill("USR1")
    local text = wait_for_errors(process, "#1 main: running, [^\n]+\n")
    assert.equal(1, select(2, text:gsub("#1 main: running", "")))
  end)

  -- A socket tells its process of a connection whoever makes it; a signal has to come from the same user.
  it("interrupts what runs by a signal of the one who asks, not by the connection", function()
    local process <close> = start_sleepers()
    local inode = assert(sh "cat /proc/net/unix":match("(%d+) @moonloop/" .. process.pid .. "\n"))
    local look = "cd /proc/%d/fd; for fd in *; do case $(readlink $fd) in *:'['%s']') cat ../fdinfo/$fd;; esac; done"
    local found = sh(look:format(process.pid, inode))
    local flags = tonumber(assert(found:match "flags:%s+(%d+)", found), 8)
    assert.equal(0, flags & tonumber("020000", 8)) -- O_ASYNC
  end)

  it("says so while a task blocks the process in a C function", function()
    local process <close> = start [[
      print("ready") io.stdout:flush()
      os.execute("exec sleep 40 >/dev/null 2>&1")
    ]]
    local output, status
    for _ = 1, 1000 do -- it may not have come so far
      output, status = ps(process.pid)
      if status ~= 0 then break end
    end
    assert.equal(1, status)
    assert.matches("process " .. process.pid .. " does not answer", output)
    assert.matches("one of its tasks is blocked in a C function", output)
  end)

  local asked = { ["a script"] = "run --block-limit 0", ["a supervisor"] = "serve --port 0 --workers 1" }
  for what, arguments in pairs(asked) do
    it("is answered again by " .. what .. " that had no descriptors for a while", function()
      local source <close> = folders.file [[
        local ml = require "moonloop"
        if not os.getenv "MOONLOOP_WORKER" then
          print "ready" io.stdout:flush()
          ml.sleep(1000)
        end
        return ml.web.app()]]
      local process <close> = programs.start(arguments .. " " .. source.path)
      process:line()
      local function limit(n) assert(os.execute(("prlimit --pid %s --nofile=%s:"):format(process.pid, n))) end
      limit(3)
      sh(("timeout 0.5 '%s' ps %s"):format(binary, process.pid)) -- it sees that somebody asks
      limit(1000)
      local output, status = ps(process.pid)
      assert.equal(0, status, output)
    end)
  end

  it("says what is wrong with the process", function()
    local process = start_sleepers()
    process:close()
    local output, status = ps(process.pid)
    assert.equal(1, status)
    assert.matches("process " .. process.pid .. " does not exist", output)
    local pipe = assert(io.popen("echo $$; exec sleep 100"))
    local pid = pipe:read("l")
    output, status = ps(pid)
    os.execute("kill " .. pid)
    pipe:close()
    assert.equal(1, status)
    assert.matches("process " .. pid .. " is not a moonloop that can be asked", output)
  end)

  it("refuses other users, the superuser too", function()
    if sh("id -u"):match("%d+") ~= "0" or not os.execute("command -v setpriv >/dev/null") then
      pending("needs root, to become somebody else")
      return
    end
    local copy = os.tmpname() -- the build may be where nobody can read
    assert(os.execute(("cp '%s' %s && chmod 755 %s"):format(binary, copy, copy)))
    local process <close> = start_sleepers()
    finally(function() os.remove(copy) end)
    local as_nobody = "setpriv --reuid=65534 --clear-groups "
    local output, status = sh(("%s %s ps %s"):format(as_nobody, copy, process.pid))
    assert.equal(1, status)
    assert.matches("belongs to another user", output)
    assert.is_nil(output:find("sleep", 1, true))
    local theirs = assert(io.popen(("echo $$; exec %s %s -e 'print(1) io.stdout:flush() " ..
      "require[[moonloop]].sleep(100)'"):format(as_nobody, copy)))
    local pid = theirs:read("l")
    assert.equal("1", theirs:read("l"))
    output, status = ps(pid)
    os.execute("kill " .. pid)
    theirs:close()
    assert.equal(1, status)
    assert.matches("belongs to another user, and only that user may ask: runuser %-u USER %-%- moonloop ps", output)
  end)

  it("names wrong usage", function()
    for arguments, message in pairs {
      [""] = "the number of the process is missing",
      ["x1"] = "'x1' is not the number of a process",
      ["0"] = "'0' is not the number of a process",
      ["1 2"] = "not also '2'",
      ["--all 1"] = "unknown option '%-%-all'",
    } do
      local output, status = ps(arguments)
      assert.equal(2, status)
      assert.matches(message, output)
    end
  end)
end)
