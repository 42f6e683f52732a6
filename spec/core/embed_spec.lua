-- moonloop.h: modules in C that suspend tasks, and C programs that embed the host. Times are generous
-- bounds, never measurements.
local ml = require "moonloop"
local eventually = require("spec.support.tasks").eventually
local folders = require "spec.support.folder"
local helpers = require "spec.support.process"
local left = require "spec.support.left"
local support = require "spec.support"

local process = require "process"

local read, sh, quote = folders.read, helpers.sh, helpers.quote

local LONG = 30 -- seconds
local folder = support.binary:match "^(.*)/[^/]+$" .. "/spec/"
local name = os.tmpname()

local descriptors, children = left.descriptors, left.children

describe("a function in C that libuv completes", function()
  it("IO-05 gives the exit status, as an error when it is not 0", function()
    assert.is_true(process.run "true")
    local ok, err = process.run("sh", "-c", "exit 3")
    assert.is_nil(ok)
    assert.is_true(ml.is_error(err))
    assert.equal("exit", err.kind)
    assert.equal("3", err.code)
    assert.equal("exit: sh has failed (3)", tostring(err))
    err = select(2, process.run("sh", "-c", "kill -9 $$"))
    assert.equal("signal 9", err.kind .. " " .. err.code)
    assert.equal("ENOENT", select(2, process.run "/nosuch/program").code)
  end)

  it("raises argument errors before anything is started", function()
    assert.error_matches(process.run, "bad argument #1 to '?.-run")
    assert.error_matches(function() process.run("true", {}) end, "bad argument #2")
    assert.error_matches(function() process.run(table.unpack({}, 1, 65)) end, "too many arguments")
  end)

  it("lets other tasks run, in any order", function()
    os.remove(name)
    local order = {}
    ml.gather(function()
      process.run("sh", "-c", ("until [ -e %s ]; do sleep 0.02; done"):format(name))
      order[#order + 1] = "first"
    end, function()
      process.run "true"
      order[#order + 1] = "second"
      assert(io.open(name, "w")):close() -- the first one has waited for that
    end)
    os.remove(name)
    assert.same({ "second", "first" }, order)
  end)

  it("IO-05 leaves no descriptor and no process behind, however it ends", function()
    local before
    for i = 1, 11 do
      if i == 2 then before = descriptors() end
      process.run "true"
      process.run "false"
      process.run "/nosuch/program"
      ml.timeout(0.005, process.run, "sleep", "1000")
    end
    assert.equal(before, descriptors())
    assert.equal(0, children())
  end)

  it("IO-05 kills the process when the task is cancelled, and waits for its end", function()
    local task = ml.spawn(process.run, "sleep", "1000")
    eventually(function() return children() == 1 end)
    assert.equal("suspended", task:status())
    task:cancel "enough"
    local ok, err = pcall(task.await, task)
    assert.is_false(ok)
    assert.equal("cancelled", err.kind)
    assert.equal("enough", err.reason)
    assert.equal(0, children())
  end)

  it("cannot be called in a cancelled task, or where Lua cannot suspend it", function()
    local started = true
    local task = ml.spawn(function()
      local _ <close> = setmetatable({}, { __close = function() started = pcall(process.run, "true") end }) -- luacheck: ignore
      ml.sleep(LONG)
    end)
    ml.sleep(0)
    task:cancel()
    pcall(task.await, task)
    assert.is_false(started == nil)
    assert.error_matches(function()
      table.sort({ 1, 2 }, function() return process.run "true" end)
    end, "process.run: cannot wait inside 'table.sort'")
  end)

  it("tells ml.tasks what it waits for", function()
    local task = ml.spawn(process.run, "sleep", "1000")
    ml.sleep(0)
    for _, t in ipairs(ml.tasks()) do
      if t.id == task.id then assert.equal("process", t.waiting_for) end
    end
    task:cancel()
    pcall(task.await, task)
  end)
end)

describe("a C program that embeds the host", function()
  local embed = quote(folder .. "embed")

  it("runs the example script with its own modules", function()
    local output, status = sh("timeout 300 " .. embed .. " scripts/examples/embed/demo.lua")
    assert.equal([[
true:	true
sh:	exit: sh has failed (3)	exit	3
nosuch:	ENOENT
at once:	true	timeout
in a worker:	true	true
checksum:	true	ENOENT
]], output)
    assert.equal(0, status)
  end)

  it("has its modules in the executor's workers, in new states and in pools made by jobs", function()
    local script <close> = folders.file [[
local ml, checksum, process = require "moonloop", require "checksum", require "process"
local path, pool <close> = arg[0], ml.executor.new { threads = 2, max_jobs = 1 }
local sum = checksum.file(path)
for _ = 1, 3 do print(pool:run(process.run, "true"), pool:run(function() return checksum.file(path) == sum end)) end
print(pool:run(function() return checksum end) == checksum)
print(pool:run(function()
  local inner <close> = require "moonloop".executor.new { threads = 1 }
  return inner:run(function() return require "checksum".file(path) == sum end)
end))]]
    local output, status = sh(("timeout 300 %s %s"):format(embed, quote(script.path)))
    assert.equal(("true\ttrue\n"):rep(3) .. "true\ntrue\n", output)
    assert.equal(0, status)
  end)

  it("gives the script its arguments, and takes its exit status", function()
    os.remove(name)
    local file = assert(io.open(name, "w"))
    file:write "print(#arg, arg[0] == nil, ...) os.exit(tonumber((...)))"
    file:close()
    local output, status = sh(("timeout 300 %s %s 7 'a b'"):format(embed, name))
    assert.equal("2\tfalse\t7\ta b\n", output)
    assert.equal(7, status)
    os.remove(name)
    output, status = sh("timeout 300 " .. embed .. " /nosuch.lua")
    assert.equal("moonloop: cannot open /nosuch.lua: No such file or directory\n", output)
    assert.equal(1, status)
  end)

  for what, body in pairs {
    ["waits"] = "require 'moonloop'.sleep(1000)",
    ["computes"] = "while true do end",
  } do
    it("stops a script that " .. what .. " from a signal handler, and cleans up", function()
      os.remove(name)
      local file = assert(io.open(name, "w"))
      file:write("local _ <close> = setmetatable({}, {__close = function() print 'clean' end})\n",
        "io.stdout:write 'ready\\n' io.stdout:flush()\n", body, "\n")
      file:close()
      local out, status_file = os.tmpname(), os.tmpname()
      local id_file = os.tmpname()
      os.execute(("(timeout 300 sh -c 'echo $$ >%s; exec \"$0\" %s' %s >%s 2>&1; echo $? >%s) >/dev/null 2>&1 &")
        :format(id_file, name, embed, out, status_file))
      eventually(function() return read(out) == "ready\n" end)
      os.execute("kill -INT " .. read(id_file))
      os.remove(id_file)
      eventually(function() return read(status_file) ~= "" end)
      assert.equal("ready\nclean\n", read(out))
      assert.equal("130\n", read(status_file))
      os.remove(out)
      os.remove(status_file)
      os.remove(name)
    end)
  end
end)
