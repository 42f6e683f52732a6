-- What Lua's collector costs the loop, in its two modes: build/release/moonloop bench/collector.lua [ROUNDS]
--
-- Prints for each program and mode the CPU time, the longest that other tasks had to wait, and the memory
-- at the end: medians of rounds in which the modes take turns. Each runs in a process of its own: this
-- file again, with the program's name and the mode.
local ml = require "moonloop"

local exe = assert(io.popen("readlink /proc/$PPID/exe")):read("l")

-- Lists of lists, as the growth of one long list is a step of its own.
local function make_list(n)
  local list = {}
  for i = 1, n do list[i] = { i, { n } } end
  return list
end

local programs = {
  --- Beside 300,000 tables that stay, 100,000 others are replaced all the time.
  ["replaced beside a large heap"] = function(turn)
    local heap = { fresh = {} }
    for i = 1, 750 do heap[i] = make_list(200) end
    for n = 1, 6000 do
      heap.fresh[n % 250 + 1] = make_list(200)
      turn()
    end
    return heap
  end,
  --- A million tables that stay, and as much garbage.
  ["a heap that grows"] = function(turn)
    local heap = {}
    for n = 1, 5000 do
      heap[n] = make_list(100)
      make_list(100)
      turn()
    end
    return heap
  end,
  --- Garbage beside 20,000 tasks that sleep.
  ["garbage beside 20,000 tasks"] = function(turn)
    for _ = 1, 20000 do ml.spawn(ml.sleep, 1000) end
    for _ = 1, 20000 do
      make_list(50)
      turn()
    end
  end,
}

if arg[2] then
  collectgarbage(arg[2])
  local last, longest, keep
  local start = os.clock()
  keep = programs[arg[1]](function()
    ml.sleep(0)
    local now = ml.now()
    longest = math.max(longest or 0, last and now - last or 0)
    last = now
  end)
  print(os.clock() - start, longest * 1000, collectgarbage "count" / 1024)
  os.exit(keep == nil or true)
end

local rounds = math.tointeger(tonumber(arg[1] or 5))

local function run(name, mode)
  local command = "'%s' run --block-limit 0 '%s' '%s' %s"
  local pipe <close> = assert(io.popen(command:format(exe, arg[0], name, mode)))
  return table.pack(pipe:read("n", "n", "n"))
end

local function median(list, i)
  table.sort(list, function(a, b) return a[i] < b[i] end)
  return list[(#list + 1) // 2][i]
end

local names = {}
for name in pairs(programs) do names[#names + 1] = name end
table.sort(names)
for _, name in ipairs(names) do
  local results = { incremental = {}, generational = {} }
  for i = 1, rounds do
    for mode, list in pairs(results) do list[i] = run(name, mode) end
  end
  for _, mode in ipairs { "incremental", "generational" } do
    local list = results[mode]
    print(("%-30s %-13s CPU %.2f s, longest wait %6.1f ms, %4.0f MB"):format(name, mode, median(list, 1),
      median(list, 2), median(list, 3)))
  end
end
