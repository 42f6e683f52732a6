-- The virtual clock, and the shuffled order of ready tasks. Times are exact on a virtual clock; the
-- real ones are bounded generously.
local clock = require "moonloop.clock"
local ml = require "moonloop"
local folders = require "spec.support.folder"
local process = require "spec.support.process"
local rawtcp = require("spec.support").rawtcp

local run = process.test

-- Seconds on the clock that `f` takes.
local function seconds(f)
  local start = ml.now()
  f()
  return ml.now() - start
end

local function near(expected, found) assert.is_true(math.abs(found - expected) < 1e-6, tostring(found)) end

describe("a virtual clock", function()
  local cpu
  before_each(function() cpu = os.clock() end)
  after_each(function() assert.is_true(os.clock() - cpu < 20) end)

  it("takes no real time for an hour of sleeps, and is exact", function()
    clock.virtual()
    near(3600, seconds(function()
      for _ = 1, 3600 do ml.sleep(1) end
    end))
    near(1e6, seconds(function() ml.sleep(1e6) end))
  end)

  it("shows exact durations, wherever it stands", function()
    for i = 1, 200 do
      clock.real()
      clock.virtual()
      ml.sleep(i * 0.0012345)
      for _, nap in ipairs {60, 0.5, 3.25, 1e4, 2 ^ -9} do
        assert.equal(nap, seconds(function() ml.sleep(nap) end))
      end
    end
  end)

  it("shows no less than was slept, but for what a number of that size can show", function()
    for i = 1, 200 do
      clock.real()
      clock.virtual()
      local nap = i * 0.29
      local found = seconds(function() ml.sleep(nap) end)
      local shown = ml.now() * 2 ^ -52 -- other specs may have slept for months on this clock
      assert.is_true(found >= nap - shown and found < nap + shown + 1e-8, ("%.17g for %.17g"):format(found, nap))
    end
  end)

  it("keeps the order of timers, those of equal times in the order they were set", function()
    clock.virtual()
    clock.shuffle() -- this order is the rule: also in a shuffled run
    local order = {}
    local function note(name, ...)
      local naps = {...}
      return function()
        for _, nap in ipairs(naps) do ml.sleep(nap) end
        order[#order + 1] = name
      end
    end
    ml.gather(note("3h", 10800), note("1h", 3600), note("2h", 7200), note("1ms", 0.001),
      note("1h in two", 1800, 1800), note("1h again", 3600))
    assert.equal("1ms 1h 1h again 1h in two 2h 3h", table.concat(order, " "))
  end)

  it("stands still while Lua code runs", function()
    clock.virtual()
    assert.equal(0, seconds(function()
      for _ = 1, 1e6 do end -- luacheck: ignore
      ml.sleep(0)
    end))
  end)

  it("ends timeouts at their time", function()
    clock.virtual()
    near(30, seconds(function()
      local _, err = ml.timeout(30, ml.sleep, 3600)
      assert.equal("timeout", err.kind)
    end))
    near(20, seconds(function() assert.equal("x", ml.timeout(30, function() ml.sleep(20) return "x" end)) end))
  end)

  it("does not jump while the executor works", function()
    clock.virtual()
    local first
    local sleeper = ml.spawn(function() ml.sleep(3600) first = first or "sleep" end)
    local sum = ml.executor.run(function()
      local s = 0
      for i = 1, 3e6 do s = s + i % 7 end
      return s
    end)
    first = first or "job"
    assert.equal("job", first)
    assert.is_true(sum > 0)
    sleeper:await()
    assert.equal("job", first)
  end)

  it("runs like the real one while a task waits for another process", function()
    local app <close> = folders.file [[
      local ml = require "moonloop"
      local app = ml.web.app()
      app:get("/", function() ml.sleep(0.2) return "late" end)
      return app
    ]]
    local server <close> = process.serve(app.path)
    local url = server.url
    clock.virtual()
    local woken = false
    local sleeper = ml.spawn(function() ml.sleep(3600) woken = true end)
    local took = seconds(function() assert.equal("late", ml.http.get(url).body) end)
    assert.is_false(woken)
    assert.is_true(took >= 0.19 and took < 60, tostring(took))
    local _, err
    took = seconds(function() _, err = ml.http.get(url, {timeout = 0.05}) end)
    assert.equal("timeout", err.kind)
    assert.is_true(took >= 0.05 and took < 60, tostring(took))
    sleeper:cancel()
  end)

  it("jumps while a spec's own server answers late", function()
    local app = ml.web.app()
    app:get("/hour", function() ml.sleep(3600) return "late" end)
    local server = assert(ml.web.listen(app, {port = 0}))
    local url = ("http://127.0.0.1:%d/hour"):format(server.port)
    clock.virtual()
    -- Where the system is slow to connect the two, that is waited for in real time.
    local took = seconds(function() assert.equal("late", ml.http.get(url, {timeout = 7200}).body) end)
    assert.is_true(took > 3599 and took < 3660, tostring(took))
    took = seconds(function() assert.is_nil((ml.http.get(url, {timeout = 1000}))) end)
    assert.is_true(took > 999 and took < 1060, tostring(took))
    server:stop(0)
  end)

  it("lets bytes between the spec's own sockets arrive first", function()
    local listener = assert(rawtcp.listen())
    local client = assert(rawtcp.connect(listener.port))
    local peer = assert(listener:accept())
    finally(function() client:close() peer:close() listener:close() end)
    clock.virtual()
    local echo = ml.spawn(function()
      for _ = 1, 100 do peer:send(peer:receive(1)) end
    end)
    near(0, seconds(function()
      for _ = 1, 100 do
        client:send("x")
        assert.equal("x", client:receive(1))
      end
    end))
    echo:await()
  end)

  it("continues from the same time when it becomes real again", function()
    clock.virtual()
    local start = ml.now()
    ml.sleep(1000)
    clock.real()
    local later = ml.now()
    assert.is_true(later >= start + 1000 and later < start + 1060)
    local slept = seconds(function() ml.sleep(0.01) end)
    assert.is_true(slept >= 0.01 and slept < 60)
  end)

  it("wakes tasks that were already asleep, at their time", function()
    local task = ml.spawn(function()
      ml.sleep(500)
      return ml.now()
    end)
    ml.sleep(0)
    local start = ml.now()
    clock.virtual()
    local woken = task:await()
    assert.is_true(woken - start > 440 and woken - start < 501)
  end)

  it("is real again in the next spec", function() assert.is_false(clock.is_virtual()) end)
end)

describe("moonloop test", function()
  it("--virtual-clock: every spec, its setup and its file", function()
    local output, status = run([[
      ml.sleep(86400)
      setup(function() ml.sleep(86400) end)
      it("one", function() ml.sleep(86400) end)
      it("two", function() clock.real() ml.sleep(0.01) end)
      it("three", function() ml.sleep(86400) end)
    ]], "-o TAP --virtual-clock")
    assert.equal(0, status, output)
    assert.matches("ok 3 %- three", output)
  end)

  it("has the real clock back after an it, and after a file", function()
    local output, status = run([[
      local start = ml.now()
      setup(clock.virtual)
      it("one", function() assert.is_true(clock.is_virtual()) clock.real() end)
      describe("in a block", function()
        before_each(clock.virtual)
        it("two", function() ml.sleep(1e5) assert.is_true(ml.now() - start >= 1e5) end)
      end)
    ]], "-o TAP")
    assert.equal(0, status, output)
    assert.matches("ok 2 %- in a block two", output)
    assert.equal(0, select(2, run([[
      it("one", function() clock.virtual() ml.sleep(1e5) end)
      it("two", function() assert.is_false(clock.is_virtual()) end)
    ]], "-o TAP")))
  end)

  it("fails a spec that leaves a task behind on the virtual clock, too", function()
    local output, status = run([[
      it("leaks", function() clock.virtual() ml.spawn(ml.sleep, 1e9) end)
    ]], "-o TAP")
    assert.matches("not ok 1 %- leaks", output)
    assert.equal(1, status)
  end)

  local race = [[
    local function order()
      local list, out = {}, {}
      for i = 1, 8 do
        list[i] = function() ml.sleep(0) out[#out + 1] = i ml.sleep(0) out[#out + 1] = i end
      end
      ml.gather(list)
      return table.concat(out)
    end
    it("one", function() io.write("one=", order(), "\n") end)
    it("two", function() io.write("two=", order(), "\n") end)
  ]]
  local function orders(args)
    local output = run(race, args)
    return output:match("one=(%d+)"), output:match("two=(%d+)"), output
  end

  it("runs ready tasks in the order in which they became ready", function()
    local one, two = orders("-o TAP")
    assert.equal("1234567812345678", one)
    assert.equal(one, two)
  end)

  it("--shuffle: runs them in a random order, and the printed seed repeats it", function()
    local one, two, output = orders("-o TAP --shuffle")
    local seed = output:match("%-%-shuffle=(%d+) repeats")
    assert.is_string(seed, output)
    local one_again, two_again = orders("-o TAP --shuffle=" .. seed)
    assert.same({one, two}, {one_again, two_again})
    assert.not_equal(one, two)
    local seen = {}
    for i = 1, 5 do seen[orders("-o TAP --shuffle=" .. i)] = true end
    local n = 0
    for _ in pairs(seen) do n = n + 1 end
    assert.equal(5, n)
  end)

  it("--shuffle: sleep(0) still lets every ready task run once", function()
    local output, status = run([[
      for i = 1, 50 do
        it("spec " .. i, function()
          local started = 0
          for _ = 1, 5 do ml.spawn(function() started = started + 1 end) end
          ml.sleep(0)
          assert.equal(5, started)
        end)
      end
    ]], "-o TAP --shuffle=3")
    assert.equal(0, status, output)
  end)

  it("--shuffle: a spec has the same order when it runs alone", function()
    local _, two = orders("-o TAP --shuffle=77")
    assert.equal(two, (select(2, orders("-o TAP --shuffle=77 --filter=two"))))
  end)

  it("--shuffle: says what is wrong with a seed", function()
    local output, status = run("", "--shuffle=abc")
    assert.matches("seed must be an integer, not 'abc'", output)
    assert.equal(2, status)
  end)

  it("names its options in its help", function()
    local output = run("", "--help")
    assert.matches("%-%-virtual%-clock.*%-%-shuffle%[=SEED%]", output)
    assert.matches("%-%-filter=PATTERN", output)
  end)
end)
