-- ml.future, ml.event, ml.semaphore, ml.lock, ml.queue, ml.var
local ml = require "moonloop"
local support = require "spec.support.tasks"

local U, started, await = support.UNIT, support.started, support.await

local function kind_of(f, ...)
  local ok, err = pcall(f, ...)
  return not ok and ml.is_error(err) and err.kind
end

describe("a semaphore", function()
  it("SE-01 admits its number of holders, and one more for each release, in order", function()
    local sem = ml.semaphore(3)
    local got, tasks = {}, {}
    for i = 1, 6 do
      tasks[i] = ml.spawn(function()
        sem:acquire()
        got[#got + 1] = i
      end)
    end
    ml.sleep(0)
    assert.same({ 1, 2, 3 }, got)
    sem:release()
    sem:release()
    ml.sleep(0)
    assert.same({ 1, 2, 3, 4, 5 }, got)
    sem:release()
    ml.gather(tasks)
  end)

  it("SE-03 is strictly first come first served", function()
    local sem, order = ml.semaphore(1), {}
    local tasks = {}
    for i = 1, 3 do
      tasks[i] = function()
        for _ = 1, 2 do
          sem:acquire()
          order[#order + 1] = i
          ml.sleep(0)
          sem:release()
        end
      end
    end
    ml.gather(tasks)
    assert.same({ 1, 2, 3, 1, 2, 3 }, order)
  end)

  it("SE-04 does not lose a permit in a cancelled waiter", function()
    local sem = ml.semaphore(0, 1)
    local t = {}
    for i = 1, 4 do t[i] = ml.spawn(sem.acquire, sem) end
    ml.sleep(0)
    t[1]:cancel()
    t[2]:cancel()
    sem:release()
    t[3]:await()
    assert.equal("suspended", t[4]:status())
    t[4]:cancel()
    await(t[4])
  end)

  it("SE-05 cancel and release in one tick, in either order: the next one gets it", function()
    for _, cancel_first in ipairs { true, false } do
      local sem = ml.semaphore(0, 1)
      local t1, t2 = ml.spawn(sem.acquire, sem), ml.spawn(sem.acquire, sem)
      ml.sleep(0)
      if cancel_first then t1:cancel() end
      sem:release()
      if not cancel_first then t1:cancel() end
      t2:await()
      assert.is_false((await(t1)))
      assert.is_false(sem:try_acquire())
    end
  end)

  it("SE-07 has no barging: a released permit belongs to the waiting task", function()
    local sem = ml.semaphore(1)
    sem:acquire()
    local waiter = started(sem.acquire, sem)
    sem:release()
    assert.is_false(sem:try_acquire())
    waiter:await()
    sem:release()
    assert.is_true(sem:try_acquire())
  end)

  it("SE-09 held by a block is released once, however the block ends", function()
    local sem = ml.semaphore(1)
    pcall(function()
      local _ <close> = sem:hold()
      error("x")
    end)
    assert.is_true(sem:try_acquire())
    sem:release()
    local task = started(function()
      local _ <close> = sem:hold()
      ml.sleep(100)
    end)
    local waiting = started(function()
      local _ <close> = sem:hold()
      return "held"
    end)
    task:cancel()
    await(task)
    assert.equal("held", waiting:await())
    assert.is_true(sem:try_acquire())
  end)

  it("SE-09 a cancelled wait in hold does not release a permit it never had", function()
    local sem = ml.semaphore(1)
    sem:acquire()
    local task = started(function() local _ <close> = sem:hold() end)
    task:cancel()
    await(task)
    assert.is_false(sem:try_acquire())
    sem:release()
  end)

  it("that starts without permits has no maximum unless one is given", function()
    local sem, got = ml.semaphore(0), 0
    local counting = started(function()
      for _ = 1, 3 do
        sem:acquire()
        got = got + 1
      end
    end)
    for _ = 1, 5 do sem:release() end
    await(counting)
    assert.equal(3, got)
    assert.is_true(sem:try_acquire() and sem:try_acquire() and not sem:try_acquire())
    do
      sem:release()
      local _ <close> = sem:hold()
    end
    assert.is_true(sem:try_acquire())
    assert.has_error(function() ml.semaphore(0, 0) end)
  end)

  it("has a maximum, its initial number by default", function()
    local sem = ml.semaphore(1)
    assert.has_error(function() sem:release() end)
    sem = ml.semaphore(0, 2)
    sem:release()
    sem:release()
    assert.has_error(function() sem:release() end)
    assert.has_error(function() ml.semaphore(-1) end)
    assert.has_error(function() ml.semaphore(2, 1) end)
  end)

  it("held by a block that an error leaves raises that error, though it was released in it", function()
    for _, object in ipairs { ml.semaphore(1), ml.lock() } do
      local E = {}
      local ok, err = pcall(function()
        local _ <close> = object:hold()
        object:release()
        error(E)
      end)
      assert.is_false(ok)
      assert.is_true(rawequal(E, err))
      assert.is_true(object:try_acquire() and not object:try_acquire())
    end
  end)
end)

describe("a lock", function()
  it("LK-01 goes to the next when a waiter is cancelled in the tick of the release", function()
    for _, release_first in ipairs { true, false } do
      local lock = ml.lock()
      lock:acquire()
      local b, c = ml.spawn(lock.acquire, lock), ml.spawn(lock.acquire, lock)
      ml.sleep(0)
      if release_first then lock:release() end
      b:cancel()
      if not release_first then lock:release() end
      c:await()
      assert.is_false((await(b)))
    end
  end)

  it("taken twice by one task is an error, not a deadlock", function()
    local lock = ml.lock()
    lock:acquire()
    assert.has_error(function() lock:acquire() end)
    assert.has_error(function() lock:hold() end)
    assert.is_false(lock:try_acquire())
    lock:release()
  end)

  it("is released only by its holder", function()
    local lock = ml.lock()
    assert.has_error(function() lock:release() end)
    lock:acquire()
    local ok = await(ml.spawn(lock.release, lock))
    assert.is_false(ok)
    lock:release()
    assert.has_error(function() lock:release() end)
  end)

  it("is held by a block", function()
    local lock, inside = ml.lock(), 0
    local function work()
      local _ <close> = lock:hold()
      inside = inside + 1
      assert(inside == 1)
      ml.sleep(0)
      inside = inside - 1
    end
    ml.gather(work, work, work)
  end)
end)

describe("an event", function()
  it("EV-01 wakes all that wait; a later wait returns at once", function()
    local event, woken = ml.event(), 0
    local function wait()
      event:wait()
      woken = woken + 1
    end
    local a, b = started(wait), started(wait)
    assert.is_false(event:is_set())
    event:set()
    assert.is_true(event:is_set())
    ml.gather(a, b)
    assert.equal(2, woken)
    event:wait()
    event:clear()
    local c = started(wait)
    assert.equal("suspended", c:status())
    c:cancel()
    await(c)
  end)
end)

describe("a future", function()
  it("gives what it was resolved with to all that await it, before and after", function()
    local future = ml.future()
    local a, b = started(future.await, future), started(future.await, future)
    future:resolve(1, nil, 3)
    assert.same({ 1, nil, 3, n = 3 }, table.pack(a:await()))
    assert.same({ 1, nil, 3, n = 3 }, table.pack(b:await()))
    assert.same({ 1, nil, 3, n = 3 }, table.pack(future:await()))
    local empty = ml.future()
    empty:resolve()
    assert.equal(0, select("#", empty:await()))
  end)

  it("raises what it was rejected with, the same value", function()
    local E, future = {}, ml.future()
    local task = started(future.await, future)
    future:reject(E)
    assert.equal(E, select(2, await(task)))
    assert.equal(E, select(2, pcall(future.await, future)))
  end)

  it("settled twice is an error", function()
    local future = ml.future()
    future:resolve(1)
    assert.has_error(function() future:resolve(2) end)
    assert.has_error(function() future:reject(2) end)
    assert.equal(1, future:await())
  end)
end)

describe("a queue", function()
  it("QU-01 of 1: put waits for a get, get waits for a put", function()
    local q, log = ml.queue(1), {}
    q:put("a")
    local putter = started(function()
      q:put("b")
      log[#log + 1] = "put"
    end)
    assert.equal("suspended", putter:status())
    assert.equal("a", q:get())
    putter:await()
    assert.equal("b", q:get())
    local getter = started(q.get, q)
    assert.equal("suspended", getter:status())
    q:put("c")
    assert.equal("c", getter:await())
  end)

  it("QU-03 a cancelled getter does not take the item of the next", function()
    local q = ml.queue()
    local first, second = started(q.get, q), started(q.get, q)
    first:cancel()
    q:put("a")
    assert.equal("a", second:await())
    assert.is_false((await(first)))
  end)

  it("QU-04 puts and the getter's cancel in one tick: no item is lost", function()
    local q = ml.queue()
    local getter = started(q.get, q)
    q:put(1)
    q:put(2)
    getter:cancel()
    assert.equal(1, q:get())
    assert.equal(2, q:get())
    assert.is_false((await(getter)))
    assert.equal(0, q:len())
  end)

  it("QU-04 the item goes to the next getter", function()
    local q = ml.queue()
    local a, b = started(q.get, q), started(q.get, q)
    q:put(1)
    a:cancel()
    assert.equal(1, b:await())
    await(a)
  end)

  it("QU-06 a putter cancelled when room was made for it: neither doubled nor lost", function()
    local q = ml.queue(1)
    q:put(1)
    local putter = started(q.put, q, 2)
    assert.equal(1, q:get()) -- makes room
    putter:cancel()
    assert.is_false((await(putter)))
    q:put(2)
    assert.equal(1, q:len())
    assert.equal(2, q:get())
    assert.is_nil(q:try_get())
  end)

  it("QU-09 a getter that timed out does not eat a later item", function()
    local q = ml.queue()
    local value, err = ml.timeout(U, q.get, q)
    assert.is_nil(value)
    assert.equal("timeout", err.kind)
    q:put("later")
    assert.equal("later", q:get())
  end)

  it("QU-12 closed: its items can be got, then it raises Closed", function()
    local q = ml.queue()
    q:put(1)
    q:put(2)
    q:close()
    assert.equal(1, q:get())
    assert.equal(2, q:try_get())
    assert.equal("closed", kind_of(q.get, q))
  end)

  it("QU-13 closing wakes a getter and a putter with Closed", function()
    local empty, full = ml.queue(), ml.queue(1)
    full:put(1)
    local getter, putter = started(empty.get, empty), started(full.put, full, 2)
    empty:close()
    full:close()
    assert.equal("closed", kind_of(getter.await, getter))
    assert.equal("closed", kind_of(putter.await, putter))
    assert.equal(1, full:get())
  end)

  it("QU-14 after close all four are Closed; closing again is harmless", function()
    local q = ml.queue(1)
    q:close()
    q:close()
    assert.equal("closed", kind_of(q.put, q, 1))
    assert.equal("closed", kind_of(q.try_put, q, 1))
    assert.equal("closed", kind_of(q.get, q))
    assert.equal("closed", kind_of(q.try_get, q))
  end)

  it("of 0 is a rendezvous, whoever comes first", function()
    local q = ml.queue(0)
    local putter = started(function()
      q:put("x")
      return "handed over"
    end)
    assert.equal("suspended", putter:status())
    assert.equal("x", q:get())
    assert.equal("handed over", putter:await())
    local getter = started(q.get, q)
    q:put("y")
    assert.equal("y", getter:await())
    assert.is_false(q:try_put("z"))
    assert.is_nil(q:try_get())
    putter = started(q.put, q, "w")
    assert.equal("w", q:try_get())
    putter:await()
    getter = started(q.get, q)
    assert.is_true(q:try_put("v"))
    assert.equal("v", getter:await())
  end)

  it("of 0: a putter whose value was taken has succeeded, cancelled or not", function()
    local q = ml.queue(0)
    local putter = started(function()
      q:put("x")
      return "put"
    end)
    assert.equal("x", q:get())
    putter:cancel()
    assert.equal("put", putter:await())
  end)

  it("keeps the order of several putters and getters", function()
    local q = ml.queue(2)
    local got = {}
    ml.gather(function()
      for i = 1, 50 do q:put(i) end
      q:close()
    end, function()
      for v in q:items() do got[#got + 1] = v end
    end)
    for i = 1, 50 do assert.equal(i, got[i]) end
  end)

  it("refuses nil, and takes false", function()
    local q = ml.queue()
    assert.has_error(function() q:put(nil) end)
    assert.has_error(function() q:try_put(nil) end)
    q:put(false)
    assert.equal(1, q:len())
    assert.equal(false, q:get())
    assert.has_error(function() ml.queue(-1) end)
  end)

  it("try_put is false when it is full, and does not overtake a waiting putter", function()
    local q = ml.queue(1)
    assert.is_true(q:try_put(1))
    assert.is_false(q:try_put(2))
    local putter = started(q.put, q, 3)
    assert.equal(1, q:get())
    assert.is_false(q:try_put(4))
    putter:await()
    assert.equal(3, q:get())
  end)

  it("items of a queue can be left early", function()
    local q = ml.queue()
    q:put(1)
    q:put(2)
    for v in q:items() do
      assert.equal(1, v)
      if v == 1 then break end
    end
    assert.equal(2, q:get())
  end)
end)

describe("a task-local variable", function()
  it("has a default, and a child starts with a copy", function()
    local var = ml.var("name", "default")
    assert.equal("default", var:get())
    var:set("parent")
    local child = ml.spawn(function()
      local inherited = var:get()
      var:set("child")
      return inherited, var:get()
    end)
    assert.same({ "parent", "child" }, { child:await() })
    assert.equal("parent", var:get())
    var:set(nil)
    assert.equal("default", var:get())
  end)

  it("is not seen by tasks that were started before it was set", function()
    local var = ml.var("v")
    local child = ml.spawn(function()
      ml.sleep(0)
      return var:get()
    end)
    var:set(1)
    assert.is_nil((child:await()))
    var:set(nil)
  end)

  it("with restores the old value, even after an error", function()
    local a, b = ml.var("a", 0), ml.var("b", 0)
    b:set(5)
    assert.equal(7, a:with(7, function()
      ml.sleep(0)
      assert.equal(5, b:get())
      return a:get()
    end))
    assert.equal(0, a:get())
    assert.is_false(pcall(a.with, a, 9, error))
    assert.equal(0, a:get())
    b:set(nil)
  end)

  it("is separate in tasks that run at the same time", function()
    local var = ml.var("request")
    local function handler(id)
      var:set(id)
      ml.sleep(0)
      return ml.spawn(function() return var:get() end):await()
    end
    assert.same({ 1, 2, 3 }, { ml.gather({ handler, 1 }, { handler, 2 }, { handler, 3 }) })
  end)
end)
