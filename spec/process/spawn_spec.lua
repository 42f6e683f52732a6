-- ml.process.spawn: a program that one talks to while it runs.
local folders = require "spec.support.folder"
local left = require "spec.support.left"
local ml = require "moonloop"

local spawn, run = ml.process.spawn, ml.process.run

--- `f` raises what has `pattern`, with a line of this file.
local function raises(pattern, f, ...)
  local ok, err = pcall(f, ...)
  assert.is_false(ok)
  assert.matches("spawn_spec.lua:%d+: .*" .. pattern, tostring(err))
end

describe("a program that was spawned", function()
  it("IO-05 is written to and read from while it runs", function()
    local p <close> = assert(spawn { "cat" })
    assert.is_true(left.is_alive(p.pid))
    for i = 1, 3 do
      assert(p.stdin:write("line ", i, "\n"))
      assert.equal("line " .. i, p.stdout:read())
    end
    p.stdin:close()
    assert.is_nil(p.stdout:read())
    assert.same({ ok = true, code = 0 }, assert(p:wait()))
    assert.same({ ok = true, code = 0 }, assert(p:wait()))
  end)

  it("has both its outputs, as streams of their own", function()
    local p <close> = assert(spawn { shell = "echo out; echo err >&2; exit 3" })
    assert.equal("err\n", p.stderr:read "a")
    assert.equal("out\n", p.stdout:read "a")
    assert.same({ ok = false, code = 3 }, assert(p:wait()))
  end)

  it("has no stream where its descriptor is something else", function()
    local folder <close> = folders.new {}
    local path = folder.path .. "/out"
    local p <close> = assert(spawn { "cat", stdin = "text", stdout = path, stderr = "null" })
    assert.is_true(p:wait().ok)
    assert.is_nil(p.stdin or p.stdout or p.stderr)
    assert.equal("text", folders.read(path))
    local q <close> = assert(spawn { "cat", stdin = false })
    assert.is_nil(q.stdin)
    assert.equal("", q.stdout:read "a")
  end)

  it("can be waited for by many, before and after its end", function()
    local p <close> = assert(spawn { "cat" })
    local tasks = {}
    for i = 1, 3 do tasks[i] = ml.spawn(p.wait, p) end
    ml.sleep(0)
    p.stdin:close()
    for _, task in ipairs(tasks) do assert.is_true(task:await().ok) end
  end)

  it("tells streams of more than a pipe holds from each other", function()
    local p <close> = assert(spawn { "cat" })
    local long = ("0123456789abcdef"):rep(65536)
    local writer = ml.spawn(function()
      p.stdin:write(long)
      p.stdin:close()
    end)
    assert.is_true(p.stdout:read "a" == long)
    writer:await()
  end)

  it("that does not read makes a write fail", function()
    local p <close> = assert(spawn { "true" })
    p:wait()
    local ok, err
    repeat ok, err = p.stdin:write(("x"):rep(100000)) until not ok
    assert.equal("EPIPE", err.code)
    assert.equal("process", err.kind)
    assert.matches("the standard input of 'true'", err.message)
  end)

  it("that cannot be started is an error, as for run", function()
    local p, err = spawn { "no-such-program" }
    assert.is_nil(p)
    assert.equal("process ENOENT", err.kind .. " " .. err.code)
  end)
end)

describe("leaving the block", function()
  it("ends the program, and waits for its end", function()
    local pid
    do
      local p <close> = assert(spawn { "sleep", 1000 })
      pid = p.pid
    end
    assert.is_false(left.is_alive(pid))
  end)

  it("kills a program that does not end by itself", function()
    local q
    do
      local text = "trap '' TERM; echo up; while :; do sleep 0.01; done"
      local p <close> = assert(spawn { shell = text, kill_after = 0.02 })
      assert.equal("up", p.stdout:read())
      q = p
    end
    assert.equal("KILL", q:wait().signal)
    assert.is_false(left.is_alive(q.pid))
  end)

  it("by an error, or by a cancel, does so, too", function()
    local pid
    assert.is_false(pcall(function()
      local p <close> = assert(spawn { "sleep", 1000 })
      pid = p.pid
      error "away"
    end))
    assert.is_false(left.is_alive(pid))
    local task = ml.spawn(function()
      local p <close> = assert(spawn { "sleep", 1000 })
      pid = p.pid
      p.stdout:read()
    end)
    ml.sleep(0)
    task:cancel()
    ml.catch(task.await, task)
    assert.equal("cancelled", task:status())
    assert.is_false(left.is_alive(pid))
  end)

  it("ends what the program has left running in its group", function()
    local pid
    do
      local p <close> = assert(spawn { shell = "sleep 1000 >/dev/null & echo $!", group = true, kill_after = 20 })
      pid = p.stdout:read()
      assert.is_true(p:wait().ok)
      assert.is_true(left.is_alive(pid))
    end
    assert.is_false(left.is_alive(pid))
  end)

  it("leaves what is in no group of its own", function()
    local pid
    do
      local p <close> = assert(spawn { shell = "sleep 1000 >/dev/null & echo $!" })
      pid = p.stdout:read()
      p:wait()
    end
    assert.is_true(left.is_alive(pid))
    assert(run { "kill", "-KILL", pid })
  end)
end)

