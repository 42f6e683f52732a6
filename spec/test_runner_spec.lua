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

  it("reports what a file's setup made and no teardown ended", function()
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

  it("says what to install where busted is missing", function()
    local output, status = process.sh("LUA_PATH='?.lua' " .. process.quote(binary) .. " test")
    assert.matches("lua%-busted", output)
    assert.equal(1, status)
  end)
end)
