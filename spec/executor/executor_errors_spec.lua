-- Errors of jobs, and of blocks that own a pool: none is lost.
local ml = require "moonloop"
local run = require("spec.support.process").run
local support = require "spec.support.tasks"

local started, await, eventually = support.started, support.await, support.eventually

--- Waits until it is cut off, and stops that here.
local function be_cut() assert(not ml.catch(ml.sleep, 1000)) end

local function is_closed(pool)
  local ok, err = pcall(pool.run, pool, print)
  return not ok and err.kind == "closed"
end

describe("a job that was started counts from then on", function()
  it("when the pool is closed at once", function()
    local pool = ml.executor.new { threads = 1 }
    local call = pool:start(function(n) return n + 1 end, 41)
    pool:close()
    assert.equal("done", call:status())
    assert.equal(42, call:await())
    assert.is_true(is_closed(pool))
    assert.equal("closed", select(2, pcall(pool.start, pool, print)).kind)
  end)

  it("when its queue is full", function()
    local pool = ml.executor.new { threads = 1, queue = 1 }
    local calls = {}
    for i = 1, 5 do
      calls[i] = pool:start(function(n)
        ml.sleep(0.001)
        return n
      end, i)
    end
    pool:close()
    for i = 1, 5 do assert.equal(i, calls[i]:await()) end
  end)

  it("but not after it is cancelled before it could run", function()
    local pool = ml.executor.new { threads = 1 }
    local call = pool:start(print)
    local closer = ml.spawn(pool.close, pool)
    call:cancel()
    closer:await()
    assert.equal("cancelled", call:status())
  end)

  it("but not after it and its pool are garbage", function()
    do
      local core = require "moonloop.executor.core"
      local pool = ml.executor.new { threads = 1 }
      core.prepare(pool, core.progress(), print)
    end
    collectgarbage()
    collectgarbage()
  end)
end)

describe("a block that owns a pool", function()
  it("raises its error in a cancelled task, and the pool takes no more jobs", function()
    local E, kept = {}, nil
    local task = started(function()
      local ok, err = pcall(function()
        local pool <close> = ml.executor.new { threads = 1 }
        kept = pool
        be_cut()
        error(E)
      end)
      assert(not ok)
      error(err, 0)
    end)
    task:cancel()
    local ok, err = await(task)
    assert.is_false(ok)
    assert.is_true(rawequal(E, err))
    assert.is_true(is_closed(kept))
  end)

  it("raises the cancel if it has no error, and the pool takes no more jobs", function()
    local kept
    local task = started(function()
      local pool <close> = ml.executor.new { threads = 1 }
      kept = pool
      be_cut()
    end)
    task:cancel()
    local ok, err = await(task)
    assert.is_false(ok)
    assert.equal("cancelled", err.kind)
    assert.is_true(is_closed(kept))
  end)

  it("raises its error when it is cancelled while it waits for the last jobs", function()
    local E, kept = {}, nil
    local opened, leaves = ml.event(), ml.event()
    local task = ml.spawn(function()
      local ok, err = pcall(function()
        local pool <close> = ml.executor.new { threads = 1 }
        kept = pool
        opened:set()
        leaves:wait()
        error(E)
      end)
      return ok, err
    end)
    opened:wait()
    local long = ml.spawn(kept.run, kept, function() require("moonloop").sleep(1000) end)
    ml.sleep(0)
    leaves:set()
    eventually(function()
      for _, other in ipairs(ml.tasks()) do
        if other.task == task then return (other.waiting_for or ""):find "last jobs" end
      end
    end)
    task:cancel()
    local ok, err = task:await()
    assert.is_false(ok)
    assert.is_true(rawequal(E, err))
    long:cancel()
    kept:close()
  end)

  it("raises its error where waiting is impossible, and the pool takes no more jobs", function()
    local E, kept = {}, nil
    local ok, err = pcall(table.sort, { 1, 2 }, function()
      local pool <close> = ml.executor.new { threads = 1 }
      kept = pool
      error(E)
    end)
    assert.is_false(ok)
    assert.is_true(rawequal(E, err))
    assert.is_true(is_closed(kept))
  end)
end)

describe("an error of a job", function()
  it("that cannot be sent is shown in the message that says so", function()
    local pool <close> = ml.executor.new { threads = 1 }
    local _, err = pcall(pool.run, pool, function() error { message = "the cause", f = io.tmpfile() } end)
    assert.matches("cannot send the error.f: a userdata .-message = \"the cause\"", err)
    _, err = pcall(pool.run, pool, function()
      error(setmetatable({ print = coroutine.create(print) }, { __tostring = function() return ("é"):rep(5000) end }))
    end)
    assert.matches("cannot send the error", err, 1, true)
    assert.is_true(#err < 2000)
    assert.truthy(utf8.len(err))
  end)

  it("in the clean-up of one that was cancelled is reported", function()
    local output, status = run [[
local pool = ml.executor.new { threads = 1 }
local call = pool:start(function()
  local ml = require "moonloop"
  local function culprit() error "in clean-up" end
  local _ <close> = setmetatable({}, { __close = function() culprit() return 1 end })
  ml.executor.current():progress(1)
  ml.sleep(1000)
end)
for _ in call:progress() do call:cancel() end
pool:close()]]
    assert.equal(0, status)
    assert.matches("a job failed in its clean%-up, and its caller is gone: .-in clean%-up\n.-culprit", output)
  end)

  it("that has ended reaches a caller who is cancelled before it has come back", function()
    local pool <close> = ml.executor.new { threads = 1 }
    local E = { code = 7 }
    local caller = ml.spawn(function()
      return select(2, pcall(pool.run, pool, function(e) error(e) end, E))
    end)
    -- the loop is kept from hearing of its end, which comes meanwhile
    while pool:stats().failed == 0 do
      ml.sleep(0)
      local stop = os.clock() + 0.02
      while os.clock() < stop and pool:stats().failed == 0 do end
    end
    caller:cancel()
    local ok, err = await(caller)
    assert.is_true(ok)
    assert.same(E, err)
  end)
end)
