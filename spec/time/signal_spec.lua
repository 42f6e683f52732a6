-- Signals that scripts listen for.
local ml = require "moonloop"
local process = require "spec.support.process"
local folders = require "spec.support.folder"

--- Sends this process a signal.
local function send(name) assert(io.popen("kill -" .. name .. " $PPID"):close()) end

--- Runs a script that can `send` itself signals.
local function run(code)
  return process.run([[
io.stdout:setvbuf "no"
local function send(name) io.popen("kill -" .. name .. " $PPID"):close() end
]] .. code)
end

describe("ml.signal.wait", function()
  it("gives the name of the signal that came", function()
    local task = ml.spawn(ml.signal.wait, "USR1", "USR2")
    ml.sleep(0)
    send "USR2"
    assert.equal("USR2", task:await())
  end)

  it("shows what it waits for", function()
    local task = ml.spawn(ml.signal.wait, "HUP", "USR2", "WINCH")
    ml.sleep(0)
    local waiting
    for _, entry in ipairs(ml.tasks()) do
      if entry.task == task then waiting = entry.waiting_for end
    end
    assert.equal("signal HUP, USR2 or WINCH", waiting)
    task:cancel()
  end)

  it("can be cancelled, and obeys limits", function()
    assert.equal("timeout", select(2, ml.timeout(0.01, ml.signal.wait, "USR2")).kind)
    local task = ml.spawn(ml.signal.wait, "USR2")
    ml.sleep(0)
    task:cancel()
    assert.equal("cancelled", select(2, pcall(task.await, task)).kind)
  end)

  it("tells every task that waits for the signal", function()
    local a, b = ml.spawn(ml.signal.wait, "USR2"), ml.spawn(ml.signal.wait, "CHLD", "USR2")
    ml.sleep(0)
    send "USR2" -- the end of what sends it is a CHLD
    assert.equal("USR2", a:await())
    local name = b:await()
    assert(name == "USR2" or name == "CHLD")
  end)

  it("works in jobs", function()
    local pool <close> = ml.executor.new { threads = 1 }
    local call = pool:start(function()
      local job = require "moonloop"
      local task = job.spawn(job.signal.wait, "USR2")
      job.sleep(0)
      io.popen "kill -USR2 $PPID":close()
      return task:await()
    end)
    assert.equal("USR2", call:await())
  end)

  it("refuses other names", function()
    local function refused(pattern, ...)
      local ok, err = pcall(ml.signal.wait, ...)
      assert.is_false(ok)
      assert.matches(pattern, err, 1, true)
    end
    refused "bad argument #1 to 'ml.signal.wait' (the name of a signal expected, got no value)"
    refused("bad argument #2 to 'ml.signal.wait' (the name of a signal expected, got number)", "HUP", 1)
    refused("unknown signal 'SIGFOO' of ml.signal.wait (known: ALRM, CHLD, CONT, HUP, INT, QUIT, TERM", "SIGFOO")
    refused("no program can listen for KILL", "HUP", "KILL")
    refused("no program can listen for STOP", "STOP")
    for _, name in ipairs { "SEGV", "PIPE", "URG", "hup", "" } do refused("unknown signal", name) end
  end)
end)

