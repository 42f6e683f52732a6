-- pool:map: which items go together, what is under way at once, and what a failure does.
local ml = require "moonloop"
local eventually = require("spec.support.tasks").eventually

--- 1, 2, ..., n
local function numbers(n)
  local list = {}
  for i = 1, n do list[i] = i end
  return list
end

describe("pool:map", function()
  it("gives the first results in the order of the items", function()
    local pool <close> = ml.executor.new { threads = 2 }
    assert.same({ n = 0 }, pool:map({}, print))
    assert.same({ n = 3, "A", "B", "C" }, pool:map({ "a", "b", "c" }, string.upper))
    local results = pool:map(numbers(2500), function(i) return i * 2, "more" end)
    assert.equal(2500, results.n)
    for i = 1, 2500 do assert.equal(2 * i, results[i]) end
  end)

  it("runs as many items per job as `chunk` says", function()
    local pool <close> = ml.executor.new { threads = 2 }
    pool:map(numbers(10), function(i) return i end, { chunk = 4 })
    assert.equal(3, pool:stats().done)
    pool:map(numbers(10), function(i) return i end, { chunk = 1 })
    assert.equal(13, pool:stats().done)
  end)

  it("chooses chunks that keep the threads busy, and that stay small", function()
    local pool <close> = ml.executor.new { threads = 2 }
    pool:map(numbers(80), function(i) return i end)
    assert.equal(8, pool:stats().done)
    pool:map(numbers(10000), function(i) return i end)
    assert.equal(18, pool:stats().done)
  end)

  it("copies the function's upvalues once per chunk", function()
    local pool <close> = ml.executor.new { threads = 1 }
    local calls = 0
    local results = pool:map(numbers(6), function()
      calls = calls + 1
      return calls
    end, { chunk = 3 })
    assert.same({ 1, 2, 3, 1, 2, 3, n = 6 }, results)
    assert.equal(0, calls)
  end)

  it("keeps holes in the list and in the results", function()
    local pool <close> = ml.executor.new { threads = 1 }
    local results = pool:map({ n = 5, 1, nil, 3, nil, nil }, function(v) return v and v * 10 end, { chunk = 2 })
    assert.same({ n = 5, 10, nil, 30 }, results)
  end)

  it("has more under way where the function blocks, and the pool grows", function()
    local pool <close> = ml.executor.new { threads = 1, max_threads = 4 }
    local task = ml.spawn(pool.map, pool, numbers(100000), function() ml.sleep(0.01) end, { chunk = 1 })
    eventually(function() return pool:stats().running == 4 end)
    task:cancel()
  end)

  it("does not flood the queue: two chunks per thread are under way", function()
    local pool <close> = ml.executor.new { threads = 1 }
    local most = 0
    local watcher = ml.spawn(function()
      while true do
        local stats = pool:stats()
        most = math.max(most, stats.queued + stats.running)
        ml.sleep(0)
      end
    end)
    pool:map(numbers(30), function(i) return i end, { chunk = 1 })
    watcher:cancel()
    assert.is_true(most <= 2, most)
  end)

  it("raises the first failure, cancels the rest and starts no more", function()
    local pool <close> = ml.executor.new { threads = 2 }
    assert.error_matches(function()
      pool:map(numbers(100), function(i)
        if i == 2 then error("two") end
        ml.sleep(1000)
      end, { chunk = 1 })
    end, "two")
    local stats = pool:stats()
    assert.equal(0, stats.queued)
    assert.equal(0, stats.done)
    assert.equal(1, stats.failed)
    assert.is_true(stats.cancelled <= 3, stats.cancelled)
    assert.equal("free", pool:run(function() return "free" end))
  end)

  it("treats nil and an error of an item as a failure, even in the middle of a chunk", function()
    local pool <close> = ml.executor.new { threads = 1 }
    local ok, err = pcall(pool.map, pool, numbers(10), function(i)
      seen = seen or {} -- luacheck: ignore
      seen[i] = true -- luacheck: ignore
      if i == 3 then return nil, { code = i } end
      return i
    end, { chunk = 5 })
    assert.is_false(ok)
    assert.same({ code = 3 }, err)
    local seen_there = pool:run(function() return seen end) -- luacheck: ignore
    assert.is_true(seen_there[3])
    assert.is_nil(seen_there[4])
  end)

  it("is cancelled with its caller", function()
    local pool <close> = ml.executor.new { threads = 1 }
    local value, err = ml.timeout(0.05, pool.map, pool, numbers(5), function() ml.sleep(1000) end)
    assert.is_nil(value)
    assert.equal("timeout", err.kind)
    assert.equal(0, pool:stats().queued)
    assert.equal("free", pool:run(function() return "free" end))
  end)

  it("says which argument is wrong", function()
    local pool <close> = ml.executor.new { threads = 1 }
    assert.error_matches(function() pool:map(1, print) end, "bad argument #1 to 'pool:map'")
    assert.error_matches(function() pool:map({}, 1) end, "bad argument #2 to 'pool:map'")
    assert.error_matches(function() pool:map({}, print, 1) end, "the options of pool:map are a number")
    assert.error_matches(function() pool:map({}, print, { chunks = 1 }) end,
      "unknown option 'chunks' of pool:map %(did you mean 'chunk'%?%)")
    assert.error_matches(function() pool:map({}, print, { chunk = 0 }) end, "the chunk must be a positive integer")
  end)
end)
