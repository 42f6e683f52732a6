-- ml.process.run: a program is started, waited for, and its output is kept.
local folders = require "spec.support.folder"
local left = require "spec.support.left"
local ml = require "moonloop"

local run = ml.process.run

--- `f` raises what has `pattern`, with a line of this file.
local function raises(pattern, f, ...)
  local ok, err = pcall(f, ...)
  assert.is_false(ok)
  assert.matches("run_spec.lua:%d+: .*" .. pattern, tostring(err))
end

--- The result of a call that fails, and its error.
local function fails(kind, code, pattern, ...)
  local result, err = ...
  assert.is_nil(result)
  assert.equal(kind, err.kind, err.message)
  assert.equal(code, err.code, err.message)
  assert.matches(pattern, err.message)
  return err
end

--- Runs a shell's text.
local function sh(text, options)
  options = options or {}
  options.shell = text
  return run(options)
end

describe("a program", function()
  it("gives what it printed and its code", function()
    local result = assert(run { "echo", "a b", 3, 4.5 })
    assert.same({ ok = true, code = 0, stdout = "a b 3 4.5\n", stderr = "" }, result)
    assert.same({ ok = false, code = 3, stdout = "out\n", stderr = "err\n" },
      assert(sh "echo out; echo err >&2; exit 3"))
  end)

  it("that a signal has ended gives its name and no code", function()
    assert.same({ ok = false, signal = "KILL", stdout = "", stderr = "" }, assert(sh "kill -KILL $$"))
    assert.equal("SEGV", assert(sh "kill -SEGV $$").signal)
  end)

  it("gets its arguments as they are, without a shell", function()
    assert.equal("[$HOME * ; 'x\"]", assert(run { "printf", "[%s]", "$HOME * ; 'x\"" }).stdout)
    assert.equal("[]", assert(run { "printf", "[%s]", "" }).stdout)
  end)

  it("of a shell's text gets the other arguments as $1 and on", function()
    assert.equal("<a b>2", assert(run { shell = 'printf "<%s>%d" "$1" $#', "a b", "c" }).stdout)
  end)

  it("runs beside other tasks", function()
    local fifo <close> = folders.new {}
    local path = fifo.path .. "/fifo"
    assert(run { "mkfifo", path }) -- each of the two waits for the other
    local reader, writer = ml.gather({ run, { "cat", path } }, { run, { shell = 'echo met > "$1"', path } })
    assert.equal("met\n", reader.stdout)
    assert.is_true(writer.ok)
  end)

  it("runs in a job of an executor, too", function()
    local stdout, kind = ml.executor.run(function()
      local process = require "moonloop".process
      local _, err = process.run { "sleep", 1000, timeout = 0.01 }
      return process.run { "echo", "job" }.stdout, err.kind
    end)
    assert.equal("job\n", stdout)
    assert.equal("timeout", kind)
  end)
end)

describe("a program that cannot be started", function()
  it("is told apart by what is wrong", function()
    local folder <close> = folders.new {
      plain = "text", script = "#!/no/such/interpreter\n", binary = "\1\2\3", sub = {} }
    local at = folder.path
    assert(os.execute(("chmod +x '%s/script' '%s/binary'"):format(at, at)))
    fails("process", "ENOENT", "^cannot run 'no%-such%-program': there is no such program in PATH %(.*/bin",
      run { "no-such-program" })
    fails("process", "ENOENT", "^cannot run '/no/such': No such file", run { "/no/such" })
    fails("process", "ENOENT", "^cannot run 'true': the folder '/no/such' %(cwd%) cannot be entered: No such file",
      run { "true", cwd = "/no/such" })
    fails("process", "ENOTDIR", "the folder '[^']*/plain' %(cwd%)", run { "true", cwd = at .. "/plain" })
    fails("process", "EACCES", "plain': Permission denied %(in '/'%)", run { at .. "/plain", cwd = "/" })
    fails("process", "EACCES", "sub': Permission denied$", run { at .. "/sub" })
    fails("process", "EACCES", "it is in PATH, but may not be executed", run { "plain", env = { PATH = at } })
    fails("process", "ENOENT", "script': the file is there, but not the interpreter", run { at .. "/script" })
    fails("process", "ENOEXEC", "binary': Exec format error %(a script begins", run { at .. "/binary" })
    fails("process", "E2BIG", "Argument list too long", run { "true", ("x"):rep(1024):rep(1024) })
    fails("process", "ENOENT", "'/no/such/file' %(stdout%) cannot be written: No such file",
      run { "true", stdout = "/no/such/file" })
  end)

  it("is not looked for in a folder of that name, but in the rest of PATH", function()
    local folder <close> = folders.new { a = { tool = {} }, b = { tool = "#!/bin/sh\necho found\n" } }
    assert(os.execute(("chmod +x '%s/b/tool'"):format(folder.path)))
    local path = ("%s/none:%s/a:%s/b"):format(folder.path, folder.path, folder.path)
    assert.equal("found\n", assert(run { "tool", env = { PATH = path } }).stdout)
    assert.equal("found\n", assert(run { "./tool", cwd = folder.path .. "/b" }).stdout)
  end)
end)