describe("ml.signal.each", function()
  it("gives one signal after the other, and keeps those that come while the body runs", function()
    local got = {}
    local task = ml.spawn(function()
      for name in ml.signal.each("WINCH", "USR2", "ALRM") do
        got[#got + 1] = name
        if #got == 1 then
          send "ALRM"
          send "WINCH"
        end
        if #got == 3 then break end
      end
    end)
    ml.sleep(0)
    send "USR2"
    task:await()
    assert.equal("USR2", table.remove(got, 1))
    table.sort(got)
    assert.same({ "ALRM", "WINCH" }, got)
  end)

  it("listens until its loop is left", function()
    local output, status = run [[
ml.spawn(function() ml.sleep(0) send "USR2" end)
for name in ml.signal.each "USR2" do print(name) break end
send "USR2"
ml.sleep(60)]]
    assert.matches("^USR2\n", output)
    assert.is_true(status == 12 or status == 128 + 12, status) -- as the system ends a program
    assert.not_matches("traceback", output)
  end)

  it("says who uses it wrongly", function()
    local next_name, _, _, listening = ml.signal.each "USR2"
    local task = ml.spawn(next_name)
    ml.sleep(0)
    assert.error_matches(next_name, "ml.signal.each: another task waits in the same loop")
    task:cancel()
    pcall(task.await, task)
    getmetatable(listening).__close(listening)
    assert.error_matches(next_name, "ml.signal.each: its loop has been left")
  end)
end)

describe("a script that listens for INT and TERM", function()
  it("decides itself", function()
    local output, status = run [[
ml.spawn(function() ml.sleep(0) send "INT" end)
for name in ml.signal.each("INT", "TERM") do
  print(name)
  if name == "TERM" then break end
  ml.sleep(1.5)
  send "TERM"
end
print "done"]]
    assert.equal("INT\nTERM\ndone\n", output)
    assert.equal(0, status)
  end)

  it("is ended by two within a second", function()
    local output, status = run [[
ml.spawn(function() ml.sleep(0) send "INT" end)
for name in ml.signal.each "INT" do
  print(name)
  for _ = 1, 100 do -- a busy machine may take longer than a second between two
    send "INT"
  end
  ml.sleep(60)
end]]
    assert.equal("INT\n", output)
    assert.equal(130, status)
  end)

  it("is ended as usual when it listens no more", function()
    local output, status = run [[
ml.spawn(function() ml.sleep(0) send "TERM" end)
print(ml.signal.wait "TERM")
ml.sleep(1.5)
local _ <close> = setmetatable({}, { __close = function() print "cleaned up" end })
send "TERM"
ml.sleep(60)]]
    assert.equal("TERM\ncleaned up\n", output)
    assert.equal(143, status)
  end)

  it("is ended by one that came and that it has not taken", function()
    local output, status = run [[
local _ <close> = setmetatable({}, { __close = function() print "cleaned up" end })
ml.spawn(function() ml.sleep(0) send "INT" end)
for name in ml.signal.each("INT", "TERM") do
  print(name)
  ml.sleep(1.5)
  send "TERM"
  break
end
ml.sleep(60)]]
    assert.equal("INT\ncleaned up\n", output)
    assert.equal(143, status)
  end)

  it("decides in a job, too", function()
    local output, status = run [[
print(ml.executor.run(function()
  local job = require "moonloop"
  local task = job.spawn(job.signal.wait, "TERM")
  job.sleep(0)
  io.popen("kill -TERM $PPID"):close()
  return task:await()
end))]]
    assert.equal("TERM\n", output)
    assert.equal(0, status)
  end)
end)

describe("a script that listens for USR1", function()
  it("gets it in place of the list of tasks", function()
    local output, status = run [[
ml.spawn(function() ml.sleep(0) send "USR1" end)
print(ml.signal.wait "USR1")
send "USR1"
ml.sleep(0.01)]]
    assert.matches("^USR1\nmoonloop: the tasks of this process\nmoonloop %d+: ", output)
    assert.equal(0, status)
  end)
end)

describe("under serve", function()
  it("the signals of servers are refused, others are not", function()
    local folder <close> = folders.new { ["app.lua"] = [[
local ml = require "moonloop"
local app = ml.web.app()
app:get("/{name}", function(req) return select(2, pcall(ml.signal.each, req.params.name)) end)
app:get("/job/{name}", { offload = true }, function(req)
  return select(2, pcall(require "moonloop".signal.each, req.params.name))
end)
app:get("/other/alrm", function()
  local _, _, _, listening <close> = ml.signal.each "ALRM"
  return type(listening)
end)
return app]] }
    local server <close> = process.serve(folder.path .. "/app.lua")
    for _, name in ipairs { "HUP", "USR1", "USR2", "INT", "TERM", "CHLD" } do
      local message = ("ml.signal.each: `moonloop serve` acts on %s itself"):format(name)
      assert.matches(message, assert(ml.http.get(server.url .. "/" .. name)).body, 1, true)
      assert.matches(message, assert(ml.http.get(server.url .. "/job/" .. name)).body, 1, true)
    end
    assert.equal("userdata", assert(ml.http.get(server.url .. "/other/alrm")).body)
  end)
end)
