-- What a job tells its caller while it runs, and the calls it can be asked about.
local ml = require "moonloop"
local eventually = require("spec.support.tasks").eventually

--- All that a call's progress gives.
local function collect(call)
  local list = {}
  for v in call:progress() do list[#list + 1] = v end
  return list
end

describe("pool:start", function()
  it("gives a call whose await gives the results", function()
    local pool <close> = ml.executor.new { threads = 1 }
    local call = pool:start(function(a, b) return a + b, nil, "c" end, 1, 2)
    assert.same({ n = 3, 3, nil, "c" }, table.pack(call:await()))
    assert.equal("done", call:status())
    assert.equal(3, (call:await())) -- again
  end)

  it("copies when it is called", function()
    local pool <close> = ml.executor.new { threads = 1 }
    local list = { 1 }
    local call = pool:start(function(t) return #t end, list)
    list[2] = 2
    assert.equal(1, call:await())
    assert.error_matches(function() pool:start(print, coroutine.create(print)) end,
      "cannot send argument #2: a coroutine")
    assert.error_matches(function() pool:start(1) end, "function expected, got number")
  end)

  it("raises the job's error in await", function()
    local pool <close> = ml.executor.new { threads = 1 }
    local call = pool:start(function() error("boom") end)
    assert.error_matches(function() call:await() end, "boom")
    assert.equal("failed", call:status())
  end)

  it("takes limits in a list, and works on the default pool", function()
    local call = ml.executor.start { function() while true do end end, cpu = 0.02 }
    local ok, err = pcall(call.await, call)
    assert.is_false(ok)
    assert.equal("cpu", err.kind)
  end)

  it("cancels the job with the call", function()
    local pool <close> = ml.executor.new { threads = 1 }
    local call = pool:start(function() while true do end end)
    eventually(function() return pool:stats().running == 1 end)
    assert.is_true(call:cancel("enough"))
    local ok, err = pcall(call.await, call)
    assert.is_false(ok)
    assert.equal("enough", err.reason)
    assert.is_false(call:cancel())
    assert.equal("free", pool:run(function() return "free" end))
  end)

  it("makes a child of the caller, which gather and race take as call.task", function()
    local pool <close> = ml.executor.new { threads = 2 }
    local a, b = pool:start(function() return 1 end), pool:start(function() return 2 end)
    assert.same({ n = 2, 1, 2 }, ml.gather { a.task, b.task })
    local parent = ml.spawn(function()
      pool:start(ml.sleep, 1000)
      ml.sleep(1000)
    end)
    eventually(function() return pool:stats().running == 1 end)
    parent:cancel()
    eventually(function() return pool:stats().running == 0 end)
  end)

  it("raises closed on a closed pool", function()
    local pool = ml.executor.new { threads = 1 }
    pool:close()
    assert.equal("closed", select(2, pcall(pool.start, pool, print)).kind)
  end)
end)

describe("job:progress", function()
  it("is iterated by the caller, in order, and none is lost before the end", function()
    local pool <close> = ml.executor.new { threads = 1 }
    local call = pool:start(function(n)
      local job = ml.executor.current()
      for i = 1, n do assert(job:progress(i)) end
      return "end"
    end, 1000)
    local list = collect(call)
    assert.equal(1000, #list)
    for i = 1, 1000 do assert.equal(i, list[i]) end
    assert.equal("end", call:await())
    assert.same({}, collect(call)) -- nothing comes any more
  end)

  it("is available even after the job has ended", function()
    local pool <close> = ml.executor.new { threads = 1 }
    local call = pool:start(function()
      for i = 1, 5 do ml.executor.current():progress(i) end
    end)
    eventually(function() return pool:stats().done == 1 end)
    assert.same({ 1, 2, 3, 4, 5 }, collect(call))
  end)

  it("sends copies of any number of values", function()
    local pool <close> = ml.executor.new { threads = 1 }
    local call = pool:start(function() ml.executor.current():progress({ done = 0.5 }, nil, "c") end)
    local seen
    for a, b, c in call:progress() do seen = { a, b, c } end
    assert.same({ { done = 0.5 }, nil, "c" }, seen)
  end)

  it("comes while the job runs", function()
    local pool <close> = ml.executor.new { threads = 1 }
    local call = pool:start(function()
      ml.executor.current():progress("begun")
      ml.sleep(1000)
    end)
    for v in call:progress() do
      assert.equal("begun", v)
      assert.equal("suspended", call:status())
      call:cancel()
    end
    assert.is_false((pcall(call.await, call)))
  end)

  it("makes a job wait if its caller is behind", function()
    local pool <close> = ml.executor.new { threads = 1 }
    local call = pool:start(function()
      for i = 1, 200 do
        ml.executor.current():progress(i)
        sent = i -- luacheck: ignore
      end
    end)
    local iterate, line, _, closing <close> = call:progress()
    assert.equal(1, iterate(line))
    ml.sleep(0.05) -- time in which a job that does not wait would have ended
    assert.equal(1, pool:stats().running)
    local n = 1
    while iterate(line) do n = n + 1 end
    assert.equal(200, n)
    call:await()
    assert.is_not_nil(closing)
  end)

  it("is dropped, and the job continues, if the caller only awaits", function()
    local pool <close> = ml.executor.new { threads = 1 }
    local call = pool:start(function()
      local taken
      for i = 1, 1000 do taken = ml.executor.current():progress(i) end
      return taken
    end)
    assert.is_false(call:await())
  end)

  it("is dropped if the caller has left the loop", function()
    local pool <close> = ml.executor.new { threads = 1 }
    local call = pool:start(function()
      for i = 1, 1000 do ml.executor.current():progress(i) end
      return "end"
    end)
    for v in call:progress() do
      if v == 1 then break end
    end
    assert.equal("end", call:await())
  end)

  it("is dropped if the call is garbage", function()
    local pool <close> = ml.executor.new { threads = 1 }
    pool:start(function()
      for i = 1, 1000 do ml.executor.current():progress(i) end
    end)
    eventually(function()
      collectgarbage()
      return pool:stats().done == 1
    end)
  end)

  it("costs nothing if the job was not started with progress", function()
    local pool <close> = ml.executor.new { threads = 1 }
    assert.is_false(pool:run(function() return ml.executor.current():progress(coroutine.create(print)) end))
  end)

  it("ends the iteration when the job fails; await raises its error", function()
    local pool <close> = ml.executor.new { threads = 1 }
    local call = pool:start(function()
      ml.executor.current():progress(1)
      error("boom")
    end)
    assert.same({ 1 }, collect(call))
    assert.error_matches(function() call:await() end, "boom")
  end)

  it("ends the iteration of a job that was cancelled in the queue", function()
    local pool <close> = ml.executor.new { threads = 1 }
    local running = pool:start(ml.sleep, 1000)
    local queued = pool:start(print)
    eventually(function() return pool:stats().queued == 1 end)
    queued:cancel()
    assert.same({}, collect(queued))
    running:cancel()
    assert.same({}, collect(running))
  end)

  it("ends the iteration of a job that never came to the pool", function()
    local pool <close> = ml.executor.new { threads = 1, queue = 1 }
    local unborn = pool:start(print)
    unborn:cancel() -- before its task's first step
    assert.same({}, collect(unborn))
    local running, queued = pool:start(ml.sleep, 1000), pool:start(ml.sleep, 1000)
    local waiting = pool:start(print)
    eventually(function() return pool:stats().queued == 2 end)
    waiting:cancel() -- while it waits for room
    assert.same({}, collect(waiting))
    running:cancel()
    queued:cancel()
  end)

  it("can be abandoned while a task waits for it, on both sides", function()
    local pool <close> = ml.executor.new { threads = 1 }
    local call = pool:start(function()
      local job, n = ml.executor.current(), 0
      while ml.timeout(0.5, function()
        job:progress(n + 1)
        return true
      end) do n = n + 1 end
      return n
    end)
    local iterate, line, _, closing = call:progress()
    eventually(function() return pool:stats().done == 1 end)
    local count = call:await()
    assert.is_true(count >= 1)
    for i = 1, count do assert.equal(i, iterate(line)) end
    assert.is_nil(iterate(line))
    assert.is_not_nil(closing)
    local idle = pool:start(ml.sleep, 1000)
    iterate, line = idle:progress()
    assert.equal("timeout", select(2, ml.timeout(0.01, iterate, line)).kind)
    idle:cancel()
    assert.is_nil(iterate(line))
  end)

  it("refuses nil and what cannot be copied, naming it", function()
    local pool <close> = ml.executor.new { threads = 1 }
    local function try(...)
      return pool:start(function(...) ml.executor.current():progress(...) end, ...)
    end
    local call = try()
    assert.error_matches(function() collect(call) call:await() end, "nil would end the iteration")
    call = pool:start(function() ml.executor.current():progress { co = coroutine.create(print) } end)
    assert.error_matches(function() collect(call) call:await() end, "cannot send progress #1.co: a coroutine")
  end)
end)

describe("ml.executor.current", function()
  it("is nil outside of a job, and in a task that an earlier job has left", function()
    assert.is_nil(ml.executor.current())
    local pool <close> = ml.executor.new { threads = 1 }
    pool:run(function()
      ml.spawn(function()
        while not go do ml.sleep(0.001) end -- luacheck: ignore
        seen = tostring(ml.executor.current()) -- luacheck: ignore
      end)
    end)
    assert.equal("nil", pool:run(function()
      go = true -- luacheck: ignore
      while not seen do ml.sleep(0.001) end -- luacheck: ignore
      return seen -- luacheck: ignore
    end))
  end)

  it("is also the job in the tasks it starts", function()
    local pool <close> = ml.executor.new { threads = 1 }
    local call = pool:start(function()
      ml.gather(function() ml.executor.current():progress("child") end)
    end)
    assert.same({ "child" }, collect(call))
  end)

  it("of a job that has ended is harmless", function()
    local pool <close> = ml.executor.new { threads = 1 }
    local call = pool:start(function() old = ml.executor.current() end) -- luacheck: ignore
    call:progress()
    call:await()
    assert.same({ false, false, n = 2 }, table.pack(pool:run(function()
      return old:progress(1), old:cancelled() -- luacheck: ignore
    end)))
  end)

  it("says in the clean-up that the job was cancelled", function()
    local pool <close> = ml.executor.new { threads = 1 }
    local call = pool:start(function()
      local job = ml.executor.current()
      local guard <close> = setmetatable({}, { __close = function() told = job:cancelled() end }) -- luacheck: ignore
      assert(not job:cancelled())
      job:progress("begun")
      ml.sleep(1000)
    end)
    for _ in call:progress() do call:cancel() end
    assert.is_true(pool:run(function() return told end)) -- luacheck: ignore
  end)
end)