describe("what a program is given:", function()
  it("its folder", function()
    local folder <close> = folders.new {}
    assert.equal(folder.path .. "\n", assert(run { "pwd", "-P", cwd = folder.path }).stdout)
  end)

  it("our environment, with changes", function()
    assert.equal(os.getenv "PATH", assert(sh 'printf %s "$PATH"').stdout)
    local env = { HOME = false, A = "b=c", N = 7 }
    assert.equal("none b=c 7", assert(sh('printf "%s %s %s" "${HOME-none}" "$A" "$N"', { env = env })).stdout)
  end)

  it("no environment but its own", function()
    assert.equal("A=1\n", assert(run { "/usr/bin/env", env = { A = "1" }, clear_env = true }).stdout)
    assert.equal("", assert(run { "env", clear_env = true }).stdout)
  end)

  it("nothing to read, or a text of any length", function()
    assert.equal("", assert(run { "cat" }).stdout)
    assert.equal("", assert(run { "cat", stdin = "" }).stdout)
    assert.equal("a\0b\r\n", assert(run { "cat", stdin = "a\0b\r\n" }).stdout)
    local long = ("0123456789abcdef"):rep(65536)
    assert.is_true(assert(run { "cat", stdin = long }).stdout == long)
  end)

  it("a text that it does not read to its end", function()
    local long = ("0123456789abcdef"):rep(65536)
    assert.equal("0123", assert(run { "head", "-c", 4, stdin = long }).stdout)
    assert.is_true(assert(run { "true", stdin = long }).ok)
  end)

  it("no descriptor but its own three, whatever is open", function()
    local db = ml.sql.open "sqlite::memory:"
    assert(db:query "select 1")
    local server = assert(ml.web.listen(ml.web.app(), { port = 0 }))
    local pool <close> = ml.executor.new { threads = 2 }
    pool:run(function() return true end)
    local listed = assert(run { "ls", "/proc/self/fd" })
    assert.equal("0\n1\n2\n3\n", listed.stdout) -- 3 is the folder that ls reads
    local file <close> = folders.file ""
    assert(run { "ls", "/proc/self/fd", stdin = "text", stdout = file.path, stderr = "null" })
    assert.equal("0\n1\n2\n3\n", folders.read(file.path))
    server:stop()
    db:close()
  end)

  it("every signal with its default effect, and none blocked", function()
    local status = assert(run { "cat", "/proc/self/status" }).stdout
    local OF_LIBC = 0x180000000 -- libc's own two, which it makes every child ignore
    for _, mask in ipairs { "SigBlk", "SigIgn", "SigCgt" } do
      assert.equal(0, tonumber(status:match(mask .. ":%s(%x+)"), 16) & ~OF_LIBC, mask)
    end
  end)
end)

