-- The memory of Lua's largest objects, which uses huge pages if the system has them.
local ml = require "moonloop"
local run = require("spec.support.process").run
local xs = require("spec.support").xs

local MB = 1 << 20

describe("a large object", function()
  it("keeps its content while it grows and shrinks through all sizes", function()
    local list = {}
    for i = 1, 400000 do list[i] = i end -- 1, 2, 4, 8 MB
    for i = 1, 400000, 997 do assert.equal(i, list[i]) end
    for i = 400000, 1001, -1 do list[i] = nil end
    list.x = 1 -- the array shrinks
    for i = 1, 1000 do assert.equal(i, list[i]) end
    for i = 1001, 300000 do list[i] = -i end
    for i = 1001, 300000, 997 do assert.equal(-i, list[i]) end
  end)

  it("can be a text of any length", function()
    local edge = 2 * MB - 25 -- as a text of that length takes 2 MB
    for _, length in ipairs { edge, edge + 1, 2 * MB, 3 * MB - 100, 3 * MB, 4 * MB - 10, 9 * MB } do
      local text = xs(length - 1) .. "b"
      assert.equal(length, #text)
      assert.equal("xb", text:sub(-2))
      assert.equal("xx", text:sub(1, 2))
    end
  end)

  it("is returned when nobody holds it", function()
    for i = 1, 100 do
      local text = xs(2 * MB + i)
      assert.equal(2 * MB + i, #text)
      if i % 20 == 0 then collectgarbage() end
    end
    local lists = {}
    for round = 1, 2 do
      for i = 1, 8 do
        lists[i] = table.move({ round }, 1, 1, 200000 + i, {})
        for k = 1, 200000 do lists[i][k] = k end
      end
      collectgarbage()
      for i = 1, 8 do assert.equal(round, lists[i][200000 + i]) end
    end
  end)

  it("crosses to a worker and back", function()
    local list = {}
    for i = 1, 131072 do list[i] = i + 0.5 end
    for _ = 1, 10 do
      local back = ml.executor.run(function(numbers) return numbers end, list)
      assert.equal(131072, #back)
      assert.equal(131072.5, back[131072])
    end
  end)

  it("takes few page faults, from the first time on", function()
    local output = run [[
local function status(path, pattern)
  local file <close> = assert(io.open(path))
  return file:read("a"):match(pattern)
end
local function faults()
  return tonumber(status("/proc/self/stat", "%) %S+ %S+ %S+ %S+ %S+ %S+ %S+ (%d+)"))
end
local list = {}
for i = 1, 131072 do list[i] = i + 0.5 end
local pool <close> = ml.executor.new { threads = 1 }
local function echo(...) return ... end
pool:run(echo)
-- How often the system had no huge page where one was wanted.
local function refusals() return tonumber(status("/proc/vmstat", "thp_fault_fallback (%d+)")) end
local before, refused = faults(), refusals()
for _ = 1, 8 do pool:run(echo, list) end
local file = io.open "/sys/kernel/mm/transparent_hugepage/enabled"
local has_huge = file and not file:read("a"):find("[never]", 1, true)
-- A sanitizer, which is known by the terabytes of addresses that it reserves, has a malloc of its own.
if not has_huge or refusals() ~= refused or tonumber(status("/proc/self/status", "VmSize:%s*(%d+)")) > 1 << 30 then
  print("cannot be told")
else
  print(faults() - before) -- on small pages 1024 for each: two lists of 2 MB
end]]
    local found = tonumber(output)
    assert.is_true(output == "cannot be told\n" or (found and found < 2000), output)
  end)
end)
