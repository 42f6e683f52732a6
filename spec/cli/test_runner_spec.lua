-- `moonloop test`: busted inside the loop. The specs of these fixtures run in a process of their own.
local binary = require("spec.support").binary
local process = require "spec.support.process"

local function run(source, arguments) return process.test(source, arguments or "-o TAP") end

describe("moonloop test", function()
  it("lets everything in a spec file wait", function()
    local output, status = run [[
      ml.sleep(0.001)
      local trail = {}
      local function step(name) return function() ml.sleep(0.001) trail[#trail + 1] = name end end
      describe("a block", function()
        ml.sleep(0.001)
        lazy_setup(step "lazy_setup")
        setup(step "setup")
        before_each(step "before_each")
        after_each(step "after_each")
        teardown(step "teardown")
        lazy_teardown(step "lazy_teardown")
        it("one", function() finally(step "finally") step "it"() end)
        it("two", function()
          assert.has_error(function() ml.sleep(0.001) error("e", 0) end, "e")
          local double = spy.new(function(x) ml.sleep(0.001) return 2 * x end)
          assert.equal(4, double(2))
          assert.spy(double).was_called_with(2)
        end)
      end)
      describe("after it", function()
        it("all ran, in busted's order", function()
          assert.equal("setup lazy_setup before_each it finally after_each before_each after_each " ..
            "lazy_teardown teardown", table.concat(trail, " "))
        end)
      end)
    ]]
    assert.matches("ok 3 %- after it all ran", output)
    assert.is_nil(output:find("not ok", 1, true), output)
    assert.equal(0, status)
  end)

  it("makes no traceback of the place where each test is", function()
    local output, status = run [[
      local count, traceback = 0, debug.traceback
      function debug.traceback(...) -- luacheck: ignore 122
        count = count + 1
        return traceback(...)
      end
      for i = 1, 100 do it("test " .. i, function() end) end
      local made = count
      it("made none", function()
        debug.traceback = traceback -- luacheck: ignore 122
        assert.equal(0, made)
        error "but of errors"
      end)
    ]]
    assert.matches("ok 100 %- test 100", output)
    assert.matches("but of errors", output)
    assert.is_nil(output:find("Expected", 1, true), output)
    assert.equal(1, status)
  end)

  it("loads a module of moonloop once for all blocks and files, and others anew for each", function()
    local output, status = run [[
      package.preload.fixture = function() return {} end
      local ours, theirs
      insulate("one", function()
        it("loads", function() ours, theirs = require "moonloop.redis.lock", require "fixture" end)
      end)
      insulate("another", function()
        it("has the same", function() assert.equal(ours, require "moonloop.redis.lock") end)
        it("has its own", function() assert.not_equal(theirs, require "fixture") end)
      end)
    ]]
    assert.is_nil(output:find("not ok", 1, true), output)
    assert.equal(0, status)
  end)

  it("shows no message that a terminal obeys, and its own colours", function()
    local output = run([[
      it("asks", function() assert.equal("a", "grüße \27[2J\u{9b}\r\u{202e}") end)
      it("fails", function() error "bad \27]0;title\7\nline" end)
      it("waits", function() pending "why \27[2J" end)
      it("compares", function() assert.same({ a = 1 }, { a = 2 }) end)
    ]], "-o TAP")
    assert.matches("'grüße \\x1b[2J\\xc2\\x9b\\r\\xe2\\x80\\xae'", output, 1, true)
    assert.matches("bad \\x1b]0;title\\x07\n", output, 1, true)
    assert.is_nil((output:gsub("\27%[31m%*\27%[0m", "")):find "[\0-\8\11-\31\127]")
  end)

  it("fails a spec that leaves a task behind, and names the task", function()
    local output, status = run [[
      it("leaks", function()
        ml.spawn(function() ml.sleep(100) end)
      end)
      it("does not", function() assert.is_true(true) end)
    ]]
    assert.matches("not ok 1 %- leaks", output)
    assert.matches("left behind: task %d+, spawned at fixture_spec.lua:3, waiting for sleep", output)
    assert.matches("\nok 2 %- does not", output)
    assert.equal(1, status)
  end)

  it("fails a spec that leaves a handle behind, and names its type", function()
    local output, status = run(("package.path = %q .. package.path\n"):format(os.getenv("PWD") .. "/?/init.lua;") .. [[
      local rawtcp = require "spec.support".rawtcp
      it("leaks", function() kept = rawtcp.listen() end)
      it("does not", function() rawtcp.listen():close() end)
    ]])
    assert.matches("not ok 1 %- leaks", output)
    assert.matches("left behind: tcp handle on 127%.0%.0%.1:%d+", output)
    assert.matches("\nok 2 %- does not", output)
    assert.equal(1, status)
  end)

  it("fails a spec that leaves a server behind, and no other", function()
    local output, status = run [[
      local function app()
        local app = ml.web.app()
        app:get("/", function() return "hello" end)
        return app
      end
      local function get(server) return assert(ml.http.get("http://127.0.0.1:" .. server.port)).body end
      it("leaks", function() ml.web.listen(app(), {port = 0}) end)
      describe("one of its setup", function()
        local server
        setup(function() server = ml.web.listen(app(), {port = 0}) end)
        teardown(function() server:stop(1) end)
        it("asks", function() assert.equal("hello", get(server)) end)
        it("asks again", function() assert.equal("hello", get(server)) end)
      end)
      it("stops its own", function()
        local server = ml.web.listen(app(), {port = 0})
        assert.equal("hello", get(server))
        server:stop(1)
      end)
    ]]
    assert.matches("not ok 1 %- leaks", output)
    assert.matches("left behind: %a+ handle on 127%.0%.0%.1:%d+", output)
    assert.matches("\nok 2 .*\nok 3 .*\nok 4 .*1%.%.4", output)
    assert.equal(1, status)
  end)

  it("allows what a setup made and a teardown ends", function()
    local output, status = run [[
      describe("a block", function()
        local task
        for kind, block in pairs {setup = setup, lazy_setup = lazy_setup} do
          describe(kind, function()
            block(function() task = ml.spawn(function() while true do ml.sleep(0.001) end end) end)
            it("one", function() ml.sleep(0.001) end)
            it("two", function() assert.equal("suspended", task:status()) end)
            teardown(function() task:cancel() end)
          end)
        end
      end)
    ]]
    assert.is_nil(output:find("not ok", 1, true), output)
    assert.matches("1%.%.4", output)
    assert.equal(0, status)
  end)

  it("allows what before_each makes and after_each ends", function()
    local output, status = run [[
      local task
      before_each(function() task = ml.spawn(ml.sleep, 100) end)
      after_each(function() task:cancel() end)
      it("one", function() end)
    ]]
    assert.matches("^ok 1", output)
    assert.equal(0, status)
  end)

  it("reports what a file's setup made if no teardown ended it", function()
    local output, status = run [[
      setup(function() ml.spawn(ml.sleep, 100) end)
      it("one", function() end)
    ]]
    assert.matches("ok 1 %- one", output)
    assert.matches("left behind: task", output)
    assert.equal(1, status)
  end)

  it("does not blame a spec for tasks that are ending", function()
    local output, status = run [[
      it("one", function()
        ml.spawn(function() end)
        ml.spawn(ml.sleep, 100):cancel()
      end)
    ]]
    assert.matches("^ok 1", output)
    assert.equal(0, status)
  end)

  it("tells failures and errors as busted does", function()
    local output, status = run [[
      it("fails", function() ml.sleep(0) assert.equal(1, 2) end)
      it("errs", function() ml.sleep(0) error("boom") end)
      it("errs with a table", function() error({code = 7}) end)
      pending("is to come")
      describe("cleanup", function()
        after_each(function() error("in after_each") end)
        it("has run", function() end)
      end)
    ]]
    assert.matches("not ok 1 %- fails\n# fixture_spec.lua @ 2\n", output)
    assert.matches("not ok 2 %- errs.-Failure message: fixture_spec.lua:3: boom", output)
    assert.matches("not ok 3 %- errs with a table.-code = 7", output)
    assert.matches("ok 4 %- # SKIP is to come", output)
    assert.matches("\nok 5 %- cleanup has run", output)
    assert.matches("not ok 6.-in after_each", output)
    assert.equal(1, status)
  end)

  it("passes busted's options through", function()
    local source = 'it("alpha", function() end)\nit("beta", function() error("no") end)'
    local output, status = run(source, "-o TAP --filter=alpha")
    assert.equal("ok 1 - alpha\n1..1\n", output)
    assert.equal(0, status)
    output = run(source, "--list")
    assert.equal("alpha\nbeta\n", output)
    output = run(source, "--repeat=2 --filter=alpha")
    assert.matches("Repeating all tests %(run 2 of 2%)", output)
    output, status = run(source, "--no-such-option")
    assert.matches("moonloop test: error: .*no%-such%-option", output)
    assert.equal(1, status)
  end)

  it("names twenty of the tasks that a spec leaves, counts the others, and ends them all", function()
    local output, status = run [[
      it("one", function()
        local function go(n)
          if n > 1 then ml.spawn(go, n - 1) end
          ml.sleep(1000)
        end
        ml.spawn(go, 2000)
        for _ = 1, 2001 do ml.sleep(0) end
      end)
      it("two", function() assert.equal(1, #ml.tasks()) end)
    ]]
    local _, named = output:gsub("spawned at fixture_spec.lua", "")
    assert.equal(20, named)
    assert.matches("; 1980 more tasks", output, 1, true)
    assert.matches("not ok 1 %- one", output)
    assert.matches("\nok 2 %- two", output)
    assert.equal(1, status)
  end)

  it("fails a spec that waits for what can never happen, says for what and where, and runs the others", function()
    local output, status = run [[
      it("waits", function()
        ml.spawn(function()
          ml.queue():get()
        end):await()
      end)
      it("waits for itself", function() ml.current():await() end)
      it("is shielded", function()
        ml.shield(function()
          ml.future():await()
        end)
      end)
      it("runs", function() end)
    ]]
    assert.matches("not ok 1 %- waits\n# fixture_spec.lua @ 2\n", output)
    assert.matches("fixture_spec.lua:3: timeout: the test can never end: it waits for task %d+\n", output)
    assert.matches("#%d+: waits for an item of a queue, .-, spawned at fixture_spec.lua:3\n", output)
    assert.matches("\nnot ok 2 %- waits for itself\n", output)
    assert.matches("\nnot ok 3 %- is shielded\n.-fixture_spec.lua:9: timeout: .- it waits for a future\n", output)
    assert.matches("\nok 4 %- runs\n1%.%.4\n$", output)
    assert.equal(1, status)
  end)

  it("fails a spec that takes too long, even with a server running", function()
    -- The request before all specs loads the modules, which may take longer than the limit.
    local output, status = run([[
      local function serve()
        local app = ml.web.app()
        app:get("/", function() return "here" end)
        app:get("/slow", function() ml.sleep(1000) end)
        return ml.web.listen(app, {port = 0})
      end
      local first = serve()
      ml.http.get("http://127.0.0.1:" .. first.port)
      first:stop(0)
      it("leaves a server", function()
        local server = serve()
        ml.http.get(("http://127.0.0.1:%d/slow"):format(server.port))
      end)
      it("waits beside it", function()
        ml.event():wait()
      end)
      it("runs", function() end)
    ]], "-o TAP --timeout 2")
    assert.matches("not ok 1 %- leaves a server.-fixture_spec.lua:13: timeout: the test has not ended after 2 s: "
      .. "it waits for http request GET http://127%.0%.0%.1:%d+\n", output)
    assert.matches("\nnot ok 2 .-fixture_spec.lua:16: timeout: the test has not ended after 2 s: "
      .. "it waits for an event\n", output)
    assert.matches("\nok 3 %- runs\n1%.%.3\n$", output)
    assert.equal(1, status)
  end)

  it("names the line of a spec that takes too long even where finding it takes some time", function()
    local output, status = run([[
      -- The first call of debug.getinfo is slow: what busted calls to find the line.
      local getinfo = debug.getinfo
      local function slow(...)
        debug.getinfo = getinfo
        local stop = os.clock() + 0.3
        while os.clock() < stop do end
        return getinfo(...)
      end
      it("waits", function()
        debug.getinfo = slow
        ml.event():wait()
      end)
      it("computes", function()
        debug.getinfo = slow
        while true do end
      end)
    ]], "-o TAP --timeout 0.2")
    assert.matches("^not ok 1 .-fixture_spec.lua:12: timeout: .- it waits for an event\n", output)
    assert.matches("\nnot ok 2 .-fixture_spec.lua:16: timeout: .- it computes\n", output)
    assert.equal(1, status)
  end)

  it("names the line of a spec that takes too long even where the machine stands still meanwhile", function()
    local output, status = run([[
      local getinfo = debug.getinfo
      local function stalled(...)
        debug.getinfo = getinfo
        os.execute "sleep 2.5" -- longer than handling the error may compute
        return getinfo(...)
      end
      it("waits", function()
        debug.getinfo = stalled
        ml.event():wait()
      end)
    ]], "-o TAP --timeout 0.2")
    assert.matches("^not ok 1 .-fixture_spec.lua:10: timeout: .- it waits for an event\n", output)
    assert.equal(1, status)
  end)

  it("fails a spec that computes too long, even in a task or if it catches the error", function()
    local output, status = run([[
      it("computes", function()
        while true do local _ = {} end
      end)
      it("has a task compute", function()
        local task <close> = setmetatable({ml.spawn(function()
          while true do pcall(tostring, 1) end
        end)}, {__close = function(t) assert(not pcall(t[1].await, t[1])) end})
        task[1]:await()
      end)
      it("waits again and again", function()
        while true do pcall(ml.sleep, 1) end
      end)
      it("runs", function() end)
    ]], "-o TAP --timeout=0.5")
    assert.matches("not ok 1 %- computes.-fixture_spec.lua:3: timeout: .- after 0.5 s: it computes\n", output)
    assert.matches("\nnot ok 2 .-fixture_spec.lua:9: timeout: .- it waits for task %d+\n", output)
    assert.matches("\nnot ok 3 .-fixture_spec.lua:12: timeout: .- it waits for sleep", output)
    assert.matches("\nok 4 %- runs\n1%.%.4\n$", output)
    assert.is_nil(output:find("nobody awaited", 1, true), output)
    assert.equal(1, status)
  end)

  it("limits the blocks around a spec separately, and names them", function()
    local output, status = run([[
      describe("a before_each", function()
        before_each(function() ml.future():await() end)
        it("is not run", function() end)
      end)
      describe("an after_each", function()
        after_each(function() ml.future():await() end)
        it("is run", function() end)
      end)
      describe("a setup", function()
        setup(function() ml.future():await() end)
        it("is not run", function() end)
      end)
      describe("a finally", function()
        it("is run", function() finally(function() ml.future():await() end) end)
      end)
      describe("a body", function()
        ml.future():await()
      end)
      it("runs", function() end)
    ]])
    local error_of = "fixture_spec.lua:%d: timeout: %s can never end: it waits for a future\n"
    for what, line in pairs {before_each = 3, after_each = 7, setup = 11, finally = 15, describe = 18} do
      assert.matches(error_of:format(line, what), output)
    end
    assert.matches("\nok %d+ %- an after_each is run\n", output)
    assert.matches("\nok %d+ %- runs\n1%.%.%d+\n$", output)
    assert.equal(1, status)
  end)

  it("takes the time of a spec or a block from its options, in real time", function()
    local output, status = run([[
      it("has more time", {timeout = 100}, function() ml.sleep(0.3) end)
      it("has time without end", {timeout = math.huge}, function() ml.sleep(0.3) end)
      describe("a block", {timeout = 100}, function()
        before_each(function() ml.sleep(0.3) end)
        it("has more time", function() ml.sleep(0.3) end)
        it("has less time", {timeout = 0.01}, function() ml.sleep(50) end)
      end)
      it("sleeps for an hour of a virtual clock", function()
        clock.virtual()
        ml.sleep(3600)
      end)
      it("goes on for ever on a virtual clock", function()
        clock.virtual()
        while true do ml.sleep(3600) end
      end)
    ]], "-o TAP --timeout=0.2")
    assert.matches("^ok 1 .-\nok 2 .-\nok 3 .-\nnot ok 4 .-after 0.01 s.-\nok 5 .-\nnot ok 6 .-after 0.2 s", output)
    assert.equal(1, status)
  end)

  it("refuses unknown options of a spec, and invalid times", function()
    local output = run [[
      local function try(...) print(select(2, pcall(...))) end
      try(it, "a", {timeot = 5}, function() end)
      try(it, "a", {timeout = "5"}, function() end)
      try(it, "a", {timeout = -1}, function() end)
      try(describe, "a", {timeout = 0}, function() end)
      try(test, "a", {timeout = 5})
      it("runs", function() end)
    ]]
    assert.matches("it: unknown option 'timeot' %(known: timeout%)\n", output)
    assert.matches("it: timeout is a number of seconds above 0, not 5\n", output)
    assert.matches("it: timeout is a number of seconds above 0, not %-1\n", output)
    assert.matches("describe: timeout is a number of seconds above 0, not 0\n", output)
    assert.matches("test: a function is missing after the options\n", output)
    assert.matches("ok 1 %- runs\n1%.%.1\n$", output)
    for _, time in ipairs {"x", "-1", "''", "nan"} do
      local message, status = run('it("runs", function() end)', "--timeout=" .. time)
      assert.matches("moonloop test: %-%-timeout: a number of seconds expected, or 0, not ", message)
      assert.equal(2, status)
    end
  end)

  it("ends the run, and says at which spec, if one cannot be interrupted", function()
    local output, status = run([[
      it("never ends", function()
        while true do
          pcall(function() while true do end end)
        end
      end)
      it("is not run", function() end)
    ]], "-o TAP --timeout 0.1")
    assert.matches("moonloop: fixture_spec.lua:2: the test 'never ends' does not end, though its time is over: "
      .. "the run ends here\n", output)
    assert.equal(1, status)
  end)

  it("reports the failure of a task nobody awaited, and the spec goes on", function()
    local output, status = run [[
      it("one", function()
        ml.spawn(function() error("lost") end)
        ml.sleep(0.001)
      end)
    ]]
    assert.matches("lost", output)
    assert.matches("spawned at fixture_spec.lua:3", output)
    assert.matches("ok 1 %- one", output)
    assert.equal(0, status)
  end)

  it("says what to install if busted is missing", function()
    local output, status = process.sh("LUA_PATH='?.lua' " .. process.quote(binary) .. " test")
    assert.matches("lua%-busted", output)
    assert.equal(1, status)
  end)
end)
