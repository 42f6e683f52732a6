-- What is done often costs as much the thousandth time as the first: counted are instructions.
local folders = require "spec.support.folder"
local instructions = require "spec.support.instructions"

describe("a spawn", { timeout = 240 }, function()
  it("costs no more where more sources have spawned than are remembered", function()
    if instructions.missing() then return pending(instructions.missing()) end
    local script <close> = folders.file [[
      local ml = require "moonloop"
      local sources, spawns = tonumber(arg[1]), tonumber(arg[2])
      local function nothing() end
      for i = 1, 1200 do
        local f = load("local ml, f = ...; ml.spawn(f):await()", "=name" .. i)
        if i <= sources then f(ml, nothing) end
      end
      for _ = 1, spawns do ml.spawn(nothing):await() end
    ]]
    local function run(...) return (instructions.of(("run --block-limit 0 '%s' %d %d"):format(script.path, ...))) end
    local function cost(sources) return run(sources, 1500) - run(sources, 500) end -- of 1000 spawns
    local few, many = cost(10), cost(1200)
    assert(many < 1.5 * few, ("%.1f million with 10, %.1f with 1200"):format(few, many)) -- once 15 times as much
  end)
end)

describe("a spec that does nothing", { timeout = 240 }, function()
  it("costs half a million instructions at most, however many come before it", function()
    if instructions.missing() then return pending(instructions.missing()) end
    local folder <close> = folders.new {
      ["x_spec.lua"] = [[for i = 1, tonumber(os.getenv "SPECS") do it("is " .. i, function() end) end]],
    }
    local function cost(count)
      local total, output = instructions.of(("test '%s/x_spec.lua'"):format(folder.path), "SPECS=" .. count)
      assert.matches(count .. " success", output)
      return total
    end
    local one, half, all = cost(1), cost(151), cost(301)
    local first, second = (half - one) / 150, (all - half) / 150
    assert(first < 0.5 and second < 1.1 * first, ("%.2f million, then %.2f"):format(first, second)) -- once 4
  end)
end)
