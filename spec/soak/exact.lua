-- Programs with an exact outcome (soak.lua): nobody cancels them, they share nothing.
local books = require "spec.soak.books"
local ml = require "moonloop"
local programs = require "spec.soak.programs"

local random = math.random
local short_time = programs.short_time

--- Gives a function for a task, and what it returns.
local function exact(depth)
  local kind = depth == 0 and 1 or random(7)
  books.operations = books.operations + 1
  if kind == 1 then
    local n, time = random(100), short_time()
    return function() ml.sleep(time) return n end, n
  end
  local f, x = exact(depth - 1)
  local g, y = exact(depth - 1)
  if kind == 2 then
    return function()
      local a, b = ml.gather(f, g)
      return a + b
    end, x + y
  elseif kind == 3 then
    return function()
      local a, b = ml.spawn(f), ml.spawn(g)
      return b:await() - a:await()
    end, y - x
  elseif kind == 4 then
    return function()
      local a <close> = ml.group()
      local one, two = a:spawn(f), a:spawn(g)
      return one:await() * 2 + two:await()
    end, x * 2 + y
  elseif kind == 5 then
    return function() return assert(ml.timeout(1000, f)) + ml.shield(g) end, x + y
  elseif kind == 6 then
    return function()
      local queue = ml.queue(random(0, 2))
      local sum = 0
      ml.gather(function()
        for _, h in ipairs { f, g } do queue:put(h()) end
        queue:close()
      end, function()
        for v in queue:items() do sum = sum * 3 + v end
      end)
      return sum
    end, x * 3 + y
  end
  return function()
    local ok, err = pcall(ml.gather, function() ml.sleep(0.001) error({ value = x }, 0) end,
      function() ml.sleep(100) end)
    assert(not ok)
    return err.value + g()
  end, x + y
end

return exact
