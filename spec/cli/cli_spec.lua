-- The command line: what is run, with which arguments, and the exit status.
local ml = require "moonloop"
local binary = require("spec.support").binary

local folder = os.tmpname()
os.remove(folder)

local function write(name, text)
  local file = assert(io.open(folder .. "/" .. name, "w"))
  file:write(text)
  file:close()
end

local function read(name)
  local file = assert(io.open(folder .. "/" .. name))
  local text = file:read("a")
  file:close()
  return text
end

-- Runs a shell command in the folder, where $M is the binary: output, errors, status.
local function sh(command)
  local _, _, status = os.execute(("cd '%s' && M='%s' && { %s\n} >out 2>err </dev/null")
    :format(folder, binary, (command:gsub("%$M", '"$M"'))))
  return read "out", read "err", status
end

describe("moonloop", function()
  setup(function() os.execute("mkdir " .. folder) end)
  teardown(function() os.execute("rm -r " .. folder) end)

  describe("run", function()
    it("gives a script its arguments in ... and arg, as lua does", function()
      write("s.lua", "#!/usr/bin/env moonloop\nprint(#{...}, ...) print(arg[0], arg[1], arg[2], #arg)")
      assert.equal("2\ta\tb c\ns.lua\ta\tb c\t2\n", (sh "$M s.lua a 'b c'"))
      assert.equal("2\t--help\t-e\ns.lua\t--help\t-e\t2\n", (sh "$M run s.lua --help -e"))
      assert.equal("0\n-\tnil\tnil\t0\n", (sh "$M - < s.lua"))
      assert.equal("1\tx\n-\tx\tnil\t1\n", (sh "$M run - x < s.lua"))
      assert.equal("0\n", (sh "echo 'print(#arg)' | $M"))
      write("s.lua", "print(arg[-1], arg[-2], arg[-3])")
      assert.matches("^run\t.*moonloop\tnil\n$", (sh "$M run s.lua"))
    end)

    it("runs the loop until no task is left", function()
      write("s.lua", [[
        local ml = require "moonloop"
        ml.spawn(function() ml.sleep(0.03) print "later" end)
        ml.sleep(0.01)
        print "main"
      ]])
      local out, err, status = sh "$M --block-limit 0 s.lua"
      assert.equal("main\nlater\n", out)
      assert.equal("", err)
      assert.equal(0, status)
    end)

    it("prints a script's error with its traceback and exits 1", function()
      write("s.lua", "local function f() error('boom') end\nrequire'moonloop'.sleep(0)\nf()")
      local out, err, status = sh "$M s.lua"
      assert.equal("", out)
      assert.matches("^moonloop: s.lua:1: boom\nstack traceback:\n.*s.lua:1: in .*'f'.*s.lua:3: in main chunk", err)
      assert.equal(1, status)
      write("s.lua", "error(setmetatable({}, {__tostring = function() return 'an object' end}))")
      out, err, status = sh "$M s.lua"
      assert.equal("", out)
      assert.matches("^moonloop: an object\n", err)
      assert.equal(1, status)
    end)

    it("does not wait for other tasks after an error of the script, but lets them clean up", function()
      local _, err, status = sh [[$M --block-limit 0 -e '
        local ml = require "moonloop"
        ml.spawn(function()
          local _ <close> = setmetatable({}, {__close = function() io.stderr:write "cleaned up\n" end})
          ml.sleep(1000)
        end)
        ml.sleep(0.01)
        error("main", 0)']]
      assert.matches("^moonloop: main\n.*cleaned up\n$", err)
      assert.equal(1, status)
    end)

    it("says what is wrong with a script that cannot be loaded", function()
      local _, err, status = sh "$M nosuch.lua"
      assert.equal("moonloop: cannot open nosuch.lua: No such file or directory\n", err)
      assert.equal(1, status)
      write("s.lua", "x = = 1")
      _, err, status = sh "$M s.lua"
      assert.equal("moonloop: s.lua:1: unexpected symbol near '='\n", err)
      assert.equal(1, status)
    end)

    it("exits with what os.exit is given, from any task", function()
      assert.equal(7, select(3, sh "$M -e 'os.exit(7)'"))
      assert.equal(0, select(3, sh "$M -e 'os.exit(true)'"))
      assert.equal(1, select(3, sh "$M -e 'os.exit(false)'"))
      assert.equal(9, select(3, sh "$M -e 'local ml = require [[moonloop]] ml.spawn(os.exit, 9) ml.sleep(100)'"))
    end)

    it("says when the main task waits for what can never happen", function()
      local _, err, status = sh [[$M -e 'local ml = require "moonloop" ml.current():await()']]
      assert.equal(1, status)
      assert.is_true(#err > 0)
    end)

    it("ends quietly when nobody reads its output", function()
      local out, err = sh "$M --block-limit 0 -e 'for i = 1, 1e7 do print(i) end' | head -2"
      assert.equal("1\n2\n", out)
      assert.equal("", err)
    end)
  end)

  describe("signals", function()
    -- Starts the code, which prints a line when it is ready; sends the signals; returns as `sh`.
    local function interrupt(code, signals)
      write("s.lua", code)
      return sh(([[
        rm -f started; $M --block-limit 0 s.lua > started & pid=$!
        until [ -s started ] || ! kill -0 $pid; do sleep 0.01; done
        %s
        wait $pid; status=$?; cat started; exit $status]]):format(signals))
    end

    local waits = [[
      local ml = require "moonloop"
      local _ <close> = setmetatable({}, {__close = function() print "cleaned up" end})
      print "ready" io.stdout:flush() ml.sleep(1000)]]

    it("cancel the main task, and the status is 128 and the signal", function()
      local out, err, status = interrupt(waits, "kill -TERM $pid")
      assert.equal("ready\ncleaned up\n", out)
      assert.equal("", err)
      assert.equal(143, status)
      out, err, status = interrupt(waits, "kill -INT $pid")
      assert.equal("ready\ncleaned up\n", out)
      assert.equal("", err)
      assert.equal(130, status)
    end)

    it("interrupt a task that computes endlessly", function()
      local out, _, status = interrupt([[
        local _ <close> = setmetatable({}, {__close = function() print "cleaned up" end})
        print "ready" io.stdout:flush()
        while true do pcall(function() local x = 1 end) end]], "kill -TERM $pid")
      assert.equal("ready\ncleaned up\n", out)
      assert.equal(143, status)
    end)

    it("end the process at once when a second one comes", function()
      local _, _, status = interrupt([[
        local ml = require "moonloop"
        print "ready" io.stdout:flush()
        while true do pcall(ml.sleep, 0.01) end]], "kill -TERM $pid; sleep 0.1; kill -TERM $pid")
      assert.equal(143, status)
    end)
  end)

  describe("--version", function()
    it("names the libraries", function()
      local out, err, status = sh "$M --version"
      assert.matches("^moonloop %d+%.%d+%.%d+\nLua 5%.4%.%d+, libuv [%d.]+, llhttp [%d.]+\n$", out)
      assert.equal("", err)
      assert.equal(0, status)
    end)
  end)

  describe("--help", function()
    it("names every command", function()
      local out, _, status = sh "$M --help"
      for _, word in ipairs {"run", "serve", "repl", "test", "ps", "-e", "-l", "-i", "-E", "-W", "--version"} do
        assert.truthy(out:find(word, 1, true), word)
      end
      assert.falsy(out:find("--port", 1, true))
      assert.equal(0, status)
      assert.equal(out, (sh "$M -h"))
      assert.equal(out, (sh "$M help"))
    end)

    it("of a command is about that command", function()
      for command, option in pairs {run = "--block-limit", serve = "--max-body", repl = "--block-limit",
        ps = "--traceback"} do
        local out, err, status = sh("$M " .. command .. " --help")
        assert.matches("^Usage: moonloop " .. command .. " ", out)
        assert.truthy(out:find(option, 1, true))
        assert.equal("", err)
        assert.equal(0, status)
        assert.equal(out, (sh("$M help " .. command)))
        assert.equal(out, (sh("$M --help " .. command)))
      end
      assert.truthy((sh "$M serve --help"):find("--port", 1, true))
      assert.falsy((sh "$M run --help"):find("--port", 1, true))
      assert.matches("^Usage: moonloop test ", (sh "$M help test"))
      local own, busted = sh "$M test --help"
      assert.truthy(own:find("--virtual-clock", 1, true))
      assert.truthy((own .. busted):find("--filter", 1, true))
    end)
  end)

  describe("bad usage", function()
    it("is reported on standard error, with status 2", function()
      for arguments, message in pairs {
        ["--nosuch"] = "unknown option '--nosuch'",
        ["-e"] = "-e: the code is missing",
        ["run"] = "run: the script is missing",
        ["run --nosuch"] = "run: unknown option '--nosuch'",
        ["run --blok-limit=1"] = "run: unknown option '--blok-limit=1' (did you mean '--block-limit'?)",
        ["ps --tracebak 1"] = "ps: unknown option '--tracebak' (did you mean '--traceback'?)",
        ["new a --templat api"] = "new: unknown option '--templat' (did you mean '--template'?)",
        ["work --queus=a a.lua"] = "work: unknown option '--queus=a' (did you mean '--queues'?)",
        ["openapi --write x"] = "openapi: unknown option '--write'",
        ["repl x"] = "repl: takes no arguments, not 'x'",
        ["ps"] = "ps: the number of the process is missing",
        ["serve"] = "serve: the app file is missing",
        ["serve a.lua b.lua"] = "serve: only one app file is allowed, not also 'b.lua'",
        ["serve a.lua --port"] = "serve: --port needs a value",
        ["serve a.lua --port 65536"] = "serve: --port must be a number from 0 to 65535, not '65536'",
        ["serve a.lua --port=x"] = "serve: --port must be a number from 0 to 65535, not 'x'",
        ["serve a.lua --access-log apache"] = "serve: --access-log must be common or json, not 'apache'",
        ["serve a.lua --drain -1"] = "serve: --drain must be a number of seconds, at least 0, not '-1'",
        ["serve a.lua --max-body"] = "serve: --max-body needs a value",
        ["serve a.lua --max-body=10MB"] = "serve: --max-body must be a whole number of bytes, at least 0, not '10MB'",
        ["serve a.lua --max-headers 0"] =
          "serve: --max-headers must be a whole number of lines from 1 to 10000, not '0'",
        ["serve a.lua --max_body 1"] = "serve: unknown option '--max_body' (did you mean '--max-body'?)",
        ["serve a.lua --workers 0"] = "serve: --workers must be auto or a number from 1 to 256, not '0'",
        ["serve a.lua --workers 2 --kill-after=-1"] = "--kill-after must be a number of seconds, not '-1'",
        ["serve a.lua --workers=two"] = "serve: --workers must be auto or a number from 1 to 256, not 'two'",
        ["serve a.lua --workers"] = "serve: --workers needs a value",
        ["serve a.lua --proxy-protocol=v1"] = "serve: --proxy-protocol takes no value: '--proxy-protocol=v1'",
        ["serve a.lua --root-path"] = "serve: --root-path needs a value",
        ["serve a.lua --reload=yes"] = "serve: --reload takes no value: '--reload=yes'",
        ["serve a.lua --prot 1"] = "serve: unknown option '--prot' (did you mean '--port'?)",
        ["serve a.lua --max-boddy 1"] = "serve: unknown option '--max-boddy' (did you mean '--max-body'?)",
      } do
        local out, err, status = sh("$M " .. arguments)
        local command = arguments:match "^%a+"
        assert.equal(("moonloop: %s\nTry 'moonloop %s--help'.\n"):format(message, command and command .. " " or ""),
          err)
        assert.equal("", out)
        assert.equal(2, status)
      end
    end)
  end)

  it("suggests a command for a word that is neither a command nor a file", function()
    local _, err, status = sh "$M srve a.lua"
    assert.equal("moonloop: 'srve' is neither a command nor a file (did you mean 'moonloop serve'?)\n" ..
      "Try 'moonloop --help'.\n", err)
    assert.equal(2, status)
    _, err, status = sh "$M nosuchfile"
    assert.equal("moonloop: 'nosuchfile' is neither a command nor a file\nTry 'moonloop --help'.\n", err)
    assert.equal(2, status)
    _, err, status = sh "$M nosuchfile.lua"
    assert.equal("moonloop: cannot open nosuchfile.lua: No such file or directory\n", err)
    assert.equal(1, status)
  end)

  it("says how to serve an app if a script returns one without serving it", function()
    write("idle.lua", 'return require "moonloop".web.app()')
    write("self.lua", 'local ml = require "moonloop" local app = ml.web.app() ' ..
      "ml.web.listen(app, { port = 0 }):stop() return app")
    local _, err, status = sh "$M --block-limit 0 idle.lua"
    assert.equal("moonloop: idle.lua returned an app, and nothing serves it: run it with 'moonloop serve idle.lua'\n",
      err)
    assert.equal(1, status)
    _, err, status = sh "$M --block-limit 0 self.lua"
    assert.equal("", err)
    assert.equal(0, status)
  end)

  describe("serve", function()
    local app = [[
      local ml = require "moonloop"
      local app = ml.web.app()
      app:get("/", function() return "hello" end)
      app:get("/slow", function()
        io.stderr:write("in the handler\n")
        ml.sleep(0.4)
        return "slow but sure"
      end)
      app:get("/stuck", function() io.stderr:write("in the handler\n") ml.sleep(1000) end)
      app:get("/background", function()
        ml.spawn(function() ml.sleep(0.3) print "background done" end)
        return "started"
      end)
      ml.spawn(function() while true do ml.sleep(0.05) end end)
      return app
    ]]

    local pid

    -- Starts the server; returns its URL.
    local function start(options)
      write("app.lua", app)
      write("log", "")
      write("pid", "")
      local command = [[cd '%s' && {
        '%s' serve app.lua --port 0 %s >log 2>&1 & echo $! >pid; wait $!; echo $? >status
      } 2>/dev/null &]]
      os.execute(command:format(folder, binary, options or ""))
      local url
      for _ = 1, 10000 do
        url = read("log"):match("serving app.lua on (http://[%d.]+:%d+) %(Ctrl%-C stops%)\n")
        pid = read("pid"):match("^(%d+)\n")
        if url and pid then return url end -- either may be there first
        ml.sleep(0.01)
      end
      error(read("log"))
    end

    -- Waits until the log shows `text`.
    local function wait_for(text)
      for _ = 1, 10000 do
        if read("log"):find(text, 1, true) then return end
        ml.sleep(0.01)
      end
      error("the server did not say '" .. text .. "' but: " .. read("log"))
    end

    -- Waits for the end of the server: its exit status.
    local function finish()
      for _ = 1, 10000 do
        local file = io.open(folder .. "/status")
        local status = file and file:read("n")
        if file then file:close() end
        if status then return status end
        ml.sleep(0.01)
      end
      error("the server did not end")
    end

    local function signal(name) os.execute(("kill -%s %s"):format(name, pid)) end

    after_each(function()
      if pid then os.execute(("kill -KILL %s 2>/dev/null"):format(pid)) end
      os.remove(folder .. "/status")
    end)

    it("serves, and stops at a signal with status 0", function()
      local url = start()
      assert.equal("hello", assert(ml.http.get(url)).body)
      signal "TERM"
      assert.equal(0, finish())
      local res, err = ml.http.get(url)
      assert.is_nil(res)
      assert.equal("ECONNREFUSED", err.code)
    end)

    it("lets running requests and the tasks they started end", function()
      local url = start()
      assert.equal("started", assert(ml.http.get(url .. "/background")).body)
      local request = ml.spawn(ml.http.get, url .. "/slow")
      wait_for "in the handler"
      signal "INT"
      assert.equal("slow but sure", assert(request:await()).body)
      assert.equal(0, finish())
      wait_for "background done"
    end)

    it("cancels requests that take longer than --drain", function()
      local url = start "--drain 0.2"
      local request = ml.spawn(ml.http.get, url .. "/stuck")
      wait_for "in the handler"
      signal "TERM"
      assert.equal(0, finish())
      request:await()
    end)

    it("ends at once at a second signal", function()
      local url = start "--drain 1000"
      local request = ml.spawn(ml.http.get, url .. "/stuck")
      wait_for "in the handler"
      signal "TERM"
      wait_for "a second signal ends"
      signal "TERM"
      assert.equal(143, finish())
      assert.is_nil((request:await()))
    end)

    it("says in one line what keeps it from serving", function()
      local function refused(source, message, options)
        write("bad.lua", source)
        local out, err, status = sh("$M serve bad.lua --block-limit 0 " .. (options or ""))
        assert.equal("", out)
        assert.matches("^moonloop: " .. message .. "\n$", err)
        assert.equal(1, status)
      end
      refused("x =", "bad.lua:1: unexpected symbol near <eof>")
      refused("return {}", "bad.lua returned a table, not an app: .*")
      refused("", "bad.lua returned nothing, not an app: .*")
      local port = start():match("%d+$")
      refused("return require'moonloop'.web.app()", "cannot listen on 127.0.0.1 port " .. port ..
        ": address already in use", "--port " .. port)
      local _, err, status = sh "$M serve nosuch.lua"
      assert.equal("moonloop: cannot open nosuch.lua: No such file or directory\n", err)
      assert.equal(1, status)
    end)

    it("prints the traceback of an app that fails", function()
      write("bad.lua", "error 'not today'")
      local _, err, status = sh "$M serve bad.lua --block-limit 0"
      assert.matches("^moonloop: bad.lua:1: not today\nstack traceback:\n", err)
      assert.equal(1, status)
    end)
  end)
end)
