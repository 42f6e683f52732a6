-- What ml.fs costs: 64 tasks that read files of 1 MB, ten each; 20,000 stats by 64 tasks.
--
--     build/release/moonloop bench/files.lua
local ml = require "moonloop"

local TASKS <const>, READS <const>, STATS <const> = 64, 10, 20000

local folder <close> = assert(ml.fs.temp_dir())

local function name(i) return folder.path .. "/f" .. i end

local function wall()
  local seconds = ml.now()
  return seconds
end

--- Runs `f(i)` `count` times in TASKS tasks and prints what one call took.
local function measure(what, count, f)
  local cpu, since, next_one = os.clock(), wall(), 0
  ml.group(function(group)
    for _ = 1, TASKS do
      group:spawn(function()
        while next_one < count do
          next_one = next_one + 1
          assert(f(next_one % TASKS))
        end
      end)
    end
  end)
  print(("%-24s CPU %7.2f us  wall %7.2f us"):format(what, (os.clock() - cpu) / count * 1e6,
    (wall() - since) / count * 1e6))
end

local megabyte = ("x"):rep(1024 * 1024)
for i = 0, TASKS - 1 do assert(ml.fs.write(name(i), megabyte)) end

measure("read 1 MB", TASKS * READS, function(i) return ml.fs.read(name(i)) end)
measure("stat", STATS, function(i) return ml.fs.stat(name(i)) end)
