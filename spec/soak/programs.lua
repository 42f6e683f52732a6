-- Random programs (soak.lua): sequences of operations, which the files *_operations.lua add.
local books = require "spec.soak.books"

local random = math.random

local programs = { ops = {} }

local names = {}

function programs.pick(list) return list[random(#list)] end
function programs.chance(percent) return random(100) <= percent end
function programs.short_time() return random(0, 20) / 1000 end

--- Adds operations, by name. Each gets the record of its task, and may raise the own cancel, and errors of
-- books.failure.
function programs.add(ops)
  for name, op in pairs(ops) do
    programs.ops[name] = op
    names[#names + 1] = name
  end
  table.sort(names)
end

--- A random program of the task of `record`; its result is a value of its own.
function programs.run(record, length)
  if type(length) ~= "number" then length = random(0, 5) end
  for _ = 1, length do
    if #books.violations > 0 then return {} end
    books.operations = books.operations + 1
    local name = programs.pick(names)
    if record.depth < 5 or not name:find("spawn", 1, true) then programs.ops[name](record) end
  end
  return {}
end

return programs
