-- Time slices: tasks that are preempted compute the same as tasks that are not.
local ml = require "moonloop"

local function sum(n)
  local s = 0
  for i = 1, n do s = s + i % 7 end
  return s
end

-- Runs `f` in short slices beside a task that counts how often it gets a turn.
local function sliced(f, ...)
  local turns, over = 0, false
  local other = ml.spawn(function()
    while not over do
      turns = turns + 1
      ml.sleep(0)
    end
  end)
  local results = table.pack(pcall(function(...) return ml.spawn({f, ..., slice = 0.0005}):await() end, ...))
  over = true
  other:await()
  return turns, table.unpack(results, 1, results.n)
end

local N = 1000000

describe("a time slice", function()
  local want = sum(N)

  local ways = {
    ["plain loops"] = {function() return sum(N) end, want},
    ["pcall"] = {function() return select(2, pcall(sum, N)) end, want},
    ["xpcall"] = {function() return select(2, xpcall(sum, debug.traceback, N)) end, want},
    ["errors that are caught"] = {function()
      local n = 0
      for i = 1, N // 10 do
        local ok, err = pcall(function() if i % 2 == 0 then error {1} end end)
        if not ok then n = n + err[1] end
      end
      return n
    end, N // 20},
    ["generators"] = {function()
      local s = 0
      for i in coroutine.wrap(function() for i = 1, N // 4 do coroutine.yield(i) end end) do s = s + i % 7 end
      return s
    end, sum(N // 4)},
    ["generators in generators, and work between yields"] = {function()
      local s = 0
      local function inner() for i = 1, 200 do coroutine.yield(sum(1000) - sum(1000) + i) end end
      local outer = coroutine.wrap(function()
        for i in coroutine.wrap(inner) do coroutine.yield(i) end
      end)
      for i in outer do s = s + i end
      return s
    end, 20100},
    ["to-be-closed variables, in order"] = {function()
      local log = 0
      for _ = 1, N // 20 do
        local _ <close> = setmetatable({}, {__close = function() log = (log * 3 + 1) % 1000003 end})
        local _ <close> = setmetatable({}, {__close = function() log = (log + 7) % 1000003 end})
      end
      return log
    end, (function()
      local log = 0
      for _ = 1, N // 20 do log = (((log + 7) % 1000003) * 3 + 1) % 1000003 end
      return log
    end)()},
    ["metamethods"] = {function()
      local function busy(value) for _ = 1, 10 do value = value + 0 end return value end
      local meta = {__index = function(_, k) return busy(k) end, __add = function() return busy(1) end,
        __concat = function() return busy(2) end, __eq = function() return busy(1) == 1 end,
        __lt = function() return busy(1) == 1 end, __le = function() return busy(1) == 2 end,
        __len = function() return busy(3) end, __call = function(_, ...) return busy(select("#", ...)) end,
        __unm = function() return busy(4) end, __newindex = function(t, k, v) rawset(t, k, busy(v)) end}
      local a, b, s = setmetatable({}, meta), setmetatable({}, meta), 0
      for i = 1, N // 50 do
        s = s + a[i] - i + (a + 1) + (a .. "x") + #a + a(1, nil) + -a
        if a == b and a < b and (a <= b) == false then s = s + 1 end
        b[i] = i
        s = s + b[i] - i
      end
      return s
    end, (N // 50) * 14 - 0 - (N // 50)},
    ["iterators and several values"] = {function()
      local s = 0
      local function pass(...) return sum(10) - sum(10), ... end
      for i, j in function(_, i) i = (i or 0) + 1 if i <= N // 20 then return i, 2 * i end end do
        local t = {pass(pass(i, j))}
        s = s + #t + t[3] - i + t[4] - j
      end
      return s
    end, 4 * (N // 20)},
    ["tail calls"] = {function()
      local function loop(n, s) if n == 0 then return s end return loop(n - 1, s + n % 7) end
      return loop(N, 0)
    end, want},
    ["strings and tables under collection"] = {function()
      local parts = {}
      for i = 1, N // 20 do parts[#parts + 1] = tostring(i) .. "," .. #{i, {i}} end
      return #table.concat(parts)
    end, (function()
      local n = 0
      for i = 1, N // 20 do n = n + #tostring(i) + 2 end
      return n
    end)()},
    ["a callback of gsub, where Lua cannot suspend"] = {function()
      local n = 0
      for _ = 1, 400 do (("a"):rep(2000)):gsub(".", function() n = n + 1 end) end
      return n
    end, 800000},
    ["a comparator, where Lua cannot suspend"] = {function()
      local ok = true
      for _ = 1, 5 do
        local t = {}
        for i = 1, 10000 do t[i] = i * 7919 % 10007 end
        table.sort(t, function(a, b) return a < b end)
        for i = 2, #t do ok = ok and t[i - 1] <= t[i] end
      end
      return ok
    end, true},
  }
  for way, case in pairs(ways) do
    it("leaves the result of " .. way .. " unchanged, and others get their turn", function()
      local turns, ok, result = sliced(case[1])
      assert.is_true(ok, tostring(result))
      assert.equal(case[2], result)
      assert.is_true(turns > 2, "only " .. turns .. " turns")
    end)
  end

  it("passes errors unchanged", function()
    local err = {}
    local _, ok, raised = sliced(function()
      sum(N)
      error(err)
    end)
    assert.is_false(ok)
    assert.equal(err, raised)
  end)

  it("lets timers and other tasks in while it computes for ever, and ends by a cancel", function()
    local task = ml.spawn {function() while true do local _ = tostring({}) end end, slice = 0.001}
    for _ = 1, 5 do ml.sleep(0.002) end
    assert.is_true(task:cancel("enough"))
    local ok, err = pcall(task.await, task)
    assert.is_false(ok)
    assert.equal("enough", err.reason)
    assert.equal("cancelled", task:status())
  end)

  it("does not end a task in the middle of shielded code", function()
    local task = ml.spawn {function()
      return ml.shield(function() return sum(N) end)
    end, slice = 0.0005}
    ml.sleep(0)
    task:cancel()
    local _, result = pcall(task.await, task)
    assert.is_true(result == want or (ml.is_error(result) and result.kind == "cancelled"))
  end)

  it("is kept for the children, and many of them share the loop", function()
    local list = {}
    for i = 1, 20 do list[i] = function() return sum(N // 10) + i end end
    local turns, ok, results = sliced(function() return ml.gather(list) end)
    assert.is_true(ok, tostring(results))
    for i = 1, 20 do assert.equal(sum(N // 10) + i, results[i]) end
    assert.is_true(turns > 2)
  end)

  it("can be combined with a budget", function()
    local task = ml.spawn {function() while true do pcall(tostring, {}) end end, slice = 0.001, cpu = 0.05}
    local ok, err = pcall(task.await, task)
    assert.is_false(ok)
    assert.equal("cpu", err.kind)
  end)

  it("keeps values in queues and permits of semaphores", function()
    local queue, taken = ml.queue(3), 0
    local lock = ml.semaphore(1)
    local producer = {function()
      for i = 1, 3000 do queue:put(i) end
      queue:close()
    end, slice = 0.0002}
    local function consume()
      while true do
        local ok, value = pcall(queue.get, queue)
        if not ok or value == nil then return end
        lock:acquire()
        local before = taken
        sum(100)
        taken = before + value
        lock:release()
      end
    end
    ml.gather(producer, {consume, slice = 0.0002}, {consume, slice = 0.0002}, {consume, slice = 0.0002})
    assert.equal(3000 * 3001 // 2, taken)
  end)
end)