describe("the outputs of a program", function()
  it("can go nowhere, to files, and into one", function()
    local folder <close> = folders.new { out = "what was there before" }
    local out, err = folder.path .. "/out", folder.path .. "/err"
    local text = "echo out; echo err >&2"
    assert.same({ ok = true, code = 0 }, assert(sh(text, { stdout = "null", stderr = "null" })))
    assert.same({ ok = true, code = 0 }, assert(sh(text, { stdout = out, stderr = err })))
    assert.equal("out\n", folders.read(out))
    assert.equal("err\n", folders.read(err))
    assert.same({ ok = true, code = 0, stdout = "out\nerr\n" }, assert(sh(text, { stderr = "stdout" })))
    assert(sh(text, { stdout = out, stderr = "stdout" }))
    assert.equal("out\nerr\n", folders.read(out))
    assert.same({ ok = true, code = 0, stderr = "err\n" }, assert(sh(text, { stdout = "null" })))
  end)

  it("can be ours", function()
    local output = require "spec.support.process".run [[
      assert(ml.process.run { shell = "echo out; echo err >&2", stdout = "inherit", stderr = "inherit" }.stdout == nil)
    ]]
    assert.equal("out\nerr\n", output)
  end)

  it("do not hold it up, however much it prints", function()
    local err = fails("limit", nil, "'sh' printed more than 1000 bytes %(max_output%), and was ended",
      run { "sh", "-c", "head -c 100000000 /dev/zero", max_output = 1000 })
    assert.equal(("\0"):rep(1000), err.result.stdout)
    local result = assert(sh("head -c 5000000 /dev/zero; head -c 5000000 /dev/zero >&2", { max_output = 10000000 }))
    assert.equal(5000000, #result.stdout)
    assert.equal(5000000, #result.stderr)
  end)

  it("are limited in sum", function()
    fails("limit", nil, "more than 5 bytes", sh("printf abc; printf abc >&2; exec sleep 1000", { max_output = 5 }))
    assert.is_true(assert(sh("printf abc; printf ab >&2", { max_output = 5 })).ok)
    fails("limit", nil, "more than 0 bytes", sh("echo; exec sleep 1000", { max_output = 0 }))
  end)

  it("are not cut without an error when another program prints behind the end of the first", function()
    local late = "(while kill -0 $$ 2>/dev/null; do sleep 0.001; done; head -c 1000 /dev/zero) & exit 0"
    for _ = 1, 200 do -- until it was quick enough to be read
      local result, err = sh(late, { max_output = 10 })
      if not result then
        fails("limit", nil, "more than 10 bytes", nil, err)
        return
      end
      assert.equal("", result.stdout)
    end
    error "nothing was read"
  end)

  it("that another program keeps open do not hold up the call", function()
    local result = assert(sh "sleep 1000 & printf $!")
    assert.matches("^%d+$", result.stdout)
    assert(run { "kill", result.stdout })
  end)
end)

describe("a code other than 0", function()
  it("is an error with the end of what was printed, where that is asked for", function()
    local err = fails("process", "exit", "^'/bin/sh' exited with code 4:\nwhy\nnot$",
      run { "/bin/sh", "-c", "echo out; echo why >&2; echo not >&2; exit 4", check = true })
    assert.same({ ok = false, code = 4, stdout = "out\n", stderr = "why\nnot\n" }, err.result)
    fails("process", "exit", "^'echo both; exit 1' exited with code 1:\nboth$",
      sh("echo both; exit 1", { check = true, stderr = "stdout" }))
    fails("process", "exit", "^'false' exited with code 1$", run { "false", check = true })
    assert.is_true(assert(run { "true", check = true }).ok)
  end)

  it("is an error with whole lines, of a program that prints many", function()
    local err = fails("process", "exit", "999$", sh("seq 10000000 10000999 >&2; exit 1", { check = true }))
    assert.is_true(#err.message < 1200)
    for line in err.message:match ":\n(.*)$":gmatch "[^\n]+" do assert.equal(8, #line) end
  end)

  it("is told from a signal", function()
    fails("process", "signal", "^'kill %-HUP %$%$' was ended by signal HUP$", sh("kill -HUP $$", { check = true }))
  end)
end)

describe("a program that takes too long", function()
  it("is ended, and the error has what it printed", function()
    local text = "echo started; exec sleep 1000"
    local err = fails("timeout", nil, "^'" .. text .. "' did not end within 0.3 s %(timeout%), and was ended$",
      sh(text, { timeout = 0.3 }))
    assert.equal("TERM", err.result.signal)
    assert.matches("^s?t?a?r?t?e?d?\n?$", err.result.stdout) -- a busy machine may not have come so far
  end)

  it("and is stopped hears of it", function()
    local err = fails("timeout", nil, "", sh("kill -STOP $$", { timeout = 0.1, kill_after = 600 }))
    assert.equal("TERM", err.result.signal)
  end)
end)

describe("a cancel", function()
  --- A task that runs the shell's text, which prints into the file when it is ready; waits until it does.
  local function start(text, file, options)
    options = options or {}
    options.stdout = file.path
    local task = ml.spawn(sh, text, options)
    while folders.read(file.path) == "" do ml.sleep(0.005) end
    return task
  end

  it("ends the program, and is raised when it has ended", function()
    local file <close> = folders.file ""
    local task = start("echo $$; trap 'echo last; exit 0' TERM; while :; do sleep 0.01; done", file)
    task:cancel "enough"
    local err = ml.catch(task.await, task)
    assert.is_not_nil(err)
    assert.equal("cancelled", task:status())
    local pid = folders.read(file.path):match "^%d+"
    assert.is_false(left.is_alive(pid))
    assert.matches("last\n$", folders.read(file.path))
  end)

  it("kills one that ignores it after kill_after", function()
    local file <close> = folders.file ""
    local task = start("trap '' TERM; echo $$; while :; do sleep 0.01; done", file, { kill_after = 0.05 })
    task:cancel()
    ml.catch(task.await, task)
    assert.is_false(left.is_alive(folders.read(file.path):match "%d+"))
  end)

  it("ends the whole group, if it has one", function()
    local file <close> = folders.file ""
    local task = start("sleep 1000 & echo $!; wait", file, { group = true })
    task:cancel()
    ml.catch(task.await, task)
    local pid = folders.read(file.path):match "%d+"
    assert.is_false(left.is_alive(pid))
  end)

  it("gives the group's others their time", function()
    local file <close> = folders.file ""
    local worker = "trap 'sleep 0.1; echo cleaned; exit' TERM; echo ready; while :; do sleep 0.01; done"
    local task = start(("(%s) & exec sleep 1000"):format(worker), file, { group = true, kill_after = 20 })
    task:cancel()
    ml.catch(task.await, task)
    assert.equal("ready\ncleaned\n", folders.read(file.path))
  end)

  it("of a deadline does so, too", function()
    local result, err = ml.timeout(0.05, run, { "sleep", 1000 })
    assert.is_nil(result)
    assert.equal("timeout", err.kind)
  end)

  it("of a job ends the job's program, too", function()
    local file <close> = folders.file ""
    local pool <close> = ml.executor.new { threads = 1 }
    local task = ml.spawn(pool.run, pool, function(path)
      require "moonloop".process.run { shell = "echo $$; exec sleep 1000", stdout = path }
    end, file.path)
    while not folders.read(file.path):find "\n" do ml.sleep(0.005) end
    task:cancel()
    ml.catch(task.await, task)
    -- The job is told, and not waited for.
    while left.is_alive(folders.read(file.path):match "%d+") do ml.sleep(0.005) end
  end)

  it("that has come before starts nothing", function()
    local folder <close> = folders.new {}
    local path = folder.path .. "/made"
    local task = ml.spawn(function()
      ml.current():cancel()
      run { "touch", path }
    end)
    ml.catch(task.await, task)
    assert.is_nil(io.open(path))
  end)

  it("shows in ml.tasks, as the wait does", function()
    local file <close> = folders.file ""
    local task = start("trap '' TERM; echo $$; while :; do sleep 0.01; done", file, { kill_after = 600 })
    local pid = folders.read(file.path):match "%d+"
    local function waits_for()
      for _, one in ipairs(ml.tasks()) do
        if tostring(one.waiting_for):find "program" then return one.waiting_for end
      end
    end
    assert.equal("program sh (pid " .. pid .. ")", waits_for())
    task:cancel()
    assert.equal("program sh (pid " .. pid .. "), which was told to end", waits_for())
    assert(run { "kill", "-KILL", pid })
    ml.catch(task.await, task)
  end)
end)

describe("wrong arguments", function()
  it("are raised", function()
    raises("bad argument #1 to 'ml.process.run' %(a table with the program .* expected, got string", run, "ls")
    raises("the first argument, the program, is missing", run, {})
    raises("the program is an empty string", run, { "" })
    raises("argument 2 is a table %(expected a string or a number%)", run, { "ls", {} })
    raises("argument 2 has a NUL byte", run, { "ls", "a\0b" })
    raises("unknown option 'cdw' of ml.process.run %(did you mean 'cwd'", run, { "ls", cdw = "/" })
    raises("option 'timeout' of ml.process.run is %-1", run, { "ls", timeout = -1 })
    raises("option 'max_output' of ml.process.run is 1.5", run, { "ls", max_output = 1.5 })
    raises("option 'stdin' of ml.process.run is a table %(expected a text", run, { "ls", stdin = {} })
    raises("option 'stdout' is 'stdout'", run, { "ls", stdout = "stdout" })
    raises("option 'env': 'A=B' is no name", run, { "ls", env = { ["A=B"] = "1" } })
    raises("option 'env': 'A' is a boolean", run, { "ls", env = { A = true } })
    raises("the variable A has a NUL", run, { "ls", env = { A = "\0" } })
    raises("option 'cwd' is an empty string", run, { "ls", cwd = "" })
  end)
end)
