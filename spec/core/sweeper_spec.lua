-- Stores whose entries have a time: what is over goes without a new arrival.
local clock = require "moonloop.clock"
local lru = require "moonloop.core.lru"
local ml = require "moonloop"
local process = require "spec.support.process"

-- A table for entries that are the times at which they are over.
local function store() return lru.new(1 << 20, function(value) return value end, ml.now) end

local function fill(one, n, seconds)
  for i = 1, n do one:set(i, ml.now() + seconds) end
  return one
end

describe("what is over", function()
  it("goes from each store in its time, from one that comes later and is due earlier, too", function()
    clock.virtual()
    local late, early = fill(store(), 10, 1e6), fill(store(), 10, 10)
    ml.sleep(12)
    assert.equal(10, late.count)
    assert.equal(0, early.count)
    fill(early, 5, 3)
    ml.sleep(5)
    assert.equal(0, early.count)
    ml.sleep(1e6)
    assert.equal(0, late.count)
  end)

  it("goes in steps, between which others run", function()
    clock.virtual()
    local one, seen = fill(store(), 10000, 10), {}
    ml.sleep(9)
    local watcher = ml.spawn(function()
      while one.count > 0 do
        seen[one.count] = true
        ml.sleep(one.count == 10000 and 0.1 or 0)
      end
    end)
    watcher:await()
    local steps = 0
    for _ in pairs(seen) do steps = steps + 1 end
    assert.is_true(steps >= 10, steps .. " steps")
  end)

  it("keeps no store that nobody else has", function()
    local known = setmetatable({ fill(store(), 10, 1e6) }, { __mode = "v" })
    collectgarbage()
    collectgarbage()
    assert.is_nil(known[1])
  end)

  it("is nobody's task", function()
    clock.virtual()
    local before = #ml.tasks()
    local one, most = fill(store(), 5000, 5), 0
    while one.count > 0 do
      most = math.max(most, #ml.tasks())
      ml.sleep(one.count == 5000 and 1 or 0)
    end
    assert.equal(before, most)
  end)

  it("goes in programs that wait for other things, and keeps none alive", function()
    assert.equal("0\nended\n", (process.run [[
      require("moonloop.clock").virtual()
      local lru = require "moonloop.core.lru"
      local one = lru.new(10, function(value) return value end, ml.now)
      one:set("key", ml.now() + 5)
      ml.sleep(7)
      print(one.count)
      one:set("key", ml.now() + 1e6)
      print "ended"
    ]]))
  end)

  it("goes from others where a store fails, which is reported", function()
    local output = process.run [[
      require("moonloop.clock").virtual()
      local sweeper = require "moonloop.core.sweeper"
      local calls = 0
      local bad = { sweep = function() error "on purpose" end }
      local good = { sweep = function()
        calls = calls + 1
        return 1, calls < 3 and 1 or nil
      end }
      sweeper.watch(bad, 1)
      ml.sleep(3)
      sweeper.watch(good, 1)
      ml.sleep(10)
      print(calls)
    ]]
    assert.equal(1, select(2, output:gsub("background failed", "")), output)
    assert.matches("on purpose.*3\n$", output)
  end)
end)