describe("p:kill", function()
  it("sends a signal, by its name or number", function()
    for _, signal in ipairs { "HUP", "SIGHUP", 1 } do
      local p <close> = assert(spawn { "sleep", 1000 })
      assert.is_true(p:kill(signal))
      assert.equal("HUP", p:wait().signal)
      assert.is_false(p:kill(signal))
    end
    local p <close> = assert(spawn { "sleep", 1000 })
    assert.is_true(p:kill())
    assert.equal("TERM", p:wait().signal)
  end)

  it("reaches the whole group", function()
    local p <close> = assert(spawn { shell = "sleep 1000 & echo up; wait", group = true })
    assert.equal("up", p.stdout:read())
    p:kill "KILL"
    assert.equal("", p.stdout:read "a") -- nobody has it open any more
  end)

  it("raises for what is no signal", function()
    local p <close> = assert(spawn { "sleep", 1000 })
    raises("process:kill: 'NONE' is no signal", p.kill, p, "NONE")
    raises("process:kill: 0 is no signal", p.kill, p, 0)
    raises("process:kill: a table is no signal", p.kill, p, {})
  end)
end)

describe("a wait", function()
  it("that is cancelled leaves the program alone", function()
    local p <close> = assert(spawn { "cat" })
    assert.equal("timeout", select(2, ml.timeout(0.01, p.wait, p)).kind)
    assert.is_true(left.is_alive(p.pid))
    p.stdin:write "still here\n"
    assert.equal("still here", p.stdout:read())
  end)

  it("ends when the program's time is over", function()
    local p <close> = assert(spawn { "sleep", 1000, timeout = 0.05 })
    local result, err = p:wait()
    assert.is_nil(result)
    assert.equal("timeout", err.kind)
    assert.equal("TERM", err.result.signal)
  end)
end)

describe("a program that reads from", function()
  it("a function gets its pieces", function()
    local n = 0
    local function pieces()
      n = n + 1
      ml.sleep(0)
      return n <= 3 and ("piece %d\n"):format(n) or nil
    end
    assert.equal("piece 1\npiece 2\npiece 3\n", assert(run { "cat", stdin = pieces }).stdout)
  end)

  it("a function runs it in a task that has the line of the call", function()
    local here = ml.current()
    local begun, site = ml.event()
    local function pieces()
      assert.not_equal(here, ml.current())
      for _, task in ipairs(ml.tasks()) do
        if task.task == ml.current() then site = task.spawned_at end
      end
      begun:set()
    end
    local line = debug.getinfo(1, "l").currentline + 1
    local p <close> = assert(spawn { "cat", stdin = pieces })
    begun:wait()
    assert.equal("spec/process/spawn_spec.lua:" .. line, site)
    assert.is_true(p:wait().ok)
  end)

  it("a stream gets all of it", function()
    local source <close> = assert(spawn { "seq", 100000 })
    local result = assert(run { "wc", "-l", stdin = source.stdout })
    assert.equal("100000", result.stdout:match "%d+")
  end)

  it("a function that has no end can end before it", function()
    local function endless() return ("x"):rep(1000) end
    assert.equal("xxxx", assert(run { "head", "-c", 4, stdin = endless }).stdout)
    local function silent() ml.sleep(1000) end
    assert.is_true(assert(run { "true", stdin = silent }).ok)
  end)

  it("a function that fails is ended, and the error is raised", function()
    local ok, err = pcall(run, { "cat", stdin = function() error("no more", 0) end })
    assert.is_false(ok)
    assert.equal("no more", err)
    ok, err = pcall(run, { "cat", stdin = function() return 5 end })
    assert.is_false(ok)
    assert.matches("the function of option 'stdin' returned a number", err)
  end)

  it("a source that gives an error is ended, and the error returned", function()
    local function source() return nil, "the source has failed" end
    local result, err = run { "cat", stdin = source }
    assert.is_nil(result)
    assert.equal("the source has failed", err)
    local p <close> = assert(spawn { "cat", stdin = source })
    result, err = p:wait()
    assert.is_nil(result)
    assert.equal("the source has failed", err)
  end)

  it("another one is a pipe", function()
    local p <close> = assert(spawn { "printf", "b\\na\\n" })
    local q <close> = assert(spawn { "sort", stdin = p.stdout })
    assert.equal("a\nb\n", q.stdout:read "a")
  end)
end)

describe("a process that is forgotten", function()
  it("is ended by the collector", function()
    local pid = assert(spawn { "sleep", 1000, stdin = false, stdout = "null", stderr = "null" }).pid
    local reports <close> = require "spec.support".keep_reports() -- debug builds say so
    repeat
      collectgarbage()
      ml.sleep(0.005)
    until not left.is_alive(pid)
    assert(reports)
  end)
end)
