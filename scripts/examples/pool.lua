-- A separate pool: a list mapped over its workers, a call that reports its progress, and a job that is
-- interrupted.
local ml = require "moonloop"

-- Each worker's state is prepared by init, and replaced when a job in it needs more than 64 MB.
local pool <close> = ml.executor.new {
  threads = 2,
  max_memory = 64 << 20,
  init = function() greeting = "words:" end, -- luacheck: ignore
}

local counts = pool:map({ "one", "one two", "one two three" }, function(text)
  return select(2, text:gsub("%S+", ""))
end)
print(table.unpack(counts, 1, counts.n))

local call = pool:start(function(texts)
  local job, all = ml.executor.current(), 0
  for i, text in ipairs(texts) do
    all = all + select(2, text:gsub("%S+", ""))
    job:progress(i, #texts)
  end
  return greeting, all -- luacheck: ignore
end, { "a b", "c d e", "f" })
for i, n in call:progress() do print(("%d of %d"):format(i, n)) end
print(call:await())

local function forever() while true do pcall(tostring, {}) end end
print(ml.timeout(0.1, pool.run, pool, forever))
print(pcall(pool.run, pool, { forever, cpu = 0.1 }))
print("done: " .. pool:stats().done)
